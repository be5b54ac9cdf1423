"""Names of certificates as text: the same as OpenSSL writes them, whatever is in them."""

import subprocess

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.name import _ASN1Type

import servers.pki as test_pki
from ssm.dn import canonical, distinguished_name, from_commas, is_misleading

KEY = test_pki.new_key("ec")


def certificate(rdns):
    name = x509.Name(
        [
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(x509.ObjectIdentifier(oid), value, _type=kind)
                    for oid, value, kind in rdn
                ]
            )
            for rdn in rdns
        ]
    )
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(test_pki.in_days(-1)).not_valid_after(test_pki.in_days(1))
    )
    return builder.sign(KEY, hashes.SHA256(), default_backend())


UTF8, IA5, PRINTABLE, BMP = (
    _ASN1Type.UTF8String,
    _ASN1Type.IA5String,
    _ASN1Type.PrintableString,
    _ASN1Type.BMPString,
)
C, ORG, OU, CN = "2.5.4.6", "2.5.4.10", "2.5.4.11", "2.5.4.3"
DC, EMAIL = "0.9.2342.19200300.100.1.25", "1.2.840.113549.1.9.1"

NAMES = {
    "grid": [
        [(C, "UK", PRINTABLE)],
        [(ORG, "eScience", UTF8)],
        [(OU, "A, B", UTF8)],
        [(CN, "host/a.b.c", UTF8)],
    ],
    "domains": [[(DC, "org", IA5)], [(DC, "example", IA5)], [(CN, "a=b+c", UTF8)]],
    "e-mail": [[(CN, "x", UTF8)], [(EMAIL, "a@b.c", IA5)]],
    "not ASCII": [[(ORG, "Universität", UTF8)], [(CN, "Zoë", UTF8)]],
    "two bytes a letter": [[(ORG, "Aé", BMP)]],
    "rare types": [
        [("2.5.4.5", "7", PRINTABLE)],
        [("2.5.4.4", "Sur", UTF8)],
        [("2.5.4.42", "Given", UTF8)],
        [("2.5.4.9", "Street", UTF8)],
        [("2.5.4.12", "Dr", UTF8)],
        [("2.5.4.8", "Kent", UTF8)],
        [("2.5.4.7", "L", UTF8)],
        [("0.9.2342.19200300.100.1.1", "u1", UTF8)],
        [("2.5.4.17", "12345", UTF8)],
        [("2.5.4.97", "VAT-1", UTF8)],
        [("2.5.4.46", "q", PRINTABLE)],
        [("2.5.4.65", "pseudo", UTF8)],
        [("2.5.4.15", "business", UTF8)],
        [("2.5.4.13", "d", UTF8)],
    ],
    "unknown type": [[("1.2.3.4.5", "what", UTF8)], [(CN, "x", UTF8)]],
    "control characters": [[(CN, "a\tb\x7f", UTF8)]],
}


@pytest.mark.parametrize("rdns", list(NAMES.values()), ids=list(NAMES))
def test_name_is_as_openssl_writes_it(rdns):
    """S15: commas, slashes, e-mail, several types in one part, letters outside ASCII: one form."""
    made = certificate(rdns)
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-nameopt", "compat"],
        check=True,
        input=test_pki.pem(made),
        stdout=subprocess.PIPE,
    ).stdout.decode()
    expected = shown.split("=", 1)[1].strip(" \n")
    parsed = asn1_x509.Certificate.load(made.public_bytes(serialization.Encoding.DER))
    assert distinguished_name(parsed.subject) == canonical(expected)


def test_grid_name_has_its_slashes_bare():
    """S15: lists of names have `CN=host/a.b.c`, though OpenSSL 3 writes `CN=host\\/a.b.c`."""
    made = certificate(NAMES["grid"]).public_bytes(serialization.Encoding.DER)
    assert (
        distinguished_name(asn1_x509.Certificate.load(made).subject)
        == "/C=UK/O=eScience/OU=A, B/CN=host/a.b.c"
    )


@pytest.mark.parametrize(
    ("letters", "misleading"), [(b"host.example".decode("utf-16-be"), True), ("host", False), ("Aé", False)]
)
def test_letters_whose_bytes_read_as_another_name(letters, misleading):
    """S15, S1: two bytes a letter, as rare signs whose bytes are those of somebody else's ASCII name."""
    made = certificate([[(C, "UK", PRINTABLE)], [(CN, letters, BMP)]])
    name = asn1_x509.Certificate.load(made.public_bytes(serialization.Encoding.DER)).subject
    assert (distinguished_name(name) == "/C=UK/CN=host.example") == misleading
    assert is_misleading(name) == misleading


def test_values_of_one_part_are_parts():
    """S15: O and OU in one RDN; OpenSSL 3 joins them by +, older ones by /."""
    made = certificate([[(ORG, "a", UTF8), (OU, "b", UTF8)], [(CN, "c", UTF8)]])
    parsed = asn1_x509.Certificate.load(made.public_bytes(serialization.Encoding.DER))
    assert distinguished_name(parsed.subject) == "/O=a/OU=b/CN=c"


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("/C=UK/CN=x", "/C=UK/CN=x"),
        ("  /C=UK/CN=x \n", "/C=UK/CN=x"),
        ("/CN=Zoë", "/CN=Zo\\xC3\\xAB"),
        ("/CN=Zo\\xc3\\xab", "/CN=Zo\\xC3\\xAB"),
        ("/CN=Zo\\xC3\\xAB", "/CN=Zo\\xC3\\xAB"),
        ("/CN=a\\b", "/CN=a\\b"),
        ("/CN=host\\/a\\+b", "/CN=host/a+b"),
    ],
)
def test_name_written_by_hand_has_the_same_form(written, form):
    assert canonical(written) == form


@pytest.mark.parametrize("old", ["/Email=a@b.org", "/E=a@b.org", "/email=a@b.org", "/emailAddress=a@b.org"])
def test_old_names_of_types_are_the_new_ones(old):
    """S15: Globus and OpenSSL before 1.0 call an e-mail address Email or E, and a UID USERID."""
    assert canonical("/C=UK" + old) == "/C=UK/emailAddress=a@b.org"
    assert canonical("/USERID=u1/CN=E=mc2") == "/UID=u1/CN=E=mc2"


def test_types_may_be_written_small():
    """S15: a banned name that is written /cn= is banned all the same; values keep their case."""
    assert canonical("/c=UK/o=eScience/dc=x/cn=Host cn=a") == "/C=UK/O=eScience/DC=x/CN=Host cn=a"


COMMA_NAMES = [
    [[(C, "UK", PRINTABLE)], [(ORG, "Grid", UTF8)], [(OU, 'A, B; "q"', UTF8)], [(CN, "host/a.b", UTF8)]],
    [[(DC, "org", IA5)], [(DC, "example", IA5)], [(CN, "a+b=c #1", UTF8)]],
    [[(C, "FR", PRINTABLE)], [(CN, "Zoë Österreich", UTF8)], [(EMAIL, "z@b.org", IA5)]],
    [[(C, "DE", PRINTABLE)], [("0.9.2342.19200300.100.1.1", "u1", UTF8)], [(CN, "back\\slash", UTF8)]],
]


@pytest.mark.parametrize("option", ["RFC2253", "oneline", "oneline,-space_eq"])
@pytest.mark.parametrize("rdns", COMMA_NAMES, ids=["grid", "domain", "letters", "user"])
def test_name_with_commas_is_the_same_name(rdns, option):
    """S15: RFC 2253 and OpenSSL's own form, as people copy it, versus slash form."""
    made = certificate(rdns)
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-nameopt", option],
        check=True,
        input=test_pki.pem(made),
        stdout=subprocess.PIPE,
    ).stdout.decode()
    parsed = asn1_x509.Certificate.load(made.public_bytes(serialization.Encoding.DER))
    assert from_commas(shown.split("=", 1)[1].strip(" \n")) == [distinguished_name(parsed.subject)]


@pytest.mark.parametrize(
    "text",
    ["", "host.example.org", "XYZ=a,C=UK", 'C=UK,CN="a', "C=UK,CN=a\\"],
)
def test_text_that_is_no_name_is_none(text):
    """S15: what a part is must be clear."""
    assert from_commas(text) == []


@pytest.mark.parametrize(
    "text, forms",
    [
        ("CN=a,O=b", ["/CN=a/O=b", "/O=b/CN=a"]),
        ("C=UK,CN=a,DC=org", ["/C=UK/CN=a/DC=org", "/DC=org/CN=a/C=UK"]),
        ("C=UK,CN=a,C=UK", ["/C=UK/CN=a/C=UK"]),
        ("CN=a", ["/CN=a"]),
    ],
)
def test_name_that_may_begin_at_either_end_has_two_forms(text, forms):
    """S15: for a ban both count."""
    assert from_commas(text) == forms
