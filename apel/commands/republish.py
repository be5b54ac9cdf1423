"""The options of `apelclient republish`: which periods, of what, and what must not be given together."""

import argparse
from typing import List, Tuple

from apel import times
from apel.client import republish
from apel.client.differences import differences, read_document
from apel.client.republish import JOBS, SUMMARIES, Request, periods_of
from apel.commands.apelsummariser import month
from apel.db import Database
from apelcommon.config import Settings
from apelcommon.errors import ConfigError, ServiceError

ACTION = "republish"
WHEN = ("months", "first_day", "differences")
NARROWING = ("last_day", "ce", "vo", "jobs", "summaries", "force")
#: Options of an ordinary run, which make no sense here.
OTHERS = ("daemon", "check_config", "rejoin", "all")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the action and its options."""
    parser.add_argument(
        "action", nargs="?", choices=[ACTION], help="publish again what the options below choose, instead"
    )
    group = parser.add_argument_group("republish", "which period to publish again, and what of it")
    when = group.add_mutually_exclusive_group()
    when.add_argument(
        "--month",
        dest="months",
        metavar="YYYY-MM",
        action="append",
        type=month,
        help="this month; may be repeated",
    )
    when.add_argument(
        "--from", dest="first_day", metavar="YYYY-MM-DD", type=day, help="from this day on, UTC (see --to)"
    )
    when.add_argument(
        "--differences",
        metavar="FILE|URL",
        help="the months of which the centre lacks jobs, as the JSON of apelpubsync says",
    )
    group.add_argument(
        "--to",
        dest="last_day",
        metavar="YYYY-MM-DD",
        type=day,
        help="with --from: to this day (default: today)",
    )
    group.add_argument("--ce", metavar="NAME", default="", help="only this submit host")
    group.add_argument("--vo", metavar="NAME", default="", help="only this VO")
    what = group.add_mutually_exclusive_group()
    what.add_argument(
        "--jobs", action="store_true", help="jobs (default: what [unloader] send_summaries says)"
    )
    what.add_argument("--summaries", action="store_true", help="monthly sums, of whole months")
    group.add_argument(
        "--force", action="store_true", help="send jobs or sums although [unloader] sends the other kind"
    )


def check_arguments(args: argparse.Namespace) -> None:
    """Raises ConfigError for options that don't go together."""
    given = [name for name in WHEN + NARROWING if getattr(args, name)]
    if args.action is None:
        if given:
            raise ConfigError("%s goes with `apelclient republish` only." % _option(given[0]))
        return
    if not any(name in WHEN for name in given):
        raise ConfigError("republish needs --month, --from or --differences.")
    if args.last_day and not args.first_day:
        raise ConfigError("--to needs --from.")
    if args.last_day and args.last_day < args.first_day:
        raise ConfigError("--to %s is before --from %s." % (args.last_day, args.first_day))
    for name in OTHERS:
        if getattr(args, name):
            raise ConfigError("%s does not go with republish." % _option(name))


def _option(name: str) -> str:
    names = {"months": "month", "first_day": "from", "last_day": "to"}
    return "--" + names.get(name, name).replace("_", "-")


def request(args: argparse.Namespace, settings: Settings, db: Database) -> Tuple[Request, List[str]]:
    """What to publish again, and lines about what is not. Raises ConfigError, ServiceError, Transient."""
    view = _view(args, settings)
    republish.check_ce(db, args.ce)
    if args.first_day:
        last = args.last_day or times.utc_text(times.now())[:10]
        return Request([(args.first_day, last)], view, args.ce, args.vo), []
    months, notes = set(args.months or ()), []
    if args.differences:
        document = read_document(args.differences)
        found = differences(document, republish.known_sites(db), times.now(), view == SUMMARIES)
        months, notes = found.months, found.left
    # A dry run shows each month by itself.
    return Request(periods_of(months, joined=not args.dry_run), view, args.ce, args.vo), notes


def _view(args: argparse.Namespace, settings: Settings) -> str:
    usual = SUMMARIES if settings.unloader.send_summaries else JOBS
    wanted = JOBS if args.jobs else SUMMARIES if args.summaries else usual
    if wanted != usual and not args.force:
        raise ServiceError(
            "[unloader] send_summaries is %s: this site sends %s, and if the centre has both of the same jobs"
            " it counts them twice. If it has none of the usual kind for this period, use --force."
            % (("true", "monthly sums") if usual == SUMMARIES else ("false", "jobs"))
        )
    return wanted


def day(text: str) -> str:
    """A day. Raises ArgumentTypeError."""
    try:
        times.epoch_from_text(text + " 00:00:00")
    except ValueError:
        raise argparse.ArgumentTypeError("%r is no day like 2026-10-31" % text) from None
    return text
