"""Our certificate and key: a pair, valid, and whose they are; and the receiver's certificate."""

import datetime
import logging
import os
import stat
from typing import Any, NamedTuple, Optional

from asn1crypto import pem
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from ssm.certificates import ENCRYPTING, check_key, check_usage, validity
from ssm.dn import distinguished_name
from ssm.envelope import Encryptor
from ssm.errors import CryptoError, SigningError
from ssm.smime import PrivateKey, Signer
from ssm.trust import TrustStore

log = logging.getLogger(__name__)

LEAST_VALID = datetime.timedelta(hours=24)
WARN_VALID = datetime.timedelta(days=14)


class Credentials(NamedTuple):
    """A host certificate (DER), its key, and the name in it (slash form)."""

    certificate: bytes
    key: PrivateKey
    name: str

    def signer(self) -> Signer:
        """What signs with them."""
        return Signer(self.certificate, self.key)


def load_credentials(
    certificate_path: str, key_path: str, least_valid: datetime.timedelta = LEAST_VALID
) -> Credentials:
    """Read our certificate and key and check them: a pair, valid for so long. Raises SigningError."""
    certificate = _load_certificate(certificate_path)
    key = _load_key(key_path)
    if _public(certificate.public_key()) != _public(key.public_key()):
        raise SigningError("The certificate %s and the key %s are not a pair." % (certificate_path, key_path))
    der = certificate.public_bytes(Encoding.DER)
    name = distinguished_name(asn1_x509.Certificate.load(der).subject)
    _check_dates(certificate, certificate_path, least_valid)
    return Credentials(der, key, name)


def load_receiver(path: str, trust: Optional[TrustStore], cipher: str) -> Encryptor:
    """What encrypts for the receiver whose certificate is at `path`; others behind it may complete its chain.

    It must be valid for 24 hours more, be meant for encryption and, with `trust`, be trusted. Raises
    SigningError, or TrustError if the CA directory is unusable.
    """
    certificate = _load_certificate(path)
    _check_dates(certificate, path, LEAST_VALID)
    with open(path, "rb") as stream:
        der, *others = [found for _, _, found in pem.unarmor(stream.read(), multiple=True)]
    try:
        check_key(certificate.public_key())
        check_usage(certificate, ENCRYPTING)
        if trust is not None:
            trust.check(der, others, ENCRYPTING)
    except CryptoError as err:
        raise SigningError(
            "Nothing can be encrypted for the receiver's certificate %s: %s" % (path, err)
        ) from err
    return Encryptor(der, certificate.public_key(), cipher)


def _public(key: Any) -> bytes:
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _load_certificate(path: str) -> x509.Certificate:
    try:
        with open(path, "rb") as stream:
            return x509.load_pem_x509_certificate(stream.read(), default_backend())
    except OSError as err:
        raise SigningError("Cannot read the certificate %s: %s" % (path, err.strerror)) from err
    except (ValueError, UnsupportedAlgorithm) as err:
        raise SigningError("%s holds no certificate in PEM: %s" % (path, err)) from err


def _load_key(path: str) -> PrivateKey:
    try:
        with open(path, "rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            key = load_pem_private_key(stream.read(), None, default_backend())
    except OSError as err:
        raise SigningError("Cannot read the key %s: %s" % (path, err.strerror)) from err
    except TypeError as err:
        raise SigningError("The key %s is encrypted; it must be readable without a password." % path) from err
    except (ValueError, UnsupportedAlgorithm) as err:
        raise SigningError("%s holds no private key in PEM: %s" % (path, err)) from err
    if mode & (stat.S_IRWXG | stat.S_IRWXO) & ~stat.S_IRGRP:
        log.warning("The key %s may be read by others; make it 0400 or 0600.", path)
    return key  # type: ignore[return-value]  # Signer refuses what is neither RSA nor EC


def days_left(path: str) -> int:
    """For how many days a certificate is still valid. Raises SigningError if it can't be read."""
    _, ends = validity(_load_certificate(path))
    return (ends - datetime.datetime.now(datetime.timezone.utc)).days


def _check_dates(certificate: x509.Certificate, path: str, least_valid: datetime.timedelta) -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    begins, ends = validity(certificate)
    if now < begins:
        raise SigningError("The certificate %s is not valid before %s." % (path, begins.isoformat()))
    if ends <= now:
        raise SigningError("The certificate %s has expired (%s)." % (path, ends.isoformat()))
    if ends - now < least_valid:
        raise SigningError("Renew the certificate %s: it ends within 24 hours (%s)." % (path, ends))
    if ends - now < WARN_VALID:
        log.warning("The certificate %s ends on %s; renew it.", path, ends.isoformat())


def certificate_ends(path: str) -> datetime.datetime:
    """When the certificate in a file ends to be valid. Raises SigningError."""
    return validity(_load_certificate(path))[1]
