"""Months whose job records were purged: loader and summariser ask here, so that their sums stand.

A month goes from *closed* (no more jobs are taken; all is still there) to *purged* (jobs are deleted, or
being so), and with an archive from *restoring* (jobs are taken again) back to a month like others. It is
closed for a while before it is purged, so that no transaction is left then that began before.
"""

import secrets
from typing import Any, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from apel.server import summary_sql as sql
from apel.summaries import SiteMonth, Statement

CLOSED, PURGED, RESTORING = "closed", "purged", "restoring"
OF_MONTH = "SiteID = %s AND Year = %s AND Month = %s"
JOBS_OF_MONTH = "SELECT COUNT(*) FROM JobRecords WHERE SiteID = %s AND EndYear = %s AND EndMonth = %s"
REFUSED = "EndTime: the site's jobs of %04d-%02d have been archived, and the month is closed (apeldb reopen)"


class MonthsClosed(Exception):
    """Jobs of these months are not taken; nothing was stored."""

    def __init__(self, months: Set[SiteMonth]) -> None:
        super().__init__("closed: %s" % sorted(months))
        self.months = months


class StillRestoring(Exception):
    """Not all of a month's jobs are back: its sums must wait."""

    def __init__(self, have: int, jobs: int) -> None:
        super().__init__("%d of %d jobs are back" % (have, jobs))


class State(NamedTuple):
    """What is known of a month. `since` is when it was closed, 'YYYY-MM-DD hh:mm:ss' UTC."""

    month: SiteMonth
    name: str
    jobs: int
    since: str


def states(tx: Any) -> List[State]:
    """All months that are closed, purged or being restored."""
    query = "SELECT SiteID, Year, Month, State, Jobs, CAST(ClosedTime AS CHAR) FROM ClosedMonths"
    return [State(SiteMonth(*row[:3]), *row[3:]) for row in tx.rows(query)]


def refuse_closed(tx: Any, months: Iterable[Tuple[int, int, int]]) -> None:
    """Raise MonthsClosed if jobs of some of these months are not taken."""
    wanted = {SiteMonth(*month) for month in months}
    if not wanted:
        return
    query = "SELECT SiteID, Year, Month FROM ClosedMonths WHERE State <> %s AND SiteID IN"
    rows = tx.rows_among(query, sorted({month.site_id for month in wanted}), [RESTORING])
    found = {SiteMonth(*row) for row in rows} & wanted
    if found:
        raise MonthsClosed(found)


def statements(tx: Any, month: SiteMonth) -> Sequence[Statement]:
    """What makes the sums of a month again, in the transaction that does so. Raises StillRestoring."""
    row: Optional[Tuple[str, int]] = tx.row("SELECT State, Jobs FROM ClosedMonths WHERE " + OF_MONTH, month)
    if row is None:
        return sql.remake(tx.sql, month)
    state, jobs = row
    if state == RESTORING:
        have = tx.value(JOBS_OF_MONTH, month)
        if have < jobs:
            raise StillRestoring(have, jobs)
        tx.execute("DELETE FROM ClosedMonths WHERE " + OF_MONTH, month)
        return sql.remake(tx.sql, month)
    # Whoever purges changes this row, too: one of us waits for the other, or has to begin again.
    mark = (secrets.randbits(63), *month, CLOSED)
    touched = tx.execute("UPDATE ClosedMonths SET Mark = %s WHERE " + OF_MONTH + " AND State = %s", mark)
    return sql.remake(tx.sql, month) if touched else sql.keep(month)
