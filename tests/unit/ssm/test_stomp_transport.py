"""The STOMP transport against a broker made of a socket that misbehaves; the real one is in integration."""

import socket
import threading
import time
from types import SimpleNamespace

import pytest
import stomp

from apelcommon.errors import ConfigError
from ssm.broker import broker_addresses
from ssm.errors import TooLarge, TransportError
from ssm.options import RECEIVER
from ssm.transport import stomp as stomp_transport
from ssm.transport.stomp import StompTransport, check_library

#: Seconds to wait for what is sure to come: only a failure ever waits so long.
PATIENCE = 60.0


class Peer:
    """Listens, and answers each connection with what a test says: `answer(frame) -> bytes or None`."""

    def __init__(self, answer):
        self.answer = answer
        self.frames = []
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(5)
        self.port = self.listener.getsockname()[1]
        self.lines = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            self.lines.append(line)
            threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line):
        buffer = b""
        while True:
            try:
                data = line.recv(65536)
                if not data:
                    return
                buffer += data
                while b"\x00" in buffer:
                    frame, _, buffer = buffer.partition(b"\x00")
                    frame = frame.lstrip(b"\n")
                    self.frames.append(frame)
                    said = self.answer(frame)
                    if said is None:
                        line.close()
                        return
                    line.sendall(said)
            except OSError:
                return

    def close(self):
        self.listener.close()
        for line in self.lines:
            line.close()


CONNECTED = b"CONNECTED\nversion:1.1\nheart-beat:0,0\n\n\x00"


def polite(frame):
    return CONNECTED if frame.startswith((b"STOMP", b"CONNECT")) else b""


@pytest.fixture
def peer():
    made = []

    def make(answer=polite):
        made.append(Peer(answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def connect(peer, monkeypatch):
    monkeypatch.setattr(stomp_transport, "CONNECT_TRIES", 1)
    made = []

    def connect(answer=polite, **broker):
        one = peer(answer)
        made.append(open_transport(one.port, **broker))
        made[-1].peer = one
        made[-1].connect()
        return made[-1]

    yield connect
    stomp_transport.FAREWELL_SECONDS, seconds = 0.1, stomp_transport.FAREWELL_SECONDS
    for transport in made:
        transport.close()
    stomp_transport.FAREWELL_SECONDS = seconds


def open_transport(port, **broker):
    settings = RECEIVER.defaults(
        {
            "messaging.destination": "/queue/x",
            "broker.host": "127.0.0.1",
            "broker.port": port,
            "broker.use_ssl": False,
            "broker.connect_timeout": PATIENCE,
            "broker.heart_beat": 0.0,
        }
    )
    for name, value in broker.items():
        setattr(settings.broker, name, value)
    return StompTransport(settings)


def receipt(identifier):
    return b"RECEIPT\nreceipt-id:%s\n\n\x00" % identifier.encode()


def test_send_has_the_headers_of_the_incumbent(connect):
    def answer(frame):
        return receipt("a/b") if frame.startswith(b"SEND") else polite(frame)

    transport = connect(answer)
    transport.send("a/b", b"Zo\xc3\xab")
    assert transport.confirmed(PATIENCE) == ["a/b"]
    head, _, body = transport.peer.frames[-1].partition(b"\n\n")
    lines = head.split(b"\n")
    for line in (
        b"SEND",
        b"destination:/queue/x",
        b"receipt:a/b",
        b"empa-id:a/b",
        b"persistent:true",
        b"content-length:4",
    ):
        assert line in lines
    assert body == b"Zo\xc3\xab"


def test_subscription_and_acknowledgement(connect):
    def answer(frame):
        if frame.startswith(b"SUBSCRIBE"):
            body = b"not UTF-8: \xff \x00 and a NUL"
            return (
                b"MESSAGE\nsubscription:1\nmessage-id:ID\\c7\nempa-id:a/b\ncontent-length:%d\n\n" % len(body)
                + body
                + b"\x00MESSAGE\nsubscription:1\nmessage-id:8\n\n\x00"
            )
        return polite(frame)

    transport = connect(answer)
    delivery = transport.receive(PATIENCE)
    assert (delivery.id, delivery.body) == ("a/b", b"not UTF-8: \xff \x00 and a NUL")
    second = transport.receive(PATIENCE)
    assert (second.id, second.body) == ("", b"")
    assert transport.receive(0.05) is None
    transport.acknowledge(delivery)
    assert wait_for(lambda: transport.peer.frames[-1].startswith(b"ACK"))
    subscribe = next(frame for frame in transport.peer.frames if frame.startswith(b"SUBSCRIBE")).split(b"\n")
    for line in (b"destination:/queue/x", b"id:1", b"ack:client-individual", b"activemq.prefetchSize:10"):
        assert line in subscribe
    assert b"message-id:ID\\c7" in transport.peer.frames[-1].split(b"\n")


def wait_for(ready):
    deadline = time.monotonic() + PATIENCE
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.01)
    return ready()


def test_silent_broker_is_given_up(connect):
    """S8: it accepts the connection and says nothing."""
    with pytest.raises(TransportError, match="does not answer"):
        connect(lambda frame: b"", connect_timeout=0.5)


def test_broker_hanging_up_is_noticed(connect):
    with pytest.raises(TransportError, match="Lost connection"):
        connect(lambda frame: None)


def test_error_frame_at_connect_is_said(connect):
    """S9: the broker doesn't know our certificate."""
    text = b"ERROR\nmessage:No user for client certificate\\c /CN=x\ncontent-length:0\n\n\x00"
    with pytest.raises(TransportError, match="The broker refuses: No user for client certificate: /CN=x"):
        connect(lambda frame: text)


def test_error_frame_after_sending_is_said(connect):
    """S9: an ERROR frame in place of the receipt."""

    def answer(frame):
        return b"ERROR\n\nqueue is full\x00" if frame.startswith(b"SEND") else polite(frame)

    transport = connect(answer)
    transport.send("id", b"x")
    with pytest.raises(TransportError, match="The broker refuses: queue is full"):
        while not transport.confirmed(PATIENCE):
            pass


def test_receipt_that_does_not_come_is_waited_for_no_longer_than_asked(connect):
    """S9: no receipt."""
    transport = connect()
    transport.send("id", b"x")
    assert transport.confirmed(0.2) == []


def test_broker_that_takes_nothing_is_given_up(connect, monkeypatch):
    """S8: its buffers are full and stay so: sending ends with an error, not never."""
    monkeypatch.setattr("ssm.transport.wire.SEND_SECONDS", 0.3)
    deaf = threading.Event()

    def answer(frame):
        if frame.startswith((b"STOMP", b"CONNECT")):
            return CONNECTED
        deaf.wait(PATIENCE)
        return b""

    transport = connect(answer)
    try:
        transport.send("first", b"x")
        with pytest.raises(TransportError, match="takes nothing"):
            for _ in range(10):
                transport.send("id", b"x" * 5000000)
    finally:
        deaf.set()


def test_missing_heart_beats_are_noticed(connect):
    """S8: half-open connection: the other side is gone, and nobody says so."""

    def answer(frame):
        return b"CONNECTED\nversion:1.1\nheart-beat:200,200\n\n\x00" if polite(frame) else b""

    transport = connect(answer, heart_beat=0.2)
    started = time.monotonic()
    with pytest.raises(TransportError):
        while time.monotonic() - started < PATIENCE:
            transport.receive(0.1)


def test_nobody_listening_is_said(monkeypatch):
    monkeypatch.setattr(stomp_transport, "CONNECT_TRIES", 1)
    with pytest.raises(TransportError, match="Cannot connect to the broker 127.0.0.1:1"):
        open_transport(1).connect()


def test_connecting_is_tried_again(peer, monkeypatch):
    monkeypatch.setattr(stomp_transport.Backoff, "next", lambda self: 0.01)
    calls = []

    def answer(frame):
        calls.append(frame)
        return None if len(calls) == 1 else polite(frame)

    transport = open_transport(peer(answer).port)
    transport.connect()
    assert len(calls) == 2
    monkeypatch.setattr(stomp_transport, "FAREWELL_SECONDS", 0.1)
    transport.close()
    transport.close()
    with pytest.raises(TransportError, match="Not connected"):
        transport.send("id", b"x")


def test_brokers_are_tried_in_order(peer, monkeypatch):
    """S8: the first that answers is taken; after a loss, the next."""
    monkeypatch.setattr(stomp_transport.Backoff, "next", lambda self: 0.01)
    monkeypatch.setattr(stomp_transport, "FAREWELL_SECONDS", 0.1)
    good, better = peer(), peer()
    transport = open_transport(1, host="127.0.0.1, 127.0.0.1:%d,127.0.0.1:%d" % (good.port, better.port))
    transport.connect()
    assert (len(good.frames), len(better.frames)) == (1, 0)
    transport.close()
    transport.connect()
    assert (len(good.lines), len(better.lines)) == (2, 0), "a broker that wasn't lost is kept"
    for line in good.lines:
        line.shutdown(socket.SHUT_RDWR)
    with pytest.raises(TransportError):
        transport.receive(PATIENCE)
    transport.close()
    transport.connect()
    assert (len(good.lines), len(better.lines)) == (2, 1)
    transport.close()


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("a", [("a", 7)]),
        (
            "a:1, b ,[::1]:3,[fe80::2],127.0.0.1:65535",
            [("a", 1), ("b", 7), ("::1", 3), ("fe80::2", 7), ("127.0.0.1", 65535)],
        ),
        ("", []),
    ],
)
def test_addresses(text, addresses):
    assert broker_addresses(SimpleNamespace(host=text, port=7)) == addresses


@pytest.mark.parametrize("text", ["a", "a b:1", "::1", "a:b", "a:0", "a:70000", "https://a", "a:1:2"])
def test_bad_addresses_are_refused(text):
    with pytest.raises(ValueError, match="host|port"):
        broker_addresses(SimpleNamespace(host=text, port=None))


def test_version_1_2_acknowledges_by_the_ack_header(connect):
    def answer(frame):
        if frame.startswith(b"SUBSCRIBE"):
            return b"MESSAGE\nsubscription:1\nmessage-id:7\nack:t1\\c7\n\nx\x00"
        return polite(frame).replace(b"1.1", b"1.2")

    transport = connect(answer, stomp_version="1.2", vhost="/")
    transport.acknowledge(transport.receive(PATIENCE))
    assert wait_for(lambda: transport.peer.frames[-1].startswith(b"ACK"))
    assert transport.peer.frames[-1].split(b"\n")[1:2] == [b"id:t1\\c7"]
    hello = transport.peer.frames[0].split(b"\n")
    assert b"accept-version:1.2" in hello
    assert b"host:/" in hello


@pytest.mark.parametrize(
    "text",
    [
        b"ERROR\nmessage:The maximum frame size was exceeded\n\njava.x.Y: The maximum\n at z\x00",
        b"ERROR\nmessage:precondition_failed\nreceipt-id:id\n\nPRECONDITION_FAILED - message size 4 is "
        b"larger than configured max size 3\x00",
    ],
)
def test_error_about_the_size_says_so(connect, text):
    """S10: in the words of ActiveMQ and RabbitMQ."""

    def answer(frame):
        return text if frame.startswith(b"SEND") else polite(frame)

    transport = connect(answer)
    transport.send("id", b"x")
    with pytest.raises(
        TooLarge, match="The broker refuses: (The maximum frame|PRECONDITION).* size"
    ) as caught:
        transport.confirmed(PATIENCE)
    assert caught.value.identifier == ("id" if b"receipt-id" in text else "")


def test_error_about_a_full_store_is_not_about_the_size(connect):
    """S9: then nothing may be split or put aside."""

    def answer(frame):
        text = b"ERROR\nmessage:Usage Manager Memory Limit reached. Stopping producer\n\n\x00"
        return text if frame.startswith(b"SEND") else polite(frame)

    transport = connect(answer)
    transport.send("id", b"x")
    with pytest.raises(TransportError, match="Memory Limit") as caught:
        transport.confirmed(PATIENCE)
    assert not isinstance(caught.value, TooLarge)


def test_slow_message_is_a_sign_of_life(connect):
    """S8: a large message on a slow line comes in pieces, and no heart-beat can come between them."""
    beats = b"CONNECTED\nversion:1.1\nheart-beat:1000,0\n\n\x00"

    def answer(frame):
        return beats if frame.startswith((b"STOMP", b"CONNECT")) else b""

    transport = connect(answer, heart_beat=1.0)
    assert transport.receive(0.01) is None

    def drip():
        line = transport.peer.lines[0]
        line.sendall(b"MESSAGE\nsubscription:1\nmessage-id:7\ncontent-length:30\n\n")
        for _ in range(30):
            time.sleep(0.1)
            line.sendall(b"x")
        line.sendall(b"\x00")

    threading.Thread(target=drip, daemon=True).start()
    assert transport.receive(PATIENCE).body == b"x" * 30


@pytest.mark.parametrize("version", ["9.0.0", (10, 1, 2), "4.0.12"])
def test_untrustworthy_library_is_refused(monkeypatch, version):
    monkeypatch.setattr(stomp, "__version__", version)
    with pytest.raises(ConfigError, match="pip install"):
        check_library()


@pytest.mark.parametrize("version", ["8.2.0", "8.1.1rc1", (4, 1, 24), "7.0.0"])
def test_trustworthy_library_is_taken(monkeypatch, version):
    monkeypatch.setattr(stomp, "__version__", version)
    check_library()
