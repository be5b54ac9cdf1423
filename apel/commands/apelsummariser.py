"""Runs the summariser once: makes the changed months' sums again, and says how long it took."""

import argparse
import logging
import re
import time
from typing import Dict, List, Optional, Set, Tuple

from apel import __version__, times
from apel.commands import checking
from apel.commands.server_config import add_db_argument, open_central, read_both, type_of
from apel.db import Database
from apel.db.options import SCHEMAS
from apel.server.options import SUMMARISER
from apel.server.summarise import ACCELERATOR, ANY, CLOUD, GRID, IP, STORAGE, Scope, Summariser, Sums
from apel.summaries import SiteMonth
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.config import Settings
from apelcommon.daemon import PidFile
from apelcommon.errors import EXIT_DONE, Permanent
from apelcommon.metrics import Metrics

log = logging.getLogger("summariser")

#: What is summed up for each [db] type.
SUMS = {"cpu": GRID, "cloud": CLOUD, "storage": STORAGE, "accelerator": ACCELERATOR, "ip": IP}


class SummariserCommand(Command):
    """The command apelsummariser."""

    name = "apelsummariser"
    version_text = "APEL summariser %s" % __version__
    description = (
        "Sum up what is in the central database by site and month: jobs, or with [db] type cloud virtual\n"
        "machines, with storage how full it was, with accelerator GPUs and the like, with ip public IP\n"
        "addresses. Only months that changed since the last run are made again; run it from cron as often\n"
        "as you like."
    )
    example = "apelsummariser --all --site EXAMPLE-SITE --month 2026-10"
    table = SUMMARISER
    default_config = "/etc/apel/summariser.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        add_db_argument(parser)
        parser.add_argument("--all", action="store_true", help="all months, not only those that changed")
        parser.add_argument("--site", metavar="NAME", help="only months of this site")
        parser.add_argument("--month", type=month, metavar="YYYY-MM", help="only this month")
        parser.add_argument(
            "--verify",
            action="store_true",
            help="compare all months with their sources by number now; make those again that differ",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be done; change nothing")
        checking.add_check_argument(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""
        settings, db_settings = read_both(SUMMARISER, args.config, args.db)
        if args.check_config:
            return checking.say(
                [settings, db_settings], checking.database(db_settings.db, SCHEMAS[type_of(db_settings.db)])
            )
        self.start_log(settings, args)
        metrics = Metrics("" if args.dry_run else settings.metrics.textfile, self.name)
        success = False
        with PidFile("" if args.dry_run else settings.summariser.pidfile):
            db = open_central(db_settings.db)
            try:
                _summarise(db, settings, args, SUMS[type_of(db_settings.db)], metrics)
                success = True
            finally:
                db.close()
                metrics.ended(success)
        return EXIT_DONE


def month(text: str) -> Tuple[int, int]:
    """'2026-10' -> (2026, 10). Raises ArgumentTypeError."""
    found = re.match(r"(\d{4})-(\d\d)$", text)
    try:
        year, number = (int(part) for part in found.groups()) if found else (0, 0)
        times.month_bounds(year, number)
    except ValueError:
        raise argparse.ArgumentTypeError("%r is no month like 2026-10" % text) from None
    return year, number


def _summarise(
    db: Database, settings: Settings, args: argparse.Namespace, sums: Sums, metrics: Metrics
) -> None:
    started = time.monotonic()
    summariser = Summariser(db, Scope(args.site, args.month), sums)
    counting = args.verify or (settings.summariser.verify_daily and _counts_are_due(summariser))
    wanted = _miscounted(summariser) if counting else set()
    if sums is CLOUD and settings.summariser.delete_stale_summaries and not counting:
        wanted |= _stale(summariser, settings.summariser.stale_summary_window_days)
    if args.all:
        wanted |= summariser.all_months()
    if args.dry_run:
        _say_what_would_be_done(summariser, wanted)
        return
    summariser.mark(wanted)
    months = summariser.run()
    if counting and summariser.scope == ANY:
        summariser.counted()
        summariser.forget_empty()
    metrics.counter("apel_summariser_months_total", "Months of sites that were summed.").add(months)
    refused = metrics.gauge("apel_summariser_refused_months", "Months whose sums the database refuses.")
    refused.set(len(summariser.refused))
    _report_restoring(summariser)
    log.info("Months of sites whose sums were made again: %d", months)
    log.info("Summarising completed in: %.2f seconds", time.monotonic() - started)
    _report_refused(summariser)


def _report_restoring(summariser: Summariser) -> None:
    """Not all of their jobs are back from the archive: nothing is wrong, but an operator should know."""
    names = summariser.site_names() if summariser.restoring else {}
    for month, how_far in summariser.restoring.items():
        log.warning("%s is being restored, and its sums stay as they were: %s.", _name(names, month), how_far)


def _report_refused(summariser: Summariser) -> None:
    """Raises Permanent if there are months that the database refused to sum, each said in the log."""
    names = summariser.site_names() if summariser.refused else {}
    for month, reason in summariser.refused.items():
        log.error("%s can't be summed, its old sums stay: %s", _name(names, month), reason)
    if summariser.refused:
        raise Permanent(
            "%d months can't be summed (%s): correct or delete the records with absurd values."
            % (len(summariser.refused), ", ".join(_name(names, month) for month in summariser.refused)[:300])
        )


def _stale(summariser: Summariser, days: int) -> Set[SiteMonth]:
    """The latest months whose sums hold more or fewer machines than there are records."""
    first = times.month_of(max(0, times.now() - days * times.DAY))
    return {one.month for one in summariser.miscounted() if one.month[1:] >= first}


def _counts_are_due(summariser: Summariser) -> bool:
    return summariser.scope == ANY and summariser.count_is_due()


def _miscounted(summariser: Summariser) -> Set[SiteMonth]:
    """The months whose sums do not hold the jobs of their sources, each said in the log."""
    found = summariser.miscounted()
    names = summariser.site_names() if found else {}
    for one in found:
        log.warning(
            "%s: its sources hold %d %s, its sums %d.",
            _name(names, one.month),
            one.jobs,
            summariser.sums.what,
            one.summed,
        )
    log.info(
        "The numbers of %s in sums and sources were compared: %d months differ.",
        summariser.sums.what,
        len(found),
    )
    return {one.month for one in found}


def _say_what_would_be_done(summariser: Summariser, wanted: Set[SiteMonth]) -> None:
    months = sorted(wanted | set(summariser.changed()))
    names = summariser.site_names()
    for one in months:
        print(_name(names, one))
    print("%d months would be made again." % len(months))


def _name(names: Dict[int, str], month: SiteMonth) -> str:
    site = names.get(month.site_id, "site with id %d" % month.site_id)
    return "%s %04d-%02d" % (site, month.year, month.month)


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command; its exit status."""
    return run_command(SummariserCommand(), argv)
