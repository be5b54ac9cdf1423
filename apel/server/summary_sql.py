"""The statements that make and count HybridSuperSummaries."""

from typing import List, Tuple

from apel.db.backend import Expressions
from apel.summaries import SiteMonth, Statement
from apel.times import DAY, END_OF_TIME, month_bounds, utc_text

TABLE = "HybridSuperSummaries"
KEY = (
    "SiteID",
    "Month",
    "Year",
    "GlobalUserNameID",
    "VOID",
    "VOGroupID",
    "VORoleID",
    "SubmitHostId",
    "Infrastructure",
    "InfrastructureDescription",
    "ServiceLevelType",
    "ServiceLevel",
    "NodeCount",
    "Processors",
)
SUMS = ("WallDuration", "CpuDuration", "NormalisedWallDuration", "NormalisedCpuDuration", "NumberOfJobs")
COLUMNS = (*KEY, "EarliestEndTime", "LatestEndTime", *SUMS)


def normalised(seconds: str) -> str:
    """SQL for seconds of work at a row's benchmark as HS06 seconds: times the level, over 250 for si2k.

    Whole thousandths of the level are multiplied first and divided once, so that decimal (MariaDB) and
    binary (SQLite) arithmetic round alike.
    """
    product = f"{seconds} * ROUND(ServiceLevel * 1000) * 1.000000"
    return (
        f"ROUND(CASE WHEN LOWER(ServiceLevelType) = 'si2k' THEN {product} / 250000 ELSE {product} / 1000 END)"
    )


def _not_negative(column: str) -> str:
    return f"CASE WHEN {column} < 0 THEN 0 ELSE {column} END"


def _sum(expression: str) -> str:
    return f"COALESCE(SUM({expression}), 0)"


#: Empties a month before it is made again. A sum that has lost its jobs stays as one of no jobs, which no
#: view of sums shows but which is unloaded: a receiver replaces row by row, and is to forget it, too.
#: Parameters here and below: site id, year, month.
EMPTY = f"""
UPDATE {TABLE} SET {", ".join("%s = 0" % name for name in SUMS)}, UpdateTime = CURRENT_TIMESTAMP
WHERE SiteID = %s AND Year = %s AND Month = %s
"""

#: Months with sums of no jobs that were made before a time.
OLD_EMPTY_MONTHS = (
    f"SELECT DISTINCT SiteID, Year, Month FROM {TABLE} WHERE NumberOfJobs = 0 AND UpdateTime < %s"
)
#: Forgets those of a month. Parameters: as for EMPTY, and the time.
FORGET = (
    f"DELETE FROM {TABLE} WHERE SiteID = %s AND Year = %s AND Month = %s AND NumberOfJobs = 0"
    " AND UpdateTime < %s"
)

#: Sums job records: seconds first, then one rounding. No REPLACE, which would lock the jobs that it reads.
#: Parameters: site id, year, month, and between which times the server is to look for its jobs.
JOBS_SUMMED = f"""
SELECT SiteID, EndMonth, EndYear, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostID,
       COALESCE(InfrastructureType, 'None'), COALESCE(InfrastructureDescription, 'None'),
       MIN(ServiceLevelType), ServiceLevel, NodeCount, Processors, MIN(EndTime), MAX(EndTime),
       {_sum("WallDuration")}, {_sum("CpuDuration")},
       {normalised(_sum(_not_negative("WallDuration")))},
       {normalised(_sum(_not_negative("CpuDuration")))},
       COUNT(*)
FROM JobRecords
WHERE SiteID = %s AND EndYear = %s AND EndMonth = %s AND EndTime >= %s AND EndTime < %s
GROUP BY SiteID, EndMonth, EndYear, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostID,
         COALESCE(InfrastructureType, 'None'), COALESCE(InfrastructureDescription, 'None'),
         ServiceLevelType, ServiceLevel, NodeCount, Processors
"""

#: Takes over received summaries, each normalised; a row with the key of summed jobs replaces it.
FROM_SUMMARIES = f"""
REPLACE INTO {TABLE} ({", ".join(COLUMNS)})
SELECT SiteID, Month, Year, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostId, InfrastructureType,
       InfrastructureDescription, ServiceLevelType, ServiceLevel, NodeCount, Processors,
       EarliestEndTime, LatestEndTime, WallDuration, CpuDuration,
       {normalised(_not_negative("WallDuration"))}, {normalised(_not_negative("CpuDuration"))}, NumberOfJobs
FROM Summaries
WHERE SiteID = %s AND Year = %s AND Month = %s
"""

#: Takes over summaries that came normalised: no benchmark level is known, 0 stands for it.
FROM_NORMALISED = f"""
REPLACE INTO {TABLE} ({", ".join(COLUMNS)})
SELECT SiteID, Month, Year, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostId, Infrastructure,
       InfrastructureDescription, ServiceLevelType, 0, NodeCount, Processors,
       EarliestEndTime, LatestEndTime, WallDuration, CpuDuration, NormalisedWallDuration,
       NormalisedCpuDuration, NumberOfJobs
FROM NormalisedSummaries
WHERE SiteID = %s AND Year = %s AND Month = %s
"""

#: Every month that has rows anywhere: site id, year, month.
ALL_MONTHS = """
SELECT SiteID, EndYear, EndMonth FROM JobRecords GROUP BY SiteID, EndYear, EndMonth
UNION SELECT SiteID, Year, Month FROM Summaries GROUP BY SiteID, Year, Month
UNION SELECT SiteID, Year, Month FROM NormalisedSummaries GROUP BY SiteID, Year, Month
UNION SELECT SiteID, Year, Month FROM HybridSuperSummaries GROUP BY SiteID, Year, Month
"""

#: How many jobs each source holds for each month: site id, year, month, jobs.
SOURCE_COUNTS = (
    "SELECT SiteID, EndYear, EndMonth, COUNT(*) FROM JobRecords GROUP BY SiteID, EndYear, EndMonth",
    "SELECT SiteID, Year, Month, SUM(NumberOfJobs) FROM Summaries GROUP BY SiteID, Year, Month",
    "SELECT SiteID, Year, Month, SUM(NumberOfJobs) FROM NormalisedSummaries GROUP BY SiteID, Year, Month",
)
SUMMED_COUNT = (
    "SELECT SiteID, Year, Month, SUM(NumberOfJobs) FROM HybridSuperSummaries GROUP BY SiteID, Year, Month"
)


def remake(dialect: Expressions, month: SiteMonth) -> List[Statement]:
    """The statements that make the sums of a month again, in order; a later source wins over an earlier."""
    from_jobs = dialect.upsert_select(TABLE, COLUMNS, KEY, JOBS_SUMMED)
    return [
        (EMPTY, month),
        (from_jobs, jobs_of(month)),
        (FROM_SUMMARIES, month),
        (FROM_NORMALISED, month),
    ]


def jobs_of(month: SiteMonth) -> Tuple[int, int, int, str, str]:
    """The parameters of JOBS_SUMMED.

    Year and month say which jobs they are. That these ended about then lets the server read one stretch of
    the table, which is kept in the order of sites and times, and one or two of its partitions.
    """
    try:
        first, end = month_bounds(*month[1:])
    except ValueError:  # old databases hold sums of such months
        first, end = 0, END_OF_TIME
    return (*month, utc_text(max(0, first - DAY)), utc_text(end + DAY))


def keep(month: SiteMonth) -> List[Statement]:
    """The same for a month whose jobs were purged: what came as sums is taken over, all else stays."""
    return [(statement, month) for statement in (FROM_SUMMARIES, FROM_NORMALISED)]
