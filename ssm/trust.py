"""Whether a signer's certificate is to be trusted: its chain to the CA directory, dates, CRLs, key usage."""

import hashlib
import logging
import os
import re
import time
from typing import Dict, Iterable, NamedTuple, Tuple

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives.asymmetric import ec

from ssm.chain import ChainError, verify_chain
from ssm.dn import distinguished_name, is_misleading
from ssm.errors import CryptoError, TrustError
from ssm.smime import MALFORMED

log = logging.getLogger(__name__)

REMEMBERED_SECONDS = 60.0
MOST_REMEMBERED = 10000
CA_FILE = re.compile(r"^[0-9a-f]{8}\.\d+$")
SIGNING, ENCRYPTING = "signing", "encryption"
WEAK_DIGESTS = ("md2", "md4", "md5", "sha1")


class _Verdict(NamedTuple):
    name: str
    until: float


class TrustStore:
    """The certificate authorities in a directory of hash-named files (`<hash>.0`, CRLs `<hash>.r0`).

    A certificate that verified is remembered for a minute, as long as the directory doesn't change, so
    that a message costs one signature check. The store itself is made anew for each check: OpenSSL keeps
    the CRLs it has once read, and would not see a newer one.
    """

    def __init__(self, ca_directory: str, check_crls: bool = False) -> None:
        self.ca_directory = ca_directory
        self.check_crls = check_crls
        self._remembered: Dict[bytes, _Verdict] = {}

    def check(self, certificate: bytes, others: Iterable[bytes] = (), purpose: str = SIGNING) -> str:
        """The name (slash form) in a certificate (DER) that is trusted: a signer's, or one to encrypt for.

        `others` are certificates that may complete the chain. Raises CryptoError with the reason, or
        TrustError if the CA directory itself is unusable.
        """
        key = hashlib.sha256(certificate).digest() + repr((self._state(), purpose)).encode()
        verdict = self._remembered.get(key)
        if verdict is not None and verdict.until > time.monotonic():
            return verdict.name
        name = self._verify(certificate, others, purpose)
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = _Verdict(name, time.monotonic() + REMEMBERED_SECONDS)
        return name

    def _state(self) -> Tuple[int, int]:
        try:
            state = os.stat(self.ca_directory)
        except OSError as err:
            raise TrustError("Cannot read the CA directory %s: %s" % (self.ca_directory, err)) from err
        return state.st_mtime_ns, state.st_ino

    def _verify(self, certificate: bytes, others: Iterable[bytes], purpose: str) -> str:
        try:
            parsed, *chain = [
                x509.load_der_x509_certificate(one, default_backend()) for one in (certificate, *others)
            ]
            check_usage(parsed, purpose)
            subject = asn1_x509.Certificate.load(certificate).subject
            name = distinguished_name(subject)
            if is_misleading(subject):
                raise CryptoError("Unverified signer: a part of its name reads as several: %s" % name)
        except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType, *MALFORMED) as err:
            raise CryptoError("Unverified signer: the certificate can't be read: %s" % err) from err
        try:
            verify_chain(parsed, chain, self.ca_directory, self.check_crls)
        except ChainError as err:
            self._check_directory()
            raise CryptoError("Unverified signer: %s" % err) from err
        return name

    def _check_directory(self) -> None:
        """A directory without a CA makes every signer look foreign: our trouble, not theirs."""
        if not any(CA_FILE.search(name) for name in os.listdir(self.ca_directory)):
            raise TrustError(
                "The CA directory %s holds no hash-named certificate (<hash>.0); "
                "run `openssl rehash` on it." % self.ca_directory
            )


def check_usage(certificate: x509.Certificate, purpose: str) -> None:
    """A certificate may be of any kind, but if it says what its key is for, the purpose must be in it.

    Raises CryptoError.
    """
    digest = certificate.signature_hash_algorithm
    if digest is not None and digest.name in WEAK_DIGESTS:
        raise CryptoError("Unverified signer: the certificate is signed with %s" % digest.name)
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
        raise CryptoError("Unverified signer: the key usage of the certificate does not allow %s" % purpose)
