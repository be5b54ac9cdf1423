"""A centre with an embedded database for each test."""

from typing import Any, Iterator

import pytest
from centre import Centre

from apel.commands.server_config import DB_TABLE
from apel.db import open_database


@pytest.fixture
def centre(tmp_path: Any) -> Iterator[Centre]:
    """Queues and an SQLite database of a centre, both empty."""
    settings = DB_TABLE.defaults({"db.backend": "sqlite", "db.name": str(tmp_path / "server.sqlite")})
    db = open_database(settings.db, schema="server")
    yield Centre(tmp_path / "spool", db)
    db.close()
