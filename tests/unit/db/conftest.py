"""Small helpers for the tests of the database layer."""

import copy
from typing import Any

import pytest

from apel.db import Database
from apel.db.schema import prepare
from servers.databases import mariadb_settings, sqlite_settings


@pytest.fixture
def another() -> Any:
    """Opens a second Database on the same data, as another process would have it."""
    opened = []

    def open_another(db: Database) -> Database:
        twin = Database(copy.copy(db.backend), db.schema, prepare)
        twin.first_wait = 0.01
        opened.append(twin)
        return twin

    yield open_another
    for twin in opened:
        twin.close()


@pytest.fixture
def maria_client(mariadb: Any) -> Any:
    """Settings of an empty database on MariaDB, without a schema."""
    name = mariadb.new_database("plain")
    yield mariadb_settings(mariadb, name)
    mariadb.drop_database(name)


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.server)])
def empty_settings(request: Any, tmp_path: Any) -> Any:
    """Settings of a database without a schema, on each back end in turn."""
    if request.param == "sqlite":
        return sqlite_settings(tmp_path / "new.db")
    return request.getfixturevalue("maria_client")
