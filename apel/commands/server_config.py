"""The central database's configuration file, which the programs of the centre share."""

import argparse
from typing import List, Tuple

from apel.db.options import DATABASE_OPTIONS
from apelcommon.config import Option, OptionTable, Settings
from apelcommon.errors import ConfigError

DB_CONFIG = "/etc/apel/db.cfg"

DB_TABLE = OptionTable(
    "db",
    [
        *(each._replace(sample="apelserver") if each.name == "name" else each for each in DATABASE_OPTIONS),
        Option(
            "db",
            "type",
            "choice",
            "cpu",
            "What the summariser makes sums of: cpu (jobs of grid and batch systems) or cloud.",
            choices=("cpu", "cloud"),
        ),
    ],
    introduction="The central database: what the programs of the centre (-d) connect to.",
)


def add_db_argument(parser: argparse.ArgumentParser) -> None:
    """Declare -d/--db."""
    parser.add_argument(
        "-d",
        "--db",
        default=DB_CONFIG,
        metavar="FILE",
        help="configuration file of the database (default: %(default)s)",
    )


def read_both(table: OptionTable, path: str, db_path: str) -> Tuple[Settings, Settings]:
    """A program's own file and the database's. Raises ConfigError with what is wrong in either."""
    problems: List[str] = []
    found: List[Settings] = []
    for each, where in ((table, path), (DB_TABLE, db_path)):
        try:
            found.append(each.read(where))
        except ConfigError as err:
            problems += err.problems
    if problems:
        raise ConfigError(problems)
    return found[0], found[1]
