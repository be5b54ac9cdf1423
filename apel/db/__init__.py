"""The databases of site and centre: MariaDB, MySQL or SQLite behind one interface."""

from typing import Any, Optional

from apel.db.backend import Backend
from apel.db.database import Database, Transaction
from apel.db.errors import Conflict, Lost, NewConnection, RowRefused, Unusable
from apel.db.schema import prepare, prepare_any

__all__ = [
    "Conflict",
    "Database",
    "Lost",
    "NewConnection",
    "RowRefused",
    "Transaction",
    "Unusable",
    "open_backend",
    "open_database",
]


def open_backend(settings: Any, read_seconds: Optional[int] = None) -> Backend:
    """The backend of a [db] section: backend, hostname, port, name, username, password.

    read_seconds: how long an answer of a server may take, before the next one is tried; None: longer than
    any statement does.
    """
    # Each driver is only imported where it is used: a SQLite site needs no PyMySQL.
    if settings.backend == "sqlite":
        from apel.db.sqlite import SQLite

        return SQLite(settings.name)
    from apel.db.mysql import MySQL
    from apel.db.mysql_hosts import hosts

    servers = hosts(settings.hostname, settings.port)
    return MySQL(servers, settings.name, settings.username, settings.password, read_seconds)


def open_database(
    settings: Any, schema: str, read_seconds: Optional[int] = None, or_others: bool = False
) -> Database:
    """A [db] section's database; `schema` is a key of schema.VERSIONS; or_others: any of the centre will do.

    Nothing is connected yet: the first use does that, so a daemon may start before its database. Then SQLite
    makes its file and schema, and on a server the schema's version is checked.
    """
    return Database(open_backend(settings, read_seconds), schema, prepare_any if or_others else prepare)
