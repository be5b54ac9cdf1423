"""The statements of the joiner (apel/client/join.py), the same for every database."""

EVENT_KEY = ("MachineNameID", "JobName", "EndTime")
#: Whose a job is, where its grid record doesn't say it (all of it) as it should be.
IDENTITY = (
    *("GlobalUserNameID", "FQAN", "VOID", "VOGroupID", "VORoleID"),
    *("TokenIssuer", "TokenSubject"),
)
WORK_COLUMNS = (
    *EVENT_KEY,
    "Status",
    "CEID",
    "TimeStamp",
    *IDENTITY,
    "ServiceLevelType",
    "ServiceLevel",
)
JOB_KEY = ("MachineNameID", "LocalJobId", "EndTime")

#: The first and last time stamp of the next `%s` grid records that the joiner hasn't looked at.
NEXT_UNPROCESSED = """
SELECT CAST(MIN(TimeStamp) AS CHAR), CAST(MAX(TimeStamp) AS CHAR) FROM (
    SELECT TimeStamp FROM BlahdRecords WHERE Processed = 0 ORDER BY TimeStamp LIMIT %s) AS Chunk
"""

#: What these bounds hold. The lower one only helps the server to walk along the table, not an index that
#: changes under it, which takes it three times as long.
UNPROCESSED = "Processed = 0 AND TimeStamp >= %s AND TimeStamp <= %s"

#: Events, decided about already, that one of these grid records may belong to.
EVENTS_OF_UNPROCESSED = """
SELECT DISTINCT E.MachineNameID, E.JobName, CAST(E.EndTime AS CHAR)
FROM BlahdRecords B CROSS JOIN EventRecords E
WHERE B.Processed = 0 AND B.TimeStamp >= %s AND B.TimeStamp <= %s
  AND E.SiteID = B.SiteID AND E.JobName = B.LrmsId
  AND B.ValidFrom <= E.EndTime AND E.StartTime < B.ValidUntil AND E.Status <> 0
"""

#: Some new events, each once for every grid record that may be its. ValidUntil bounds the start, not the
#: end, so that a job may run for as long as it likes (C4). %s: 1 if there are rules about FQANs.
NEW_EVENTS = """
SELECT E.MachineNameID, E.JobName, CAST(E.EndTime AS CHAR), CAST(E.StartTime AS CHAR), E.SiteID,
       E.LocalUserID, E.LocalUserGroup, E.WallDuration < 0 OR E.CpuDuration < 0,
       E.TokenIssuer, E.TokenSubject, E.TokenGroups,
       B.CEID, CAST(B.TimeStamp AS CHAR), B.MachineNameID,
       B.VOID, B.TokenIssuer, B.TokenSubject, B.TokenGroups,
       CASE WHEN E.TokenSubject IS NOT NULL OR E.TokenIssuer IS NOT NULL THEN
           (SELECT DNs.name FROM DNs WHERE DNs.id = B.GlobalUserNameID) END,
       CASE WHEN %s = 1 THEN B.FQAN END
FROM (SELECT MachineNameID, JobName, EndTime, StartTime, SiteID, LocalUserID, LocalUserGroup,
             WallDuration, CpuDuration, TokenIssuer, TokenSubject, TokenGroups
      FROM EventRecords WHERE Status = 0 ORDER BY MachineNameID, JobName, EndTime LIMIT %s) E
LEFT JOIN BlahdRecords B
  ON B.SiteID = E.SiteID AND B.LrmsId = E.JobName
 AND B.ValidFrom <= E.EndTime AND E.StartTime < B.ValidUntil
"""

#: Months in which jobs of the work set have been counted until now, if their site was another.
MONTHS_BEFORE = """
SELECT DISTINCT J.SiteID, J.EndYear, J.EndMonth
FROM JoinWork W CROSS JOIN JobRecords J
WHERE J.MachineNameID = W.MachineNameID AND J.LocalJobId = W.JobName AND J.EndTime = W.EndTime
  AND W.Status IN (1, 2)
"""

#: The statuses of the work set's events. A chunk is a run of keys in the order of the index of Status, and
#: with its bounds the server walks along that; joining the two tables takes it four times as long.
NEW_STATUSES = """
UPDATE EventRecords SET Status = COALESCE(
    (SELECT W.Status FROM JoinWork W
     WHERE W.MachineNameID = EventRecords.MachineNameID AND W.JobName = EventRecords.JobName
       AND W.EndTime = EventRecords.EndTime), Status)
WHERE Status = 0 AND MachineNameID = %s AND JobName >= %s AND JobName <= %s
"""

#: Columns of JobRecords, and what is put there: from the event E, its grid record B if there is one, and
#: the decision W. %s are the ids of names that no record brings, in the order of `_job_parameters`. An old
#: database may hold negative numbers, which must not be refused: one refused row would stop all the others.
#: What another client decided meanwhile stays as it is; `+ 0` keeps the server from the index of Status.
JOB_VALUES = (
    ("SiteID", "E.SiteID"),
    ("SubmitHostID", "COALESCE(B.CEID, %s)"),
    ("MachineNameID", "E.MachineNameID"),
    ("QueueID", "E.QueueID"),
    ("LocalJobId", "E.JobName"),
    ("LocalUserId", "E.LocalUserID"),
    ("GlobalUserNameID", "COALESCE(W.GlobalUserNameID, B.GlobalUserNameID, %s)"),
    ("FQAN", "COALESCE(W.FQAN, B.FQAN)"),
    ("VOID", "COALESCE(W.VOID, B.VOID)"),
    ("VOGroupID", "COALESCE(W.VOGroupID, B.VOGroupID)"),
    ("VORoleID", "COALESCE(W.VORoleID, B.VORoleID)"),
    ("WallDuration", "CASE WHEN E.WallDuration < 0 THEN 0 ELSE E.WallDuration END"),
    ("CpuDuration", "CASE WHEN E.CpuDuration < 0 THEN 0 ELSE E.CpuDuration END"),
    ("NodeCount", "CASE WHEN E.NodeCount > 0 THEN E.NodeCount ELSE 0 END"),
    ("Processors", "CASE WHEN E.Processors > 0 THEN E.Processors ELSE 0 END"),
    ("MemoryReal", "CASE WHEN E.MemoryReal >= 0 THEN E.MemoryReal END"),
    ("MemoryVirtual", "CASE WHEN E.MemoryVirtual >= 0 THEN E.MemoryVirtual END"),
    ("StartTime", "E.StartTime"),
    ("EndTime", "E.EndTime"),
    ("EndYear", "CAST(SUBSTR(E.EndTime, 1, 4) AS SIGNED)"),
    ("EndMonth", "CAST(SUBSTR(E.EndTime, 6, 2) AS SIGNED)"),
    ("InfrastructureDescription", "E.Infrastructure"),
    ("InfrastructureType", "CASE WHEN W.Status = 1 THEN 'local' ELSE 'grid' END"),
    ("ServiceLevelType", "W.ServiceLevelType"),
    ("ServiceLevel", "W.ServiceLevel"),
    ("PublisherDNID", "CASE WHEN W.Status = 1 THEN %s ELSE %s END"),
    ("TokenIssuer", "COALESCE(W.TokenIssuer, B.TokenIssuer)"),
    ("TokenSubject", "COALESCE(W.TokenSubject, B.TokenSubject)"),
)
JOB_COLUMNS = tuple(column for column, _ in JOB_VALUES)
MADE_JOBS = """
SELECT %s
FROM JoinWork W
JOIN EventRecords E
  ON E.MachineNameID = W.MachineNameID AND E.JobName = W.JobName AND E.EndTime = W.EndTime
LEFT JOIN BlahdRecords B
  ON B.TimeStamp = W.TimeStamp AND B.SiteID = E.SiteID AND B.LrmsId = E.JobName AND B.CEID = W.CEID
WHERE W.Status IN (1, 2) AND E.Status + 0 = 0
""" % ", ".join(value for _, value in JOB_VALUES)
