"""Makes, checks and upgrades the schema of a site's or the centre's database."""

import argparse
from typing import Any, List, Optional

from apel import __version__
from apel.commands import checking, partitioning, retaining, upgrading
from apel.db import Database, open_backend
from apel.db.backend import Backend
from apel.db.options import read_database_settings
from apel.db.schema import VERSIONS, check, expected, initialise, obstacles, prepare
from apel.server.spellings import find_twins
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, ConfigError
from apelcommon.metrics import recorded

#: What is done with the centre's job records, so that the schema needn't be named.
OF_JOBS = (partitioning.ACTION, *retaining.ACTIONS)
ACTIONS = ("init", "check", "upgrade", *OF_JOBS)

#: How long a server may take for a statement: an upgrade compares tables of any size as wholes.
UPGRADE_SECONDS = 86400


class DatabaseCommand(Command):
    """The command apeldb."""

    name = "apeldb"
    version_text = "APEL database %s" % __version__
    description = (
        "Make (init), check or upgrade the tables and views of the database that the [db] section of\n"
        "a configuration file names. init and upgrade may be repeated: they go on where they stopped.\n"
        "upgrade takes databases of APEL 2.2 to 2.5 and of earlier versions of this software.\n"
        "At the centre: archive writes job records of long ago to files, purge deletes them and keeps\n"
        "their sums, reopen takes jobs of a purged month again; partitions cuts them by month, ahead of\n"
        "time (run it from cron)."
    )
    example = "apeldb init -c /etc/apel/client.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        parser.add_argument("action", nargs="?", choices=ACTIONS, help="what to do")
        checking.add_check_argument(parser)
        parser.add_argument(
            "-c", "--config", required=True, metavar="FILE", help="file with the [db] section"
        )
        parser.add_argument(
            "--schema",
            choices=sorted(VERSIONS),
            help="client: a site's database; server (jobs), cloud, storage, accelerator, ip (public IP "
            "addresses): the centre's, all of which may be in one (default: as the file's sections or its "
            "[db] type say)",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what init, upgrade, partitions or purge would do"
        )
        upgrading.add_arguments(parser)
        partitioning.add_arguments(parser)
        retaining.add_arguments(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""
        upgrading.refuse_elsewhere(args)
        retaining.refuse_elsewhere(args)
        partitioning.refuse_elsewhere(args)
        if not (args.action or args.check_config):
            raise ConfigError("What is to be done? Give one of %s, or --check-config." % ", ".join(ACTIONS))
        settings, told = read_database_settings(args.config)
        schema = args.schema or told or ("server" if args.action in OF_JOBS else None)
        if schema is None:
            raise ConfigError("%s does not say whose database it is: give --schema." % args.config)
        if args.check_config:
            return checking.say([settings], checking.database(settings.db, schema))
        textfile = "" if args.dry_run else settings.metrics.textfile
        with recorded(textfile, self.name, action=args.action) as run:
            status = self._act(settings.db, schema, args)
            run.failed = status != EXIT_DONE
        return status

    def _act(self, settings: Any, schema: str, args: argparse.Namespace) -> int:
        if args.action in retaining.ACTIONS:
            return retaining.run(settings, schema, args)
        backend = open_backend(settings, UPGRADE_SECONDS if args.action == "upgrade" else None)
        if args.action == "check":
            return _check(backend, schema)
        if args.action == partitioning.ACTION:
            return partitioning.run(backend, schema, args)
        if args.action == "upgrade":
            return upgrading.upgrade(backend, schema, args)
        return _say_plan(backend, schema) if args.dry_run else _init(backend, schema)


def _init(backend: Backend, schema: str) -> int:
    tables, views = expected(schema)
    if initialise(backend, schema):
        size = "%d tables, %d views" % (len(tables), len(views))
        print("%s: schema %s version %d is in place (%s)." % (backend, schema, VERSIONS[schema], size))
    else:
        print("%s: schema %s was complete; nothing was changed." % (backend, schema))
    return EXIT_DONE


def _say_plan(backend: Backend, schema: str) -> int:
    lacking = check(backend, schema)
    for problem in lacking:
        print(problem)
    if lacking and obstacles(backend, schema):
        print("%s: init would refuse, since tables of another version are there." % backend)
    elif lacking:
        print("%s: init would make what is missing; nothing was changed." % backend)
    else:
        print("%s: schema %s is complete; init would change nothing." % (backend, schema))
    return EXIT_DONE


def _check(backend: Backend, schema: str) -> int:
    lacking = check(backend, schema)
    for problem in lacking:
        print(problem)
    if lacking:
        print("%s is not a complete %s database: %d differences." % (backend, schema, len(lacking)))
        return EXIT_FAILED
    if schema == "server":
        _warn_of_twins(backend)
    print("%s: schema %s version %d is complete." % (backend, schema, VERSIONS[schema]))
    return EXIT_DONE


def _warn_of_twins(backend: Backend) -> None:
    with Database(backend, "server", prepare) as db:
        twins = find_twins(db)
    for each in twins:
        print("warning: %s" % (each,))
    if twins:
        print(
            "warning: where such names are meant to be one, the older row is counted twice since the upgrade,"
            " which no longer takes them for one: delete it, and sum the month up again (docs/upgrade.md)."
        )


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command; its exit status."""
    return run_command(DatabaseCommand(), argv)
