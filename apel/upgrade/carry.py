"""What the programs must know of a database that another software has filled: statuses, marks, months to sum.

None of it changes a job. It keeps the first runs from doing years of work again, and from missing anything.
Each transaction is short, so that a cluster takes it and a kill costs little; all of them may be repeated.
What is read over a whole table is read outside of them: until the upgrade is complete no program writes.
"""

import logging
from functools import partial
from typing import Any, Dict, List, Sequence, Set, Tuple

from apel.db.marks import mark_months
from apel.server.closed import PURGED
from apel.server.retention import COLUMNS as CLOSED_COLUMNS
from apel.upgrade.copying import next_chunk
from apel.upgrade.journal import Journal, begin_step, locked_detail, note
from apel.upgrade.tables import Shape, shape_of

log = logging.getLogger(__name__)

CARRIED = "carried"
#: So many are looked at in one transaction.
EVENTS = 5000

#: The incumbent's joiner could mark jobs that it had made local as joined with a grid record, for ever.
LOCAL_AFTER_ALL = """
UPDATE EventRecords o JOIN JobRecords J
  ON J.MachineNameID = o.MachineNameID AND J.LocalJobId = o.JobName AND J.EndTime = o.EndTime
SET o.Status = 1 WHERE o.Status = 2 AND J.InfrastructureType = 'local' AND %s
"""

#: The copied grid records count as looked at; but a local job may still become a grid job.
LOOK_AGAIN = """
UPDATE BlahdRecords B JOIN EventRecords o ON o.SiteID = B.SiteID AND o.JobName = B.LrmsId
SET B.Processed = 0 WHERE o.Status = 1 AND %s
"""
EVENTS_LOOKED_AT = "carried:EventRecords"

#: What the jobs of each month give: site id, year, month, then the totals. A month without any job is left
#: alone: its jobs were removed on purpose, and its sums are all there is of them.
JOBS_BY_MONTH = """
SELECT SiteID, EndYear, EndMonth, COUNT(*), COALESCE(SUM(WallDuration), 0), COALESCE(SUM(CpuDuration), 0)
FROM JobRecords WHERE EndYear IS NOT NULL AND EndMonth IS NOT NULL GROUP BY SiteID, EndYear, EndMonth
"""
SUMS_BY_MONTH = """
SELECT SiteID, Year, Month, COALESCE(SUM(NumberOfJobs), 0), COALESCE(SUM(WallDuration), 0),
       COALESCE(SUM(CpuDuration), 0)
FROM %s GROUP BY SiteID, Year, Month
"""

#: Who is named as the sender of what nobody knows the sender of.
PUBLISHER = "apeldb upgrade"

#: Who made the cloud's sums.
OURS = "summariser"
CLOUD_ORPHANS = """
SELECT DISTINCT S.SiteID, S.Year, S.Month FROM CloudSummaries S WHERE S.PublisherDNID = %s AND NOT EXISTS (
    SELECT 1 FROM CloudRecords R
    WHERE R.SiteID = S.SiteID AND R.MeasurementYear = S.Year AND R.MeasurementMonth = S.Month)
"""
KEEP_CLOUD = (
    "UPDATE CloudSummaries SET PublisherDNID = %s, UpdateTime = UpdateTime"
    " WHERE PublisherDNID = %s AND SiteID = %s AND Year = %s AND Month = %s"
)

#: Site id, year, month.
Month = Tuple[int, int, int]


def carry_over(journal: Journal, schema: str) -> None:
    """Set up what a schema's programs look at; when it is done, the journal says so."""
    work = {"client": _client, "server": _server, "cloud": _cloud, "storage": _storage}.get(schema, _nothing)
    wrong = work(journal)

    def end(tx: Any) -> None:
        mark_months(tx, wrong)
        note(tx, CARRIED, {"months to sum up again": len(wrong)})

    journal.run(end)


def _nothing(journal: Journal) -> List[Month]:
    """Schemas that the incumbent doesn't have."""
    return []


def _client(journal: Journal) -> List[Month]:
    shape = shape_of(journal, "EventRecords")
    journal.run(lambda tx: begin_step(tx, EVENTS_LOOKED_AT))
    while journal.run(partial(_look_at_events, shape=shape)):
        pass
    journal.run(_nothing_of_old_is_new)
    jobs, sums = _by_month(journal, JOBS_BY_MONTH), _by_month(journal, SUMS_BY_MONTH % "SuperSummaries")
    return _wrong(jobs, sums, _cut_months(jobs, sums))


def _look_at_events(tx: Any, shape: Shape) -> bool:
    """The next events in the order of their key; False if there are none left."""
    chunk = next_chunk(tx, "EventRecords", shape, locked_detail(tx, EVENTS_LOOKED_AT), EVENTS)
    if chunk is None:
        return False
    tx.execute(LOCAL_AFTER_ALL % chunk.where, chunk.values)
    tx.execute(LOOK_AGAIN % chunk.where, chunk.values)
    note(tx, EVENTS_LOOKED_AT, chunk.last, done=False)
    return True


def _nothing_of_old_is_new(tx: Any) -> None:
    # What was sent is known for jobs. Of sums, the recent months are sent anyway, and the older ones that
    # change from now on: those that are made again because they were wrong.
    tx.execute(
        "INSERT INTO LastUpdated (Type, UpdateTime) VALUES ('sent summaries', CURRENT_TIMESTAMP)"
        " ON DUPLICATE KEY UPDATE Type = Type"
    )


def _server(journal: Journal) -> List[Month]:
    jobs = _by_month(journal, JOBS_BY_MONTH)
    sources = dict(jobs)
    for table in ("Summaries", "NormalisedSummaries"):
        for month, sums in _by_month(journal, SUMS_BY_MONTH % table).items():
            before = sources.get(month, (0, 0, 0))
            sources[month] = tuple(one + other for one, other in zip(before, sums))
    made = _by_month(journal, SUMS_BY_MONTH % "HybridSuperSummaries")
    # Without its records, and with sums of more jobs than were received as sums.
    orphans = {month: made[month][0] - sources.get(month, (0,))[0] for month in made.keys() - jobs.keys()}
    kept = {month: count for month, count in orphans.items() if count > 0 or month not in sources}
    journal.run(partial(_keep_orphans, months=kept))
    return _wrong(sources, made, set())


def _cloud(journal: Journal) -> List[Month]:
    """Sums whose records are gone count as received: or else the summariser would remove them."""
    publisher = str(journal.run(_publisher))
    for month in journal.rows(CLOUD_ORPHANS, OURS):
        journal.run(partial(_execute, sql=KEEP_CLOUD, values=(publisher, OURS, *month)))
    return []


def _storage(journal: Journal) -> List[Month]:
    """All records were given the DN with the id 1, since nobody knows who sent them."""
    name_it = "INSERT INTO DNs (id, name) VALUES (1, %s) ON DUPLICATE KEY UPDATE id = id"
    journal.run(partial(_execute, sql=name_it, values=(PUBLISHER,)))
    return []


def _execute(tx: Any, sql: str, values: Sequence[Any]) -> None:
    tx.execute(sql, values)


def _publisher(tx: Any) -> int:
    tx.execute("INSERT INTO DNs (name) VALUES (%s) ON DUPLICATE KEY UPDATE name = name", (PUBLISHER,))
    return int(tx.value("SELECT id FROM DNs WHERE name = %s", (PUBLISHER,)))


def _keep_orphans(tx: Any, months: Dict[Month, int]) -> None:
    """Sums without a source, as after jobs were dropped by partition, stand as those of purged months do.

    months: each with how many jobs these were.
    """
    now = tx.value("SELECT CAST(CURRENT_TIMESTAMP AS CHAR)")
    rows = [(*month, PURGED, count, now, 0) for month, count in sorted(months.items())]
    tx.insert("ClosedMonths", CLOSED_COLUMNS, rows, conflict="ignore")
    if rows:
        log.info("%d site-months of sums have no records any more, and stand as they are", len(rows))


def _by_month(journal: Journal, query: str) -> Dict[Month, Any]:
    return {tuple(row[:3]): tuple(int(value) for value in row[3:]) for row in journal.rows(query)}


def _wrong(jobs: Dict[Month, Any], sums: Dict[Month, Any], cut: Set[Month]) -> List[Month]:
    """The months whose sums don't hold what their jobs say."""
    return [month for month, values in jobs.items() if sums.get(month) != values and month not in cut]


def _cut_months(jobs: Dict[Month, Any], sums: Dict[Month, Any]) -> Set[Month]:
    """The first month with jobs of each site whose older jobs were removed: it may be cut in the middle."""
    first: Dict[int, Month] = {}
    for month in sorted(jobs):
        first.setdefault(month[0], month)
    return {first[month[0]] for month in sums if month[0] in first and month < first[month[0]]}
