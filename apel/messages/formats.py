"""Which text formats there are: the header, the record and the peculiarities of each version."""

import re
from typing import Any, Callable, Dict, FrozenSet, Iterable, Optional, Pattern, Tuple, Type

from apel.errors import RecordError, shown
from apel.messages.benchmarks import benchmark_can_be_named
from apel.records import Field, JobRecord, Record, SummaryRecord, SyncRecord
from apel.records.fields import Timestamp

#: How much of a header must agree: the whole of it, type and version, or the type alone.
EXACT, VERSION, KIND = "exact", "version", "kind"


class TextFormat:
    """One version of one record type on the wire.

    ignored: keys that are accepted and dropped. extra: keys that are written only on request.
    dict_benchmark: ServiceLevel holds `{type: value}` and there is no ServiceLevelType line (v0.4).
    """

    def __init__(
        self,
        header: str,
        record_class: Type[Record],
        matching: str,
        ignored: Iterable[str] = (),
        extra: Iterable[str] = (),
        dict_benchmark: bool = False,
    ) -> None:
        self.header = header
        self.record_class = record_class
        self.matching = matching
        self.dict_benchmark = dict_benchmark
        self.extra: FrozenSet[str] = frozenset(extra)
        self.known: FrozenSet[str] = frozenset(record_class.names) | frozenset(ignored)
        self.pattern = self._compile()
        dict_rules: Tuple[Callable[[Any, int], None], ...] = (
            (benchmark_can_be_named,) if dict_benchmark else ()
        )
        self.rules = record_class.rules + dict_rules

    def _compile(self) -> Pattern[str]:
        """One group for each field, for a record with its lines in order; lines may be absent."""
        return re.compile("".join(map(self._line_pattern, self.record_class.fields)))

    def _line_pattern(self, field: Field) -> str:
        if self.dict_benchmark and field.name == "ServiceLevelType":
            return "((?!))?"  # no such line; the group keeps its place
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
        return tuple(field for field in self.record_class.fields if field.name not in leave_out)

    def _line_template(self, field: Field) -> str:
        if may_be_left_out(field):
            return "%s"
        if self.dict_benchmark and field.name == "ServiceLevelType":
            return "ServiceLevel: {%s: "
        if self.dict_benchmark and field.name == "ServiceLevel":
            return "%s}\n"
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
        dict_benchmark=True,
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
        dict_benchmark=True,
    ),
    "sync v0.1": TextFormat("APEL-sync-message: v0.1", SyncRecord, KIND),
}


def format_of(header: str) -> str:
    """The name of the format that a header line asks for. Raises RecordError in the incumbent's words."""
    if split_header(header)[1] is None:
        raise RecordError("", f"Message header is incorrect: {shown(header)}")
    for name, text_format in FORMATS.items():
        if text_format.accepts(header):
            return name
    raise RecordError("", f"Message type {shown(header)} not recognised.")
