"""Throw-away certificates, so that the quick start signs and verifies for real. Never use them elsewhere."""

import datetime
import os
from typing import NamedTuple, Optional

from cryptography import x509
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import crypto

VALID_DAYS = 30


class HostCertificate(NamedTuple):
    """A host's files, and its DN in the slash form that DN lists use."""

    certificate: str
    key: str
    dn: str


class Authority:
    """A certification authority that lives in a folder laid out as the grid's CA directories are."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self._key = rsa.generate_private_key(65537, 2048, default_backend())
        self._name = _name("Throw-away CA")
        self.certificate = self._sign(self._name, self._key.public_key(), None)
        self.ca_file = os.path.join(folder, "%08x.0" % self._hash())
        _write(self.ca_file, self.certificate.public_bytes(serialization.Encoding.PEM), 0o644)

    def _hash(self) -> int:
        pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        return int(crypto.load_certificate(crypto.FILETYPE_PEM, pem).subject_name_hash())

    def issue(self, folder: str, host: str) -> HostCertificate:
        """Make a host certificate and its key in `folder` (hostcert.pem, hostkey.pem)."""
        key = rsa.generate_private_key(65537, 2048, default_backend())
        certificate = self._sign(_name(host), key.public_key(), host)
        paths = os.path.join(folder, "hostcert.pem"), os.path.join(folder, "hostkey.pem")
        _write(paths[0], certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        _write(paths[1], private, 0o600)
        return HostCertificate(paths[0], paths[1], "/C=XX/O=Throw-away/CN=%s" % host)

    def _sign(
        self, subject: x509.Name, public_key: rsa.RSAPublicKey, host: Optional[str]
    ) -> x509.Certificate:
        today = datetime.datetime.now(datetime.timezone.utc).replace(
            tzinfo=None
        )  # old versions want it naive
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=VALID_DAYS))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host is not None:
            usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            names = x509.SubjectAlternativeName([x509.DNSName(host)])
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256(), default_backend())


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Throw-away"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _write(path: str, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
