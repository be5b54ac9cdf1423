"""The messenger through a real broker: ActiveMQ, STOMP over TLS with client certificates."""

import os
import signal
import socket
import time

import pytest
from messenger import Ends, eventually, numbers

from servers.activemq import ActiveMQ
from servers.pki import slash_dn
from servers.proxy import Proxy
from ssm.errors import TransportError
from ssm.sender import ReceiptTimeout
from ssm.transport.stomp import StompTransport


@pytest.fixture
def ends(activemq, pki, tmp_path):
    return Ends(activemq, pki, str(tmp_path))


@pytest.fixture
def own_broker(pki):
    """A broker that the test may kill."""
    server = ActiveMQ(pki)
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_two_hundred_messages_arrive_whole(ends):
    texts = ends.fill(200)
    assert ends.send() == (200, 0, 0)
    assert ends.outgoing.count() == 0
    assert ends.receive(texts=texts) == (200, 0)
    arrived = ends.arrived()
    assert sorted(message["body"] for message in arrived) == sorted(texts)
    assert {message["signer"] for message in arrived} == {slash_dn(ends.certificate)}
    assert all(len(message["empaid"]) == 23 for message in arrived)


def test_large_message_arrives_whole(ends):
    texts = ends.fill(2, size=3000000)
    assert ends.send().sent == 2
    assert ends.receive(texts=texts) == (2, 0)
    assert sorted(message["body"] for message in ends.arrived()) == sorted(texts)


def test_connection_without_tls_works(ends, activemq):
    ends.fill(2)
    plain = {"broker__use_ssl": False, "broker__port": activemq.port}
    with pytest.raises(TransportError, match="The broker refuses"):
        ends.send(**plain)  # this broker wants a password without a certificate: said so, nothing lost
    assert ends.outgoing.count() == 2


def test_bad_message_is_rejected_and_acknowledged(ends):
    texts = ends.fill(1)
    ends.send()
    transport = StompTransport(ends.sender())
    transport.connect()
    for number, body in enumerate(
        (b"", b"\xff\x00 not a message", b"Content-Type: multipart/signed\n\n\x00")
    ):
        transport.send("bad%d" % number, body)
        assert transport.confirmed(60) == ["bad%d" % number]
    transport.send("ping", b"ping")
    transport.confirmed(60)
    transport.close()
    assert ends.receive(texts=texts, rejected=3) == (1, 3)
    assert {message["empaid"] for message in ends.rejected()} == {"bad0", "bad1", "bad2"}
    assert ends.receive() == (0, 0), "they must not come again"


def test_broker_restarted_loses_nothing(own_broker, pki, tmp_path):
    """S8: the broker is killed with -9 and comes back; the receiver reconnects by itself."""
    ends = Ends(own_broker, pki, str(tmp_path))
    receiver = ends.start_receiver()
    try:
        ends.fill(20)
        ends.send()
        assert eventually(lambda: len(ends.arrived()) == 20)
        own_broker.kill()
        ends.fill(20)
        with pytest.raises(TransportError):
            ends.send()
        assert ends.outgoing.count() == 20
        own_broker.start()
        assert ends.send() == (20, 0, 0)
        assert eventually(lambda: len({message["body"] for message in ends.arrived()}) == 40)
        assert receiver.poll() is None
        receiver.send_signal(signal.SIGTERM)
        assert receiver.wait(180) == 0
    finally:
        receiver.kill()
        receiver.wait()


@pytest.mark.parametrize("moment", ["Receiver.take", "StompTransport.acknowledge"])
def test_receiver_killed_between_delivery_and_acknowledgement(ends, moment):
    """S6: kill -9 before the message is on disk, and after it but before the broker hears of it."""
    texts = ends.fill(5)
    ends.send()
    victim = ends.start_receiver(
        "import os, ssm.receiver, ssm.transport.stomp; from ssm.receiver import Receiver; "
        "from ssm.transport.stomp import StompTransport; "
        "%s = lambda self, delivery: os.kill(os.getpid(), 9); " % moment
    )
    assert victim.wait(180) == -signal.SIGKILL
    assert len(ends.arrived()) == (0 if moment == "Receiver.take" else 1)
    ends.receive(texts=texts)
    assert {message["body"] for message in ends.arrived()} == set(texts)


def test_receiver_killed_at_random_moments(ends):
    """S6: whenever it dies, what it had not acknowledged comes again."""
    texts = ends.fill(60)
    ends.send()
    for _ in range(3):
        count = len(ends.arrived())
        receiver = ends.start_receiver()
        try:
            assert eventually(lambda before=count: len(ends.arrived()) > before)
        finally:
            receiver.send_signal(signal.SIGKILL)
            receiver.wait()
    ends.receive(texts=texts)
    assert {message["body"] for message in ends.arrived()} == set(texts)


def test_broker_no_trusted_ca_signed_is_refused(ends, pki):
    """S13: verification is on by default."""
    ends.fill(1)
    foreign = pki.new_ca_dir("foreign-%d" % next(numbers), [pki.foreign])
    with pytest.raises(TransportError, match="(?i)certificate verify failed"):
        ends.send(certificates__capath=foreign)
    assert ends.outgoing.count() == 1
    assert ends.send(certificates__capath=foreign, broker__verify_broker=False).sent == 1


def test_broker_with_another_name_is_refused(ends, monkeypatch):
    """S13: the certificate is of a trusted CA, but not of the host we asked for."""
    ends.fill(1)
    connect = socket.create_connection
    monkeypatch.setattr(
        socket, "create_connection", lambda address, timeout: connect(("localhost", address[1]), timeout)
    )
    with pytest.raises(TransportError, match="(?i)secure connection.*(other.example.org|match)"):
        ends.send(broker__host="other.example.org")
    assert ends.outgoing.count() == 1


def test_broker_refuses_our_certificate(ends, pki):
    """S9: an ERROR frame, or a refused handshake, leaves everything in the queue."""
    ends.fill(1)
    for certificate, key in (pki.issue("stranger.example.org"), pki.foreign.issue("host.example.org")):
        with pytest.raises(TransportError):
            ends.send(certificates__certificate=certificate, certificates__key=key)
        assert ends.outgoing.count() == 1


def test_no_receipt_keeps_the_message(ends, monkeypatch):
    """S9: the broker takes messages but confirms none; they stay, and the run fails."""
    ends.fill(3)
    monkeypatch.setattr(
        StompTransport, "confirmed", lambda self, timeout: time.sleep(min(timeout, 0.1)) or []
    )
    with pytest.raises(ReceiptTimeout, match="No receipt"):
        ends.send(messaging__receipt_timeout=0.5)
    assert ends.outgoing.count() == 3
    monkeypatch.undo()
    assert ends.send() == (3, 0, 0), "the locks are free again"


def test_broker_gone_silent_is_noticed(own_broker, pki, tmp_path):
    """S8: a stopped broker keeps its connections open but says nothing; heart-beats notice."""
    ends = Ends(own_broker, pki, str(tmp_path))
    transport = StompTransport(ends.receiver(broker__heart_beat=1.0))
    transport.connect()
    assert transport.receive(0.1) is None
    os.kill(own_broker.pid, signal.SIGSTOP)
    try:
        with pytest.raises(TransportError):
            for _ in range(600):
                transport.receive(0.1)
    finally:
        os.kill(own_broker.pid, signal.SIGCONT)
        transport.close()


@pytest.fixture
def proxy(activemq):
    made = Proxy(activemq.tls_port)
    yield made
    made.close()


def test_second_broker_is_taken_where_the_first_is_down(ends, activemq):
    """S8: next broker in the list."""
    texts = ends.fill(3)
    hosts = {"broker__host": "localhost:1, localhost:%d" % activemq.tls_port, "broker__port": None}
    assert ends.send(**hosts) == (3, 0, 0)
    assert ends.receive(texts=texts, **hosts) == (3, 0)
    assert sorted(message["body"] for message in ends.arrived()) == sorted(texts)


def test_stomp_1_2_works_as_well(ends):
    texts = ends.fill(30)
    assert ends.send(broker__stomp_version="1.2") == (30, 0, 0)
    assert ends.receive(texts=texts, broker__stomp_version="1.2") == (30, 0)
    assert sorted(message["body"] for message in ends.arrived()) == sorted(texts)
    assert ends.receive(broker__stomp_version="1.2") == (0, 0), "they were acknowledged"


@pytest.mark.parametrize("spoil", ["freeze", "half_close", "cut"])
def test_spoiled_line_is_noticed_by_the_receiver(ends, proxy, spoil):
    """S8: half-open TCP, either way: heart-beats notice (here every second; every 20 by default)."""
    transport = StompTransport(ends.receiver(broker__port=proxy.port, broker__heart_beat=1.0))
    transport.connect()
    assert transport.receive(0.1) is None
    getattr(proxy, spoil)()
    with pytest.raises(TransportError):
        for _ in range(600):
            transport.receive(0.1)
    transport.close()


@pytest.mark.parametrize("spoil", ["freeze", "half_close", "cut"])
def test_spoiled_line_is_noticed_by_the_sender(ends, proxy, spoil):
    """S8, S9: nothing without a receipt leaves the queue, and the sender does not hang."""
    ends.fill(3)
    transport = StompTransport(ends.sender(broker__port=proxy.port, broker__heart_beat=1.0))
    transport.connect()
    getattr(proxy, spoil)()
    with pytest.raises(TransportError):
        for number in range(600):
            transport.send("id%d" % number, b"x" * 1000)
            transport.confirmed(0.1)
    transport.close()


def test_line_cut_while_sending_is_connected_again(ends, proxy):
    """S8: the run goes on over a new connection, and everything arrives."""
    texts = ends.fill(300)
    removed = ends.outgoing.remove

    def cut_in_the_middle(element):
        removed(element)
        if ends.outgoing.count() == 150:
            proxy.cut()

    assert proxy.accepted == 0
    ends.outgoing.remove = cut_in_the_middle
    assert ends.send_from(ends.outgoing, broker__port=proxy.port) == (300, 0, 0)
    assert proxy.accepted >= 2
    ends.receive(texts=texts)
    assert {message["body"] for message in ends.arrived()} == set(texts)
