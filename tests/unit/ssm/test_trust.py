"""Whether a signer is trusted: its authority, dates, revocation lists, key usage, broken certificates."""

import os
import shutil

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

import servers.pki as test_pki
import ssm.trust
from servers.pki import der
from ssm.errors import CryptoError, TrustError
from ssm.trust import TrustStore

# cryptography warns of mutated certificates that it will refuse some day.
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")


def test_trusted_signer_has_the_slash_name(pki, trust, host, ec_host):
    assert trust.check(der(host.certificate)) == "/C=XX/O=Test Grid/CN=host.example.org" == host.dn
    assert trust.check(der(ec_host.certificate)) == ec_host.dn


@pytest.mark.parametrize(("days", "reason"), [((-30, -1), "expired"), ((1, 30), "not yet valid")])
def test_certificate_out_of_its_dates_is_rejected(pki, trust, days, reason):
    """S2: expired, not yet valid."""
    with pytest.raises(CryptoError, match="Unverified signer: .*" + reason):
        trust.check(der(pki.issue("old.example.org", days=days)[0]))


def test_untrusted_signer_is_rejected(trust, foreign_host):
    """S2: the authority is not in the directory."""
    with pytest.raises(CryptoError, match="Unverified signer: unable to get local issuer certificate"):
        trust.check(der(foreign_host.certificate))


def test_self_signed_signer_is_rejected(trust, pki):
    """S2: nobody but itself vouches for it."""
    key = test_pki.new_key("ec")
    alone = test_pki.Authority.__new__(test_pki.Authority)
    alone.name, alone.key = test_pki.subject([("CN", "alone")]), key
    made = alone.sign(alone.name, key.public_key(), [], (-1, 1))
    with pytest.raises(CryptoError, match="(?i)Unverified signer: self.signed"):
        trust.check(made.public_bytes(test_pki.serialization.Encoding.DER))


def test_system_authorities_are_not_trusted_as_well(trust, pki, monkeypatch):
    """S2: only the directory counts, not what OpenSSL trusts by default."""
    monkeypatch.setenv("SSL_CERT_FILE", pki.foreign.path)
    monkeypatch.setenv("SSL_CERT_DIR", pki.new_ca_dir("default-trust", [pki.foreign]))
    with pytest.raises(CryptoError, match="Unverified signer"):
        trust.check(der(pki.foreign.issue("host.example.org")[0]))


def test_chain_through_an_intermediate(pki, trust):
    certificate = der(pki.intermediate.issue("deep.example.org")[0])
    with pytest.raises(CryptoError, match="local issuer"):
        trust.check(certificate)
    assert trust.check(certificate, [der(pki.intermediate.path)]).endswith("/CN=deep.example.org")


def test_host_certificate_as_an_authority_is_rejected(pki, trust, host):
    """S2: a host certificate that signed another is no authority."""
    fake = test_pki.Authority.__new__(test_pki.Authority)
    fake.name = test_pki.load(host.certificate).subject
    with open(host.key, "rb") as stream:
        fake.key = test_pki.serialization.load_pem_private_key(
            stream.read(), None, test_pki.default_backend()
        )
    key = test_pki.new_key("ec")
    name = test_pki.subject([("C", "XX"), ("CN", "evil.example.org")])
    forged = fake.sign(name, key.public_key(), [], (-1, 1)).public_bytes(test_pki.serialization.Encoding.DER)
    with pytest.raises(CryptoError, match="Unverified signer"):
        trust.check(forged, [der(host.certificate)])


def test_revoked_certificate_is_rejected(revoking):
    """S2: revoked; seen only when check_crls is on."""
    authority, folder = revoking
    certificate = authority.issue("gone.example.org")[0]
    authority.revoke(certificate)
    test_pki.trust(folder, authority)
    assert TrustStore(folder).check(der(certificate))
    with pytest.raises(CryptoError, match="Unverified signer: certificate revoked"):
        TrustStore(folder, check_crls=True).check(der(certificate))


def test_revocation_is_seen_by_a_running_receiver(revoking, monkeypatch):
    """S2: a new list is read, though OpenSSL would keep the old one; within a minute at the latest."""
    authority, folder = revoking
    certificate = authority.issue("gone.example.org")[0]
    store = TrustStore(folder, check_crls=True)
    assert store.check(der(certificate))
    authority.revoke(certificate)
    test_pki.trust(folder, authority)
    now = ssm.trust.time.monotonic()
    monkeypatch.setattr(ssm.trust.time, "monotonic", lambda: now + 61)
    with pytest.raises(CryptoError, match="revoked"):
        store.check(der(certificate))


@pytest.mark.parametrize(
    ("change", "reason"), [("stale", "CRL has expired"), ("missing", "unable to get certificate CRL")]
)
def test_stale_or_missing_list_is_rejected(revoking, change, reason):
    """S2: a stale list, or none, can't say that a certificate is good."""
    authority, folder = revoking
    certificate = authority.issue("host.example.org")[0]
    (path,) = (os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".r0"))
    if change == "stale":
        with open(path, "wb") as stream:
            stream.write(authority.crl(days=(-30, -1)))
    else:
        os.unlink(path)
    with pytest.raises(CryptoError, match=reason):
        TrustStore(folder, check_crls=True).check(der(certificate))
    assert TrustStore(folder).check(der(certificate))


@pytest.mark.parametrize("usage", [{}, {"digital_signature": True}, {"content_commitment": True}])
def test_key_usage_must_allow_signing(pki, trust, usage):
    """S2: wrong key usage."""
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    flags = {name: usage.get(name, name == "key_encipherment") for name in names}
    key = test_pki.new_key("ec")
    signed = pki.root.sign(
        test_pki.subject([("CN", "x")]), key.public_key(), [(x509.KeyUsage(**flags), True)], (-1, 1)
    )
    certificate = signed.public_bytes(test_pki.serialization.Encoding.DER)
    if usage:
        assert trust.check(certificate) == "/CN=x"
    else:
        with pytest.raises(CryptoError, match="key usage"):
            trust.check(certificate)


def test_certificate_with_another_purpose_is_accepted(pki, trust):
    """Host certificates rarely have the e-mail purpose; any is good."""
    for uses in (("server",), ("client",), ("email",)):
        assert trust.check(der(pki.issue("purpose.example.org", uses=uses)[0]))


def test_ca_directory_gone_or_empty_is_no_verdict(host, tmp_path):
    """Our own trouble: a message may not be rejected for it, it waits."""
    folder = tmp_path / "certificates"
    with pytest.raises(TrustError, match="Cannot read the CA directory"):
        TrustStore(str(folder)).check(der(host.certificate))
    folder.mkdir()
    with pytest.raises(TrustError, match="openssl rehash"):
        TrustStore(str(folder)).check(der(host.certificate))
    shutil.rmtree(str(folder))


def test_dangling_links_and_other_files_in_the_directory_are_no_trouble(revoking):
    authority, folder = revoking
    os.symlink("nowhere", os.path.join(folder, "00000000.r0"))
    os.symlink("nowhere.pem", os.path.join(folder, "11111111.0"))
    os.mkdir(os.path.join(folder, "22222222.0"))
    assert TrustStore(folder).check(der(authority.issue("host.example.org")[0]))


def test_certificate_that_only_openssl_can_not_read_is_rejected(trust, host):
    """S3: a name in broken UTF-8, which cryptography takes; it is no reason to wait for ever."""
    broken = der(host.certificate).replace(b"host.example.org", b"h\xff\xfet.example.org")
    with pytest.raises(CryptoError, match="Unverified signer: "):
        trust.check(broken)


@settings(max_examples=150, deadline=None)
@given(at=st.floats(0, 1), change=st.integers(1, 255))
def test_mutated_certificate_raises_only_crypto_errors(pki, at, change):
    """S3: a broken certificate in a message is a reason to reject it, never an exception."""
    data = bytearray(der(pki.root.path))
    data[int(at * (len(data) - 1))] ^= change
    with pytest.raises(CryptoError):
        TrustStore(pki.ca_dir).check(bytes(data))
