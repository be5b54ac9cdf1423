"""Certificates that no sound authority would make, by the openssl command, for tests of what is refused."""

import os
import subprocess
from typing import NamedTuple, Optional, Sequence, Tuple

from cryptography import x509
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes

from servers.pki import (
    Authority,
    host_extensions,
    in_days,
    key_pem,
    load,
    load_key,
    new_key,
    openssl,
    pem,
)

HOST = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment"
AUTHORITY = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign"
EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
#: ProxyCertInfo (RFC 3820) of a proxy that may do all its maker may.
PROXY = x509.UnrecognizedExtension(
    x509.ObjectIdentifier("1.3.6.1.5.5.7.1.14"), bytes.fromhex("300c300a06082b06010505071501")
)


class Pair(NamedTuple):
    """Where a certificate and its key are, in PEM."""

    certificate: str
    key: str


def issue(
    signer: Pair,
    stem: str,
    *,
    subject: str = "",
    key: Sequence[str] = EC_KEY,
    digest: str = "sha256",
    extensions: str = HOST,
    days: int = 30,
) -> Pair:
    """A certificate at `stem`.pem and its key; `key`: words for `openssl req`, `extensions`: for a config."""
    made = Pair(stem + ".pem", stem + ".key")
    with open(stem + ".cnf", "w") as stream:
        stream.write(extensions + "\n")
    name = subject or "/C=XX/O=Test Grid/CN=%s" % os.path.basename(stem)
    openssl("req", "-new", *key, "-nodes", "-keyout", made.key, "-subj", name, "-out", stem + ".csr")
    names = [
        "-CA",
        signer.certificate,
        "-CAkey",
        signer.key,
        "-set_serial",
        str(int.from_bytes(os.urandom(8), "big")),
    ]
    words = [
        "-req",
        "-in",
        stem + ".csr",
        *names,
        "-" + digest,
        "-days",
        str(days),
        "-extfile",
        stem + ".cnf",
    ]
    openssl("x509", *words, "-out", made.certificate)
    return made


def self_signed(stem: str, key: Sequence[str] = EC_KEY, digest: str = "sha256") -> Pair:
    """A certificate that vouches for itself."""
    made = Pair(stem + ".pem", stem + ".key")
    name = "/C=XX/O=Test Grid/CN=%s" % os.path.basename(stem)
    words = ["-nodes", "-keyout", made.key, "-" + digest, "-subj", name, "-out", made.certificate]
    openssl("req", "-x509", *key, *words, "-days", "30")
    return made


def as_pair(authority: Authority) -> Pair:
    """An authority as what signs."""
    return Pair(authority.path, authority.key_path)


def proxy(owner: Pair, stem: str, days: Tuple[float, float] = (-1, 1)) -> Pair:
    """A proxy certificate of a certificate (or of another proxy), with its maker behind it in the file."""
    maker, key = load(owner.certificate), new_key("ec")
    serial = x509.random_serial_number()
    name = x509.Name([*maker.subject, x509.NameAttribute(x509.NameOID.COMMON_NAME, str(serial))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(maker.subject)
    builder = builder.public_key(key.public_key()).serial_number(serial)
    builder = builder.not_valid_before(in_days(days[0])).not_valid_after(in_days(days[1]))
    builder = builder.add_extension(PROXY, True).add_extension(host_extensions("", ["client"])[1][0], True)
    signed = builder.sign(load_key(owner.key), hashes.SHA256(), default_backend())
    made = Pair(stem + ".pem", stem + ".key")
    with open(made.certificate, "wb") as stream, open(owner.certificate, "rb") as behind:
        stream.write(pem(signed) + behind.read())
    with open(made.key, "wb") as stream:
        stream.write(key_pem(key))
    return made


def sign(
    pair: Pair, text: str, *options: str, command: str = "smime", certfile: Optional[str] = None
) -> bytes:
    """What `openssl smime -sign` makes of a text; `certfile` has certificates to send along."""
    words = ["openssl", command, "-sign", "-text", "-inkey", pair.key, "-signer", pair.certificate]
    words += ["-certfile", certfile] if certfile else []
    done = subprocess.run([*words, *options], input=text.encode(), stdout=subprocess.PIPE, check=True)
    return done.stdout
