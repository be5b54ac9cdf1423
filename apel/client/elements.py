"""Which compute element has which benchmark since when, and whose jobs wait: read, nothing changed."""

import itertools
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from apel.client.benchmarks import Benchmark, Period, all_valid_at, changes, preference, read_histories
from apel.client.choice import WAITS_FOR_BENCHMARK, GridRecord, choose
from apel.db import Database
from apel.times import now, utc_text

#: Jobs that wait for a benchmark, each once for every grid record that may be theirs, as the joiner has them.
WAITING = """
SELECT E.MachineNameID, E.JobName, CAST(E.EndTime AS CHAR), CAST(E.StartTime AS CHAR), E.SiteID,
       B.CEID, CAST(B.TimeStamp AS CHAR), B.MachineNameID
FROM EventRecords E
LEFT JOIN BlahdRecords B
  ON B.SiteID = E.SiteID AND B.LrmsId = E.JobName
 AND B.ValidFrom <= E.EndTime AND E.StartTime < B.ValidUntil
WHERE E.Status = %s
ORDER BY E.MachineNameID, E.JobName, E.EndTime
"""
#: Compute elements that jobs came from.
SEEN = "SELECT DISTINCT SiteID, CEID FROM BlahdRecords"


class Waiting(NamedTuple):
    """Jobs that wait for a benchmark of one element; when the first and the last of them ended (UTC text)."""

    jobs: int
    oldest: str
    newest: str

    def with_one(self, end: str) -> "Waiting":
        """And one that ended at `end`."""
        return Waiting(self.jobs + 1, min(self.oldest, end), max(self.newest, end))


class Element(NamedTuple):
    """A compute element or, where `local`, a batch system with local jobs; its whole history, newest first.

    coming: what is configured, and not in force before the next run.
    """

    site: str
    name: str
    local: bool
    history: List[Period]
    waiting: Optional[Waiting]
    coming: Tuple[Benchmark, ...] = ()

    def in_force(self) -> Tuple[Period, ...]:
        """What counts now, the preferred first."""
        return all_valid_at(self.history, utc_text(now()))


def elements(db: Database) -> List[Element]:
    """All compute elements that have, had or need a benchmark, by name. Raises Transient."""
    histories = db.run(read_histories)
    seen = set(db.run(lambda tx: tx.rows(SEEN)))
    waiting: Dict[Tuple[int, int], Waiting] = {}
    local: Dict[Tuple[int, int], Waiting] = {}
    for (site, ce, machine), end in _waiting(db):
        mine, key = (local, (site, machine)) if ce is None else (waiting, (site, ce))
        mine[key] = mine.get(key, Waiting(0, end, end)).with_one(end)
    # Names last: a parser at work may have brought new ones meanwhile.
    sites, hosts, machines = (db.run(_names(table)) for table in ("Sites", "SubmitHosts", "MachineNames"))
    found = {}
    for site, ce in {*histories, *seen, *waiting}:
        key, history = (site, ce), _newest_first(histories.get((site, ce), ()))
        found[sites[site], hosts[ce]] = Element(sites[site], hosts[ce], False, history, waiting.get(key))
    for (site, machine), jobs in local.items():
        name = sites[site], machines[machine]
        known = found.get(name, Element(*name, False, [], None))
        found[name] = known._replace(local=True, waiting=jobs)
    return sorted(found.values(), key=lambda element: element[:3])


def with_configured(found: Sequence[Element], site: str, configured: Sequence[Benchmark]) -> List[Element]:
    """The elements with what is configured for them, and those that are only configured yet."""
    known = {(element.site, element.name): element for element in found}
    for benchmark in configured:
        key = (site, benchmark.ce)
        element = known.get(key, Element(site, benchmark.ce, False, [], None))
        if changes(element.history, benchmark, utc_text(now())) is not None:
            element = element._replace(coming=(*element.coming, benchmark))
        known[key] = element
    return sorted(known.values(), key=lambda element: element[:3])


def _names(table: str) -> Any:
    return lambda tx: dict(tx.rows("SELECT id, name FROM " + table))


def _newest_first(history: Sequence[Period]) -> List[Period]:
    """What is in force before what has ended; of what began together the preferred first."""
    ordered = sorted(history, key=lambda period: preference(period.type))
    ordered.sort(key=lambda period: period.start, reverse=True)
    return sorted(ordered, key=lambda period: period.stop is not None)


def _waiting(db: Database) -> Iterator[Tuple[Tuple[int, Optional[int], int], str]]:
    """(site, compute element or None for a local job, machine) of each job that waits, and when it ended."""
    rows = db.stream(WAITING, (WAITS_FOR_BENCHMARK,))
    for (machine, _, end), group in itertools.groupby(rows, key=lambda row: row[:3]):
        some = list(group)
        start, site = some[0][3:5]
        grid = choose(start, machine, [GridRecord(*row[5:]) for row in some if row[5] is not None])
        yield (site, grid.ce if grid else None, machine), end
