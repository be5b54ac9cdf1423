"""The benchmarks of a v0.4 message: `{HEPscore23: 11.25, hepspec: 10.2}`, of which one is used."""

from typing import Any, Dict, Tuple

from apel.errors import RecordError, shown
from apel.records.fields import is_number
from apel.records.rules import BENCHMARK_TYPES, NO_BENCHMARK

#: The type written where the database holds a value without one.
DEFAULT_TYPE = "HEPSPEC"


def read_benchmarks(key: str, raw: str) -> Tuple[str, str]:
    """(type as the sender spells it, value as text) of the benchmark that comes first in BENCHMARK_TYPES.

    The incumbent stores the type in lower case; we keep the spelling, so that what is read is what is
    written. Raises RecordError for `key`.
    """
    named: Dict[str, Tuple[str, str]] = {}
    for name, value in _pairs(key, raw).items():
        named[name.lower()] = (name, value)
    for known in BENCHMARK_TYPES:
        if known in named:
            return named[known]
    custom, one = NO_BENCHMARK
    if custom in named and float(named[custom][1]) == one:
        return named[custom]
    raise RecordError(key, f"No valid benchmark type found in '{shown(raw)}'")


def _pairs(key: str, raw: str) -> Dict[str, str]:
    inner = raw.strip()
    inner = inner[1:] if inner.startswith("{") else inner
    inner = inner[:-1] if inner.endswith("}") else inner
    pairs: Dict[str, str] = {}
    for pair in inner.split(","):
        name, colon, value = (part.strip() for part in pair.partition(":"))
        if not (name and colon and is_number(value)):
            raise RecordError(key, f"Expecting dictionary-like value. Got '{shown(raw)}'")
        if name in pairs:
            raise RecordError(key, f"Duplicate keys found in '{shown(raw)}'")
        pairs[name] = value
    return pairs


def benchmark_can_be_named(record: Any, now: int) -> None:
    """A rule of the v0.4 formats: only a type that `read_benchmarks` will accept may be written."""
    name, value = record.ServiceLevelType, record.ServiceLevel
    if value is None:
        raise RecordError("ServiceLevel", "a v0.4 message can't be without a benchmark")
    if name is None or name.lower() in BENCHMARK_TYPES or (name.lower(), value) == NO_BENCHMARK:
        return
    raise RecordError("ServiceLevelType", f"No valid benchmark type found: {name} {value}")
