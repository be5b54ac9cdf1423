"""apelcollect: ask SLURM or HTCondor for the jobs that ended, and write them where apelparser reads."""

import argparse
import logging
from typing import List, Optional

from apel.collect import SOURCES, Collector
from apel.collect.options import TABLE
from apel.collect.place import place
from apel.commands.checking import add_check_argument, say
from apel.times import epoch_from_text
from apelcommon import __version__
from apelcommon.checks import executable, writable
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.errors import EXIT_DONE
from apelcommon.files import Lock, lock_path
from apelcommon.metrics import Metrics

log = logging.getLogger("collect")


class CollectCommand(Command):
    """Collect once, as from cron."""

    name = "apelcollect"
    version_text = "APEL collect %s" % __version__
    description = (
        "Ask the batch system for the jobs that ended since the last run, and write a log for apelparser.\n"
        "Exit status: 0 done, 1 another run is at work, 2 usage or configuration, 75 the batch system's\n"
        "command or the disk failed (nothing is lost: the next run begins at the same moment)."
    )
    example = "apelcollect slurm -c /etc/apel/collect.cfg"
    table = TABLE
    default_config = "/etc/apel/collect.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        parser.add_argument("system", choices=sorted(SOURCES), help="the batch system")
        parser.add_argument(
            "--since",
            type=moment,
            metavar="TIME",
            help="jobs that ended from then on, as 2026-11-01 or 2026-11-01T06:00:00 in UTC (default: where "
            "the last run ended, and an overlap before it)",
        )
        parser.add_argument(
            "--until",
            type=moment,
            metavar="TIME",
            help="jobs that ended until then (default: a few minutes ago)",
        )
        parser.add_argument(
            "--output", metavar="DIR", default="", help="write there (default: [batch] dir of parser.cfg)"
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="print the period, the command and the log that it would make; ask and write nothing",
        )
        add_check_argument(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Collect, or say what would be."""
        quiet = args.dry_run or args.check_config
        settings = TABLE.read(args.config) if quiet else self.settings(args)
        source = SOURCES[args.system]
        collector = Collector(source, settings.collect, place(settings.collect, source, args.output))
        if args.check_config:
            command = collector.plan(args.since, args.until)[0].words[0]
            return say([settings], [writable("logs", collector.place.folder), executable("command", command)])
        if args.dry_run:
            for piece in collector.plan(args.since, args.until):
                print("period:  %s" % piece.window.as_text())
                print("command: %s" % collector.as_shell(piece))
                print("log:     %s" % piece.path)
            return EXIT_DONE
        log.info("Starting apelcollect %s for %s", __version__, source.batch_type)
        where = collector.place
        with Lock(lock_path("apelcollect", where.folder, where.prefix), self.name):
            _collect(collector, Metrics(settings.metrics.textfile, self.name, system=args.system), args)
        return EXIT_DONE


def _collect(collector: Collector, metrics: Metrics, args: argparse.Namespace) -> None:
    lines = metrics.counter("apel_collect_lines_total", "Lines that were written to logs.")
    well = False
    try:
        for report in collector.run(args.since, args.until):
            what = "%d lines in %s" % (report.lines, report.piece.path) if report.lines else "no job ended"
            log.info("%s: %s", report.piece.window.as_text(), what)
            lines.add(report.lines)
        well = True
    finally:
        metrics.ended(well)


def moment(text: str) -> int:
    """Epoch seconds of a date, or of a date and a time, in UTC unless it names a zone. Raises ValueError."""
    return epoch_from_text(text if len(text) > 10 else text + "T00:00:00")


def main(argv: Optional[List[str]] = None) -> int:
    """Run apelcollect; its exit status."""
    return run_command(CollectCommand(), argv)
