"""The site database of the client's tests, once on each backend."""

import pytest
from gridsite import FakeQueue, new_site


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.server)])
def site(request, tmp_path):
    """A site with an empty database."""
    if request.param == "sqlite":
        made = new_site({"backend": "sqlite", "name": str(tmp_path / "client.db")})
    else:
        made = new_site(mariadb_settings(request.getfixturevalue("mariadb")))
    made.backend = request.param
    yield made
    made.db.close()


@pytest.fixture
def mariadb_site(mariadb):
    """A site with an empty database on MariaDB, for what needs several writers at once."""
    made = new_site(mariadb_settings(mariadb))
    yield made
    made.db.close()


@pytest.fixture
def queue():
    """A spool in memory."""
    return FakeQueue()


def mariadb_settings(server):
    """Options of [db] for a new database."""
    return {
        "backend": "mysql",
        "hostname": ["%s:%d" % (server.host, server.port)],
        "name": server.new_database("client"),
        "username": server.user,
        "password": server.password,
    }
