"""How each kind of record lies in its table: declared once, turned into rows a column at a time."""

from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Type,
)

from apel.columns import ByColumn, are_all_equal, columns_of, each_once
from apel.db.backend import VERSION_COLUMNS
from apel.db.details import Detail, Pair, newest, unknown
from apel.db.lookups import NONE
from apel.db.marks import CHANGED_MONTHS, MARKS, mark_months
from apel.db.store import Stored, store
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
from apel.times import month_of, utc_text

if TYPE_CHECKING:
    from apel.db.database import Database, Transaction

__all__ = [
    "BLAHD",
    "CHANGED_MONTHS",
    "EVENTS",
    "FILES",
    "JOBS",
    "NORMALISED_SUMMARIES",
    "SERVER_JOBS",
    "SUMMARIES",
    "SYNC",
    "Stored",
    "mark_months",
    "store",
]

#: Benchmarks are kept to three decimals (DECIMAL(10,3)), by SQLite too.
LEVEL_DECIMALS = 3


class Batch:
    """Some records of one class, by field; `extra` holds what is the same for all of them."""

    def __init__(
        self, db: "Database", names: Sequence[str], records: Sequence[Record], extra: Mapping[str, Any]
    ):
        self.db = db
        self.size = len(records)
        self.records = records
        self.extra = extra
        columns = columns_of(records, 0, len(records))
        self._fields: Dict[str, Sequence[Any]] = dict(zip(names, columns))

    def field(self, name: str) -> Sequence[Any]:
        """The values of one field."""
        return self._fields[name]


#: Makes the values of one column.
Source = Callable[[Batch], Iterable[Any]]


def as_is(field: str, absent: Any = None) -> Source:
    """The value itself, or `absent` for None."""

    def values(batch: Batch) -> Sequence[Any]:
        column = batch.field(field)
        if absent is None or None not in column:
            return column
        return [absent if value is None else value for value in column]

    return values


def name(field: str) -> Source:
    """Text kept in the table itself; absence is the word None, as in the incumbent's databases."""
    return as_is(field, NONE)


def id_of(field: str, table: str) -> Source:
    """The id of a name."""

    def values(batch: Batch) -> Iterable[int]:
        column = batch.field(field)
        if are_all_equal(column):
            return [batch.db.ids(table, column[:1])[column[0]]] * batch.size
        return map(batch.db.ids(table, column).__getitem__, column)

    return values


def id_of_extra(key: str, table: str) -> Source:
    """The id of a name that is the same for all records."""

    def values(batch: Batch) -> Sequence[int]:
        text = batch.extra[key]
        return [batch.db.ids(table, [text])[text]] * batch.size

    return values


def id_if_known(field: str, table: str) -> Source:
    """The id of a name, or NULL for none."""

    def values(batch: Batch) -> Iterable[Optional[int]]:
        column = batch.field(field)
        ids = batch.db.ids(table, {text for text in column if text is not None})
        return map(ids.get, column)

    return values


def time(field: str) -> Source:
    """A time, as text in UTC."""

    def values(batch: Batch) -> Iterable[Optional[str]]:
        return [None if epoch is None else utc_text(epoch) for epoch in batch.field(field)]

    return values


def year(field: str) -> Source:
    """The year of a time."""
    return lambda batch: [month_of(epoch)[0] for epoch in batch.field(field)]


def month(field: str) -> Source:
    """The month of a time, 1 to 12."""
    return lambda batch: [month_of(epoch)[1] for epoch in batch.field(field)]


def level(field: str) -> Source:
    """A benchmark, to as many decimals as are kept."""
    return lambda batch: each_once(_rounded, batch.field(field))


def _rounded(value: Optional[float]) -> Optional[float]:
    return None if value is None else round(value, LEVEL_DECIMALS)


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
        count = tx.insert(self.name, self.columns, rows, conflict)
        if pairs:
            if self.name in VERSION_COLUMNS:
                pairs = newest(tx, self.name, self.columns, pairs)
            for detail in self.details:
                detail.write(tx, self.name, self.columns, pairs)
        return count


def _kept(values: Iterable[Any]) -> Sequence[Any]:
    return values if isinstance(values, (list, tuple)) else list(values)


EVENT_KEY = ("MachineNameID", "JobName", "EndTime")
ACCELERATORS = ("Number", "Host", "Model", "Type", "Count", "AvailableDuration", "ActiveDuration")

EVENTS = Table(
    "EventRecords",
    EventRecord,
    [
        ("SiteID", id_of("Site", "Sites")),
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
    ],
    [Detail("EventAccelerators", "Accelerators", EVENT_KEY, ACCELERATORS, ("MachineNameID", "JobName"))],
    schema="client",
)

BLAHD = Table(
    "BlahdRecords",
    BlahdRecord,
    [
        ("TimeStamp", time("TimeStamp")),
        ("GlobalUserNameID", id_of("GlobalUserName", "DNs")),
        ("FQAN", name("FQAN")),
        ("VOID", id_of("VO", "VOs")),
        ("VOGroupID", id_of("VOGroup", "VOGroups")),
        ("VORoleID", id_of("VORole", "VORoles")),
        ("CEID", id_of("CE", "SubmitHosts")),
        ("GlobalJobId", name("GlobalJobId")),
        ("LrmsId", as_is("LrmsId")),
        ("SiteID", id_of("Site", "Sites")),
        ("ValidFrom", time("ValidFrom")),
        ("ValidUntil", time("ValidUntil")),
        ("Processed", as_is("Processed", 0)),
        ("MachineNameID", id_if_known("MachineName", "MachineNames")),
    ],
)

FILES = Table("ProcessedFiles", ProcessedFile, [(field, as_is(field)) for field in ProcessedFile.names])

JOB_COLUMNS: List[Tuple[str, Source]] = [
    ("SiteID", id_of("Site", "Sites")),
    ("SubmitHostID", id_of("SubmitHost", "SubmitHosts")),
    ("MachineNameID", id_of("MachineName", "MachineNames")),
    ("QueueID", id_of("Queue", "Queues")),
    ("LocalJobId", as_is("LocalJobId")),
    ("LocalUserId", name("LocalUserId")),
    ("GlobalUserNameID", id_of("GlobalUserName", "DNs")),
    ("FQAN", name("FQAN")),
    ("VOID", id_of("VO", "VOs")),
    ("VOGroupID", id_of("VOGroup", "VOGroups")),
    ("VORoleID", id_of("VORole", "VORoles")),
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
    ("PublisherDNID", id_of_extra("PublisherDN", "DNs")),
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

#: Site and centre have the same columns. Extra: PublisherDN, who sent (or made) the records.
JOBS = Table("JobRecords", JobRecord, JOB_COLUMNS)
SERVER_JOBS = Table(
    "JobRecords",
    JobRecord,
    JOB_COLUMNS,
    [Detail("JobBenchmarks", "Benchmarks", JOB_KEY, BY_BENCHMARK, ("SiteID", "EndTime"))],
)

#: Extra: PublisherDN.
SUMMARIES = Table(
    "Summaries",
    SummaryRecord,
    [
        ("SiteID", id_of("Site", "Sites")),
        ("Month", as_is("Month")),
        ("Year", as_is("Year")),
        ("GlobalUserNameID", id_of("GlobalUserName", "DNs")),
        ("VOID", id_of("VO", "VOs")),
        ("VOGroupID", id_of("VOGroup", "VOGroups")),
        ("VORoleID", id_of("VORole", "VORoles")),
        ("SubmitHostId", id_of("SubmitHost", "SubmitHosts")),
        ("InfrastructureType", name("InfrastructureType")),
        ("InfrastructureDescription", name("InfrastructureDescription")),
        ("ServiceLevelType", name("ServiceLevelType")),
        ("ServiceLevel", level("ServiceLevel")),
        ("NodeCount", as_is("NodeCount")),
        ("Processors", as_is("Processors")),
        ("EarliestEndTime", time("EarliestEndTime")),
        ("LatestEndTime", time("LatestEndTime")),
        ("WallDuration", as_is("WallDuration")),
        ("CpuDuration", as_is("CpuDuration")),
        ("NumberOfJobs", as_is("NumberOfJobs")),
        ("PublisherDNID", id_of_extra("PublisherDN", "DNs")),
    ],
    [Detail("SummaryBenchmarks", "Benchmarks", SUMMARY_KEY, BY_BENCHMARK, IN_MONTH)],
)

#: Extra: PublisherDN.
NORMALISED_SUMMARIES = Table(
    "NormalisedSummaries",
    NormalisedSummaryRecord,
    [
        ("SiteID", id_of("Site", "Sites")),
        ("Month", as_is("Month")),
        ("Year", as_is("Year")),
        ("GlobalUserNameID", id_of("GlobalUserName", "DNs")),
        ("VOID", id_of("VO", "VOs")),
        ("VOGroupID", id_of("VOGroup", "VOGroups")),
        ("VORoleID", id_of("VORole", "VORoles")),
        ("SubmitHostId", id_of("SubmitHost", "SubmitHosts")),
        ("Infrastructure", name("Infrastructure")),
        ("InfrastructureDescription", name("InfrastructureDescription")),
        ("ServiceLevelType", name("ServiceLevelType")),
        ("NodeCount", as_is("NodeCount")),
        ("Processors", as_is("Processors")),
        ("EarliestEndTime", time("EarliestEndTime")),
        ("LatestEndTime", time("LatestEndTime")),
        ("WallDuration", as_is("WallDuration")),
        ("CpuDuration", as_is("CpuDuration")),
        ("NormalisedWallDuration", as_is("NormalisedWallDuration")),
        ("NormalisedCpuDuration", as_is("NormalisedCpuDuration")),
        ("NumberOfJobs", as_is("NumberOfJobs")),
        ("PublisherDNID", id_of_extra("PublisherDN", "DNs")),
    ],
    [Detail("NormalisedSummaryBenchmarks", "Benchmarks", NORMALISED_KEY, NORMALISED_BY_BENCHMARK, IN_MONTH)],
)

#: Extra: PublisherDN.
SYNC = Table(
    "SyncRecords",
    SyncRecord,
    [
        ("SiteID", id_of("Site", "Sites")),
        ("SubmitHostID", id_of("SubmitHost", "SubmitHosts")),
        ("NumberOfJobs", as_is("NumberOfJobs")),
        ("Month", as_is("Month")),
        ("Year", as_is("Year")),
        ("PublisherDNID", id_of_extra("PublisherDN", "DNs")),
    ],
)
