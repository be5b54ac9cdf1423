"""Old databases for the tests of the upgrade, and what they look like from outside."""

from typing import Any, Callable, Dict, Iterator, List

import pytest
from incumbent import Incumbent

from apel.db import open_backend
from apel.db.schema import initialise
from apel.upgrade.run import Upgrade
from servers.databases import mariadb_settings


@pytest.fixture
def old(mariadb: Any) -> Iterator[Callable[..., Incumbent]]:
    """Makes old databases, with a function of the module `incumbent`, that are gone afterwards."""
    made: List[Incumbent] = []

    def make(function: Callable[..., Incumbent], *args: Any, **options: Any) -> Incumbent:
        made.append(function(mariadb, *args, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def upgrade_of(mariadb: Any) -> Iterator[Callable[..., Upgrade]]:
    """An upgrade of a database."""
    opened: List[Upgrade] = []

    def make(old: Incumbent, schema: str) -> Upgrade:
        opened.append(Upgrade(open_backend(mariadb_settings(mariadb, old.database)), schema))
        return opened[-1]

    yield make
    for each in opened:
        each.journal.db.close()


@pytest.fixture
def fresh(mariadb: Any) -> Iterator[Callable[[str], Dict[str, Any]]]:
    """What a new database of a schema looks like."""
    made: List[str] = []

    def looks(schema: str) -> Dict[str, Any]:
        made.append(mariadb.new_database("fresh"))
        initialise(open_backend(mariadb_settings(mariadb, made[-1])), schema)
        return look(mariadb, made[-1])

    yield looks
    for name in made:
        mariadb.drop_database(name)


#: What information_schema knows, of which table, and in which order.
LOOKS = {
    "columns": (
        "table_name, ordinal_position, column_name, column_type, is_nullable, column_default, extra,"
        " character_set_name, collation_name",
        "columns WHERE table_schema",
        "1, 2",
    ),
    "keys": (
        "table_name, index_name, seq_in_index, column_name, non_unique, sub_part, index_type",
        "statistics WHERE table_schema",
        "1, 2, 3",
    ),
    "tables": ("table_name, table_type, engine, table_collation", "tables WHERE table_schema", "1"),
    "views": ("table_name, view_definition", "views WHERE table_schema", "1"),
    "routines": ("routine_name, routine_definition", "routines WHERE routine_schema", "1"),
    "triggers": (
        "trigger_name, event_object_table, action_statement",
        "triggers WHERE trigger_schema",
        "1",
    ),
}


def look(server: Any, database: str) -> Dict[str, Any]:
    """All that information_schema knows of tables, columns, keys and views, without the database's name."""
    query = "SELECT %s FROM information_schema.%s = DATABASE() ORDER BY %s"
    found = {what: list(server.rows(database, query % look)) for what, look in LOOKS.items()}
    found["views"] = [(name, text.replace("`%s`." % database, "")) for name, text in found["views"]]
    return found


def rows_of_all(old: Incumbent) -> Dict[str, List[Any]]:
    """Every row of every table."""
    names = old.rows(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY 1"
    )
    return {name: sorted(old.rows("SELECT * FROM `%s`" % name), key=repr) for (name,) in names}
