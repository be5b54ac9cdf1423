"""Which text formats there are: the header, the record and the peculiarities of each version."""

import re
from typing import Any, Callable, Dict, FrozenSet, Iterable, Optional, Pattern, Tuple, Type

from apel.errors import RecordError, shown
from apel.messages.benchmarks import benchmark_can_be_named, normalising_type_is_known
from apel.records import (
    CloudRecord,
    CloudSummaryRecord,
    Field,
    JobRecord,
    NormalisedSummaryRecord,
    Record,
    SummaryRecord,
    SyncRecord,
)
from apel.records.fields import Timestamp

#: How much of a header must agree: the whole of it, type and version, or the type alone.
EXACT, VERSION, KIND = "exact", "version", "kind"

#: The fields that hold `{type: value}` in v0.4, and the rules about them.
LEVEL = ("ServiceLevel",)
DURATIONS = ("NormalisedWallDuration", "NormalisedCpuDuration")
RULES_BY_BENCHMARK: Dict[Tuple[str, ...], Tuple[Callable[[Any, int], None], ...]] = {
    LEVEL: (benchmark_can_be_named,),
    DURATIONS: (normalising_type_is_known,),
}


class TextFormat:
    """One version of one record type on the wire.

    ignored: keys that are accepted and dropped. extra: keys that are written only on request.
    read_only: keys that are accepted and never written.
    by_benchmark: fields that hold `{type: value}`, so that there is no ServiceLevelType line (v0.4).
    """

    def __init__(
        self,
        header: str,
        record_class: Type[Record],
        matching: str,
        ignored: Iterable[str] = (),
        extra: Iterable[str] = (),
        read_only: Iterable[str] = (),
        by_benchmark: Tuple[str, ...] = (),
    ) -> None:
        self.header = header
        self.record_class = record_class
        self.matching = matching
        self.by_benchmark = by_benchmark
        self.extra: FrozenSet[str] = frozenset(extra)
        self.read_only: FrozenSet[str] = frozenset(read_only)
        if by_benchmark:
            self.read_only |= {"ServiceLevelType"}
        names = {field.name for field in record_class.fields if field.on_wire}
        self.known: FrozenSet[str] = frozenset(names) | frozenset(ignored)
        self.pattern = self._compile()
        self.rules = record_class.rules + RULES_BY_BENCHMARK.get(by_benchmark, ())

    @property
    def dict_benchmark(self) -> bool:
        """Whether benchmarks stand in braces."""
        return bool(self.by_benchmark)

    def _compile(self) -> Pattern[str]:
        """One group for each field, for a record with its lines in order; lines may be absent."""
        return re.compile("".join(map(self._line_pattern, self.record_class.fields)))

    def _line_pattern(self, field: Field) -> str:
        if not field.on_wire or field.name in self.read_only:
            return "((?!))?"  # no such line; the group keeps its place
        if field.name in self.by_benchmark:
            return f"{field.name}: (.*)\n"
        blank = "" if field.canonical == ".*" else " "
        line = f"{field.name}:{blank}({field.canonical})\n"
        return line if field.required else f"(?:{line})?"

    def places(self, *names: str) -> Tuple[int, ...]:
        """Where these fields stand in the record; () if it lacks any of them."""
        own = self.record_class.names
        return tuple(map(own.index, names)) if set(names) <= set(own) else ()

    def template(self, leave_out: Iterable[str]) -> str:
        """A %-template of one record with its separator: '%s' for each field that isn't left out."""
        return "".join(map(self._line_template, self.written(leave_out))) + "%%%%\n"

    def written(self, leave_out: Iterable[str]) -> Tuple[Field, ...]:
        left_out = self.read_only.union(leave_out)
        return tuple(
            field for field in self.record_class.fields if field.on_wire and field.name not in left_out
        )

    def _line_template(self, field: Field) -> str:
        if may_be_left_out(field):
            return "%s"
        if field.name in self.by_benchmark:
            return f"{field.name}: {{%s}}\n"
        return f"{field.name}: %s\n"

    def accepts(self, header: str) -> bool:
        kind, version = split_header(header)
        if self.matching == EXACT:
            return header == self.header
        own_kind, own_version = split_header(self.header)
        return kind == own_kind and (self.matching == KIND or version == own_version)


def may_be_left_out(field: Field) -> bool:
    """An absent time has no line; every other absence is the word None."""
    return isinstance(field, Timestamp) and not field.required


def split_header(header: str) -> Tuple[str, Optional[str]]:
    """'APEL-sync-message: v0.1' -> ('APEL-sync-message', 'v0.1'); without a colon the version is None."""
    kind, colon, version = header.partition(":")
    return kind.strip(), version.strip(": \t") if colon else None


#: By name. A header belongs to the first that accepts it.
FORMATS: Dict[str, TextFormat] = {
    "job v0.4": TextFormat(
        "APEL-individual-job-message: v0.4",
        JobRecord,
        VERSION,
        ignored=["SubmitHostType", "UpdateTime"],
        by_benchmark=LEVEL,
    ),
    "job v0.3": TextFormat(
        "APEL-individual-job-message: v0.3", JobRecord, KIND, ignored=["SubmitHostType", "UpdateTime"]
    ),
    "summary v0.2": TextFormat(
        "APEL-summary-job-message: v0.2",
        SummaryRecord,
        EXACT,
        ignored=["UpdateTime"],
        extra=["InfrastructureDescription"],
    ),
    "summary v0.4": TextFormat(
        "APEL-summary-job-message: v0.4",
        SummaryRecord,
        EXACT,
        ignored=["UpdateTime"],
        extra=["InfrastructureDescription"],
        by_benchmark=LEVEL,
    ),
    "normalised summary v0.3": TextFormat(
        "APEL-summary-job-message: v0.3",
        NormalisedSummaryRecord,
        EXACT,
        ignored=["UpdateTime"],
        extra=["InfrastructureDescription"],
        read_only=["ServiceLevelType"],
    ),
    "normalised summary v0.4": TextFormat(
        "APEL-normalised-summary-message: v0.4",
        NormalisedSummaryRecord,
        EXACT,
        ignored=["UpdateTime"],
        extra=["InfrastructureDescription"],
        by_benchmark=DURATIONS,
    ),
    "sync v0.1": TextFormat("APEL-sync-message: v0.1", SyncRecord, KIND),
    "cloud v0.4": TextFormat(
        "APEL-cloud-message: v0.4",
        CloudRecord,
        KIND,
        ignored=["UpdateTime", "MeasurementTime", "MeasurementMonth", "MeasurementYear"],
        read_only=["VO", "VOGroup", "VORole"],
    ),
    "cloud summary v0.4": TextFormat(
        "APEL-cloud-summary-message: v0.4", CloudSummaryRecord, KIND, ignored=["UpdateTime"]
    ),
}


def format_of(header: str) -> str:
    """The name of the format that a header line asks for. Raises RecordError in the incumbent's words."""
    if split_header(header)[1] is None:
        raise RecordError("", f"Message header is incorrect: {shown(header)}")
    for name, text_format in FORMATS.items():
        if text_format.accepts(header):
            return name
    raise RecordError("", f"Message type {shown(header)} not recognised.")
