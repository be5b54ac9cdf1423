"""Signing policies: which names an authority may sign for, as `<hash>.signing_policy` beside it says (EACL).

    access_id_CA   X509    '/C=XX/O=Grid/CN=Grid CA'
    pos_rights     globus  CA:sign
    cond_subjects  globus  '"/C=XX/O=Grid/*" "/DC=org/DC=grid/*"'

`*` stands for any characters and `?` for one. Names are compared in their one written form (ssm.dn).
"""

import hashlib
import os
import re
from typing import Iterator, List, NamedTuple, Optional, Pattern

from ssm.dn import canonical
from ssm.errors import TrustError

WORDS = re.compile(r"\s*(\S+)\s+(\S+)\s+(.*\S)")
QUOTED = re.compile(r'"([^"]*)"')


class _Entry(NamedTuple):
    """What one authority may sign."""

    authority: str
    subjects: List[Pattern[str]]


def is_allowed(path: str, authority: str, subject: str) -> bool:
    """Whether the policy at `path` lets an authority sign for a subject (names in slash form).

    Raises TrustError if it can't be read.
    """
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            entries = list(_entries(stream.read()))
    except OSError as err:
        raise TrustError("Cannot read the signing policy %s: %s." % (path, err.strerror)) from err
    return any(
        pattern.match(subject)
        for entry in entries
        if entry.authority == authority
        for pattern in entry.subjects
    )


def find_policy(ca_directory: str, name_hash: str, name: bytes) -> Optional[str]:
    """The policy file of an authority, by the hash of its name as OpenSSL makes it, or made it before 1.0.

    `name` is encoded (DER). None: there is no policy, and the authority may sign for anybody.
    """
    for found in (name_hash, _old_hash(name)):
        path = os.path.join(ca_directory, found + ".signing_policy")
        if found and os.path.lexists(path):
            return path
    return None


def _old_hash(name: bytes) -> str:
    try:
        digest = hashlib.md5(name).digest()
    except ValueError:
        return ""  # a system that allows no MD5 (FIPS) has no such names
    return "%08x" % int.from_bytes(digest[:4], "little")


def _entries(text: str) -> Iterator[_Entry]:
    entry, may_sign = _Entry("", []), False
    for line in text.splitlines():
        found = WORDS.match(line.partition("#")[0])
        if not found:
            continue
        keyword, kind, rest = found.groups()
        if keyword == "access_id_CA":
            entry, may_sign = _Entry(canonical(rest.strip("'\"")), []), False
            yield entry
        elif keyword in ("pos_rights", "neg_rights"):
            may_sign = keyword == "pos_rights" and (kind, rest) == ("globus", "CA:sign")
        elif keyword == "cond_subjects" and kind == "globus" and may_sign:
            entry.subjects.extend(_pattern(subject) for subject in _subjects(rest.strip("'")))


def _subjects(text: str) -> List[str]:
    return QUOTED.findall(text) or [text]


def _pattern(subject: str) -> Pattern[str]:
    parts = re.split(r"([*?])", canonical(subject))
    return re.compile("".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts) + r"\Z")
