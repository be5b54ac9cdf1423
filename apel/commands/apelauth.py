"""Makes the list of names that may send, and the map of the sites they speak for, from GOCDB."""

import argparse
import logging
import os
from typing import List, Optional

from apel import __version__
from apel.auth.options import TABLE
from apel.auth.run import Lists, make_lists, put_in_place
from apel.commands import checking
from apelcommon import checks
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.config import Settings
from apelcommon.errors import EXIT_DONE
from apelcommon.files import Lock, lock_path
from apelcommon.metrics import Metrics
from ssm.dn import canonical, readings

log = logging.getLogger("auth")


class AuthCommand(Command):
    """The command apelauth."""

    name = "apelauth"
    version_text = "APEL auth %s" % __version__
    description = (
        "Ask GOCDB which services may send accounting records, and write the list of their names for\n"
        "ssmreceive and the map of names and sites for apeldbloader. When GOCDB can't be asked, or its\n"
        "answer is not whole or has lost half of the names, the last good files stay. Run it from cron."
    )
    example = "apelauth -c /etc/apel/auth.cfg --dry-run"
    table = TABLE
    default_config = "/etc/apel/auth.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        parser.add_argument(
            "--force", action="store_true", help="write the list even if it loses more than half of its names"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="print which names would come and go; write nothing"
        )
        checking.add_check_argument(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""
        if args.check_config:
            settings = TABLE.read(args.config)
            folder = os.path.dirname(os.path.abspath(settings.auth.allowed_dns))
            return checking.say([settings], [checks.writable("lists", folder)])
        settings = self.settings(args)
        if args.dry_run:
            _print(make_lists(settings.auth, canonical, readings))
            return EXIT_DONE
        with Lock(lock_path("apelauth", os.path.abspath(settings.auth.allowed_dns)), self.name):
            _make(settings, args.force)
        return EXIT_DONE


def _make(settings: Settings, force: bool) -> None:
    metrics = Metrics(settings.metrics.textfile, "apelauth")
    success = False
    try:
        lists = make_lists(settings.auth, canonical, readings)
        put_in_place(settings.auth, lists, force)
        success = True
        metrics.gauge("apel_auth_names", "Names that may send.").set(len(lists.access.names))
        log.info(
            "%d names may send (%d new, %d gone), for %d sites.",
            len(lists.access.names),
            len(lists.new),
            len(lists.gone),
            len({site for _, site in lists.access.rights}),
        )
    finally:
        metrics.ended(success)


def _print(lists: Lists) -> None:
    for sign, names in (("-", lists.gone), ("+", lists.new)):
        for name in names:
            print(sign, name)
    print(
        "%d names would be in the list: %d new, %d gone."
        % (len(lists.access.names), len(lists.new), len(lists.gone))
    )


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command; its exit status."""
    return run_command(AuthCommand(), argv)
