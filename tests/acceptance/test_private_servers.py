"""The servers that other tests lean on must themselves keep what they promised, and forget nothing."""

import contextlib
import queue
import ssl
import time
import warnings

import pytest
import stomp

from servers.activemq import ActiveMQ
from servers.mariadb import MariaDB
from servers.pki import slash_dn

WAIT = 120


class Listener(stomp.ConnectionListener):
    """Collects messages and receipts."""

    def __init__(self):
        self.messages = queue.Queue()
        self.receipts = queue.Queue()

    def on_message(self, *frame):
        # stomp.py 4.1 to 7 calls on_message(headers, body), later ones on_message(frame).
        self.messages.put(frame[1] if len(frame) > 1 else frame[0].body)

    def on_receipt(self, *frame):
        self.receipts.put(frame)


def connect(broker, certificate=None):
    port = broker.tls_port if certificate else broker.port
    connection = stomp.Connection11([(broker.host, port)], reconnect_attempts_max=1)
    if certificate:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # stomp.py names a TLS version itself
            set_ssl(connection, broker, port, certificate)
    listener = Listener()
    connection.set_listener("", listener)
    credentials = () if certificate else (broker.user, broker.password)
    connection.connect(*credentials, wait=True)
    return connection, listener


def set_ssl(connection, broker, port, certificate):
    connection.set_ssl(
        [(broker.host, port)],
        cert_file=certificate[0],
        key_file=certificate[1],
        ca_certs=broker.pki.ca_file,
        ssl_version=ssl.PROTOCOL_TLS_CLIENT,
    )


def put(broker, destination, *bodies):
    connection, listener = connect(broker)
    for number, body in enumerate(bodies):
        connection.send(destination, body, headers={"persistent": "true", "receipt": str(number)})
        listener.receipts.get(timeout=WAIT)
    connection.disconnect()


def take(broker, destination, certificate=None):
    """The first message of a queue. Tried again for a while.

    The library's own TLS fails now and then for no lasting reason.
    """
    for _ in range(10):
        with contextlib.suppress(stomp.exception.StompException, OSError, queue.Empty):
            return take_once(broker, destination, certificate)
        time.sleep(0.5)
    raise AssertionError("no message in %s" % destination)


def take_once(broker, destination, certificate):
    connection, listener = connect(broker, certificate)
    try:
        connection.subscribe(destination, id="1", ack="auto")
        return listener.messages.get(timeout=WAIT / 4)
    finally:
        connection.disconnect()


@pytest.mark.server
def test_broker_killed_keeps_messages(pki):
    broker = ActiveMQ(pki)
    try:
        broker.start()
        put(broker, "/queue/durable", "from before")
        broker.kill()
        broker.start()
        assert take(broker, "/queue/durable") == "from before"
    finally:
        broker.close()


@pytest.mark.parametrize("key", ["rsa", "ec"])
def test_broker_lets_in_a_host_by_its_certificate(activemq, pki, key):
    put(activemq, "/queue/tls-" + key, "hello")
    certificate = pki.issue("client.example.org", key=key, email="a@example.org")
    assert take(activemq, "/queue/tls-" + key, certificate) == "hello"


def test_broker_refuses_strangers(activemq, pki):
    for certificate in (pki.issue("stranger.example.org"), pki.foreign.issue("client.example.org")):
        with pytest.raises((stomp.exception.StompException, OSError)):
            connect(activemq, certificate)


def test_broker_can_be_told_whom_to_let_in(pki, activemq):
    certificate = pki.issue("picky.example.org")
    put(activemq, "/queue/picky", "hello")
    activemq.allow({"someone": "CN=else, O=Test Grid, C=XX"})
    try:
        with pytest.raises((stomp.exception.StompException, OSError)):
            connect(activemq, certificate)
        activemq.allow({"picky": "CN=picky.example.org, O=Test Grid, C=XX"})
        assert take(activemq, "/queue/picky", certificate) == "hello"
    finally:
        activemq.allow_everybody()


@pytest.mark.server
def test_database_killed_keeps_commits():
    database = MariaDB()
    try:
        database.start()
        name = database.new_database()
        database.rows(name, "CREATE TABLE kept (number INT PRIMARY KEY)")
        database.rows(name, "INSERT INTO kept VALUES (7)")
        database.kill()
        database.start()
        assert database.rows(name, "SELECT number FROM kept") == [(7,)]
    finally:
        database.close()


def test_database_is_strict_and_not_in_utc(mariadb):
    ((mode, zone),) = mariadb.rows("", "SELECT @@sql_mode, @@time_zone")
    assert {"STRICT_TRANS_TABLES", "ONLY_FULL_GROUP_BY", "NO_ZERO_DATE", "NO_ZERO_IN_DATE"} <= set(
        mode.split(",")
    )
    assert zone != "+00:00"


def test_authority_issues_names_in_the_incumbents_form(pki):
    certificate, _ = pki.issue("host.example.org", email="admin@example.org")
    assert slash_dn(certificate) == "/C=XX/O=Test Grid/CN=host.example.org/emailAddress=admin@example.org"
