"""The quick start: sample logs become summaries at a centre, hop by hop, in one folder to look into."""

import argparse
import glob
import os
import sys
import tempfile
import time
from typing import Any, Dict, List, Optional

from apel.demo import LogFiles, embedded_deployment, shown
from apel.samples import FORMATS, SampleOptions, write_samples
from apelcommon import __version__
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.errors import ConfigError

SAMPLE_GRID_SHARE = 0.97
BENCHMARKS = ("HEPscore23,12.5", "HEPscore23,11.0", "HEPSPEC,10.0", "HEPSPEC,9.5")
HEADS = {
    "apelparser": "The site parses its logs into the site database",
    "apelclient": "The site joins, summarises and unloads messages into its spool",
    "ssmsend": "The site signs the messages with its host certificate and hands them over",
    "ssmreceive": "The centre verifies the signatures and queues the messages",
    "apeldbloader": "The centre loads the messages into the central database",
    "apelsummariser": "The centre summarises the job records by month",
}

Totals = Dict[str, Dict[str, int]]


class QuickStart(Command):
    """Run the whole of APEL once, on one machine, with embedded databases."""

    name = "quickstart"
    version_text = "APEL quick start %s" % __version__
    description = (
        "Run the whole of APEL once on this machine: sample logs, a site, a real signature,\n"
        "a hand-over, a centre and its summaries. Needs no server and changes nothing outside its folder."
    )
    example = "./quickstart --jobs 5000 --keep /tmp/apel-quickstart"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """The sample's size and system, own logs, and the folder to leave."""
        parser.add_argument("--jobs", type=int, default=2000, metavar="N", help="sample jobs (default: 2000)")
        parser.add_argument("--system", default="slurm", choices=sorted(FORMATS), help="batch system")
        parser.add_argument(
            "--logs",
            metavar="DIR",
            help="your own logs instead: DIR/batch and DIR/blah, or DIR (local jobs only)",
        )
        parser.add_argument("--keep", metavar="DIR", help="the folder to make (default: a new temporary one)")

    def run(self, args: argparse.Namespace) -> int:
        """Make the folder, run every hop, print the report."""
        if args.jobs < 1:
            raise ConfigError("--jobs must be at least 1")
        if args.logs is not None and not os.path.isdir(args.logs):
            raise ConfigError("--logs %s: no such folder" % args.logs)
        began = time.monotonic()
        folder = _new_folder(args.keep)
        story = _Story(folder)
        logs, truth = _logs(args, folder, story)
        story.run(logs)
        good = truth is None or story.compare(truth)
        story.close(time.monotonic() - began)
        return 0 if good else 1


def _new_folder(wanted: Optional[str]) -> str:
    if wanted is None:
        return tempfile.mkdtemp(prefix="apel-quickstart-")
    if os.path.isdir(wanted) and os.listdir(wanted):
        raise ConfigError("--keep %s: the folder is not empty; name a new one" % wanted)
    os.makedirs(wanted, exist_ok=True)
    return os.path.abspath(wanted)


def _logs(args: argparse.Namespace, folder: str, story: "_Story") -> Any:
    if args.logs is None:
        options = SampleOptions(system=args.system, jobs=args.jobs, grid=SAMPLE_GRID_SHARE)
        truth = write_samples(os.path.join(folder, "logs"), options)
        files = len(glob.glob(os.path.join(folder, "logs", "*", "*")))
        story.say("Sample logs: %d %s jobs in %d files below logs/" % (args.jobs, args.system, files))
        return LogFiles(
            args.system, os.path.join(folder, "logs", "batch"), os.path.join(folder, "logs", "blah")
        ), truth
    story.deployment.zone = ""
    source = os.path.abspath(args.logs)
    batch, blah = os.path.join(source, "batch"), os.path.join(source, "blah")
    if os.path.isdir(batch):
        return LogFiles(args.system, batch, blah if os.path.isdir(blah) else None), None
    return LogFiles(args.system, source, None), None


class _Story:
    """Runs the hops and tells what each of them did."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.step = 0
        self.deployment = embedded_deployment(folder)
        print("APEL %s quick start, in %s\n" % (__version__, folder))

    def say(self, text: str) -> None:
        """A line under the heading."""
        print("   " + text)
        sys.stdout.flush()

    def run(self, logs: LogFiles) -> None:
        """Every hop from the logs to the report."""
        deployment = self.deployment
        deployment.write_site(logs, {})
        deployment.write_centre()
        self._hop("apelparser")
        self._counts("site", {"EventRecords": "batch jobs", "BlahdRecords": "grid records"})
        # The benchmark of each CE is the one fact that no log holds: give each one that was seen a value.
        deployment.write_site(logs, self._benchmarks())
        self._hop("apelclient")
        self._joined()
        self._hop("ssmsend")
        self.say("%d signed messages in handover/" % _files(deployment.path("handover")))
        self._hop("ssmreceive", "--once")
        self.say("%d messages verified, %d rejected" % (self._queued("incoming"), self._queued("reject")))
        self._hop("apeldbloader", "--once")
        self._counts("centre", {"JobRecords": "job records", "SyncRecords": "monthly job counts of the site"})
        self._hop("apelsummariser")
        self._counts("centre", {"HybridSuperSummaries": "summaries"})
        print("\nWhat the centre reports (apelreport -d centre/db.cfg):\n")
        print(deployment.run("apelreport"))

    def _hop(self, name: str, *extra: str) -> None:
        self.step += 1
        print("%d. %s" % (self.step, HEADS[name]))
        self.say("$ " + shown(self.deployment.command(name, *extra), self.folder))
        self.deployment.run(name, *extra)

    def _rows(self, side: str, sql: str) -> List[Any]:
        database = self.deployment.site_database if side == "site" else self.deployment.central_database
        with database() as db:
            return db.run(lambda tx: tx.rows(sql))

    def _counts(self, side: str, tables: Dict[str, str]) -> None:
        counts = [
            "%d %s" % (self._rows(side, "SELECT COUNT(*) FROM %s" % table)[0][0], what)
            for table, what in tables.items()
        ]
        self.say("%s database: %s" % (side, ", ".join(counts)))

    def _benchmarks(self) -> Dict[str, str]:
        seen = self._rows(
            "site", "SELECT DISTINCT h.name FROM BlahdRecords b JOIN SubmitHosts h ON h.id = b.CEID"
        )
        names = sorted(str(name) for (name,) in seen)
        return {name: BENCHMARKS[i % len(BENCHMARKS)] for i, name in enumerate(names)}

    def _joined(self) -> None:
        by_status = dict(self._rows("site", "SELECT Status, COUNT(*) FROM EventRecords GROUP BY Status"))
        messages = _files(self.deployment.path("site/spool/outgoing"))
        self.say(
            "%d grid jobs, %d local jobs joined; %d messages"
            % (by_status.get(2, 0), by_status.get(1, 0), messages)
        )
        if by_status.get(3):
            self.say("%d jobs wait for a grid record: no line of a BLAH log names them" % by_status[3])
        if by_status.get(4):
            self.say("%d jobs wait for a benchmark of their CE" % by_status[4])

    def _queued(self, queue: str) -> int:
        return len(glob.glob(self.deployment.path("centre/spool/%s/[0-9a-f]*/[0-9a-f]*" % queue)))

    def compare(self, truth: Totals) -> bool:
        """Whether the centre's totals are those of the sample logs, to the second and to the job."""
        found = centre_totals(self._rows("centre", TOTALS))
        same = found == truth
        jobs = sum(total["jobs"] for total in truth.values())
        if same:
            print("The totals at the centre equal those of the logs: %d grid jobs, to the second.\n" % jobs)
        else:
            print(
                "The totals at the centre DIFFER from those of the logs:\n  logs   %s\n  centre %s"
                % (truth, found)
            )
        return same

    def close(self, seconds: float) -> None:
        """What to look at now."""
        print("Done in %.0f seconds. Look into %s:" % (seconds, self.folder))
        for name, what in (
            ("site/*.cfg, centre/*.cfg", "the configuration files"),
            ("site/site.db, centre/centre.db", "the databases (SQLite)"),
            ("site/log, centre/log", "what each program logged"),
            ("handover", "where the signed messages passed"),
        ):
            print("   %-32s %s" % (name, what))


TOTALS = (
    "SELECT s.Year, s.Month, v.name, SUM(s.NumberOfJobs), SUM(s.WallDuration), SUM(s.CpuDuration)"
    " FROM HybridSuperSummaries s JOIN VOs v ON v.id = s.VOID WHERE s.NumberOfJobs > 0"
    " GROUP BY s.Year, s.Month, v.name"
)


def centre_totals(rows: List[Any]) -> Totals:
    """Rows of TOTALS in the form of the samples' truth."""
    return {
        "%04d-%02d %s" % (year, month, vo): {"jobs": int(jobs), "wall": int(wall), "cpu": int(cpu)}
        for year, month, vo, jobs, wall, cpu in rows
    }


def _files(folder: str) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


def main(argv: Optional[List[str]] = None) -> int:
    """Run the quick start; its exit status."""
    return run_command(QuickStart(), argv)


if __name__ == "__main__":
    sys.exit(main())
