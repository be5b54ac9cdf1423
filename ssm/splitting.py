"""Cuts a message that is too large in two, between its records, knowing nothing of what they are."""

import re
from typing import List, Optional, Tuple

SEPARATOR = re.compile(rb"^[ \t]*%%[ \t]*\r?$", re.MULTILINE)


def halves(text: bytes) -> Optional[Tuple[bytes, bytes]]:
    """A message as two of about half its size; None for one that can't be cut.

    What can be cut is a first line that holds a colon (the header, which both halves get), and below it two
    or more records with a line `%%` between them.
    """
    header, _, rest = text.strip().partition(b"\n")
    if b":" not in header or header.lstrip()[:1] in (b"<", b"{"):
        return None
    records = [record.strip(b"\r\n") for record in SEPARATOR.split(rest) if record.strip()]
    if len(records) < 2:
        return None
    middle = _middle(records)
    return _message(header, records[:middle]), _message(header, records[middle:])


def _middle(records: List[bytes]) -> int:
    """How many of the records make up half of the bytes: at least one, and not all."""
    half, size, count = sum(map(len, records)) / 2, 0, 0
    while size < half:
        size += len(records[count])
        count += 1
    return min(count, len(records) - 1)


def _message(header: bytes, records: List[bytes]) -> bytes:
    return b"\n".join([header.rstrip(b"\r"), *[record + b"\n%%" for record in records]]) + b"\n"
