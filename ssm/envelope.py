"""Encrypts messages for their receiver, and decrypts what was encrypted for us (CMS EnvelopedData, AES-CBC).

RSA receivers get the key of the message under PKCS #1 v1.5, as every OpenSSL understands (OAEP is read, too);
EC receivers by an ephemeral Diffie-Hellman exchange and AES key wrap (RFC 5753). What is inside is trusted
only once its signature has been verified: encryption alone says nothing about who sent it.
"""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from asn1crypto import algos
from asn1crypto import x509 as asn1_x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ssm import mime
from ssm.container import DATA, ENVELOPED, Container, open_container
from ssm.der import OCTETS, SEQUENCE, SET, Reader, Value, encoded, encoded_around
from ssm.errors import CryptoError, SigningError
from ssm.smime import MALFORMED, PrivateKey

BLOCK = 16
PIECE = 1 << 20
CIPHERS = ("aes256", "aes192", "aes128")

_KEY_BYTES = {"aes128": 16, "aes192": 24, "aes256": 32}
_AES = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01"
_CBC = {"aes128": _AES + b"\x02", "aes192": _AES + b"\x16", "aes256": _AES + b"\x2a"}
_WRAP = {"aes128": _AES + b"\x05", "aes192": _AES + b"\x19", "aes256": _AES + b"\x2d"}
_RSA = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
_OAEP = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07"
_EC_KEY = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
_DH = b"\x06\x06\x2b\x81\x04\x01\x0b"  # dhSinglePass-stdDH, and behind it the number of the digest
_DH_SHA256 = _DH + b"\x01"
_KDF_DIGESTS: Dict[bytes, Any] = {
    b"\x06\x09\x2b\x81\x05\x10\x86\x48\x3f\x00\x02": hashes.SHA1,
    _DH + b"\x00": hashes.SHA224,
    _DH_SHA256: hashes.SHA256,
    _DH + b"\x02": hashes.SHA384,
    _DH + b"\x03": hashes.SHA512,
}
_OAEP_DIGESTS: Dict[str, Any] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_NULL = b"\x05\x00"


class _Names(NamedTuple):
    """How messages name a receiver: by issuer and serial number (encoded), or by its key identifier.

    A certificate without one has one of a single byte, as no key has.
    """

    issuer_and_serial: bytes
    key_identifier: bytes


def _names_of(certificate: bytes) -> _Names:
    parsed = asn1_x509.Certificate.load(certificate)
    fields = parsed["tbs_certificate"]
    both = encoded(SEQUENCE, parsed.issuer.dump() + fields["serial_number"].dump())
    return _Names(both, parsed.key_identifier or b"\x00")


class Encryptor:
    """Encrypts messages for one receiver."""

    def __init__(self, certificate: bytes, public_key: Any, cipher: str = "aes256") -> None:
        """`certificate` of the receiver in DER, and the key in it; `cipher` is one of CIPHERS.

        Raises SigningError for a kind of key that can't be encrypted for.
        """
        if not isinstance(public_key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
            raise SigningError("The receiver's key is neither RSA nor EC; nothing can be encrypted for it.")
        self.public_key = public_key
        self.cipher = cipher
        self._receiver = _names_of(certificate).issuer_and_serial

    def encrypt(self, message: bytes) -> bytes:
        """The S/MIME message in which a message (with its MIME headers) is hidden."""
        key, start = os.urandom(_KEY_BYTES[self.cipher]), os.urandom(BLOCK)
        canonical = mime.with_lf(message).replace(b"\n", b"\r\n")
        pad = BLOCK - len(canonical) % BLOCK
        machine = Cipher(algorithms.AES(key), modes.CBC(start), default_backend()).encryptor()
        hidden = [
            machine.update(canonical),
            machine.update(bytes((pad,)) * pad) + machine.finalize(),
        ]
        algorithm = encoded(SEQUENCE, _CBC[self.cipher] + encoded(OCTETS, start))
        content = encoded_around(SEQUENCE, [DATA, algorithm, *encoded_around(0x80, hidden)])
        version, receiver = self._recipient(key)
        envelope = encoded_around(SEQUENCE, [version, encoded(SET, receiver), *content])
        return mime.wrap_container(encoded_around(SEQUENCE, [ENVELOPED, *encoded_around(0xA0, envelope)]))

    def _recipient(self, key: bytes) -> Tuple[bytes, bytes]:
        """The version of the whole, and the one RecipientInfo in it."""
        public = self.public_key
        if isinstance(public, ec.EllipticCurvePublicKey):
            return _integer(2), self._key_agreement(public, key)
        hidden = encoded(OCTETS, public.encrypt(key, padding.PKCS1v15()))
        info = _integer(0) + self._receiver + encoded(SEQUENCE, _RSA + _NULL) + hidden
        return _integer(0), encoded(SEQUENCE, info)

    def _key_agreement(self, public: ec.EllipticCurvePublicKey, key: bytes) -> bytes:
        own = ec.generate_private_key(public.curve, default_backend())
        point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        originator = encoded(0xA1, encoded(SEQUENCE, _EC_KEY) + encoded(0x03, b"\x00" + point))
        wrap = encoded(SEQUENCE, _WRAP[self.cipher])
        secret = own.exchange(ec.ECDH(), public)
        wrapping = _derive(secret, hashes.SHA256, wrap, b"", _KEY_BYTES[self.cipher])
        hidden = keywrap.aes_key_wrap(wrapping, key, default_backend())
        receivers = encoded(SEQUENCE, encoded(SEQUENCE, self._receiver + encoded(OCTETS, hidden)))
        algorithm = encoded(SEQUENCE, _DH_SHA256 + wrap)
        return encoded(0xA1, _integer(3) + encoded(0xA0, originator) + algorithm + receivers)


def _integer(value: int) -> bytes:
    return bytes((0x02, 0x01, value))


def _derive(secret: bytes, digest: Any, wrap: bytes, material: bytes, size: int) -> bytes:
    """The wrapping key of `size` bytes (X9.63 derivation; RFC 5753, 7.2); `material` is encoded, or empty."""
    bits = encoded(0xA2, encoded(OCTETS, (size * 8).to_bytes(4, "big")))
    shared = encoded(SEQUENCE, wrap + (encoded(0xA0, material) if material else b"") + bits)
    return X963KDF(digest(), size, shared, default_backend()).derive(secret)


class Decryptor:
    """Decrypts messages that were encrypted for one of our certificates."""

    def __init__(self, own: Sequence[Tuple[bytes, PrivateKey]]) -> None:
        """`own`: certificates (DER) with their keys."""
        self._own = [(_names_of(certificate), key) for certificate, key in own]

    def open(self, message: bytes) -> bytes:
        """What is inside a message that is encrypted; any other is returned as it is.

        Raises CryptoError if we can't decrypt it.
        """
        try:
            data = mime.container_of(message)
            container = open_container(data) if data is not None else None
        except (CryptoError, *MALFORMED):
            return message  # whoever verifies it will find the reason
        if container is None or container.kind != ENVELOPED:
            return message
        try:
            return self._decrypt(container)
        except (UnsupportedAlgorithm, keywrap.InvalidUnwrap, *MALFORMED) as err:
            raise CryptoError("it can't be decrypted: %s" % (err or type(err).__name__)) from err

    def _decrypt(self, container: Container) -> bytes:
        reader = container.reader
        members = reader.children(container.inner)
        (receivers,) = (member for member in members if member.tag == SET)
        (content,) = (member for member in members if member.tag == SEQUENCE)
        _, algorithm, *hidden = reader.children(content)
        if not hidden:
            raise ValueError("nothing is in it")
        cipher, start = _parts(reader, algorithm)
        names = [name for name in CIPHERS if _CBC[name] == cipher]
        if not names:
            raise CryptoError("its cipher is not accepted; encrypt with AES-256 (CBC)")
        key = self._find_key(reader, receivers, _KEY_BYTES[names[0]])
        return _decrypted(key, reader.content(start[0]), reader.octets(hidden[0]))

    def _find_key(self, reader: Reader, receivers: Value, size: int) -> bytes:
        if not self._own:
            raise CryptoError("it is encrypted, and this receiver has no certificate and key to decrypt with")
        infos = reader.children(receivers)
        for info in infos:
            key = self._key_in(reader, info)
            if key is None:
                continue
            if len(key) != size:
                raise ValueError("its key is not of our key")
            return key
        raise CryptoError("it is encrypted for %d others, not for our certificate" % len(infos))

    def _key_in(self, reader: Reader, info: Value) -> Optional[bytes]:
        if info.tag == SEQUENCE:
            _, name, algorithm, hidden = reader.children(info)
            found = self._own_key(reader, name)
            return None if found is None else _transported(found, reader, algorithm, hidden)
        if info.tag == 0xA1:
            return self._agreed_key(reader, info)
        return None

    def _own_key(self, reader: Reader, name: Value) -> Any:
        """Our key, if a receiver's name is one of our certificates."""
        for names, key in self._own:
            if reader.whole(name) in (names.issuer_and_serial, encoded(0x80, names.key_identifier)):
                return key
            if name.tag == 0xA0 and reader.content(reader.children(name)[0]) == names.key_identifier:
                return key
        return None

    def _agreed_key(self, reader: Reader, info: Value) -> Optional[bytes]:
        _, originator, *material, algorithm, receivers = reader.children(info)
        for receiver in reader.children(receivers):
            name, hidden = reader.children(receiver)
            own = self._own_key(reader, name)
            if own is not None:
                ukm = reader.content(material[0]) if material else b""
                wrapping = _agreed_wrapping_key(own, reader, originator, algorithm, ukm)
                return keywrap.aes_key_unwrap(wrapping, reader.content(hidden), default_backend())
        return None


def _parts(reader: Reader, algorithm: Value) -> Tuple[bytes, List[Value]]:
    """An AlgorithmIdentifier: its object identifier (encoded) and its parameters."""
    kind, *parameters = reader.children(algorithm)
    return reader.whole(kind), parameters


def _transported(key: Any, reader: Reader, algorithm: Value, hidden: Value) -> bytes:
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("it is encrypted for an RSA key, and ours is none")
    kind, parameters = _parts(reader, algorithm)
    if kind not in (_RSA, _OAEP):
        raise CryptoError("the algorithm of its key is not accepted")
    scheme = padding.PKCS1v15() if kind == _RSA else _oaep(reader, parameters)
    try:
        return bytes(key.decrypt(reader.content(hidden), scheme))
    except ValueError as err:
        raise ValueError("its key is not of our key") from err


def _oaep(reader: Reader, parameters: List[Value]) -> padding.OAEP:
    given = reader.whole(parameters[0]) if parameters else encoded(SEQUENCE, b"")
    read = algos.RSAESOAEPParams.load(given)
    digest = _OAEP_DIGESTS[read["hash_algorithm"]["algorithm"].native]
    mask = _OAEP_DIGESTS[read["mask_gen_algorithm"]["parameters"]["algorithm"].native]
    label = read["p_source_algorithm"]["parameters"].native or None
    return padding.OAEP(padding.MGF1(mask()), digest(), label)


def _agreed_wrapping_key(key: Any, reader: Reader, originator: Value, algorithm: Value, ukm: bytes) -> bytes:
    """The key that wraps the message's; `originator` has the sender's point, `ukm` is encoded, or empty."""
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("it is encrypted for an EC key, and ours is none")
    kind, (wrap,) = _parts(reader, algorithm)
    if kind not in _KDF_DIGESTS:
        raise CryptoError("its key agreement is not accepted")
    wrap_kind, _ = _parts(reader, wrap)
    sizes = [_KEY_BYTES[name] for name in CIPHERS if _WRAP[name] == wrap_kind]
    if not sizes:
        raise CryptoError("its key wrap is not accepted")
    (sender,) = reader.children(originator)
    if sender.tag != 0xA1:
        raise ValueError("its sender's key is not in it")
    point = reader.content(reader.children(sender)[1])[1:]
    public = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point)
    secret = key.exchange(ec.ECDH(), public)
    return _derive(secret, _KDF_DIGESTS[kind], reader.whole(wrap), ukm, sizes[0])


def _decrypted(key: bytes, start: bytes, pieces: List[memoryview]) -> bytes:
    machine = Cipher(algorithms.AES(key), modes.CBC(start), default_backend()).decryptor()
    found = [machine.update(piece[at : at + PIECE]) for piece in pieces for at in range(0, len(piece), PIECE)]
    found.append(machine.finalize())
    text = b"".join(found)
    pad = text[-1] if text else 0
    if not 1 <= pad <= BLOCK or text[-pad:] != bytes((pad,)) * pad:
        raise ValueError("its key is not of our key, or it was cut")
    return text[:-pad]
