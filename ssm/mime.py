"""The MIME frame of messages: clear-signed ones in two parts, others one CMS structure, nothing else.

Everything here works on LF line ends; a signature is over the CRLF form of the first part.
"""

import base64
import binascii
import os
import quopri
import re
from typing import Dict, Iterable, NamedTuple, Optional, Tuple, Union

from ssm.errors import CryptoError

MOST_HEADER_BYTES = 16384

HEADER_NAME = re.compile(r"[!-9;-~]+$")
BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s;"]*)"?', re.IGNORECASE)
SIGNATURE_TYPES = ("application/x-pkcs7-signature", "application/pkcs7-signature")
ENVELOPE_TYPES = ("application/x-pkcs7-mime", "application/pkcs7-mime")
CHARSETS = {
    "": "utf-8",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "latin-1",
}
BLOCK_BYTES = 48 * 1024
BASE64_BLANKS = b" \t\r\n"
PEM_LABELS = (b"PKCS7", b"CMS")


class SignedParts(NamedTuple):
    """A clear-signed message taken apart: the signed part (LF; digested as CRLF), the signature in DER."""

    content: bytes
    signature: bytes


def wrap(content: bytes, signature: bytes) -> bytes:
    """The multipart/signed message of a first part (LF, with its headers) and a DER signature over it."""
    boundary = b"----" + binascii.hexlify(os.urandom(16)).upper()
    return b"".join(
        (
            b'MIME-Version: 1.0\nContent-Type: multipart/signed; protocol="application/x-pkcs7-signature"; '
            b'micalg="sha-256"; boundary="',
            boundary,
            b'"\n\n',
            b"This is an S/MIME signed message\n\n",
            b"--",
            boundary,
            b"\n",
            content,
            b"\n--",
            boundary,
            b"\n",
            b'Content-Type: application/x-pkcs7-signature; name="smime.p7s"\n'
            b"Content-Transfer-Encoding: base64\n"
            b'Content-Disposition: attachment; filename="smime.p7s"\n\n',
            _base64_lines(signature),
            b"\n--",
            boundary,
            b"--\n\n",
        )
    )


def wrap_container(container: Iterable[bytes]) -> bytes:
    """The S/MIME message of an encrypted CMS structure (in parts)."""
    return b"".join(
        (
            b'MIME-Version: 1.0\nContent-Disposition: attachment; filename="smime.p7m"\n'
            b'Content-Type: application/x-pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"\n'
            b"Content-Transfer-Encoding: base64\n\n",
            _base64_lines(b"".join(container)),
            b"\n",
        )
    )


def container_of(message: bytes) -> Optional[bytes]:
    """The CMS structure (BER) that a whole message is: as S/MIME, in PEM or bare; None for other messages.

    Raises CryptoError for one that can't be decoded.
    """
    if message[:1] == b"\x30" and message[1:2] >= b"\x80":
        return message
    if message[:64].lstrip().startswith(b"-----BEGIN "):
        return _unarmored(message)
    start = _body_start(message)
    headers, _ = read_headers(with_lf(message[:start]))
    if _media_type(headers)[0] not in ENVELOPE_TYPES:
        return None
    encoding = headers.get("content-transfer-encoding", "").lower()
    if encoding == "base64":
        return strict_base64(memoryview(message)[start:])
    if encoding == "binary":
        return message[start:]
    raise CryptoError("S/MIME that is not in base64")


def _body_start(message: bytes) -> int:
    """Where the body of a message begins. Raises CryptoError if no blank line ends the headers."""
    found = re.search(rb"(?:\A|\n)\r?\n", message[: 2 * MOST_HEADER_BYTES])
    if found is None:
        raise CryptoError("no blank line after the MIME headers")
    return found.end()


def _unarmored(message: bytes) -> bytes:
    """The bytes in a PEM file."""
    begin, _, rest = message.strip().partition(b"\n")
    label = begin.strip()[len(b"-----BEGIN ") : -len(b"-----")]
    end = b"-----END " + label + b"-----"
    if label not in PEM_LABELS or not rest.endswith(end):
        raise CryptoError("not a whole message in PEM (-----BEGIN PKCS7----- or -----BEGIN CMS-----)")
    return strict_base64(memoryview(rest)[: -len(end)])


def with_lf(message: bytes) -> bytes:
    """A message with LF line ends."""
    return message.replace(b"\r\n", b"\n") if b"\r" in message else message


def unwrap(message: bytes) -> SignedParts:
    """Take a multipart/signed message apart. Raises CryptoError for anything that isn't exactly that."""
    text = with_lf(message)
    headers, start = read_headers(text)
    kind, parameters = _media_type(headers)
    if kind != "multipart/signed":
        raise CryptoError("not a signed message (content type %s)" % (kind or "missing"))
    boundary = BOUNDARY.search(parameters)
    if boundary is None:
        raise CryptoError("multipart/signed without a boundary")
    content, signature = _two_parts(text, start, (boundary.group(1) or boundary.group(2)).encode("latin-1"))
    return SignedParts(content, _signature_of(signature))


def read_text(part: bytes) -> str:
    """The text in a signed part (LF): transfer encoding undone, blank ends stripped, LF line ends.

    Raises CryptoError for a part that isn't plain text in an encoding we know.
    """
    headers, start = read_headers(part)
    body = _decoded(headers.get("content-transfer-encoding", ""), part[start:])
    codec = _codec(headers)
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as err:
        raise CryptoError("the signed text is not %s: %s" % (codec.upper(), err.reason)) from err
    return (text.replace("\r\n", "\n") if "\r" in text else text).strip()


def read_headers(text: bytes) -> Tuple[Dict[str, str], int]:
    """The header fields of a MIME entity (LF), by lower-case name, and where its body starts.

    Raises CryptoError if no blank line ends the headers, or a line among them is no header.
    """
    if text.startswith(b"\n"):
        return {}, 1
    end = text.find(b"\n\n", 0, MOST_HEADER_BYTES)
    if end < 0:
        raise CryptoError("no blank line after the MIME headers")
    lines = re.sub(r"\n[ \t]+", " ", text[:end].decode("latin-1")).split("\n")
    headers: Dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not HEADER_NAME.match(name):
            raise CryptoError("a line among the MIME headers is no header")
        if headers.setdefault(name.lower(), value.strip()) != value.strip():
            raise CryptoError("two different headers %s" % name)
    return headers, end + 2


def _media_type(headers: Dict[str, str]) -> Tuple[str, str]:
    value = headers.get("content-type", "")
    kind, semicolon, parameters = value.partition(";")
    return kind.strip().lower(), semicolon + parameters


def _codec(headers: Dict[str, str]) -> str:
    kind, parameters = _media_type(headers)
    if headers and not kind.startswith("text/"):
        raise CryptoError("the signed part is %s, not text" % (kind or "without a content type"))
    found = CHARSET.search(parameters)
    charset = found.group(1).lower() if found else ""
    if charset not in CHARSETS:
        raise CryptoError("the signed text is in the character set %s; send UTF-8" % charset)
    return CHARSETS[charset]


def _decoded(encoding: str, body: bytes) -> bytes:
    encoding = encoding.lower()
    if encoding in ("", "7bit", "8bit", "binary"):
        return body
    if encoding == "base64":
        return strict_base64(body)
    if encoding == "quoted-printable":
        return quopri.decodestring(body)
    raise CryptoError("unknown content transfer encoding %s" % encoding)


def strict_base64(data: Union[bytes, memoryview]) -> bytes:
    """Base64 without anything else in it but blanks. Raises CryptoError."""
    try:
        return base64.b64decode(bytes(data).translate(None, BASE64_BLANKS), validate=True)
    except (binascii.Error, ValueError) as err:
        raise CryptoError("broken base64: %s" % err) from err


def _base64_lines(data: bytes) -> bytes:
    """Lines of 64 characters; made block by block, since a line costs more as an object than as bytes."""
    blocks = []
    for start in range(0, len(data), BLOCK_BYTES):
        encoded = base64.b64encode(data[start : start + BLOCK_BYTES])
        blocks.append(b"\n".join([encoded[at : at + 64] for at in range(0, len(encoded), 64)]))
    return b"\n".join(blocks) + b"\n"


def _two_parts(text: bytes, start: int, boundary: bytes) -> Tuple[bytes, bytes]:
    """What stands between the delimiter lines, of which there must be two and a closing one."""
    delimiter = b"\n--" + boundary
    first = text.find(delimiter, start - 1)
    second = text.find(delimiter, first + 1) if first >= 0 else -1
    last = text.find(delimiter, second + 1) if second >= 0 else -1
    if last < 0:
        raise CryptoError("the message is not whole: a part or the closing boundary is missing")
    if text.find(delimiter, last + 1) >= 0 or not text.startswith(b"--", last + len(delimiter)):
        raise CryptoError("a signed message has exactly two parts")
    content, signature = _line_end(text, first, delimiter), _line_end(text, second, delimiter)
    if content > second or signature > last:
        raise CryptoError("an empty part")
    return text[content:second], text[signature:last]


def _line_end(text: bytes, at: int, delimiter: bytes) -> int:
    """Where the line after a delimiter starts; only blanks may follow the delimiter."""
    end = text.find(b"\n", at + len(delimiter))
    if end < 0 or text[at + len(delimiter) : end].strip(b" \t"):
        raise CryptoError("a boundary line with something behind it")
    return end + 1


def _signature_of(part: bytes) -> bytes:
    headers, start = read_headers(part)
    kind, _ = _media_type(headers)
    if kind not in SIGNATURE_TYPES:
        raise CryptoError("the second part is %s, not a signature" % (kind or "without a content type"))
    if headers.get("content-transfer-encoding", "").lower() != "base64":
        raise CryptoError("the signature is not in base64")
    return strict_base64(part[start:])
