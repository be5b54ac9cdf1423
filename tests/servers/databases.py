"""Databases for tests: each test that takes `client_db` or `server_db` runs on every back end."""

from types import SimpleNamespace
from typing import Any, Iterator, Optional

import pytest

from apel.db import Database, open_database
from apel.db.schema import initialise

#: What parametrises the fixtures; MariaDB's tests can be left out where there is no server.
BACKENDS = ["sqlite", pytest.param("mariadb", marks=pytest.mark.server)]


def sqlite_settings(path: Any) -> Any:
    """A [db] section for a file."""
    return SimpleNamespace(
        backend="sqlite", hostname=["localhost"], port=3306, name=str(path), username="", password=""
    )


def mariadb_settings(server: Any, name: str) -> Any:
    """A [db] section for a database of a MariaDB fixture."""
    return SimpleNamespace(
        backend="mysql",
        hostname=[server.host],
        port=server.port,
        name=name,
        username=server.user,
        password=server.password,
    )


def fresh_database(schema: str, folder: Any, server: Optional[Any] = None) -> Iterator[Database]:
    """An empty database of a schema, gone afterwards: in a file, or on `server`."""
    if server is None:
        settings = sqlite_settings(folder / ("%s.db" % schema))
    else:
        settings = mariadb_settings(server, server.new_database(schema))
    db = open_database(settings, schema)
    # Tests of trouble should not sleep for long.
    db.first_wait = 0.01
    try:
        if server is not None:
            initialise(db.backend, schema)
        yield db
    finally:
        db.close()
        if server is not None:
            server.drop_database(settings.name)
