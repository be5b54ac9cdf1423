"""Months whose sums must be made again: who marks them, who claims them. Shared by site and centre.

Every writer of job records or received summaries leaves a row in ChangedMonths, with a random Mark, in
its own transaction (apel.db.marks.mark_months). The summariser makes a marked month again as a whole,
and deletes the marks it had read in the same transaction. No clock is asked: a writer who commits after
the marks were read leaves a mark of its own, and the month is made again next time.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple, Union

from apel.db import Database
from apel.db.marks import CHANGED_MONTHS

#: SQL and its parameters.
Statement = Tuple[str, Sequence[Any]]


class SiteMonth(NamedTuple):
    """A month of a site, by the site's id in Sites."""

    site_id: int
    year: int
    month: int


def changed_months(db: Database, table: str = CHANGED_MONTHS) -> Dict[SiteMonth, List[int]]:
    """The months marked in a table, each with its marks, in order of site and time."""
    query = "SELECT SiteID, Year, Month, Mark FROM %s ORDER BY SiteID, Year, Month" % table

    def read(tx: Any) -> List[Tuple[int, int, int, int]]:
        return tx.rows(query)

    marks: Dict[SiteMonth, List[int]] = {}
    for site_id, year, month, mark in db.run(read):
        marks.setdefault(SiteMonth(site_id, year, month), []).append(mark)
    return marks


#: The statements that make a month again, or what says inside the transaction which these are.
Statements = Union[Sequence[Statement], Callable[[Any], Sequence[Statement]]]


def recompute(
    db: Database, month: SiteMonth, marks: Sequence[int], statements: Statements, table: str = CHANGED_MONTHS
) -> bool:
    """Run `statements`, which make the month again, and delete `marks` from `table`, in one transaction.

    The marks are deleted first: that claims the month. A second summariser waits there until the first
    has committed, finds the marks gone, and leaves the month alone: False.
    """

    def work(tx: Any) -> bool:
        if not _claim(tx, month, marks, table):
            return False
        for sql, parameters in statements(tx) if callable(statements) else statements:
            tx.execute(sql, parameters)
        return True

    return bool(db.run(work))


def _claim(tx: Any, month: SiteMonth, marks: Sequence[int], table: str) -> int:
    claimed = 0
    for start in range(0, len(marks), 500):
        some = marks[start : start + 500]
        holders = ", ".join(["%s"] * len(some))
        claimed += tx.execute(
            "DELETE FROM %s WHERE SiteID = %%s AND Year = %%s AND Month = %%s AND Mark IN (%s)"
            % (table, holders),
            [*month, *some],
        )
    return claimed
