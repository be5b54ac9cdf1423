"""Signatures: what we make and accept, what OpenSSL makes and accepts, and what tampering does to them."""

import base64
import re

import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives.asymmetric import ed25519
from unit.ssm.conftest import TEXT, openssl
from unit.ssm.handmade import put_signature, sign_part, signature_of

from ssm import smime
from ssm.errors import CryptoError, SigningError

# cryptography warns of mutated certificates that it will refuse some day.
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")


def openssl_verify(message, pki, *options):
    found = openssl(
        "smime", "-verify", "-text", "-purpose", "any", "-CAfile", pki.ca_file, *options, given=message
    )
    return found.decode("utf-8").replace("\r\n", "\n")


# What we make


def test_layout_is_the_incumbents(host):
    message = host.sign("Site: Aye")
    head, _, rest = message.partition(b"\n\n")
    boundary = re.search(b'boundary="(----[0-9A-F]{32})"', head).group(1)
    assert head == (
        b'MIME-Version: 1.0\nContent-Type: multipart/signed; protocol="application/x-pkcs7-signature"; '
        b'micalg="sha-256"; boundary="' + boundary + b'"'
    )
    assert rest.startswith(
        b"This is an S/MIME signed message\n\n--"
        + boundary
        + b"\nContent-Type: text/plain\n\nSite: Aye\n--"
        + boundary
        + b"\n"
        b'Content-Type: application/x-pkcs7-signature; name="smime.p7s"\n'
        b"Content-Transfer-Encoding: base64\n"
        b'Content-Disposition: attachment; filename="smime.p7s"\n\n'
    )
    assert rest.endswith(b"\n--" + boundary + b"--\n\n")
    assert b"\r" not in message


def test_signature_holds_one_certificate_and_one_signer(host):
    signed = cms.ContentInfo.load(signature_of(host.sign()))["content"]
    assert len(signed["certificates"]) == 1
    assert len(signed["signer_infos"]) == 1
    assert signed["encap_content_info"]["content"].native is None
    attributes = signed["signer_infos"][0]["signed_attrs"].native
    assert {attribute["type"] for attribute in attributes} == {
        "content_type",
        "signing_time",
        "message_digest",
    }


@pytest.mark.parametrize("kind", ["host", "ec_host"])
@pytest.mark.parametrize(
    "text", [TEXT, "x", "Site: Österreich\nUser: /CN=Zoë", "a\n\n\nb", "-- \n--x\nFrom y"]
)
def test_openssl_verifies_what_we_sign(request, pki, kind, text):
    message = request.getfixturevalue(kind).sign(text)
    assert openssl_verify(message, pki) == text


@pytest.mark.parametrize("kind", ["host", "ec_host"])
@pytest.mark.parametrize(
    "text", [TEXT, "x", "Site: Österreich\nUser: /CN=Zoë", "a\n\n\nb", "-- \n--x\nFrom y"]
)
@pytest.mark.parametrize("options", [(), ("-md", "sha384"), ("-md", "sha512"), ("-crlfeol",), ("-keyid",)])
def test_we_verify_what_openssl_signs(request, kind, text, options):
    host = request.getfixturevalue(kind)
    signed = smime.verify(openssl_sign(host, text, *options))
    assert signed.text == text
    assert signed.others == ()


def openssl_sign(host, text, *options):
    if "-keyid" in options:
        return openssl(
            "cms",
            "-sign",
            "-text",
            "-inkey",
            host.key,
            "-signer",
            host.certificate,
            *options,
            given=text.encode("utf-8"),
        )
    return host.openssl_sign(text, *options)


def test_certificates_of_the_chain_may_travel_along(pki, trust, tmp_path):
    certificate, key = pki.intermediate.issue("deep.example.org")
    message = openssl(
        "smime",
        "-sign",
        "-text",
        "-inkey",
        key,
        "-signer",
        certificate,
        "-certfile",
        pki.intermediate.path,
        given=b"deep",
    )
    signed = smime.verify(message)
    assert signed.text == "deep"
    assert len(signed.others) == 1
    assert trust.check(signed.certificate, signed.others).endswith("/CN=deep.example.org")


@pytest.mark.parametrize("text", ["a\r\nb", "a\rb\r\r\nc\r", "\r\n\r\nx", "x\n\n"])
def test_any_line_ends_may_be_signed(host, pki, text):
    message = host.sign(text)
    verified = smime.verify(message).text
    assert verified == re.sub("\r+(\n|$)", "\\1", text).strip()
    assert openssl_verify(message, pki).strip() == verified


def test_lf_and_crlf_on_the_wire_are_the_same(host):
    message = host.sign()
    assert smime.verify(message.replace(b"\n", b"\r\n")).text == TEXT
    assert smime.verify(message).text == TEXT


def test_key_that_cannot_sign_is_said(host):
    with pytest.raises(SigningError, match="neither RSA nor EC"):
        smime.Signer(host.signer().certificate.dump(), ed25519.Ed25519PrivateKey.generate())


# The text in the signed part


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (
            b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
            + base64.encodebytes("Zoë\nx".encode()),
            "Zoë\nx",
        ),
        (
            b"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nZo=C3=AB=\n!\na=3Db",
            "Zoë!\na=b",
        ),
        (b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nZo\xc3\xab", "Zoë"),
        (b'Content-Type: text/plain;\n charset="iso-8859-1"\n\nZo\xeb', "Zoë"),
        (b"Content-Type: text/xml\n\n<a/>", "<a/>"),
        (b"\nno headers at all", "no headers at all"),
        (b"Content-Type: text/plain\n\n\n  x  \n\n", "x"),
        (b"Content-Type: text/plain\nContent-Transfer-Encoding: BASE64\n\nDQp4DQp5DQo=", "x\ny"),
    ],
)
def test_encoded_text_is_read(host, part, text):
    """S3: base64 and quoted-printable inner parts, non-ASCII text."""
    assert smime.verify(sign_part(host, part)).text == text


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (b"APEL-individual-job-message: v0.3\nSite: x", "no blank line"),
        (b"APEL-individual-job-message: v0.3\nSite: x\n\n%%", "not text"),
        (b"a line\n\nx", "no header"),
        (b"Content-Type: text/plain\n\nZo\xeb", "not UTF-8"),
        (b"Content-Type: text/plain; charset=utf-7\n\nx", "character set utf-7"),
        (b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nx!", "base64"),
        (
            b"Content-Type: text/plain\nContent-Transfer-Encoding: uuencode\n\nx",
            "unknown content transfer encoding",
        ),
        (b"Content-Type: multipart/mixed; boundary=x\n\n--x--", "not text"),
        (b"Content-Type: application/pkcs7-mime\n\nMIIB", "not text"),
        (b"Content-Type: text/plain\nContent-Type: text/xml\n\nx", "two different headers"),
        (b"Content-Type: text/plain\nX: " + b"y" * 20000 + b"\n\nx", "no blank line"),
    ],
)
def test_signed_part_that_is_no_text_is_rejected(host, part, reason):
    """S3: the signature is right, but what it covers isn't plain text that we can read whole."""
    with pytest.raises(CryptoError, match=reason):
        smime.verify(sign_part(host, part))


# Tampering


def swap(old, new):
    return lambda message: message.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (swap(b"Site: Aye", b"Site: Bee"), "not what was signed"),
        (swap(b"%%\n------", b"%%\n\n------"), "not what was signed"),
        (swap(b"text/plain", b"text/html"), "not what was signed"),
        (lambda message: message[: len(message) // 2], "not whole|exactly two|base64"),
        (lambda message: message[:-8], "not whole|exactly two"),
        (swap(b"multipart/signed", b"multipart/mixed"), "not a signed message"),
        (swap(b"Content-Type: multipart", b"Content-Typ: multipart"), "content type missing"),
        (swap(b"boundary=", b"border="), "without a boundary"),
        (swap(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: 7bit"), "not in base64"),
        (
            swap(b"Content-Type: application/x-pkcs7-signature", b"Content-Type: text/plain"),
            "not a signature",
        ),
        (lambda message: message + message, "exactly two parts"),
        (lambda message: b"x" + message.partition(b"\n")[2], "not a signed message|no header|boundary"),
        (lambda message: b"plain text", "no blank line"),
        (lambda message: b"Subject: hello\n\nplain text", "not a signed message"),
        (lambda message: put_signature(message, b"\x30\x00"), "can't be read"),
        (lambda message: put_signature(message, signature_of(message)[:-9]), "can't be read"),
        (lambda message: put_signature(message, signature_of(message) + b"\x00"), "can't be read"),
    ],
)
def test_tampered_message_is_rejected_with_its_reason(host, change, reason):
    """S3: tampered body, truncated signature, anything but two parts."""
    with pytest.raises(CryptoError, match=reason):
        smime.verify(change(host.sign()))


def test_every_flipped_byte_of_the_text_is_noticed(host):
    """S3: verifies exactly what was signed."""
    message = host.sign("Site: Aye")
    start = message.index(b"Site: Aye")
    for at in range(start, start + len(b"Site: Aye")):
        changed = message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]
        with pytest.raises(CryptoError):
            smime.verify(changed)


def test_third_part_is_rejected(host):
    message = host.sign()
    boundary = re.search(b'boundary="([^"]+)"', message).group(1)
    more = message.replace(
        b"--" + boundary + b"\nContent-Type: text/plain",
        b"--"
        + boundary
        + b"\nContent-Type: text/plain\n\nSite: Evil\n--"
        + boundary
        + b"\nContent-Type: text/plain",
        1,
    )
    with pytest.raises(CryptoError, match="exactly two parts"):
        smime.verify(more)
