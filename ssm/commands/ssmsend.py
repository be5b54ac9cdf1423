"""ssmsend: sign and send the messages that wait in the outgoing queue, once or again and again."""

import argparse
import functools
import logging
import os
import sys
from typing import List, Optional

from apelcommon import __version__
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.config import Settings
from apelcommon.daemon import Hangup, Stop, run_steps, stop_signals
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, ConfigError, ServiceError, Transient
from ssm.commands.checking import refuse_connect_alone, say, sender_checks
from ssm.filequeues import FAILED
from ssm.options import SENDER, check_sender
from ssm.sender import send_queue

log = logging.getLogger("ssmsend")


class SendCommand(Command):
    """Send what is in the queue, once or as a daemon."""

    name = "ssmsend"
    version_text = "SSM %s" % __version__
    description = (
        "Sign the messages in a queue and send them; what has no receipt stays in the queue.\n"
        "Without --daemon it runs once, as from cron."
    )
    example = "ssmsend -c /etc/apel/sender.cfg"
    table = SENDER
    default_config = "/etc/apel/sender.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--daemon",
            action="store_true",
            help="look into the queue every [daemon] interval seconds, in the foreground",
        )
        how.add_argument(
            "--check-config",
            action="store_true",
            help="check the configuration, try what it names (certificate, authorities, spool), and send "
            "nothing",
        )
        parser.add_argument(
            "--connect",
            action="store_true",
            help="with --check-config: try the connection to the broker, too",
        )

    def run(self, args: argparse.Namespace) -> int:
        """Send; 1 if a message can't be sent."""
        args.config = os.path.abspath(args.config)
        refuse_connect_alone(args)
        if args.check_config:
            settings = SENDER.read(args.config)
            check_sender(settings)
            return say(settings, sender_checks(settings, args.connect))
        settings = self.settings(args)
        check_sender(settings)
        if args.daemon:
            return self._serve(settings, args)
        with stop_signals() as stop:
            sent = send_queue(settings, stop)
        if sent.failed:
            print(
                "ssmsend: %d messages can't be sent; the reasons are in the log and in %s"
                % (sent.failed, os.path.join(settings.messaging.path, FAILED)),
                file=sys.stderr,
            )
        return EXIT_FAILED if sent.failed else EXIT_DONE

    def _serve(self, settings: Settings, args: argparse.Namespace) -> int:
        hangup = Hangup()
        with stop_signals(hangup.came) as stop:
            hangup.stop = stop
            while True:
                run_steps(functools.partial(_send, settings, stop), settings.daemon.interval, stop)
                if not hangup.resumes():
                    return EXIT_DONE
                settings = self._read_again(settings, args)

    def _read_again(self, settings: Settings, args: argparse.Namespace) -> Settings:
        try:
            changed = self.settings(args)
            check_sender(changed)
        except ConfigError as err:
            log.error("The changed configuration is wrong, the old one stays in force: %s", err)
            return settings
        log.info("Configuration read again.")
        return changed


def _send(settings: Settings, stop: Stop) -> None:
    """One pass over the queue. Whatever fails (certificate, broker, disk) may be cured: a daemon goes on."""
    try:
        send_queue(settings, stop)
    except Transient:
        raise
    except ServiceError as err:
        raise Transient(str(err)) from err


def main(argv: Optional[List[str]] = None) -> int:
    """Run ssmsend; its exit status."""
    return run_command(SendCommand(), argv)
