"""Whether a signer is trusted: chains, dates, revocation lists, key usage, and how long a verdict is kept."""

import os
import shutil

import pytest
from asn1crypto import pem
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

import servers.pki as test_pki
import ssm.trust
from servers import oddpki
from ssm.errors import CryptoError, TrustError
from ssm.trust import TrustStore

# cryptography warns of mutated certificates that it will refuse some day.
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")


def der(path):
    with open(path, "rb") as stream:
        return pem.unarmor(stream.read(), multiple=False)[2]


def der_of_first(path):
    with open(path, "rb") as stream:
        return next(pem.unarmor(stream.read(), multiple=True))[2]


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
        trust.check(der_of_first(pki.foreign.issue("host.example.org")[0]))


def test_chain_through_an_intermediate(pki, trust):
    certificate = der_of_first(pki.intermediate.issue("deep.example.org")[0])
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


@pytest.fixture
def revoking(new_authority, tmp_path):
    """An authority of its own, and its directory."""
    authority = new_authority("Revoking CA")
    folder = str(tmp_path / "certificates")
    os.mkdir(folder)
    test_pki.trust(folder, authority)
    return authority, folder


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
    """Host certificates rarely have the e-mail purpose; any is good (messages.md 11.3, 4)."""
    for uses in (("server",), ("client",), ("email",)):
        assert trust.check(der(pki.issue("purpose.example.org", uses=uses)[0]))


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


def test_ca_directory_gone_or_empty_is_no_verdict(host, tmp_path):
    """Our own trouble: a message may not be rejected for it, it waits."""
    folder = tmp_path / "certificates"
    with pytest.raises(TrustError, match="Cannot read the CA directory"):
        TrustStore(str(folder)).check(der(host.certificate))
    folder.mkdir()
    with pytest.raises(TrustError, match="openssl rehash"):
        TrustStore(str(folder)).check(der(host.certificate))
    shutil.rmtree(str(folder))


# Chains: what OpenSSL alone would take


def chain_of(pair, *behind):
    """The certificate in a file, and those in the other files, in DER."""
    return der_of_first(pair.certificate), [der_of_first(one.certificate) for one in behind]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"extensions": "keyUsage=critical,keyCertSign"}, "[Ii]nvalid CA"),
        ({"extensions": "subjectKeyIdentifier=hash"}, "[Ii]nvalid CA"),
        ({"extensions": "basicConstraints=critical,CA:FALSE"}, "[Ii]nvalid CA"),
        ({"extensions": "basicConstraints=CA:TRUE\nkeyUsage=digitalSignature"}, "[Ii]nvalid CA|usage"),
        ({"digest": "sha1"}, "CN=middle: the certificate is signed with sha1"),
        ({"digest": "md5"}, "CN=middle: the certificate is signed with md5"),
        ({"key": ("-newkey", "rsa:1024")}, "CN=middle: an RSA key of 1024 bits"),
        (
            {"key": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-224")},
            "CN=middle: an EC key of 224 bits",
        ),
        ({"subject": "/C=XX/O=Grid\\/CN=middle"}, "a part of its name reads as several"),
    ],
)
def test_bad_intermediate_is_rejected(pki, trust, tmp_path, wrong, reason):
    """S2: an authority on the way to the root that is none, or that anybody could be."""
    options = dict({"extensions": oddpki.AUTHORITY}, **wrong)
    middle = oddpki.issue(oddpki.as_pair(pki.root), str(tmp_path / "middle"), **options)
    certificate, others = chain_of(oddpki.issue(middle, str(tmp_path / "host")), middle)
    with pytest.raises(CryptoError, match="Unverified signer: .*" + reason):
        trust.check(certificate, others)


def test_length_of_a_chain_is_limited(pki, trust, tmp_path):
    """S2: by the authorities themselves (pathlen), and by us."""
    pairs = [oddpki.as_pair(pki.root)]
    for number in range(10):
        stem = str(tmp_path / ("level%d" % number))
        pairs.append(oddpki.issue(pairs[-1], stem, extensions=oddpki.AUTHORITY))
    host = oddpki.issue(pairs[8], str(tmp_path / "host"))
    assert trust.check(*chain_of(host, *pairs[1:9])).endswith("/CN=host")
    host = oddpki.issue(pairs[9], str(tmp_path / "deep"))
    with pytest.raises(CryptoError, match="a chain of 11 certificates; at most 10"):
        trust.check(*chain_of(host, *pairs[1:10]))
    short = oddpki.issue(
        pairs[0], str(tmp_path / "short"), extensions=oddpki.AUTHORITY.replace("TRUE", "TRUE,pathlen:0")
    )
    below = oddpki.issue(short, str(tmp_path / "below"), extensions=oddpki.AUTHORITY)
    host = oddpki.issue(below, str(tmp_path / "host"))
    with pytest.raises(CryptoError, match="path length constraint exceeded"):
        trust.check(*chain_of(host, below, short))


def test_many_certificates_in_a_message_are_rejected(trust, host):
    """S3: no message needs that many."""
    with pytest.raises(CryptoError, match="25 certificates beside the signer's"):
        trust.check(der(host.certificate), [der(host.certificate)] * 25)


# Proxies


@pytest.fixture
def proxies(pki, tmp_path):
    """A host, its proxy, and a proxy of that."""
    pairs = [oddpki.Pair(*pki.issue("host.example.org"))]
    for name in ("proxy", "second"):
        pairs.append(oddpki.proxy(pairs[-1], str(tmp_path / name)))
    return pairs


def test_proxy_is_rejected_unless_allowed(pki, trust, proxies):
    """S2: a proxy certificate lies unprotected on many hosts; its name is that of its maker."""
    host, first, second = proxies
    lenient = TrustStore(pki.ca_dir, allow_proxies=True)
    for certificate, others in (chain_of(first, host), chain_of(second, first, host)):
        with pytest.raises(CryptoError, match="Unverified signer: a proxy certificate"):
            trust.check(certificate, others)
        assert lenient.check(certificate, others) == "/C=XX/O=Test Grid/CN=host.example.org"
    with pytest.raises(CryptoError, match="Unverified signer"):
        TrustStore(pki.ca_dir, allow_proxies=True).check(*chain_of(second, host))


def test_expired_proxy_is_rejected_though_allowed(pki, proxies, tmp_path):
    """S2: proxies live for hours."""
    expired = oddpki.proxy(proxies[0], str(tmp_path / "expired"), days=(-2, -1))
    with pytest.raises(CryptoError, match="has expired"):
        TrustStore(pki.ca_dir, allow_proxies=True).check(*chain_of(expired, proxies[0]))


# Signing policies

POLICY = """# EACL
access_id_CA   X509    '%s'
pos_rights     globus  CA:sign
cond_subjects  globus  '"/C=XX/O=Test Grid/*"  "/DC=org/DC=example/CN=h?st"'
"""


@pytest.mark.parametrize(
    ("rdns", "allowed"),
    [
        ([("C", "XX"), ("O", "Test Grid"), ("CN", "a.example.org")], True),
        ([("DC", "org"), ("DC", "example"), ("CN", "host")], True),
        ([("DC", "org"), ("DC", "example"), ("CN", "hoost")], False),
        ([("C", "XX"), ("O", "Test Grid 2"), ("CN", "a.example.org")], False),
        ([("O", "x"), ("C", "XX"), ("O", "Test Grid"), ("CN", "a")], False),
        ([("C", "xx"), ("O", "Test Grid"), ("CN", "a")], False),
    ],
)
@pytest.mark.parametrize("old", [False, True], ids=["hash", "old hash"])
def test_signing_policy_limits_whom_an_authority_signs_for(revoking, rdns, allowed, old):
    """S2: the authority is trusted, but not for this name."""
    authority, folder = revoking
    certificate = der_of_first(authority.issue("", rdns=rdns)[0])
    assert TrustStore(folder).check(certificate), "without a policy any name is good"
    path = os.path.join(folder, test_pki.name_hash(authority.path, old) + ".signing_policy")
    with open(path, "w") as stream:
        stream.write(POLICY % test_pki.slash_dn(authority.path))
    if allowed:
        assert TrustStore(folder).check(certificate)
    else:
        with pytest.raises(
            CryptoError, match="signing policy of .*CN=Revoking CA does not let it sign for /"
        ):
            TrustStore(folder).check(certificate)


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "no policy at all",
        POLICY % "/C=XX/O=Test Grid/CN=Other CA",
        (POLICY % "/C=XX/O=Test Grid/CN=Revoking CA").replace("pos_rights", "neg_rights"),
        (POLICY % "/C=XX/O=Test Grid/CN=Revoking CA").replace("CA:sign", "CA:none"),
        (POLICY % "/C=XX/O=Test Grid/CN=Revoking CA").replace("cond_subjects", "#"),
    ],
    ids=["empty", "garbage", "of another", "negative", "other right", "no subjects"],
)
def test_policy_that_allows_nothing_means_nobody(revoking, policy):
    """S2: a policy is there, so it counts."""
    authority, folder = revoking
    with open(os.path.join(folder, test_pki.name_hash(authority.path) + ".signing_policy"), "w") as stream:
        stream.write(policy)
    with pytest.raises(CryptoError, match="signing policy"):
        TrustStore(folder).check(der(authority.issue("host.example.org")[0]))


def test_policy_of_an_authority_with_an_old_name_for_e_mail(new_authority, tmp_path):
    """S15: Globus writes /Email= and /E= where OpenSSL writes /emailAddress=; several blocks in a file."""
    policy = (
        POLICY % "/CN=Other"
        + POLICY.replace("Test Grid/*", "Test Grid/CN=*/Email=*") % "/C=XX/O=Test Grid/CN=Mail CA"
    )
    authority, folder = new_authority("Mail CA"), str(tmp_path)
    test_pki.trust(folder, authority)
    with open(os.path.join(folder, test_pki.name_hash(authority.path) + ".signing_policy"), "w") as stream:
        stream.write(policy)
    assert TrustStore(folder).check(der(authority.issue("host.example.org", email="a@b.org")[0]))
    with pytest.raises(CryptoError, match="signing policy"):
        TrustStore(folder).check(der(authority.issue("host.example.org")[0]))


def test_policy_that_can_not_be_read_is_no_verdict(revoking):
    """Our own trouble: the message waits."""
    authority, folder = revoking
    os.mkdir(os.path.join(folder, test_pki.name_hash(authority.path) + ".signing_policy"))
    with pytest.raises(TrustError, match="Cannot read the signing policy"):
        TrustStore(folder).check(der(authority.issue("host.example.org")[0]))


# How long a verdict is kept


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


def test_dangling_links_and_other_files_in_the_directory_are_no_trouble(revoking):
    authority, folder = revoking
    os.symlink("nowhere", os.path.join(folder, "00000000.r0"))
    os.symlink("nowhere.pem", os.path.join(folder, "11111111.0"))
    os.mkdir(os.path.join(folder, "22222222.0"))
    assert TrustStore(folder).check(der(authority.issue("host.example.org")[0]))


def test_certificate_that_only_openssl_can_not_read_is_rejected(trust, host):
    """S3: a name in broken UTF-8, which cryptography takes; it is no reason to wait for ever."""
    broken = der_of_first(host.certificate).replace(b"host.example.org", b"h\xff\xfet.example.org")
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
