"""Runs the client: once, as from cron, or again and again as a daemon."""

import argparse
import logging
import os
from typing import List, Optional

from apel import __version__
from apel.client import republish as again
from apel.client import run as client
from apel.client.figures import add_unloaded, set_figures
from apel.client.join import rejoin_month
from apel.client.options import TABLE
from apel.client.summarise import mark_all
from apel.commands import benchmarking, checking, republish
from apel.commands.apelsummariser import month
from apel.commands.spool import OUTGOING, outgoing
from apel.db import Database, open_database
from apel.runs import note_run
from apel.unloader import Unloaded
from apelcommon import checks
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.config import Settings
from apelcommon.daemon import Stop, run_steps, stop_signals
from apelcommon.errors import EXIT_DONE, ConfigError, ServiceError, Transient
from apelcommon.files import Lock, lock_path
from apelcommon.metrics import Metrics

log = logging.getLogger("client")


class ClientCommand(Command):
    """The command apelclient."""

    name = "apelclient"
    version_text = "APEL client %s" % __version__
    description = (
        "Join the jobs that the parser has stored with their grid records, sum them up by month, write\n"
        "messages for the centre and send them. Without --daemon it runs once, as from cron."
    )
    example = "apelclient -c /etc/apel/client.cfg -s /etc/apel/sender.cfg"
    table = TABLE
    default_config = "/etc/apel/client.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        parser.add_argument(
            "-s",
            "--ssm_config",
            default="/etc/apel/sender.cfg",
            metavar="FILE",
            help="configuration file of the sender (default: %(default)s)",
        )
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--once", action="store_true", help="run once (the default)")
        how.add_argument(
            "--daemon", action="store_true", help="run every [client] interval seconds, in the foreground"
        )
        checking.add_check_argument(how)
        how.add_argument(
            "--dry-run", action="store_true", help="say what there is to do, and change and send nothing"
        )
        how.add_argument(
            "--benchmarks",
            action="store_true",
            help="say which compute element has which benchmark since when, and which jobs wait for one",
        )
        parser.add_argument("--json", action="store_true", help="print JSON, with --benchmarks")
        parser.add_argument(
            "--rejoin",
            metavar="YYYY-MM",
            type=month,
            help="make the jobs that ended in this month again, with the benchmarks of today",
        )
        parser.add_argument(
            "--all", action="store_true", help="sum up all months again, not only changed ones"
        )
        republish.add_arguments(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""
        republish.check_arguments(args)
        if args.json and not args.benchmarks:
            raise ConfigError("--json goes with --benchmarks only.")
        if args.check_config:
            return self._check(args)
        if args.benchmarks:
            return benchmarking.show(TABLE.read(args.config), args.json)
        settings = self.settings(args)
        if settings.ssm.enabled:
            # What is wrong there is better known before anything is done.
            _sender_settings(args.ssm_config)
        if args.action and args.dry_run:
            return _dry_run_again(settings, args)
        if args.dry_run:
            return _dry_run(settings)
        with Lock(_lock_path(settings), self.name):
            if args.daemon:
                return _Daemon(self, args, settings).run()
            with stop_signals() as stop:
                return publish_again(settings, args, stop) if args.action else run_once(settings, args, stop)

    def _check(self, args: argparse.Namespace) -> int:
        settings = TABLE.read(args.config)
        found = checking.database(settings.db, "client")
        if settings.spec_updater.enabled:
            found.append(checking.bdii(settings.spec_updater))
        if settings.joiner.enabled:
            found += checking.benchmarks(settings.db, settings.spec_updater, settings.joiner.local_jobs)
            found += checking.identities(settings.db, settings.joiner.identity_map)
        if settings.unloader.enabled:
            found.append(checks.writable("spool", os.path.join(settings.unloader.dir_location, OUTGOING)))
        if not settings.ssm.enabled:
            return checking.say([settings], found)
        sender = _sender_settings(args.ssm_config)
        return checking.say([settings, sender], [*found, checking.certificate(sender.certificates)])


class _Daemon:
    """Runs again and again. What one run fails at is said, and tried again by the next."""

    def __init__(self, command: ClientCommand, args: argparse.Namespace, settings: Settings) -> None:
        self.command = command
        self.args = args
        self.settings = settings
        self._reload = False

    def run(self) -> int:
        """Work until asked to stop."""
        with stop_signals(self._on_hangup) as stop:
            run_steps(lambda: self._step(stop), self.settings.client.interval, stop)
        log.info("apelclient has ended.")
        return EXIT_DONE

    def _on_hangup(self) -> None:
        self._reload = True

    def _step(self, stop: Stop) -> None:
        if self._reload:
            self._reload = False
            self._read_again()
        try:
            run_once(self.settings, self.args, stop)
        except Transient:
            raise
        except ServiceError as err:
            log.error("%s", err)
        self.args.rejoin, self.args.all = None, False

    def _read_again(self) -> None:
        try:
            self.settings = self.command.settings(self.args)
            log.info("The configuration was read again.")
        except ConfigError as err:
            for problem in err.problems:
                log.error("%s", problem)
            log.error("The configuration has errors; what was in force stays.")


def run_once(settings: Settings, args: argparse.Namespace, stop: Stop) -> int:
    """One run; the exit status. Raises the first error of writing or sending, when all else is done."""
    log.info("Starting apel client version %s.", __version__)
    metrics = Metrics(settings.metrics.textfile, "apelclient")
    db = open_database(settings.db, schema="client")
    well = False
    try:
        with db.alone("apelclient"):
            failures = _noted_run(db, settings, args, stop, metrics)
        well = not failures
    finally:
        db.close()
        metrics.ended(well)
    for err in failures[1:]:
        log.error("%s", err)
    if failures:
        raise failures[0]
    log.info("The client has run.")
    return EXIT_DONE


def _noted_run(
    db: Database, settings: Settings, args: argparse.Namespace, stop: Stop, metrics: Metrics
) -> List[ServiceError]:
    """A run whose end is noted in the database; see _work."""
    well = False
    try:
        failures = _work(db, settings, args, stop, metrics)
        well = not failures
    finally:
        note_run(db, "apelclient", well)
    return failures


def _work(
    db: Database, settings: Settings, args: argparse.Namespace, stop: Stop, metrics: Metrics
) -> List[ServiceError]:
    """What a run does; what went wrong when messages were written or sent."""
    if args.rejoin:
        count = rejoin_month(db, *args.rejoin)
        log.info("%d jobs that ended in %d-%02d are joined again", count, *args.rejoin)
    if args.all:
        mark_all(db)
    done = client.prepare(db, settings, stop)
    failures = [] if stop.is_set() else _hand_over(db, settings, args.ssm_config, stop, metrics)
    set_figures(metrics, done)
    return failures


def _hand_over(
    db: Database, settings: Settings, ssm_config: str, stop: Stop, metrics: Metrics
) -> List[ServiceError]:
    """Write messages and send them. What is in the spool already is sent even if no more can be written."""
    failures: List[ServiceError] = []
    for step in (lambda: _unload(db, settings, metrics), lambda: _send(settings, ssm_config, stop)):
        try:
            step()
        except ServiceError as err:
            failures.append(err)
    return failures


def _unload(db: Database, settings: Settings, metrics: Metrics) -> None:
    if settings.unloader.enabled:
        done = client.unload(db, settings, outgoing(settings.unloader.dir_location))
        add_unloaded(metrics, done)
        _check_invalid(done)


def _check_invalid(done: Unloaded) -> None:
    if done.invalid:
        raise ServiceError("%d records are invalid and were not sent; the log names them." % done.invalid)


def _send(settings: Settings, ssm_config: str, stop: Stop) -> None:
    """Send what is in the queue that sender.cfg names. ssm is imported only where it is to run."""
    if not settings.ssm.enabled:
        return
    from ssm.filequeues import FAILED
    from ssm.sender import send_queue

    sender = _sender_settings(ssm_config)
    try:
        sent = send_queue(sender, stop)
    except ServiceError as err:
        log.error("SSM failed to run.")
        raise err
    if sent.failed:
        raise ServiceError(
            "%d messages can't be sent; the log says why. Some may be in %s: ssmqueue requeue %s --all"
            % (sent.failed, os.path.join(sender.messaging.path, FAILED), sender.messaging.path)
        )


def _sender_settings(path: str) -> Settings:
    from ssm.options import SENDER, check_sender

    settings = SENDER.read(path)
    check_sender(settings)
    return settings


def publish_again(settings: Settings, args: argparse.Namespace, stop: Stop) -> int:
    """`apelclient republish`; the exit status. Nothing that differs is nothing to do, and no failure."""
    db = open_database(settings.db, schema="client")
    try:
        request, notes = republish.request(args, settings, db)
        for note in notes:
            log.info("%s", note)
        if not request.periods:
            log.info("No month is to be published again.")
            return EXIT_DONE
        with db.alone("apelclient"):
            done = again.republish(db, settings, outgoing(settings.unloader.dir_location), request)
    finally:
        db.close()
    metrics = Metrics(settings.metrics.textfile, "apelclient")
    add_unloaded(metrics, done)
    metrics.write()
    log.info("Published again: %d records in %d messages (with sync)", done.records, done.messages)
    _send(settings, args.ssm_config, stop)
    _check_invalid(done)
    return EXIT_DONE


def _dry_run_again(settings: Settings, args: argparse.Namespace) -> int:
    db = open_database(settings.db, schema="client")
    try:
        request, notes = republish.request(args, settings, db)
        for line in notes + again.outlook(db, settings, request):
            print(line)
        if not request.periods:
            print("No month is to be published again.")
    finally:
        db.close()
    return EXIT_DONE


def _dry_run(settings: Settings) -> int:
    db = open_database(settings.db, schema="client")
    try:
        for line in client.outlook(db):
            print(line)
    finally:
        db.close()
    return EXIT_DONE


def _lock_path(settings: Settings) -> str:
    """[client] lockfile; or one beside a database file, or the usual one elsewhere."""
    if settings.client.lockfile:
        return str(settings.client.lockfile)
    if settings.db.backend == "sqlite":
        return "%s.apelclient.lock" % settings.db.name
    return lock_path("apelclient", settings.db.name, *settings.db.hostname)


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command; its exit status."""
    return run_command(ClientCommand(), argv)
