"""Our certificate and key at the start: what must be right before anything is sent."""

import os
import subprocess

import pytest

from ssm.credentials import load_credentials
from ssm.errors import SigningError


def test_good_pair_is_read(host, ec_host):
    assert load_credentials(host.certificate, host.key).name == host.dn
    assert load_credentials(ec_host.certificate, ec_host.key).name == ec_host.dn


def test_certificate_with_its_chain_is_read(pki):
    certificate, key = pki.intermediate.issue("deep.example.org")
    assert load_credentials(certificate, key).name.endswith("/CN=deep.example.org")


def test_wrong_pair_is_said(host, another_host):
    """S4: the key is not the certificate's."""
    with pytest.raises(SigningError, match="not a pair"):
        load_credentials(host.certificate, another_host.key)


@pytest.mark.parametrize(
    ("days", "reason"),
    [((-30, -1), "has expired"), ((1, 30), "not valid before"), ((-1, 0.5), "within 24 hours")],
)
def test_certificate_out_of_its_dates_is_said(pki, days, reason):
    with pytest.raises(SigningError, match=reason):
        load_credentials(*pki.issue("dates.example.org", days=days))


def test_certificate_that_ends_soon_is_warned_of(pki, caplog):
    load_credentials(*pki.issue("soon.example.org", days=(-1, 10)))
    assert "renew it" in caplog.text


def test_unreadable_files_are_said(host, tmp_path):
    """S4: the key or certificate is missing, no PEM, or encrypted."""
    missing, garbage = str(tmp_path / "missing"), tmp_path / "garbage"
    garbage.write_text("no PEM")
    encrypted = str(tmp_path / "encrypted")
    subprocess.run(
        ["openssl", "pkey", "-in", host.key, "-aes256", "-passout", "pass:x", "-out", encrypted], check=True
    )
    for certificate, key, reason in (
        (missing, host.key, "Cannot read the certificate"),
        (host.certificate, missing, "Cannot read the key"),
        (str(garbage), host.key, "no certificate in PEM"),
        (host.certificate, str(garbage), "no private key in PEM"),
        (host.certificate, encrypted, "is encrypted"),
    ):
        with pytest.raises(SigningError, match=reason):
            load_credentials(certificate, key)


def test_key_open_to_others_is_warned_of(pki, caplog):
    certificate, key = pki.issue("open.example.org")
    os.chmod(key, 0o644)
    load_credentials(certificate, key)
    assert "may be read by others" in caplog.text
