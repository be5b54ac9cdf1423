"""Deletes job records of long ago, when all that was made of them is safe; their sums stay.

A month of a site is closed by one run and purged by a later one (apel.server.closed says why). Before each of
both its sums are compared with its records, and the marks of its unloads with the times of both.
"""

import logging
from functools import partial
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from apel import times
from apel.db import Database
from apel.server.closed import CLOSED, JOBS_OF_MONTH, OF_MONTH, PURGED, RESTORING, State, states
from apel.summaries import SiteMonth
from apel.unloader import SENT_TO
from apelcommon.progress import Progress

log = logging.getLogger(__name__)

GRACE_SECONDS = 3600
ROWS_PER_TRANSACTION = 2000
COLUMNS = ("SiteID", "Year", "Month", "State", "Jobs", "ClosedTime", "Mark")
TABLES = ("JobBenchmarks", "JobRecords")

JOBS_BY_MONTH = """
SELECT SiteID, EndYear, EndMonth, COUNT(*) FROM JobRecords
WHERE EndYear * 12 + EndMonth <= %s GROUP BY SiteID, EndYear, EndMonth ORDER BY EndYear, EndMonth, SiteID
"""
MARKS = "SELECT COUNT(*) FROM ChangedMonths WHERE " + OF_MONTH
#: Jobs and seconds of a month in its sources and in its sums; sums beyond 64 bits come as text.
SUMS = "COALESCE(SUM(%s), 0), COALESCE(SUM(WallDuration), 0), COALESCE(SUM(CpuDuration), 0)"
SOURCES = (
    "SELECT COUNT(*), COALESCE(SUM(WallDuration), 0), COALESCE(SUM(CpuDuration), 0) FROM JobRecords"
    " WHERE SiteID = %s AND EndYear = %s AND EndMonth = %s",
    "SELECT " + SUMS % "NumberOfJobs" + " FROM Summaries WHERE " + OF_MONTH,
    "SELECT " + SUMS % "NumberOfJobs" + " FROM NormalisedSummaries WHERE " + OF_MONTH,
)
MADE = "SELECT " + SUMS % "NumberOfJobs" + " FROM HybridSuperSummaries WHERE " + OF_MONTH
NEWEST = (
    "SELECT CAST(MAX(UpdateTime) AS CHAR) FROM JobRecords"
    " WHERE SiteID = %s AND EndYear = %s AND EndMonth = %s",
    "SELECT CAST(MAX(UpdateTime) AS CHAR) FROM HybridSuperSummaries WHERE " + OF_MONTH,
)
MISMATCH = (
    "jobs, wall and CPU seconds are %s in its records and %s in its sums: run apelsummariser --all for it; "
    "where a site sent jobs and sums of the same, it can't be purged"
)
#: What keeps a month from being purged: None if nothing does.
Guard = Callable[[SiteMonth, int], Optional[str]]


class Purged(NamedTuple):
    """What a run did, by month: jobs deleted; closed now; closed not long ago; refused and why."""

    purged: Dict[SiteMonth, int]
    closed: List[SiteMonth]
    waiting: List[SiteMonth]
    refused: Dict[SiteMonth, str]


class Retention:
    """Purges months up to `last`, a (year, month); of one site if `site_id` is given.

    unloaded: whether something is unloaded from here, so that unloads must have taken what is purged.
    """

    def __init__(
        self, db: Database, last: Tuple[int, int], site_id: Optional[int] = None, unloaded: bool = True
    ) -> None:
        self.db = db
        self.last = last
        self.site_id = site_id
        self.unloaded = unloaded
        self.grace_seconds = GRACE_SECONDS

    def months(self) -> Dict[SiteMonth, int]:
        """The months that have job records and are old enough, the oldest first, each with its jobs."""
        bound = (self.last[0] * 12 + self.last[1],)
        rows = self.db.run(lambda tx: tx.rows(JOBS_BY_MONTH, bound))
        found = {SiteMonth(*row[:3]): int(row[3]) for row in rows if None not in row}
        return {month: jobs for month, jobs in found.items() if self.site_id in (None, month.site_id)}

    def newest_job(self, month: SiteMonth) -> int:
        """When the last of a month's job records was written, in epoch seconds."""
        return times.epoch_from_text(self.db.run(lambda tx: tx.value(NEWEST[0], month)))

    def run(self, guard: Guard = lambda month, jobs: None, dry_run: bool = False) -> Purged:
        """Take each month one step further, if neither we nor `guard` see anything against it."""
        done = Purged({}, [], [], {})
        known = {state.month: state for state in self.db.run(states)}
        months = self.months()
        with Progress("Purging", sum(months.values()), "jobs") as progress:
            for month, jobs in months.items():
                self._step(month, jobs, known.get(month), guard, dry_run, done)
                progress.advance(jobs)
        return done

    def _step(
        self, month: SiteMonth, jobs: int, state: Optional[State], guard: Guard, dry_run: bool, done: Purged
    ) -> None:
        if state is not None and state.name == RESTORING:
            done.refused[month] = "its jobs are being restored"
            return
        if state is not None and state.name == PURGED:
            done.purged[month] = jobs if dry_run else self._delete(month)
            return
        reason = guard(month, jobs) or self.db.run(partial(self._against, month=month))
        if reason:
            done.refused[month] = reason
        elif state is None:
            done.closed.append(month)
            if not dry_run:
                self.db.run(partial(_close, month=month))
        elif not self.db.run(partial(self._is_over, state=state)):
            done.waiting.append(month)
        elif dry_run:
            done.purged[month] = jobs
        else:
            self._purge(month, done)

    def _purge(self, month: SiteMonth, done: Purged) -> None:
        reason = self.db.run(partial(self._turn, month=month))
        if reason:
            done.refused[month] = reason
        else:
            done.purged[month] = self._delete(month)

    def _turn(self, tx: Any, month: SiteMonth) -> Optional[str]:
        """From closed to purged, unless something has come in between; then the reason."""
        # First, and so that others who rely on the state must wait for us, or we for them.
        count = tx.value(JOBS_OF_MONTH, month)
        tx.execute("UPDATE ClosedMonths SET State = %s, Jobs = %s WHERE " + OF_MONTH, (PURGED, count, *month))
        reason = self._against(tx, month)
        if reason:
            tx.execute("UPDATE ClosedMonths SET State = %s WHERE " + OF_MONTH, (CLOSED, *month))
        return reason

    def _against(self, tx: Any, month: SiteMonth) -> Optional[str]:
        """Why a month can't be purged, or None."""
        if tx.value(MARKS, month):
            return "its sums are not made yet: run apelsummariser"
        sources = [tx.row(query, month) for query in SOURCES]
        have = tuple(sum(int(value) for value in column) for column in zip(*sources))
        made = tuple(int(value) for value in tx.row(MADE, month))
        if have != made:
            return MISMATCH % (have, made)
        return self._not_sent(tx, month) if self.unloaded else None

    def _not_sent(self, tx: Any, month: SiteMonth) -> Optional[str]:
        newest = max(tx.value(query, month) or "" for query in NEWEST)
        sent = tx.rows(SENT_TO)
        if not sent:
            return "nothing was ever unloaded from here (--not-unloaded if nothing has to be)"
        late = [kind for kind, time in sent if time <= newest]
        if late:
            return "it changed at %s, and this unload has not run since then: %s" % (newest, ", ".join(late))
        return None

    def _is_over(self, tx: Any, state: State) -> bool:
        now = times.epoch_from_text(tx.value("SELECT CAST(CURRENT_TIMESTAMP AS CHAR)"))
        return now - times.epoch_from_text(state.since) >= self.grace_seconds

    def _delete(self, month: SiteMonth) -> int:
        """Delete a month's job records some thousand at a time; how many they were."""
        first, end = (times.utc_text(time) for time in times.month_bounds(month.year, month.month))
        count = 0
        while True:
            gone = self.db.run(partial(_delete_some, month=month, first=first, end=end))
            if not gone:
                log.info("Purged %d jobs of site %d, %04d-%02d", count, *month)
                return count
            count += gone


def _close(tx: Any, month: SiteMonth) -> None:
    now = tx.value("SELECT CAST(CURRENT_TIMESTAMP AS CHAR)")
    row = (*month, CLOSED, tx.value(JOBS_OF_MONTH, month), now, 0)
    tx.insert("ClosedMonths", COLUMNS, [row], "ignore")


def _delete_some(tx: Any, month: SiteMonth, first: str, end: str) -> int:
    bounds = (month.site_id, first, end)
    where = "SiteID = %s AND EndTime >= %s AND EndTime < %s"
    query = "SELECT CAST(EndTime AS CHAR) FROM JobRecords WHERE " + where
    last = tx.value(query + " ORDER BY EndTime LIMIT 1 OFFSET %d" % ROWS_PER_TRANSACTION, bounds)
    if last is not None:
        # At least one second, however many jobs ended in it.
        oldest = tx.value(query + " ORDER BY EndTime LIMIT 1", bounds)
        bounds = (month.site_id, first, max(last, times.utc_text(times.epoch_from_text(oldest) + 1)))
    gone = 0
    for table in TABLES:
        gone = tx.execute("DELETE FROM %s WHERE %s" % (table, where), bounds)
    return gone


def reopen(db: Database, month: SiteMonth) -> Optional[str]:
    """Let jobs of a month be taken again; its state before, or None if it was like all others."""

    def work(tx: Any) -> Optional[str]:
        state = tx.value("SELECT State FROM ClosedMonths WHERE " + OF_MONTH, month)
        if state == CLOSED:
            tx.execute("DELETE FROM ClosedMonths WHERE " + OF_MONTH, month)
        elif state == PURGED:
            tx.execute("UPDATE ClosedMonths SET State = %s WHERE " + OF_MONTH, (RESTORING, *month))
        return None if state is None else str(state)

    return db.run(work)
