"""One table of good and bad messages: what a receiver does with each, and the reason that it gives.

Each row goes through the receiver's whole path to the queues on disk. A row is: the bad day it belongs to,
what is special, the receiver it comes to, how the message is made in a world of certificates, and a pattern
of the reason for which it is rejected (GOOD: it is accepted, and its text and signer are right).
"""

import base64
import re
from typing import Any, NamedTuple

import pytest
from unit.ssm.conftest import openssl
from unit.ssm.handmade import put_signature, signature_of
from unit.ssm.world import (
    EC,
    TEXT,
    World,
    another_certificate,
    below_intermediate,
    flip,
    in_the_name_of,
    inside,
    named,
    odd_order,
    opaque,
    self_signed,
    signature_byte,
    too_many_below,
    two_signers,
    unlisted,
    usage,
    with_content,
    without_signers,
)

from servers.oddpki import HOST, sign
from ssm.credentials import load_credentials
from ssm.receiver import EMPTY
from ssm.transport import Delivery

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

GOOD = None


class Row(NamedTuple):
    """A message, and what becomes of it."""

    day: str
    what: str
    receiver: str
    make: Any
    reason: Any


TEXT_PLAIN = b"Content-Type: text/plain\n"
CHARSET = b"Content-Type: text/plain; charset=%s\n"
EIGHT = TEXT.encode("utf-8")
EIGHT_BIT = b"Content-Transfer-Encoding: 8bit\n\n" + EIGHT
QUOTED = b"Content-Transfer-Encoding: quoted-printable\n\n" + EIGHT.replace(b"\xc3\xab", b"=C3=\n=AB")
UNVERIFIED = "Failed to verify message: Unverified signer: "
VERIFY = "Failed to verify message: "
DECRYPT = "Failed to decrypt message: "
NOT_LISTED = "Signer not in valid DNs list: "
READ = VERIFY + "the signature can't be read: "

# fmt: off
ROWS = [
    # Who makes them, with which key and digest
    Row("", "this software, RSA", "plain", lambda w: w.ours(), GOOD),
    Row("", "this software, EC", "plain", lambda w: w.ours(TEXT, w.host("ec.example.org", key="ec")), GOOD),
    Row("", "openssl smime", "plain", lambda w: sign(w.host(), TEXT), GOOD),
    Row("", "openssl cms, EC", "plain",
        lambda w: sign(w.host("ec.example.org", key="ec"), TEXT, command="cms"),
        GOOD),
    Row("S2", "P-384", "plain", lambda w: sign(w.odd("p384", key=EC["P-384"]), TEXT), GOOD),
    Row("S2", "P-521", "plain", lambda w: sign(w.odd("p521", key=EC["P-521"]), TEXT, "-md", "sha512"), GOOD),
    Row("S2", "P-224", "plain", lambda w: sign(w.odd("p224", key=EC["P-224"]), TEXT),
        VERIFY + "an EC key of 224 bits"),
    Row("S2", "P-192", "plain", lambda w: sign(w.odd("p192", key=EC["P-192"]), TEXT),
        VERIFY + "an EC key of 192 bits"),
    Row("S2", "RSA 3072", "plain", lambda w: sign(w.odd("rsa3072", key=("-newkey", "rsa:3072")), TEXT), GOOD),
    Row("S2", "RSA 8192", "plain", lambda w: sign(w.stored_key(8192), TEXT), GOOD),
    Row("S2", "RSA 1024", "plain", lambda w: sign(w.odd("rsa1024", key=("-newkey", "rsa:1024")), TEXT),
        VERIFY + "an RSA key of 1024 bits is not accepted"),
    Row("S2", "RSA 9216", "plain", lambda w: sign(w.stored_key(9216), TEXT),
        VERIFY + "an RSA key of 9216 bits is not accepted"),
    Row("S2", "Ed25519", "plain", lambda w: in_the_name_of(w, w.ed25519()),
        VERIFY + "a key that is neither RSA nor EC"),
    Row("S2", "RSA-PSS", "plain",
        lambda w: sign(w.host(), TEXT, "-keyopt", "rsa_padding_mode:pss", command="cms"),
        VERIFY + "signature algorithm rsassa_pss is not accepted"),
    Row("", "SHA-384", "plain", lambda w: sign(w.host(), TEXT, "-md", "sha384"), GOOD),
    Row("", "SHA-512, EC", "plain", lambda w: sign(w.host("ec.example.org", key="ec"), TEXT, "-md", "sha512"),
        GOOD),
    Row("S2", "SHA-1", "plain", lambda w: sign(w.host(), TEXT, "-md", "sha1"),
        VERIFY + "the digest sha1 is not accepted"),
    Row("S2", "MD5", "plain", lambda w: sign(w.host(), TEXT, "-md", "md5"),
        VERIFY + "the digest md5 is not accepted"),
    Row("S2", "SHA-224", "plain", lambda w: sign(w.host(), TEXT, "-md", "sha224"),
        VERIFY + "the digest sha224 is not accepted"),
    # Whose signature it is
    Row("S1", "signer named by key", "plain", lambda w: sign(w.host(), TEXT, "-keyid", command="cms"), GOOD),
    Row("S1", "another's certificate along", "plain",
        lambda w: sign(w.host(), TEXT, certfile=w.host("other.example.org").certificate),
        GOOD),
    Row("S1", "own certificate twice", "plain", lambda w: sign(w.host(), TEXT, certfile=w.host().certificate),
        GOOD),
    Row("S1", "listed certificate along", "plain",
        lambda w: sign(unlisted(w), TEXT, certfile=w.host().certificate),
        NOT_LISTED + "/C=XX/O=Test Grid/CN=unlisted.example.org"),
    Row("S1", "another's certificate instead", "plain", another_certificate,
        VERIFY + "0 certificates in the message match its signer"),
    Row("S1", "in another's name", "plain", lambda w: in_the_name_of(w, w.host("other.example.org")),
        VERIFY + "the signature is not of this certificate's key"),
    Row("S1", "no certificate", "plain", lambda w: sign(w.host(), TEXT, "-nocerts"),
        VERIFY + "0 certificates in the message match its signer"),
    Row("S1", "two signers", "plain", two_signers, VERIFY + "2 signers; exactly one is accepted"),
    Row("S1", "no signer", "plain", without_signers, VERIFY + "0 signers; exactly one is accepted"),
    Row("S14", "not on the list", "plain", lambda w: w.ours(TEXT, unlisted(w)),
        NOT_LISTED + "/C=XX/O=Test Grid/CN=unlisted.example.org"),
    Row("S12", "banned", "plain", lambda w: w.ours(TEXT, w.host("banned.example.org")),
        "Signer is banned: /C=XX/O=Test Grid/CN=banned.example.org"),
    # Names
    Row("S15", "letters in a name", "plain", named(("CN", "Zoë Österreich")), GOOD),
    Row("S15", "commas in a name", "plain", named(("OU", "A, B"), ("CN", "x")), GOOD),
    Row("S15", "slash in a name", "plain", named(("CN", "host/a.example.org")), GOOD),
    Row("S15", "e-mail in a name", "plain", named(("CN", "x"), ("emailAddress", "a@example.org")), GOOD),
    Row("S15", "domains", "plain",
        lambda w: sign(w.host("", rdns=[("DC", "org"), ("DC", "example"), ("CN", "x")]), TEXT),
        GOOD),
    Row("S15", "one part that reads as two", "plain", named(("OU", "x/CN=host.example.org")),
        UNVERIFIED + "a part of its name reads as several"),
    Row("S15", "written bytes in a name", "plain", named(("CN", "Zo\\xC3\\xAB")),
        UNVERIFIED + "a part of its name reads as several"),
    # Certificates
    Row("S2", "ends in an hour", "plain",
        lambda w: sign(w.host("brief.example.org", days=(-1, 1 / 24)), TEXT),
        GOOD),
    Row("S2", "expired", "plain", lambda w: sign(w.host("old.example.org", days=(-30, -1)), TEXT),
        UNVERIFIED + "certificate has expired"),
    Row("S2", "not yet valid", "plain", lambda w: sign(w.host("new.example.org", days=(1, 30)), TEXT),
        UNVERIFIED + "certificate is not yet valid"),
    Row("S2", "unknown authority", "plain",
        lambda w: sign(w.host("foreign.example.org", authority=w.pki.foreign), TEXT),
        UNVERIFIED + "unable to get local issuer certificate"),
    Row("S2", "self-signed", "plain", lambda w: sign(self_signed(w), TEXT),
        UNVERIFIED + "self.signed certificate"),
    Row("S2", "signed with SHA-1", "plain", lambda w: sign(w.odd("sha1", digest="sha1"), TEXT),
        UNVERIFIED + "the certificate is signed with sha1"),
    Row("S2", "signed with MD5", "plain", lambda w: sign(w.odd("md5", digest="md5"), TEXT),
        UNVERIFIED + "the certificate is signed with md5"),
    Row("S2", "no key usage", "plain", lambda w: usage(w, "basicConstraints=CA:FALSE", "free"), GOOD),
    Row("S2", "non-repudiation only", "plain", lambda w: usage(w, "keyUsage=nonRepudiation", "commits"),
        GOOD),
    Row("S2", "for encryption only", "plain", lambda w: usage(w, "keyUsage=keyEncipherment", "hides"),
        UNVERIFIED + "the key usage of the certificate does not allow signing"),
    Row("S2", "for e-mail", "plain", lambda w: usage(w, HOST + "\nextendedKeyUsage=emailProtection", "mail"),
        GOOD),
    Row("S2", "for code", "plain", lambda w: usage(w, HOST + "\nextendedKeyUsage=codeSigning", "code"), GOOD),
    Row("S2", "unknown critical extension", "plain",
        lambda w: usage(w, "1.2.3.4=critical,ASN1:NULL", "critical"),
        UNVERIFIED + "unhandled critical extension"),
    Row("S2", "proxy", "plain", lambda w: sign(w.proxy(), TEXT, certfile=w.proxy().certificate),
        UNVERIFIED + "a proxy certificate"),
    Row("S2", "proxy, allowed", "proxies", lambda w: sign(w.proxy(), TEXT, certfile=w.proxy().certificate),
        GOOD),
    Row("S2", "old proxy, proxies allowed", "proxies", lambda w: w.sign_below("proxy of old", w.host()),
        UNVERIFIED + "[Ii]nvalid CA certificate"),
    # Chains
    Row("S2", "intermediate along", "plain", lambda w: w.sign_below("below one", w.middle()), GOOD),
    Row("S2", "two intermediates along", "plain",
        lambda w: w.sign_below("below two", w.middle(), w.middle("second", w.middle())),
        GOOD),
    Row("S2", "intermediates in odd order", "plain", odd_order,
        GOOD),
    Row("S2", "intermediate missing", "plain", lambda w: sign(w.below("below one", w.middle())[0], TEXT),
        UNVERIFIED + "unable to get local issuer certificate"),
    Row("S2", "intermediate expired", "plain",
        lambda w: w.sign_below("below old", w.middle("old middle", days=-1)),
        UNVERIFIED + "certificate has expired"),
    Row("S2", "intermediate with SHA-1", "plain",
        lambda w: w.sign_below("below sha1", w.middle("sha1 middle", digest="sha1")),
        UNVERIFIED + "behind it, /C=XX/O=Test Grid/CN=sha1 middle: the certificate is signed with sha1"),
    Row("S2", "intermediate with a small key", "plain",
        lambda w: w.sign_below("below small", w.middle("small", key=("-newkey", "rsa:1024"))),
        UNVERIFIED + "behind it, .*CN=small: an RSA key of 1024 bits"),
    Row("S2", "host as an authority", "plain", lambda w: w.sign_below("below host", w.odd("just a host")),
        UNVERIFIED + "[Ii]nvalid CA certificate"),
    Row("S2", "too many below", "plain", too_many_below,
        UNVERIFIED + "path length constraint exceeded"),
    Row("S2", "policy allows the name", "policy", lambda w: w.ours(), GOOD),
    Row("S2", "policy of another name", "policy",
        lambda w: sign(w.host("", rdns=[("C", "YY"), ("CN", "x")]), TEXT),
        UNVERIFIED + "the signing policy of .*CN=Test Root CA does not let it sign for /C=YY/CN=x"),
    Row("S2", "policy of another authority", "no policy", lambda w: w.ours(),
        UNVERIFIED + "the signing policy of"),
    # Revocation
    Row("S2", "not revoked", "good crl", lambda w: w.ours(), GOOD),
    Row("S2", "revoked", "revoked", lambda w: w.ours(TEXT, w.host("revoked.example.org")),
        UNVERIFIED + "certificate revoked"),
    Row("S2", "revoked, lists not checked", "plain", lambda w: w.ours(TEXT, w.host("revoked.example.org")),
        GOOD),
    Row("S2", "another is revoked", "revoked", lambda w: w.ours(), GOOD),
    Row("S2", "stale list", "stale crl", lambda w: w.ours(), UNVERIFIED + "CRL has expired"),
    Row("S2", "list of tomorrow", "future crl", lambda w: w.ours(), UNVERIFIED + "CRL is not yet valid"),
    Row("S2", "no list", "missing crl", lambda w: w.ours(), UNVERIFIED + "unable to get certificate CRL"),
    Row("S2", "unreadable list", "broken crl", lambda w: w.ours(),
        UNVERIFIED + "unable to get certificate CRL"),
    Row("S2", "forged list", "forged crl", lambda w: w.ours(), UNVERIFIED + "CRL signature failure"),
    Row("S2", "no list of the intermediate", "good crl", below_intermediate,
        UNVERIFIED + "unable to get certificate CRL"),
    Row("S2", "lists of the whole chain", "middle crl", below_intermediate, GOOD),
    Row("S2", "intermediate revoked", "revoked middle", below_intermediate,
        UNVERIFIED + "unable to get certificate CRL|" + UNVERIFIED + "certificate revoked"),
    # On the wire
    Row("S3", "CRLF", "plain", lambda w: w.ours().replace(b"\n", b"\r\n"), GOOD),
    Row("S3", "signed with CRLF line ends", "plain", lambda w: sign(w.host(), TEXT, "-crlfeol"), GOOD),
    Row("S3", "something before and behind", "plain",
        lambda w: w.ours().replace(b"This is", b"Hello\n\nThis is") + b"Bye\n",
        GOOD),
    Row("S3", "opaque", "plain", opaque, GOOD),
    Row("S3", "opaque in DER", "plain", lambda w: opaque(w, "-outform", "DER"), GOOD),
    Row("S3", "opaque in PEM", "plain", lambda w: opaque(w, "-outform", "PEM"), GOOD),
    Row("S3", "opaque in a stream", "plain", lambda w: opaque(w, "-outform", "DER", "-stream", command="cms"),
        GOOD),
    Row("S3", "base64", "plain",
        lambda w: w.part(TEXT_PLAIN + b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(EIGHT)),
        GOOD),
    Row("S3", "quoted-printable", "plain", lambda w: w.part(TEXT_PLAIN + QUOTED), GOOD),
    Row("S3", "8bit, UTF-8", "plain",
        lambda w: w.part(CHARSET % b"utf-8" + EIGHT_BIT),
        GOOD),
    Row("S3", "Latin-1", "plain",
        lambda w: w.part(CHARSET % b"iso-8859-1" + b"\n" + TEXT.encode("latin-1")),
        GOOD),
    Row("S3", "no headers", "plain", lambda w: w.part(b"\n" + EIGHT), GOOD),
    Row("S3", "bytes that are no UTF-8", "plain", lambda w: w.part(TEXT_PLAIN + b"\nZo\xeb"),
        VERIFY + "the signed text is not UTF-8"),
    Row("S3", "broken base64", "plain",
        lambda w: w.part(TEXT_PLAIN + b"Content-Transfer-Encoding: base64\n\nx!"),
        VERIFY + "broken base64"),
    Row("S3", "unknown transfer encoding", "plain",
        lambda w: w.part(TEXT_PLAIN + b"Content-Transfer-Encoding: uuencode\n\nx"),
        VERIFY + "unknown content transfer encoding"),
    Row("S3", "unknown character set", "plain",
        lambda w: w.part(CHARSET % b"utf-7" + b"\nx"),
        VERIFY + "the signed text is in the character set utf-7"),
    Row("S3", "no text", "plain", lambda w: w.part(b"Content-Type: image/png\n\nx"),
        VERIFY + "the signed part is image/png, not text"),
    Row("S3", "headers without end", "plain", lambda w: w.part(b"Site: x"),
        VERIFY + "no blank line after the MIME headers"),
    Row("S3", "signed in signed", "plain", lambda w: w.part(w.ours()),
        VERIFY + "the signed part is multipart/signed, not text"),
    Row("S3", "opaque in opaque", "plain", lambda w: w.part(opaque(w)),
        VERIFY + "the signed part is application/.*, not text"),
    Row("S3", "tampered text", "plain", lambda w: w.ours().replace(b"v0.2", b"v0.3"),
        VERIFY + "the text is not what was signed"),
    Row("S3", "tampered opaque text", "plain",
        lambda w: opaque(w, "-outform", "DER").replace(b"v0.2", b"v0.3"),
        VERIFY + "the text is not what was signed"),
    Row("S3", "tampered headers", "plain", lambda w: w.ours().replace(b"text/plain", b"text/html"),
        VERIFY + "the text is not what was signed"),
    Row("S3", "one line more", "plain", lambda w: w.ours().replace(b"%%\n--", b"%%\n\n--", 1),
        VERIFY + "the text is not what was signed"),
    Row("S3", "tampered signature", "plain", signature_byte,
        VERIFY + "the signature is not of this certificate's key"),
    Row("S3", "part in between", "plain", inside, VERIFY + "a signed message has exactly two parts"),
    Row("S3", "twice", "plain", lambda w: w.ours() * 2,
        VERIFY + "a signed message has exactly two parts|" + VERIFY + "the message is not whole"),
    Row("S3", "cut in the text", "plain", lambda w: w.ours()[:300], VERIFY + "the message is not whole"),
    Row("S3", "cut in the signature", "plain", lambda w: w.ours()[:-200],
        VERIFY + "the message is not whole"),
    Row("S3", "signature cut", "plain", lambda w: put_signature(w.ours(), signature_of(w.ours())[:-9]), READ),
    Row("S3", "signature with a tail", "plain",
        lambda w: put_signature(w.ours(), signature_of(w.ours()) + b"\0"),
        READ),
    Row("S3", "other text in the signature", "plain", with_content,
        VERIFY + "a detached signature with content inside|" + READ),
    Row("S3", "no signed attributes", "plain", lambda w: sign(w.host(), TEXT, "-noattr"),
        VERIFY + "a signature without signed attributes"),
    Row("S3", "not signed at all", "plain", lambda w: TEXT_PLAIN + b"\n" + EIGHT,
        VERIFY + "not a signed message"),
    Row("S3", "web page", "plain", lambda w: b"<html>\n\n</html>",
        VERIFY + "a line among the MIME headers is no header"),
    Row("S3", "random bytes", "plain", lambda w: bytes(range(256)) * 4, VERIFY),
    Row("S3", "random bytes like DER", "plain", lambda w: b"\x30\x82\x01\x00" + bytes(range(256)), READ),
    Row("S5", "empty", "plain", lambda w: b"", EMPTY),
    Row("S5", "blank", "plain", lambda w: b" \r\n\t\n", EMPTY),
    Row("S5", "signed emptiness", "plain", lambda w: w.ours("\n"), EMPTY),
    # Encrypted
    Row("S3", "encrypted by this software", "plain", lambda w: w.hide(w.ours()), GOOD),
    Row("S3", "encrypted by this software, EC", "plain",
        lambda w: w.hide(w.ours(), w.ec_centre, cipher="aes128"),
        GOOD),
    Row("S3", "encrypted by openssl smime", "plain",
        lambda w: w.openssl_hide(w.ours(), "-aes128", command="smime"),
        GOOD),
    Row("S3", "encrypted by openssl cms, EC", "plain",
        lambda w: w.openssl_hide(w.ours(), "-aes256", key="ec"),
        GOOD),
    Row("S3", "encrypted in DER", "plain", lambda w: w.openssl_hide(w.ours(), "-aes256", "-outform", "DER"),
        GOOD),
    Row("S3", "opaque, encrypted", "plain", lambda w: w.hide(opaque(w)), GOOD),
    Row("S2", "encrypted, revoked", "revoked", lambda w: w.hide(w.ours(TEXT, w.host("revoked.example.org"))),
        UNVERIFIED + "certificate revoked"),
    Row("S3", "encrypted, not signed", "plain", lambda w: w.hide(TEXT_PLAIN + b"\n" + EIGHT),
        VERIFY + "not a signed message"),
    Row("S3", "encrypted twice", "plain", lambda w: w.hide(w.hide(w.ours())),
        VERIFY + "an encrypted message where a signature belongs"),
    Row("S3", "encrypted for another", "plain",
        lambda w: w.hide(w.ours(), load_credentials(*w.host("other.example.org"))),
        DECRYPT + "it is encrypted for 1 others"),
    Row("S3", "encrypted with 3DES", "plain", lambda w: w.openssl_hide(w.ours(), "-des3"),
        DECRYPT + "its cipher is not accepted"),
    Row("S3", "encrypted, cut", "plain", lambda w: w.hide(w.ours())[:-500], VERIFY + "broken base64|" + READ),
    Row("S3", "encrypted, tampered", "plain",
        lambda w: flip(w.openssl_hide(w.ours(), "-aes256", "-outform", "DER"), 0.999),
        DECRYPT + "|" + VERIFY),
    Row("S3", "neither signed nor encrypted CMS", "plain",
        lambda w: openssl("cms", "-data_create", "-outform", "DER", given=w.ours()),
        VERIFY + "plain data where a signature belongs"),
]
# fmt: on


@pytest.fixture(scope="module")
def world(pki, tmp_path_factory):
    return World(pki, str(tmp_path_factory.mktemp("world")))


@pytest.mark.parametrize("row", ROWS, ids=["%s %s" % (row.day, row.what) for row in ROWS])
def test_message_is_accepted_or_rejected_with_its_reason(row, world, tmp_path):
    message = row.make(world)
    receiver = world.receiver(row.receiver, str(tmp_path))
    receiver.take(Delivery("5f000000/5f000000000001", message, None))
    stored = [receiver.incoming.get(element) for element in receiver.incoming.ids()]
    rejected = [receiver.reject.read(element) for element in receiver.reject.ids()]
    if row.reason is GOOD:
        assert rejected == []
        assert [element["body"] for element in stored] == [TEXT]
        assert stored[0]["signer"] in world.allowed
    else:
        assert stored == []
        error = bytes(rejected[0]["error"]).decode()
        assert re.match(row.reason, error), error
        assert rejected[0]["body"] == message
        assert "internal error" not in error
