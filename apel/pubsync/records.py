"""Publishing of clouds, storage, accelerators and IP addresses: when records last changed, and how many."""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from apel.db import Database
from apel.pubsync.figures import Month
from apel.pubsync.model import Publication, Thresholds, publication
from apel.server.record_sums import OURS

#: Virtual machines by the months in which they were measured. Month 0 is of machines without any time.
CLOUD = """
SELECT Sites.name, CloudComputeServices.name, MeasurementYear, MeasurementMonth, COUNT(*), {newest},
       MAX(CloudType)
FROM CloudRecords JOIN Sites ON Sites.id = SiteID
JOIN CloudComputeServices ON CloudComputeServices.id = CloudComputeServiceID
WHERE MeasurementMonth > 0{only}
GROUP BY Sites.name, CloudComputeServices.name, MeasurementYear, MeasurementMonth
"""
#: Storage records by the months in which they end; of ids that never change StarRecords has the last alone.
STORAGE = """
SELECT Sites.name, StorageSystems.name, SUBSTR(EndTime, 1, 4), SUBSTR(EndTime, 6, 2), COUNT(*), {newest}, NULL
FROM (
    SELECT SiteID, StorageSystemID, EndTime, UpdateTime FROM StarRecords
    UNION ALL SELECT SiteID, StorageSystemID, EndTime, NULL FROM StarHistory
) AS AllRecords JOIN Sites ON Sites.id = SiteID JOIN StorageSystems ON StorageSystems.id = StorageSystemID
WHERE 1 = 1{only}
GROUP BY Sites.name, StorageSystems.name, SUBSTR(EndTime, 1, 4), SUBSTR(EndTime, 6, 2)
"""
#: Seconds of accelerators by the months that records, or sums sent as such, are of. What they belonged to
#: (`cloud` or `job`) comes last, since it is another publisher's.
ACCELERATORS = """
SELECT Sites.name, Type, Year, Month, SUM(Seconds), {newest}, Origin FROM (
    SELECT SiteID, Type, MeasurementYear AS Year, MeasurementMonth AS Month, AssociatedRecordType AS Origin,
           Count * AvailableDuration AS Seconds, UpdateTime
    FROM AcceleratorRecords
    UNION ALL
    SELECT SiteID, Type, Year, Month, AssociatedRecordType, Count * AvailableDuration, UpdateTime
    FROM AcceleratorSummaries WHERE PublisherDNID <> '%s' AND NumberOfRecords > 0
) AS Had JOIN Sites ON Sites.id = SiteID
WHERE 1 = 1{only}
GROUP BY Sites.name, Type, Year, Month, Origin
""".replace("%s", OURS)
#: Measurements of public IP addresses by their months.
IPS = """
SELECT Sites.name, CloudComputeServices.name, MeasurementYear, MeasurementMonth, COUNT(*), {newest},
       MAX(CloudType)
FROM IPRecords JOIN Sites ON Sites.id = SiteID
JOIN CloudComputeServices ON CloudComputeServices.id = CloudComputeServiceID
WHERE 1 = 1{only}
GROUP BY Sites.name, CloudComputeServices.name, MeasurementYear, MeasurementMonth
"""
ORIGINS = {"job": "jobs", "cloud": "virtual machines"}


class Kind(NamedTuple):
    """A kind of accounting beside jobs. schema: of its database; part, things: what its pages call these.

    hours: whether it has hours of things, of which the query tells seconds, and not a number of them.
    software: whether the query tells what sends the records.
    """

    name: str
    schema: str
    title: str
    part: str
    things: str
    query: str
    hours: bool = False
    software: bool = False

    def part_of(self, name: str, last: str) -> Tuple[str, str]:
        """What is judged by itself, and what sends its records; last: the last column of the query."""
        return ("%s of %s" % (name, ORIGINS[last]), "") if self.hours else (name, last or "")

    def amount(self, total: Any) -> Union[int, float]:
        """Of one month, by the query."""
        return round(float(total) / 3600, 2) if self.hours else int(total)


KINDS = {
    "cloud": Kind(
        "cloud", "cloud", "Cloud", "Cloud compute service", "Virtual machines", CLOUD, software=True
    ),
    "storage": Kind("storage", "storage", "Storage", "Storage system", "Records", STORAGE),
    "accelerator": Kind(
        "accelerator", "accelerator", "Accelerator", "Accelerators", "Hours", ACCELERATORS, hours=True
    ),
    "ip": Kind("ip", "ip", "Public IP", "Cloud compute service", "Measurements", IPS, software=True),
}


class Part(NamedTuple):
    """A service of a site, judged by when its records last changed.

    counts: how many there are by month; of accelerators their hours.
    """

    site: str
    part: str
    publication: Publication
    counts: Dict[Month, Union[int, float]]
    software: str

    @property
    def newest(self) -> Month:
        """The last month there are records of."""
        return max(self.counts)


def read_parts(
    db: Database, kind: Kind, now: int, thresholds: Thresholds, site: Optional[str] = None
) -> List[Part]:
    """All services of all sites, or of one, by name. Raises Transient."""
    only, parameters = (" AND Sites.name = %s", [site]) if site is not None else ("", [])
    query = kind.query.format(only=only, newest=db.sql.epoch("MAX(UpdateTime)"))
    rows: List[Any] = db.run(lambda tx: tx.rows(query, parameters))
    counts: Dict[Tuple[str, str], Dict[Month, Union[int, float]]] = {}
    updated: Dict[Tuple[str, str], int] = {}
    software: Dict[Tuple[str, str], str] = {}
    for name, service, year, month, total, newest, last in sorted(rows, key=lambda row: row[:4]):
        part, made_by = kind.part_of(service, last)
        key = (name, part)
        counts.setdefault(key, {})[int(year), int(month)] = kind.amount(total)
        updated[key] = max(int(newest or 0), updated.get(key, 0))
        software[key] = made_by or software.get(key, "")
    return [
        Part(*key, publication(updated[key], updated[key], now, thresholds), counts[key], software[key])
        for key in sorted(counts)
    ]


def publication_of(parts: Sequence[Part], now: int, thresholds: Thresholds) -> Publication:
    """Of a whole site: as new as its newest part."""
    lasts = [part.publication.last for part in parts if part.publication.last is not None]
    return publication(max(lasts, default=None), max(lasts, default=None), now, thresholds)
