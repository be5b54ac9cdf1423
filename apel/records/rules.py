"""The rules of records that need more than one field, each a small function of (record, now)."""

from operator import le
from typing import Any, Callable, Dict

from apel.errors import OfTheFuture, RecordError, shown
from apel.times import DAY, month_bounds

#: How far a sender's clock may be ahead of ours.
FUTURE_ALLOWED = 2 * DAY

#: Benchmarks a job may be scaled by, in order of preference.
BENCHMARK_TYPES = ("hepscore23", "hepspec", "si2k")

#: What a job without a benchmark is scaled by.
NO_BENCHMARK = ("custom", 1.0)

Rule = Callable[[Any, int], None]

#: By rule: says by a look at the columns of many records that all of them surely keep it. If it doesn't, the
#: rule itself must be asked about each.
_SURELY_KEPT: Dict[Rule, Callable[[Any, int], bool]] = {}


def is_surely_kept(rule: Rule, records: Any, now: int) -> bool:
    """Whether all records, kept by columns, are sure to keep a rule; False where each must be judged."""
    check = _SURELY_KEPT.get(rule)
    return check is not None and check(records, now)


def _surely_kept_if(check: Callable[[Any, int], bool]) -> Callable[[Rule], Rule]:
    def remember(rule: Rule) -> Rule:
        _SURELY_KEPT[rule] = check
        return rule

    return remember


@_surely_kept_if(lambda records, now: all(map(le, records.column("StartTime"), records.column("EndTime"))))
def job_ends_after_it_starts(record: Any, now: int) -> None:
    if record.EndTime < record.StartTime:
        raise RecordError("EndTime", f"{record.EndTime} is before StartTime {record.StartTime}")


@_surely_kept_if(lambda records, now: max(records.column("EndTime")) <= now + FUTURE_ALLOWED)
def job_has_ended(record: Any, now: int) -> None:
    if record.EndTime > now + FUTURE_ALLOWED:
        raise OfTheFuture("EndTime", f"{record.EndTime} is more than 2 days in the future")


def event_ends_after_it_starts(record: Any, now: int) -> None:
    if record.StopTime < record.StartTime:
        raise RecordError("StopTime", f"{record.StopTime} is before StartTime {record.StartTime}")


@_surely_kept_if(
    lambda records, now: (
        None not in records.column("ServiceLevelType") and None not in records.column("ServiceLevel")
    )
)
def benchmark_is_whole(record: Any, now: int) -> None:
    """Type and value, both or neither."""
    if (record.ServiceLevelType is None) != (record.ServiceLevel is None):
        given, missing = "type", "value"
        if record.ServiceLevelType is None:
            given, missing = missing, given
        raise RecordError("ServiceLevel", f"a benchmark {given} but no {missing}")


@_surely_kept_if(
    lambda records, now: {
        "" if name is None else name.lower() for name in set(records.column("ServiceLevelType"))
    }.issubset(("", *BENCHMARK_TYPES))
)
def benchmark_is_known(record: Any, now: int) -> None:
    """One of BENCHMARK_TYPES in any case; or `custom` with value 1, which says that there is none."""
    name = record.ServiceLevelType
    if name is None or name.lower() in BENCHMARK_TYPES:
        return
    if (name.lower(), record.ServiceLevel) != NO_BENCHMARK:
        raise RecordError("ServiceLevelType", f"ScalingFactorUnit {shown(name)} not valid.")


def month_has_begun(record: Any, now: int) -> None:
    if month_bounds(record.Year, record.Month)[0] > now:
        raise OfTheFuture("Month", f"{record.Year}-{record.Month:02d} is in the future")


def end_times_are_in_the_month(record: Any, now: int) -> None:
    """Inside [first of month, first of next month], both included as the incumbent has it."""
    first, last = month_bounds(record.Year, record.Month)
    for name in ("EarliestEndTime", "LatestEndTime"):
        time = getattr(record, name)
        if time is not None and not first <= time <= last:
            raise RecordError(name, f"{time} is not in {record.Year}-{record.Month:02d}")


def end_times_are_in_order(record: Any, now: int) -> None:
    earliest, latest = record.EarliestEndTime, record.LatestEndTime
    if earliest is not None and latest is not None and earliest > latest:
        raise RecordError("EarliestEndTime", f"{earliest} is after LatestEndTime {latest}")
