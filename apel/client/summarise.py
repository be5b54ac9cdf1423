"""Keeps SuperSummaries equal to what JobRecords say, site-month by site-month.

Only marked months are made again (apel/summaries.py), each as a whole. A sum whose jobs have moved to
another benchmark, or from local to grid (C7, C8), becomes one of no jobs: it is in no view of sums, but it is
sent, as is the sync count that it leaves, so that the centre, which replaces row by row, forgets it too.
"""

import logging
from typing import Any

from apel.db import Database
from apel.db.tables import mark_months
from apel.summaries import SiteMonth, changed_months, recompute
from apel.unloader import HOLD_OFF_UNLOADER, prepare_writers

log = logging.getLogger(__name__)

EMPTY = """
UPDATE SuperSummaries SET WallDuration = 0, CpuDuration = 0, NumberOfJobs = 0, UpdateTime = CURRENT_TIMESTAMP
WHERE SiteID = %s AND Year = %s AND Month = %s
"""
KEY = (
    "SiteID", "Month", "Year", "GlobalUserNameID", "VOID", "VOGroupID", "VORoleID", "SubmitHostId",
    "InfrastructureType", "ServiceLevelType", "ServiceLevel", "NodeCount", "Processors",
)  # fmt: skip
COLUMNS = (*KEY, "EarliestEndTime", "LatestEndTime", "WallDuration", "CpuDuration", "NumberOfJobs")
#: Benchmark names that differ only in case are one group, and one name of it must be taken.
SUMS = """
SELECT SiteID, EndMonth, EndYear, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostID,
       COALESCE(InfrastructureType, 'None'), MIN(ServiceLevelType), ServiceLevel, NodeCount, Processors,
       MIN(EndTime), MAX(EndTime), COALESCE(SUM(WallDuration), 0), COALESCE(SUM(CpuDuration), 0), COUNT(*)
FROM JobRecords
WHERE SiteID = %s AND EndYear = %s AND EndMonth = %s
GROUP BY SiteID, EndMonth, EndYear, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostID,
         COALESCE(InfrastructureType, 'None'), ServiceLevelType, ServiceLevel, NodeCount, Processors
"""


def summarise_site(db: Database) -> int:
    """Make the marked months again; how many there were."""
    done = 0
    fill = db.sql.upsert_select("SuperSummaries", COLUMNS, KEY, SUMS)
    prepare_writers(db)
    for month, marks in changed_months(db).items():
        if recompute(db, month, marks, [HOLD_OFF_UNLOADER, (EMPTY, month), (fill, month)]):
            done += 1
            log.info("Summarised %d-%02d of site %d", month.year, month.month, month.site_id)
    return done


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
