"""Chains and proxies that OpenSSL alone would take, and we do not."""

import pytest

from servers import oddpki
from servers.pki import der
from ssm.errors import CryptoError
from ssm.trust import TrustStore


def chain_of(pair, *behind):
    """The certificate in a file, and those in the other files, in DER."""
    return der(pair.certificate), [der(one.certificate) for one in behind]


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
