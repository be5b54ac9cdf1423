"""Whether a certificate is to be trusted: its chain to the CA directory, dates, CRLs, key, use and name."""

import hashlib
import itertools
import logging
import os
import re
import time
from typing import Dict, Iterable, List, NamedTuple, Tuple

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives.serialization import Encoding

from apelcommon.files import FileState, file_state
from ssm.certificates import (
    SIGNING,
    check_digest,
    check_key,
    check_usage,
    first_end,
    is_proxy,
)
from ssm.chain import ChainError, Link, Rules, verify_chain
from ssm.dn import distinguished_name, is_misleading
from ssm.errors import CryptoError, TrustError
from ssm.signingpolicy import find_policy, is_allowed
from ssm.smime import MALFORMED

log = logging.getLogger(__name__)

REMEMBERED_SECONDS = 60.0
LOOK_SECONDS = 1.0
MOST_REMEMBERED = 10000
MOST_OTHERS = 20
MOST_IN_CHAIN = 10
CA_FILE = re.compile(r"^[0-9a-f]{8}\.\d+$")
TRUST_FILE = re.compile(r"^[0-9a-f]{8}\.(?:r?\d+|signing_policy)$")
UNREADABLE = (x509.DuplicateExtension, x509.UnsupportedGeneralNameType, *MALFORMED)

Files = List[Tuple[str, FileState]]


class _Verdict(NamedTuple):
    name: str
    until: float
    ends: float


class TrustStore:
    """The authorities in a directory of hash-named files (`<hash>.0`, CRLs `<hash>.r0`, signing policies).

    A certificate that verified is remembered for a minute, so that a message costs one signature check;
    shorter if a certificate of its chain ends, or a file in the directory changes (one that is new or
    replaced is seen at once, one that is written over within a second). The store itself is made anew
    for each check: OpenSSL keeps the CRLs it has once read, and would not see a newer one.
    """

    def __init__(self, ca_directory: str, check_crls: bool = False, allow_proxies: bool = False) -> None:
        self.rules = Rules(ca_directory, check_crls, allow_proxies)
        self._remembered: Dict[Tuple[bytes, str], _Verdict] = {}
        self._folder: FileState = None
        self._files: Files = []
        self._next_look = 0.0

    def check(self, certificate: bytes, others: Iterable[bytes] = (), purpose: str = SIGNING) -> str:
        """The name (slash form) in a certificate (DER) that is trusted: a signer's, or one to encrypt for.

        `others` are certificates that may complete the chain. Raises CryptoError with the reason, or
        TrustError if the CA directory itself is unusable.
        """
        self._forget_if_changed()
        key = (hashlib.sha256(certificate).digest(), purpose)
        verdict = self._remembered.get(key)
        if verdict is not None and verdict.until > time.monotonic() and verdict.ends > time.time():
            return verdict.name
        name, ends = self._verify(certificate, list(others), purpose)
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = _Verdict(name, time.monotonic() + REMEMBERED_SECONDS, ends)
        return name

    def _forget_if_changed(self) -> None:
        now = time.monotonic()
        folder = file_state(self.rules.ca_directory)
        if now < self._next_look and folder == self._folder:
            return
        files = self._look()
        if files != self._files:
            self._remembered.clear()
        self._folder, self._files, self._next_look = folder, files, now + LOOK_SECONDS

    def _look(self) -> Files:
        folder = self.rules.ca_directory
        try:
            names = sorted(name for name in os.listdir(folder) if TRUST_FILE.match(name))
        except OSError as err:
            raise TrustError("Cannot read the CA directory %s: %s" % (folder, err)) from err
        return [(name, file_state(os.path.join(folder, name))) for name in names]

    def _verify(self, certificate: bytes, others: List[bytes], purpose: str) -> Tuple[str, float]:
        """The name that is trusted, and when the first certificate of its chain ends (epoch seconds)."""
        what = "Unverified signer" if purpose == SIGNING else "Untrusted certificate"
        try:
            if len(others) > MOST_OTHERS:
                raise CryptoError(
                    "%d certificates beside the signer's; at most %d" % (len(others), MOST_OTHERS)
                )
            parsed, *known = [_load(one) for one in (certificate, *others)]
            self._check_leaf(parsed, purpose)
            chain = verify_chain(parsed, known, self.rules)
            return self._check_chain(chain), first_end([link.certificate for link in chain])
        except ChainError as err:
            self._check_directory()
            raise CryptoError("%s: %s" % (what, err)) from err
        except CryptoError as err:
            raise CryptoError("%s: %s" % (what, err)) from err
        except UNREADABLE as err:
            raise CryptoError("%s: the certificate can't be read: %s" % (what, err)) from err

    def _check_leaf(self, certificate: x509.Certificate, purpose: str) -> None:
        check_key(certificate.public_key())
        check_digest(certificate)
        check_usage(certificate, purpose)
        if not self.rules.allow_proxies and is_proxy(certificate):
            raise CryptoError("a proxy certificate; sign with the certificate of the host itself")

    def _check_chain(self, chain: List[Link]) -> str:
        """Check the rest of a chain that OpenSSL takes; the name of the first in it that is no proxy."""
        if len(chain) > MOST_IN_CHAIN:
            raise CryptoError("a chain of %d certificates; at most %d" % (len(chain), MOST_IN_CHAIN))
        owner, *authorities = itertools.dropwhile(lambda link: is_proxy(link.certificate), chain)
        for link in chain[1:]:
            _check_link(link, is_root=link is chain[-1])
        for link, signer in zip([owner, *authorities], authorities):
            self._check_policy(signer, _name(link))
        return _name(owner)

    def _check_policy(self, authority: Link, subject: str) -> None:
        name = _subject(authority)
        path = find_policy(self.rules.ca_directory, authority.name_hash, name.dump())
        if path is not None and not is_allowed(path, distinguished_name(name), subject):
            raise CryptoError(
                "the signing policy of %s does not let it sign for %s" % (distinguished_name(name), subject)
            )

    def _check_directory(self) -> None:
        """A directory without a CA makes every signer look foreign: our trouble, not theirs."""
        folder = self.rules.ca_directory
        if not any(CA_FILE.match(name) for name, _ in self._look()):
            raise TrustError(
                "The CA directory %s holds no hash-named certificate (<hash>.0); "
                "run `openssl rehash` on it." % folder
            )


def _load(der: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(der, default_backend())


def _check_link(link: Link, is_root: bool) -> None:
    """Check what vouches for a signer. Of the root only the key counts: who installed it answers for it."""
    try:
        check_key(link.certificate.public_key())
        if not is_root:
            check_digest(link.certificate)
    except CryptoError as err:
        raise CryptoError("behind it, %s: %s" % (_name(link), err)) from err


def _subject(link: Link) -> asn1_x509.Name:
    return asn1_x509.Certificate.load(link.certificate.public_bytes(Encoding.DER)).subject


def _name(link: Link) -> str:
    """The name in a certificate, in slash form. Raises CryptoError if it may be that of another."""
    subject = _subject(link)
    if is_misleading(subject):
        raise CryptoError("a part of its name reads as several: %s" % distinguished_name(subject))
    return distinguished_name(subject)
