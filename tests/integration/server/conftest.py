"""A centre for each test, on each back end in turn."""

from typing import Any, Iterator

import pytest
from centre import Centre, Installation

from apel.db import Database
from servers.databases import fresh_database


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
