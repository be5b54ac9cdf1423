"""The receiver on its bad days: what is accepted, what is rejected and why, and when it says so."""

import logging
import os
import socket

import pytest

import servers.pki as test_pki
import ssm.receiver
from apelcommon.daemon import Stop
from apelcommon.errors import ConfigError
from apelcommon.ids import is_of_archive
from ssm import smime
from ssm.credentials import load_credentials
from ssm.dnlist import DnList
from ssm.envelope import Encryptor
from ssm.errors import SigningError, StorageError, TransportError
from ssm.options import RECEIVER, check_receiver
from ssm.queues import MessageQueue
from ssm.receiver import receive
from ssm.transport import Delivery
from ssm.trust import TrustStore


def contents(queue):
    return [queue.get(element) for element in queue.ids()]


def deliver(receiver, body, identifier="5f000000/5f000000000001"):
    receiver.take(Delivery(identifier, body, None))


def only_rejected(receiver):
    assert receiver.incoming.count() == 0
    (element,) = contents(receiver.reject)
    return element


def test_good_message_is_stored(receiver, host):
    deliver(receiver, host.sign("Site: Zoë"))
    (element,) = contents(receiver.incoming)
    assert element == {"body": "Site: Zoë", "signer": host.dn, "empaid": "5f000000/5f000000000001"}
    assert receiver.result() == (1, 0)


def test_message_without_an_id_is_stored(receiver, host):
    deliver(receiver, host.sign("x"), "")
    assert contents(receiver.incoming)[0]["empaid"] == "noid"


@pytest.mark.parametrize("identifier", ["archive/SITE.2024-03-1", " archive/x", "\u3000archive/x"])
def test_id_of_an_archive_is_no_senders(receiver, host, identifier):
    """The loader takes what has one for older than all that is there, and lets it correct nothing."""
    deliver(receiver, host.sign("x"), identifier)
    (element,) = contents(receiver.incoming)
    assert element["empaid"] == "sender/" + identifier.strip()
    assert is_of_archive(identifier) and not is_of_archive(element["empaid"])


def test_ping_is_ignored(receiver):
    deliver(receiver, b"anything", "ping")
    assert (receiver.incoming.count(), receiver.reject.count()) == (0, 0)


@pytest.mark.parametrize("body", [b"", b" \n\t"])
def test_empty_message_is_rejected(receiver, body):
    """S5: an empty message is rejected at the receiver."""
    deliver(receiver, body)
    element = only_rejected(receiver)
    assert element["error"] == "Empty text passed to _handle_msg."
    assert element["signer"] == "Not available."


def test_signed_emptiness_is_rejected(receiver, host):
    """S5: the signature is right, but nothing is in it."""
    deliver(receiver, host.sign(""))
    assert only_rejected(receiver)["error"] == "Empty text passed to _handle_msg."


def test_tampered_message_is_rejected(receiver, host):
    """S3: kept as it came, with the reason."""
    message = host.sign("Site: Aye").replace(b"Aye", b"Bee")
    deliver(receiver, message)
    element = only_rejected(receiver)
    assert element["error"] == (
        "Failed to verify message: the text is not what was signed (the digests differ)"
    )
    assert element["signer"] == "Not available."
    assert element["body"] == message.decode()


def encrypted(message, receiver):
    own = load_credentials(receiver.certificate, receiver.key)
    return Encryptor(own.certificate, own.key.public_key()).encrypt(message)


def test_encrypted_message_is_stored(transport, receiver_settings, dns, stop, host, centre):
    transport.offer(encrypted(host.sign("Site: Zoë"), host))
    assert receive(receiver_settings, DnList(dns), stop, idle=0) == (1, 0)
    assert centre.incoming()[0]["body"] == "Site: Zoë"


def test_message_encrypted_for_another_is_rejected(receiver, host, another_host):
    """Kept as it came: with the right key it can be read yet."""
    message = encrypted(host.sign(), another_host)
    deliver(receiver, message)
    element = only_rejected(receiver)
    assert element["error"].startswith("Failed to decrypt message: it is encrypted")
    assert element["body"] == message.decode()


@pytest.mark.parametrize("trouble", ["expired", "wrong pair"])
def test_bad_certificate_of_our_own_does_not_start(receiver_settings, dns, stop, pki, host, trouble):
    if trouble == "expired":
        certificate, key = pki.issue("old.example.org", days=(-30, -1))
    else:
        certificate, key = host.certificate, pki.issue("other.example.org")[1]
    receiver_settings.certificates.certificate, receiver_settings.certificates.key = certificate, key
    with pytest.raises(SigningError, match="has expired|not a pair"):
        receive(receiver_settings, DnList(dns), stop, idle=0)


def test_directory_needs_no_key_of_ours(transport, receiver_settings, dns, stop, host, tmp_path, centre):
    receiver_settings.certificates.key = str(tmp_path / "none")
    transport.offer(host.sign("a"), "1")
    transport.offer(encrypted(host.sign("b"), host), "2")
    assert receive(receiver_settings, DnList(dns), stop, idle=0) == (1, 1)
    assert "no certificate and key to decrypt with" in centre.rejected()[0]["error"]


def test_bytes_that_are_no_text_are_rejected_and_kept(receiver):
    """S3: non-ASCII bytes crashed the incumbent's receiver."""
    deliver(receiver, b"\xff\xfe\x00 garbage")
    (element,) = receiver.reject.ids()
    assert receiver.reject.read(element)["body"] == b"\xff\xfe\x00 garbage"
    assert only_rejected(receiver)["error"].startswith("Failed to verify message: ")


@pytest.mark.parametrize(("days", "reason"), [((-30, -1), "expired"), ((1, 30), "not yet valid")])
def test_certificate_out_of_its_dates_is_rejected(receiver, pki, days, reason):
    """S2: the reason is kept with the message."""
    certificate, key = pki.issue("old.example.org", days=days)
    deliver(receiver, sign_with(certificate, key))
    element = only_rejected(receiver)
    assert element["error"].startswith("Failed to verify message: Unverified signer: ")
    assert reason in element["error"]
    assert element["signer"] == "Not available."


def test_untrusted_signer_is_rejected(receiver, foreign_host):
    """S2: signed well, but by a stranger, though with a name that is listed."""
    receiver.allowed = frozenset([foreign_host.dn])
    deliver(receiver, foreign_host.sign())
    assert only_rejected(receiver)["error"].startswith("Failed to verify message: Unverified signer: ")


def test_revoked_signer_is_rejected(tmp_path, new_authority):
    """S2: revoked, with check_crls on."""
    authority, folder = new_authority(), str(tmp_path / "certificates")
    os.mkdir(folder)
    certificate, key = authority.issue("gone.example.org")
    authority.revoke(certificate)
    test_pki.trust(folder, authority)
    receiver = ssm.receiver.Receiver(
        str(tmp_path), TrustStore(folder, True), frozenset([test_pki.slash_dn(certificate)])
    )
    deliver(receiver, sign_with(certificate, key))
    assert "certificate revoked" in only_rejected(receiver)["error"]


def sign_with(certificate, key):
    with open(certificate, "rb") as stream:
        der = test_pki.x509.load_pem_x509_certificate(stream.read(), test_pki.default_backend())
    with open(key, "rb") as stream:
        private = test_pki.serialization.load_pem_private_key(stream.read(), None, test_pki.default_backend())
    return smime.Signer(der.public_bytes(test_pki.serialization.Encoding.DER), private).sign(b"x")


def test_signer_who_is_not_listed_is_rejected(receiver, another_host):
    """S14: kept as signed, so that it can be accepted later."""
    message = another_host.sign("Site: Aye")
    deliver(receiver, message)
    element = only_rejected(receiver)
    assert element["error"] == "Signer not in valid DNs list: " + another_host.dn
    assert element["signer"] == another_host.dn
    assert element["body"] == message.decode()


def test_name_in_the_certificate_of_another_does_not_count(receiver, host, another_host):
    """S1: a listed host's certificate travels along, but another one signed."""
    message = another_host.openssl_sign("Site: Aye", "-certfile", host.certificate)
    deliver(receiver, message)
    assert only_rejected(receiver)["signer"] == another_host.dn


@pytest.mark.parametrize(
    "rdns",
    [
        [("C", "XX"), ("O", "Test Grid/CN=host.example.org")],
        [("C", "XX"), ("O", "Test Grid"), ("CN", "x/1.2.3=y")],
        [("C", "XX"), ("O", "Test Grid"), ("CN", "Zo\\xC3\\xAB")],
    ],
    ids=["two parts", "a number", "letters"],
)
def test_part_of_a_name_that_reads_as_several_is_rejected(receiver, pki, rdns):
    """S15: one part `Test Grid/CN=host` has the slash form of two, and would pass for the listed name."""
    deliver(receiver, sign_with(*pki.issue("", rdns=rdns)))
    assert "a part of its name reads as several" in only_rejected(receiver)["error"]


def test_slash_and_equals_sign_in_a_name_are_no_trouble(tmp_path, trust, pki):
    """S15: `host/a.b.c` is a usual CN."""
    certificate, key = pki.issue("", rdns=[("C", "XX"), ("O", "a=b"), ("CN", "host/a.b.c")])
    receiver = ssm.receiver.Receiver(str(tmp_path), trust, frozenset(["/C=XX/O=a=b/CN=host/a.b.c"]))
    deliver(receiver, sign_with(certificate, key))
    assert receiver.incoming.count() == 1


@pytest.mark.parametrize("where", ["judge", "trust"])
def test_internal_error_rejects_the_message_and_the_loop_lives(receiver, host, monkeypatch, where):
    """S3: never an exception that ends the loop, even if it is our own fault."""

    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(receiver, "judge", fail) if where == "judge" else monkeypatch.setattr(
        receiver.trust, "check", fail
    )
    deliver(receiver, host.sign())
    assert "internal error: RuntimeError: a bug" in only_rejected(receiver)["error"]


# The loop


@pytest.fixture
def centre(tmp_path):
    class Centre:
        def incoming(self):
            return contents(MessageQueue(str(tmp_path / "centre" / "incoming"), ssm.receiver.INCOMING))

        def rejected(self):
            return contents(MessageQueue(str(tmp_path / "centre" / "reject"), ssm.receiver.REJECT))

    return Centre()


def test_queue_is_drained_once(transport, receiver_settings, dns, stop, host, centre):
    transport.offer(host.sign("a"), "1")
    transport.offer(b"garbage", "2")
    transport.offer(b"", "ping")
    transport.offer(host.sign("b"), "3")
    assert receive(receiver_settings, DnList(dns), stop, idle=5.0) == (2, 1)
    assert transport.acknowledged == ["1", "2", "ping", "3"]
    assert [element["body"] for element in centre.incoming()] == ["a", "b"]
    assert not transport.is_open


def test_acknowledged_only_when_on_disk(transport, receiver_settings, dns, stop, host, monkeypatch):
    """S6: the acknowledgement comes after fsync and rename; a crash before it loses nothing."""
    transport.offer(host.sign("a"))
    order = []
    fsync, rename, acknowledge = os.fsync, os.rename, transport.acknowledge
    monkeypatch.setattr(os, "fsync", lambda descriptor: order.append("fsync") or fsync(descriptor))
    monkeypatch.setattr(os, "rename", lambda *paths: order.append("rename") or rename(*paths))
    monkeypatch.setattr(
        transport, "acknowledge", lambda delivery: order.append("ack") or acknowledge(delivery)
    )
    receive(receiver_settings, DnList(dns), stop, idle=0)
    assert order.index("ack") == len(order) - 1
    assert order[: order.index("rename")].count("fsync") >= 4
    assert order[order.index("rename") : -1].count("fsync") >= 1


class Crash(BaseException):
    """kill -9, as far as Python can show it."""


@pytest.mark.parametrize("moment", ["write_file", "new_name"])
def test_killed_before_it_is_on_disk_acknowledges_nothing(
    transport, receiver_settings, dns, stop, host, monkeypatch, moment, centre
):
    """S6: killed between delivery and disk."""
    transport.offer(host.sign("a"))

    def die(*_):
        raise Crash

    monkeypatch.setattr("ssm.queues." + moment, die)
    with pytest.raises(Crash):
        receive(receiver_settings, DnList(dns), stop, idle=0)
    monkeypatch.undo()
    assert transport.acknowledged == []
    assert centre.incoming() == []


def test_full_disk_waits_and_resumes(transport, receiver_settings, dns, host, monkeypatch, centre, caplog):
    """S7: no acknowledgement while the disk is full; when space is back it goes on by itself."""
    transport.offer(host.sign("a"))
    stop = ImpatientStop(4)
    full = [True, True]
    add = MessageQueue.add

    def add_if_space(self, data):
        if full:
            full.pop()
            assert transport.acknowledged == []
            raise StorageError("Cannot add to the queue: No space left on device.")
        return add(self, data)

    monkeypatch.setattr(MessageQueue, "add", add_if_space)
    assert receive(receiver_settings, DnList(dns), stop) == (1, 0)
    assert len(transport.acknowledged) == 1
    assert len(centre.incoming()) == 1
    assert stop.waits[1] > stop.waits[0] > 0, "with growing pauses"
    assert "Nothing is acknowledged" in caplog.text


def test_ca_directory_gone_rejects_nothing(transport, receiver_settings, dns, host, tmp_path, centre):
    """Our trouble is not the sender's: the message waits."""
    transport.offer(host.sign("a"))
    receiver_settings.certificates.capath = str(tmp_path / "gone")
    assert receive(receiver_settings, DnList(dns), ImpatientStop(2)) == (0, 0)
    assert transport.acknowledged == []
    assert centre.rejected() == []


@pytest.fixture(autouse=True)
def whole_waits(monkeypatch):
    """A pause is one wait, whatever systemd wants to hear meanwhile."""
    monkeypatch.setattr("ssm.receiver.wait_and_beat", lambda stop, seconds, beat: stop.wait(seconds))


class ImpatientStop(Stop):
    """Doesn't wait, and stops after so many waits."""

    def __init__(self, most):
        super().__init__()
        self.most = most
        self.waits = []

    def wait(self, seconds):
        self.waits.append(seconds)
        if len(self.waits) >= self.most:
            self.set()
        return self.is_set()

    def is_set(self):
        # A loop that finds nothing to do ends the test, too.
        self.looks = getattr(self, "looks", 0) + 1
        return super().is_set() or self.looks > 50


def test_broker_gone_is_tried_for_ever(transport, receiver_settings, dns, host, centre, caplog):
    """S8: reconnects with growing, jittered pauses, and takes what then comes."""
    transport.refuse = 8
    transport.offer(host.sign("a"))
    stop = ImpatientStop(100)
    assert receive(receiver_settings, DnList(dns), stop) == (1, 0)
    assert transport.connects == 9
    assert stop.waits[0] < stop.waits[3] < stop.waits[-1] <= 75
    assert "Trying again" in caplog.text


def test_broker_that_is_away_at_the_start_is_no_failed_start(
    transport, receiver_settings, dns, tmp_path, monkeypatch
):
    """systemd waits for READY=1, and would stop a receiver that doesn't say it in time."""
    transport.refuse = 3
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        receive(receiver_settings, DnList(dns), ImpatientStop(2))
        assert systemd.recv(100) == b"READY=1"


def test_broker_gone_fails_a_single_run(transport, receiver_settings, dns, stop):
    transport.refuse = 1
    with pytest.raises(TransportError):
        receive(receiver_settings, DnList(dns), stop, idle=1.0)


def test_line_breaking_at_the_acknowledgement_means_twice(
    transport, receiver_settings, dns, host, monkeypatch, centre
):
    """S8: stored but not acknowledged: it comes again, and is stored again; never lost."""
    transport.offer(host.sign("a"))
    transport.offer(host.sign("a"))
    acknowledge = transport.acknowledge
    breaks = [True]

    def maybe(delivery):
        if breaks:
            breaks.pop()
            raise TransportError("the line broke")
        acknowledge(delivery)

    monkeypatch.setattr(transport, "acknowledge", maybe)
    assert receive(receiver_settings, DnList(dns), ImpatientStop(50)) == (2, 0)
    assert transport.connects == 2


def test_new_names_are_taken_up_while_it_runs(
    transport, receiver_settings, dns, stop, host, another_host, monkeypatch, centre
):
    """S11: the list is looked at for every message."""
    monkeypatch.setattr("ssm.dnlist.LOOK_SECONDS", 0)
    monkeypatch.setattr("ssm.dnlist.SETTLED_SECONDS", 0)
    transport.offer(another_host.sign("early"), "1")
    transport.offer(another_host.sign("late"), "2")
    acknowledge = transport.acknowledge

    def then_list(delivery):
        acknowledge(delivery)
        with open(dns, "a") as stream:
            stream.write(another_host.dn + "\n")

    monkeypatch.setattr(transport, "acknowledge", then_list)
    assert receive(receiver_settings, DnList(dns), stop, idle=0) == (1, 1)
    assert [element["body"] for element in centre.incoming()] == ["late"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"reject.max_mb": -1}, "max_mb and max_days must be 0 or more"),
        ({"broker.host": ""}, "host is missing"),
        ({"messaging.prefetch": 0}, "prefetch"),
    ],
)
def test_wrong_configuration_is_said(changes, problem):
    good = {
        "messaging.destination": "/queue/x",
        "broker.host": "b",
        "broker.port": 1,
        "receiver.protocol": "STOMP",
    }
    check_receiver(RECEIVER.defaults(good))
    with pytest.raises(ConfigError, match=problem):
        check_receiver(RECEIVER.defaults(dict(good, **changes)))


def test_log_says_what_became_of_each_message(receiver, host, caplog):
    caplog.set_level(logging.INFO)
    deliver(receiver, host.sign("x"), "id-1")
    deliver(receiver, b"garbage", "id-2")
    assert "Message id-1 from %s stored (incoming/" % host.dn in caplog.text
    assert "Message id-2 from Not available. rejected (reject/" in caplog.text
