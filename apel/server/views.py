"""What the centre can unload: each view with its message formats."""

import hashlib
from functools import partial
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from apel.beside import JOB_NAMES, LEVEL, SUM_NAMES, Beside
from apel.columns import parts
from apel.db.backend import VALUES_PER_QUERY
from apel.db.tables import BY_BENCHMARK, JOB_KEY, NORMALISED_BY_BENCHMARK, NORMALISED_KEY
from apel.db.tables import SUMMARY_KEY as SUMMARY_COLUMNS
from apel.records import Record
from apel.times import utc_text
from apel.views import SITE_VIEWS, SUMMARY_KEY, SUMMARY_SUMS, View

NORMALISED_SUMS = dict(
    SUMMARY_SUMS,
    NormalisedWallDuration="SUM(NormalisedWallDuration)",
    NormalisedCpuDuration="SUM(NormalisedCpuDuration)",
)
CLOUD_SUMS = {
    "CloudType": "MIN(CloudType)",
    "EarliestStartTime": "MIN(EarliestStartTime)",
    "LatestStartTime": "MAX(LatestStartTime)",
    **{
        name: "SUM(%s)" % name
        for name in (
            *("WallDuration", "CpuDuration", "NetworkInbound", "NetworkOutbound"),
            *("Memory", "Disk", "NumberOfVMs"),
        )
    },
}

DURATIONS = ("ServiceLevelType", "NormalisedWallDuration", "NormalisedCpuDuration")
OF_JOBS = Beside("JobRecords", "JobBenchmarks", JOB_KEY, BY_BENCHMARK, JOB_NAMES, LEVEL)
OF_SUMMARIES = Beside("Summaries", "SummaryBenchmarks", SUMMARY_COLUMNS, BY_BENCHMARK, SUM_NAMES, LEVEL)
OF_NORMALISED = Beside(
    "NormalisedSummaries",
    "NormalisedSummaryBenchmarks",
    NORMALISED_KEY,
    NORMALISED_BY_BENCHMARK,
    SUM_NAMES,
    DURATIONS,
)
ACCELERATOR_SUMS = {
    # As the summariser has it: what is absent was used all the time.
    "ActiveDuration": "SUM(COALESCE(ActiveDuration, AvailableDuration))",
    "AvailableDuration": "SUM(AvailableDuration)",
    "NumberOfRecords": "SUM(NumberOfRecords)",
}


def _measured(function: str, column: str) -> str:
    """Of sums that have lost their measurements the times don't count, unless there are no others."""
    form = "COALESCE({0}(CASE WHEN NumberOfMeasurements > 0 THEN {1} END), {0}({1}))"
    return form.format(function, column)


#: Of several users whose names are withheld: a level may be added up over users, never over time.
IP_SUMS = {"CloudType": "MAX(CloudType)", "IPCount": "SUM(IPCount)"}
IP_SUMMARY_SUMS = {
    "CloudType": "MAX(CloudType)",
    "LastIPCount": "SUM(LastIPCount)",
    "AverageIPCount": "SUM(AverageIPCount)",
    # At most so many: they needn't have had their most at one time.
    "MaximumIPCount": "SUM(MaximumIPCount)",
    "EarliestMeasurementTime": _measured("MIN", "EarliestMeasurementTime"),
    "LatestMeasurementTime": _measured("MAX", "LatestMeasurementTime"),
    "NumberOfMeasurements": "MAX(NumberOfMeasurements)",
}

STORAGE_NAMES = (
    *("Site", "StorageSystem", "StorageShare", "StorageMedia", "DirectoryPath", "Group", "SubGroup", "Role"),
)
STORAGE_SUMS = {
    "CreateTime": "MAX(CreateTime)",
    "EndTime": "MAX(EndTime)",
    **{
        name: "SUM(%s)" % name
        for name in (
            *("FileCount", "ResourceCapacityUsed", "LogicalCapacityUsed"),
            "ResourceCapacityAllocated",
        )
    },
}


def with_group_attributes(db: Any, records: List[Record]) -> List[Record]:
    """Storage records with what else is known of their groups."""
    found: Dict[str, List[Any]] = {}
    query = (
        "SELECT StarRecordID, AttributeType, AttributeValue FROM GroupAttributes WHERE StarRecordID IN (%s)"
        " ORDER BY StarRecordID, AttributeType"
    )
    for some in parts([record[0] for record in records], VALUES_PER_QUERY):
        asked = query % ", ".join(["%s"] * len(some))
        for name, kind, value in db.run(partial(_rows, query=asked, parameters=some)):
            found.setdefault(name, []).append((kind, value))
    return [
        record.replace(GroupAttributes=tuple(found[record[0]])) if record[0] in found else record
        for record in records
    ]


def _rows(tx: Any, query: str, parameters: Sequence[str]) -> List[Tuple[Any, ...]]:
    rows: List[Tuple[Any, ...]] = tx.rows(query, parameters)
    return rows


def of_days(db: Any, records: List[Record]) -> List[Record]:
    """Levels of storage as records: with an id of what they are about, the same whenever they are sent."""
    return [record.replace(RecordId=_record_id(record, "YYYY-MM-DD")) for record in records]


def of_months(db: Any, records: List[Record]) -> List[Record]:
    """The same of months."""
    return [record.replace(RecordId=_record_id(record, "YYYY-MM")) for record in records]


def _record_id(record: Any, form: str) -> str:
    about = [getattr(record, name) for name in STORAGE_NAMES]
    digest = hashlib.sha256("\n".join(map(str, about)).encode("utf-8")).hexdigest()
    return "summary/%s/%s" % (utc_text(record.StartTime)[: len(form)], digest)


def _storage(source: str, table: str, **more: Any) -> View:
    """Levels of storage; what StAR has besides is not said of them, but for the class of vanished ones."""
    absent = ("RecordId", "LocalUser", "LocalGroup", "UserIdentity")
    return View(
        source,
        "storage yaml",
        None,
        table,
        (*STORAGE_NAMES, "StartTime"),
        absent=frozenset(absent),
        ur_format="storage star",
        grid="",
        vos=False,
        by_row=True,
        schema="storage",
        **more,
    )


def _normalised(source: str, table: str, **more: Any) -> View:
    return View(
        source,
        "normalised summary v0.3",
        "normalised summary v0.4",
        table,
        SUMMARY_KEY,
        NORMALISED_SUMS,
        ur_format="normalised summary aur",
        grid="Infrastructure",
        schema="server",
        **more,
    )


def _summary(view: str, table: str, **more: Any) -> View:
    return View(
        view,
        "summary v0.2",
        "summary v0.4",
        table,
        SUMMARY_KEY,
        SUMMARY_SUMS,
        ur_format="summary aur",
        schema="server",
        **more,
    )


def _in_json(
    source: str, format: str, table: str, key: Tuple[str, ...], sums: Mapping[str, str] = {}, **more: Any
) -> View:
    return View(source, format, None, table, key, sums, site="SiteName", grid="", by_row=True, **more)


CENTRE_VIEWS: Dict[str, View] = {
    "VJobRecords": SITE_VIEWS["VJobRecords"]._replace(schema="server", beside=OF_JOBS),
    "VSummaries": _summary("VSummaries", "Summaries", by_row=True, beside=OF_SUMMARIES),
    # With the sums that have lost their jobs, which the view of that name leaves out. Not all rows of a
    # month are new together: of a purged one only those are made again that came as sums.
    "VSuperSummaries": _summary("VUnloadedSums", "HybridSuperSummaries", by_row=True),
    "VNormalisedSummaries": _normalised(
        "VNormalisedSummaries", "NormalisedSummaries", by_row=True, beside=OF_NORMALISED
    ),
    # Over benchmark levels, as the view of that name.
    "VNormalisedSuperSummaries": _normalised(
        "VUnloadedSums", "HybridSuperSummaries", adds_up=True, by_row=True
    ),
    "VSyncRecords": View(
        "VSyncRecords",
        "sync v0.1",
        None,
        "SyncRecords",
        ("Site", "Year", "Month", "SubmitHost"),
        grid="",
        vos=False,
        schema="server",
    ),
    "VCloudRecords": View(
        "VCloudRecords",
        "cloud v0.4",
        None,
        "CloudRecords",
        ("SiteName", "VMUUID", "RecordCreateTime"),
        site="SiteName",
        time="MeasurementTime",
        grid="",
        vos=False,
        schema="cloud",
    ),
    "VCloudSummaries": View(
        "VUnloadedCloudSums",
        "cloud summary v0.4",
        None,
        "CloudSummaries",
        ("SiteName", "Year", "Month", "VO", "GlobalUserName"),
        CLOUD_SUMS,
        site="SiteName",
        grid="",
        vos=False,
        by_row=True,
        schema="cloud",
    ),
    "VStarRecords": View(
        "VStarRecords",
        "",
        None,
        "StarRecords",
        ("RecordId",),
        ur_format="storage star",
        time="EndTime",
        grid="",
        vos=False,
        schema="storage",
        complete=with_group_attributes,
    ),
    # The draft knows no subgroups and roles.
    "DaySummaries": _storage(
        "VUnloadedDays",
        "StorageDaySummaries",
        sums=STORAGE_SUMS,
        time="StartTime",
        unsaid=frozenset(["SubGroup", "Role", "StorageClass"]),
        period="StartTime",
        complete=of_days,
    ),
    "MonthSummaries": _storage("VUnloadedMonths", "StorageMonthSummaries", complete=of_months),
    # Under the names of the incumbent's draft, which has no views of records.
    "AcceleratorRecords": _in_json(
        "VAcceleratorRecords",
        "accelerator v0.1",
        "AcceleratorRecords",
        ("SiteName", "MeasurementYear", "MeasurementMonth", "AssociatedRecord", "Model"),
        schema="accelerator",
    ),
    "AcceleratorSummaries": _in_json(
        "VUnloadedAcceleratorSums",
        "accelerator summary v0.1",
        "AcceleratorSummaries",
        ("SiteName", "Year", "Month", "VO", "GlobalUserName", "Model"),
        ACCELERATOR_SUMS,
        schema="accelerator",
    ),
    "IPRecords": _in_json(
        "VIPRecords",
        "public ip v0.2",
        "IPRecords",
        ("SiteName", "MeasurementTime", "LocalGroup", "GlobalUserName", "IPVersion"),
        IP_SUMS,
        time="MeasurementTime",
        schema="ip",
    ),
    "IPSummaries": _in_json(
        "VUnloadedIPSums",
        "public ip summary v0.1",
        "IPSummaries",
        ("SiteName", "Year", "Month", "LocalGroup", "GlobalUserName", "IPVersion"),
        IP_SUMMARY_SUMS,
        schema="ip",
    ),
}
