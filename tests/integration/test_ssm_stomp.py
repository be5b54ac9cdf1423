"""The messenger through a real broker: ActiveMQ, STOMP over TLS with client certificates."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from apelcommon.daemon import Stop
from servers.activemq import ActiveMQ
from servers.pki import slash_dn
from ssm.dnlist import DnList
from ssm.errors import TransportError
from ssm.options import RECEIVER, SENDER
from ssm.queues import INCOMING, REJECT, MessageQueue, OutgoingQueue
from ssm.receiver import receive
from ssm.sender import ReceiptTimeout, send_queue
from ssm.transport.stomp import StompTransport

numbers = itertools.count(1)


class Ends:
    """A sender and a receiver on one queue of a broker, each with a folder of its own."""

    def __init__(self, broker, pki, folder):
        self.broker, self.pki, self.folder = broker, pki, folder
        self.certificate, self.key = pki.issue("host%d.example.org" % next(numbers))
        self.destination = "/queue/test.%d.%d" % (os.getpid(), next(numbers))
        self.outgoing = OutgoingQueue(os.path.join(folder, "outgoing"))
        self.base = os.path.join(folder, "centre")
        self.dns = os.path.join(folder, "dns")
        with open(self.dns, "w") as stream:
            stream.write(slash_dn(self.certificate) + "\n")

    def options(self, **changes):
        options = {
            "broker.host": self.broker.host,
            "broker.port": self.broker.tls_port,
            "broker.connect_timeout": 5.0,
            "certificates.certificate": self.certificate,
            "certificates.key": self.key,
            "certificates.capath": self.pki.ca_dir,
            "messaging.destination": self.destination,
        }
        options.update({name.replace("__", "."): value for name, value in changes.items()})
        return options

    def sender(self, **changes):
        changes.setdefault("messaging__receipt_timeout", 10.0)
        options = self.options(messaging__path=self.outgoing.path, sender__protocol="STOMP", **changes)
        return SENDER.defaults(options)

    def receiver(self, **changes):
        options = self.options(messaging__path=self.base, receiver__protocol="STOMP", **changes)
        return RECEIVER.defaults(options)

    def send(self, **changes):
        return send_queue(self.sender(**changes))

    def receive(self, idle=1.0, **changes):
        return receive(self.receiver(**changes), DnList(self.dns), Stop(), idle)

    def fill(self, count, size=200):
        texts = ["message %d of %d é\n%s" % (number, count, "x" * size) for number in range(count)]
        for text in texts:
            self.outgoing.add(text)
        return texts

    def arrived(self):
        queue = MessageQueue(os.path.join(self.base, "incoming"), INCOMING)
        return [queue.get(element) for element in queue.ids()]

    def rejected(self):
        queue = MessageQueue(os.path.join(self.base, "reject"), REJECT)
        return [queue.get(element) for element in queue.ids()]

    def write_receiver_config(self):
        lines = ["[receiver]", "protocol = STOMP"]
        for name, value in self.options(messaging__path=self.base).items():
            section, option = name.split(".")
            lines += ["[%s]" % section] if "[%s]" % section not in lines else []
            lines.insert(lines.index("[%s]" % section) + 1, "%s = %s" % (option, value))
        lines += ["[logging]", "logfile = %s" % os.path.join(self.folder, "receiver.log")]
        path = os.path.join(self.folder, "receiver.cfg")
        with open(path, "w") as stream:
            stream.write("\n".join(lines) + "\n")
        return path

    def start_receiver(self, before=""):
        command = (
            before + "import sys; from ssm.commands.ssmreceive import main; sys.exit(main(sys.argv[1:]))"
        )
        words = [sys.executable, "-W", "ignore", "-c", command]
        return subprocess.Popen([*words, "-c", self.write_receiver_config(), "-d", self.dns])


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


def eventually(ready, seconds=30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(0.05)
    return bool(ready())


def test_two_hundred_messages_arrive_whole(ends):
    texts = ends.fill(200)
    assert ends.send() == (200, 0, 0)
    assert ends.outgoing.count() == 0
    assert ends.receive() == (200, 0)
    arrived = ends.arrived()
    assert sorted(message["body"] for message in arrived) == sorted(texts)
    assert {message["signer"] for message in arrived} == {slash_dn(ends.certificate)}
    assert all(len(message["empaid"]) == 23 for message in arrived)


def test_large_message_arrives_whole(ends):
    texts = ends.fill(2, size=3000000)
    assert ends.send().sent == 2
    assert ends.receive() == (2, 0)
    assert sorted(message["body"] for message in ends.arrived()) == sorted(texts)


def test_connection_without_tls_works(ends, activemq):
    ends.fill(2)
    plain = {"broker__use_ssl": False, "broker__port": activemq.port}
    with pytest.raises(TransportError, match="The broker refuses"):
        ends.send(**plain)  # this broker wants a password without a certificate: said so, nothing lost
    assert ends.outgoing.count() == 2


def test_bad_message_is_rejected_and_acknowledged(ends):
    ends.fill(1)
    ends.send()
    transport = StompTransport(ends.sender())
    transport.connect()
    for number, body in enumerate(
        (b"", b"\xff\x00 not a message", b"Content-Type: multipart/signed\n\n\x00")
    ):
        transport.send("bad%d" % number, body)
        assert transport.confirmed(5) == ["bad%d" % number]
    transport.send("ping", b"ping")
    transport.confirmed(5)
    transport.close()
    assert ends.receive() == (1, 3)
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
        assert eventually(lambda: len({message["body"] for message in ends.arrived()}) == 20)
        assert eventually(lambda: len(ends.arrived()) >= 40)
        assert receiver.poll() is None
        receiver.send_signal(signal.SIGTERM)
        assert receiver.wait(20) == 0
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
    assert victim.wait(30) == -signal.SIGKILL
    assert len(ends.arrived()) == (0 if moment == "Receiver.take" else 1)
    ends.receive()
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
    ends.receive()
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
            for _ in range(100):
                transport.receive(0.1)
    finally:
        os.kill(own_broker.pid, signal.SIGCONT)
        transport.close()
