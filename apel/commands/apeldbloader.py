"""Runs the loader: as a daemon, in the foreground or the background, or once until the queue is empty."""

import argparse
import logging
import os
from typing import Any, Dict, List, Optional, Tuple

from apel import __version__
from apel.commands import checking
from apel.commands.server_config import add_db_argument, open_any, read_both, type_of
from apel.db.options import SCHEMAS
from apel.server.figures import Figures, Health
from apel.server.loader import Loader, Queues
from apel.server.options import LOADER
from apel.server.rest import Unfinished
from apel.server.site_rights import OFF, SiteRights
from apelcommon import checks, logs
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.config import Settings
from apelcommon.daemon import PidFile, Stop, go_background, run_steps, stop_signals
from apelcommon.errors import EXIT_DONE, ConfigError, ServiceError, Transient
from apelcommon.metrics import Metrics
from ssm.dn import canonical
from ssm.queues import ACCEPT, INCOMING, REJECT, MessageQueue

log = logging.getLogger("dbloader")

#: Whatever an element of `incoming` lacks, the loader wants to see it, and to say so.
ANY_INCOMING = dict.fromkeys(INCOMING, "string?")

#: More than any statement of the loader takes, and than a cluster needs to find out that a node is gone.
ANSWER_SECONDS = 120


class Service:
    """The loader as a daemon runs it: with its configuration files, which it reads again on demand."""

    def __init__(self, command: "LoaderCommand", args: argparse.Namespace) -> None:
        self.command = command
        self.args = args
        self.stop: Optional[Stop] = None
        self.loader: Optional[Loader] = None
        self.figures: Any = None
        self.unfinished = Unfinished()
        self._reload = False
        self._read()

    def _read(self) -> None:
        self.settings, self.db_settings = read_both(LOADER, self.args.config, self.args.db)
        self.command.start_log(self.settings, self.args)
        auth = self.settings.auth
        self.rights = SiteRights(auth.map, auth.sites, canonical) if auth.sites != OFF else None
        loader = os.path.splitext(os.path.basename(self.settings.loader.pidfile))[0] or "loader"
        metrics = Metrics(self.settings.metrics.textfile, "apeldbloader", loader=loader)
        health = Health(self.settings.loader.health_file)
        if self.figures is None:
            self.figures = Figures(metrics, health)
        else:
            self.figures.renew(metrics, health)

    def reload(self) -> None:
        """Read the configuration files again before the next step (this is called from a signal)."""
        self._reload = True

    def open(self) -> Loader:
        """The loader with its queues, and its database, which it connects to when first used."""
        if self.loader is None:
            queues = _queues(self.settings)
            db = open_any(self.db_settings.db, ANSWER_SECONDS)
            strict = self.settings.loader.strict
            self.loader = Loader(db, queues, strict, self.rights, self.figures.message)
            self.loader.unfinished = self.unfinished
        return self.loader

    def close(self) -> None:
        """Give up database and queues; the next `open` makes them anew."""
        if self.loader is not None:
            self.loader.db.close()
        self.loader = None

    def step(self) -> int:
        """One pass over the queue; how many messages were dealt with."""
        if self._reload:
            self._reload = False
            self._read_again()
        try:
            loader = self.open()
            done = loader.step(self.stop)
        except Transient as err:
            self.figures.trouble(str(err))
            raise
        self.figures.rest(loader.queues, loader.resting)
        return done

    def _read_again(self) -> None:
        before, place = self.settings.loader.interval, self._place()
        try:
            self._read()
        except ConfigError as err:
            for problem in err.problems:
                log.error("%s", problem)
            log.error("The configuration files were read again and have errors; what was in force stays.")
            return
        self.close()
        if self._place() != place:
            self.unfinished = Unfinished()
        log.info("The configuration files were read again.")
        if self.settings.loader.interval != before:
            log.warning("A new interval is taken up when the loader is started again.")

    def _place(self) -> Tuple[str, Dict[str, Any]]:
        """What messages are loaded from, and where to."""
        return self.settings.loader.msgpath, vars(self.db_settings.db)


def _check(settings: Settings, db_settings: Settings) -> int:
    spool = checks.writable("spool", settings.loader.msgpath)
    db = db_settings.db
    found = checking.database(db, SCHEMAS[type_of(db)], or_others=db.type is None)
    return checking.say([settings, db_settings], [*found, spool])


def _queues(settings: Settings) -> Queues:
    def queue(name: str, schema: Any) -> MessageQueue:
        return MessageQueue(os.path.join(settings.loader.msgpath, name), schema)

    try:
        accept = queue("accept", ACCEPT) if settings.loader.save_messages else None
        return Queues(queue("incoming", ANY_INCOMING), queue("reject", REJECT), accept)
    except OSError as err:
        raise ServiceError("[loader] msgpath: cannot use %s: %s" % (err.filename, err.strerror)) from err


class LoaderCommand(Command):
    """The command apeldbloader."""

    name = "apeldbloader"
    version_text = "Starting APEL dbloader %s" % __version__
    description = (
        "Load received messages into the central database. Messages come from the queue `incoming`;\n"
        "bad ones go to `reject` with the reason. Runs until it is stopped: SIGTERM ends it after the\n"
        "message in hand, SIGHUP makes it read its configuration again."
    )
    example = "apeldbloader -d /etc/apel/db.cfg -c /etc/apel/loader.cfg --once"
    table = LOADER
    default_config = "/etc/apel/loader.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        add_db_argument(parser)
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--once", action="store_true", help="load what is in the queue, then end")
        how.add_argument("--daemon", action="store_true", help="run in the background")
        checking.add_check_argument(how)

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""
        if args.check_config:
            return _check(*read_both(LOADER, args.config, args.db))
        args.config, args.db = os.path.abspath(args.config), os.path.abspath(args.db)
        service = Service(self, args)
        if args.daemon:
            _detach(service)
        with stop_signals(service.reload) as stop, PidFile(service.settings.loader.pidfile):
            service.stop = stop
            log.info("Starting apeldbloader %s", __version__)
            try:
                service.open()
                if args.once:
                    _drain(service, stop)
                else:
                    run_steps(service.step, service.settings.loader.interval, stop, service.figures.beat)
            finally:
                service.close()
                service.figures.ended()
            log.info("apeldbloader has ended.")
        return EXIT_DONE


def _detach(service: Service) -> None:
    """Go to the background, once it is sure that the database and the pid file can be had."""
    service.open().db.run(lambda tx: tx.value("SELECT 1"), tries=1)
    service.close()
    with PidFile(service.settings.loader.pidfile):
        pass
    go_background()
    logs.set_up(service.settings.logging)


def _drain(service: Service, stop: Stop) -> None:
    """Load until nothing is left that can be loaded. Raises Transient if something was left for later."""
    while service.step() and not stop.is_set():
        pass
    loader = service.open()
    tally = loader.tally
    print(
        "%d messages: %d records stored, %d rejected; %d messages rejected whole."
        % (tally.messages, tally.stored, tally.rejected, tally.refused)
    )
    if loader.resting:
        raise Transient("%d messages could not be loaded and wait in the queue." % loader.resting)


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command; its exit status."""
    return run_command(LoaderCommand(), argv)
