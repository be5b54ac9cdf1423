"""ssmreceive: take messages from the broker, verify them, and queue them for whoever loads them."""

import argparse
import logging
import os
from typing import List, Optional, Tuple

from apelcommon import __version__
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.config import Settings
from apelcommon.daemon import Hangup, PidFile, go_background, stop_signals
from apelcommon.errors import EXIT_DONE, ConfigError
from ssm.banned import BannedSigners
from ssm.commands.checking import receiver_checks, refuse_connect_alone, say
from ssm.dnlist import DnList
from ssm.errors import SigningError, StorageError
from ssm.options import RECEIVER, check_receiver
from ssm.receiver import Keys, Receiver, load_banned, load_keys, make_queues, make_receiver, receive
from ssm.replay import replay_rejected

log = logging.getLogger("ssmreceive")


class ReceiveCommand(Command):
    """Receive for ever, or until the broker's queue is drained."""

    name = "ssmreceive"
    version_text = "SSM %s" % __version__
    description = (
        "Receive messages, verify and authorise them, and queue them: accepted ones in incoming, others\n"
        "in reject. Without --daemon it runs in the foreground."
    )
    example = "ssmreceive -c /etc/apel/receiver.cfg -d /etc/apel/dns"
    table = RECEIVER
    default_config = "/etc/apel/receiver.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        parser.add_argument(
            "-d",
            "--dn_file",
            default="/etc/apel/dns",
            metavar="FILE",
            help="the DNs whose messages are accepted, one a line (default: %(default)s)",
        )
        self._add_modes(parser)
        parser.add_argument(
            "--connect",
            action="store_true",
            help="with --check-config: try the connection to the broker, too",
        )
        parser.add_argument(
            "--dn",
            default="",
            metavar="DN",
            help="with --replay-rejected: only the messages that this DN signed",
        )
        parser.add_argument(
            "--timeout",
            type=float,
            default=5.0,
            metavar="SECONDS",
            help="with --once: how long to wait for a next message (default: %(default)s; "
            "a hand-over directory is left as soon as it is empty)",
        )

    def _add_modes(self, parser: argparse.ArgumentParser) -> None:
        """What is done instead of receiving for ever in the foreground: one of these at a time."""
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--daemon",
            action="store_true",
            help="run in the background, with the pid file of the configuration",
        )
        how.add_argument(
            "--once",
            action="store_true",
            help="end when no message has come for the --timeout; for cron and tests",
        )
        how.add_argument(
            "--check-config",
            action="store_true",
            help="check the configuration, try what it names (certificate, authorities, DN list, spool), and "
            "receive nothing",
        )
        how.add_argument(
            "--replay-rejected",
            action="store_true",
            help="judge what was rejected again, put what is acceptable by now into incoming, and receive "
            "nothing; may be run beside a receiver",
        )

    def run(self, args: argparse.Namespace) -> int:
        """Receive."""
        # Absolute before a daemon leaves the working directory.
        args.config, args.dn_file = os.path.abspath(args.config), os.path.abspath(args.dn_file)
        refuse_connect_alone(args)
        if args.check_config:
            return self._check(args)
        settings = self.settings(args)
        check_receiver(settings)
        # What would stop it is said while there is still a terminal to say it on.
        names, keys = DnList(args.dn_file), load_keys(settings)
        if args.replay_rejected:
            return self._replay(make_receiver(settings, names, keys), args.dn)
        if not args.daemon:
            return self._receive(settings, names, keys, args)
        with PidFile(settings.daemon.pidfile):
            pass
        go_background()
        with PidFile(settings.daemon.pidfile):
            return self._receive(settings, names, keys, args)

    def _replay(self, receiver: Receiver, name: str) -> int:
        replayed = replay_rejected(receiver, name)
        print("%d put back into incoming, %d left" % (replayed.accepted, sum(replayed.left.values())))
        for reason, count in replayed.left.most_common():
            print("%6d  %s" % (count, reason))
        return EXIT_DONE

    def _receive(self, settings: Settings, names: DnList, keys: Keys, args: argparse.Namespace) -> int:
        hangup = Hangup()
        banned = load_banned(settings)
        with stop_signals(hangup.came) as stop:
            hangup.stop = stop
            while True:
                done = receive(settings, names, stop, args.timeout if args.once else None, keys, banned)
                log.info("Messages: %d stored, %d rejected.", done.accepted, done.rejected)
                if not hangup.resumes():
                    return EXIT_DONE
                settings, keys, banned = self._read_again(settings, keys, banned, args)

    def _read_again(
        self, settings: Settings, keys: Keys, banned: BannedSigners, args: argparse.Namespace
    ) -> Tuple[Settings, Keys, BannedSigners]:
        try:
            changed = self.settings(args)
            check_receiver(changed)
            make_queues(changed.messaging.path)
            changed_keys = load_keys(changed)
            changed_banned = load_banned(changed, banned)
        except (ConfigError, StorageError, SigningError) as err:
            log.error("The changed configuration is wrong, the old one stays in force: %s", err)
            return settings, keys, banned
        log.info("Configuration read again.")
        return changed, changed_keys, changed_banned

    def _check(self, args: argparse.Namespace) -> int:
        settings = RECEIVER.read(args.config)
        check_receiver(settings)
        return say(settings, receiver_checks(settings, args.dn_file, args.connect))


def main(argv: Optional[List[str]] = None) -> int:
    """Run ssmreceive; its exit status."""
    return run_command(ReceiveCommand(), argv)
