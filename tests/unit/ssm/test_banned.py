"""S12: banned signers are refused though they are listed; a few messages are kept, a flood is dropped."""

import os

import pytest

import ssm.banned
from apelcommon.errors import ConfigError
from ssm.banned import BannedSigners
from ssm.dnlist import DnList
from ssm.receiver import Receiver, load_banned, receive
from ssm.transport import Delivery


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set forward."""

    class Clock:
        now = 1000.0

    clock = Clock()
    monkeypatch.setattr(ssm.banned.time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def banned_file(tmp_path, another_host):
    path = tmp_path / "banned-dns"
    path.write_text("# caught in May\n%s\n" % another_host.dn)
    return str(path)


@pytest.fixture
def receiver(tmp_path, trust, host, another_host, banned_file, clock):
    allowed = frozenset([host.dn, another_host.dn])
    return Receiver(str(tmp_path / "centre"), trust, allowed, None, BannedSigners(banned_file, 3))


def flood(receiver, message, count):
    for number in range(count):
        receiver.take(Delivery("id-%d" % number, message, None))


def test_banned_signer_floods(receiver, host, another_host, caplog):
    """S12: kept up to the cap, dropped above it, all of it counted; others are not concerned."""
    flood(receiver, another_host.sign(), 10)
    flood(receiver, host.sign(), 2)
    assert receiver.incoming.count() == 2
    assert receiver.reject.count() == 3
    assert receiver.result() == (2, 10)
    kept = [receiver.reject.get(element) for element in receiver.reject.ids()]
    assert {element["error"] for element in kept} == {"Signer is banned: " + another_host.dn}
    assert "1 messages of the banned signer %s dropped (1 of all" % another_host.dn in caplog.text
    assert len(caplog.records) < 8, "a flood of messages is no flood of log lines"
    receiver.banned.report()
    assert "6 messages of the banned signer %s dropped (7 of all" % another_host.dn in caplog.text


def test_cap_is_for_a_day(receiver, another_host, clock):
    """S12: what comes tomorrow is looked at, too."""
    flood(receiver, another_host.sign(), 5)
    clock.now += 86401
    flood(receiver, another_host.sign(), 5)
    assert receiver.reject.count() == 6
    assert receiver.banned.dropped == 4


def test_only_who_signed_is_banned(receiver, host, another_host):
    """S12, S1: a banned host's certificate that travels along bans nobody else."""
    flood(receiver, host.openssl_sign("x", "-certfile", another_host.certificate), 1)
    assert receiver.incoming.count() == 1


def test_banned_list_of_the_configuration_counts(
    transport, receiver_settings, dns, stop, host, another_host, banned_file, caplog
):
    """S12: [auth] banned-dns; the last report comes at the end."""
    with open(dns, "a") as stream:
        stream.write(another_host.dn + "\n")
    receiver_settings.auth.banned_dns, receiver_settings.auth.banned_kept = banned_file, 1
    for number in range(5):
        transport.offer(another_host.sign(), str(number))
    transport.offer(host.sign(), "good")
    assert receive(receiver_settings, DnList(dns), stop, idle=0) == (1, 5)
    assert len(transport.acknowledged) == 6
    assert (
        "3 messages of the banned signer %s dropped (4 of all in this run)" % another_host.dn in caplog.text
    )


def test_no_banned_list_bans_nobody(transport, receiver_settings, dns, stop, host, tmp_path):
    receiver_settings.auth.banned_dns = str(tmp_path / "none")
    transport.offer(host.sign())
    assert receive(receiver_settings, DnList(dns), stop, idle=0) == (1, 0)
    assert not os.path.exists(receiver_settings.auth.banned_dns)


@pytest.mark.parametrize("spelling", ["small types", "marked encoding", "line ends of Windows"])
def test_ban_holds_however_it_is_written(another_host, spelling, tmp_path):
    """S15: a ban that isn't taken for the signer's name would let its messages in."""
    dn = another_host.dn
    small = "".join("/%s=%s" % (kind.lower(), value) for kind, value in parts(dn))
    written = {"small types": small, "marked encoding": "\ufeff" + dn, "line ends of Windows": dn + "\r"}
    other = tmp_path / "other"
    other.write_bytes((written[spelling] + "\n").encode("utf-8"))
    assert dn in BannedSigners(str(other), 3)


def parts(dn):
    return [part.split("=", 1) for part in dn.split("/")[1:]]


def test_ban_of_a_name_that_may_begin_at_either_end(tmp_path, caplog):
    """S15: no country, no domain: both that it may be are banned, rather than nobody."""
    banned = tmp_path / "banned"
    banned.write_text("CN=host.example.org,O=eScience\n/O=Other/CN=plain\nrubbish\n")
    found = BannedSigners(str(banned), 3)
    assert "/O=eScience/CN=host.example.org" in found and "/CN=host.example.org/O=eScience" in found
    assert "/O=Other/CN=plain" in found and len(found.names) == 3
    assert "it bans both" in caplog.text and "line 3 is no DN" in caplog.text and "bans nobody" in caplog.text


def test_name_that_may_begin_at_either_end_lets_nobody_in(tmp_path, caplog):
    """S15: on the list of those who may send, only what is clear counts."""
    allowed = tmp_path / "dns"
    allowed.write_text("CN=host.example.org,O=eScience\n/O=Other/CN=plain\n")
    assert list(DnList(str(allowed))._names) == ["/O=Other/CN=plain"]
    assert "it lets nobody in" in caplog.text


@pytest.mark.parametrize("path", ["the same", "another"])
def test_hangup_while_the_banned_list_is_gone_bans_on(
    receiver_settings, banned_file, another_host, tmp_path, path
):
    """S11, S12: the last good list stays in force, with the caps of the new configuration."""
    receiver_settings.auth.banned_dns = banned_file
    before = load_banned(receiver_settings)
    os.unlink(banned_file)
    receiver_settings.auth.banned_kept = 77
    if path == "another":
        receiver_settings.auth.banned_dns = str(tmp_path / "elsewhere")
        with pytest.raises(ConfigError, match="there is no .*elsewhere, and 1 are banned"):
            load_banned(receiver_settings, before)
        return
    after = load_banned(receiver_settings, before)
    assert another_host.dn in after and after.most_kept == 77
