"""`apeldb archive`, `purge` and `reopen`: what is done with job records of long ago."""

import argparse
import logging
import os
import sys
from functools import partial
from typing import Any, Dict, Iterable, Optional, Tuple

from apel import times
from apel.commands.apelsummariser import month
from apel.db import Database, open_database
from apel.db.lookups import known_site
from apel.server.archive import RuleBroken, contents, file_name, write_archive
from apel.server.closed import CLOSED, PURGED, states
from apel.server.retention import Guard, Purged, Retention, reopen
from apel.summaries import SiteMonth
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, ConfigError, Permanent
from apelcommon.files import Lock, lock_path

ACTIONS = ("archive", "purge", "reopen")
#: Option -> the actions that have it.
OPTIONS = {
    "older_than": ("archive", "purge"),
    "site": ACTIONS,
    "month": ("reopen",),
    "output": ("archive",),
    "archived": ("purge",),
    "not_unloaded": ("purge",),
}
NEEDED = {"archive": ("older_than", "output"), "purge": ("older_than",), "reopen": ("site", "month")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what goes with these actions only."""
    parser.add_argument(
        "--older-than",
        type=_months,
        metavar="MONTHS",
        help="with archive, purge: job records of months that ended at least so many months ago",
    )
    parser.add_argument("--site", metavar="NAME", help="with archive, purge, reopen: only this site's")
    parser.add_argument("--month", type=month, metavar="YYYY-MM", help="with reopen: the month")
    parser.add_argument(
        "--output", metavar="DIR", help="with archive: where the files go, one a site and month"
    )
    parser.add_argument(
        "--archived", metavar="DIR", help="with purge: only what has a complete file of archive there"
    )
    parser.add_argument(
        "--not-unloaded",
        action="store_true",
        help="with purge: nothing has to be unloaded from this database",
    )


def refuse_elsewhere(args: argparse.Namespace) -> None:
    """Raise ConfigError for options that the action doesn't have, and for those that it lacks."""
    wrong = [
        "--%s goes with %s only" % (name.replace("_", "-"), ", ".join(actions))
        for name, actions in OPTIONS.items()
        if getattr(args, name) and args.action not in actions
    ]
    wrong += [
        "%s needs --%s" % (args.action, name.replace("_", "-"))
        for name in NEEDED.get(args.action, ())
        if not getattr(args, name)
    ]
    if args.dry_run and args.action == "reopen":
        wrong.append("reopen has no --dry-run")
    if wrong:
        raise ConfigError(wrong)


def run(settings: Any, schema: str, args: argparse.Namespace) -> int:
    """Do what the arguments say; the exit status."""
    if schema != "server":
        raise ConfigError(
            "%s is about the centre's job records: give --schema server if they are in this database."
            % args.action
        )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    with open_database(settings, schema) as db, Lock(
        lock_path("apeldb", str(db.backend), "retention"), "apeldb %s" % args.action
    ):
        # Behind another connection a site's id may be another site's.
        return db.on_one_connection(partial(_work, db, args))


def _work(db: Database, args: argparse.Namespace) -> int:
    names: Dict[int, str] = dict(db.run(lambda tx: tx.rows("SELECT id, name FROM Sites")))
    site_id = None if args.site is None else known_site(db, args.site)
    if args.action == "reopen":
        return _reopen(db, SiteMonth(site_id or 0, *args.month), args.site)
    retention = Retention(db, _last(args.older_than), site_id, not args.not_unloaded)
    if args.action == "archive":
        return _archive(retention, names, args)
    return _purge(retention, names, args)


def _last(months: int) -> Tuple[int, int]:
    """The last month that ended at least so many months ago."""
    year, now = times.month_of(times.now())
    index = year * 12 + now - 1 - months - 1
    return index // 12, index % 12 + 1


def _archive(retention: Retention, names: Dict[int, str], args: argparse.Namespace) -> int:
    if not os.path.isdir(args.output):
        raise ConfigError("--output: there is no directory %s." % args.output)
    months = retention.months()
    in_part = {state.month for state in retention.db.run(states) if state.name != CLOSED} & months.keys()
    broken = 0
    for one, jobs in months.items():
        if one in in_part:
            # The file that there is may hold more of them.
            print("%s: not archived: not all of its jobs are here." % _name(names, one))
            continue
        if args.dry_run:
            print("%s: %d jobs would be archived." % (_name(names, one), jobs))
            continue
        try:
            done = write_archive(retention.db, one, names[one.site_id], args.output)
        except RuleBroken as err:
            broken += 1
            print(err, file=sys.stderr)
            continue
        print("%s: %d jobs in %s." % (_name(names, one), done.records, file_name(names[one.site_id], one)))
    print("%d months of sites." % (len(months) - len(in_part) - broken))
    return EXIT_FAILED if broken else EXIT_DONE


def _purge(retention: Retention, names: Dict[int, str], args: argparse.Namespace) -> int:
    done = retention.run(_guard(retention, args.archived, names), args.dry_run)
    would = "would be " if args.dry_run else ""
    for one, jobs in done.purged.items():
        print("%s: %d jobs %spurged." % (_name(names, one), jobs, would))
    _list(done.closed, names, would + "closed; it is purged by a run an hour or more from now.")
    _list(done.waiting, names, "closed less than an hour ago; it is purged by a later run.")
    for one, reason in done.refused.items():
        print("%s: not purged: %s." % (_name(names, one), reason), file=sys.stderr)
    print(_summary(done))
    return EXIT_FAILED if done.refused else EXIT_DONE


def _summary(done: Purged) -> str:
    counts = (len(done.purged), len(done.closed), len(done.waiting), len(done.refused))
    return "Months of sites: %d purged, %d closed, %d waiting, %d refused." % counts


def _guard(retention: Retention, folder: Optional[str], names: Dict[int, str]) -> Guard:
    """Refuses months without a file in `folder` of all their jobs, as they are now; without it, none."""

    def look(one: SiteMonth, jobs: int) -> Optional[str]:
        if folder is None:
            return None
        try:
            kept = contents(os.path.join(folder, file_name(names[one.site_id], one)))
        except Permanent as err:
            return str(err).rstrip(".")
        if kept.records != jobs:
            return "its archive holds %d jobs, not %d" % (kept.records, jobs)
        newest = retention.newest_job(one)
        if kept.newest < newest:
            changed = times.utc_text(newest)
            return "its archive is from before jobs were changed at %s: archive it again" % changed
        return None

    return look


def _reopen(db: Database, one: SiteMonth, site: str) -> int:
    before = reopen(db, one)
    where = "%s %04d-%02d" % (site, one.year, one.month)
    if before is None:
        print("%s is not closed." % where)
    elif before == PURGED:
        print(
            "%s takes jobs again; its sums stand until as many are back as were purged. Put its archive into "
            "the queue: apelreplay --archive FILE" % where
        )
    else:
        print("%s takes jobs again." % where)
    return EXIT_DONE


def _list(months: Iterable[SiteMonth], names: Dict[int, str], what: str) -> None:
    for one in months:
        print("%s: %s" % (_name(names, one), what))


def _name(names: Dict[int, str], one: SiteMonth) -> str:
    return "%s %04d-%02d" % (names.get(one.site_id, "site with id %d" % one.site_id), one.year, one.month)


def _months(text: str) -> int:
    """A whole number of months, 1 or more. Raises ArgumentTypeError."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("%r is no number of months, 1 or more" % text)
    return int(text)
