"""Records of a message in JSON: each judged by itself, and no document that makes the reader fall over.

The object around the records is taken apart here, so that where each record stands is known: one that is
refused is kept as it was sent.
"""

import json
import re
from json import JSONDecodeError
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from apel.errors import RecordError, shown
from apel.identity import parse_fqan
from apel.messages.base import Message, Rejected
from apel.messages.json_formats import (
    JSON_FORMATS,
    MOST_RECORDS,
    RECORDS,
    TYPE,
    VERSION,
    JsonFormat,
)
from apel.records import Record
from apel.records.fields import Integer

#: Digits of a whole number: reading very many takes very long.
MOST_DIGITS = 30
_BLANK = re.compile(r"[ \t\n\r]*")
_BY_TYPE = {
    name.lower(): format
    for format, one in JSON_FORMATS.items()
    for name in (one.type, *one.also)
}  # fmt: skip


class Doubled(NamedTuple):
    """An object in which a key stands twice, so that nobody can say what it means."""

    key: str


class Element(NamedTuple):
    """What stands in the list of records, and its text."""

    value: Any
    text: str


def decode_json(text: str, now: int) -> Message:
    """The records of a message in JSON, and those refused. now: epoch seconds.

    Raises RecordError, in the words of the incumbent's draft, if the message as a whole can't be read.
    """
    try:
        members, elements = _Reader(text).read()
    except (JSONDecodeError, RecursionError) as err:
        reason = "it is nested too deeply" if isinstance(err, RecursionError) else str(err)
        raise RecordError("", f"Malformed JSON: {reason}") from None
    name = _format_of(members)
    _check_frame(name, members, elements)
    return _message(name, elements, now)


def _format_of(members: Dict[str, Any]) -> str:
    kind = members.get(TYPE)
    if kind is None:
        raise RecordError("", "Type of JSON message not provided.")
    name = _BY_TYPE.get(kind.strip().lower()) if isinstance(kind, str) else None
    if name is None:
        raise RecordError("", f"Unsupported JSON message type: {shown(str(kind))}")
    return name


def _check_frame(name: str, members: Dict[str, Any], elements: Optional[Sequence[Element]]) -> None:
    """Version and number of records."""
    reason = ""
    known = [_bare(version) for version in JSON_FORMATS[name].versions]
    version = members.get(VERSION)
    if isinstance(version, bool) or not isinstance(version, (str, float)) or _bare(version) not in known:
        reason = "%s %s is not %s" % (VERSION, shown(repr(version)), " or ".join(known))
    elif elements is None:
        reason = "%s is no list, or absent" % RECORDS
    elif not 1 <= len(elements) <= MOST_RECORDS:
        reason = "%s holds %d records, from 1 to %d are allowed" % (RECORDS, len(elements), MOST_RECORDS)
    if reason:
        kind = JSON_FORMATS[name].type
        raise RecordError("", f"JSON message invalid against {kind} schema: {reason}")


def _bare(version: Union[str, float]) -> str:
    """'v0.2' and '0.2' are the same, and so is the number."""
    return str(version).strip().lower().lstrip("v")


def _message(name: str, elements: Optional[Sequence[Element]], now: int) -> Message:
    json_format, plan = JSON_FORMATS[name], _PLANS[name]
    records: List[Record] = []
    rejected: List[Rejected] = []
    for number, element in enumerate(elements or (), 1):
        try:
            records.append(plan.record(element.value, now))
        except RecordError as err:
            rejected.append(Rejected(number, json_format.document([element.text]), err))
    return Message(name, json_format.record_class, records, rejected)


class _Plan:
    """How the records of one format are read."""

    def __init__(self, json_format: JsonFormat) -> None:
        self._make = json_format.record_class.make
        self._names = json_format.record_class.names
        self._clean = [(one.name, one.clean, isinstance(one, Integer)) for one in json_format.fields]
        self._known = json_format.ignored.union(one.name for one in json_format.fields)

    def record(self, value: Any, now: int) -> Record:
        """A record that keeps all rules. Raises RecordError."""
        if isinstance(value, Doubled):
            raise RecordError("", f"Duplicate key: {shown(value.key)}")
        if not isinstance(value, dict):
            raise RecordError("", f"a {type(value).__name__} where a record belongs")
        for key in value:
            if key not in self._known:
                raise RecordError("", f"Unknown field: {shown(key)}")
        found: Dict[str, Any] = {}
        for name, clean, whole in self._clean:
            sent = value.get(name)
            if whole and type(sent) is float and sent.is_integer():
                sent = int(sent)  # 3.0 is a whole number: so JSON schemas have it
            found[name] = clean(sent)
        if found["FQAN"] is not None:
            found.update(zip(("VO", "VOGroup", "VORole"), parse_fqan(found["FQAN"])))
        return self._make(map(found.get, self._names)).check_rules(now)


_PLANS = {name: _Plan(json_format) for name, json_format in JSON_FORMATS.items()}


def _integer(digits: str) -> Union[int, float]:
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


def _object(pairs: List[Tuple[str, Any]]) -> Union[Dict[str, Any], Doubled]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen = set()
    for key, _ in pairs:
        if key in seen:
            break
        seen.add(key)
    return Doubled(key)


class _Reader:
    """Takes the object of a message apart. Its methods move on from `place`."""

    # NaN and infinities, which JSON doesn't have, are refused by the fields, each with its record.
    _decode = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer).raw_decode

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def read(self) -> Tuple[Dict[str, Any], Optional[List[Element]]]:
        """The members of the object but for the records; and these, None if there is no list of them.

        Raises JSONDecodeError, RecursionError; RecordError for a key that stands twice.
        """
        members: Dict[str, Any] = {}
        elements: Optional[List[Element]] = None
        self._expect("{")
        if not self._find("}"):
            while True:
                key = self._key()
                if key in members:
                    raise RecordError("", f"Duplicate key: {shown(key)}")
                members[key] = None
                if key == RECORDS and self._find("["):
                    elements = self._elements()
                else:
                    members[key] = self._value()
                if not self._find(","):
                    break
            self._expect("}")
        self._skip()
        if self.place < len(self.text):
            raise JSONDecodeError("Extra data", self.text, self.place)
        return members, elements

    def _key(self) -> str:
        self._skip()
        if not self.text.startswith('"', self.place):
            raise JSONDecodeError("Expecting property name enclosed in double quotes", self.text, self.place)
        key = self._value()
        self._expect(":")
        return str(key)

    def _elements(self) -> List[Element]:
        elements: List[Element] = []
        if self._find("]"):
            return elements
        while True:
            self._skip()
            start = self.place
            value = self._value()
            elements.append(Element(value, self.text[start : self.place]))
            if not self._find(","):
                self._expect("]")
                return elements

    def _value(self) -> Any:
        self._skip()
        value, self.place = self._decode(self.text, self.place)
        return value

    def _expect(self, mark: str) -> None:
        if not self._find(mark):
            raise JSONDecodeError(f"Expecting '{mark}'", self.text, self.place)

    def _find(self, mark: str) -> bool:
        """Whether this comes next; then it is passed."""
        self._skip()
        found = self.text.startswith(mark, self.place)
        self.place += found
        return found

    def _skip(self) -> None:
        blank = _BLANK.match(self.text, self.place)
        assert blank is not None, "it matches nothing, too"
        self.place = blank.end()
