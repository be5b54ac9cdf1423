"""apelparser: read the new lines of batch system and BLAH logs into the site database."""

import argparse
import io
import json
import logging
import sys
from typing import Any, Iterator, List, Optional, Type

from apel.commands import checking
from apel.db import open_database
from apel.ingest import DatabaseLedger, DryRun, Ledger, ParseReport, Source, replay, run
from apel.ingest.explain import explain, shown_line, shown_lines
from apel.ingest.figures import set_figures
from apel.ingest.options import TABLE
from apel.ingest.qhost import HostFactors, host_factors
from apel.ingest.status import status
from apel.logfiles import Choice
from apel.parsers import BATCH_PARSERS, BlahParser, LsfParser, Parser, ParserOptions, SGEParser
from apel.runs import note_run
from apelcommon import __version__, checks
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.config import Settings
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, ConfigError
from apelcommon.files import Lock
from apelcommon.files import lock_path as usual_lock
from apelcommon.metrics import Metrics

log = logging.getLogger("parser")

BREAK = "=" * 40
#: So many files that can't be read are named on standard error, for cron's mail.
MOST_TOLD = 10


class ParserCommand(Command):
    """Parse once, as from cron."""

    name = "apelparser"
    version_text = "APEL parser %s" % __version__
    description = (
        "Read what is new in the logs of the batch system and of BLAH, and store it in the site database.\n"
        "Exit status: 0 done, 1 a file could not be read, 2 configuration, 75 database trouble (try again)."
    )
    example = "apelparser -c /etc/apel/parser.cfg"
    table = TABLE
    default_config = "/etc/apel/parser.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        what = parser.add_mutually_exclusive_group()
        checking.add_check_argument(what)
        what.add_argument(
            "--dry-run",
            action="store_true",
            help="read all logs from their beginning and say what is in them; store nothing, ask no database",
        )
        what.add_argument(
            "--explain",
            metavar="FILE:LINE",
            help="say what a line becomes, and why; - for lines from standard input; ask no database",
        )
        what.add_argument(
            "--status",
            action="store_true",
            help="list the logs, how far they have been read, and the rejected lines that are kept",
        )
        what.add_argument(
            "--replay-rejects",
            action="store_true",
            help="try all rejected lines that are kept again, and read no log",
        )
        parser.add_argument("--json", action="store_true", help="with --status: print JSON")

    def run(self, args: argparse.Namespace) -> int:
        """Parse; 1 if a file or folder could not be read."""
        if args.json and not args.status:
            raise ConfigError("--json goes with --status only")
        if args.check_config:
            return _check(TABLE.read(args.config))
        if args.explain is not None:
            return _explain(TABLE.read(args.config), args.explain)
        if args.status:
            return _status(TABLE.read(args.config), args.json)
        settings = self.settings(args)
        log.info("Starting apel parser version %s", __version__)
        if args.dry_run:
            status = _finish(_parse(settings, DryRun()), show=not settings.logging.console)
            print("This was a dry run: nothing has been stored.")
            return status
        with Lock(lock_path(settings), self.name):
            reports = _parse_into_database(settings, replay if args.replay_rejects else run)
        return _finish(reports, show=args.replay_rejects and not settings.logging.console)


def _check(settings: Settings) -> int:
    found = checking.database(settings.db, "client")
    for name in ("blah", "batch"):
        section = settings.section(name)
        if section.enabled:
            found.append(checks.readable("logs of [%s]" % name, section.dir))
    if settings.parser.identity_map is not None:
        found += checking.rules_read(settings.parser.identity_map)
    return checking.say([settings], found)


def _explain(settings: Settings, place: str) -> int:
    parsers = [source.parser for source in _sources(settings)]
    shown = shown_lines(_standard_input()) if place == "-" else iter([shown_line(place)])
    for line in shown:
        print("\n".join(explain(line, parsers)))
    return EXIT_DONE


def _standard_input() -> Iterator[str]:
    """The lines of standard input, with whatever bytes."""
    for line in io.TextIOWrapper(sys.stdin.buffer, "utf-8", "backslashreplace", newline="\n"):
        yield line.rstrip("\r\n")


def _status(settings: Settings, as_json: bool) -> int:
    db = open_database(settings.db, schema="client")
    try:
        found = status(_sources(settings, scaled=False), db, settings.site_info.lrms_server)
    finally:
        db.close()
    print(json.dumps(found.as_json(), indent=2) if as_json else "\n".join(found.as_text()))
    return EXIT_DONE


def _parse_into_database(settings: Settings, work: Any) -> List[ParseReport]:
    """Parse, and remember when and how the run ended: in the database and among the figures."""
    host = settings.site_info.lrms_server
    metrics = Metrics(settings.metrics.textfile, "apelparser", lrms_server=host)
    db = open_database(settings.db, schema="client")
    well = False
    try:
        reports = _parse(settings, DatabaseLedger(db, host), work)
        well = not any(report.failed for report in reports)
        set_figures(metrics, reports)
        return reports
    finally:
        note_run(db, "apelparser", well, host)
        db.close()
        metrics.ended(well)


def _parse(settings: Settings, ledger: Ledger, work: Any = run) -> List[ParseReport]:
    return list(work(_sources(settings), ledger, settings.site_info.lrms_server))


def _sources(settings: Settings, scaled: bool = True) -> List[Source]:
    """What is enabled; BLAH first, so that a grid job is known for one as soon as it is there.

    scaled: whether Grid Engine is asked for its hosts' factors.
    """
    sources = []
    if settings.blah.enabled:
        sources.append(_source("blah", settings.blah, BlahParser, settings))
    if settings.batch.enabled:
        parser = BATCH_PARSERS[settings.batch.type]
        factors = host_factors(settings.batch.qhost_file) if scaled and parser is SGEParser else None
        if parser is LsfParser and settings.batch.scale_host_factor is None:
            log.warning("[batch] scale_host_factor is absent: times of LSF are not scaled; say true or false")
        sources.append(_source("batch", settings.batch, parser, settings, factors))
    return sources


def _source(
    name: str, section: Any, parser: Type[Parser], settings: Settings, factors: Optional[HostFactors] = None
) -> Source:
    options = ParserOptions(
        site=settings.site_info.site_name,
        machine_name=settings.site_info.lrms_server,
        parallel=settings.batch.parallel,
        scale_host_factor=bool(settings.batch.scale_host_factor),
        ge_ms_timestamps=settings.batch.ge_ms_timestamps,
        identity_map=settings.parser.identity_map,
        host_factors=factors,
    )
    prefix, pattern = section.filename_prefix, section.filename_pattern
    if prefix is None and pattern is None:
        log.warning(
            "[%s] has neither filename_prefix nor filename_pattern: all files in %s are read",
            name,
            section.dir,
        )
    elif prefix is not None and pattern is not None:
        log.warning("[%s] filename_pattern is not heeded, since filename_prefix is given", name)
    choice = Choice(section.dir, section.subdirs, prefix, pattern)
    return Source(name, choice, parser(options), section.reparse)


def _finish(reports: List[ParseReport], show: bool) -> int:
    for report in reports:
        log.info(BREAK)
        for line in report.summary():
            log.info("%s", line)
            if show:
                print(line)
    log.info(BREAK)
    failed = [problem for report in reports for problem in report.failed_files]
    for problem in failed[:MOST_TOLD]:
        print("apelparser: %s; the next run tries again" % problem, file=sys.stderr)
    if failed[MOST_TOLD:]:
        print("apelparser: and %d more, in the log" % len(failed[MOST_TOLD:]), file=sys.stderr)
    return EXIT_FAILED if failed else EXIT_DONE


def lock_path(settings: Settings) -> str:
    """[parser] lockfile; or the usual one for each user, batch system and database."""
    if settings.parser.lockfile:
        return str(settings.parser.lockfile)
    return usual_lock("apelparser", settings.site_info.lrms_server, settings.db.name, *settings.db.hostname)


def main(argv: Optional[List[str]] = None) -> int:
    """Run apelparser; its exit status."""
    return run_command(ParserCommand(), argv)
