"""Which messages in JSON there are: the type, versions and record of each, and its keys."""

from typing import Dict, FrozenSet, Iterable, NamedTuple, Tuple, Type

from apel.records import (
    AcceleratorRecord,
    AcceleratorSummaryRecord,
    Field,
    PublicIpRecord,
    PublicIpSummaryRecord,
    Record,
)

TYPE, VERSION, RECORDS = "Type", "Version", "UsageRecords"
#: How many records a message may hold.
MOST_RECORDS = 1000
#: What follows from the FQAN, and has no key of its own.
DERIVED = frozenset(["VO", "VOGroup", "VORole"])


class JsonFormat(NamedTuple):
    """One type of message. The first of its versions is written; others are read.

    also: older names of the type. ignored: keys that are accepted and dropped. always: keys that are written,
    as the word None, where their value is absent, since the schema of other receivers demands them.
    """

    type: str
    versions: Tuple[str, ...]
    record_class: Type[Record]
    also: Tuple[str, ...] = ()
    ignored: FrozenSet[str] = frozenset()
    always: FrozenSet[str] = frozenset()

    @property
    def fields(self) -> Tuple[Field, ...]:
        """The fields that have a key."""
        return tuple(field for field in self.record_class.fields if field.name not in DERIVED)

    @property
    def head(self) -> str:
        """What stands before the records."""
        return '{"%s": "%s", "%s": "%s", "%s": [\n' % (TYPE, self.type, VERSION, self.versions[0], RECORDS)

    def document(self, records: Iterable[str]) -> str:
        """The message of records, each as text."""
        return self.head + ",\n".join(records) + TAIL

    def joined(self, documents: Iterable[str]) -> str:
        """The records of documents that `document` has made, in one."""
        return self.document(one[len(self.head) : -len(TAIL)] for one in documents)


TAIL = "\n]}\n"

JSON_FORMATS: Dict[str, JsonFormat] = {
    "accelerator v0.1": JsonFormat(
        "APEL-accelerator-message",
        ("0.1",),
        AcceleratorRecord,
        also=("APEL GPU message",),
        ignored=frozenset(["CloudType", "CloudComputeService", "uuid"]),
        always=frozenset(["FQAN", "Model"]),
    ),
    "accelerator summary v0.1": JsonFormat(
        "APEL-accelerator-summary-message",
        ("0.1",),
        AcceleratorSummaryRecord,
        always=frozenset(["FQAN", "Model"]),
    ),
    "public ip v0.2": JsonFormat(
        "APEL Public IP message",
        ("v0.2",),
        PublicIpRecord,
        ignored=frozenset(["uuid"]),
        always=frozenset(["CloudType", "LocalUser", "LocalGroup", "GlobalUserName", "FQAN"]),
    ),
    "public ip summary v0.1": JsonFormat(
        "APEL Public IP summary message",
        ("v0.1",),
        PublicIpSummaryRecord,
        always=frozenset(["CloudType", "LocalUser", "LocalGroup", "GlobalUserName", "FQAN"]),
    ),
}
