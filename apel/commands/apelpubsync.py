"""Builds the pages of publishing and synchronisation, prints their figures, and answers Nagios."""

import argparse
import logging
import os
import sys
import threading
from typing import List, Optional

from apel import __version__, times
from apel.commands import checking
from apel.commands.server_config import DB_TABLE, add_db_argument, read_both
from apel.db import open_database
from apel.pubsync import documents, nagios
from apel.pubsync.documents import Build
from apel.pubsync.figures import read_figures
from apel.pubsync.gauges import set_gauges, set_part_gauges
from apel.pubsync.model import Site, judge
from apel.pubsync.options import TABLE, kinds, thresholds
from apel.pubsync.publish import Publisher
from apel.pubsync.records import KINDS, Kind, Part, publication_of, read_parts
from apel.pubsync.serve import Server
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.config import Settings
from apelcommon.daemon import stop_signals
from apelcommon.errors import EXIT_DONE, ConfigError, ServiceError
from apelcommon.files import Lock
from apelcommon.metrics import Metrics

log = logging.getLogger("pubsync")

DEFAULT_PORT = 8000


class PubSyncCommand(Command):
    """The command apelpubsync."""

    name = "apelpubsync"
    has_probe = True
    version_text = "APEL pubsync %s" % __version__
    description = (
        "Build pages, JSON and CSV that show of each site how old its newest job is, and whether the centre\n"
        "has all that the site has; or print the figures; or answer Nagios."
    )
    example = "apelpubsync -d /etc/apel/db.cfg --check pub --site EXAMPLE-SITE"
    table = TABLE
    default_config = "/etc/apel/pubsync.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        add_db_argument(parser)
        parser.add_argument("--site", metavar="NAME", help="with --json, --csv, --check: only this site")
        parser.add_argument("--submit-host", metavar="NAME", help="with --check pub: only this submit host")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--json", action="store_true", help="print JSON instead of building pages")
        how.add_argument("--csv", choices=("pub", "sync", *KINDS), help="print one of the tables as CSV")
        how.add_argument(
            "--check",
            choices=("pub", "sync", *KINDS),
            help="answer as a Nagios probe: 0 OK, 1 WARNING, 2 ERROR, 3 UNKNOWN (needs --site)",
        )
        how.add_argument(
            "--serve",
            nargs="?",
            type=int,
            const=DEFAULT_PORT,
            metavar="PORT",
            help="build the pages, then show them at http://127.0.0.1:PORT/publishing/ (default: %d)"
            % DEFAULT_PORT,
        )
        checking.add_check_argument(how)

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""
        if args.check:
            return _answer(args)
        settings, db_settings = read_both(TABLE, args.config, args.db)
        _check_arguments(args)
        if args.check_config:
            return _check(settings, db_settings)
        now = times.now()
        if args.csv in KINDS:
            parts = _parts(settings, KINDS[args.csv], now, args.site)
            sys.stdout.write(documents.records_csv(parts))
            return EXIT_DONE
        if args.json or args.csv:
            sys.stdout.write(_printed(args, settings, _sites(db_settings, settings, now, args.site), now))
            return EXIT_DONE
        self.start_log(settings, args)
        _build(settings, db_settings, now)
        if args.serve is not None:
            _serve(settings.pubsync.dir, args.serve)
        return EXIT_DONE


def _check_arguments(args: argparse.Namespace) -> None:
    """Raises ConfigError for options that would do nothing."""
    if args.site is not None and not (args.json or args.csv):
        raise ConfigError("--site needs --json, --csv or --check: pages are always those of all sites.")
    if args.submit_host is not None:
        raise ConfigError("--submit-host needs --check pub.")


def _check(settings: Settings, db_settings: Settings) -> int:
    checks = checking.database(db_settings.db, "server")
    read = [settings, db_settings]
    for name in kinds(settings):
        others = DB_TABLE.read(getattr(settings.pubsync, name + "_db"))
        checks += checking.database(others.db, KINDS[name].schema)
        read.append(others)
    return checking.say(read, checks)


def _sites(db_settings: Settings, settings: Settings, now: int, only: Optional[str] = None) -> List[Site]:
    judged_by = thresholds(settings)
    limit = times.utc_text(int(now + judged_by.clock_hours * 3600))
    db = open_database(db_settings.db, schema="server")
    try:
        return judge(read_figures(db, limit, only), now, judged_by)
    finally:
        db.close()


def _parts(settings: Settings, kind: Kind, now: int, only: Optional[str] = None) -> List[Part]:
    path = getattr(settings.pubsync, kind.name + "_db")
    if not path:
        raise ConfigError("%s: [pubsync] %s_db is empty" % (settings.path, kind.name))
    db = open_database(DB_TABLE.read(path).db, schema=kind.schema)
    try:
        return read_parts(db, kind, now, thresholds(settings), only)
    finally:
        db.close()


def _printed(args: argparse.Namespace, settings: Settings, sites: List[Site], now: int) -> str:
    if args.site is not None and not sites:
        raise ServiceError("The centre knows no site %s; names are compared letter by letter." % args.site)
    if args.csv:
        return documents.publication_csv(sites) if args.csv == "pub" else documents.sync_csv(sites)
    build = Build(now, thresholds(settings), settings.pubsync.url)
    if args.site is not None:
        return documents.as_json(documents.site_document(sites[0], build))
    return documents.as_json(documents.overview(sites, build))


def _answer(args: argparse.Namespace) -> int:
    """Print what a probe prints; its exit code. Whatever goes wrong is UNKNOWN: 2 would be an alarm."""
    try:
        answer = _checked(args)
    except ServiceError as err:
        answer = nagios.unknown(" ".join(str(err).split()))
    except Exception as err:  # the outermost edge of a probe: 1 would be a warning about the site
        log.critical("Unhandled exception raised!", exc_info=True)
        answer = nagios.unknown("internal error: %s: %s" % (type(err).__name__, err))
    print(answer.text)
    return answer.code


def _checked(args: argparse.Namespace) -> nagios.Answer:
    if args.site is None:
        raise ConfigError("--check needs --site")
    if args.submit_host is not None and args.check != "pub":
        raise ConfigError("--submit-host needs --check pub")
    settings, db_settings = read_both(TABLE, args.config, args.db)
    now = times.now()
    if args.check in KINDS:
        parts = _parts(settings, KINDS[args.check], now, args.site)
        if not parts:
            return nagios.unknown("the centre knows no such site")
        return nagios.answer(publication_of(parts, now, thresholds(settings)), thresholds(settings))
    found = _sites(db_settings, settings, now, args.site)
    site = found[0] if found else None
    if args.check == "sync":
        return nagios.check_sync(site)
    return nagios.check_publication(site, thresholds(settings), args.submit_host)


def _build(settings: Settings, db_settings: Settings, now: int) -> None:
    metrics = Metrics(settings.metrics.textfile, "apelpubsync")
    done = False
    try:
        folder = settings.pubsync.dir
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as err:
            raise ServiceError("The folder %s can't be made: %s" % (folder, err.strerror)) from err
        with Lock(os.path.join(folder, ".apelpubsync.lock"), "apelpubsync"):
            sites = _sites(db_settings, settings, now)
            parts = {kind: _parts(settings, KINDS[kind], now) for kind in kinds(settings)}
            build = Build(now, thresholds(settings), settings.pubsync.url, tuple(parts))
            written = Publisher(folder, build, settings.pubsync.month_pages).publish(sites, parts)
        set_gauges(metrics, sites)
        for kind, found in parts.items():
            set_part_gauges(metrics, KINDS[kind], found)
        log.info(
            "Pages of %d sites are up to date: %d files written, %d unchanged, %d removed",
            len(sites),
            *written,
        )
        done = True
    finally:
        metrics.ended(done)


def _serve(folder: str, port: int) -> None:
    """Show the pages until SIGINT or SIGTERM."""
    try:
        server = Server(os.path.abspath(folder), port)
    except OSError as err:
        raise ServiceError("Port %d can't be used: %s" % (port, err.strerror)) from err
    with stop_signals() as stop:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        print("The pages are at %s (end with Ctrl-C)" % server.url, flush=True)
        while not stop.wait(3600):
            pass
        server.shutdown()
        thread.join()
    server.server_close()


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command; its exit status."""
    return run_command(PubSyncCommand(), argv)
