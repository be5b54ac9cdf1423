"""CAR to records: a table of where each field stands; the rules are those of jobs in text."""

import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from apel.errors import RecordError, shown
from apel.messages import car
from apel.messages.base import Message, Rejected
from apel.messages.formats import FORMATS
from apel.messages.rows import Outcome, Raws, Row, Rows
from apel.messages.xmlinput import Element, Kind, XmlRecord, cut_out, read_records
from apel.records import JobRecord
from apel.records.fields import is_null
from apel.times import epoch_from_text

AGGREGATED = "http://eu-emi.eu/namespaces/2012/11/aggregatedcomputerecord"


class Path(NamedTuple):
    """Where a field stands: in the text of an element, or in one of its attributes.

    kind: what the element's attribute `type` must be; '' if that doesn't matter.
    """

    field: str
    element: str
    attribute: str = ""
    kind: str = ""


#: Of several elements that would do, the first counts. Everything else in a record is passed over.
PATHS = (
    Path("Site", "Site"),
    Path("SubmitHost", "SubmitHost"),
    Path("MachineName", "MachineName"),
    Path("Queue", "Queue"),
    Path("LocalJobId", "LocalJobId"),
    Path("LocalUserId", "LocalUserId"),
    Path("GlobalUserName", "GlobalUserName"),
    Path("FQAN", "GroupAttribute", kind="FQAN"),
    Path("VO", "Group"),
    # The incumbent writes (as ARC does) one spelling, and reads the other.
    Path("VOGroup", "GroupAttribute", kind="vo-group"),
    Path("VOGroup", "GroupAttribute", kind="group"),
    Path("VORole", "GroupAttribute", kind="vo-role"),
    Path("VORole", "GroupAttribute", kind="role"),
    Path("WallDuration", "WallDuration"),
    Path("Processors", "Processors"),
    Path("NodeCount", "NodeCount"),
    Path("StartTime", "StartTime"),
    Path("EndTime", "EndTime"),
    Path("InfrastructureDescription", "Infrastructure", attribute="description"),
    Path("InfrastructureType", "Infrastructure", attribute="type"),
    Path("ServiceLevelType", "ServiceLevel", attribute="type"),
    Path("ServiceLevel", "ServiceLevel"),
)


def _qualified(name: str) -> str:
    return f"{car.NAMESPACE} {name}"


def _lookup() -> Dict[str, List[Tuple[str, str, str]]]:
    """PATHS by the qualified name of the element: field, kind, and the qualified attribute or ''."""
    found: Dict[str, List[Tuple[str, str, str]]] = {}
    for field, element, attribute, kind in PATHS:
        place = (field, kind, attribute and _qualified(attribute))
        found.setdefault(_qualified(element), []).append(place)
    return found


_BY_ELEMENT = _lookup()
_CPU, _USAGE, _TYPE = map(_qualified, ("CpuDuration", "usageType", "type"))

_SECONDS = re.compile(r"PT([0-9]{1,18})S")
_DURATION = re.compile(
    r"P(?=.)(?:([0-9]+)Y)?(?:([0-9]+)M)?(?:([0-9]+)W)?(?:([0-9]+)D)?"
    r"(?:T(?=.)(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:[.,][0-9]+)?)S)?)?"
)
_UNITS = (365 * 86400, 2628000, 7 * 86400, 86400, 3600, 60)
_LONGEST = 64
_USUAL_TIME = len("YYYY-MM-DDThh:mm:ssZ")
_TIME = re.compile(r"([0-9-]{10}[T ][0-9:]{8})(?:[.,][0-9]+)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?")


def decode_xml(text: str, now: int) -> Message:
    """The records of a message in XML, and those refused. now: epoch seconds.

    Raises RecordError if it isn't well-formed, isn't CAR, has no records, or isn't safe to read.
    """
    found = read_records(text, _kind_of)
    if not found:
        raise RecordError("", "File does not contain car records!")
    outcomes = _outcomes(found, now)
    bad = [(number, outcome) for number, outcome in outcomes if isinstance(outcome, RecordError)]
    good = [outcome for _, outcome in outcomes if not isinstance(outcome, RecordError)]
    source = text.encode("utf-8") if bad else b""
    rejected = [
        Rejected(number, car.document([cut_out(source, found[number - 1]) + "\n"]), error)
        for number, error in bad
    ]
    return Message(car.NAME, JobRecord, good, rejected)


def _kind_of(root: str) -> Kind:
    """By the namespace of the root element; the reasons are the incumbent's."""
    namespace = root.rpartition(" ")[0]
    if namespace == car.NAMESPACE:
        return Kind(_qualified("UsageRecord"), frozenset([*_BY_ELEMENT, _CPU]), _read)
    if namespace == AGGREGATED:
        raise RecordError("", "Aggregated usage record not yet supported.")
    raise RecordError("", "XML format not recognised.")


def _outcomes(found: Sequence[XmlRecord], now: int) -> List[Outcome]:
    """A record or an error for each, with its number from 1, in order."""
    numbered = [(number, record.value) for number, record in enumerate(found, 1)]
    refused: List[Outcome] = [pair for pair in numbered if isinstance(pair[1], RecordError)]
    rows: List[Row] = [pair for pair in numbered if not isinstance(pair[1], RecordError)]
    # What text jobs and CAR have in common: the fields, the words for absence, the rules.
    outcomes = Rows(FORMATS["job v0.3"], now).outcomes(rows, canonical=False)
    return sorted(outcomes + refused, key=lambda outcome: outcome[0])


def _read(elements: List[Element]) -> Union[Raws, RecordError]:
    try:
        return _raws(elements)
    except RecordError as err:
        return err.with_traceback(None)  # which would keep all the elements


def _raws(elements: List[Element]) -> Raws:
    """What a job in text would hold: durations and times in seconds."""
    raw: Dict[str, Optional[str]] = {}
    cpu: List[Tuple[Optional[str], str]] = []
    for name, attributes, text in elements:
        if name == _CPU:
            cpu.append((attributes.get(_USAGE), text))
            continue
        for field, kind, attribute in _BY_ELEMENT[name]:
            if field not in raw and (not kind or attributes.get(_TYPE) == kind):
                raw[field] = attributes.get(attribute) if attribute else text
    raw["CpuDuration"] = _cpu_of_all(cpu)
    for field in ("WallDuration", "CpuDuration"):
        raw[field] = _duration(field, raw.get(field))
    for field in ("StartTime", "EndTime"):
        raw[field] = _time(field, raw.get(field))
    return tuple(map(raw.get, JobRecord.names))


def _cpu_of_all(cpu: List[Tuple[Optional[str], str]]) -> Optional[str]:
    """ARC sends three: all, user, system."""
    whole = [text for usage, text in cpu if usage == "all"]
    if len(whole) > 1:
        raise RecordError("CpuDuration", "more than one has usageType 'all'")
    return whole[0] if whole else cpu[0][1] if cpu else None


def _duration(field: str, raw: Optional[str]) -> Optional[str]:
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


def _time(field: str, raw: Optional[str]) -> Optional[str]:
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
