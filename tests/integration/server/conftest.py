"""A centre for each test, on each back end in turn."""

from typing import Any

import pytest
from centre import Centre

from apel.db import Database


@pytest.fixture
def centre(server_db: Database, tmp_path: Any) -> Centre:
    """Queues and a database of a centre, all empty."""
    return Centre(tmp_path / "spool", server_db)
