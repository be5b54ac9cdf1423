"""What the tests of the messenger share: certificates of every kind, settings, queues, a broker in memory."""

import itertools
import os
import subprocess

import pytest

from apelcommon.daemon import Stop
from servers.pki import Authority, slash_dn
from servers.pki import trust as trust_authority
from ssm.credentials import load_credentials
from ssm.errors import TooLarge, TransportError
from ssm.options import RECEIVER, SENDER
from ssm.queues import OutgoingQueue
from ssm.receiver import Receiver
from ssm.transport import Delivery, Transport
from ssm.trust import TrustStore

TEXT = "APEL-individual-job-message: v0.3\nSite: Aye\nLocalJobId: 1\n%%\nSite: Aye\nLocalJobId: 2\n%%"


class Host:
    """A certificate on disk and what goes with it."""

    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key
        self.dn = slash_dn(certificate)

    def signer(self):
        return load_credentials(self.certificate, self.key).signer()

    def sign(self, text=TEXT):
        return self.signer().sign(text.encode("utf-8"))

    def openssl_sign(self, text, *options):
        return openssl(
            "smime",
            "-sign",
            "-text",
            "-inkey",
            self.key,
            "-signer",
            self.certificate,
            *options,
            given=text.encode("utf-8"),
        )


def fill(queue, count):
    """Put messages into a queue; their names there."""
    return [queue.add("message %d" % number) for number in range(count)]


def openssl(*words, given=b"", fails=False):
    """Run an openssl command; what it prints."""
    done = subprocess.run(["openssl", *words], input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode != 0) == fails, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="session")
def host(pki):
    return Host(*pki.issue("host.example.org"))


@pytest.fixture(scope="session")
def ec_host(pki):
    return Host(*pki.issue("ec.example.org", key="ec"))


@pytest.fixture(scope="session")
def another_host(pki):
    return Host(*pki.issue("another.example.org"))


@pytest.fixture(scope="session")
def foreign_host(pki):
    return Host(*pki.foreign.issue("foreign.example.org"))


@pytest.fixture
def trust(pki):
    return TrustStore(pki.ca_dir)


@pytest.fixture(scope="session")
def new_authority(tmp_path_factory):
    numbers = itertools.count(1)

    def make(cn="Another CA", **options):
        return Authority(str(tmp_path_factory.mktemp("ca") / str(next(numbers))), cn, **options)

    return make


@pytest.fixture
def revoking(new_authority, tmp_path):
    """An authority of its own, and its directory."""
    authority = new_authority("Revoking CA")
    folder = str(tmp_path / "certificates")
    os.mkdir(folder)
    trust_authority(folder, authority)
    return authority, folder


class MemoryTransport(Transport):
    """A broker in memory, with switches for its bad days."""

    empty_is_drained = True

    def __init__(self):
        self.sent = []
        self.waiting = []
        self.acknowledged = []
        self.unconfirmed = []
        self.most_unconfirmed = 0
        self.connects = 0
        self.refuse = 0
        self.confirms = True
        self.breaks_after = None
        self.takes = None  # bytes: what is larger is refused,
        self.refuses = "named"  # … with its id, "unnamed", or the broker just "hangs up"
        self.is_open = False

    def connect(self):
        self.connects += 1
        if self.refuse > 0:
            self.refuse -= 1
            raise TransportError("no broker today")
        self.is_open = True

    def send(self, identifier, body):
        if self.breaks_after is not None and len(self.sent) >= self.breaks_after:
            raise TransportError("the line broke")
        if self.takes is not None and len(body) > self.takes:
            self.unconfirmed = []
            if self.refuses == "hangs up":
                raise TransportError("the line broke")
            raise TooLarge("too large", identifier if self.refuses == "named" else "")
        self.sent.append((identifier, body))
        self.unconfirmed.append(identifier)
        self.most_unconfirmed = max(self.most_unconfirmed, len(self.unconfirmed))

    def confirmed(self, timeout):
        found = self.unconfirmed if self.confirms else []
        self.unconfirmed = [] if self.confirms else self.unconfirmed
        return found

    def receive(self, timeout):
        return self.waiting.pop(0) if self.waiting else None

    def acknowledge(self, delivery):
        self.acknowledged.append(delivery.id)

    def close(self):
        self.is_open = False

    def offer(self, body, identifier="5f000000/5f000000000001"):
        self.waiting.append(Delivery(identifier, body, None))


@pytest.fixture
def transport(monkeypatch):
    """The broker in memory, in place of any other, for sender and receiver."""
    made = MemoryTransport()
    for module in ("ssm.sender", "ssm.receiver"):
        monkeypatch.setattr(module + ".open_transport", lambda protocol, settings: made)
    return made


@pytest.fixture
def outgoing(tmp_path):
    return OutgoingQueue(str(tmp_path / "outgoing"))


@pytest.fixture
def sender_settings(host, pki, outgoing, tmp_path):
    return SENDER.defaults(
        {
            "sender.protocol": "DIRECTORY",
            "certificates.certificate": host.certificate,
            "certificates.key": host.key,
            "certificates.capath": pki.ca_dir,
            "messaging.destination": str(tmp_path / "hand-over"),
            "messaging.path": outgoing.path,
            "messaging.receipt_timeout": 0.2,
        }
    )


@pytest.fixture
def receiver_settings(host, pki, tmp_path):
    return RECEIVER.defaults(
        {
            "receiver.protocol": "DIRECTORY",
            "certificates.certificate": host.certificate,
            "certificates.key": host.key,
            "certificates.capath": pki.ca_dir,
            "messaging.destination": str(tmp_path / "hand-over"),
            "messaging.path": str(tmp_path / "centre"),
        }
    )


@pytest.fixture
def receiver(tmp_path, trust, host):
    return Receiver(str(tmp_path / "centre"), trust, frozenset([host.dn]))


@pytest.fixture
def dns(tmp_path, host):
    path = str(tmp_path / "dns")
    with open(path, "w") as stream:
        stream.write(host.dn + "\n")
    return path


@pytest.fixture
def stop():
    return Stop()


def contents(queue):
    """Everything in a queue with a schema."""
    return [queue.get(element) for element in queue.ids()]
