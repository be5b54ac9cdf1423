"""The statements that make CloudSummaries; the same text serves MariaDB, MySQL and SQLite.

A record holds what its machine has used since it started. What it used in a month is the difference to the
record before, of whatever month. Where the counters have started again, it is what they show: so after a
restart by StartTime, and wherever a figure is smaller than before. A record without a figure is passed over.
"""

from apel.server.record_sums import OURS, RecordSums

KEY = (
    "SiteID, CloudComputeServiceID, Month, Year, GlobalUserNameID, VOID, VOGroupID, VORoleID, Status,"
    " ImageId, CpuCount, BenchmarkType, Benchmark"
)
GROUP = KEY.replace("Month, Year", "MeasurementMonth, MeasurementYear")
COUNTERS = ("WallDuration", "CpuDuration", "NetworkInbound", "NetworkOutbound")


def _before(selected: str, further: str = "") -> str:
    """SQL for something of the records of the same machine before a record R."""
    return (
        "(SELECT %s FROM CloudRecords P WHERE P.SiteID = R.SiteID AND P.VMUUID = R.VMUUID"
        " AND P.MeasurementTime < R.MeasurementTime%s)" % (selected, further)
    )


def _last(counter: str) -> str:
    newest = " AND P.{0} IS NOT NULL ORDER BY P.MeasurementTime DESC LIMIT 1".format(counter)
    return "%s AS Last%s" % (_before("P." + counter, newest), counter)


def _used(counter: str) -> str:
    return (
        "CASE WHEN Last{0} IS NULL OR StartTime > LastTime OR WallDuration < LastWallDuration"
        " OR {0} < Last{0} THEN {0} ELSE {0} - Last{0} END".format(counter)
    )


#: A received row with the same key gives way: what the site's records say is surer than its sums. Parameters
#: here and below: site id, year, month.
FROM_RECORDS = f"""
REPLACE INTO CloudSummaries ({KEY}, CloudType, EarliestStartTime, LatestStartTime, {", ".join(COUNTERS)},
                             Memory, Disk, NumberOfVMs, PublisherDNID)
SELECT {GROUP}, MIN(CloudType), MIN(StartTime), MAX(StartTime),
       {", ".join("SUM(%s)" % _used(counter) for counter in COUNTERS)},
       SUM(Memory), SUM(Disk), COUNT(*), '{OURS}'
FROM (
    SELECT R.*, {_before("MAX(P.MeasurementTime)")} AS LastTime,
           {", ".join(map(_last, COUNTERS))}
    FROM CloudRecords R
    WHERE R.SiteID = %s AND R.MeasurementYear = %s AND R.MeasurementMonth = %s
) AS Measured
GROUP BY {GROUP}
"""

#: The later months of the machines of a month: their differences change with it.
FOLLOWING = """
SELECT DISTINCT Later.SiteID, Later.MeasurementYear, Later.MeasurementMonth
FROM CloudRecords Changed
JOIN CloudRecords Later ON Later.SiteID = Changed.SiteID AND Later.VMUUID = Changed.VMUUID
                       AND Later.MeasurementTime > Changed.MeasurementTime
WHERE Changed.SiteID = %s AND Changed.MeasurementYear = %s AND Changed.MeasurementMonth = %s
"""

SUMS = RecordSums(
    "CloudRecords", "CloudSummaries", FROM_RECORDS, (*COUNTERS, "Memory", "Disk"), "NumberOfVMs"
)
