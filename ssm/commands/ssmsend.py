"""ssmsend: sign and send the messages that wait in the outgoing queue."""

import argparse
import os
import sys
from typing import List, Optional

from apelcommon import __version__
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.daemon import stop_signals
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, ConfigError
from ssm.credentials import load_credentials
from ssm.filequeues import FAILED
from ssm.options import SENDER, check_sender
from ssm.sender import load_encryptor, send_queue


class SendCommand(Command):
    """Send what is in the queue, once."""

    name = "ssmsend"
    version_text = "SSM %s" % __version__
    description = "Signs the messages in a queue and sends them; what has no receipt stays in the queue."
    example = "ssmsend -c /etc/apel/sender.cfg"
    table = SENDER
    default_config = "/etc/apel/sender.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        parser.add_argument(
            "--check-config",
            action="store_true",
            help="check the configuration, the certificate and its key, and send nothing",
        )

    def run(self, args: argparse.Namespace) -> int:
        """Send; 1 if a message can't be sent."""
        if args.check_config:
            return self._check(args.config)
        settings = self.settings(args)
        with stop_signals() as stop:
            sent = send_queue(settings, stop)
        if sent.failed:
            print(
                "ssmsend: %d messages can't be sent; the reasons are in the log and in %s"
                % (sent.failed, os.path.join(settings.messaging.path, FAILED)),
                file=sys.stderr,
            )
        return EXIT_FAILED if sent.failed else EXIT_DONE

    def _check(self, path: str) -> int:
        settings = SENDER.read(path)
        check_sender(settings)
        own = settings.certificates
        if not os.path.isdir(own.capath):
            raise ConfigError("%s: [certificates] capath: no directory %s" % (path, own.capath))
        load_encryptor(own)
        print(
            "%s is right; messages will be signed using %s"
            % (path, load_credentials(own.certificate, own.key).name)
        )
        return EXIT_DONE


def main(argv: Optional[List[str]] = None) -> int:
    """Run ssmsend; its exit status."""
    return run_command(SendCommand(), argv)
