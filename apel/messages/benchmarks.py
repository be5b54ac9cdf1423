"""The benchmarks of a v0.4 message: `{HEPscore23: 11.25, hepspec: 10.2}`, of which one is preferred."""

import math
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

from apel.errors import RecordError, shown
from apel.records.fields import is_number
from apel.records.rules import BENCHMARK_TYPES, NO_BENCHMARK

#: The type written where the database holds a value without one.
DEFAULT_TYPE = "HEPSPEC"

#: What stands for a record in the place of `Benchmarks`: a type each, with one value or two.
Several = Tuple[Tuple[Any, ...], ...]


class Chosen(NamedTuple):
    """The preferred type as the sender spells it, its value as text; and all values by type."""

    type: str
    value: str
    all: Dict[str, str]


def read_benchmarks(key: str, raw: Optional[str]) -> Chosen:
    """What stands in braces. Preferred is what comes first in BENCHMARK_TYPES.

    The incumbent stores the type in lower case; we keep the spelling, so that what is read is what is
    written. Raises RecordError for `key`.
    """
    if raw is None:
        raise RecordError(key, "mandatory, and absent")
    named: Dict[str, Tuple[str, str]] = {}
    for name, value in _pairs(key, raw).items():
        named[name.lower()] = (name, value)
    chosen = _preferred(named)
    if chosen is None:
        raise RecordError(key, f"No valid benchmark type found in '{shown(raw)}'")
    return Chosen(*chosen, dict(named.values()))


def _preferred(named: Dict[str, Tuple[str, str]]) -> Optional[Tuple[str, str]]:
    for known in BENCHMARK_TYPES:
        if known in named:
            return named[known]
    return named.get(NO_BENCHMARK[0])


def _pairs(key: str, raw: str) -> Dict[str, str]:
    inner = raw.strip()
    inner = inner[1:] if inner.startswith("{") else inner
    inner = inner[:-1] if inner.endswith("}") else inner
    pairs: Dict[str, str] = {}
    for pair in inner.split(","):
        name, colon, value = (part.strip() for part in pair.partition(":"))
        if not (name and colon and is_number(value)):
            raise RecordError(key, f"Expecting dictionary-like value. Got '{shown(raw.strip())}'")
        if name in pairs:
            raise RecordError(key, f"Duplicate keys found in '{shown(raw)}'")
        pairs[name] = value
    return pairs


def read_level(raw: Optional[str]) -> Tuple[str, Tuple[str], Optional[Several]]:
    """(type, (value as text,), all values if there are several) of a ServiceLevel."""
    chosen = read_benchmarks("ServiceLevel", raw)
    if (chosen.type.lower() == NO_BENCHMARK[0]) and float(chosen.value) != NO_BENCHMARK[1]:
        raise RecordError("ServiceLevel", f"No valid benchmark type found in '{shown((raw or '').strip())}'")
    several = tuple((name, float(value)) for name, value in chosen.all.items())
    return chosen.type, (chosen.value,), several if len(several) > 1 else None


def read_durations(wall: Optional[str], cpu: Optional[str]) -> Tuple[str, Tuple[str, str], Optional[Several]]:
    """(type, (wall, CPU) as text, all durations if there are several) of a normalised summary.

    Fractions of seconds are cut off.
    """
    by_wall = read_benchmarks("NormalisedWallDuration", wall)
    by_cpu = read_benchmarks("NormalisedCpuDuration", cpu)
    if by_wall.type.lower() != by_cpu.type.lower():
        raise RecordError(
            "NormalisedCpuDuration",
            f"Mixture of benchmark types detected: {shown(by_wall.type)}, {shown(by_cpu.type)}",
        )
    other = {name.lower(): value for name, value in by_cpu.all.items()}
    several = [
        (name, _whole(value), _whole(other.pop(name.lower(), None))) for name, value in by_wall.all.items()
    ]
    several += [(name, None, _whole(value)) for name, value in by_cpu.all.items() if name.lower() in other]
    chosen = str(_whole(by_wall.value)), str(_whole(by_cpu.value))
    return by_wall.type, chosen, tuple(several) if len(several) > 1 else None


def _whole(value: Optional[str]) -> Optional[int]:
    if value is None:
        return None
    number = float(value)
    if not math.isfinite(number):
        raise RecordError("Benchmarks", f"{shown(value)} is not a finite number")
    return int(number) if "." in value or "e" in value.lower() else int(value)


def benchmark_can_be_named(record: Any, now: int) -> None:
    """A rule of the v0.4 formats: only a type that `read_benchmarks` will accept may be written."""
    name, value = record.ServiceLevelType, record.ServiceLevel
    if value is None:
        raise RecordError("ServiceLevel", "a v0.4 message can't be without a benchmark")
    if name is None or name.lower() in BENCHMARK_TYPES or (name.lower(), value) == NO_BENCHMARK:
        return
    raise RecordError("ServiceLevelType", f"No valid benchmark type found: {shown(name)} {value}")


def normalising_type_is_known(record: Any, now: int) -> None:
    """The same for normalised summaries."""
    name = record.ServiceLevelType
    if name is not None and name.lower() not in (*BENCHMARK_TYPES, NO_BENCHMARK[0]):
        raise RecordError("ServiceLevelType", f"No valid benchmark type found: {shown(name)}")


def written(kind: str, value: str, several: Optional[Several], place: int) -> str:
    """What stands in braces: all the values of a record at that place of `several`, or the only one."""
    if not several:
        return f"{kind}: {value}"
    return ", ".join(f"{one[0]}: {one[place]}" for one in several if one[place] is not None)


def as_written(kinds: Sequence[str]) -> Sequence[str]:
    """The types of records, as they are written."""
    return [DEFAULT_TYPE if kind == "None" else kind for kind in kinds]
