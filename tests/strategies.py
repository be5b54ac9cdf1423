"""Hypothesis strategies for arbitrary records, made from the declarations of their fields."""

from typing import Any, Callable, Dict, Type

from hypothesis import strategies as st

from apel.identity import parse_fqan
from apel.records import (
    AcceleratorRecord,
    AcceleratorSummaryRecord,
    CloudRecord,
    Field,
    JobRecord,
    NormalisedSummaryRecord,
    PublicIpRecord,
    PublicIpSummaryRecord,
    Record,
    SummaryRecord,
)
from apel.records.fields import MOST_INTEGER, Choice, Integer, Number, Text, Timestamp, Tuples, is_null
from apel.records.rules import BENCHMARK_TYPES, FUTURE_ALLOWED
from apel.times import END_OF_TIME, month_bounds, month_of

#: The clock of all tests on records: late enough for any time that fits the fields.
NOW = END_OF_TIME - 1 - FUTURE_ALLOWED

NAMES = [
    "EXAMPLE-NORTH",
    "ce01.north.example:9619/ce01.north.example-condor",
    "/DC=org/CN=Ada Researcher",
    "a:b",
    "%",
]
FQANS = [
    "/atlas/Role=production/Capability=NULL",
    "/cms/uscms/Role=NULL/Capability=NULL",
    "/ops",
    "/vo.example.org/role=VO-Admin;/vo.example.org",
    "dteam",
    "//",
]


def texts(max_length: int = 255) -> st.SearchStrategy[str]:
    """Text as a record may hold it: trimmed, one line, not a word for absence."""
    letters = st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp"))
    fancy = st.text(letters, min_size=1, max_size=min(max_length, 20)).map(str.strip)
    usual = st.sampled_from([name for name in NAMES if len(name) <= max_length] + ["x" * max_length])
    return st.one_of(usual, fancy.filter(lambda text: not is_null(text) and "%%" not in text))


def numbers(field: Number) -> st.SearchStrategy[float]:
    return st.one_of(
        st.sampled_from([0.0, 1.0, 10.0, 11.25, 2812.5]),
        st.floats(field.least, min(field.most, 1e300), allow_nan=False, allow_infinity=False).map(
            lambda number: number + 0.0
        ),
    )


def integers(field: Integer) -> st.SearchStrategy[int]:
    small = (
        st.integers(max(field.least, 0), min(field.most, 100000)) if field.least < 100000 else st.nothing()
    )
    return st.one_of(small, st.integers(max(field.least, -MOST_INTEGER), field.most))


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """Whatever the field accepts, absence included where it may be absent."""
    if isinstance(field, Tuples):
        return st.none()
    if isinstance(field, Choice):
        return st.sampled_from(sorted(field.choices.values()))
    if isinstance(field, Text):
        some: Any = st.sampled_from(FQANS) | texts(255) if field.name == "FQAN" else texts(field.max_length)
    elif isinstance(field, Timestamp):
        some = st.integers(0, NOW)
    elif isinstance(field, Integer):
        some = integers(field)
    elif isinstance(field, Number):
        some = numbers(field)
    else:
        raise TypeError(field)
    return some if field.required else st.none() | some


benchmarks = st.tuples(
    st.sampled_from([*BENCHMARK_TYPES, "HEPscore23", "HEPSPEC", "Si2k"]),
    numbers(JobRecord.fields[JobRecord.names.index("ServiceLevel")]),  # type: ignore[arg-type]
) | st.just(("custom", 1.0))


def arrange_job(values: Dict[str, Any], benchmark: Any) -> None:
    """Make arbitrary values keep the rules of a job."""
    values["StartTime"], values["EndTime"] = sorted([values["StartTime"], values["EndTime"]])
    values["ServiceLevelType"], values["ServiceLevel"] = benchmark
    if values["FQAN"] is not None:
        values["VO"], values["VOGroup"], values["VORole"] = parse_fqan(values["FQAN"])


def arrange_summary(values: Dict[str, Any], benchmark: Any) -> None:
    """Make arbitrary values keep the rules of a summary; the month is that of a time that has been."""
    values["Year"], values["Month"] = month_of(values["Year"] * 1000003 % NOW)
    first, last = month_bounds(values["Year"], values["Month"])
    for name in ("EarliestEndTime", "LatestEndTime"):
        if values[name] is not None:
            values[name] = min(first + values[name] % (last - first + 1), END_OF_TIME - 1)
    if None not in (values["EarliestEndTime"], values["LatestEndTime"]):
        values["EarliestEndTime"], values["LatestEndTime"] = sorted(
            [values["EarliestEndTime"], values["LatestEndTime"]]
        )
    if benchmark is not None:
        values["ServiceLevelType"], values["ServiceLevel"] = benchmark


def arrange_cloud(values: Dict[str, Any], benchmark: Any) -> None:
    """Make arbitrary values keep the rules of a virtual machine."""
    values["RecordCreateTime"] = values["RecordCreateTime"] or 1
    if (values["Status"] or "").lower() == "completed":
        values["Status"] = "gone"
    arrange_identity(values)


def arrange_identity(values: Dict[str, Any]) -> None:
    """VO, group and role are what the FQAN says."""
    values["VO"], values["VOGroup"], values["VORole"] = (
        parse_fqan(values["FQAN"]) if values["FQAN"] else [None] * 3
    )


def arrange_accelerator(values: Dict[str, Any], benchmark: Any) -> None:
    """Make arbitrary values keep the rules of accelerators, and of their sums."""
    names = ("Year", "Month") if "Month" in values else ("MeasurementYear", "MeasurementMonth")
    values.update(zip(names, month_of(values[names[0]] * 1000003 % NOW)))
    arrange_identity(values)


def arrange_ip(values: Dict[str, Any], benchmark: Any) -> None:
    """The same for public IP addresses."""
    values["IPVersion"] = 4 if values["IPVersion"] % 2 else 6
    arrange_identity(values)
    if "Month" in values:
        values["Year"], values["Month"] = month_of(values["Year"] * 1000003 % NOW)
        times = sorted([values["EarliestMeasurementTime"], values["LatestMeasurementTime"]])
        values["EarliestMeasurementTime"], values["LatestMeasurementTime"] = times


def arrange_event(values: Dict[str, Any], benchmark: Any) -> None:
    if "StopTime" in values:
        values["StartTime"], values["StopTime"] = sorted([values["StartTime"], values["StopTime"]])


ARRANGE: Dict[Type[Record], Callable[[Dict[str, Any], Any], None]] = {
    JobRecord: arrange_job,
    CloudRecord: arrange_cloud,
    AcceleratorRecord: arrange_accelerator,
    AcceleratorSummaryRecord: arrange_accelerator,
    PublicIpRecord: arrange_ip,
    PublicIpSummaryRecord: arrange_ip,
    SummaryRecord: arrange_summary,
    NormalisedSummaryRecord: arrange_summary,
}


def records(record_class: Type[Record], any_benchmark: bool = False) -> st.SearchStrategy[Record]:
    """Records that keep every rule at NOW. any_benchmark: summaries with a type that is any text, or none."""

    def build(values: Any, benchmark: Any) -> Record:
        named = dict(zip(record_class.names, values))
        ARRANGE.get(record_class, arrange_event)(named, None if any_benchmark else benchmark)
        return record_class.make(named[name] for name in record_class.names).check(NOW)

    return st.builds(build, st.tuples(*map(values_of, record_class.fields)), benchmarks)
