"""The statements that make and count IPSummaries; the same text serves MariaDB, MySQL and SQLite.

A measurement is a level. Over a month it is told by the last one, the mean and the greatest: never by a sum,
which would grow with the number of measurements.
"""

from typing import List

from apel.server.cloud_sql import OURS
from apel.summaries import SiteMonth, Statement

WHO = "CloudComputeServiceID, GlobalUserNameID, FQANID, LocalUserId, LocalGroupId, IPVersion"
KEY = "SiteID, MeasurementYear, MeasurementMonth, " + WHO
#: The record of a group's last measurement.
LAST = " AND ".join(f"L.{name} = G.{name}" for name in KEY.split(", "))

#: Empties a month before it is made again. A sum that has lost its records stays as one of none, as those of
#: machines do (cloud_sql.py). Parameters here and below: site id, year, month.
EMPTY = f"""
UPDATE IPSummaries
SET LastIPCount = 0, AverageIPCount = 0, MaximumIPCount = 0, NumberOfMeasurements = 0,
    UpdateTime = CURRENT_TIMESTAMP
WHERE SiteID = %s AND Year = %s AND Month = %s AND PublisherDNID = '{OURS}'
"""

#: Months with sums of no records that were made before a time.
OLD_EMPTY_MONTHS = (
    "SELECT DISTINCT SiteID, Year, Month FROM IPSummaries WHERE NumberOfMeasurements = 0 AND UpdateTime < %s"
)
#: Forgets those of a month. Parameters: as for EMPTY, and the time.
FORGET = (
    "DELETE FROM IPSummaries WHERE SiteID = %s AND Year = %s AND Month = %s AND NumberOfMeasurements = 0"
    " AND UpdateTime < %s"
)

#: A received row with the same key gives way, as in accelerator_sql.py.
FROM_RECORDS = f"""
REPLACE INTO IPSummaries (SiteID, Year, Month, {WHO}, VOID, VOGroupID, VORoleID, CloudType, LastIPCount,
                          AverageIPCount, MaximumIPCount, EarliestMeasurementTime, LatestMeasurementTime,
                          NumberOfMeasurements, PublisherDNID)
SELECT {", ".join("G." + name for name in KEY.split(", "))}, L.VOID, L.VOGroupID, L.VORoleID, L.CloudType,
       L.IPCount, Mean, Greatest, Earliest, Latest, Number, '{OURS}'
FROM (
    SELECT {KEY}, ROUND(SUM(IPCount) * 1.000000 / COUNT(*), 6) AS Mean, MAX(IPCount) AS Greatest,
           MIN(MeasurementTime) AS Earliest, MAX(MeasurementTime) AS Latest, COUNT(*) AS Number
    FROM IPRecords
    WHERE SiteID = %s AND MeasurementYear = %s AND MeasurementMonth = %s
    GROUP BY {KEY}
) AS G
JOIN IPRecords L ON {LAST} AND L.MeasurementTime = G.Latest
"""

ALL_MONTHS = """
SELECT SiteID, MeasurementYear, MeasurementMonth FROM IPRecords
GROUP BY SiteID, MeasurementYear, MeasurementMonth
UNION SELECT SiteID, Year, Month FROM IPSummaries GROUP BY SiteID, Year, Month
"""

#: How many measurements there are in each month: site id, year, month, measurements.
SOURCE_COUNTS = (
    "SELECT SiteID, MeasurementYear, MeasurementMonth, COUNT(*) FROM IPRecords"
    " GROUP BY SiteID, MeasurementYear, MeasurementMonth",
)
SUMMED_COUNT = (
    "SELECT SiteID, Year, Month, SUM(NumberOfMeasurements) FROM IPSummaries WHERE PublisherDNID = '%s'"
    " GROUP BY SiteID, Year, Month" % OURS
)


def remake(month: SiteMonth) -> List[Statement]:
    """The statements that make the sums of a month again, in order."""
    return [(statement, month) for statement in (EMPTY, FROM_RECORDS)]
