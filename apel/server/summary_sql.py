"""The statements that make and count HybridSuperSummaries; the same text serves MariaDB, MySQL and SQLite."""

from typing import List

from apel.summaries import SiteMonth, Statement

KEY = (
    "SiteID, Month, Year, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostId, Infrastructure,"
    " InfrastructureDescription, ServiceLevelType, ServiceLevel, NodeCount, Processors"
)
SUMS = (
    "EarliestEndTime, LatestEndTime, WallDuration, CpuDuration, NormalisedWallDuration,"
    " NormalisedCpuDuration, NumberOfJobs"
)


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


#: Empties a month before it is made again. Parameters here and below: site id, year, month.
EMPTY = "DELETE FROM HybridSuperSummaries WHERE SiteID = %s AND Year = %s AND Month = %s"

#: Sums job records: seconds first, then one rounding. A plain INSERT, since the month is empty and REPLACE
#: would lock the jobs that it reads.
FROM_JOBS = f"""
INSERT INTO HybridSuperSummaries ({KEY}, {SUMS})
SELECT SiteID, EndMonth, EndYear, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostID,
       COALESCE(InfrastructureType, 'None'), COALESCE(InfrastructureDescription, 'None'),
       MIN(ServiceLevelType), ServiceLevel, NodeCount, Processors, MIN(EndTime), MAX(EndTime),
       {_sum("WallDuration")}, {_sum("CpuDuration")},
       {normalised(_sum(_not_negative("WallDuration")))},
       {normalised(_sum(_not_negative("CpuDuration")))},
       COUNT(*)
FROM JobRecords
WHERE SiteID = %s AND EndYear = %s AND EndMonth = %s
GROUP BY SiteID, EndMonth, EndYear, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostID,
         COALESCE(InfrastructureType, 'None'), COALESCE(InfrastructureDescription, 'None'),
         ServiceLevelType, ServiceLevel, NodeCount, Processors
"""

#: Takes over received summaries, each normalised; a row with the key of summed jobs replaces it.
FROM_SUMMARIES = f"""
REPLACE INTO HybridSuperSummaries ({KEY}, {SUMS})
SELECT SiteID, Month, Year, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostId, InfrastructureType,
       InfrastructureDescription, ServiceLevelType, ServiceLevel, NodeCount, Processors,
       EarliestEndTime, LatestEndTime, WallDuration, CpuDuration,
       {normalised(_not_negative("WallDuration"))}, {normalised(_not_negative("CpuDuration"))}, NumberOfJobs
FROM Summaries
WHERE SiteID = %s AND Year = %s AND Month = %s
"""

#: Takes over summaries that came normalised: no benchmark level is known, 0 stands for it.
FROM_NORMALISED = f"""
REPLACE INTO HybridSuperSummaries ({KEY}, {SUMS})
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


def remake(month: SiteMonth) -> List[Statement]:
    """The statements that make the sums of a month again, in order; a later source wins over an earlier."""
    return [(statement, month) for statement in (EMPTY, FROM_JOBS, FROM_SUMMARIES, FROM_NORMALISED)]


def keep(month: SiteMonth) -> List[Statement]:
    """The same for a month whose jobs were purged: what came as sums is taken over, all else stays."""
    return [(statement, month) for statement in (FROM_SUMMARIES, FROM_NORMALISED)]
