-- Central database (SQLite 3.24+), with the tables, columns and views of ../mysql/server.sql, which explains them.
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

-- Jobs as the sites sent them. The machine name is part of a job's identity: two batch systems of one site
-- may end jobs with the same id in the same second. The key begins with site and time, so that a message
-- is stored, and a month is summarised, in one stretch of the table.
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
    PRIMARY KEY (SiteID, EndTime, MachineNameID, LocalJobId)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS JobRecords_JobMonthIdx ON JobRecords (SiteID, EndYear, EndMonth);
CREATE INDEX IF NOT EXISTS JobRecords_UpdateTimeIdx ON JobRecords (UpdateTime);

-- Monthly sums as the sites sent them. What kind of infrastructure they are about is part of their identity.
CREATE TABLE IF NOT EXISTS Summaries (
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
    InfrastructureDescription VARCHAR(255) NOT NULL DEFAULT 'None',
    ServiceLevelType VARCHAR(50) COLLATE NOCASE NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL,
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    EarliestEndTime DATETIME,
    LatestEndTime DATETIME,
    WallDuration BIGINT NOT NULL CHECK (WallDuration >= 0),
    CpuDuration BIGINT NOT NULL CHECK (CpuDuration >= 0),
    NumberOfJobs BIGINT NOT NULL CHECK (NumberOfJobs >= 0),
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId,
                 InfrastructureType, InfrastructureDescription, ServiceLevelType, ServiceLevel, NodeCount, Processors)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS Summaries_UpdateTimeIdx ON Summaries (UpdateTime);

-- Monthly sums that came normalised by benchmark.
CREATE TABLE IF NOT EXISTS NormalisedSummaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    SiteID INT NOT NULL,
    Month INT NOT NULL,
    Year INT NOT NULL,
    GlobalUserNameID INT NOT NULL,
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    SubmitHostId INT NOT NULL,
    Infrastructure VARCHAR(50) NOT NULL DEFAULT 'None',
    InfrastructureDescription VARCHAR(255) NOT NULL DEFAULT 'None',
    ServiceLevelType VARCHAR(50) COLLATE NOCASE NOT NULL DEFAULT '',
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    EarliestEndTime DATETIME,
    LatestEndTime DATETIME,
    WallDuration BIGINT NOT NULL CHECK (WallDuration >= 0),
    CpuDuration BIGINT NOT NULL CHECK (CpuDuration >= 0),
    NormalisedWallDuration BIGINT NOT NULL CHECK (NormalisedWallDuration >= 0),
    NormalisedCpuDuration BIGINT NOT NULL CHECK (NormalisedCpuDuration >= 0),
    NumberOfJobs BIGINT NOT NULL CHECK (NumberOfJobs >= 0),
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId,
                 Infrastructure, InfrastructureDescription, NodeCount, Processors, ServiceLevelType)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS NormalisedSummaries_UpdateTimeIdx ON NormalisedSummaries (UpdateTime);

-- All benchmarks of records that came with several (v0.4 messages); the preferred one stands in the record.
-- Rows are named as their record is, and hold nothing for records with one benchmark.
CREATE TABLE IF NOT EXISTS JobBenchmarks (
    SiteID INT NOT NULL,
    EndTime DATETIME NOT NULL,
    MachineNameID INT NOT NULL,
    LocalJobId VARCHAR(255) NOT NULL,
    BenchmarkType VARCHAR(50) COLLATE NOCASE NOT NULL,
    Benchmark DOUBLE NOT NULL,
    PRIMARY KEY (SiteID, EndTime, MachineNameID, LocalJobId, BenchmarkType)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS SummaryBenchmarks (
    SiteID INT NOT NULL,
    Month INT NOT NULL,
    Year INT NOT NULL,
    GlobalUserNameID INT NOT NULL,
    VOID INT NOT NULL,
    VORoleID INT NOT NULL,
    VOGroupID INT NOT NULL,
    SubmitHostId INT NOT NULL,
    InfrastructureType VARCHAR(50) NOT NULL,
    InfrastructureDescription VARCHAR(255) NOT NULL,
    ServiceLevelType VARCHAR(50) COLLATE NOCASE NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL,
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    BenchmarkType VARCHAR(50) COLLATE NOCASE NOT NULL,
    Benchmark DOUBLE NOT NULL,
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId, InfrastructureType,
                 InfrastructureDescription, ServiceLevelType, ServiceLevel, NodeCount, Processors, BenchmarkType)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS NormalisedSummaryBenchmarks (
    SiteID INT NOT NULL,
    Month INT NOT NULL,
    Year INT NOT NULL,
    GlobalUserNameID INT NOT NULL,
    VOID INT NOT NULL,
    VORoleID INT NOT NULL,
    VOGroupID INT NOT NULL,
    SubmitHostId INT NOT NULL,
    Infrastructure VARCHAR(50) NOT NULL,
    InfrastructureDescription VARCHAR(255) NOT NULL,
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    ServiceLevelType VARCHAR(50) COLLATE NOCASE NOT NULL,
    BenchmarkType VARCHAR(50) COLLATE NOCASE NOT NULL,
    NormalisedWallDuration BIGINT,
    NormalisedCpuDuration BIGINT,
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId, Infrastructure,
                 InfrastructureDescription, NodeCount, Processors, ServiceLevelType, BenchmarkType)
) WITHOUT ROWID;

-- What the summariser makes of jobs, summaries and normalised summaries: the source of all views of sums.
CREATE TABLE IF NOT EXISTS HybridSuperSummaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    SiteID INT NOT NULL,
    Month INT NOT NULL,
    Year INT NOT NULL,
    GlobalUserNameID INT NOT NULL,
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    SubmitHostId INT NOT NULL,
    Infrastructure VARCHAR(50) NOT NULL DEFAULT 'None',
    InfrastructureDescription VARCHAR(255) NOT NULL DEFAULT 'None',
    ServiceLevelType VARCHAR(50) COLLATE NOCASE NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL DEFAULT 0,
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    EarliestEndTime DATETIME,
    LatestEndTime DATETIME,
    WallDuration BIGINT NOT NULL CHECK (WallDuration >= 0),
    CpuDuration BIGINT NOT NULL CHECK (CpuDuration >= 0),
    NormalisedWallDuration BIGINT NOT NULL CHECK (NormalisedWallDuration >= 0),
    NormalisedCpuDuration BIGINT NOT NULL CHECK (NormalisedCpuDuration >= 0),
    NumberOfJobs BIGINT NOT NULL CHECK (NumberOfJobs >= 0),
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId,
                 Infrastructure, InfrastructureDescription, ServiceLevelType, ServiceLevel, NodeCount, Processors)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS HybridSuperSummaries_UpdateTimeIdx ON HybridSuperSummaries (UpdateTime);

-- Not written since APEL 1.3.0; kept for scripts that look for it.
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
    InfrastructureDescription VARCHAR(255) NOT NULL DEFAULT 'None',
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
                 InfrastructureType, InfrastructureDescription, ServiceLevelType, ServiceLevel, NodeCount, Processors)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS SuperSummaries_UpdateTimeIdx ON SuperSummaries (UpdateTime);

-- How many jobs each site says it holds for a month.
CREATE TABLE IF NOT EXISTS SyncRecords (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    SiteID INT NOT NULL,
    SubmitHostID INT NOT NULL,
    NumberOfJobs BIGINT,
    Month INT NOT NULL,
    Year INT NOT NULL,
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (SiteID, SubmitHostID, Month, Year)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS SyncRecords_UpdateTimeIdx ON SyncRecords (UpdateTime);
CREATE INDEX IF NOT EXISTS SyncRecords_MonthIdx ON SyncRecords (Year, Month);

CREATE TABLE IF NOT EXISTS LastUpdated (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    Type VARCHAR(255) NOT NULL,
    PRIMARY KEY (Type)
) WITHOUT ROWID;

-- Months whose summaries must be made again. A writer of JobRecords, Summaries or
-- NormalisedSummaries adds a row with a random Mark in its own transaction; the
-- summariser deletes exactly the marks it has read.
CREATE TABLE IF NOT EXISTS ChangedMonths (
    SiteID INT NOT NULL,
    Year INT NOT NULL,
    Month INT NOT NULL,
    Mark BIGINT NOT NULL,
    PRIMARY KEY (SiteID, Year, Month, Mark)
) WITHOUT ROWID;

-- Months whose job records are no more (State purged), are about to go (closed), or come back (restoring): their
-- sums stand as they are. Jobs says how many there were; Mark is written by whoever relies on the state.
CREATE TABLE IF NOT EXISTS ClosedMonths (
    SiteID INT NOT NULL,
    Year INT NOT NULL,
    Month INT NOT NULL,
    State VARCHAR(20) NOT NULL,
    Jobs BIGINT NOT NULL,
    ClosedTime DATETIME NOT NULL,
    Mark BIGINT NOT NULL,
    PRIMARY KEY (SiteID, Year, Month)
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

CREATE VIEW IF NOT EXISTS VSummaries AS
SELECT Summaries.UpdateTime AS UpdateTime,
       Sites.name AS Site,
       Month,
       Year,
       DNs.name AS GlobalUserName,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       SubmitHosts.name AS SubmitHost,
       InfrastructureType,
       InfrastructureDescription,
       ServiceLevelType,
       ServiceLevel,
       NodeCount,
       Processors,
       EarliestEndTime,
       LatestEndTime,
       WallDuration,
       CpuDuration,
       NumberOfJobs
FROM Summaries
LEFT JOIN Sites ON Sites.id = Summaries.SiteID
LEFT JOIN DNs ON DNs.id = Summaries.GlobalUserNameID
LEFT JOIN VOs ON VOs.id = Summaries.VOID
LEFT JOIN VOGroups ON VOGroups.id = Summaries.VOGroupID
LEFT JOIN VORoles ON VORoles.id = Summaries.VORoleID
LEFT JOIN SubmitHosts ON SubmitHosts.id = Summaries.SubmitHostId;

CREATE VIEW IF NOT EXISTS VNormalisedSummaries AS
SELECT NormalisedSummaries.UpdateTime AS UpdateTime,
       Sites.name AS Site,
       Month,
       Year,
       DNs.name AS GlobalUserName,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       SubmitHosts.name AS SubmitHost,
       Infrastructure,
       InfrastructureDescription,
       ServiceLevelType,
       NodeCount,
       Processors,
       EarliestEndTime,
       LatestEndTime,
       WallDuration,
       CpuDuration,
       NormalisedWallDuration,
       NormalisedCpuDuration,
       NumberOfJobs
FROM NormalisedSummaries
LEFT JOIN Sites ON Sites.id = NormalisedSummaries.SiteID
LEFT JOIN DNs ON DNs.id = NormalisedSummaries.GlobalUserNameID
LEFT JOIN VOs ON VOs.id = NormalisedSummaries.VOID
LEFT JOIN VOGroups ON VOGroups.id = NormalisedSummaries.VOGroupID
LEFT JOIN VORoles ON VORoles.id = NormalisedSummaries.VORoleID
LEFT JOIN SubmitHosts ON SubmitHosts.id = NormalisedSummaries.SubmitHostId;

CREATE VIEW IF NOT EXISTS VSuperSummaries AS
SELECT HybridSuperSummaries.UpdateTime AS UpdateTime,
       Sites.name AS Site,
       Month,
       Year,
       DNs.name AS GlobalUserName,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       SubmitHosts.name AS SubmitHost,
       Infrastructure AS InfrastructureType,
       InfrastructureDescription,
       ServiceLevelType,
       ServiceLevel,
       NodeCount,
       Processors,
       EarliestEndTime,
       LatestEndTime,
       WallDuration,
       CpuDuration,
       NumberOfJobs
FROM HybridSuperSummaries
LEFT JOIN Sites ON Sites.id = HybridSuperSummaries.SiteID
LEFT JOIN DNs ON DNs.id = HybridSuperSummaries.GlobalUserNameID
LEFT JOIN VOs ON VOs.id = HybridSuperSummaries.VOID
LEFT JOIN VOGroups ON VOGroups.id = HybridSuperSummaries.VOGroupID
LEFT JOIN VORoles ON VORoles.id = HybridSuperSummaries.VORoleID
LEFT JOIN SubmitHosts ON SubmitHosts.id = HybridSuperSummaries.SubmitHostId
WHERE NumberOfJobs > 0;

-- All columns of all sums, by names, with those that have lost their jobs: what is unloaded, since receivers replace
-- row by row.
CREATE VIEW IF NOT EXISTS VUnloadedSums AS
SELECT HybridSuperSummaries.UpdateTime AS UpdateTime,
       Sites.name AS Site,
       Month,
       Year,
       DNs.name AS GlobalUserName,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       SubmitHosts.name AS SubmitHost,
       Infrastructure,
       Infrastructure AS InfrastructureType,
       InfrastructureDescription,
       ServiceLevelType,
       ServiceLevel,
       NodeCount,
       Processors,
       EarliestEndTime,
       LatestEndTime,
       WallDuration,
       CpuDuration,
       NormalisedWallDuration,
       NormalisedCpuDuration,
       NumberOfJobs
FROM HybridSuperSummaries
LEFT JOIN Sites ON Sites.id = HybridSuperSummaries.SiteID
LEFT JOIN DNs ON DNs.id = HybridSuperSummaries.GlobalUserNameID
LEFT JOIN VOs ON VOs.id = HybridSuperSummaries.VOID
LEFT JOIN VOGroups ON VOGroups.id = HybridSuperSummaries.VOGroupID
LEFT JOIN VORoles ON VORoles.id = HybridSuperSummaries.VORoleID
LEFT JOIN SubmitHosts ON SubmitHosts.id = HybridSuperSummaries.SubmitHostId;

-- Summed over ServiceLevel: what is unloaded to the portal.
CREATE VIEW IF NOT EXISTS VNormalisedSuperSummaries AS
SELECT MAX(HybridSuperSummaries.UpdateTime) AS UpdateTime,
       Sites.name AS Site,
       Month,
       Year,
       DNs.name AS GlobalUserName,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       SubmitHosts.name AS SubmitHost,
       Infrastructure,
       InfrastructureDescription,
       ServiceLevelType,
       NodeCount,
       Processors,
       MIN(EarliestEndTime) AS EarliestEndTime,
       MAX(LatestEndTime) AS LatestEndTime,
       SUM(WallDuration) AS WallDuration,
       SUM(CpuDuration) AS CpuDuration,
       SUM(NormalisedWallDuration) AS NormalisedWallDuration,
       SUM(NormalisedCpuDuration) AS NormalisedCpuDuration,
       SUM(NumberOfJobs) AS NumberOfJobs
FROM HybridSuperSummaries
JOIN Sites ON Sites.id = HybridSuperSummaries.SiteID
JOIN DNs ON DNs.id = HybridSuperSummaries.GlobalUserNameID
JOIN VOs ON VOs.id = HybridSuperSummaries.VOID
JOIN VOGroups ON VOGroups.id = HybridSuperSummaries.VOGroupID
JOIN VORoles ON VORoles.id = HybridSuperSummaries.VORoleID
JOIN SubmitHosts ON SubmitHosts.id = HybridSuperSummaries.SubmitHostId
WHERE NumberOfJobs > 0
GROUP BY Sites.name, Month, Year, DNs.name, VOs.name, VOGroups.name, VORoles.name, SubmitHosts.name,
         Infrastructure, InfrastructureDescription, ServiceLevelType, NodeCount, Processors;

-- Durations in seconds, normalised durations in hours.
CREATE VIEW IF NOT EXISTS VUserSummaries AS
SELECT Year,
       Month,
       Sites.name AS Site,
       VOs.name AS VO,
       DNs.name AS GlobalUserName,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       SUM(WallDuration) AS TotalWallDuration,
       SUM(CpuDuration) AS TotalCpuDuration,
       ROUND(SUM(NormalisedWallDuration) / 3600.0, 2) AS NormalisedWallDuration,
       ROUND(SUM(NormalisedCpuDuration) / 3600.0, 2) AS NormalisedCpuDuration,
       SUM(NumberOfJobs) AS TotalNumberOfJobs,
       MIN(EarliestEndTime) AS EarliestEndTime,
       MAX(LatestEndTime) AS LatestEndTime
FROM HybridSuperSummaries
JOIN Sites ON Sites.id = HybridSuperSummaries.SiteID
JOIN VOs ON VOs.id = HybridSuperSummaries.VOID
JOIN DNs ON DNs.id = HybridSuperSummaries.GlobalUserNameID
JOIN VOGroups ON VOGroups.id = HybridSuperSummaries.VOGroupID
JOIN VORoles ON VORoles.id = HybridSuperSummaries.VORoleID
WHERE NumberOfJobs > 0
GROUP BY Year, Month, Sites.name, VOs.name, DNs.name, VOGroups.name, VORoles.name;

CREATE VIEW IF NOT EXISTS VSyncRecords AS
SELECT SyncRecords.UpdateTime AS UpdateTime,
       Sites.name AS Site,
       SubmitHosts.name AS SubmitHost,
       NumberOfJobs,
       Month,
       Year
FROM SyncRecords
LEFT JOIN Sites ON Sites.id = SyncRecords.SiteID
LEFT JOIN SubmitHosts ON SubmitHosts.id = SyncRecords.SubmitHostID;

-- Views the portal reads. Sums in hours; normalised sums in kSI2K hours (a quarter of HS06 hours).
CREATE VIEW IF NOT EXISTS VSumCPU AS
SELECT Sites.name AS ExecutingSite,
       VOs.name AS LCGUserVO,
       SUM(NumberOfJobs) AS Njobs,
       CAST(ROUND(SUM(CpuDuration) / 3600.0) AS INTEGER) AS SumCPU,
       CAST(ROUND(SUM(NormalisedCpuDuration) / 14400.0) AS INTEGER) AS NormSumCPU,
       CAST(ROUND(SUM(WallDuration) / 3600.0) AS INTEGER) AS SumWCT,
       CAST(ROUND(SUM(NormalisedWallDuration) / 14400.0) AS INTEGER) AS NormSumWCT,
       Month,
       Year,
       DATE(MIN(EarliestEndTime)) AS RecordStart,
       DATE(MAX(LatestEndTime)) AS RecordEnd
FROM HybridSuperSummaries
JOIN Sites ON Sites.id = HybridSuperSummaries.SiteID
JOIN VOs ON VOs.id = HybridSuperSummaries.VOID
WHERE NumberOfJobs > 0
GROUP BY Sites.name, VOs.name, Month, Year;

CREATE VIEW IF NOT EXISTS VUserCPU AS
SELECT Sites.name AS ExecutingSite,
       VOs.name AS LCGUserVO,
       DNs.name AS UserDN,
       VOGroups.name AS PrimaryGroup,
       VORoles.name AS PrimaryRole,
       SUM(NumberOfJobs) AS Njobs,
       CAST(ROUND(SUM(CpuDuration) / 3600.0) AS INTEGER) AS SumCPU,
       CAST(ROUND(SUM(NormalisedCpuDuration) / 14400.0) AS INTEGER) AS NormSumCPU,
       CAST(ROUND(SUM(WallDuration) / 3600.0) AS INTEGER) AS SumWCT,
       CAST(ROUND(SUM(NormalisedWallDuration) / 14400.0) AS INTEGER) AS NormSumWCT,
       Month,
       Year,
       DATE(MIN(EarliestEndTime)) AS RecordStart,
       DATE(MAX(LatestEndTime)) AS RecordEnd
FROM HybridSuperSummaries
JOIN Sites ON Sites.id = HybridSuperSummaries.SiteID
JOIN VOs ON VOs.id = HybridSuperSummaries.VOID
JOIN DNs ON DNs.id = HybridSuperSummaries.GlobalUserNameID
JOIN VOGroups ON VOGroups.id = HybridSuperSummaries.VOGroupID
JOIN VORoles ON VORoles.id = HybridSuperSummaries.VORoleID
WHERE NumberOfJobs > 0
GROUP BY Sites.name, VOs.name, DNs.name, VOGroups.name, VORoles.name, Month, Year;

-- Benchmarks in use, in SpecInt2000 (250 to one HEPSPEC06).
CREATE VIEW IF NOT EXISTS VSpecIntHistory AS
SELECT Site AS ExecutingSite,
       SpecInt2000,
       SUM(NumberOfJobs) AS Njobs,
       Month,
       Year,
       DATE(MIN(EarliestEndTime)) AS RecordStart,
       DATE(MAX(LatestEndTime)) AS RecordEnd
FROM (
    SELECT Sites.name AS Site,
           CAST(ROUND(CASE WHEN ServiceLevelType = 'si2k' THEN ServiceLevel ELSE ServiceLevel * 250 END) AS INTEGER) AS SpecInt2000,
           NumberOfJobs,
           Month,
           Year,
           EarliestEndTime,
           LatestEndTime
    FROM HybridSuperSummaries
    JOIN Sites ON Sites.id = HybridSuperSummaries.SiteID
    WHERE ServiceLevelType <> '' AND NumberOfJobs > 0
) AS Levels
GROUP BY Site, SpecInt2000, Month, Year;

-- Benchmarks in use, in HEPSPEC06.
CREATE VIEW IF NOT EXISTS VHepSpecHistory AS
SELECT Site,
       HepSpec06,
       SUM(NumberOfJobs) AS NumberOfJobs,
       Year,
       Month,
       DATE(MIN(EarliestEndTime)) AS EarliestEndDate,
       DATE(MAX(LatestEndTime)) AS LatestEndDate
FROM (
    SELECT Sites.name AS Site,
           CASE WHEN ServiceLevelType = 'si2k' THEN ServiceLevel / 250.0 ELSE ServiceLevel END AS HepSpec06,
           NumberOfJobs,
           Year,
           Month,
           EarliestEndTime,
           LatestEndTime
    FROM HybridSuperSummaries
    JOIN Sites ON Sites.id = HybridSuperSummaries.SiteID
    WHERE ServiceLevelType <> '' AND NumberOfJobs > 0
) AS Levels
GROUP BY Site, HepSpec06, Year, Month;

CREATE VIEW IF NOT EXISTS VLcgRecordsSync_v2 AS
SELECT Sites.name || '-' || Year || '-' || Month AS RecordIdentity,
       Sites.name AS ExecutingSite,
       SUM(NumberOfJobs) AS Njobs,
       NULL AS Ndays,
       NULL AS RecordStart,
       NULL AS RecordEnd,
       DATE(MAX(SyncRecords.UpdateTime)) AS MeasurementDate,
       TIME(MAX(SyncRecords.UpdateTime)) AS MeasurementTime
FROM SyncRecords
JOIN Sites ON Sites.id = SyncRecords.SiteID
GROUP BY Sites.name, Year, Month;
