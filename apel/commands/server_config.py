"""The central database's configuration file, which the programs of the centre share."""

import argparse
from typing import Any, List, Optional, Tuple

from apel.db import Database, open_database
from apel.db.options import DATABASE_OPTIONS, SCHEMAS
from apelcommon.config import Option, OptionTable, Settings
from apelcommon.errors import ConfigError
from apelcommon.metrics import METRICS
from apelcommon.options import Shipped

DB_CONFIG = "/etc/apel/db.cfg"
USUAL_TYPE = "cpu"

DB_TABLE = OptionTable(
    "db",
    [
        *(each._replace(sample="apelserver") if each.name == "name" else each for each in DATABASE_OPTIONS),
        Option(
            "db",
            "type",
            "choice",
            None,
            "What the database is about: cpu (jobs of grid and batch systems), cloud, storage, accelerator "
            "(GPUs and the like) or ip (public IP addresses). Tables of the others may be in it, too. The "
            "summariser makes sums of this kind. Not given: cpu; loader and unloader take what is there.",
            choices=tuple(SCHEMAS),
            sample=Shipped(USUAL_TYPE),
        ),
        # Of programs that have no file of their own: apelreport, apeldb.
        *METRICS,
    ],
    introduction="The central database: what the programs of the centre (-d) connect to.",
)


def type_of(db: Any) -> str:
    """What the database of a [db] section of db.cfg is about."""
    return str(db.type or USUAL_TYPE)


def open_central(db: Any) -> Database:
    """The database of a [db] section of db.cfg; see open_database."""
    return open_database(db, SCHEMAS[type_of(db)])


def open_any(db: Any, read_seconds: Optional[int] = None) -> Database:
    """The same for programs that work on tables of any kind: without a `type`, these need not be of jobs.

    APEL 2 has none in files for storage, and looks at it in the summariser alone.
    """
    return open_database(db, SCHEMAS[type_of(db)], read_seconds, or_others=db.type is None)


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
