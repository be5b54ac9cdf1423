"""Builds the pages of publishing and synchronisation, prints their figures, and answers Nagios."""

import argparse
import logging
import os
import sys
import threading
from typing import Iterator, List, Optional, Tuple

from apel import __version__, times
from apel.commands import checking
from apel.commands.server_config import DB_TABLE, add_db_argument, read_both
from apel.db import open_database
from apel.pubsync import documents, nagios
from apel.pubsync.documents import Build
from apel.pubsync.figures import read_figures
from apel.pubsync.gauges import set_gauges, set_part_gauges
from apel.pubsync.model import Site, Thresholds, judge
from apel.pubsync.publish import Publisher
from apel.pubsync.records import KINDS, Kind, Part, publication_of, read_parts
from apel.pubsync.serve import Server
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.config import LOGGING, Option, OptionTable, Settings
from apelcommon.daemon import stop_signals
from apelcommon.errors import EXIT_DONE, ConfigError, ServiceError
from apelcommon.files import Lock
from apelcommon.metrics import METRICS, Metrics

log = logging.getLogger("pubsync")

USUAL = Thresholds()
DEFAULT_PORT = 8000


def problems(settings: Settings) -> Iterator[str]:
    """What is wrong with options together."""
    given = settings.pubsync
    for name in ("warning_days", "error_days", "difference_percent", "sync_months"):
        value = getattr(given, name)
        if value is not None and value <= 0:
            yield "[pubsync] %s must be more than 0" % name
    for name in ("clock_hours", "month_pages"):
        value = getattr(given, name)
        if value is not None and value < 0:
            yield "[pubsync] %s must not be negative" % name
    if given.warning_days and given.error_days and given.error_days < given.warning_days:
        yield "[pubsync] error_days is less than warning_days"


TABLE = OptionTable(
    "apelpubsync",
    [
        Option(
            "pubsync",
            "dir",
            "path",
            "/var/lib/apel/pubsync",
            "Where the pages are written, in a folder `publishing` below it that holds nothing else.",
        ),
        Option(
            "pubsync",
            "url",
            "text",
            "",
            "Where that folder's parent is published, so that advice can name the pages' addresses. Empty: it"
            " doesn't.",
            sample="https://accounting.example.org",
        ),
        Option(
            "pubsync",
            "cloud_db",
            "path",
            "",
            "The file with the [db] section of the database of cloud records; that of jobs, if it holds both."
            " Empty: nothing is said of clouds.",
            sample="/etc/apel/cloud-db.cfg",
        ),
        Option(
            "pubsync",
            "storage_db",
            "path",
            "",
            "The same of storage records.",
            sample="/etc/apel/storage-db.cfg",
        ),
        Option(
            "pubsync",
            "accelerator_db",
            "path",
            "",
            "The same of accelerators (GPUs and the like).",
            sample="/etc/apel/accelerator-db.cfg",
        ),
        Option(
            "pubsync",
            "ip_db",
            "path",
            "",
            "The same of public IP addresses.",
            sample="/etc/apel/ip-db.cfg",
        ),
        Option(
            "pubsync",
            "warning_days",
            "number",
            USUAL.warning_days,
            "WARNING when the newest job of a site ended more days ago than this.",
        ),
        Option(
            "pubsync", "error_days", "number", USUAL.error_days, "ERROR when it did more days ago than this."
        ),
        Option(
            "pubsync",
            "difference_percent",
            "number",
            USUAL.difference_percent,
            "ERROR when the numbers of jobs at a site and at the centre differ so much or more in a month.",
        ),
        Option(
            "pubsync",
            "sync_months",
            "integer",
            USUAL.sync_months,
            "How many months, this one included, count in a site's status. Older ones are only shown.",
        ),
        Option(
            "pubsync",
            "clock_hours",
            "number",
            USUAL.clock_hours,
            "A job that ends later than so many hours from now comes from a wrong clock.",
        ),
        Option(
            "pubsync",
            "month_pages",
            "integer",
            36,
            "How many of a site's newest months have pages of their own, by submit host.",
        ),
        *METRICS,
        *LOGGING("/var/log/apel/pubsync.log"),
    ],
    introduction="Configuration of apelpubsync, which shows how well sites publish.",
    check=problems,
)


class PubSyncCommand(Command):
    """The command apelpubsync."""

    name = "apelpubsync"
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
    for name in _kinds(settings):
        others = DB_TABLE.read(getattr(settings.pubsync, name + "_db"))
        checks += checking.database(others.db, KINDS[name].schema)
        read.append(others)
    return checking.say(read, checks)


def _sites(db_settings: Settings, settings: Settings, now: int, only: Optional[str] = None) -> List[Site]:
    thresholds = _thresholds(settings)
    limit = times.utc_text(int(now + thresholds.clock_hours * 3600))
    db = open_database(db_settings.db, schema="server")
    try:
        return judge(read_figures(db, limit, only), now, thresholds)
    finally:
        db.close()


def _parts(settings: Settings, kind: Kind, now: int, only: Optional[str] = None) -> List[Part]:
    path = getattr(settings.pubsync, kind.name + "_db")
    if not path:
        raise ConfigError("%s: [pubsync] %s_db is empty" % (settings.path, kind.name))
    db = open_database(DB_TABLE.read(path).db, schema=kind.schema)
    try:
        return read_parts(db, kind, now, _thresholds(settings), only)
    finally:
        db.close()


def _kinds(settings: Settings) -> Tuple[str, ...]:
    return tuple(kind for kind in KINDS if getattr(settings.pubsync, kind + "_db"))


def _thresholds(settings: Settings) -> Thresholds:
    return Thresholds(*(getattr(settings.pubsync, name) for name in Thresholds._fields))


def _printed(args: argparse.Namespace, settings: Settings, sites: List[Site], now: int) -> str:
    if args.site is not None and not sites:
        raise ServiceError("The centre knows no site %s; names are compared letter by letter." % args.site)
    if args.csv:
        return documents.publication_csv(sites) if args.csv == "pub" else documents.sync_csv(sites)
    build = Build(now, _thresholds(settings), settings.pubsync.url)
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
        return nagios.answer(publication_of(parts, now, _thresholds(settings)), _thresholds(settings))
    found = _sites(db_settings, settings, now, args.site)
    site = found[0] if found else None
    if args.check == "sync":
        return nagios.check_sync(site)
    return nagios.check_publication(site, _thresholds(settings), args.submit_host)


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
            parts = {kind: _parts(settings, KINDS[kind], now) for kind in _kinds(settings)}
            build = Build(now, _thresholds(settings), settings.pubsync.url, tuple(parts))
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
    command = PubSyncCommand()
    words = sys.argv[1:] if argv is None else argv
    if any(word.partition("=")[0] == "--check" for word in words):
        command.usage_status = nagios.unknown("").code
    return run_command(command, words)
