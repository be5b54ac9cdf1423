"""S/MIME in process: sign messages as the incumbent's receivers expect, verify what senders sign.

Signing: multipart/signed, detached CMS with the signer's certificate, SHA-256, a text/plain inner part.
Verifying takes that, and opaque signatures with the same part inside. It is strict on purpose: one signer,
one certificate that matches, signed attributes that hold the content type and the digest, SHA-256 or
better, RSA or EC. Whether the certificate is to be trusted is not decided here but in `ssm.trust`.
"""

import datetime
import hashlib
import re
from typing import Any, Dict, List, NamedTuple, Tuple, Union

from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ssm import mime
from ssm.certificates import check_key
from ssm.container import DATA, SIGNED, Detached, detach, open_container
from ssm.der import check_der, encoded
from ssm.errors import CryptoError, SigningError

DIGESTS = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
TEXT_HEADER = b"Content-Type: text/plain\n\n"

# What asn1crypto and cryptography raise on bytes that are no CMS or certificate: little of it is
# documented, the rest was found by mutation.
MALFORMED = (ValueError, TypeError, LookupError, RecursionError, UnsupportedAlgorithm, x509.InvalidVersion)

PrivateKey = Union[rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey]


class SignedMessage(NamedTuple):
    """A message whose signature is right: its text; in DER the signer's certificate and the others sent."""

    text: str
    certificate: bytes
    others: Tuple[bytes, ...]


class Signer:
    """Signs texts with one certificate and its key."""

    def __init__(self, certificate: bytes, key: PrivateKey) -> None:
        """`certificate` in DER. Raises SigningError for a kind of key that can't sign."""
        self.key = key
        self.certificate = asn1_x509.Certificate.load(certificate)
        if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
            raise SigningError("The key is neither RSA nor EC; such messages would not be understood.")
        algorithm = "rsassa_pkcs1v15" if isinstance(key, rsa.RSAPrivateKey) else "sha256_ecdsa"
        digest = algos.DigestAlgorithm({"algorithm": "sha256", "parameters": core.Null()}).dump()
        version = core.Integer(1).dump()
        names = self.certificate.issuer.dump() + core.Integer(self.certificate.serial_number).dump()
        self._algorithm = bytes(algos.SignedDigestAlgorithm({"algorithm": algorithm}).dump())
        self._info_start = version + encoded(0x30, names) + digest
        certificates = encoded(0xA0, self.certificate.dump())
        self._data_start = version + encoded(0x31, digest) + encoded(0x30, DATA) + certificates

    def sign(self, text: bytes) -> bytes:
        """The signed message for a text (UTF-8; any line ends). Raises SigningError."""
        content = TEXT_HEADER + _with_lf(text)
        attributes = _attributes(hashlib.sha256(_with_crlf(content)).digest())
        try:
            signature = self._signature(attributes)
        except (ValueError, UnsupportedAlgorithm) as err:
            raise SigningError("The key refuses to sign: %s" % err) from err
        return mime.wrap(content, self._container(attributes, signature))

    def _signature(self, data: bytes) -> bytes:
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))

    def _container(self, attributes: bytes, signature: bytes) -> bytes:
        """The CMS structure (RFC 5652, 5), put together from encoded parts: most are always the same."""
        info = self._info_start + b"\xa0" + attributes[1:] + self._algorithm + encoded(0x04, signature)
        signed = encoded(0x30, self._data_start + encoded(0x31, encoded(0x30, info)))
        return encoded(0x30, SIGNED + encoded(0xA0, signed))


def _attributes(digest: bytes) -> bytes:
    """The signed attributes, as the SET that the signature is over."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    attributes = cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["data"]}),
            cms.CMSAttribute({"type": "signing_time", "values": [cms.Time({"utc_time": core.UTCTime(now)})]}),
            cms.CMSAttribute({"type": "message_digest", "values": [digest]}),
        ]
    )
    return bytes(attributes.dump())


def _with_lf(text: bytes) -> bytes:
    """LF line ends, as OpenSSL makes them: carriage returns before a line end go, others stay."""
    return re.sub(rb"\r+(\n|\Z)", rb"\1", text) if b"\r" in text else text


def _with_crlf(content: bytes) -> bytes:
    """The canonical form of a text part (LF), which digests are over."""
    return content.replace(b"\n", b"\r\n")


def verify(message: bytes) -> SignedMessage:
    """Check the signature of a message, clear-signed or opaque (LF or CRLF; S/MIME, PEM or bare DER).

    Raises CryptoError with the reason.
    """
    try:
        container = mime.container_of(message)
        if container is None:
            return _verify_clear(mime.unwrap(message))
        return _verify_opaque(container)
    except MALFORMED as err:
        raise CryptoError("the signature can't be read: %s" % err) from err


def _verify_clear(parts: mime.SignedParts) -> SignedMessage:
    detached = _detach(parts.signature)
    if detached.content is not None:
        raise CryptoError("a detached signature with content inside")
    certificate, others = _verify_container(detached.signature, _with_crlf(parts.content))
    return SignedMessage(mime.read_text(parts.content), certificate, others)


def _verify_opaque(container: bytes) -> SignedMessage:
    detached = _detach(container)
    if detached.content is None:
        raise CryptoError("a signature without the text that it signs")
    content = b"".join(detached.content)
    certificate, others = _verify_container(detached.signature, content)
    return SignedMessage(mime.read_text(mime.with_lf(content)), certificate, others)


def _detach(data: bytes) -> Detached:
    container = open_container(data)
    if container.kind != SIGNED:
        raise CryptoError("%s where a signature belongs" % container.kind_name)
    return detach(container)


def _verify_container(der: bytes, content: bytes) -> Tuple[bytes, Tuple[bytes, ...]]:
    """Verify a detached signature over that very content; the signer's certificate and the others."""
    signed = _signed_data(der)
    signers = signed["signer_infos"]
    if len(signers) != 1:
        raise CryptoError("%d signers; exactly one is accepted" % len(signers))
    info = signers[0]
    certificates = _certificates(signed)
    certificate = _certificate_of(info["sid"], certificates)
    digest_name = info["digest_algorithm"]["algorithm"].native
    if digest_name not in DIGESTS:
        raise CryptoError("the digest %s is not accepted; sign with SHA-256 or better" % digest_name)
    signed_bytes = _check_attributes(info["signed_attrs"], hashlib.new(digest_name, content).digest())
    der = certificate.dump()
    _check_signature(der, info, digest_name, signed_bytes)
    return der, tuple(other.dump() for other in certificates if other is not certificate)


def _signed_data(der: bytes) -> cms.SignedData:
    check_der(der)
    signed = cms.ContentInfo.load(der, strict=True)["content"]
    inner = signed["encap_content_info"]
    if inner["content_type"].native != "data":
        raise CryptoError("the signed content is %s, not data" % inner["content_type"].native)
    return signed


def _certificates(signed: cms.SignedData) -> List[asn1_x509.Certificate]:
    """The certificates in the message; one that is there twice counts once."""
    found: Dict[bytes, asn1_x509.Certificate] = {}
    for choice in signed["certificates"]:
        if choice.name == "certificate":
            found.setdefault(choice.chosen.dump(), choice.chosen)
    return list(found.values())


def _certificate_of(
    identifier: cms.SignerIdentifier, certificates: List[asn1_x509.Certificate]
) -> asn1_x509.Certificate:
    if identifier.name == "issuer_and_serial_number":
        issuer = identifier.chosen["issuer"].dump()
        serial = identifier.chosen["serial_number"].native
        matching = [
            one for one in certificates if one.serial_number == serial and one.issuer.dump() == issuer
        ]
    else:
        matching = [one for one in certificates if one.key_identifier == identifier.native]
    if len(matching) != 1:
        raise CryptoError("%d certificates in the message match its signer" % len(matching))
    return matching[0]


def _check_attributes(attributes: Any, digest: bytes) -> bytes:
    """Check what is signed beside the content; returns the bytes that the signature is over."""
    if not isinstance(attributes, cms.CMSAttributes) or len(attributes) == 0:
        raise CryptoError("a signature without signed attributes")
    values = {}
    for attribute in attributes:
        kind = attribute["type"].native
        if kind in values:
            raise CryptoError("the signed attribute %s is there twice" % kind)
        values[kind] = attribute["values"]
    for kind in ("content_type", "message_digest"):
        if kind not in values or len(values[kind]) != 1:
            raise CryptoError("no signed attribute %s, or more than one value" % kind)
    if values["content_type"][0].native != "data":
        raise CryptoError("the signed content type is not data")
    if values["message_digest"][0].native != digest:
        raise CryptoError("the text is not what was signed (the digests differ)")
    # In the message they are tagged [0]; the signature is over them as a SET (RFC 5652, 5.4).
    return b"\x31" + bytes(attributes.dump())[1:]


def _check_signature(der: bytes, info: cms.SignerInfo, digest_name: str, data: bytes) -> None:
    key = x509.load_der_x509_certificate(der, default_backend()).public_key()
    check_key(key)
    algorithm = info["signature_algorithm"]["algorithm"].native
    signature = info["signature"].native
    try:
        if isinstance(key, rsa.RSAPublicKey):
            _check_algorithm(algorithm, ("rsassa_pkcs1v15", digest_name + "_rsa"), "RSA and " + digest_name)
            key.verify(signature, data, padding.PKCS1v15(), DIGESTS[digest_name])
        elif isinstance(key, ec.EllipticCurvePublicKey):
            _check_algorithm(algorithm, (digest_name + "_ecdsa",), "EC and " + digest_name)
            key.verify(signature, data, ec.ECDSA(DIGESTS[digest_name]))
    except InvalidSignature as err:
        raise CryptoError("the signature is not of this certificate's key") from err


def _check_algorithm(algorithm: str, accepted: Tuple[str, ...], used_with: str) -> None:
    if algorithm not in accepted:
        raise CryptoError("signature algorithm %s is not accepted with %s" % (algorithm, used_with))
