"""Sign, verify, encrypt and decrypt messages of 600 kB, and take them in: beside the bare operations."""

import base64
import hashlib
import os
import pathlib
import shutil
import sys
import tempfile
from typing import Any, Callable, Dict, NamedTuple

from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bench.common import measure, report
from ssm import smime
from ssm.credentials import Credentials, load_credentials
from ssm.elements import write_file
from ssm.envelope import Decryptor, Encryptor
from ssm.receiver import Receiver
from ssm.transport import Delivery
from ssm.trust import TrustStore

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))
from servers.pki import PKI

SIZE = 600000
#: DESIGN: sign in 4 ms, verify in 5 ms (the incumbent: 11 and 117), and a receiver of 100 messages/s.
SIGN_AIM, VERIFY_AIM, RECEIVE_AIM = 250, 200, 100
#: The incumbent takes 12 ms for each, in a process of its own.
ENCRYPT_AIM, DECRYPT_AIM = 120, 160
RECORD = b"Site: EXAMPLE-NORTH\nLocalJobId: 7731204\nWallDuration: 3600\nCpuDuration: 3500\n%%\n"
COUNT, REPEAT = 4, 20


class Bare(NamedTuple):
    """What nobody can leave out: making the CRLF form, its digest, and one RSA operation."""

    sign: Callable[[], object]
    verify: Callable[[], object]


def bare(text: bytes, key_path: str) -> Bare:
    with open(key_path, "rb") as stream:
        key = load_pem_private_key(stream.read(), None, default_backend())
    scheme, digest = padding.PKCS1v15(), hashes.SHA256()
    signature = key.sign(b"x", scheme, digest)
    public = key.public_key()

    def digested() -> bytes:
        return hashlib.sha256(text.replace(b"\n", b"\r\n")).digest()

    return Bare(
        lambda: (digested(), key.sign(b"x", scheme, digest)),
        lambda: (digested(), public.verify(signature, b"x", scheme, digest)),
    )


def times(work: Callable[[], object]) -> Callable[[], None]:
    def repeated() -> None:
        for _ in range(COUNT):
            work()

    return repeated


def sign_and_verify(text: bytes, own: Credentials, key_path: str, trust: TrustStore) -> None:
    signer, limit = own.signer(), bare(text, key_path)
    message = signer.sign(text)

    def verify() -> str:
        signed = smime.verify(message)
        return trust.check(signed.certificate, signed.others)

    if verify() != own.name or smime.verify(message).text != text.decode().strip():
        raise SystemExit("what is verified is not what was signed")
    least = measure(times(limit.sign), COUNT, REPEAT)
    report(
        "sign 600 kB",
        measure(times(lambda: signer.sign(text)), COUNT, REPEAT),
        "CRLF, SHA-256, RSA",
        least,
        SIGN_AIM,
    )
    least = measure(times(limit.verify), COUNT, REPEAT)
    report("verify 600 kB", measure(times(verify), COUNT, REPEAT), "CRLF, SHA-256, RSA", least, VERIFY_AIM)


def encrypt_and_decrypt(text: bytes, own: Credentials) -> None:
    """A signed message, beside AES and base64 alone."""
    message = own.signer().sign(text)
    encryptor = Encryptor(own.certificate, own.key.public_key())
    decryptor = Decryptor([(own.certificate, own.key)])
    hidden = encryptor.encrypt(message)
    if decryptor.open(hidden) != message.replace(b"\n", b"\r\n"):
        raise SystemExit("what is decrypted is not what was encrypted")
    whole = message[: len(message) // 16 * 16]
    coded = base64.b64encode(whole)

    def machine() -> Any:
        return Cipher(algorithms.AES(bytes(32)), modes.CBC(bytes(16)), default_backend())

    least = measure(times(lambda: base64.b64encode(machine().encryptor().update(whole))), COUNT, REPEAT)
    taken = measure(times(lambda: encryptor.encrypt(message)), COUNT, REPEAT)
    report("encrypt 600 kB", taken, "AES-256, base64", least, ENCRYPT_AIM)
    least = measure(times(lambda: machine().decryptor().update(base64.b64decode(coded))), COUNT, REPEAT)
    taken = measure(times(lambda: decryptor.open(hidden)), COUNT, REPEAT)
    report("decrypt 600 kB", taken, "base64, AES-256", least, DECRYPT_AIM)


def receive(text: bytes, own: Credentials, trust: TrustStore, folder: str) -> None:
    """From the broker's bytes to the queue on disk, synced, beside one synced file of the size."""
    message = own.signer().sign(text)
    receiver = Receiver(os.path.join(folder, "spool"), trust, frozenset([own.name]))
    numbers: Dict[str, int] = {"next": 0}

    def write() -> None:
        numbers["next"] += 1
        write_file(os.path.join(folder, "plain%d" % numbers["next"]), text)

    least = measure(times(write), COUNT, 5)
    taken = measure(times(lambda: receiver.take(Delivery("id", message, None))), COUNT, 5)
    report("receive 600 kB", taken, "one synced file", least, RECEIVE_AIM)


def main() -> None:
    folder = tempfile.mkdtemp(prefix="bench-smime-")
    try:
        pki = PKI(os.path.join(folder, "pki"))
        certificate, key = pki.issue("bench.example.org")
        own, trust = load_credentials(certificate, key), TrustStore(pki.ca_dir)
        text = (RECORD * (SIZE // len(RECORD) + 1))[:SIZE]
        sign_and_verify(text, own, key, trust)
        encrypt_and_decrypt(text, own)
        receive(text, own, trust, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
