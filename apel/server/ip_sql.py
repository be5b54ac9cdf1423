"""The statement that makes IPSummaries; the same text serves MariaDB, MySQL and SQLite.

A measurement is a level. Over a month it is told by the last one, the mean and the greatest: never by a sum,
which would grow with the number of measurements.
"""

from apel.server.record_sums import OURS, RecordSums

WHO = "CloudComputeServiceID, GlobalUserNameID, FQANID, LocalUserId, LocalGroupId, IPVersion"
KEY = "SiteID, MeasurementYear, MeasurementMonth, " + WHO
#: The record of a group's last measurement.
LAST = " AND ".join(f"L.{name} = G.{name}" for name in KEY.split(", "))

#: A received row with the same key gives way, as in accelerator_sql.py. Parameters: site id, year, month.
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

SUMS = RecordSums(
    "IPRecords",
    "IPSummaries",
    FROM_RECORDS,
    ("LastIPCount", "AverageIPCount", "MaximumIPCount"),
    "NumberOfMeasurements",
)
