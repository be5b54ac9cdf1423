-- Site database (SQLite 3.24+), with the tables, columns and views of ../mysql/client.sql, which explains them.
-- It is loaded in one transaction when the file is first used.
--
-- Text compares byte by byte by default; benchmark names (ServiceLevelType) without regard to case. Times are
-- text, 'YYYY-MM-DD hh:mm:ss', UTC. UpdateTime has no trigger: the statements of apel/db move it.

-- One row for each version of this schema that was ever in force here. This table is made first: where others
-- of ours are without it, they are of another make, and left alone.
CREATE TABLE IF NOT EXISTS SchemaVersion (
    SchemaName VARCHAR(50) NOT NULL,
    Version INT NOT NULL,
    Software VARCHAR(50) NOT NULL,
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (SchemaName, Version)
) WITHOUT ROWID;

-- Lookup tables: one row per name; the unique key settles what happens when two writers meet a new name.

CREATE TABLE IF NOT EXISTS Sites (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS DNs (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS SubmitHosts (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS MachineNames (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS Queues (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS VOs (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS VOGroups (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS VORoles (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

-- Parsed batch jobs. Status: 0 new, 1 made into a local job, 2 made into a grid job,
-- 3 waits for a grid record, 4 waits for a benchmark. GPUs: NULL where the log doesn't say.
CREATE TABLE IF NOT EXISTS EventRecords (
    SiteID INT NOT NULL,
    JobName VARCHAR(255) NOT NULL,
    LocalUserID VARCHAR(255),
    LocalUserGroup VARCHAR(255),
    WallDuration BIGINT,
    CpuDuration BIGINT,
    StartTime DATETIME NOT NULL,
    EndTime DATETIME NOT NULL,
    Infrastructure VARCHAR(255),
    MachineNameID INT NOT NULL,
    QueueID INT NOT NULL,
    MemoryReal BIGINT,
    MemoryVirtual BIGINT,
    Processors INT,
    NodeCount INT,
    Status INT NOT NULL DEFAULT 0,
    GPUs INT,
    TokenIssuer VARCHAR(255),
    TokenSubject VARCHAR(255),
    TokenGroups VARCHAR(1024),
    PRIMARY KEY (MachineNameID, JobName, EndTime)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS EventRecords_EventJoinIdx ON EventRecords (SiteID, JobName);
CREATE INDEX IF NOT EXISTS EventRecords_EventStatusIdx ON EventRecords (Status);

-- Accelerators of batch jobs, as their logs tell them: Model and Host are NULL where they don't. Of a job that
-- had several models, or whose log tells them by host, there are several rows. Durations in seconds: for how
-- long the job had them and, where that was measured, used them.
CREATE TABLE IF NOT EXISTS EventAccelerators (
    MachineNameID INT NOT NULL,
    JobName VARCHAR(255) NOT NULL,
    EndTime DATETIME NOT NULL,
    Number INT NOT NULL,
    Host VARCHAR(255),
    Model VARCHAR(255),
    Type VARCHAR(20) NOT NULL,
    Count DECIMAL(12,6) NOT NULL,
    AvailableDuration BIGINT NOT NULL,
    ActiveDuration BIGINT,
    PRIMARY KEY (MachineNameID, JobName, EndTime, Number)
) WITHOUT ROWID;

-- Grid identity of jobs. Processed: 0 not yet looked at by the joiner, 1 looked at.
-- MachineNameID: the batch system whose parser read the record, where known.
CREATE TABLE IF NOT EXISTS BlahdRecords (
    TimeStamp DATETIME NOT NULL,
    GlobalUserNameID INT NOT NULL,
    FQAN VARCHAR(255),
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    CEID INT NOT NULL,
    GlobalJobId VARCHAR(255),
    LrmsId VARCHAR(255) NOT NULL DEFAULT '',
    SiteID INT NOT NULL,
    ValidFrom DATETIME,
    ValidUntil DATETIME,
    Processed INT NOT NULL DEFAULT 0,
    MachineNameID INT,
    TokenIssuer VARCHAR(255),
    TokenSubject VARCHAR(255),
    TokenGroups VARCHAR(1024),
    PRIMARY KEY (TimeStamp, SiteID, LrmsId, CEID)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS BlahdRecords_BlahdJoinIdx ON BlahdRecords (SiteID, LrmsId);
CREATE INDEX IF NOT EXISTS BlahdRecords_BlahdProcessedIdx ON BlahdRecords (Processed);

-- Benchmark history of the compute elements; StopTime NULL: current. Source: 'manual' (configured) or 'bdii',
-- NULL where that isn't known.
CREATE TABLE IF NOT EXISTS SpecRecords (
    SiteID INT NOT NULL,
    CEID INT NOT NULL,
    StartTime DATETIME NOT NULL,
    StopTime DATETIME,
    ServiceLevelType VARCHAR(50) COLLATE NOCASE NOT NULL,
    ServiceLevel DECIMAL(10,3),
    Source VARCHAR(20),
    PRIMARY KEY (SiteID, CEID, StartTime, ServiceLevelType)
) WITHOUT ROWID;

-- The joiner's decisions about some events, on their way into JobRecords: filled and emptied in one
-- transaction, so that nobody ever sees a row here.
CREATE TABLE IF NOT EXISTS JoinWork (
    MachineNameID INT NOT NULL,
    JobName VARCHAR(255) NOT NULL,
    EndTime DATETIME NOT NULL,
    Status INT NOT NULL,
    CEID INT,
    TimeStamp DATETIME,
    GlobalUserNameID INT,
    FQAN VARCHAR(255),
    VOID INT,
    VOGroupID INT,
    VORoleID INT,
    ServiceLevelType VARCHAR(50) COLLATE NOCASE,
    ServiceLevel DECIMAL(10,3),
    TokenIssuer VARCHAR(255),
    TokenSubject VARCHAR(255),
    PRIMARY KEY (MachineNameID, JobName, EndTime)
) WITHOUT ROWID;

-- Joined jobs. The short month index replaces one of 16 columns, which slowed every insert by a fifth
-- and served one query.
CREATE TABLE IF NOT EXISTS JobRecords (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    SiteID INT NOT NULL,
    SubmitHostID INT NOT NULL,
    MachineNameID INT NOT NULL,
    QueueID INT NOT NULL,
    LocalJobId VARCHAR(255) NOT NULL,
    LocalUserId VARCHAR(255),
    GlobalUserNameID INT NOT NULL,
    FQAN VARCHAR(255),
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    WallDuration BIGINT CHECK (WallDuration >= 0),
    CpuDuration BIGINT CHECK (CpuDuration >= 0),
    NodeCount INT NOT NULL DEFAULT 0 CHECK (NodeCount >= 0),
    Processors INT NOT NULL DEFAULT 0 CHECK (Processors >= 0),
    MemoryReal BIGINT CHECK (MemoryReal >= 0),
    MemoryVirtual BIGINT CHECK (MemoryVirtual >= 0),
    StartTime DATETIME NOT NULL,
    EndTime DATETIME NOT NULL,
    EndYear INT,
    EndMonth INT,
    InfrastructureDescription VARCHAR(255),
    InfrastructureType VARCHAR(50),
    ServiceLevelType VARCHAR(50) COLLATE NOCASE NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL,
    PublisherDNID INT NOT NULL,
    TokenIssuer VARCHAR(255),
    TokenSubject VARCHAR(255),
    PRIMARY KEY (MachineNameID, LocalJobId, EndTime)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS JobRecords_JobMonthIdx ON JobRecords (SiteID, EndYear, EndMonth);
CREATE INDEX IF NOT EXISTS JobRecords_UpdateTimeIdx ON JobRecords (UpdateTime);

-- Accelerators of joined jobs, one row for each model. A row that is no more has no AvailableDuration.
CREATE TABLE IF NOT EXISTS AcceleratorRecords (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    MachineNameID INT NOT NULL,
    LocalJobId VARCHAR(255) NOT NULL,
    EndTime DATETIME NOT NULL,
    SiteID INT NOT NULL,
    SubmitHostID INT NOT NULL,
    GlobalUserNameID INT NOT NULL,
    FQAN VARCHAR(255),
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    InfrastructureType VARCHAR(50),
    MeasurementYear INT NOT NULL,
    MeasurementMonth INT NOT NULL,
    AssociatedRecord VARCHAR(255) NOT NULL,
    Model VARCHAR(255) NOT NULL,
    Type VARCHAR(20) NOT NULL,
    Count DECIMAL(12,6) NOT NULL,
    Cores INT,
    AvailableDuration BIGINT NOT NULL,
    ActiveDuration BIGINT,
    BenchmarkType VARCHAR(50) COLLATE NOCASE,
    Benchmark DECIMAL(10,3),
    PRIMARY KEY (MachineNameID, LocalJobId, EndTime, Model)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS AcceleratorRecords_UpdateTimeIdx ON AcceleratorRecords (UpdateTime);

-- Monthly sums of JobRecords.
CREATE TABLE IF NOT EXISTS SuperSummaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    SiteID INT NOT NULL,
    Month INT NOT NULL,
    Year INT NOT NULL,
    GlobalUserNameID INT NOT NULL,
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    SubmitHostId INT NOT NULL,
    InfrastructureType VARCHAR(50) NOT NULL DEFAULT 'None',
    ServiceLevelType VARCHAR(50) COLLATE NOCASE NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL,
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    EarliestEndTime DATETIME,
    LatestEndTime DATETIME,
    WallDuration BIGINT NOT NULL CHECK (WallDuration >= 0),
    CpuDuration BIGINT NOT NULL CHECK (CpuDuration >= 0),
    NumberOfJobs BIGINT NOT NULL CHECK (NumberOfJobs >= 0),
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId,
                 InfrastructureType, ServiceLevelType, ServiceLevel, NodeCount, Processors)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS SuperSummaries_UpdateTimeIdx ON SuperSummaries (UpdateTime);

-- All benchmarks that were in force for jobs with several; the preferred one stands in the job as well. Kept, not
-- looked up, so that no later change of SpecRecords changes a job.
CREATE TABLE IF NOT EXISTS JobBenchmarks (
    MachineNameID INT NOT NULL,
    LocalJobId VARCHAR(255) NOT NULL,
    EndTime DATETIME NOT NULL,
    BenchmarkType VARCHAR(50) COLLATE NOCASE NOT NULL,
    Benchmark DECIMAL(10,3) NOT NULL,
    PRIMARY KEY (MachineNameID, LocalJobId, EndTime, BenchmarkType)
) WITHOUT ROWID;

-- Of sums: those benchmarks that all of their jobs have with the same value.
CREATE TABLE IF NOT EXISTS SuperSummaryBenchmarks (
    SiteID INT NOT NULL,
    Month INT NOT NULL,
    Year INT NOT NULL,
    GlobalUserNameID INT NOT NULL,
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    SubmitHostId INT NOT NULL,
    InfrastructureType VARCHAR(50) NOT NULL,
    ServiceLevelType VARCHAR(50) COLLATE NOCASE NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL,
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    BenchmarkType VARCHAR(50) COLLATE NOCASE NOT NULL,
    Benchmark DECIMAL(10,3) NOT NULL,
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId,
                 InfrastructureType, ServiceLevelType, ServiceLevel, NodeCount, Processors, BenchmarkType)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS LastUpdated (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    Type VARCHAR(255) NOT NULL,
    PRIMARY KEY (Type)
) WITHOUT ROWID;

-- Log files and how far they have been read; the columns from Position on identify a file that grows,
-- is rotated or is compressed.
CREATE TABLE IF NOT EXISTS ProcessedFiles (
    HostName VARCHAR(255) NOT NULL,
    FileName VARCHAR(4096),
    Hash VARCHAR(64) NOT NULL,
    StopLine BIGINT,
    Parsed BIGINT,
    Position BIGINT,
    HeadLength INT,
    TailHash VARCHAR(64),
    Size BIGINT,
    ModifiedNs BIGINT,
    Inode BIGINT,
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (HostName, Hash)
) WITHOUT ROWID;

-- Lines that could not be parsed, kept for a later version of the parser.
CREATE TABLE IF NOT EXISTS RejectedLines (
    HostName VARCHAR(255) NOT NULL,
    Hash VARCHAR(64) NOT NULL,
    LineNumber BIGINT NOT NULL,
    FileName VARCHAR(4096),
    Line TEXT,
    Reason TEXT,
    ParserVersion VARCHAR(64),
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (HostName, Hash, LineNumber)
) WITHOUT ROWID;

-- Months whose summaries must be made again. A writer of JobRecords adds a row with a random Mark in
-- its own transaction; the summariser deletes exactly the marks it has read.
CREATE TABLE IF NOT EXISTS ChangedMonths (
    SiteID INT NOT NULL,
    Year INT NOT NULL,
    Month INT NOT NULL,
    Mark BIGINT NOT NULL,
    PRIMARY KEY (SiteID, Year, Month, Mark)
) WITHOUT ROWID;

-- Every row has its names, so these are inner joins in effect. LEFT JOIN lets the optimiser begin with a lookup
-- table only where there is a condition on its name: or else it reads all of JobRecords by way of Sites, where
-- the index on UpdateTime would give the few new rows.
CREATE VIEW IF NOT EXISTS VJobRecords AS
SELECT JobRecords.UpdateTime AS UpdateTime,
       Sites.name AS Site,
       SubmitHosts.name AS SubmitHost,
       MachineNames.name AS MachineName,
       Queues.name AS Queue,
       LocalJobId,
       LocalUserId,
       DNs.name AS GlobalUserName,
       FQAN,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       WallDuration,
       CpuDuration,
       Processors,
       NodeCount,
       StartTime,
       EndTime,
       InfrastructureDescription,
       InfrastructureType,
       MemoryReal,
       MemoryVirtual,
       ServiceLevelType,
       ServiceLevel,
       TokenIssuer,
       TokenSubject
FROM JobRecords
LEFT JOIN Sites ON Sites.id = JobRecords.SiteID
LEFT JOIN SubmitHosts ON SubmitHosts.id = JobRecords.SubmitHostID
LEFT JOIN MachineNames ON MachineNames.id = JobRecords.MachineNameID
LEFT JOIN Queues ON Queues.id = JobRecords.QueueID
LEFT JOIN DNs ON DNs.id = JobRecords.GlobalUserNameID
LEFT JOIN VOs ON VOs.id = JobRecords.VOID
LEFT JOIN VOGroups ON VOGroups.id = JobRecords.VOGroupID
LEFT JOIN VORoles ON VORoles.id = JobRecords.VORoleID;

CREATE VIEW IF NOT EXISTS VAcceleratorRecords AS
SELECT AcceleratorRecords.UpdateTime AS UpdateTime,
       MeasurementMonth,
       MeasurementYear,
       'job' AS AssociatedRecordType,
       AssociatedRecord,
       DNs.name AS GlobalUserName,
       FQAN,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       Sites.name AS SiteName,
       Count,
       Cores,
       AvailableDuration,
       ActiveDuration,
       BenchmarkType,
       Benchmark,
       Type,
       Model,
       SubmitHosts.name AS SubmitHost,
       MachineNames.name AS MachineName,
       LocalJobId,
       EndTime,
       InfrastructureType
FROM AcceleratorRecords
LEFT JOIN Sites ON Sites.id = AcceleratorRecords.SiteID
LEFT JOIN SubmitHosts ON SubmitHosts.id = AcceleratorRecords.SubmitHostID
LEFT JOIN MachineNames ON MachineNames.id = AcceleratorRecords.MachineNameID
LEFT JOIN DNs ON DNs.id = AcceleratorRecords.GlobalUserNameID
LEFT JOIN VOs ON VOs.id = AcceleratorRecords.VOID
LEFT JOIN VOGroups ON VOGroups.id = AcceleratorRecords.VOGroupID
LEFT JOIN VORoles ON VORoles.id = AcceleratorRecords.VORoleID;

-- Every sum, with those that have lost their jobs (NumberOfJobs 0): the centre must hear of these too.
CREATE VIEW IF NOT EXISTS VUnloadedSummaries AS
SELECT SuperSummaries.UpdateTime AS UpdateTime,
       Sites.name AS Site,
       Month,
       Year,
       DNs.name AS GlobalUserName,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       SubmitHosts.name AS SubmitHost,
       InfrastructureType,
       ServiceLevelType,
       ServiceLevel,
       NodeCount,
       Processors,
       EarliestEndTime,
       LatestEndTime,
       WallDuration,
       CpuDuration,
       NumberOfJobs
FROM SuperSummaries
LEFT JOIN Sites ON Sites.id = SuperSummaries.SiteID
LEFT JOIN DNs ON DNs.id = SuperSummaries.GlobalUserNameID
LEFT JOIN VOs ON VOs.id = SuperSummaries.VOID
LEFT JOIN VOGroups ON VOGroups.id = SuperSummaries.VOGroupID
LEFT JOIN VORoles ON VORoles.id = SuperSummaries.VORoleID
LEFT JOIN SubmitHosts ON SubmitHosts.id = SuperSummaries.SubmitHostId;

CREATE VIEW IF NOT EXISTS VSuperSummaries AS
SELECT UpdateTime,
       Site,
       Month,
       Year,
       GlobalUserName,
       VO,
       VOGroup,
       VORole,
       SubmitHost,
       InfrastructureType,
       ServiceLevelType,
       ServiceLevel,
       NodeCount,
       Processors,
       EarliestEndTime,
       LatestEndTime,
       WallDuration,
       CpuDuration,
       NumberOfJobs
FROM VUnloadedSummaries
WHERE NumberOfJobs > 0;

CREATE VIEW IF NOT EXISTS VSyncRecords AS
SELECT Sites.name AS Site,
       SubmitHosts.name AS SubmitHost,
       SUM(NumberOfJobs) AS NumberOfJobs,
       Month,
       Year
FROM SuperSummaries
JOIN Sites ON Sites.id = SuperSummaries.SiteID
JOIN SubmitHosts ON SubmitHosts.id = SuperSummaries.SubmitHostId
WHERE NumberOfJobs > 0
GROUP BY Sites.name, SubmitHosts.name, Month, Year;

CREATE VIEW IF NOT EXISTS VSpecRecords AS
SELECT Sites.name AS Site,
       SubmitHosts.name AS CE,
       StartTime,
       StopTime,
       ServiceLevelType,
       ServiceLevel
FROM SpecRecords
JOIN Sites ON Sites.id = SpecRecords.SiteID
JOIN SubmitHosts ON SubmitHosts.id = SpecRecords.CEID;

CREATE VIEW IF NOT EXISTS VProcessedFiles AS
SELECT HostName,
       FileName,
       Hash,
       StopLine,
       Parsed
FROM ProcessedFiles;
