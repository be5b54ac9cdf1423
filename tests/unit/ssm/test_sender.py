"""The sender on its bad days: what may be removed from the queue, and when."""

import os
import socket
import stat

import pytest
from cryptography import x509
from unit.ssm.conftest import fill

from apelcommon.daemon import Stop
from apelcommon.errors import ConfigError
from servers.pki import new_key, pem, subject
from ssm import smime
from ssm.credentials import load_credentials
from ssm.dnlist import DnList
from ssm.envelope import Decryptor
from ssm.errors import SigningError, StorageError, TransportError
from ssm.options import SENDER, check_sender
from ssm.queues import DirectoryQueue, OutgoingQueue
from ssm.receiver import receive
from ssm.sender import ReceiptTimeout, send_queue


def test_messages_are_signed_sent_and_removed(transport, outgoing, sender_settings, host):
    ids = fill(outgoing, 3)
    assert send_queue(sender_settings) == (3, 0, 0)
    assert [identifier for identifier, _ in transport.sent] == sorted(ids)
    signed = [smime.verify(body) for _, body in transport.sent]
    assert sorted(message.text for message in signed) == ["message 0", "message 1", "message 2"]
    assert outgoing.count() == 0
    assert not transport.is_open


def test_systemd_hears_of_every_message(transport, outgoing, sender_settings, tmp_path, monkeypatch):
    """A daemon that sends a long queue is at work, and no case for the watchdog."""
    fill(outgoing, 3)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert send_queue(sender_settings).sent == 3
        assert [systemd.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3


def test_empty_queue_needs_no_broker(transport, sender_settings, caplog):
    caplog.set_level("INFO")
    assert send_queue(sender_settings) == (0, 0, 0)
    assert transport.connects == 0
    assert "No messages found to send." in caplog.text


def test_several_are_on_the_way_but_no_more_than_the_window(transport, outgoing, sender_settings):
    sender_settings.messaging.window = 4
    fill(outgoing, 10)
    assert send_queue(sender_settings).sent == 10
    assert transport.most_unconfirmed == 4


@pytest.mark.parametrize("trouble", ["missing", "wrong pair", "garbage"])
def test_unusable_key_sends_and_removes_nothing(
    transport, outgoing, sender_settings, another_host, tmp_path, trouble
):
    """S4: the key can't be read, or is not the certificate's: nothing sent, nothing removed, an error."""
    fill(outgoing, 2)
    garbage = tmp_path / "garbage.key"
    garbage.write_text("-----BEGIN PRIVATE KEY-----\n")
    sender_settings.certificates.key = {
        "missing": str(tmp_path / "none"),
        "wrong pair": another_host.key,
        "garbage": str(garbage),
    }[trouble]
    with pytest.raises(SigningError):
        send_queue(sender_settings)
    assert transport.sent == []
    assert outgoing.count() == 2


def test_failing_signature_sends_and_removes_nothing(transport, outgoing, sender_settings, monkeypatch):
    """S4: signing itself fails in the middle: nothing is removed that was not sent, and locks are free."""
    fill(outgoing, 2)

    def fail(self, data):
        raise ValueError("the token is gone")

    monkeypatch.setattr(smime.Signer, "_signature", fail)
    with pytest.raises(SigningError, match="the token is gone"):
        send_queue(sender_settings)
    assert transport.sent == []
    assert outgoing.count() == 2
    assert all(outgoing.lock(element) for element in outgoing.ids())


def test_messages_are_encrypted_for_the_receiver(transport, outgoing, sender_settings, another_host):
    """Signed, then encrypted: only the receiver reads them."""
    fill(outgoing, 2)
    sender_settings.certificates.server_cert = another_host.certificate
    assert send_queue(sender_settings) == (2, 0, 0)
    receiver = load_credentials(another_host.certificate, another_host.key)
    keys = Decryptor([(receiver.certificate, receiver.key)])
    for _, body in transport.sent:
        assert b"x-pkcs7-mime; smime-type=enveloped-data" in body
        assert smime.verify(keys.open(body)).certificate == sender_settings_certificate(sender_settings)


def sender_settings_certificate(settings):
    own = settings.certificates
    return load_credentials(own.certificate, own.key).certificate


NOT_FOR_ENCRYPTION = x509.KeyUsage(True, False, False, False, False, False, False, False, False)


def receiver_without(pki, tmp_path, kind):
    """A receiver's certificate with which something is wrong."""
    path = str(tmp_path / "receiver.pem")
    if kind == "missing":
        return path
    if kind == "untrusted":
        return pki.foreign.issue("centre.example.org")[0]
    if kind in ("expired", "not yet valid", "ends today"):
        days = {"expired": (-30, -1), "not yet valid": (1, 30), "ends today": (-1, 0.5)}[kind]
        return pki.issue("centre.example.org", days=days)[0]
    data = b"no PEM"
    if kind in ("wrong usage", "wrong usage EC"):
        key = new_key("ec" if kind.endswith("EC") else "rsa").public_key()
        name = subject([("CN", "centre")])
        data = pem(pki.root.sign(name, key, [(NOT_FOR_ENCRYPTION, True)], (-1, 30)))
    with open(path, "wb") as stream:
        stream.write(data)
    return path


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("missing", "Cannot read the certificate"),
        ("garbage", "no certificate in PEM"),
        ("untrusted", "unable to get local issuer"),
        ("expired", "has expired"),
        ("not yet valid", "not valid before"),
        ("ends today", "within 24 hours"),
        ("wrong usage", "does not allow encryption"),
        ("wrong usage EC", "does not allow encryption"),
    ],
)
def test_bad_certificate_of_the_receiver_sends_nothing(
    transport, outgoing, sender_settings, pki, tmp_path, trouble, reason
):
    """S4: what can't be encrypted is not sent in the clear, and stays."""
    fill(outgoing, 1)
    sender_settings.certificates.server_cert = receiver_without(pki, tmp_path, trouble)
    with pytest.raises(SigningError, match=reason):
        send_queue(sender_settings)
    assert transport.sent == []
    assert outgoing.count() == 1


def test_trust_in_the_receiver_may_be_left_unchecked(transport, outgoing, sender_settings, pki):
    fill(outgoing, 1)
    sender_settings.certificates.server_cert = pki.foreign.issue("centre.example.org")[0]
    sender_settings.certificates.verify_server_cert = False
    assert send_queue(sender_settings) == (1, 0, 0)


def test_chain_may_stand_behind_the_receivers_certificate(transport, outgoing, sender_settings, pki):
    fill(outgoing, 1)
    sender_settings.certificates.server_cert = pki.intermediate.issue("centre.example.org")[0]
    assert send_queue(sender_settings) == (1, 0, 0)


def test_empty_message_is_never_sent(transport, outgoing, sender_settings, caplog):
    """S5: an empty message is put aside with its reason, and the others are sent."""
    for text in ("", " \n\t\n", "good"):
        outgoing.add(text)
    assert send_queue(sender_settings) == (1, 2, 0)
    assert [smime.verify(body).text for _, body in transport.sent] == ["good"]
    aside = os.listdir(os.path.join(outgoing.path, "failed"))
    assert len(aside) == 4
    assert "the message is empty" in caplog.text


def test_message_that_is_not_utf8_is_put_aside(transport, outgoing, sender_settings):
    outgoing.add(b"Site: \xd6sterreich")
    assert send_queue(sender_settings) == (0, 1, 0)
    assert transport.sent == []


def test_full_disk_under_failed_does_not_hold_up_the_others(
    transport, outgoing, sender_settings, monkeypatch
):
    """S10: what can't be put aside stays, and those behind it are sent: that makes room."""
    bad = outgoing.add("")
    outgoing.add("good")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ssm.filequeues.put_file", refuse)
    assert send_queue(sender_settings) == (1, 1, 1)
    monkeypatch.undo()
    assert list(outgoing.ids()) == [bad]
    assert not outgoing.is_locked(bad)


def test_no_receipt_keeps_the_messages(transport, outgoing, sender_settings):
    """S9: the broker takes them but says nothing: time-out, they stay, and the next run sends them."""
    fill(outgoing, 3)
    transport.confirms = False
    with pytest.raises(ReceiptTimeout, match="No receipt within"):
        send_queue(sender_settings)
    assert outgoing.count() == 3
    transport.confirms = True
    transport.sent.clear()
    transport.unconfirmed.clear()
    assert send_queue(sender_settings) == (3, 0, 0)


def test_receipt_timeout_is_a_failure_not_a_try_later():
    assert ReceiptTimeout.exit_status == 1
    assert TransportError.exit_status == 75
    assert SigningError.exit_status == 1


def test_line_breaking_keeps_what_was_not_confirmed(transport, outgoing, sender_settings):
    """S8, S9: the connection is lost in the middle: confirmed ones are gone, the others stay, unlocked."""
    sender_settings.messaging.window = 2
    fill(outgoing, 5)
    transport.breaks_after = 3
    with pytest.raises(TransportError, match="the line broke"):
        send_queue(sender_settings)
    assert outgoing.count() == 2
    transport.breaks_after = None
    assert send_queue(sender_settings) == (2, 0, 0)


def test_no_broker_removes_nothing(transport, outgoing, sender_settings):
    fill(outgoing, 2)
    transport.refuse = 1
    with pytest.raises(TransportError, match="no broker today"):
        send_queue(sender_settings)
    assert outgoing.count() == 2


def test_message_locked_by_another_sender_is_skipped(transport, outgoing, sender_settings):
    ids = fill(outgoing, 3)
    other = OutgoingQueue(outgoing.path)
    other.lock(ids[1])
    assert send_queue(sender_settings) == (2, 0, 1)
    assert ids[1] not in [identifier for identifier, _ in transport.sent]


def test_queue_that_cannot_be_listed_is_transient(transport, outgoing, sender_settings, monkeypatch):
    outgoing.add("x")

    def fail(self):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(OutgoingQueue, "ids", fail)
    with pytest.raises(StorageError, match="Input/output error"):
        send_queue(sender_settings)


def test_stop_ends_after_what_is_on_the_way(transport, outgoing, sender_settings):
    fill(outgoing, 3)
    stop = Stop()
    stop.set()
    assert send_queue(sender_settings, stop) == (0, 0, 3)


def test_told_to_end_while_receipts_are_waited_for(transport, outgoing, sender_settings):
    """S9: a broker that says nothing is not waited for as long as on other days; all is sent again."""
    fill(outgoing, 3)
    stop = Stop()
    transport.confirms = False
    sender_settings.messaging.receipt_timeout = 3600.0
    send = transport.send

    def send_and_be_told(identifier, body):
        send(identifier, body)
        stop.set()

    transport.send = send_and_be_told
    with pytest.raises(ReceiptTimeout, match="No receipt within 3 seconds"):
        send_queue(sender_settings, stop)
    assert outgoing.count() == 3


def test_directory_of_plain_files_is_sent(transport, sender_settings, tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "one.txt").write_text("one")
    sender_settings.messaging.path = str(folder)
    sender_settings.messaging.path_type = "directory"
    assert send_queue(sender_settings) == (1, 0, 0)
    assert transport.sent[0][0] == "one.txt"
    assert DirectoryQueue(str(folder)).count() == 0


def test_message_that_can_not_be_read_stays_and_stops_no_other(
    transport, outgoing, sender_settings, monkeypatch
):
    ids = fill(outgoing, 3)
    read = OutgoingQueue.read

    def fail(self, element):
        if element == ids[1]:
            raise PermissionError(13, "Permission denied")
        return read(self, element)

    monkeypatch.setattr(OutgoingQueue, "read", fail)
    assert send_queue(sender_settings) == (2, 1, 1)
    assert list(outgoing.ids()) == [ids[1]]
    assert outgoing.lock(ids[1])


def test_message_that_can_not_be_locked_stays_and_stops_no_other(
    transport, outgoing, sender_settings, caplog
):
    """Somebody else's file in the queue: the kernel refuses a hard link to it, as it does to a directory."""
    os.makedirs(os.path.join(outgoing.path, "00000000", "0" * 14))
    fill(outgoing, 2)
    assert send_queue(sender_settings) == (2, 1, 1)
    assert "can't be locked" in caplog.text


def defaults(**changes):
    options = {
        "messaging.destination": "/queue/x",
        "broker.host": "b",
        "broker.port": 61614,
        "sender.protocol": "STOMP",
    }
    options.update({name.replace("__", "."): value for name, value in changes.items()})
    return SENDER.defaults(options)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sender__protocol": "AMS", "messaging__ams_project": ""}, "ams_project is empty"),
        ({"broker__host": "a:b"}, "is neither a host nor host:port"),
        ({"messaging__max_size": -1}, "max_size must be 0 or more"),
        ({"broker__host": ""}, "host is missing"),
        ({"broker__port": None}, "port is missing"),
        ({"messaging__destination": ""}, "destination is empty"),
        ({"certificates__server_cert": "/etc/grid-security/hostcert.pem"}, "is our own certificate"),
        ({"messaging__window": 0}, "window"),
        ({"messaging__receipt_timeout": 0.0}, "receipt_timeout"),
    ],
)
def test_wrong_configuration_is_said(changes, problem):
    with pytest.raises(ConfigError, match=problem):
        check_sender(defaults(**changes))
    check_sender(defaults())


def test_all_problems_are_said_at_once():
    with pytest.raises(ConfigError) as caught:
        check_sender(defaults(broker__host="", broker__port=None, messaging__window=0))
    assert len(caught.value.problems) == 3


def test_files_are_private_enough(outgoing, sender_settings):
    """Nothing but the queue's own umask decides who may read a message."""
    element = outgoing.add("x")
    mode = stat.S_IMODE(os.stat(os.path.join(outgoing.path, element)).st_mode)
    assert mode == 0o666 & ~current_umask()


def current_umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_file_that_is_written_anew_while_it_is_sent_stays(transport, outgoing, sender_settings, monkeypatch):
    """A program that uses one file name again: what has come under it since it was read was never sent."""
    sender_settings.messaging.path_type = "directory"
    path = os.path.join(outgoing.path, "records.txt")
    with open(path, "w") as stream:
        stream.write("first")
    send = transport.send

    def meanwhile(identifier, body):
        send(identifier, body)
        with open(path + ".new", "w") as stream:
            stream.write("second")
        os.rename(path + ".new", path)
        monkeypatch.setattr(transport, "send", send)

    monkeypatch.setattr(transport, "send", meanwhile)
    assert send_queue(sender_settings) == (1, 0, 1)
    assert send_queue(sender_settings) == (1, 0, 0)
    assert [smime.verify(body).text for _, body in transport.sent] == ["first", "second"]


def test_files_of_one_name_are_put_aside_beside_each_other(transport, outgoing, sender_settings):
    """A message in failed is never written over by the next of its name."""
    sender_settings.messaging.path_type = "directory"
    texts = [b"\xffone", b"\xfftwo", b"\xffthree", b"\xffone"]
    for text in texts:
        with open(os.path.join(outgoing.path, "records.txt"), "wb") as stream:
            stream.write(text)
        assert send_queue(sender_settings) == (0, 1, 0)
    aside = os.path.join(outgoing.path, "failed")
    names = ["records.txt", "records.txt.2", "records.txt.3"]
    assert sorted(name for name in os.listdir(aside) if not name.endswith(".reason")) == names
    assert [open_bytes(os.path.join(aside, name)) for name in names] == texts[:3]


@pytest.mark.parametrize("name", [b"line\nend", b"caf\xe9", b"x\ry"])
def test_file_with_an_odd_name_is_sent(name, outgoing, sender_settings, receiver_settings, dns):
    """S9: an id in a header, or on a line, is text on one line, whatever the file is called."""
    sender_settings.messaging.path_type = "directory"
    with open(os.path.join(os.fsencode(outgoing.path), name), "wb") as stream:
        stream.write(b"text")
    assert send_queue(sender_settings) == (1, 0, 0)
    assert receive(receiver_settings, DnList(dns), Stop(), idle=0) == (1, 0)


def open_bytes(path):
    with open(path, "rb") as stream:
        return stream.read()
