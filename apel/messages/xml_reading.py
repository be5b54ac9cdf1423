"""Records of a document in XML: where each field stands is a table; the rules are those of text.

Which elements and attributes count says each format (car_reading.py, star.py, aur.py).
"""

import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple, Union

from apel.errors import RecordError, shown
from apel.messages.base import Message, Rejected
from apel.messages.formats import TextFormat
from apel.messages.rows import Outcome, Raws, Row, Rows
from apel.messages.xml_writing import Frame
from apel.messages.xmlinput import Element, Kind, XmlRecord, cut_out, read_records
from apel.records.fields import is_null
from apel.times import epoch_from_text

#: What was read of a record, by field; text but for fields of kind `tuples`.
Raw = Dict[str, Any]


class Path(NamedTuple):
    """Where a field stands: in the text of an element, or in one of its attributes.

    kind: what the element's attribute that tells kinds apart must be; '' if that doesn't matter.
    """

    field: str
    element: str
    attribute: str = ""
    kind: str = ""


class Variant(NamedTuple):
    """What the records of a document may be: the name of the format, and its fields and rules."""

    name: str
    fields: TextFormat


class XmlFormat:
    """How records stand in XML; a subclass for each format.

    namespaces: of its elements; the first is that of the root. attributes: the namespaces of attributes.
    record: the element that is a record. told_by: the attribute that tells elements of one name apart.
    Of several elements that would do, the first counts. Everything else in a record is passed over.
    durations, times: fields that are not plain text. also: further elements that `finish` wants to see.
    nothing: what is said of a document without records.
    """

    namespaces: Tuple[str, ...]
    attributes: Tuple[str, ...]
    record: str
    paths: Tuple[Path, ...]
    variants: Tuple[Variant, ...]
    frame: Frame
    nothing: str
    told_by = "type"
    durations: Tuple[str, ...] = ()
    times: Tuple[str, ...] = ()
    also: Tuple[str, ...] = ()

    def __init__(self) -> None:
        self._told_by = self._names(self.attributes, self.told_by)
        self._places = self._by_element()
        wanted = [name for element in self.also for name in self._names(self.namespaces, element)]
        self.wanted: FrozenSet[str] = frozenset([*self._places, *wanted])

    def finish(self, raw: Raw, elements: List[Element]) -> None:
        """Correct what was read of a record, by all of its elements."""

    def choose(self, raw: Raw) -> int:
        """Which of the variants a record is."""
        return 0

    def kind(self) -> Kind:
        """What to look for in a document."""
        return Kind("%s %s" % (self.namespaces[0], self.record), self.wanted, self.read)

    def attribute(self, attributes: Dict[str, str], name: str) -> Optional[str]:
        """An attribute of an element, by its local name."""
        return _first(attributes, self._names(self.attributes, name))

    def read(self, elements: List[Element]) -> Union[Tuple[int, Raws], RecordError]:
        """The variant of a record, and what it would hold in text: durations and times in seconds."""
        try:
            return self._read(elements)
        except RecordError as err:
            return err.with_traceback(None)  # which would keep all the elements

    def _read(self, elements: List[Element]) -> Tuple[int, Raws]:
        raw: Raw = {}
        for name, attributes, text in elements:
            for field, kind, places in self._places.get(name, ()):
                if field not in raw and (not kind or _first(attributes, self._told_by) == kind):
                    raw[field] = _first(attributes, places) if places else text
        self.finish(raw, elements)
        for field in self.durations:
            raw[field] = read_duration(field, raw.get(field))
        for field in self.times:
            raw[field] = read_time(field, raw.get(field))
        number = self.choose(raw)
        return number, tuple(map(raw.get, self.variants[number].fields.record_class.names))

    def _by_element(self) -> Dict[str, List[Tuple[str, str, Tuple[str, ...]]]]:
        """By the qualified name of the element: field, kind, and the attribute by its qualified names."""
        found: Dict[str, List[Tuple[str, str, Tuple[str, ...]]]] = {}
        for field, element, attribute, kind in self.paths:
            places = self._names(self.attributes, attribute) if attribute else ()
            for name in self._names(self.namespaces, element):
                found.setdefault(name, []).append((field, kind, places))
        return found

    @staticmethod
    def _names(namespaces: Sequence[str], local: str) -> Tuple[str, ...]:
        return tuple("%s %s" % (namespace, local) for namespace in namespaces)


def _first(attributes: Dict[str, str], names: Sequence[str]) -> Optional[str]:
    for name in names:
        if name in attributes:
            return attributes[name]
    return None


def decode_document(text: str, now: int, formats: Sequence[XmlFormat]) -> Message:
    """The records of a message in XML, and those refused. now: epoch seconds.

    Raises RecordError if it isn't well-formed, is of no such format, has no records, or isn't safe to read.
    """
    chosen: List[XmlFormat] = []

    def choose(root: str) -> Kind:
        """By the namespace of the root element; the reasons are the incumbent's."""
        namespace = root.rpartition(" ")[0]
        chosen.extend(one for one in formats if one.namespaces[0] == namespace)
        if not chosen:
            raise RecordError("", "XML format not recognised.")
        return chosen[0].kind()

    found = read_records(text, choose)
    if not found:
        raise RecordError("", chosen[0].nothing)
    return _message(text, now, chosen[0], found)


def _message(text: str, now: int, xml: XmlFormat, found: Sequence[XmlRecord]) -> Message:
    numbers = (record.value[0] for record in found if not isinstance(record.value, RecordError))
    number = next(numbers, 0)
    variant = xml.variants[number]
    outcomes = _outcomes(found, number, xml, now)
    bad = [(place, outcome) for place, outcome in outcomes if isinstance(outcome, RecordError)]
    good = [outcome for _, outcome in outcomes if not isinstance(outcome, RecordError)]
    source = text.encode("utf-8") if bad else b""
    rejected = [
        Rejected(place, xml.frame.document([cut_out(source, found[place - 1]) + "\n"]), error)
        for place, error in bad
    ]
    return Message(variant.name, variant.fields.record_class, good, rejected)


def _outcomes(found: Sequence[XmlRecord], number: int, xml: XmlFormat, now: int) -> List[Outcome]:
    """A record or an error for each, with its place from 1, in order."""
    refused: List[Outcome] = []
    rows: List[Row] = []
    for place, record in enumerate(found, 1):
        if isinstance(record.value, RecordError):
            refused.append((place, record.value))
        elif record.value[0] != number:
            others = xml.variants[record.value[0]].name, xml.variants[number].name
            refused.append((place, RecordError("", "a %s in a document that began with a %s" % others)))
        else:
            rows.append((place, record.value[1]))
    # What text and XML have in common: the fields, the words for absence, the rules.
    outcomes = Rows(xml.variants[number].fields, now).outcomes(rows, canonical=False)
    return sorted(outcomes + refused, key=lambda outcome: outcome[0])


# -- durations and times ----------------------------------------------------------------------------

_SECONDS = re.compile(r"PT([0-9]{1,18})S")
_DURATION = re.compile(
    r"P(?=.)(?:([0-9]+)Y)?(?:([0-9]+)M)?(?:([0-9]+)W)?(?:([0-9]+)D)?"
    r"(?:T(?=.)(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:[.,][0-9]+)?)S)?)?"
)
_UNITS = (365 * 86400, 2628000, 7 * 86400, 86400, 3600, 60)
_LONGEST = 64
_USUAL_TIME = len("YYYY-MM-DDThh:mm:ssZ")
_TIME = re.compile(r"([0-9-]{10}[T ][0-9:]{8})(?:[.,][0-9]+)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?")


def read_duration(field: str, raw: Optional[str]) -> Optional[str]:
    """Seconds of an ISO 8601 duration: 'PT7H15M' -> '26100'. A year has 365 days, a month a twelfth of it."""
    if raw is None or is_null(raw.strip()):
        return None
    raw = raw.strip()
    usual = _SECONDS.fullmatch(raw)
    if usual:
        return usual.group(1)
    found = _DURATION.fullmatch(raw) if len(raw) <= _LONGEST else None
    if not found:
        raise RecordError(field, f"Invalid duration '{shown(raw)}'")
    *whole, seconds = found.groups(default="0")
    rest = Decimal(seconds.replace(",", ".")).to_integral_value(ROUND_HALF_EVEN)
    return str(int(rest) + sum(int(count) * unit for count, unit in zip(whole, _UNITS)))


def read_time(field: str, raw: Optional[str]) -> Optional[str]:
    """Whole seconds since the epoch of an ISO 8601 time; without an offset it is UTC."""
    if raw is None or is_null(raw.strip()):
        return None
    raw = raw.strip()
    try:
        return str(epoch_from_text(_without_fraction(raw) if len(raw) > _USUAL_TIME else raw))
    except ValueError as err:
        raise RecordError(field, f"Invalid time '{shown(raw)}': {err}") from err


def _without_fraction(raw: str) -> str:
    """Also with minutes in its offset: '2025-03-07T03:00:00.5+01' -> '2025-03-07T03:00:00+0100'."""
    found = _TIME.fullmatch(raw) if len(raw) <= _LONGEST else None
    if not found:
        return raw
    second, zone = found.groups(default="")
    return second + (zone + "00" if len(zone) == len("+hh") else zone)
