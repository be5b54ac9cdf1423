"""What the central database says about publishing, read in a handful of statements over whole tables."""

from functools import lru_cache
from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Set, Tuple

from apel.db import Database

#: (year, month)
Month = Tuple[int, int]

#: Jobs at the centre. Rows of no jobs stand for sums that have been taken back. A row whose last job ends
#: later than `limit` still shows, by its first one, that jobs came before. Parameters: limit, limit.
PUBLISHED = """
SELECT SiteID, SubmitHostId, Year, Month, SUM(NumberOfJobs), SUM(CpuDuration), SUM(NormalisedCpuDuration),
       {first}, {last},
       {past}
FROM HybridSuperSummaries WHERE NumberOfJobs > 0{only}
GROUP BY SiteID, SubmitHostId, Year, Month
"""
PAST = (
    "MAX(CASE WHEN LatestEndTime <= %s THEN LatestEndTime"
    " WHEN EarliestEndTime <= %s THEN EarliestEndTime END)"
)

#: Jobs in the sites' own databases, as their sync messages say.
COUNTED = """
SELECT SiteID, SubmitHostID, Year, Month, NumberOfJobs FROM SyncRecords{only}
"""

#: Who signed what is here, and when it last changed something. Job records are left out: those who send them
#: send sync messages as well, which say the same in a thousandth of the time.
SIGNED = """
SELECT SiteID, SubmitHost, DNs.name, {newest} FROM (
    SELECT SiteID, SubmitHostID AS SubmitHost, PublisherDNID, MAX(UpdateTime) AS Newest
    FROM SyncRecords{only} GROUP BY SiteID, SubmitHostID, PublisherDNID
    UNION ALL
    SELECT SiteID, SubmitHostId, PublisherDNID, MAX(UpdateTime)
    FROM Summaries{only} GROUP BY SiteID, SubmitHostId, PublisherDNID
    UNION ALL
    SELECT SiteID, SubmitHostId, PublisherDNID, MAX(UpdateTime)
    FROM NormalisedSummaries{only} GROUP BY SiteID, SubmitHostId, PublisherDNID
) AS Publishers JOIN DNs ON DNs.id = PublisherDNID
GROUP BY SiteID, SubmitHost, DNs.name
"""

#: Months that the summariser has still to make again: what is counted of them is out of date.
PENDING = "SELECT DISTINCT SiteID, Year, Month FROM ChangedMonths"

#: Months whose jobs are archived: the loader takes no more of them (apel/server/closed.py).
ARCHIVED = "SELECT SiteID, Year, Month FROM ClosedMonths WHERE State <> 'restoring'"


class Published(NamedTuple):
    """What the centre holds of a submit host and month. Times are epoch seconds, None where unknown.

    last_end: the end of the last job; past_end: the same, but not later than the clock's limit.
    """

    jobs: int
    cpu_seconds: int
    normalised_cpu_seconds: int
    first_end: Optional[int]
    last_end: Optional[int]
    past_end: Optional[int]


class Signed(NamedTuple):
    """A publisher, by its certificate's DN: when what it sent for a submit host last changed something."""

    submit_host: str
    dn: str
    updated: int


class SiteFigures(NamedTuple):
    """All about one site, by (year, month) and submit host."""

    published: Dict[Month, Dict[str, Published]]
    counted: Dict[Month, Dict[str, int]]
    signed: List[Signed]
    pending: Set[Month]
    archived: FrozenSet[Month] = frozenset()


def read_figures(db: Database, limit: str, site: Optional[str] = None) -> Dict[str, SiteFigures]:
    """The figures of every site, or of one, by name. Sites of which nothing is known are left out.

    limit: what ends later is of the future, as text in UTC. Raises Transient.
    """
    return db.run(lambda tx: _read(db, tx, limit, site))


def _read(db: Database, tx: Any, limit: str, site: Optional[str]) -> Dict[str, SiteFigures]:
    sites = dict(tx.rows("SELECT id, name FROM Sites"))
    hosts = dict(tx.rows("SELECT id, name FROM SubmitHosts"))
    only = ""
    if site is not None:
        ids = [number for number, name in sites.items() if name == site]
        if not ids:
            return {}
        only = " SiteID = %d" % ids[0]
    found: Dict[int, SiteFigures] = {}

    def of(site_id: int) -> SiteFigures:
        if site_id not in found:
            found[site_id] = SiteFigures({}, {}, [], set())
        return found[site_id]

    where = " WHERE" + only if only else ""
    # In this order: counts and marks that are read before the sums are not newer than these.
    for site_id, host, year, month, jobs in tx.rows(COUNTED.format(only=where)):
        of(site_id).counted.setdefault(_month(year, month), {})[hosts[host]] = int(jobs or 0)
    for site_id, year, month in tx.rows(PENDING + where):
        of(site_id).pending.add(_month(year, month))
    _read_published(db, tx, limit, " AND" + only if only else "", hosts, of)
    newest = db.sql.epoch("MAX(Newest)")
    for site_id, host, dn, updated in tx.rows(SIGNED.format(only=where, newest=newest)):
        of(site_id).signed.append(Signed(hosts[host], dn, int(updated)))
    archived: Dict[int, Set[Month]] = {}
    for site_id, year, month in tx.rows(ARCHIVED + (" AND" + only if only else "")):
        archived.setdefault(site_id, set()).add(_month(year, month))
    return {
        sites[number]: figures._replace(archived=frozenset(archived.get(number, ())))
        for number, figures in found.items()
    }


def _read_published(db: Database, tx: Any, limit: str, only: str, hosts: Dict[int, str], of: Any) -> None:
    times = {
        "first": db.sql.epoch("MIN(EarliestEndTime)"),
        "last": db.sql.epoch("MAX(LatestEndTime)"),
        "past": db.sql.epoch(PAST),
    }
    # SQLite's epoch() holds per cent signs of its own, doubled as placeholders want them.
    for row in tx.rows(PUBLISHED.format(only=only, **times), (limit, limit)):
        site_id, host, year, month = row[:4]
        sums = [None if value is None else int(value) for value in row[4:]]
        of(site_id).published.setdefault(_month(year, month), {})[hosts[host]] = Published(*sums)  # type: ignore[arg-type]


@lru_cache(maxsize=4096)
def _month(year: int, month: int) -> Month:
    """The same object for the same month: there are a hundred thousand rows, and few months."""
    return year, month
