"""Keeps HybridSuperSummaries equal to what its three sources say, month by month of a site.

Marked months (apel.summaries) are made again as a whole, so rows that have lost their jobs do not stay
behind. Deletions made by hand leave no mark; a comparison of counts finds those months.
"""

import logging
from functools import partial
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from apel import times
from apel.db import Database, RowRefused
from apel.db.tables import mark_months
from apel.server import summary_sql as sql
from apel.summaries import SiteMonth, changed_months, recompute
from apelcommon.errors import ServiceError
from apelcommon.progress import Progress

log = logging.getLogger(__name__)

#: The row of LastUpdated that says when the counts were last compared.
COUNTED = "months counted"
SECONDS_BETWEEN_COUNTS = 86400
MONTHS_PER_TRANSACTION = 1000


class Scope(NamedTuple):
    """Which months a run is about: a site by name, a (year, month); None is any."""

    site: Optional[str] = None
    month: Optional[Tuple[int, int]] = None


class Miscount(NamedTuple):
    """A month whose sums do not hold as many jobs as its sources."""

    month: SiteMonth
    jobs: int
    summed: int


ANY = Scope()


class Summariser:
    """Makes the sums of the months within `scope`."""

    def __init__(self, db: Database, scope: Scope = ANY) -> None:
        self.db = db
        self.scope = scope
        self.site_id = self._site_id() if scope.site is not None else None
        #: Months that the database refused to sum, each with its reason.
        self.refused: Dict[SiteMonth, str] = {}

    def changed(self) -> Dict[SiteMonth, List[int]]:
        """The marked months of the scope, each with its marks."""
        return {month: marks for month, marks in changed_months(self.db).items() if self._wanted(month)}

    def run(self) -> int:
        """Make every marked month of the scope again; how many there were.

        A month whose sums the database refuses (a record with an absurd value) goes to `refused`; its marks
        and its old sums stay.
        """
        changed = self.changed()
        done = 0
        with Progress("Summarising", len(changed), "months") as progress:
            for month, marks in changed.items():
                try:
                    done += recompute(self.db, month, marks, sql.remake(month))
                except RowRefused as err:
                    self.refused[month] = str(err)
                progress.advance(1)
        return done

    def mark(self, months: Iterable[SiteMonth]) -> None:
        """Mark months, so that the next run makes them again."""
        wanted = sorted(months)
        for start in range(0, len(wanted), MONTHS_PER_TRANSACTION):
            self.db.run(partial(mark_months, months=set(wanted[start : start + MONTHS_PER_TRANSACTION])))

    def all_months(self) -> Set[SiteMonth]:
        """Every month of the scope that has rows in a source or in the sums."""
        found = self._months(sql.ALL_MONTHS)
        return {month for month in found if self._wanted(month)}

    def miscounted(self) -> List[Miscount]:
        """Months of the scope, not marked, whose sums hold another number of jobs than their sources.

        Where a site sends both jobs and summaries with equal keys, the later source replaces the earlier,
        and such a month shows here although nothing is wrong with it; making it again does no harm.
        """
        jobs: Dict[SiteMonth, int] = {}
        for query in sql.SOURCE_COUNTS:
            for month, count in self._counts(query).items():
                jobs[month] = jobs.get(month, 0) + count
        summed = self._counts(sql.SUMMED_COUNT)
        marked = changed_months(self.db)
        return [
            Miscount(month, jobs.get(month, 0), summed.get(month, 0))
            for month in sorted(jobs.keys() | summed.keys())
            if jobs.get(month, 0) != summed.get(month, 0) and month not in marked and self._wanted(month)
        ]

    def count_is_due(self) -> bool:
        """Whether the last comparison of counts over all months is a day old."""
        query = "SELECT %s FROM LastUpdated WHERE Type = %%s" % self.db.sql.epoch("UpdateTime")
        last = self.db.run(lambda tx: tx.value(query, (COUNTED,)))
        return last is None or not 0 <= times.now() - int(last) < SECONDS_BETWEEN_COUNTS

    def counted(self) -> None:
        """Remember that the counts of all months were compared now."""
        row = (times.utc_text(times.now()), COUNTED)
        self.db.run(lambda tx: tx.insert("LastUpdated", ("UpdateTime", "Type"), [row], conflict="update"))

    def site_names(self) -> Dict[int, str]:
        """The names of the sites by id."""
        return dict(self.db.run(lambda tx: tx.rows("SELECT id, name FROM Sites")))

    def _site_id(self) -> int:
        site = self.db.run(lambda tx: tx.value("SELECT id FROM Sites WHERE name = %s", (self.scope.site,)))
        if site is None:
            raise ServiceError(
                "No site %s in this database; names are compared letter by letter." % self.scope.site
            )
        return int(site)

    def _wanted(self, month: SiteMonth) -> bool:
        if self.site_id is not None and month.site_id != self.site_id:
            return False
        return self.scope.month is None or (month.year, month.month) == self.scope.month

    def _months(self, query: str) -> Set[SiteMonth]:
        rows: List[Tuple[Any, ...]] = self.db.run(lambda tx: tx.rows(query))
        return {SiteMonth(*row) for row in rows if None not in row}

    def _counts(self, query: str) -> Dict[SiteMonth, int]:
        rows: List[Tuple[Any, ...]] = self.db.run(lambda tx: tx.rows(query))
        return {SiteMonth(*row[:3]): int(row[3]) for row in rows if None not in row}
