"""A centre for each test, on each back end in turn."""

from typing import Any, Iterator

import pytest
from centre import Centre, Installation
from portal import Portal, new_portal

from apel import unloader
from apel.db import Database
from servers.databases import BACKENDS, fresh_database


@pytest.fixture
def centre(server_db: Database, tmp_path: Any) -> Centre:
    """Queues and a database of a centre, all empty."""
    return Centre(tmp_path / "spool", server_db)


@pytest.fixture
def installation(mariadb: Any, tmp_path: Any) -> Iterator[Installation]:
    """A centre whose database is a new one on the server."""
    for db in fresh_database("server", tmp_path, mariadb):
        found = Installation(tmp_path, mariadb.options_for(db.backend.database))
        yield found
        found.close()


@pytest.fixture
def small(tmp_path: Any, no_waiting: None) -> Iterator[Portal]:
    """On SQLite, for what doesn't depend on the database."""
    yield from new_portal(tmp_path, None)


@pytest.fixture(params=BACKENDS)
def portal(request: Any, tmp_path: Any, no_waiting: None) -> Iterator[Portal]:
    """On each back end in turn."""
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    yield from new_portal(tmp_path, server)


@pytest.fixture
def no_waiting(monkeypatch: Any) -> None:
    """Unloads don't wait for a quiet second: tests age the rows of this one instead."""
    monkeypatch.setattr(unloader, "WAITS_FOR_A_QUIET_SECOND", 0)
