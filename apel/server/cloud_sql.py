"""The statements that make and count CloudSummaries; the same text serves MariaDB, MySQL and SQLite.

A record holds what its machine has used since it started. What it used in a month is the difference to the
record before, of whatever month. Where the counters have started again, it is what they show: so after a
restart by StartTime, and wherever a figure is smaller than before. A record without a figure is passed over.
"""

from typing import List

from apel.summaries import SiteMonth, Statement

#: PublisherDNID of the rows that we make; others were received.
OURS = "summariser"

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


SUMS = (*COUNTERS, "Memory", "Disk", "NumberOfVMs")

#: Empties a month before it is made again. A sum that has lost its machines stays as one of none, so that it
#: is unloaded as such, and forgotten by receivers. Parameters here and below: site id, year, month.
EMPTY = f"""
UPDATE CloudSummaries SET {", ".join("%s = 0" % name for name in SUMS)}, UpdateTime = CURRENT_TIMESTAMP
WHERE SiteID = %s AND Year = %s AND Month = %s AND PublisherDNID = '{OURS}'
"""

#: Months with sums of no machines that were made before a time.
OLD_EMPTY_MONTHS = (
    "SELECT DISTINCT SiteID, Year, Month FROM CloudSummaries WHERE NumberOfVMs = 0 AND UpdateTime < %s"
)
#: Forgets those of a month. Parameters: as for EMPTY, and the time.
FORGET = (
    "DELETE FROM CloudSummaries WHERE SiteID = %s AND Year = %s AND Month = %s AND NumberOfVMs = 0"
    " AND UpdateTime < %s"
)

#: A received row with the same key gives way: what the site's records say is surer than its sums.
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

ALL_MONTHS = """
SELECT SiteID, MeasurementYear, MeasurementMonth FROM CloudRecords
GROUP BY SiteID, MeasurementYear, MeasurementMonth
UNION SELECT SiteID, Year, Month FROM CloudSummaries GROUP BY SiteID, Year, Month
"""

#: How many machines there are in each month: site id, year, month, machines.
SOURCE_COUNTS = (
    "SELECT SiteID, MeasurementYear, MeasurementMonth, COUNT(*) FROM CloudRecords"
    " GROUP BY SiteID, MeasurementYear, MeasurementMonth",
)
SUMMED_COUNT = (
    "SELECT SiteID, Year, Month, SUM(NumberOfVMs) FROM CloudSummaries WHERE PublisherDNID = '%s'"
    " GROUP BY SiteID, Year, Month" % OURS
)


def remake(month: SiteMonth) -> List[Statement]:
    """The statements that make the sums of a month again, in order."""
    return [(statement, month) for statement in (EMPTY, FROM_RECORDS)]
