"""Signatures that must never be accepted: by somebody else, of nobody, weak, nested, mutated, exhausting."""

import hashlib
import operator
import time

import pytest
from asn1crypto import cms
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.ssm.conftest import TEXT, openssl
from unit.ssm.handmade import put_signature, sign_part, signature_of, with_signature

from ssm import mime, smime
from ssm.container import DATA, SIGNED
from ssm.der import Reader, encoded
from ssm.errors import CryptoError

# cryptography warns of mutated certificates that it will refuse some day.
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

# Who signed


def test_signer_is_the_certificate_the_signature_belongs_to(host, another_host):
    """S1: a second certificate in the message, before or after, changes nothing of who signed."""
    extra = cms.CertificateChoices({"certificate": another_host.signer().certificate})
    own = host.signer().certificate

    def both(first, second):
        def change(signed):
            signed["certificates"] = cms.CertificateSet([first, second])

        return change

    for pair in ((extra, own), (own, extra)):
        signed = smime.verify(with_signature(host.sign(), both(*pair)))
        assert signed.certificate == own.dump()
        assert len(signed.others) == 1


def test_signer_names_another_certificate(host, another_host):
    """S1: the signature is the host's, but the message claims it is another's."""

    def change(signed):
        signer_info = cms.ContentInfo.load(signature_of(another_host.sign()))["content"]["signer_infos"][0]
        signed["certificates"] = cms.CertificateSet([another_host.signer().certificate])
        signed["signer_infos"][0]["sid"] = signer_info["sid"]

    with pytest.raises(CryptoError, match="not of this certificate's key"):
        smime.verify(with_signature(host.sign(), change))


def test_certificate_is_not_the_signers(host, another_host):
    """S1: the certificate in the message is not the one that the signer is said to have."""

    def change(signed):
        signed["certificates"] = cms.CertificateSet([another_host.signer().certificate])

    with pytest.raises(CryptoError, match="0 certificates in the message match"):
        smime.verify(with_signature(host.sign(), change))


def test_two_signers_are_rejected(host, another_host):
    """S1: several signers: which of them is the sender?"""
    message = openssl(
        "smime",
        "-sign",
        "-text",
        "-inkey",
        host.key,
        "-signer",
        host.certificate,
        "-inkey",
        another_host.key,
        "-signer",
        another_host.certificate,
        given=TEXT.encode(),
    )
    with pytest.raises(CryptoError, match="2 signers"):
        smime.verify(message)


def test_no_signer_is_rejected(host):
    def change(signed):
        signed["signer_infos"] = []

    with pytest.raises(CryptoError, match="0 signers"):
        smime.verify(with_signature(host.sign(), change))


# What isn't accepted though OpenSSL would make it


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("-nocerts",), "0 certificates"),
        (("-noattr",), "without signed attributes"),
        (("-md", "sha1"), "digest sha1"),
        (("-md", "md5"), "digest md5"),
        (("-md", "sha224"), "digest sha224"),
    ],
)
def test_weak_signature_is_rejected(host, options, reason):
    """S3: weak digests, no attributes."""
    with pytest.raises(CryptoError, match=reason):
        smime.verify(host.openssl_sign(TEXT, *options))


def test_nested_signature_is_rejected(host):
    """S3: a signed message in a signed message."""
    with pytest.raises(CryptoError, match="multipart/signed, not text"):
        smime.verify(sign_part(host, host.sign()))


def test_encrypted_message_is_rejected(host):
    encrypted = openssl("smime", "-encrypt", "-aes128", host.certificate, given=host.sign())
    with pytest.raises(CryptoError, match="an encrypted message where a signature belongs"):
        smime.verify(encrypted)


@pytest.mark.parametrize("shape", ["SMIME", "DER", "PEM", "DER -stream", "SMIME -stream"])
@pytest.mark.parametrize("command", ["smime", "cms"])
@pytest.mark.parametrize("kind", ["host", "ec_host"])
def test_opaque_signature_is_verified(request, kind, command, shape):
    """S3: the text is inside the signature, as `openssl smime -sign -nodetach` makes it."""
    host = request.getfixturevalue(kind)
    words = ["-sign", "-nodetach", "-text", "-inkey", host.key, "-signer", host.certificate]
    message = openssl(command, *words, "-outform", *shape.split(), given="Site: Zoë\nx".encode())
    signed = smime.verify(message)
    assert signed.text == "Site: Zoë\nx"
    assert signed.certificate == host.signer().certificate.dump()


def test_tampered_opaque_signature_is_rejected(host):
    message = mime.container_of(host.openssl_sign("Site: Aye", "-nodetach"))
    with pytest.raises(CryptoError, match="not what was signed"):
        smime.verify(message.replace(b"Aye", b"Bee"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda host: signature_of(host.sign()), "without the text"),
        (
            lambda host: openssl("cms", "-digest_create", "-outform", "DER", given=b"x" * 200),
            "a digest where",
        ),
        (
            lambda host: openssl("cms", "-data_create", "-outform", "DER", given=b"x" * 200),
            "plain data where",
        ),
        (lambda host: b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "in PEM"),
        (lambda host: b"-----BEGIN PKCS7-----\nMIIB\n", "in PEM"),
        (lambda host: b"Content-Type: application/pkcs7-mime\n\nMIIB", "not in base64"),
        (lambda host: b"\x30\x80" + b"\x00" * 40, "can't be read"),
    ],
)
def test_structure_that_holds_no_signed_text_is_rejected(host, make, reason):
    """S3: other kinds of CMS, and what is no message at all."""
    with pytest.raises(CryptoError, match=reason):
        smime.verify(make(host))


def test_content_inside_a_detached_signature_is_rejected(host):
    def change(signed):
        signed["encap_content_info"] = cms.ContentInfo({"content_type": "data", "content": b"Site: Evil"})

    with pytest.raises(CryptoError, match="content inside|can't be read"):
        smime.verify(with_signature(host.sign(), change))


def attribute(kind, *values):
    return cms.CMSAttribute({"type": kind, "values": list(values)})


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        (lambda digest: [attribute("content_type", "data")], "message_digest"),
        (lambda digest: [attribute("message_digest", digest)], "content_type"),
        (
            lambda digest: [attribute("content_type", "signed_data"), attribute("message_digest", digest)],
            "not data",
        ),
        (
            lambda digest: [
                attribute("content_type", "data"),
                attribute("message_digest", digest, b"x" * 32),
            ],
            "one value",
        ),
        (
            lambda digest: [
                attribute("content_type", "data"),
                attribute("message_digest", b"x" * 32),
                attribute("message_digest", digest),
            ],
            "twice",
        ),
    ],
)
def test_signed_attributes_must_say_what_is_signed(host, attributes, reason):
    part = b"Content-Type: text/plain\n\nx"
    signer = host.signer()
    values = cms.CMSAttributes(attributes(hashlib.sha256(part.replace(b"\n", b"\r\n")).digest()))
    message = mime.wrap(part, signer._container(values.dump(), signer._signature(values.dump())))
    with pytest.raises(CryptoError, match=reason):
        smime.verify(message)


def test_small_rsa_key_is_rejected(tmp_path):
    certificate, key = str(tmp_path / "c.pem"), str(tmp_path / "k.pem")
    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:1024",
        "-nodes",
        "-keyout",
        key,
        "-out",
        certificate,
        "-days",
        "2",
        "-subj",
        "/CN=small",
    )
    message = openssl(
        "smime", "-sign", "-text", "-md", "sha256", "-inkey", key, "-signer", certificate, given=b"x"
    )
    with pytest.raises(CryptoError, match="1024 bits"):
        smime.verify(message)


def test_rsa_pss_is_rejected_with_its_reason(host):
    message = openssl(
        "cms",
        "-sign",
        "-text",
        "-inkey",
        host.key,
        "-signer",
        host.certificate,
        "-keyopt",
        "rsa_padding_mode:pss",
        given=b"x",
    )
    with pytest.raises(CryptoError, match="rsassa_pss is not accepted"):
        smime.verify(message)


# Anything at all

#: What becomes of the bytes behind a place, with some bytes drawn for it.
MUTATIONS = {
    "flip": lambda behind, extra: bytes(map(operator.xor, extra, behind)) + behind[len(extra) :],
    "cut": lambda behind, extra: b"",
    "drop": lambda behind, extra: behind[len(extra) :],
    "repeat": lambda behind, extra: behind[: 20 * len(extra)] + behind,
    "insert": lambda behind, extra: extra + behind,
}


@given(text=st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r"), max_size=300))
def test_any_text_comes_back(host_signer, text):
    assert smime.verify(host_signer.sign(text.encode("utf-8"))).text == text.strip()


@pytest.fixture(scope="module")
def host_signer(host):
    return host.signer()


@pytest.fixture(scope="module")
def signed_message(host):
    return host.sign("Site: Aye\nUser: Zoë")


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(sorted(MUTATIONS)), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=4,
    )
)
def test_mutated_message_raises_only_crypto_errors(signed_message, mutations):
    """S3: whatever is done to a message, it verifies to the very text that was signed, or is rejected."""
    assert_rejected_or_same(mutated(signed_message, mutations))


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(sorted(MUTATIONS)), st.binary(min_size=1, max_size=4)),
        min_size=1,
        max_size=4,
    )
)
def test_mutated_signature_raises_only_crypto_errors(signed_message, mutations):
    """S3: the same inside the CMS structure, where the base64 would hide most mutations."""
    assert_rejected_or_same(put_signature(signed_message, mutated(signature_of(signed_message), mutations)))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_garbage_raises_only_crypto_errors(garbage):
    with pytest.raises(CryptoError):
        smime.verify(garbage)
    with pytest.raises(CryptoError):
        smime.verify(b"Content-Type: multipart/signed; boundary=x\n\n" + garbage)


def assert_rejected_or_same(message):
    try:
        text = smime.verify(message).text
    except CryptoError:
        return
    assert text == "Site: Aye\nUser: Zoë"


def mutated(data, mutations):
    for place, how, extra in mutations:
        at = int(place * (len(data) - 1)) if data else 0
        before, behind = data[:at], data[at:]
        data = before + MUTATIONS[how](behind, extra)
    return data


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x3f" + b"\xff" * 1000000,
        b"\x3f" + b"\xff" * 60000,
        b"\x30\x83\x00\xf0\x00\x3f" + b"\xff" * 60000,
        b"\x30\x80" * 100000,
        b"\x30\x80" * 30000,
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\xff" + b"\x01" * 200,
        b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02" + b"\xa0\x80\x30\x80" * 10000,
    ],
)
def test_signature_made_to_exhaust_us_is_rejected_at_once(signed_message, der):
    """S3: long tags, deep nesting, huge lengths."""
    started = time.process_time()
    with pytest.raises(CryptoError, match="can't be read"):
        smime.verify(put_signature(signed_message, der))
    assert time.process_time() - started < 2


def test_large_message_costs_linear_time(host_signer):
    """S3: no quadratic work: a message of many short lines, and one that is one long line."""
    for text in (b"a\n" * 1500000, b"a" * 3000000, b"\n--" * 1000000):
        assert len(smime.verify(host_signer.sign(b"x" + text)).text) > 100000


@pytest.mark.parametrize("wrapped", [False, True])
def test_message_in_a_million_pieces_is_refused(wrapped):
    """S3: it would take 200 times its size of memory, and the time of many messages."""
    end = b"\0\0" if wrapped else b""

    def around(tag, content):
        return bytes((tag, 0x80)) + content + end if wrapped else encoded(tag, content)

    pieces = around(0x24, b"\x04\0" * 900000)
    content = around(0x30, DATA + around(0xA0, pieces))
    signed = around(0x30, b"\x02\x01\x01\x31\0" + content + b"\x31\0")
    with pytest.raises(CryptoError, match="more than [0-9]+ values"):
        smime.verify(around(0x30, SIGNED + around(0xA0, signed)))


def test_pieces_as_encoders_make_them_are_read():
    """Of 1000 bytes (others make larger ones), all of it without a length given beforehand."""
    piece = encoded(0x04, b"x" * 1000)
    data = b"\x30\x80" * 5 + b"\x24\x80" + piece * 3000 + b"\0\0" * 6
    reader = Reader(data)
    value = reader.root()
    for _ in range(5):
        (value,) = reader.children(value)
    assert len(b"".join(reader.octets(value))) == 3000000
