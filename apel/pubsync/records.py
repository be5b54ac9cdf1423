"""Cloud and storage publishing: of each site and service, when its records last changed, and how many."""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from apel.db import Database
from apel.pubsync.figures import Month
from apel.pubsync.model import Publication, Thresholds, publication

#: Virtual machines by the months in which they were measured. Month 0 is of machines without any time.
CLOUD = """
SELECT Sites.name, CloudComputeServices.name, MeasurementYear, MeasurementMonth, COUNT(*), {newest},
       MAX(CloudType)
FROM CloudRecords JOIN Sites ON Sites.id = SiteID
JOIN CloudComputeServices ON CloudComputeServices.id = CloudComputeServiceID
WHERE MeasurementMonth > 0{only}
GROUP BY Sites.name, CloudComputeServices.name, MeasurementYear, MeasurementMonth
"""
#: Storage records by the months in which what they say ended.
STORAGE = """
SELECT Sites.name, StorageSystems.name, SUBSTR(EndTime, 1, 4), SUBSTR(EndTime, 6, 2), COUNT(*), {newest}, NULL
FROM StarRecords JOIN Sites ON Sites.id = SiteID JOIN StorageSystems ON StorageSystems.id = StorageSystemID
WHERE 1 = 1{only}
GROUP BY Sites.name, StorageSystems.name, SUBSTR(EndTime, 1, 4), SUBSTR(EndTime, 6, 2)
"""


class Kind(NamedTuple):
    """A kind of accounting beside jobs. schema: of its database; part, things: what its pages call these."""

    name: str
    schema: str
    title: str
    part: str
    things: str
    query: str


KINDS = {
    "cloud": Kind("cloud", "cloud", "Cloud", "Cloud compute service", "Virtual machines", CLOUD),
    "storage": Kind("storage", "storage", "Storage", "Storage system", "Records", STORAGE),
}


class Part(NamedTuple):
    """A service of a site, judged by when its records last changed. counts: how many there are, by month."""

    site: str
    part: str
    publication: Publication
    counts: Dict[Month, int]
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
    counts: Dict[Tuple[str, str], Dict[Month, int]] = {}
    updated: Dict[Tuple[str, str], int] = {}
    software: Dict[Tuple[str, str], str] = {}
    for name, part, year, month, count, newest, made_by in sorted(rows, key=lambda row: row[:4]):
        key = (name, part)
        counts.setdefault(key, {})[int(year), int(month)] = int(count)
        updated[key] = max(int(newest), updated.get(key, 0))
        software[key] = made_by or software.get(key, "")
    return [
        Part(*key, publication(updated[key], updated[key], now, thresholds), counts[key], software[key])
        for key in sorted(counts)
    ]


def publication_of(parts: Sequence[Part], now: int, thresholds: Thresholds) -> Publication:
    """Of a whole site: as new as its newest part."""
    lasts = [part.publication.last for part in parts if part.publication.last is not None]
    return publication(max(lasts, default=None), max(lasts, default=None), now, thresholds)
