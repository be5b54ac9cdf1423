"""The statement that makes AcceleratorSummaries; the same text serves MariaDB, MySQL and SQLite.

Records are of one month each, so a month is the sum of its own. What they agree in is the key, Count and
Cores too: a sum's Count is that of each of its records, and Count times a duration is exact.
"""

from apel.server.record_sums import OURS, RecordSums

SAME = "AssociatedRecordType, GlobalUserNameID, FQANID, Type, Model, Count"

#: A received row with the same key gives way: what the site's records say is surer than its sums.
#: Parameters: site id, year, month.
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

SUMS = RecordSums(
    "AcceleratorRecords",
    "AcceleratorSummaries",
    FROM_RECORDS,
    ("AvailableDuration", "ActiveDuration"),
    "NumberOfRecords",
)
