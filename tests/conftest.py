"""The fixtures that all tests share: real servers and certificates, once per run, and clean surroundings."""

import logging
import os
from typing import Any, Iterator, List

import hypothesis
import pytest

from apel.db import Database
from servers.activemq import ActiveMQ
from servers.databases import BACKENDS, fresh_database
from servers.galera import Cluster
from servers.mariadb import Borrowed, MariaDB
from servers.pki import PKI
from servers.process import ServerMissing
from servers.rabbitmq import RabbitMQ

SERVERS = {"mariadb", "galera", "activemq", "rabbitmq", "bdii", "browser"}
WITHOUT_SERVERS = os.environ.get("APEL_TESTS_WITHOUT_SERVERS") == "1"
LEFT_OUT: List[str] = []
# The same examples in every run, so that a run is red for what was changed. Others are for whoever looks for
# more: what they find becomes a test of its own.
RANDOM_EXAMPLES = os.environ.get("APEL_TEST_RANDOM_EXAMPLES") == "1"

hypothesis.settings.register_profile(
    "apel",
    deadline=None,
    derandomize=not RANDOM_EXAMPLES,
    max_examples=60,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("apel")


def pytest_collection_modifyitems(config: Any, items: List[Any]) -> None:
    """Mark the tests that need a real server; where the run is without servers, leave them out aloud."""
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)
    if WITHOUT_SERVERS:
        out = [item for item in items if item.get_closest_marker("server")]
        LEFT_OUT.extend(item.nodeid for item in out)
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if not item.get_closest_marker("server")]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many tests a run without servers has left out."""
    if LEFT_OUT:
        terminalreporter.write_line(
            "%d tests that need a real server were left out: APEL_TESTS_WITHOUT_SERVERS=1" % len(LEFT_OUT)
        )


def needs_servers() -> None:
    """Fail where a server is asked for by a test that hides it from the marker above."""
    if WITHOUT_SERVERS:
        pytest.fail(
            "This test asks for a server in the middle: mark it (or its parameter) with pytest.mark.server, "
            "so that a run without servers can leave it out."
        )


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A running MariaDB, shared by all tests: each takes a database of its own with new_database()."""
    needs_servers()
    borrowed = os.environ.get("APEL_TEST_MYSQL")
    try:
        server = Borrowed(borrowed) if borrowed else MariaDB()
    except ServerMissing as err:
        pytest.fail(str(err), pytrace=False)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def galera() -> Iterator[Cluster]:
    """A cluster of three nodes, for the tests of one module: each puts right what it breaks."""
    needs_servers()
    try:
        cluster = Cluster()
    except ServerMissing as err:
        pytest.fail(str(err), pytrace=False)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def activemq(pki: PKI) -> Iterator[ActiveMQ]:
    """A running ActiveMQ, shared by all tests: each takes a queue name of its own."""
    needs_servers()
    try:
        server = ActiveMQ(pki)
    except ServerMissing as err:
        pytest.fail(str(err), pytrace=False)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def rabbitmq(pki: PKI) -> Iterator[RabbitMQ]:
    """A running RabbitMQ, shared by all tests, that takes messages of up to 300 kB."""
    needs_servers()
    try:
        server = RabbitMQ(pki, most=300000)
    except ServerMissing as err:
        pytest.fail(str(err), pytrace=False)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def pki(tmp_path_factory: Any) -> PKI:
    """Certificate authorities and what they issue."""
    return PKI(str(tmp_path_factory.mktemp("pki")))


@pytest.fixture(params=BACKENDS)
def client_db(request: Any, tmp_path: Any) -> Iterator[Database]:
    """An empty site database, on each back end in turn."""
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    yield from fresh_database("client", tmp_path, server)


@pytest.fixture(params=BACKENDS)
def server_db(request: Any, tmp_path: Any) -> Iterator[Database]:
    """An empty central database, on each back end in turn."""
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    yield from fresh_database("server", tmp_path, server)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Give the next test the root logger, and the way of warnings, that this one had."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    logging.captureWarnings(False)
    root.setLevel(level)
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
