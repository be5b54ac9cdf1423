"""S14: messages rejected because something was not yet right are judged again by one command."""

import os

import pytest

from servers.pki import slash_dn, trust
from ssm.commands import ssmreceive
from ssm.credentials import load_credentials
from ssm.queues import INCOMING, REJECT, MessageQueue
from ssm.reasons import NOT_VERIFIED
from ssm.receiver import Receiver
from ssm.replay import replay_rejected
from ssm.transport import Delivery
from ssm.trust import TrustStore


def take(receiver, *messages):
    for number, message in enumerate(messages):
        receiver.take(Delivery("id-%d" % number, message, None))


def errors(receiver):
    return sorted(receiver.reject.get(element)["error"] for element in receiver.reject.ids())


def bodies(receiver):
    return [receiver.incoming.get(element)["body"] for element in receiver.incoming.ids()]


def test_signer_listed_too_late(receiver, host, another_host, foreign_host):
    """S14: once the name is on the list its messages verify again, and only those are put back."""
    take(receiver, another_host.sign("a"), foreign_host.sign("b"), another_host.sign("c"), b"garbage")
    before = errors(receiver)
    assert replay_rejected(receiver).accepted == 0
    assert errors(receiver) == before
    receiver.allowed = frozenset([another_host.dn])
    replayed = replay_rejected(receiver)
    assert (replayed.accepted, sum(replayed.left.values())) == (2, 2)
    assert sorted(bodies(receiver)) == ["a", "c"]
    (first, _) = (receiver.incoming.get(element) for element in receiver.incoming.ids())
    assert (first["signer"], first["empaid"]) == (another_host.dn, "id-0")
    assert errors(receiver) == [error for error in before if "not in valid DNs" not in error]
    assert all(receiver.reject.lock(element) for element in receiver.reject.ids()), "what is left is unlocked"


def test_id_of_an_archive_is_no_senders(receiver, host):
    """Nor that of a message which another receiver has rejected."""
    element = {
        "body": host.sign("x"),
        "signer": host.dn,
        "empaid": "archive/x",
        "error": "%sby mistake" % NOT_VERIFIED,
    }
    receiver.reject.add(element)
    assert replay_rejected(receiver).accepted == 1
    assert [receiver.incoming.get(name)["empaid"] for name in receiver.incoming.ids()] == ["sender/archive/x"]


def test_one_name_only(receiver, host, another_host):
    """S14: --dn puts back the messages of one signer."""
    receiver.allowed = frozenset()
    take(receiver, host.sign("a"), another_host.sign("b"), b"garbage")
    receiver.allowed = frozenset([host.dn, another_host.dn])
    assert replay_rejected(receiver, another_host.dn).accepted == 1
    assert bodies(receiver) == ["b"]
    assert len(errors(receiver)) == 2


def test_signer_is_verified_again(new_authority, tmp_path):
    """S14, S2: a certificate revoked meanwhile stays out."""
    authority, folder = new_authority(), str(tmp_path / "certificates")
    os.mkdir(folder)
    trust(folder, authority)
    certificate, key = authority.issue("late.example.org")
    receiver = Receiver(str(tmp_path / "centre"), TrustStore(folder, True), frozenset())
    take(receiver, load_credentials(certificate, key).signer().sign(b"x"))
    authority.revoke(certificate)
    trust(folder, authority)
    receiver = Receiver(
        str(tmp_path / "centre"), TrustStore(folder, True), frozenset([slash_dn(certificate)])
    )
    replayed = replay_rejected(receiver)
    assert (replayed.accepted, len(replayed.left)) == (0, 1)
    assert "revoked" in next(iter(replayed.left))


def test_stale_list_of_a_weekend(new_authority, tmp_path):
    """S2, S14: what was rejected for a stale revocation list comes back when the list is fresh."""
    authority, folder = new_authority(), str(tmp_path / "certificates")
    os.mkdir(folder)
    trust(folder, authority)
    (crl,) = (os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".r0"))
    with open(crl, "wb") as stream:
        stream.write(authority.crl(days=(-30, -1)))
    certificate, key = authority.issue("host.example.org")
    receiver = Receiver(
        str(tmp_path / "centre"), TrustStore(folder, True), frozenset([slash_dn(certificate)])
    )
    take(receiver, load_credentials(certificate, key).signer().sign(b"x"))
    assert "CRL has expired" in errors(receiver)[0]
    trust(folder, authority)
    assert replay_rejected(receiver).accepted == 1


def test_what_the_loader_rejected_is_not_touched(receiver, host):
    """S14: its content was refused, not its signer."""
    receiver.reject.add({"body": host.sign(), "signer": host.dn, "empaid": "1", "error": "Unknown field: X"})
    assert replay_rejected(receiver) == (0, {})
    assert receiver.reject.count() == 1


def test_element_in_other_hands_or_not_whole_is_left(receiver, host, caplog):
    receiver.allowed = frozenset()
    take(receiver, host.sign("a"), host.sign("b"))
    receiver.allowed = frozenset([host.dn])
    locked, broken = receiver.reject.ids()
    receiver.reject.lock(locked)
    os.unlink(os.path.join(receiver.reject.path, broken, "error"))
    assert replay_rejected(receiver) == (0, {})
    assert "has no error" in caplog.text


def test_stray_file_holds_up_no_message(receiver, host, caplog):
    """S14: one thing in the queue that is no message, or another user's, is passed over."""
    receiver.allowed = frozenset()
    take(receiver, host.sign("a"))
    receiver.allowed = frozenset([host.dn])
    with open(os.path.join(receiver.reject.path, "00000000", "00000000000001"), "w") as stream:
        stream.write("no directory")
    assert replay_rejected(receiver).accepted == 1
    assert "reject/00000000/00000000000001 is passed over" in caplog.text


def test_killed_in_the_middle_loses_nothing(receiver, host, monkeypatch):
    """S14: it is in incoming before it leaves reject."""
    receiver.allowed = frozenset()
    take(receiver, host.sign("a"))
    receiver.allowed = frozenset([host.dn])

    def die(self, element):
        raise KeyboardInterrupt

    monkeypatch.setattr(MessageQueue, "remove", die)
    with pytest.raises(KeyboardInterrupt):
        replay_rejected(receiver)
    assert (receiver.incoming.count(), receiver.reject.count()) == (1, 1)


def test_command(tmp_path, host, another_host, pki, dns, capsys):
    """S14: `ssmreceive --replay-rejected`, beside whatever else runs."""
    base = str(tmp_path / "centre")
    take(Receiver(base, TrustStore(pki.ca_dir), frozenset()), host.sign("a"), another_host.sign("b"))
    config = tmp_path / "receiver.cfg"
    config.write_text(
        "[receiver]\nprotocol = DIRECTORY\n[certificates]\ncertificate = %s\nkey = %s\ncapath = %s\n"
        "[messaging]\ndestination = %s\npath = %s\n[logging]\nlogfile = %s\n"
        % (host.certificate, host.key, pki.ca_dir, tmp_path / "hand-over", base, tmp_path / "log")
    )
    words = ["-c", str(config), "-d", dns, "--replay-rejected"]
    assert ssmreceive.main([*words, "--dn", another_host.dn]) == 0
    assert capsys.readouterr().out == (
        "0 put back into incoming, 1 left\n     1  Signer not in valid DNs list: %s\n" % another_host.dn
    )
    assert ssmreceive.main(words) == 0
    assert capsys.readouterr().out.startswith("1 put back into incoming, 1 left\n")
    assert MessageQueue(os.path.join(base, "incoming"), INCOMING).count() == 1
    assert MessageQueue(os.path.join(base, "reject"), REJECT).count() == 1
