"""The statements that make and count AcceleratorSummaries; the same text serves MariaDB, MySQL and SQLite.

Records are of one month each, so a month is the sum of its own. What they agree in is the key, Count and
Cores too: a sum's Count is that of each of its records, and Count times a duration is exact.
"""

from typing import List

from apel.server.cloud_sql import OURS
from apel.summaries import SiteMonth, Statement

SAME = "AssociatedRecordType, GlobalUserNameID, FQANID, Type, Model, Count"

#: Empties a month before it is made again. A sum that has lost its records stays as one of none, as those of
#: machines do (cloud_sql.py). Parameters here and below: site id, year, month.
EMPTY = f"""
UPDATE AcceleratorSummaries
SET AvailableDuration = 0, ActiveDuration = 0, NumberOfRecords = 0, UpdateTime = CURRENT_TIMESTAMP
WHERE SiteID = %s AND Year = %s AND Month = %s AND PublisherDNID = '{OURS}'
"""

#: Months with sums of no records that were made before a time.
OLD_EMPTY_MONTHS = """
SELECT DISTINCT SiteID, Year, Month FROM AcceleratorSummaries WHERE NumberOfRecords = 0 AND UpdateTime < %s
"""
#: Forgets those of a month. Parameters: as for EMPTY, and the time.
FORGET = (
    "DELETE FROM AcceleratorSummaries WHERE SiteID = %s AND Year = %s AND Month = %s AND NumberOfRecords = 0"
    " AND UpdateTime < %s"
)

#: A received row with the same key gives way: what the site's records say is surer than its sums.
FROM_RECORDS = f"""
REPLACE INTO AcceleratorSummaries (SiteID, Year, Month, {SAME}, Cores, BenchmarkType, Benchmark, VOID,
                                   VOGroupID, VORoleID, AvailableDuration, ActiveDuration, NumberOfRecords,
                                   PublisherDNID)
SELECT SiteID, MeasurementYear, MeasurementMonth, {SAME}, COALESCE(Cores, 0), BenchmarkType,
       COALESCE(Benchmark, 0), MIN(VOID), MIN(VOGroupID), MIN(VORoleID), SUM(AvailableDuration),
       SUM(COALESCE(ActiveDuration, AvailableDuration)), COUNT(*), '{OURS}'
FROM AcceleratorRecords
WHERE SiteID = %s AND MeasurementYear = %s AND MeasurementMonth = %s
GROUP BY SiteID, MeasurementYear, MeasurementMonth, {SAME}, COALESCE(Cores, 0), BenchmarkType,
         COALESCE(Benchmark, 0)
"""

ALL_MONTHS = """
SELECT SiteID, MeasurementYear, MeasurementMonth FROM AcceleratorRecords
GROUP BY SiteID, MeasurementYear, MeasurementMonth
UNION SELECT SiteID, Year, Month FROM AcceleratorSummaries GROUP BY SiteID, Year, Month
"""

#: How many records there are in each month: site id, year, month, records.
SOURCE_COUNTS = (
    "SELECT SiteID, MeasurementYear, MeasurementMonth, COUNT(*) FROM AcceleratorRecords"
    " GROUP BY SiteID, MeasurementYear, MeasurementMonth",
)
SUMMED_COUNT = (
    "SELECT SiteID, Year, Month, SUM(NumberOfRecords) FROM AcceleratorSummaries WHERE PublisherDNID = '%s'"
    " GROUP BY SiteID, Year, Month" % OURS
)


def remake(month: SiteMonth) -> List[Statement]:
    """The statements that make the sums of a month again, in order."""
    return [(statement, month) for statement in (EMPTY, FROM_RECORDS)]
