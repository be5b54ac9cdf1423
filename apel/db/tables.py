"""How each kind of record lies in its table: declared once, turned into rows a column at a time."""

from typing import (
    TYPE_CHECKING,
    Any,
    Iterable,
    List,
    Sequence,
    Tuple,
    Type,
)

from apel.columns import ByColumn
from apel.db.backend import VERSION_COLUMNS
from apel.db.details import Detail, Pair, newest, unknown
from apel.db.marks import CHANGED_MONTHS, MARKS
from apel.db.sources import (
    USER,
    VO,
    Batch,
    Source,
    as_is,
    id_if_known,
    id_of,
    id_of_extra,
    level,
    month,
    name,
    time,
    token,
    year,
)
from apel.records import (
    BlahdRecord,
    EventRecord,
    JobRecord,
    NormalisedSummaryRecord,
    ProcessedFile,
    Record,
    SummaryRecord,
    SyncRecord,
)

if TYPE_CHECKING:
    from apel.db.database import Database, Transaction


class Table:
    """A table and the records that go into it: each column, and where its values come from.

    details: the tables of what a record holds any number of. schema: where it is, at the centre.
    """

    def __init__(
        self,
        table: str,
        record_class: Type[Record],
        sources: Sequence[Tuple[str, Source]],
        details: Sequence[Detail] = (),
        schema: str = "server",
    ) -> None:
        self.name = table
        self.record_class = record_class
        self.details = tuple(details)
        self.schema = schema
        self.marks = MARKS.get(schema, CHANGED_MONTHS)
        self.columns: Tuple[str, ...] = tuple(column for column, _ in sources)
        self._sources = [source for _, source in sources]

    def rows(self, db: "Database", records: Sequence[Record], **extra: Any) -> Sequence[Tuple[Any, ...]]:
        """Rows for Transaction.insert, in the order of the records; ids of names are found or made.

        Raises RowRefused for a name that is too long.
        """
        if not records:
            return []
        batch = Batch(db, self.record_class.names, records, extra)
        return ByColumn([_kept(source(batch)) for source in self._sources])

    def insert(
        self, tx: "Transaction", records: Sequence[Record], rows: Sequence[Tuple[Any, ...]], conflict: str
    ) -> int:
        """Write records with the rows that `rows` has made of them; see Transaction.insert."""
        if not any(detail.concerns(tx, self.columns, records, rows) for detail in self.details):
            return tx.insert(self.name, self.columns, rows, conflict)
        pairs: Sequence[Pair] = list(zip(records, rows))
        if conflict == "ignore":
            pairs = unknown(tx, self.name, self.columns, self.details, pairs)
        where = (tx, self.name, self.columns)
        before = [detail.had_rows(*where, pairs) for detail in self.details]
        count = tx.insert(self.name, self.columns, rows, conflict)
        if pairs:
            if self.name in VERSION_COLUMNS:
                pairs = newest(*where, pairs)
            for detail, had_rows in zip(self.details, before):
                detail.write(*where, pairs, had_rows)
        return count


def _kept(values: Iterable[Any]) -> Sequence[Any]:
    return values if isinstance(values, (list, tuple)) else list(values)


EVENT_KEY = ("MachineNameID", "JobName", "EndTime")
ACCELERATORS = ("Number", "Host", "Model", "Type", "Count", "AvailableDuration", "ActiveDuration")
SITE = ("SiteID", id_of("Site", "Sites"))
#: Who sent (or made) the records: tables with this column need `PublisherDN` beside them.
PUBLISHER = ("PublisherDNID", id_of_extra("PublisherDN", "DNs"))
TOKEN_COLUMNS = [(field, as_is(field)) for field in ("TokenIssuer", "TokenSubject", "TokenGroups")]

EVENTS = Table(
    "EventRecords",
    EventRecord,
    [
        SITE,
        ("JobName", as_is("JobName")),
        ("LocalUserID", name("LocalUserID")),
        ("LocalUserGroup", name("LocalUserGroup")),
        ("WallDuration", as_is("WallDuration")),
        ("CpuDuration", as_is("CpuDuration")),
        ("StartTime", time("StartTime")),
        ("EndTime", time("StopTime")),
        ("Infrastructure", name("Infrastructure")),
        ("MachineNameID", id_of("MachineName", "MachineNames")),
        ("QueueID", id_of("Queue", "Queues")),
        ("MemoryReal", as_is("MemoryReal")),
        ("MemoryVirtual", as_is("MemoryVirtual")),
        ("Processors", as_is("Processors")),
        ("NodeCount", as_is("NodeCount")),
        ("Status", lambda batch: [0] * batch.size),
        ("GPUs", as_is("GPUs")),
        *TOKEN_COLUMNS,
    ],
    [Detail("EventAccelerators", "Accelerators", EVENT_KEY, ACCELERATORS, ("MachineNameID", "JobName"))],
    schema="client",
)

BLAHD = Table(
    "BlahdRecords",
    BlahdRecord,
    [
        ("TimeStamp", time("TimeStamp")),
        USER,
        ("FQAN", name("FQAN")),
        *VO,
        ("CEID", id_of("CE", "SubmitHosts")),
        ("GlobalJobId", name("GlobalJobId")),
        ("LrmsId", as_is("LrmsId")),
        SITE,
        ("ValidFrom", time("ValidFrom")),
        ("ValidUntil", time("ValidUntil")),
        ("Processed", as_is("Processed", 0)),
        ("MachineNameID", id_if_known("MachineName", "MachineNames")),
        *TOKEN_COLUMNS,
    ],
)

FILES = Table("ProcessedFiles", ProcessedFile, [(field, as_is(field)) for field in ProcessedFile.names])

JOB_COLUMNS: List[Tuple[str, Source]] = [
    SITE,
    ("SubmitHostID", id_of("SubmitHost", "SubmitHosts")),
    ("MachineNameID", id_of("MachineName", "MachineNames")),
    ("QueueID", id_of("Queue", "Queues")),
    ("LocalJobId", as_is("LocalJobId")),
    ("LocalUserId", name("LocalUserId")),
    USER,
    ("FQAN", name("FQAN")),
    *VO,
    ("WallDuration", as_is("WallDuration")),
    ("CpuDuration", as_is("CpuDuration")),
    ("NodeCount", as_is("NodeCount", 0)),
    ("Processors", as_is("Processors", 0)),
    ("MemoryReal", as_is("MemoryReal")),
    ("MemoryVirtual", as_is("MemoryVirtual")),
    ("StartTime", time("StartTime")),
    ("EndTime", time("EndTime")),
    ("EndYear", year("EndTime")),
    ("EndMonth", month("EndTime")),
    ("InfrastructureDescription", name("InfrastructureDescription")),
    ("InfrastructureType", name("InfrastructureType")),
    ("ServiceLevelType", name("ServiceLevelType")),
    ("ServiceLevel", level("ServiceLevel")),
    PUBLISHER,
    # No message has keys for these: receivers refuse unknown ones. The user's name says both.
    ("TokenIssuer", token("GlobalUserName", 0)),
    ("TokenSubject", token("GlobalUserName", 1)),
]

#: The keys of the central tables that have one of benchmarks beside them.
JOB_KEY = ("SiteID", "EndTime", "MachineNameID", "LocalJobId")
MONTH_KEY = (
    "SiteID", "Month", "Year", "GlobalUserNameID", "VOID", "VORoleID", "VOGroupID", "SubmitHostId",
)  # fmt: skip
SUMMARY_KEY = (
    *MONTH_KEY, "InfrastructureType", "InfrastructureDescription", "ServiceLevelType", "ServiceLevel",
    "NodeCount", "Processors",
)  # fmt: skip
NORMALISED_KEY = (
    *MONTH_KEY, "Infrastructure", "InfrastructureDescription", "NodeCount", "Processors", "ServiceLevelType",
)  # fmt: skip
BY_BENCHMARK = ("BenchmarkType", "Benchmark")
NORMALISED_BY_BENCHMARK = ("BenchmarkType", "NormalisedWallDuration", "NormalisedCpuDuration")
IN_MONTH = ("SiteID", "Month", "Year")

#: Site and centre have the same columns.
JOBS = Table("JobRecords", JobRecord, JOB_COLUMNS)
SERVER_JOBS = Table(
    "JobRecords",
    JobRecord,
    JOB_COLUMNS,
    [Detail("JobBenchmarks", "Benchmarks", JOB_KEY, BY_BENCHMARK, ("SiteID", "EndTime"))],
)

#: Whose jobs a monthly sum is of; where and when these ran, and for how long.
SUM_OF: List[Tuple[str, Source]] = [
    SITE,
    ("Month", as_is("Month")),
    ("Year", as_is("Year")),
    USER,
    *VO,
    ("SubmitHostId", id_of("SubmitHost", "SubmitHosts")),
]
USED: List[Tuple[str, Source]] = [
    ("NodeCount", as_is("NodeCount")),
    ("Processors", as_is("Processors")),
    ("EarliestEndTime", time("EarliestEndTime")),
    ("LatestEndTime", time("LatestEndTime")),
    ("WallDuration", as_is("WallDuration")),
    ("CpuDuration", as_is("CpuDuration")),
]

SUMMARIES = Table(
    "Summaries",
    SummaryRecord,
    [
        *SUM_OF,
        ("InfrastructureType", name("InfrastructureType")),
        ("InfrastructureDescription", name("InfrastructureDescription")),
        ("ServiceLevelType", name("ServiceLevelType")),
        ("ServiceLevel", level("ServiceLevel")),
        *USED,
        ("NumberOfJobs", as_is("NumberOfJobs")),
        PUBLISHER,
    ],
    [Detail("SummaryBenchmarks", "Benchmarks", SUMMARY_KEY, BY_BENCHMARK, IN_MONTH)],
)

NORMALISED_SUMMARIES = Table(
    "NormalisedSummaries",
    NormalisedSummaryRecord,
    [
        *SUM_OF,
        ("Infrastructure", name("Infrastructure")),
        ("InfrastructureDescription", name("InfrastructureDescription")),
        ("ServiceLevelType", name("ServiceLevelType")),
        *USED,
        ("NormalisedWallDuration", as_is("NormalisedWallDuration")),
        ("NormalisedCpuDuration", as_is("NormalisedCpuDuration")),
        ("NumberOfJobs", as_is("NumberOfJobs")),
        PUBLISHER,
    ],
    [Detail("NormalisedSummaryBenchmarks", "Benchmarks", NORMALISED_KEY, NORMALISED_BY_BENCHMARK, IN_MONTH)],
)

SYNC = Table(
    "SyncRecords",
    SyncRecord,
    [
        SITE,
        ("SubmitHostID", id_of("SubmitHost", "SubmitHosts")),
        ("NumberOfJobs", as_is("NumberOfJobs")),
        ("Month", as_is("Month")),
        ("Year", as_is("Year")),
        PUBLISHER,
    ],
)
