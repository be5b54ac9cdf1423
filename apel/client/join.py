"""Joins batch jobs with the grid records that say whose they were, and makes job records of them.

Whatever needs a decision is an event with Status 0: that is what the parser stores, what a new grid
record makes of the events it may belong to, and what waiting for a benchmark falls back to at the start
of each run. A run empties that set in chunks, each in one transaction that stores the job records, the
new status of exactly the events it has read, and a mark for each month it has touched. So cost follows
what is new; jobs that wait for a grid record cost nothing until there is one; and a run that dies goes
on where it was.

A decision needs few columns, so only these pass through Python (apel/client/choice.py). What was chosen
goes back through the table JoinWork, and one statement makes the job records from it.
"""

import logging
from collections import Counter
from functools import partial
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from apel.client.accelerator_rules import Rule
from apel.client.accelerators import NOTHING, record_accelerators
from apel.client.accelerators import Tally as AcceleratorTally
from apel.client.benchmarks import Period, read_histories
from apel.client.choice import (
    GRID,
    LOCAL,
    NEW,
    WAITS_FOR_BENCHMARK,
    WAITS_FOR_GRID_RECORD,
    Decision,
    Event,
    GridRecord,
    Rules,
    decide,
)
from apel.client.identities import Identities
from apel.client.job_benchmarks import keep_benchmarks
from apel.client.join_sql import (
    EVENT_KEY,
    EVENTS_OF_UNPROCESSED,
    IDENTITY,
    JOB_COLUMNS,
    JOB_KEY,
    MADE_JOBS,
    MONTHS_BEFORE,
    NEW_EVENTS,
    NEW_STATUSES,
    NEXT_UNPROCESSED,
    UNPROCESSED,
    WORK_COLUMNS,
)
from apel.db import Conflict, Database
from apel.db.marks import mark_months
from apel.identity import NO_TOKEN, Token
from apel.identity_map import IdentityMap
from apel.summaries import SiteMonth
from apel.times import DAY, month_bounds, utc_text
from apel.unloader import hold_off_unloader, prepare_writers
from apelcommon.daemon import Stop
from apelcommon.progress import Progress

log = logging.getLogger(__name__)

CHUNK = 5000
#: What IDENTITY has for jobs that aren't accounted yet.
NOBODY = (None,) * len(IDENTITY)
GRID_PUBLISHER, LOCAL_PUBLISHER = "apelclient", "local"


class Joined(NamedTuple):
    """What a run has done, in jobs, and what is left waiting.

    `without_benchmark` counts by name of compute element (or batch system, for local jobs); `negative`
    are jobs whose negative duration was taken as 0. `accelerators`: what became of theirs. `without_vo` are
    grid jobs that were joined although nothing says their VO, by the issuer of their token ('' for those
    without).
    """

    grid: int
    local: int
    ambiguous: int
    negative: int
    without_grid_record: int
    without_benchmark: Dict[str, int]
    without_local_benchmark: Dict[str, int]
    without_vo: Dict[str, int]
    accelerators: AcceleratorTally = NOTHING


class Tally:
    """Counts that grow chunk by chunk."""

    def __init__(self) -> None:
        self.status: "Counter[int]" = Counter()
        self.ambiguous = 0
        self.negative = 0
        self.missing: "Counter[int]" = Counter()
        self.missing_local: "Counter[int]" = Counter()
        self.without_vo: "Counter[str]" = Counter()
        self.accelerators = 0
        self.unknown_models: "Counter[Tuple[str, str]]" = Counter()
        self.shares: "Counter[Tuple[str, str]]" = Counter()

    def add(self, work: Sequence["Work"], accelerators: AcceleratorTally, without_vo: "Counter[str]") -> None:
        """Count the decisions of a chunk that is committed, its accelerators, and its jobs without VO."""
        self.without_vo += without_vo
        self.accelerators += accelerators.records
        self.unknown_models.update(accelerators.unknown)
        self.shares.update(accelerators.shares)
        for event, candidates, negative, decision in work:
            self.status[decision.status] += 1
            self.ambiguous += candidates > 1
            self.negative += negative and decision.status in (GRID, LOCAL)
            if decision.status == WAITS_FOR_BENCHMARK:
                if decision.ce is None:
                    self.missing_local[event.machine] += 1
                else:
                    self.missing[decision.ce] += 1


class Work(NamedTuple):
    """An event, how many grid records might be its, whether a duration is negative, and the decision."""

    event: Event
    candidates: int
    negative: bool
    decision: Decision


class Joiner:
    """One run over everything that needs a decision."""

    def __init__(
        self,
        db: Database,
        local_jobs: bool,
        stop: Optional[Stop] = None,
        chunk: int = CHUNK,
        identity_map: Optional[IdentityMap] = None,
        rules: Sequence[Rule] = (),
    ) -> None:
        self.db = db
        self.local_jobs = local_jobs
        self.stop = stop
        self.chunk = chunk
        self.rules = rules
        self.identities = Identities(db, identity_map)
        self.tally = Tally()

    def run(self) -> Joined:
        """Join what can be joined. Raises Transient when the database stays away."""
        prepare_writers(self.db)
        self.db.run(self._look_again_at_waiting)
        while not self._stopped() and self.db.run(self._look_again_at_joined):
            pass
        with Progress("Joining", self.db.run(_count(NEW)), "jobs") as progress:
            while not self._stopped():
                done = self.db.on_one_connection(self._decide_chunk)
                if not done:
                    break
                progress.advance(done)
        return self._report()

    def _stopped(self) -> bool:
        return self.stop is not None and self.stop.is_set()

    def _look_again_at_waiting(self, tx: Any) -> None:
        """Benchmarks may have come; and with local jobs nothing waits for a grid record."""
        waiting = [WAITS_FOR_BENCHMARK] + ([WAITS_FOR_GRID_RECORD] if self.local_jobs else [])
        for status in waiting:
            tx.execute("UPDATE EventRecords SET Status = %s WHERE Status = %s", (NEW, status))

    def _look_again_at_joined(self, tx: Any) -> bool:
        """Take some new grid records, and make the events new again that they may belong to (C7).

        Events that are new already need nothing: whoever decides about one reads all grid records.
        """
        bounds = tx.row(NEXT_UNPROCESSED, (self.chunk,))
        if bounds is None or bounds[0] is None:
            return False
        seen = tx.value("SELECT COUNT(*) FROM BlahdRecords WHERE " + UNPROCESSED, bounds)
        events = tx.rows(EVENTS_OF_UNPROCESSED, bounds)
        if events:
            tx.insert("JoinWork", (*EVENT_KEY, "Status"), [(*key, NEW) for key in set(events)])
            tx.execute(self.db.sql.update_from("EventRecords", "JoinWork", EVENT_KEY, ("Status",)))
            tx.execute("DELETE FROM JoinWork")
        taken = tx.execute("UPDATE BlahdRecords SET Processed = 1 WHERE " + UNPROCESSED, bounds)
        if taken != seen:
            raise Conflict("a parser has just added grid records to those that are being looked at")
        return True

    def _decide_chunk(self) -> int:
        """Decide about some new events and store what comes of it; how many they were."""
        work = self.db.run(self._read_chunk)
        if work:
            made = [item for item in work if item.decision.status in (GRID, LOCAL)]
            jobs = [(item.event, item.decision.grid) for item in made]
            whose = {item.event: row for item, row in zip(made, self.identities.rows(jobs))}
            without_vo = self.identities.without_vo(jobs)
            rows = [_work_row(item, whose.get(item.event, NOBODY)) for item in work]
            parameters = self._job_parameters()
            accelerators = self.db.run(lambda tx: self._store(tx, work, rows, parameters))
            self.tally.add(work, accelerators, without_vo)
        return len(work)

    def _read_chunk(self, tx: Any) -> List[Work]:
        rules = Rules(read_histories(tx), self.local_jobs, _batch_systems(tx))
        events: Dict[Event, List[GridRecord]] = {}
        negative: Set[Event] = set()
        for row in tx.rows(NEW_EVENTS, (int(bool(self.identities.map.rules)), self.chunk)):
            machine, job, end, start, site, user, group, bad, issuer, subject, groups, *found = row
            token = Token(issuer, subject) if issuer or subject else NO_TOKEN
            event = Event(machine, job, end, start, site, group or None, user or None, token, groups)
            candidates = events.setdefault(event, [])
            if found[0] is not None:
                candidates.append(_grid_record(*found))
            if bad:
                negative.add(event)
        return [
            Work(event, len(candidates), event in negative, decide(event, candidates, rules))
            for event, candidates in events.items()
        ]

    def _store(
        self, tx: Any, work: Sequence[Work], rows: Sequence[Sequence[Any]], parameters: Sequence[int]
    ) -> AcceleratorTally:
        """Job records, marks and statuses of a chunk. Events that have changed since stay as they are."""
        hold_off_unloader(tx)
        tx.insert("JoinWork", WORK_COLUMNS, rows)
        months = {
            SiteMonth(item.event.site, int(item.event.end[:4]), int(item.event.end[5:7]))
            for item in work
            if item.decision.status in (GRID, LOCAL)
        }
        months.update(SiteMonth(*row) for row in tx.rows(MONTHS_BEFORE))
        keep_benchmarks(tx, _jobs(work))
        make_jobs = self.db.sql.upsert_select("JobRecords", JOB_COLUMNS, JOB_KEY, MADE_JOBS)
        tx.execute(make_jobs, parameters)
        accelerators = record_accelerators(tx, self.rules)
        mark_months(tx, months)
        for bounds in _bounds(work):
            tx.execute(NEW_STATUSES, bounds)
        tx.execute("DELETE FROM JoinWork")
        return accelerators

    def _job_parameters(self) -> List[int]:
        host = self.db.ids("SubmitHosts", [None])[None]
        publishers = self.db.ids("DNs", [None, LOCAL_PUBLISHER, GRID_PUBLISHER])
        return [host, publishers[None], publishers[LOCAL_PUBLISHER], publishers[GRID_PUBLISHER]]

    def _report(self) -> Joined:
        tally = self.tally
        waiting = self.db.run(_count(WAITS_FOR_GRID_RECORD))
        names = self.db.run(lambda tx: _names(tx, "SubmitHosts", tally.missing))
        machines = self.db.run(lambda tx: _names(tx, "MachineNames", tally.missing_local))
        return Joined(
            grid=tally.status[GRID],
            local=tally.status[LOCAL],
            ambiguous=tally.ambiguous,
            negative=tally.negative,
            without_grid_record=waiting,
            without_benchmark={names[ce]: count for ce, count in tally.missing.items()},
            without_local_benchmark={machines[ce]: count for ce, count in tally.missing_local.items()},
            without_vo=dict(tally.without_vo),
            accelerators=AcceleratorTally(tally.accelerators, tally.unknown_models, tally.shares),
        )


def _grid_record(
    ce: int,
    time: str,
    machine: Optional[int],
    vo: int,
    issuer: Optional[str],
    subject: Optional[str],
    *rest: Optional[str],
) -> GridRecord:
    """What NEW_EVENTS has of a grid record."""
    token = Token(issuer, subject) if issuer or subject else NO_TOKEN
    return GridRecord(ce, time, machine, vo, token, *rest)


def _batch_systems(tx: Any) -> Dict[int, int]:
    """Machine name id -> the compute element id under which a benchmark for its local jobs is kept."""
    return dict(tx.rows("SELECT M.id, H.id FROM MachineNames M JOIN SubmitHosts H ON H.name = M.name"))


def _bounds(work: Sequence[Work]) -> Iterable[Tuple[int, str, str]]:
    """For each machine the first and the last job of the chunk."""
    jobs: Dict[int, List[str]] = {}
    for item in work:
        jobs.setdefault(item.event.machine, []).append(item.event.job)
    return [(machine, min(mine), max(mine)) for machine, mine in jobs.items()]


def _jobs(work: Sequence[Work]) -> Iterable[Tuple[Tuple[int, str, str], Sequence[Period]]]:
    """The key of each job of the chunk, and all the benchmarks it is made with."""
    for item in work:
        if item.decision.status in (GRID, LOCAL):
            yield item.event[:3], item.decision.benchmarks


def _work_row(item: Work, identity: Sequence[Any]) -> Sequence[Any]:
    """A row of JoinWork, as WORK_COLUMNS has it. identity: the values of IDENTITY."""
    event, decision = item.event, item.decision
    grid, benchmark = decision.grid, decision.benchmark
    return (
        event.machine,
        event.job,
        event.end,
        decision.status,
        grid.ce if grid else None,
        grid.time if grid else None,
        *identity,
        benchmark.type if benchmark else None,
        benchmark.value if benchmark else None,
    )


def _count(status: int) -> Any:
    return lambda tx: tx.value("SELECT COUNT(*) FROM EventRecords WHERE Status = %s", (status,))


def _names(tx: Any, table: str, ids: Iterable[int]) -> Dict[int, str]:
    wanted = list(ids)
    if not wanted:
        return {}
    holders = ", ".join(["%s"] * len(wanted))
    return dict(tx.rows("SELECT id, name FROM " + table + " WHERE id IN (" + holders + ")", wanted))


def rejoin_month(db: Database, year: int, month: int) -> int:
    """Make all events that ended in a month new again, so that they get today's benchmarks (C8); how many.

    A day at a time: a large site's month would be a transaction that holds up a whole cluster.
    """
    first, end = month_bounds(year, month)
    return sum(db.run(partial(_look_again, day=day)) for day in range(first, end, DAY))


def _look_again(tx: Any, day: int) -> int:
    query = "UPDATE EventRecords SET Status = %s WHERE Status <> %s AND EndTime >= %s AND EndTime < %s"
    return int(tx.execute(query, (NEW, NEW, utc_text(day), utc_text(day + DAY))))
