"""The tables that only the centre has, but for those of jobs: each column and where it comes from."""

from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence, Tuple

from apel.db.details import Detail
from apel.db.history import History
from apel.db.marks import mark_months
from apel.db.sources import (
    LEVEL_DECIMALS,
    USER,
    VO,
    Batch,
    Source,
    as_is,
    id_of,
    level,
    month,
    name,
    time,
    year,
)
from apel.db.tables import PUBLISHER, SITE, Table
from apel.records import (
    AcceleratorRecord,
    AcceleratorSummaryRecord,
    CloudRecord,
    CloudSummaryRecord,
    PublicIpRecord,
    PublicIpSummaryRecord,
    StorageRecord,
)
from apel.records.cloud import creation_time, measurement_time
from apel.times import month_of, utc_text

if TYPE_CHECKING:
    from apel.db.database import Transaction
    from apel.records import Record


#: As the columns hold them, by SQLite too.
SHARE_DECIMALS = 6


def of_record(make: Callable[["Record"], Any]) -> Source:
    """What a function makes of each record."""
    return lambda batch: map(make, batch.records)


def time_of(of: Callable[["Record"], Optional[int]]) -> Source:
    """A time that a function finds in each record, as text in UTC."""
    return lambda batch: [utc_text(of(record) or 0) for record in batch.records]


def decimal(field: str) -> Source:
    """A number to three decimals; 0 for none."""
    return lambda batch: [round(value or 0.0, LEVEL_DECIMALS) for value in batch.field(field)]


def share(field: str) -> Source:
    """A number to six decimals: parts of accelerators, and means."""
    return lambda batch: [round(value, SHARE_DECIMALS) for value in batch.field(field)]


def publisher_text(batch: Batch) -> Sequence[str]:
    """The publisher's id, as text."""
    return [str(number) for number in PUBLISHER[1](batch)]


def _measured(record: Any) -> Any:
    return month_of(measurement_time(record) or 0)


CLOUD = Table(
    "CloudRecords",
    CloudRecord,
    [
        ("RecordCreateTime", time_of(creation_time)),
        ("VMUUID", as_is("VMUUID")),
        ("SiteID", id_of("SiteName", "Sites")),
        ("CloudComputeServiceID", id_of("CloudComputeService", "CloudComputeServices")),
        ("MachineName", name("MachineName")),
        ("LocalUserId", name("LocalUserId")),
        ("LocalGroupId", name("LocalGroupId")),
        USER,
        ("FQAN", name("FQAN")),
        *VO,
        ("Status", name("Status")),
        ("StartTime", time("StartTime")),
        ("EndTime", time("EndTime")),
        ("MeasurementTime", time_of(measurement_time)),
        ("MeasurementMonth", of_record(lambda record: _measured(record)[1])),
        ("MeasurementYear", of_record(lambda record: _measured(record)[0])),
        ("SuspendDuration", as_is("SuspendDuration")),
        ("WallDuration", as_is("WallDuration")),
        ("CpuDuration", as_is("CpuDuration")),
        ("CpuCount", decimal("CpuCount")),
        ("NetworkType", name("NetworkType")),
        ("NetworkInbound", as_is("NetworkInbound")),
        ("NetworkOutbound", as_is("NetworkOutbound")),
        ("PublicIPCount", as_is("PublicIPCount")),
        ("Memory", as_is("Memory")),
        ("Disk", as_is("Disk")),
        ("BenchmarkType", name("BenchmarkType")),
        ("Benchmark", decimal("Benchmark")),
        ("StorageRecordId", name("StorageRecordId")),
        ("ImageId", name("ImageId")),
        ("CloudType", name("CloudType")),
        PUBLISHER,
    ],
    schema="cloud",
)

CLOUD_SUMMARIES = Table(
    "CloudSummaries",
    CloudSummaryRecord,
    [
        ("SiteID", id_of("SiteName", "Sites")),
        ("CloudComputeServiceID", id_of("CloudComputeService", "CloudComputeServices")),
        ("Month", as_is("Month")),
        ("Year", as_is("Year")),
        USER,
        *VO,
        ("Status", name("Status")),
        ("CloudType", name("CloudType")),
        ("ImageId", name("ImageId")),
        ("EarliestStartTime", time("EarliestStartTime")),
        ("LatestStartTime", time("LatestStartTime")),
        ("WallDuration", as_is("WallDuration")),
        ("CpuDuration", as_is("CpuDuration")),
        ("CpuCount", level("CpuCount")),
        ("NetworkInbound", as_is("NetworkInbound")),
        ("NetworkOutbound", as_is("NetworkOutbound")),
        ("Memory", as_is("Memory")),
        ("Disk", as_is("Disk")),
        ("BenchmarkType", name("BenchmarkType")),
        ("Benchmark", level("Benchmark")),
        ("NumberOfVMs", as_is("NumberOfVMs")),
        ("PublisherDNID", publisher_text),
    ],
    schema="cloud",
)


class StorageTable(Table):
    """Storage records, of which some producers send always the same ids."""

    def insert(
        self, tx: "Transaction", records: Sequence["Record"], rows: Sequence[Tuple[Any, ...]], conflict: str
    ) -> int:
        """Write records, and keep what they replace."""
        lost = History(self.name, self.columns).keep(tx, rows)
        if lost:
            mark_months(tx, lost, self.marks)
        return super().insert(tx, records, rows, conflict)


STORAGE = StorageTable(
    "StarRecords",
    StorageRecord,
    [
        ("RecordId", as_is("RecordId")),
        ("CreateTime", time("CreateTime")),
        ("StorageSystemID", id_of("StorageSystem", "StorageSystems")),
        SITE,
        ("StorageShareID", id_of("StorageShare", "StorageShares")),
        ("StorageMediaID", id_of("StorageMedia", "StorageMedia")),
        ("StorageClassID", id_of("StorageClass", "StorageClasses")),
        ("FileCount", as_is("FileCount")),
        ("DirectoryPath", name("DirectoryPath")),
        ("LocalUser", name("LocalUser")),
        ("LocalGroup", name("LocalGroup")),
        ("UserIdentityID", id_of("UserIdentity", "UserIdentities")),
        ("GroupID", id_of("Group", "Groups")),
        ("SubGroupID", id_of("SubGroup", "SubGroups")),
        ("RoleID", id_of("Role", "Roles")),
        ("StartTime", time("StartTime")),
        ("EndTime", time("EndTime")),
        ("ResourceCapacityUsed", as_is("ResourceCapacityUsed")),
        ("LogicalCapacityUsed", as_is("LogicalCapacityUsed")),
        ("ResourceCapacityAllocated", as_is("ResourceCapacityAllocated")),
        PUBLISHER,
    ],
    [
        Detail(
            "GroupAttributes",
            "GroupAttributes",
            ("StarRecordID",),
            ("AttributeType", "AttributeValue"),
            ("StarRecordID",),
        )
    ],
    schema="storage",
)

IDENTITY = [
    USER,
    ("FQANID", id_of("FQAN", "FQANs")),
    *VO,
    ("SiteID", id_of("SiteName", "Sites")),
]

ACCELERATORS = Table(
    "AcceleratorRecords",
    AcceleratorRecord,
    [
        ("MeasurementMonth", as_is("MeasurementMonth")),
        ("MeasurementYear", as_is("MeasurementYear")),
        ("AssociatedRecordType", as_is("AssociatedRecordType")),
        ("AssociatedRecord", as_is("AssociatedRecord")),
        *IDENTITY,
        ("Count", share("Count")),
        ("Cores", as_is("Cores")),
        ("AvailableDuration", as_is("AvailableDuration")),
        ("ActiveDuration", as_is("ActiveDuration")),
        ("BenchmarkType", name("BenchmarkType")),
        ("Benchmark", level("Benchmark")),
        ("Type", as_is("Type")),
        ("Model", name("Model")),
        PUBLISHER,
    ],
    schema="accelerator",
)

ACCELERATOR_SUMMARIES = Table(
    "AcceleratorSummaries",
    AcceleratorSummaryRecord,
    [
        ("Month", as_is("Month")),
        ("Year", as_is("Year")),
        ("AssociatedRecordType", as_is("AssociatedRecordType")),
        *IDENTITY,
        ("Count", share("Count")),
        ("Cores", as_is("Cores", 0)),
        ("AvailableDuration", as_is("AvailableDuration")),
        ("ActiveDuration", as_is("ActiveDuration")),
        ("BenchmarkType", name("BenchmarkType")),
        ("Benchmark", decimal("Benchmark")),
        ("Type", as_is("Type")),
        ("Model", name("Model")),
        ("NumberOfRecords", as_is("NumberOfRecords")),
        ("PublisherDNID", publisher_text),
    ],
    schema="accelerator",
)

CLOUD_USER = [
    ("CloudComputeServiceID", id_of("CloudComputeService", "CloudComputeServices")),
    ("CloudType", name("CloudType")),
    ("LocalUserId", name("LocalUser")),
    ("LocalGroupId", name("LocalGroup")),
    *IDENTITY,
    ("IPVersion", as_is("IPVersion")),
]

IP_RECORDS = Table(
    "IPRecords",
    PublicIpRecord,
    [
        ("MeasurementTime", time("MeasurementTime")),
        ("MeasurementMonth", month("MeasurementTime")),
        ("MeasurementYear", year("MeasurementTime")),
        *CLOUD_USER,
        ("IPCount", as_is("IPCount")),
        PUBLISHER,
    ],
    schema="ip",
)

IP_SUMMARIES = Table(
    "IPSummaries",
    PublicIpSummaryRecord,
    [
        ("Month", as_is("Month")),
        ("Year", as_is("Year")),
        *CLOUD_USER,
        ("LastIPCount", as_is("LastIPCount")),
        ("AverageIPCount", share("AverageIPCount")),
        ("MaximumIPCount", as_is("MaximumIPCount")),
        ("EarliestMeasurementTime", time("EarliestMeasurementTime")),
        ("LatestMeasurementTime", time("LatestMeasurementTime")),
        ("NumberOfMeasurements", as_is("NumberOfMeasurements")),
        ("PublisherDNID", publisher_text),
    ],
    schema="ip",
)
