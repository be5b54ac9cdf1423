"""What we ask of any certificate beyond what OpenSSL checks: its key, its digest, what it may be used for."""

import datetime
from typing import Any, List, Tuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ssm.errors import CryptoError

SIGNING, ENCRYPTING = "signing", "encryption"
RSA_BITS = (2048, 8192)
LEAST_EC_BITS = 256
WEAK_DIGESTS = ("md2", "md4", "md5", "sha1")
PROXY = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.14")


def check_key(key: Any) -> None:
    """A key of a kind and size that can be relied on. Raises CryptoError."""
    if isinstance(key, rsa.RSAPublicKey):
        if not RSA_BITS[0] <= key.key_size <= RSA_BITS[1]:
            raise CryptoError(
                "an RSA key of %d bits is not accepted (%d to %d are)" % (key.key_size, *RSA_BITS)
            )
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.key_size < LEAST_EC_BITS:
            raise CryptoError("an EC key of %d bits is not accepted (%d are)" % (key.key_size, LEAST_EC_BITS))
    else:
        raise CryptoError("a key that is neither RSA nor EC")


def check_digest(certificate: x509.Certificate) -> None:
    """A certificate signed with a digest that can't be forged. Raises CryptoError."""
    digest = certificate.signature_hash_algorithm
    if digest is not None and digest.name in WEAK_DIGESTS:
        raise CryptoError("the certificate is signed with %s" % digest.name)


def check_usage(certificate: x509.Certificate, purpose: str) -> None:
    """A certificate may be of any kind, but if it says what its key is for, the purpose must be in it.

    Raises CryptoError.
    """
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if purpose == SIGNING:
        allowed = usage.digital_signature or usage.content_commitment
    elif isinstance(certificate.public_key(), ec.EllipticCurvePublicKey):
        allowed = usage.key_agreement
    else:
        allowed = usage.key_encipherment
    if not allowed:
        raise CryptoError("the key usage of the certificate does not allow %s" % purpose)


def is_proxy(certificate: x509.Certificate) -> bool:
    """Whether it is a proxy certificate (RFC 3820): made by a person or host for another process."""
    return any(extension.oid == PROXY for extension in certificate.extensions)


def validity(certificate: x509.Certificate) -> Tuple[datetime.datetime, datetime.datetime]:
    """When a certificate begins and ends to be valid, as aware times."""
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    utc = datetime.timezone.utc
    return certificate.not_valid_before.replace(tzinfo=utc), certificate.not_valid_after.replace(tzinfo=utc)


def first_end(certificates: List[x509.Certificate]) -> float:
    """When the first of several certificates ends (epoch seconds)."""
    return min(validity(certificate)[1] for certificate in certificates).timestamp()
