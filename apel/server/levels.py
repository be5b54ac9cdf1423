"""Sums that would become one in the database, since it keeps fewer decimals of a benchmark than they have.

The benchmark is part of a sum's identity. Of two sums of a message that agree in all but what is cut off, the
database would keep one, and lose the jobs of the other: they are added up. A sum that comes in a message of
its own replaces the one before, as any correction does.
"""

from typing import Any, Dict, List, Sequence, Tuple

from apel.db.lookups import NONE
from apel.db.sources import LEVEL_DECIMALS
from apel.records import SummaryRecord

ADDED = ("WallDuration", "CpuDuration", "NumberOfJobs")
EXTREMES = (("EarliestEndTime", min), ("LatestEndTime", max))
#: What is no part of a sum's identity.
BESIDE = frozenset([*ADDED, *(name for name, _ in EXTREMES), "Benchmarks"])


def kept_apart(records: Sequence[Any]) -> Sequence[Any]:
    """The sums of a message as sums that the database keeps apart: mostly those that they are."""
    if all(record.ServiceLevel == _kept(record) for record in records):
        return records
    groups: Dict[Tuple[Any, ...], Dict[float, SummaryRecord]] = {}
    for record in records:
        # Of sums with one identity the last one counts.
        groups.setdefault(_identity(record), {})[record.ServiceLevel] = record
    return [_added_up(list(alike.values())) for alike in groups.values()]


def _kept(record: Any) -> float:
    return round(float(record.ServiceLevel), LEVEL_DECIMALS)


def _identity(record: Any) -> Tuple[Any, ...]:
    values = record.as_dict()
    names = [name for name in record.names if name not in BESIDE]
    values.update(ServiceLevel=_kept(record), ServiceLevelType=(record.ServiceLevelType or NONE).lower())
    return tuple(NONE if values[name] is None else values[name] for name in names)


def _added_up(records: List[SummaryRecord]) -> SummaryRecord:
    if len(records) == 1:
        return records[0]
    changes: Dict[str, Any] = {name: sum(getattr(one, name) for one in records) for name in ADDED}
    for name, extreme in EXTREMES:
        known = [getattr(one, name) for one in records if getattr(one, name) is not None]
        changes[name] = extreme(known) if known else None
    # Other benchmarks would be right for some of the jobs only.
    return records[0].replace(ServiceLevel=_kept(records[0]), Benchmarks=None, **changes)
