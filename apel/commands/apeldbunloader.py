"""Runs the unloader of the centre: writes what is new in the central database as messages for others."""

import argparse
import logging
import os
from typing import List, Optional

from apel import __version__, times
from apel.commands import checking
from apel.commands.apelsummariser import month
from apel.commands.server_config import add_db_argument, open_any, read_both
from apel.commands.spool import OUTGOING, outgoing
from apel.db import Database
from apel.db.lookups import known_site
from apel.server.options import UNLOADER, receiver, selection
from apel.server.views import CENTRE_VIEWS
from apel.unloader import Unloaded, Unloader
from apel.views import Selection, View
from apelcommon import checks
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.config import Settings
from apelcommon.daemon import run_steps, stop_signals
from apelcommon.errors import EXIT_DONE, ConfigError, ServiceError, Transient
from apelcommon.files import Lock, lock_path
from apelcommon.metrics import Metrics

log = logging.getLogger("dbunloader")

ACTION = "republish"


class UnloaderCommand(Command):
    """The command apeldbunloader."""

    name = "apeldbunloader"
    version_text = "Starting APEL dbunloader %s" % __version__
    description = (
        "Write what is new in the central database as messages into the queue `outgoing`, for ssmsend to\n"
        "send. Without --daemon it runs once, as from cron. `republish` writes chosen rows once more."
    )
    example = "apeldbunloader republish --site EXAMPLE-SITE --month 2026-10"
    table = UNLOADER
    default_config = "/etc/apel/unloader.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        add_db_argument(parser)
        parser.add_argument(
            "action", nargs="?", choices=[ACTION], help="write what the options below choose once more"
        )
        group = parser.add_argument_group("republish", "what is written once more; at least one of them")
        group.add_argument("--site", metavar="NAME", default="", help="only of this site")
        group.add_argument("--month", metavar="YYYY-MM", type=month, help="only of this month")
        group.add_argument("--vo", metavar="NAME", default="", help="only of this VO")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--once", action="store_true", help="run once (the default)")
        how.add_argument(
            "--daemon", action="store_true", help="run every run_interval seconds, in the foreground"
        )
        checking.add_check_argument(how)

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""
        _check_arguments(args)
        settings, db_settings = read_both(UNLOADER, args.config, args.db)
        if args.check_config:
            view = CENTRE_VIEWS[settings.unloader.table_name]
            spool = checks.writable("spool", os.path.join(settings.unloader.dir_location, OUTGOING))
            found = checking.database(db_settings.db, view.schema)
            return checking.say([settings, db_settings], [*found, spool])
        self.start_log(settings, args)
        place = lock_path(self.name, receiver(settings).watermark, db_settings.db.name)
        with Lock(place, self.name):
            if args.daemon:
                return _Daemon(self, args, settings, db_settings).run()
            with stop_signals():
                return run_once(settings, db_settings, args)


def _check_arguments(args: argparse.Namespace) -> None:
    given = [name for name in ("site", "month", "vo") if getattr(args, name)]
    if args.action is None and given:
        raise ConfigError("--%s goes with `apeldbunloader republish` only." % given[0])
    if args.action is not None and not given:
        raise ConfigError("republish needs --site, --month or --vo.")
    if args.action is not None and args.daemon:
        raise ConfigError("republish is done once; it doesn't go with --daemon.")


class _Daemon:
    """Runs again and again. What one run fails at is said, and tried again by the next."""

    def __init__(
        self, command: UnloaderCommand, args: argparse.Namespace, settings: Settings, db_settings: Settings
    ) -> None:
        self.command = command
        self.args = args
        self.settings = settings
        self.db_settings = db_settings
        self._reload = False

    def run(self) -> int:
        """Work until asked to stop."""
        with stop_signals(self._on_hangup) as stop:
            run_steps(self.step, self.settings.unloader.run_interval, stop)
        log.info("apeldbunloader has ended.")
        return EXIT_DONE

    def _on_hangup(self) -> None:
        self._reload = True

    def step(self) -> None:
        """One run, by the configuration files as they are if they are to be read again."""
        if self._reload:
            self._reload = False
            self._read_again()
        try:
            run_once(self.settings, self.db_settings, self.args)
        except Transient:
            raise
        except ServiceError as err:
            log.error("%s", err)

    def _read_again(self) -> None:
        before = self.settings.unloader.run_interval
        try:
            self.settings, self.db_settings = read_both(UNLOADER, self.args.config, self.args.db)
        except ConfigError as err:
            for problem in err.problems:
                log.error("%s", problem)
            log.error("The configuration files have errors; what was in force stays.")
            return
        self.command.start_log(self.settings, self.args)
        log.info("The configuration files were read again.")
        if self.settings.unloader.run_interval != before:
            log.warning("A new run_interval is taken up when the unloader is started again.")


def run_once(settings: Settings, db_settings: Settings, args: argparse.Namespace) -> int:
    """One run; the exit status."""
    metrics = Metrics(settings.metrics.textfile, "apeldbunloader")
    db = open_any(db_settings.db)
    success = False
    try:
        done = _unload(db, settings, args)
        metrics.counter("apel_unloader_records_total", "Records that were unloaded.").add(done.records)
        metrics.counter("apel_unloader_messages_total", "Messages they are in.").add(done.messages)
        if done.invalid:
            raise ServiceError("%d records are invalid and were not sent; the log names them." % done.invalid)
        success = True
    finally:
        db.close()
        metrics.ended(success)
    return EXIT_DONE


def _unload(db: Database, settings: Settings, args: argparse.Namespace) -> Unloaded:
    options = settings.unloader
    view = CENTRE_VIEWS[options.table_name]
    if not db.has(view.schema):
        raise ConfigError(
            "%s: this database has no %s tables; check [db] name and type."
            % (options.table_name, view.schema)
        )
    chosen = _narrowed(selection(settings), view, args)
    if chosen.site:
        known_site(db, chosen.site)
    queue, size = outgoing(options.dir_location), options.records_per_message
    unloader = Unloader(db, queue, chosen, size, CENTRE_VIEWS, receiver(settings))
    done = unloader.resend(options.table_name) if args.action else unloader.unload(options.table_name)
    log.info("%d messages with %d records were written.", done.messages, done.records)
    return done


def _narrowed(chosen: Selection, view: View, args: argparse.Namespace) -> Selection:
    """What republish asks for; or as it was."""
    if args.action is None:
        return chosen
    chosen = chosen._replace(interval="all", site=args.site)
    if args.vo:
        if not view.vos:
            raise ConfigError("--vo: %s is not chosen by VO." % view.source)
        if chosen.include_vos and args.vo.lower() not in [name.lower() for name in chosen.include_vos]:
            raise ConfigError("--vo %s is not among [unloader] include_vos." % args.vo)
        chosen = chosen._replace(include_vos=[args.vo])
    if args.month:
        first, following = times.month_bounds(*args.month)
        days = [times.utc_text(time)[:10] for time in (first, following - 1)]
        chosen = chosen._replace(interval="gap", gap=(days[0], days[1]))
    return chosen


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command; its exit status."""
    return run_command(UnloaderCommand(), argv)
