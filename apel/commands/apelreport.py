"""Prints what the centre has summed up, for people and for programs."""

import argparse
import sys
from typing import List, Optional

from apel import __version__
from apel.commands import checking
from apel.commands.apelsummariser import month
from apel.commands.server_config import DB_TABLE, add_db_argument
from apel.db import open_database
from apel.server import report
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.errors import EXIT_DONE
from apelcommon.metrics import recorded


class ReportCommand(Command):
    """The command apelreport."""

    name = "apelreport"
    version_text = "APEL report %s" % __version__
    description = "Print the totals in the central database by month, site and VO."
    example = "apelreport -d /etc/apel/db.cfg --month 2026-10 --by site,vo"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        add_db_argument(parser)
        parser.add_argument("--month", type=month, metavar="YYYY-MM", help="only this month")
        parser.add_argument("--site", metavar="NAME", help="only this site")
        parser.add_argument("--vo", metavar="NAME", help="only this VO")
        parser.add_argument(
            "--by",
            type=groups,
            default=list(report.BY),
            metavar="LIST",
            help="what to group by, in this order: some of %s (default: %s)"
            % (", ".join(report.GROUPS), ",".join(report.BY)),
        )
        checking.add_check_argument(parser)
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="print JSON, in exact seconds")
        form.add_argument("--csv", action="store_true", help="print CSV, in exact seconds")

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""
        settings = DB_TABLE.read(args.db)
        if args.check_config:
            return checking.say([settings], checking.database(settings.db, "server"))
        only = report.Filter(args.month, args.site, args.vo)
        with recorded(settings.metrics.textfile, self.name):
            db = open_database(settings.db, schema="server")
            try:
                found = report.rows(db, args.by, only)
            finally:
                db.close()
        if not found:
            print(report.NOTHING_SELECTED if only != report.Filter() else report.EMPTY, file=sys.stderr)
        form = report.as_json if args.json else report.as_csv if args.csv else report.as_table
        sys.stdout.write(form(found, args.by))
        return EXIT_DONE


def groups(text: str) -> List[str]:
    """'month,vo' -> ['month', 'vo']. Raises ArgumentTypeError."""
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in report.GROUPS]
    if unknown or not names or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError("%r: choose from %s, each once" % (text, ", ".join(report.GROUPS)))
    return names


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command; its exit status."""
    return run_command(ReportCommand(), argv)
