"""One written form for the name in a certificate, so that names can be compared as text.

The form is OpenSSL's one-line form (`-nameopt compat`), which the grid uses: `/C=UK/O=eScience/CN=host`,
parts in the order of the certificate, short type names, bytes outside printable ASCII as `\\xNN`.
OpenSSL 3 writes `\\/` and `\\+` inside a value, and `+` between the values of one RDN; older ones, and
the lists of names in use, have them bare, and `/` between all parts, and so it is here.
"""

import re
from typing import Any, Iterator, List, Match, Optional, Tuple

from asn1crypto import core, x509

# OpenSSL's short names; a type without one is written as its dotted number.
SHORT_NAMES = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.13": "description",
    "2.5.4.14": "searchGuide",
    "2.5.4.15": "businessCategory",
    "2.5.4.16": "postalAddress",
    "2.5.4.17": "postalCode",
    "2.5.4.18": "postOfficeBox",
    "2.5.4.19": "physicalDeliveryOfficeName",
    "2.5.4.20": "telephoneNumber",
    "2.5.4.41": "name",
    "2.5.4.42": "GN",
    "2.5.4.43": "initials",
    "2.5.4.44": "generationQualifier",
    "2.5.4.45": "x500UniqueIdentifier",
    "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym",
    "2.5.4.72": "role",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.3": "mail",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
    "1.2.840.113549.1.9.8": "unstructuredAddress",
    "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
    "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
    "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

# What inside a value would read as the beginning of another part, or as a byte outside ASCII.
MISLEADING = re.compile(
    rb"/(?:%s|[0-9.]+)=|\\x[0-9A-Fa-f]{2}" % "|".join(SHORT_NAMES.values()).encode(), re.IGNORECASE
)
ASCII = re.compile(rb"[ -~]+\Z")
# What older programs call some types, at the beginning of a part.
OLD_NAMES = {"email": "emailAddress", "e": "emailAddress", "userid": "UID"}
# The other written form (RFC 2253, and how `openssl x509 -subject` prints by default): parts between commas.
TYPES = {**{name.lower(): name for name in SHORT_NAMES.values()}, **OLD_NAMES}
TYPE = re.compile(r"(?<=/)(%s)(?==)" % "|".join(TYPES), re.IGNORECASE)
PART = re.compile(
    r"\s*([A-Za-z]+|[0-9][0-9.]+)\s*=\s*(\"(?:[^\"\\]|\\.)*\"|(?:[^,;+\"\\]|\\.)*)\s*([,;+]|\Z)"
)
ESCAPES = re.compile(rb"\\([0-9A-Fa-f]{2}|.)", re.DOTALL)
TOP_TYPES = ("C", "DC")
ESCAPED = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|[/+])")


def distinguished_name(name: x509.Name) -> str:
    """The slash form of a name, from its encoded bytes. Raises ValueError for a name that isn't DER."""
    return "".join("/%s=%s" % (SHORT_NAMES.get(kind, kind), _escape(text)) for kind, text in _parts(name))


def is_misleading(name: x509.Name) -> bool:
    """Whether the slash form of a name may be that of another: a value like `eScience/CN=host` in it.

    Or one of two bytes a letter all of which read as ASCII: the slash form has bytes, as OpenSSL's.
    """
    wide = (_content(part["value"]) for part in _attributes(name) if _is_wide(part["value"]))
    return any(MISLEADING.search(text) for _, text in _parts(name)) or any(map(ASCII.match, wide))


def _parts(name: x509.Name) -> Iterator[Tuple[str, bytes]]:
    for part in _attributes(name):
        yield part["type"].dotted, _content(part["value"])


def _attributes(name: x509.Name) -> Iterator[Any]:
    for relative in name.chosen:
        yield from relative


def _content(value: Any) -> bytes:
    # Most types are a choice of string types; an e-mail address or a DC is one type only.
    return (value.chosen if isinstance(value, core.Choice) else value).contents


def _is_wide(value: Any) -> bool:
    kind = value.chosen if isinstance(value, core.Choice) else value
    return isinstance(kind, (core.BMPString, core.UniversalString))


def canonical(text: str) -> str:
    """A name from a list, by hand or from another program, in the form that `distinguished_name` gives."""
    slashed = TYPE.sub(lambda found: TYPES[found.group().lower()], text.strip())
    return ESCAPED.sub(_plain, _escape(slashed.encode("utf-8")))


def _plain(escape: Match[str]) -> str:
    text = escape.group()
    return "\\x" + text[2:].upper() if text[1] == "x" else text[1]


def _escape(value: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte <= 0x7E else "\\x%02X" % byte for byte in value)


def from_commas(text: str) -> List[str]:
    """The slash forms that a name which is written with commas may have; none if it is no name.

    RFC 2253 begins with the last part of the certificate, `openssl x509 -subject` with the first: where the
    country or the domain stands says which it is. Where that is at neither end, or at both, it may be either.
    """
    parts = _comma_parts(text)
    if parts is None:
        return []
    top = [kind in TOP_TYPES for kind, _ in (parts[0], parts[-1])]
    orders = [parts, parts[::-1]]
    if top[0] != top[1]:
        orders = orders[:1] if top[0] else orders[1:]
    forms = ["".join("/%s=%s" % (kind, _escape(value)) for kind, value in order) for order in orders]
    return list(dict.fromkeys(forms))


def readings(line: str) -> List[str]:
    """The names that a line of a list may mean: one, or two that are written alike with commas, or none."""
    return [canonical(line)] if line.startswith("/") else from_commas(line)


def _comma_parts(text: str) -> Optional[List[Tuple[str, bytes]]]:
    parts, at = [], 0
    while at < len(text):
        found = PART.match(text, at)
        if not found:
            return None
        kind, value, _ = found.groups()
        known = TYPES.get(kind.lower(), kind if kind[0].isdigit() else "")
        if not known:
            return None
        bare = value[1:-1] if value.startswith('"') else value.strip()
        parts.append((known, ESCAPES.sub(_unescaped, bare.encode("utf-8"))))
        at = found.end()
    return parts or None


def _unescaped(escape: Match[bytes]) -> bytes:
    text = escape.group(1)
    return bytes((int(text, 16),)) if len(text) == 2 else text
