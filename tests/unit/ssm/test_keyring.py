"""The receiver's own keys through renewals of its certificate."""

import shutil

import pytest

import ssm.keyring
from ssm.credentials import load_credentials
from ssm.envelope import Encryptor
from ssm.errors import CryptoError
from ssm.keyring import KeyRing


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set forward."""

    class Clock:
        now = 1000.0

    clock = Clock()
    monkeypatch.setattr(ssm.keyring.time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def place(pki, tmp_path):
    """Where the receiver's certificate and key are, and a way to put others there."""

    class Place:
        certificate, key = str(tmp_path / "hostcert.pem"), str(tmp_path / "hostkey.pem")

        def renew(self, days=(-1, 30)):
            """Put a new pair there; what encrypts for it."""
            certificate, key = pki.issue("centre.example.org", days=days)
            shutil.copy(certificate, self.certificate)
            shutil.copy(key, self.key)
            own = load_credentials(certificate, key)
            return Encryptor(own.certificate, own.key.public_key())

    return Place()


def test_renewed_certificate_is_taken_up_and_the_former_still_opens(place, clock):
    """A sender may have the former certificate for a while yet."""
    former = place.renew().encrypt(b"a")
    keys = KeyRing(place.certificate, place.key)
    new = place.renew().encrypt(b"b")
    assert keys.open(former) == b"a"
    with pytest.raises(CryptoError, match="not for our certificate"):
        keys.open(new)
    clock.now += 61
    assert (keys.open(former), keys.open(new)) == (b"a", b"b")


def test_bad_renewal_leaves_the_last_good_pair_in_use(place, clock, pki, caplog):
    message = place.renew().encrypt(b"a")
    keys = KeyRing(place.certificate, place.key)
    shutil.copy(pki.issue("centre.example.org")[1], place.key)
    clock.now += 61
    assert keys.open(message) == b"a"
    assert "not a pair. What was read before stays in use." in caplog.text


def test_end_of_the_certificate_is_said_every_day(place, clock, caplog):
    """Two weeks before its end and until it is renewed: a daemon may run for months."""
    place.renew(days=(-1, 10))
    keys = KeyRing(place.certificate, place.key)
    assert caplog.text.count("renew it") > 0
    caplog.clear()
    for _ in range(3 * 24 * 60):
        clock.now += 60
        keys.refresh()
    assert caplog.text.count("renew it") == 3
