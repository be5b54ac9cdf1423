"""A throw-away public key infrastructure: authorities, certificates good and bad, a hashed directory."""

import datetime
import ipaddress
import itertools
import os
import subprocess
from typing import Any, List, Optional, Sequence, Tuple

from asn1crypto.pem import unarmor
from cryptography import x509
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ORGANISATION = "Test Grid"
USES = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
    "email": ExtendedKeyUsageOID.EMAIL_PROTECTION,
}
OIDS = {
    "C": NameOID.COUNTRY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "DC": NameOID.DOMAIN_COMPONENT,
    "CN": NameOID.COMMON_NAME,
    "L": NameOID.LOCALITY_NAME,
    "UID": NameOID.USER_ID,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}
Rdns = Sequence[Tuple[str, str]]


def new_key(kind: str) -> Any:
    """A private key: 'rsa' (2048 bits) or 'ec' (P-256)."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1(), default_backend())
    return rsa.generate_private_key(65537, 2048, default_backend())


def in_days(days: float) -> datetime.datetime:
    """A moment so many days from now (before it, if negative)."""
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)


def subject(rdns: Rdns) -> x509.Name:
    """A name from (short name, value) pairs in the order they are encoded."""
    return x509.Name([x509.NameAttribute(OIDS[short], value) for short, value in rdns])


class Authority:
    """A certificate authority with its revocation list; its own issuer is `parent`, or itself."""

    def __init__(self, folder: str, cn: str, parent: Optional["Authority"] = None, key: str = "rsa") -> None:
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.parent = parent
        self.name = subject([("C", "XX"), ("O", ORGANISATION), ("CN", cn)])
        self.key = new_key(key)
        self._revoked: List[x509.RevokedCertificate] = []
        self._numbers = itertools.count(1)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        extensions = [(x509.BasicConstraints(True, None), True), (usage, True)]
        self.certificate = (parent or self).sign(self.name, self.key.public_key(), extensions, (-30, 3650))
        self.path = self._write("ca.pem", pem(self.certificate))
        self.key_path = self._write("ca.key", key_pem(self.key))

    def sign(self, name: x509.Name, public_key: Any, extensions: Any, days: Tuple[float, float]) -> Any:
        """A certificate for a public key, valid from and to so many days from now."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(in_days(days[0]))
            .not_valid_after(in_days(days[1]))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256(), default_backend())

    def issue(
        self,
        cn: str,
        *,
        key: str = "rsa",
        days: Tuple[float, float] = (-1, 30),
        uses: Sequence[str] = ("server", "client"),
        rdns: Rdns = (),
        email: str = "",
    ) -> Tuple[str, str]:
        """A host certificate and its key: (certificate path, key path), PEM, the key readable by us alone.

        The subject is C=XX, O=Test Grid, CN=cn (or `rdns` whole, which then need no cn), with an
        emailAddress RDN at the end if `email`. The host names localhost and 127.0.0.1 are in it, and cn.
        `days` is the validity from now, (-30, -1) expired, (1, 30) not yet valid. `key`: 'rsa' or 'ec'.
        """
        names = list(rdns) or [("C", "XX"), ("O", ORGANISATION), ("CN", cn)]
        names += [("emailAddress", email)] if email else []
        private = new_key(key)
        certificate = self.sign(subject(names), private.public_key(), host_extensions(cn, uses), days)
        stem = "%d-%s" % (next(self._numbers), "".join(c if c.isalnum() else "-" for c in cn))
        chain = b"".join(pem(authority.certificate) for authority in self.chain())
        return (
            self._write(stem + ".pem", pem(certificate) + chain),
            self._write(stem + ".key", key_pem(private), 0o600),
        )

    def chain(self) -> List["Authority"]:
        """The authorities from this one up to, but without, the root."""
        return [self, *self.parent.chain()] if self.parent else []

    def revoke(self, certificate_path: str) -> None:
        """Put a certificate on this authority's revocation list (trust() or crl() writes the list)."""
        revoked = x509.RevokedCertificateBuilder().serial_number(load(certificate_path).serial_number)
        self._revoked.append(revoked.revocation_date(in_days(-0.5)).build(default_backend()))

    def crl(self, days: Tuple[float, float] = (-1, 30)) -> bytes:
        """The revocation list as PEM; `days` as for issue() (last and next update)."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(in_days(days[0])).next_update(in_days(days[1]))
        for revoked in self._revoked:
            builder = builder.add_revoked_certificate(revoked)
        return pem(builder.sign(self.key, hashes.SHA256(), default_backend()))

    def _write(self, name: str, data: bytes, mode: int = 0o644) -> str:
        path = os.path.join(self.folder, name)
        with open(path, "wb") as stream:
            stream.write(data)
        os.chmod(path, mode)
        return path


class PKI:
    """What most tests need: a trusted root and its directory, an intermediate, and a foreign authority.

    `ca_dir` is a hashed directory as /etc/grid-security/certificates: HASH.0 and HASH.r0 for each
    trusted authority. `ca_file` is the same as one bundle.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.root = Authority(os.path.join(folder, "root"), "Test Root CA")
        self.ca_dir = self.new_ca_dir("certificates", [self.root])
        self.ca_file = self.root.path
        self._intermediate: Optional[Authority] = None
        self._foreign: Optional[Authority] = None

    def issue(self, cn: str, **options: Any) -> Tuple[str, str]:
        """A certificate of the trusted root; options as for Authority.issue()."""
        return self.root.issue(cn, **options)

    @property
    def intermediate(self) -> Authority:
        """An authority under the root; it is not in ca_dir, so its certificate must travel along."""
        if self._intermediate is None:
            folder = os.path.join(self.folder, "intermediate")
            self._intermediate = Authority(folder, "Test Intermediate CA", parent=self.root)
        return self._intermediate

    @property
    def foreign(self) -> Authority:
        """An authority that nobody trusts."""
        if self._foreign is None:
            self._foreign = Authority(os.path.join(self.folder, "foreign"), "Foreign CA")
        return self._foreign

    def new_ca_dir(self, name: str, authorities: Sequence[Authority], crls: bool = True) -> str:
        """Another hashed directory below the folder, trusting these authorities; its path."""
        path = os.path.join(self.folder, name)
        os.makedirs(path)
        for authority in authorities:
            trust(path, authority, crls)
        return path


def name_hash(certificate_path: str, old: bool = False) -> str:
    """The hash of the name in a certificate (`old`: as before OpenSSL 1.0), by which files are named."""
    which = "-subject_hash_old" if old else "-subject_hash"
    return openssl("x509", "-noout", which, "-in", certificate_path).strip()


def trust(ca_dir: str, authority: Authority, crls: bool = True) -> None:
    """Put (or put anew) an authority and its revocation list into a hashed directory."""
    stem = name_hash(authority.path)
    files = [(".0", pem(authority.certificate))] + ([(".r0", authority.crl())] if crls else [])
    for suffix, data in files:
        with open(os.path.join(ca_dir, stem + suffix), "wb") as stream:
            stream.write(data)


def host_extensions(cn: str, uses: Sequence[str]) -> List[Tuple[Any, bool]]:
    """What a grid host certificate carries."""
    names: List[x509.GeneralName] = [x509.DNSName("localhost")]
    if cn and all(c.isalnum() or c in ".-" for c in cn):
        names.append(x509.DNSName(cn))
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    return [
        (x509.BasicConstraints(False, None), True),
        (x509.KeyUsage(True, False, True, False, False, False, False, False, False), True),
        (x509.ExtendedKeyUsage([USES[use] for use in uses]), False),
        (x509.SubjectAlternativeName(names), False),
    ]


def load(path: str) -> x509.Certificate:
    """The first certificate of a PEM file."""
    with open(path, "rb") as stream:
        return x509.load_pem_x509_certificate(stream.read(), default_backend())


def der(path: str) -> bytes:
    """The first certificate of a PEM file in DER, even one that `load` refuses."""
    with open(path, "rb") as stream:
        found: bytes = unarmor(stream.read())[2]
    return found


def load_key(path: str) -> Any:
    """The private key in a PEM file."""
    with open(path, "rb") as stream:
        return serialization.load_pem_private_key(stream.read(), None, default_backend())


def slash_dn(certificate_path: str) -> str:
    """The subject in the slash form that DN lists use, as the openssl command says it."""
    line = openssl("x509", "-noout", "-subject", "-nameopt", "compat", "-in", certificate_path)
    return line.split("=", 1)[1].strip()


def pem(thing: Any) -> bytes:
    """A certificate or a revocation list as PEM."""
    encoded: bytes = thing.public_bytes(serialization.Encoding.PEM)
    return encoded


def key_pem(key: Any) -> bytes:
    """A private key as PEM, PKCS #8, without a password."""
    encoded: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded


def openssl(*words: str) -> str:
    """What an openssl command prints."""
    done = subprocess.run(("openssl", *words), stdout=subprocess.PIPE, check=True, universal_newlines=True)
    return done.stdout
