"""Cuts a message that is too large in two, between its records, knowing nothing of what they are."""

import json
import re
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple
from xml.parsers import expat

Halves = Tuple[bytes, bytes]

SEPARATOR = re.compile(rb"^[ \t]*%%[ \t]*\r?$", re.MULTILINE)
BLANKS = re.compile(r"[ \t\n\r]*")


def halves(text: bytes) -> Optional[Halves]:
    """A message as two of about half its size; None for one that can't be cut.

    What can be cut is a first line that holds a colon (the header, which both halves get), and below it two
    or more records with a line `%%` between them; an XML document of two or more elements of one name, and
    nothing else, within its root; and a JSON object with two or more objects in the only list that it has.
    """
    begins = text.strip()[:1]
    if begins == b"<":
        return _halves_of_xml(text.strip())
    if begins == b"{":
        return _halves_of_json(text)
    return _halves_of_lines(text)


def _halves_of_lines(text: bytes) -> Optional[Halves]:
    header, _, rest = text.strip().partition(b"\n")
    if b":" not in header:
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


class _Strange(Exception):
    """A document that is no row of records."""


class _Rows:
    """Where the elements within the root of a document begin, and where the last of them has ended."""

    def __init__(self) -> None:
        self.starts: List[int] = []
        self.end = 0
        self._depth = 0
        self._names: Set[str] = set()
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._stop
        self._parser.CharacterDataHandler = self._text
        # What may mean something for all that follows, or stand for more than is to be seen.
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.ProcessingInstructionHandler = self._refuse

    def read(self, text: bytes) -> None:
        """Raises _Strange, ExpatError."""
        self._parser.Parse(text, True)
        if len(self._names) != 1:
            raise _Strange

    def _start(self, name: str, attributes: Any) -> None:
        if self._depth == 1:
            self.starts.append(self._parser.CurrentByteIndex)
            self._names.add(name)
        self._depth += 1

    def _stop(self, name: str) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.end = self._parser.CurrentByteIndex

    def _text(self, text: str) -> None:
        if self._depth == 1 and text.strip():
            raise _Strange

    def _refuse(self, *_: Any) -> None:
        raise _Strange


def _halves_of_xml(text: bytes) -> Optional[Halves]:
    rows = _Rows()
    try:
        rows.read(text)
    except (_Strange, expat.ExpatError):
        return None
    if len(rows.starts) < 2:
        return None
    head, tail = text[: rows.starts[0]], text[rows.end :]
    ends = [*rows.starts[1:], rows.end]
    records = [text[start:end] for start, end in zip(rows.starts, ends)]
    middle = _middle(records)
    return b"".join([head, *records[:middle], tail]), b"".join([head, *records[middle:], tail])


class _Objects:
    """Where the objects in the only list of a JSON object stand.

    They are cut out as they are written: read and written again, some numbers would be others.
    """

    def __init__(self, text: str) -> None:
        """Raises ValueError, RecursionError for what is no such object."""
        self.places: List[Tuple[int, int]] = []
        self._text, self._at = text, 0
        keys, lists = [], 0
        for _ in self._items("{}"):
            keys.append(self._value('"'))
            self._take(":")
            if self._begins("["):
                lists += 1
                self.places = [(at, self._value_end("{")) for at in self._items("[]")]
            else:
                self._value()
        if lists != 1 or len(set(keys)) != len(keys) or self._at != len(text):
            raise ValueError("not one list, a key twice, or more than an object")

    def _items(self, brackets: str) -> Iterator[int]:
        """Stands at the beginning of each item in turn, which is to be read before the next."""
        self._take(brackets[0])
        yield self._at
        while self._take("," + brackets[1]) == ",":
            yield self._at

    def _begins(self, first: str) -> bool:
        return self._text.startswith(first, self._at)

    def _take(self, wanted: str) -> str:
        found = BLANKS.match(self._text, self._at)
        at = found.end() if found else self._at
        sign = self._text[at : at + 1]
        if not sign or sign not in wanted:
            raise ValueError("no %s" % wanted)
        found = BLANKS.match(self._text, at + 1)
        self._at = found.end() if found else at + 1
        return sign

    def _value(self, first: str = "") -> Any:
        if not self._begins(first):
            raise ValueError("no %s" % first)
        value, self._at = JSON.raw_decode(self._text, self._at)
        return value

    def _value_end(self, first: str) -> int:
        self._value(first)
        return self._at


def _halves_of_json(text: bytes) -> Optional[Halves]:
    try:
        whole = text.decode("utf-8").strip(" \t\n\r")
        places = _Objects(whole).places
    except (ValueError, RecursionError):
        return None
    if len(places) < 2:
        return None
    records = [whole[start:end].encode("utf-8") for start, end in places]
    middle = _middle(records)
    head, tail = (part.encode("utf-8") for part in (whole[: places[0][0]], whole[places[-1][1] :]))
    first, second = (head + b",\n".join(some) + tail + b"\n" for some in (records[:middle], records[middle:]))
    return first, second


def _without_doubles(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


JSON = json.JSONDecoder(object_pairs_hook=_without_doubles)
