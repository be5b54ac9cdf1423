"""Keeps monthly sums equal to what their sources say, site by site: of jobs, virtual machines and so on.

Marked months (apel.summaries) are made again as a whole, so sums that have lost their jobs become sums of
none, for as long as there may be a receiver that is to be told. Deletions made by hand leave no mark; a
comparison of counts finds those months.
"""

import logging
from functools import partial
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

from apel import times
from apel.db import Database, RowRefused
from apel.db.lookups import known_site
from apel.db.marks import (
    CHANGED_ACCELERATOR_MONTHS,
    CHANGED_CLOUD_MONTHS,
    CHANGED_IP_MONTHS,
    CHANGED_MONTHS,
    CHANGED_STORAGE_MONTHS,
    mark_months,
)
from apel.server import accelerator_sql, cloud_sql, ip_sql, storage_sums, summary_sql
from apel.server.closed import CLOSED, StillRestoring, statements, states
from apel.server.record_sums import RecordSums
from apel.summaries import SiteMonth, Statement, changed_months, recompute
from apel.unloader import SENT_TO, hold_off_together, prepare_writers
from apelcommon.progress import Progress

log = logging.getLogger(__name__)

SECONDS_BETWEEN_COUNTS = 86400
MONTHS_PER_TRANSACTION = 1000
#: How long a sum of no jobs stays at least; see forget_empty.
EMPTY_SECONDS = 90 * times.DAY


class Sums(NamedTuple):
    """One kind of sums: of what, where its marks are, its statements, the row of LastUpdated about counting.

    all_months: a query, or what finds them in a transaction. empty_months, forget: find, and delete, what is
    left of sums that have vanished; '' where nothing is. following: finds the later months that change with
    a month; '' if there are none.
    """

    what: str
    marks: str
    counted: str
    remake: Callable[[Any, SiteMonth], Sequence[Statement]]
    all_months: Union[str, Callable[[Any], Set[SiteMonth]]]
    source_counts: Sequence[str]
    summed_count: str
    empty_months: str = ""
    forget: str = ""
    following: str = ""


GRID = Sums(
    "jobs",
    CHANGED_MONTHS,
    "months counted",
    statements,
    summary_sql.ALL_MONTHS,
    summary_sql.SOURCE_COUNTS,
    summary_sql.SUMMED_COUNT,
    summary_sql.OLD_EMPTY_MONTHS,
    summary_sql.FORGET,
)


def _of_records(what: str, marks: str, counted: str, sums: RecordSums, following: str = "") -> Sums:
    return Sums(
        what,
        marks,
        counted,
        lambda tx, month: sums.remake(month),
        sums.all_months,
        sums.source_counts,
        sums.summed_count,
        sums.old_empty_months,
        sums.forget,
        following,
    )


CLOUD = _of_records(
    "machines", CHANGED_CLOUD_MONTHS, "cloud months counted", cloud_sql.SUMS, cloud_sql.FOLLOWING
)
ACCELERATOR = _of_records(
    "accelerator records",
    CHANGED_ACCELERATOR_MONTHS,
    "accelerator months counted",
    accelerator_sql.SUMS,
)
IP = _of_records("measurements of public IP addresses", CHANGED_IP_MONTHS, "IP months counted", ip_sql.SUMS)
STORAGE = Sums(
    "storage records",
    CHANGED_STORAGE_MONTHS,
    "storage months counted",
    storage_sums.remake,
    storage_sums.all_months,
    storage_sums.SOURCE_COUNTS,
    storage_sums.SUMMED_COUNT,
    storage_sums.OLD_GONE_MONTHS,
    storage_sums.FORGET_GONE,
)


class Scope(NamedTuple):
    """Which months a run is about: a site by name, a (year, month); None is any."""

    site: Optional[str] = None
    month: Optional[Tuple[int, int]] = None


class Miscount(NamedTuple):
    """A month whose sums do not hold as many jobs (or machines) as its sources."""

    month: SiteMonth
    jobs: int
    summed: int


ANY = Scope()


class Summariser:
    """Makes the sums of the months within `scope`."""

    def __init__(self, db: Database, scope: Scope = ANY, sums: Sums = GRID) -> None:
        self.db = db
        self.sums = sums
        self.scope = scope
        self.site_id = known_site(db, scope.site) if scope.site is not None else None
        #: Months that the database refused to sum, each with its reason.
        self.refused: Dict[SiteMonth, str] = {}
        #: Months whose jobs are not all back from the archive, each with how many are.
        self.restoring: Dict[SiteMonth, str] = {}

    def changed(self) -> Dict[SiteMonth, List[int]]:
        """The marked months of the scope, each with its marks."""
        changed = changed_months(self.db, self.sums.marks)
        return {month: marks for month, marks in changed.items() if self._wanted(month)}

    def run(self) -> int:
        """Make every marked month of the scope again; how many there were.

        A month whose sums the database refuses (a record with an absurd value) goes to `refused`; its marks
        and its old sums stay.
        """
        changed = self._with_following(self.changed())
        done = 0
        if changed:
            prepare_writers(self.db)
        with Progress("Summarising", len(changed), "months") as progress:
            for month, marks in changed.items():
                try:
                    making = partial(self._making, month=month)
                    done += recompute(self.db, month, marks, making, self.sums.marks)
                except RowRefused as err:
                    self.refused[month] = str(err)
                except StillRestoring as err:
                    self.restoring[month] = str(err)
                progress.advance(1)
        return done

    def _with_following(self, changed: Dict[SiteMonth, List[int]]) -> Dict[SiteMonth, List[int]]:
        """Also the later months that change with these, each marked first, so that none is forgotten.

        Of those only our own marks are deleted then: another writer's stand for changes that have later
        months of their own.
        """
        if not self.sums.following or not changed:
            return changed
        found: Set[SiteMonth] = set()
        for month in changed:
            found |= self._months(self.sums.following, month)
        following = self.mark(found - changed.keys())
        wanted = {month: marks for month, marks in following.items() if self._wanted(month)}
        wanted.update(changed)
        return dict(sorted(wanted.items()))

    def _making(self, tx: Any, month: SiteMonth) -> Sequence[Statement]:
        hold_off_together(tx, self.db.sql)
        return self.sums.remake(tx, month)

    def mark(self, months: Iterable[SiteMonth]) -> Dict[SiteMonth, List[int]]:
        """Mark months, so that the next run makes them again; the marks."""
        wanted = sorted(months)
        marked: Dict[SiteMonth, List[int]] = {}
        for start in range(0, len(wanted), MONTHS_PER_TRANSACTION):
            some = set(wanted[start : start + MONTHS_PER_TRANSACTION])
            made = self.db.run(partial(mark_months, months=some, table=self.sums.marks))
            marked.update((SiteMonth(*month), [mark]) for month, mark in made.items())
        return marked

    def all_months(self) -> Set[SiteMonth]:
        """Every month of the scope that has rows in a source or in the sums."""
        wanted = self.sums.all_months
        found = self._months(wanted) if isinstance(wanted, str) else self.db.run(wanted)
        return {month for month in found if self._wanted(month)}

    def miscounted(self) -> List[Miscount]:
        """Months of the scope, not marked or purged, whose sums hold not as many jobs as their sources.

        Where a site sends both jobs and summaries with equal keys, the later source replaces the earlier,
        and such a month shows here although nothing is wrong with it; making it again does no harm.
        """
        jobs: Dict[SiteMonth, int] = {}
        for query in self.sums.source_counts:
            for month, count in self._counts(query).items():
                jobs[month] = jobs.get(month, 0) + count
        summed = self._counts(self.sums.summed_count)
        left_out = set(changed_months(self.db, self.sums.marks))
        if self.sums is GRID:
            # The sums of purged months stand without sources.
            left_out |= {state.month for state in self.db.run(states) if state.name != CLOSED}
        return [
            Miscount(month, jobs.get(month, 0), summed.get(month, 0))
            for month in sorted(jobs.keys() | summed.keys())
            if jobs.get(month, 0) != summed.get(month, 0) and month not in left_out and self._wanted(month)
        ]

    def count_is_due(self) -> bool:
        """Whether the last comparison of counts over all months is a day old."""
        query = "SELECT %s FROM LastUpdated WHERE Type = %%s" % self.db.sql.epoch("UpdateTime")
        last = self.db.run(lambda tx: tx.value(query, (self.sums.counted,)))
        return last is None or not 0 <= times.now() - int(last) < SECONDS_BETWEEN_COUNTS

    def counted(self) -> None:
        """Remember that the counts of all months were compared now."""
        row = (times.utc_text(times.now()), self.sums.counted)
        self.db.run(lambda tx: tx.insert("LastUpdated", ("UpdateTime", "Type"), [row], conflict="update"))

    def forget_empty(self) -> int:
        """Delete sums of no jobs, 90 days old, that all receivers have been sent; of how many months.

        Who is no receiver any more must go from LastUpdated, or else they stay for ever.
        """
        if not self.sums.forget:
            return 0
        before = times.utc_text(times.now() - EMPTY_SECONDS)
        sent = self.db.run(lambda tx: tx.rows(SENT_TO))
        before = min([before, *(time for _, time in sent)])
        months = sorted(self._months(self.sums.empty_months, (before,)))
        for month in months:
            self.db.run(partial(_execute, sql=self.sums.forget, parameters=(*month, before)))
        return len(months)

    def site_names(self) -> Dict[int, str]:
        """The names of the sites by id."""
        return dict(self.db.run(lambda tx: tx.rows("SELECT id, name FROM Sites")))

    def _wanted(self, month: SiteMonth) -> bool:
        if self.site_id is not None and month.site_id != self.site_id:
            return False
        return self.scope.month is None or (month.year, month.month) == self.scope.month

    def _months(self, query: str, parameters: Sequence[Any] = ()) -> Set[SiteMonth]:
        rows: List[Tuple[Any, ...]] = self.db.run(lambda tx: tx.rows(query, parameters))
        return {SiteMonth(*row) for row in rows if None not in row}

    def _counts(self, query: str) -> Dict[SiteMonth, int]:
        rows: List[Tuple[Any, ...]] = self.db.run(lambda tx: tx.rows(query))
        return {SiteMonth(*row[:3]): int(row[3]) for row in rows if None not in row}


def _execute(tx: Any, sql: str, parameters: Sequence[Any]) -> None:
    tx.execute(sql, parameters)
