"""All benchmarks that were in force when a job ended, kept beside it where there were several.

Of most sites' jobs there is one: then a chunk of jobs costs one look into an empty table.
"""

from collections import defaultdict
from typing import Any, Dict, Iterable, List, Sequence, Tuple

from apel.beside import SITE_JOB_KEY
from apel.client.benchmarks import Period
from apel.db.details import touch
from apel.db.tables import BY_BENCHMARK

TABLE = "JobBenchmarks"

#: The jobs of the work set that are really made: what another client decided meanwhile stays as it is.
MADE = """
SELECT W.MachineNameID, W.JobName, CAST(W.EndTime AS CHAR)
FROM JoinWork W
JOIN EventRecords E
  ON E.MachineNameID = W.MachineNameID AND E.JobName = W.JobName AND E.EndTime = W.EndTime
WHERE W.Status IN (1, 2) AND E.Status + 0 = 0
"""
KEPT = """
SELECT B.MachineNameID, B.LocalJobId, CAST(B.EndTime AS CHAR), B.BenchmarkType, B.Benchmark
FROM JoinWork W CROSS JOIN JobBenchmarks B
WHERE B.MachineNameID = W.MachineNameID AND B.LocalJobId = W.JobName AND B.EndTime = W.EndTime
"""
FORGET = "DELETE FROM JobBenchmarks WHERE MachineNameID = %s AND LocalJobId = %s AND EndTime = %s"
#: A job that is only being made has no row yet.
THERE = """
SELECT J.MachineNameID, J.LocalJobId, CAST(J.EndTime AS CHAR)
FROM JoinWork W CROSS JOIN JobRecords J
WHERE J.MachineNameID = W.MachineNameID AND J.LocalJobId = W.JobName AND J.EndTime = W.EndTime
"""

#: Machine, job, end.
Key = Tuple[int, str, str]
Values = Dict[str, float]


def keep_benchmarks(tx: Any, jobs: Iterable[Tuple[Key, Sequence[Period]]]) -> None:
    """Make the rows of these jobs what was in force, in the transaction that is about to make the jobs."""
    wanted = {key: _several(benchmarks) for key, benchmarks in jobs}
    if not any(wanted.values()) and not is_used(tx):
        return
    made = set(tx.rows(MADE))
    kept: Dict[Key, Values] = defaultdict(dict)
    for machine, job, end, name, value in tx.rows(KEPT):
        kept[machine, job, end][name] = float(value)
    changed = [key for key, values in wanted.items() if key in made and values != kept.get(key, {})]
    if not changed:
        return
    for key in changed:
        if key in kept:
            tx.execute(FORGET, key)
    rows: List[Tuple[Any, ...]] = [(*key, *pair) for key in changed for pair in wanted[key].items()]
    tx.insert(TABLE, (*SITE_JOB_KEY, *BY_BENCHMARK), rows)
    # So that a job is sent again when a second benchmark of it alone has changed.
    touch(tx, "JobRecords", SITE_JOB_KEY, sorted(set(changed).intersection(tx.rows(THERE))))


def is_used(tx: Any) -> bool:
    """Whether there is any job with several benchmarks."""
    return tx.value("SELECT 1 FROM %s LIMIT 1" % TABLE) is not None


def _several(benchmarks: Sequence[Period]) -> Values:
    """Type and value of each; nothing of one alone."""
    return {period.type: period.value for period in benchmarks} if len(benchmarks) > 1 else {}
