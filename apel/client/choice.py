"""Which grid record belongs to a batch job, and what becomes of the job: decisions only, no database.

Times are UTC text, YYYY-MM-DD hh:mm:ss, which sorts as time does.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from apel.client.benchmarks import Period, all_valid_at
from apel.identity import NO_TOKEN, Token

#: EventRecords.Status
NEW, LOCAL, GRID, WAITS_FOR_GRID_RECORD, WAITS_FOR_BENCHMARK = range(5)


class Event(NamedTuple):
    """What decides about a batch job. Machine and site are lookup ids; `end` completes its key.

    token, groups: of the token that the batch system itself logged.
    """

    machine: int
    job: str
    end: str
    start: str
    site: int
    group: Optional[str]
    user: Optional[str] = None
    token: Token = NO_TOKEN
    groups: Optional[str] = None


class GridRecord(NamedTuple):
    """What decides about a BLAH record. `machine` is the batch system whose parser read it, if known.

    vo: the lookup id of what it says itself. user: the DN, or what stands in its place, where the batch
    system has logged a token as well. fqan: where there are rules about it.
    """

    ce: int
    time: str
    machine: Optional[int]
    vo: int = 0
    token: Token = NO_TOKEN
    groups: Optional[str] = None
    user: Optional[str] = None
    fqan: Optional[str] = None


class Decision(NamedTuple):
    """What becomes of an event: its new status, and for a job the record and the benchmarks it is made with.

    `ce` names the missing benchmark where the job waits for one: a compute element or, for a local job,
    None for its batch system.
    """

    status: int
    ce: Optional[int] = None
    grid: Optional[GridRecord] = None
    benchmarks: Tuple[Period, ...] = ()

    @property
    def benchmark(self) -> Optional[Period]:
        """The preferred one."""
        return self.benchmarks[0] if self.benchmarks else None


class Rules(NamedTuple):
    """What decisions rest on: benchmarks by (site, compute element), and whether local jobs are wanted.

    `batch_systems` gives the compute element id under which a machine's benchmark is kept.
    """

    histories: Dict[Tuple[int, int], List[Period]]
    local_jobs: bool
    batch_systems: Dict[int, int]


def choose(start: str, machine: int, candidates: Sequence[GridRecord]) -> Optional[GridRecord]:
    """The candidate that describes the job: the nearest before its start, else the nearest after (C3).

    Batch ids are used again, and one id may be in use in two batch systems. So records of the job's own
    batch system come first, then those that name none. A record from after the start is possible at all
    because some compute elements write theirs when the job ends.
    """
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    nearest_system = min(_distance(machine, candidate) for candidate in candidates)
    mine = [candidate for candidate in candidates if _distance(machine, candidate) == nearest_system]
    before = [candidate for candidate in mine if candidate.time <= start]
    if before:
        return max(before, key=lambda candidate: (candidate.time, candidate.ce))
    return min(mine, key=lambda candidate: (candidate.time, candidate.ce))


def _distance(machine: int, candidate: GridRecord) -> int:
    if candidate.machine is None:
        return 1
    return 0 if candidate.machine == machine else 2


def decide(event: Event, candidates: Sequence[GridRecord], rules: Rules) -> Decision:
    """What becomes of an event that has these grid records."""
    grid = choose(event.start, event.machine, candidates)
    if grid is not None:
        benchmarks = all_valid_at(rules.histories.get((event.site, grid.ce), ()), event.end)
        if not benchmarks:
            return Decision(WAITS_FOR_BENCHMARK, grid.ce, grid)
        return Decision(GRID, grid.ce, grid, benchmarks)
    if not rules.local_jobs:
        return Decision(WAITS_FOR_GRID_RECORD)
    system = rules.batch_systems.get(event.machine)
    periods = rules.histories.get((event.site, system), ()) if system is not None else ()
    benchmarks = all_valid_at(periods, event.end)
    if not benchmarks:
        return Decision(WAITS_FOR_BENCHMARK)
    return Decision(LOCAL, None, None, benchmarks)
