"""How long it is remembered that a signer is trusted: a minute, unless something changes."""

import os

import pytest

import servers.pki as test_pki
import ssm.trust
from servers.pki import der
from ssm.errors import CryptoError
from ssm.trust import TrustStore


def test_verdict_is_kept_for_a_minute(trust, host, monkeypatch):
    checks = []
    real = ssm.trust.verify_chain
    monkeypatch.setattr(ssm.trust, "verify_chain", lambda *args: checks.append(1) or real(*args))
    for _ in range(5):
        trust.check(der(host.certificate))
    assert len(checks) == 1
    now = ssm.trust.time.monotonic()
    monkeypatch.setattr(ssm.trust.time, "monotonic", lambda: now + 61)
    trust.check(der(host.certificate))
    assert len(checks) == 2


def test_verdict_ends_when_the_directory_changes(new_authority, tmp_path):
    authority, folder = new_authority(), str(tmp_path / "certificates")
    os.mkdir(folder)
    test_pki.trust(folder, authority)
    store = TrustStore(folder)
    certificate = der(authority.issue("host.example.org")[0])
    assert store.check(certificate)
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    test_pki.trust(folder, new_authority("Other CA"))
    with pytest.raises(CryptoError, match="Unverified signer"):
        store.check(certificate)


def test_list_written_over_in_its_place_is_seen_within_a_second(revoking, clock):
    """S2: the directory itself doesn't change then."""
    authority, folder = revoking
    certificate = der(authority.issue("gone.example.org")[0])
    store = TrustStore(folder, check_crls=True)
    assert store.check(certificate)
    authority.revoke(authority_certificate_path(authority))
    (path,) = (os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".r0"))
    with open(path, "r+b") as stream:
        stream.write(authority.crl())
        stream.truncate()
    clock.now += 1.01
    with pytest.raises(CryptoError, match="revoked"):
        store.check(certificate)


def authority_certificate_path(authority):
    """The certificate that an authority issued first."""
    return os.path.join(authority.folder, "1-gone-example-org.pem")


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set forward; certificates know only the real one."""

    class Clock:
        now = 1000.0
        ahead = 0.0

    clock, real = Clock(), ssm.trust.time.time
    monkeypatch.setattr(ssm.trust.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(ssm.trust.time, "time", lambda: real() + clock.ahead)
    return clock


def test_verdict_ends_with_the_first_certificate_of_its_chain(pki, clock, monkeypatch):
    """S2: within its minute."""
    store = TrustStore(pki.ca_dir)
    certificate = der(pki.issue("brief.example.org", days=(-1, 20 / 86400))[0])
    checks = []
    real = ssm.trust.verify_chain
    monkeypatch.setattr(ssm.trust, "verify_chain", lambda *args: checks.append(1) or real(*args))
    for ahead, count in ((0, 1), (10, 1), (21, 2)):
        clock.ahead = ahead
        store.check(certificate)
        assert len(checks) == count
