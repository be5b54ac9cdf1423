"""Keeps SuperSummaries equal to what JobRecords say, site-month by site-month.

Only marked months are made again (apel/summaries.py), each as a whole. A sum whose jobs have moved to
another benchmark, or from local to grid (C7, C8), becomes one of no jobs: it is in no view of sums, but it is
sent, as is the sync count that it leaves, so that the centre, which replaces row by row, forgets it too.
"""

import logging
from functools import partial
from typing import Any, List

from apel.beside import SITE_SUM_KEY
from apel.client.job_benchmarks import is_used
from apel.db import Database
from apel.db.marks import mark_months
from apel.summaries import SiteMonth, Statement, changed_months, recompute
from apel.unloader import hold_off_unloader, prepare_writers

log = logging.getLogger(__name__)

EMPTY = """
UPDATE SuperSummaries SET WallDuration = 0, CpuDuration = 0, NumberOfJobs = 0, UpdateTime = CURRENT_TIMESTAMP
WHERE SiteID = %s AND Year = %s AND Month = %s
"""
KEY = SITE_SUM_KEY
COLUMNS = (*KEY, "EarliestEndTime", "LatestEndTime", "WallDuration", "CpuDuration", "NumberOfJobs")
#: Benchmark names that differ only in case are one group, and one name of it must be taken.
SUMS = """
SELECT SiteID, EndMonth, EndYear, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostID,
       COALESCE(InfrastructureType, 'None'), MIN(ServiceLevelType), ServiceLevel, NodeCount, Processors,
       MIN(EndTime), MAX(EndTime), COALESCE(SUM(WallDuration), 0), COALESCE(SUM(CpuDuration), 0), COUNT(*)
FROM JobRecords
WHERE SiteID = %s AND EndYear = %s AND EndMonth = %s
GROUP BY SiteID, EndMonth, EndYear, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostID,
         COALESCE(InfrastructureType, 'None'), ServiceLevelType, ServiceLevel, NodeCount, Processors
"""


#: A row at the centre has the key of a sum with its preferred benchmark alone, so there can't be a sum for
#: each value of another; a sum says those that are right for all of its jobs.
FORGET_OTHERS = "DELETE FROM SuperSummaryBenchmarks WHERE SiteID = %s AND Year = %s AND Month = %s"
OTHERS = """
INSERT INTO SuperSummaryBenchmarks ({key}, BenchmarkType, Benchmark)
SELECT {of_sum}, MIN(B.BenchmarkType), MIN(B.Benchmark)
FROM JobRecords J
JOIN JobBenchmarks B
  ON B.MachineNameID = J.MachineNameID AND B.LocalJobId = J.LocalJobId AND B.EndTime = J.EndTime
JOIN SuperSummaries S
  ON S.SiteID = J.SiteID AND S.Year = J.EndYear AND S.Month = J.EndMonth
 AND S.InfrastructureType = COALESCE(J.InfrastructureType, 'None') AND {same}
WHERE J.SiteID = %s AND J.EndYear = %s AND J.EndMonth = %s
GROUP BY {of_sum}, B.BenchmarkType
HAVING MIN(B.Benchmark) = MAX(B.Benchmark) AND COUNT(*) = MAX(S.NumberOfJobs)
""".format(
    key=", ".join(KEY),
    of_sum=", ".join("S." + name for name in KEY),
    same=" AND ".join(
        "S.{0} = J.{0}".format(name) for name in (*KEY[3:8], "ServiceLevelType", "ServiceLevel", *KEY[-2:])
    ),
)


def summarise_site(db: Database) -> int:
    """Make the marked months again; how many there were."""
    done = 0
    fill = db.sql.upsert_select("SuperSummaries", COLUMNS, KEY, SUMS)
    prepare_writers(db)
    for month, marks in changed_months(db).items():
        sums: List[Statement] = [(EMPTY, month), (fill, month)]
        if recompute(db, month, marks, partial(_with_others, sums, month)):
            done += 1
            log.info("Summarised %d-%02d of site %d", month.year, month.month, month.site_id)
    return done


def _with_others(sums: List[Statement], month: SiteMonth, tx: Any) -> List[Statement]:
    """What makes a month again, with what is about further benchmarks where there are any."""
    hold_off_unloader(tx)
    others: List[Statement] = [(FORGET_OTHERS, month)]
    if is_used(tx):
        others.append((OTHERS, month))
    return sums + others


def mark_all(db: Database) -> int:
    """Mark every month there are jobs of, so that all are made again; how many there are.

    A month with sums and no job at all stays as it is: its jobs were removed to save space, and the centre
    must not be told to forget it.
    """

    def work(tx: Any) -> int:
        months = tx.rows(
            "SELECT SiteID, EndYear, EndMonth FROM JobRecords GROUP BY SiteID, EndYear, EndMonth"
        )
        mark_months(tx, {SiteMonth(*month) for month in months})
        return len(months)

    return int(db.run(work))
