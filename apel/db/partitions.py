"""Monthly partitions of the central job records, named and cut as the incumbent's, and kept ahead of time.

The end time of a job is in every unique key of these tables, so they can be cut by it. What is later than the
last month lies in pDefault, and is moved when its month gets a partition.
"""

from typing import Any, List, Optional, Tuple

from apel.db.backend import Backend
from apel.times import epoch_from_text, month_bounds, month_of, utc_text

TABLES = ("JobRecords", "JobBenchmarks")
DEFAULT = "pDefault"
#: A month with its own partition is no longer ago than this; what is older lies in the first of them.
MOST_YEARS = 15

Month = Tuple[int, int]

PARTITIONS = (
    "SELECT PARTITION_NAME, TO_DAYS('1970-01-01'), PARTITION_DESCRIPTION FROM information_schema.PARTITIONS"
    " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s AND PARTITION_NAME IS NOT NULL"
    " ORDER BY PARTITION_ORDINAL_POSITION"
)


def plan(backend: Backend, connection: Any, now: int, ahead: int) -> List[str]:
    """Statements that give the tables partitions up to `ahead` months after this one, if any lacks them."""
    last = _later(month_of(now), ahead)
    found = (_plan(backend, connection, table, month_of(now), last) for table in TABLES)
    return [statement for statement in found if statement]


def carry_out(backend: Backend, connection: Any, statements: List[str]) -> None:
    """Each commits by itself; a table can't be written while it is cut."""
    for statement in statements:
        backend.execute(connection, statement.replace("%", "%%"), ())


def _plan(backend: Backend, connection: Any, table: str, this: Month, last: Month) -> Optional[str]:
    rows = backend.execute(connection, PARTITIONS, (table,)).fetchall()
    if not rows:
        first = _first_month(backend, connection, table, this)
        return "ALTER TABLE %s PARTITION BY RANGE (TO_DAYS(EndTime)) (%s)" % (table, _cut(first, last))
    ends = [int(end) - int(epoch) for _, epoch, end in rows if end != "MAXVALUE"]
    first = month_of(max(ends) * 86400) if ends else this
    if first > last:
        return None
    if rows[-1][2] != "MAXVALUE":
        return "ALTER TABLE %s ADD PARTITION (%s)" % (table, _cut(first, last))
    return "ALTER TABLE %s REORGANIZE PARTITION %s INTO (%s)" % (table, rows[-1][0], _cut(first, last))


def _first_month(backend: Backend, connection: Any, table: str, this: Month) -> Month:
    query = "SELECT CAST(MIN(EndTime) AS CHAR) FROM %s" % table
    (oldest,) = backend.execute(connection, query, ()).fetchone()
    if oldest is None:
        return this
    return min(this, max(month_of(epoch_from_text(oldest)), (this[0] - MOST_YEARS, this[1])))


def _cut(first: Month, last: Month) -> str:
    """The partitions of these months, and the one for all later ones."""
    parts = []
    month = first
    while month <= last:
        name, end = "p%04d_%02d" % month, utc_text(month_bounds(*month)[1])[:10]
        parts.append("PARTITION %s VALUES LESS THAN (TO_DAYS('%s'))" % (name, end))
        month = _later(month, 1)
    parts.append("PARTITION %s VALUES LESS THAN (MAXVALUE)" % DEFAULT)
    return ", ".join(parts)


def _later(month: Month, count: int) -> Month:
    number = month[0] * 12 + month[1] - 1 + count
    return number // 12, number % 12 + 1
