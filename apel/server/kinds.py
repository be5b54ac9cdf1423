"""The kinds of record that the centre takes: the table of each, and which month of which site it changes."""

from operator import attrgetter
from typing import Any, Callable, Dict, Set, Tuple

from apel.columns import column_of
from apel.db.central_tables import (
    ACCELERATOR_SUMMARIES,
    ACCELERATORS,
    CLOUD,
    CLOUD_SUMMARIES,
    IP_RECORDS,
    IP_SUMMARIES,
    STORAGE,
)
from apel.db.tables import NORMALISED_SUMMARIES, SERVER_JOBS, SUMMARIES, SYNC, Table
from apel.messages import Message
from apel.records import (
    AcceleratorRecord,
    AcceleratorSummaryRecord,
    CloudRecord,
    CloudSummaryRecord,
    JobRecord,
    NormalisedSummaryRecord,
    PublicIpRecord,
    PublicIpSummaryRecord,
    StorageRecord,
    SummaryRecord,
    SyncRecord,
)
from apel.records.cloud import measurement_time
from apel.records.storage import months_spoken_for
from apel.times import DAY, month_of

TABLES: Dict[type, Table] = {
    JobRecord: SERVER_JOBS,
    SummaryRecord: SUMMARIES,
    NormalisedSummaryRecord: NORMALISED_SUMMARIES,
    SyncRecord: SYNC,
    CloudRecord: CLOUD,
    CloudSummaryRecord: CLOUD_SUMMARIES,
    StorageRecord: STORAGE,
    AcceleratorRecord: ACCELERATORS,
    AcceleratorSummaryRecord: ACCELERATOR_SUMMARIES,
    PublicIpRecord: IP_RECORDS,
    PublicIpSummaryRecord: IP_SUMMARIES,
}
#: Site, year and month of each kind of record that is summarised.
MONTHS: Dict[type, Callable[[Any], Tuple[str, int, int]]] = {
    SummaryRecord: attrgetter("Site", "Year", "Month"),
    NormalisedSummaryRecord: attrgetter("Site", "Year", "Month"),
    CloudRecord: lambda record: (record.SiteName, *month_of(measurement_time(record) or 0)),
    CloudSummaryRecord: attrgetter("SiteName", "Year", "Month"),
    AcceleratorRecord: attrgetter("SiteName", "MeasurementYear", "MeasurementMonth"),
    AcceleratorSummaryRecord: attrgetter("SiteName", "Year", "Month"),
    PublicIpRecord: lambda record: (record.SiteName, *month_of(record.MeasurementTime)),
    PublicIpSummaryRecord: attrgetter("SiteName", "Year", "Month"),
}


def months_of(message: Message) -> Set[Tuple[str, int, int]]:
    """The (site, year, month) that the records change; those of some kinds are not summarised."""
    if message.record_class is StorageRecord:
        return set().union(*map(_months_of_storage, message.records))
    if message.record_class is JobRecord:
        sites, ends = (column_of(message.records, name) for name in ("Site", "EndTime"))
        days = {(site, end // DAY) for site, end in zip(sites, ends)}
        return {(site, *month_of(day * DAY)) for site, day in days}
    month = MONTHS.get(message.record_class)
    return set(map(month, message.records)) if month else set()


def _months_of_storage(record: Any) -> Set[Tuple[str, int, int]]:
    months = months_spoken_for(record.CreateTime, record.StartTime, record.EndTime)
    return {(record.Site, *month) for month in months}
