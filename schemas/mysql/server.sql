-- Central database (MariaDB 10.3+, MySQL 8.0.17+), loaded by `apeldb init`; on MariaDB any client can load it too.
--
-- Collation: names that differ in case, accents or trailing blanks are different names. Most binary
-- collations ignore trailing blanks (PAD SPACE); utf8mb4_nopad_bin does not. MySQL calls its equal
-- utf8mb4_0900_bin, and `apeldb init` writes that name in its place there. Only benchmark names
-- (ServiceLevelType) are compared without regard to case.
-- UpdateTime moves when a row is inserted or really changed, not when equal values are written again.
-- Every statement may be repeated, so an interrupted init is simply started again.

-- One row for each version of this schema that was ever in force here. This table is made first: where others
-- of ours are without it, they are of another make, and left alone.
CREATE TABLE IF NOT EXISTS SchemaVersion (
    SchemaName VARCHAR(50) NOT NULL,
    Version INT NOT NULL,
    Software VARCHAR(50) NOT NULL,
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (SchemaName, Version)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Lookup tables: one row per name; the unique key settles what happens when two writers meet a new name.

CREATE TABLE IF NOT EXISTS Sites (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS DNs (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS SubmitHosts (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS MachineNames (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS Queues (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS VOs (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS VOGroups (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS VORoles (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Jobs as the sites sent them. The machine name is part of a job's identity: two batch systems of one site
-- may end jobs with the same id in the same second. The key begins with site and time, so that a message
-- is stored, and a month is summarised, in one stretch of the table. TokenIssuer, TokenSubject: what the
-- user's name (`issuer subject`) says, where it is of a token; NULL elsewhere.
CREATE TABLE IF NOT EXISTS JobRecords (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
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
    WallDuration BIGINT UNSIGNED,
    CpuDuration BIGINT UNSIGNED,
    NodeCount INT UNSIGNED NOT NULL DEFAULT 0,
    Processors INT UNSIGNED NOT NULL DEFAULT 0,
    MemoryReal BIGINT UNSIGNED,
    MemoryVirtual BIGINT UNSIGNED,
    StartTime DATETIME NOT NULL,
    EndTime DATETIME NOT NULL,
    EndYear INT,
    EndMonth INT,
    InfrastructureDescription VARCHAR(255),
    InfrastructureType VARCHAR(50),
    ServiceLevelType VARCHAR(50) COLLATE utf8mb4_general_ci NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL,
    PublisherDNID INT NOT NULL,
    TokenIssuer VARCHAR(255),
    TokenSubject VARCHAR(255),
    PRIMARY KEY (SiteID, EndTime, MachineNameID, LocalJobId),
    KEY JobMonthIdx (SiteID, EndYear, EndMonth),
    KEY UpdateTimeIdx (UpdateTime)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Monthly sums as the sites sent them. What kind of infrastructure they are about is part of their identity.
CREATE TABLE IF NOT EXISTS Summaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
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
    ServiceLevelType VARCHAR(50) COLLATE utf8mb4_general_ci NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL,
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    EarliestEndTime DATETIME,
    LatestEndTime DATETIME,
    WallDuration BIGINT UNSIGNED NOT NULL,
    CpuDuration BIGINT UNSIGNED NOT NULL,
    NumberOfJobs BIGINT UNSIGNED NOT NULL,
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId,
                 InfrastructureType, InfrastructureDescription, ServiceLevelType, ServiceLevel, NodeCount, Processors),
    KEY UpdateTimeIdx (UpdateTime)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Monthly sums that came normalised by benchmark.
CREATE TABLE IF NOT EXISTS NormalisedSummaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
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
    ServiceLevelType VARCHAR(50) COLLATE utf8mb4_general_ci NOT NULL DEFAULT '',
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    EarliestEndTime DATETIME,
    LatestEndTime DATETIME,
    WallDuration BIGINT UNSIGNED NOT NULL,
    CpuDuration BIGINT UNSIGNED NOT NULL,
    NormalisedWallDuration BIGINT UNSIGNED NOT NULL,
    NormalisedCpuDuration BIGINT UNSIGNED NOT NULL,
    NumberOfJobs BIGINT UNSIGNED NOT NULL,
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId,
                 Infrastructure, InfrastructureDescription, NodeCount, Processors, ServiceLevelType),
    KEY UpdateTimeIdx (UpdateTime)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- All benchmarks of records that came with several (v0.4 messages); the preferred one stands in the record.
-- Rows are named as their record is, and hold nothing for records with one benchmark.
CREATE TABLE IF NOT EXISTS JobBenchmarks (
    SiteID INT NOT NULL,
    EndTime DATETIME NOT NULL,
    MachineNameID INT NOT NULL,
    LocalJobId VARCHAR(255) NOT NULL,
    BenchmarkType VARCHAR(50) COLLATE utf8mb4_general_ci NOT NULL,
    Benchmark DOUBLE NOT NULL,
    PRIMARY KEY (SiteID, EndTime, MachineNameID, LocalJobId, BenchmarkType)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

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
    ServiceLevelType VARCHAR(50) COLLATE utf8mb4_general_ci NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL,
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    BenchmarkType VARCHAR(50) COLLATE utf8mb4_general_ci NOT NULL,
    Benchmark DOUBLE NOT NULL,
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId, InfrastructureType,
                 InfrastructureDescription, ServiceLevelType, ServiceLevel, NodeCount, Processors, BenchmarkType)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

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
    ServiceLevelType VARCHAR(50) COLLATE utf8mb4_general_ci NOT NULL,
    BenchmarkType VARCHAR(50) COLLATE utf8mb4_general_ci NOT NULL,
    NormalisedWallDuration BIGINT UNSIGNED,
    NormalisedCpuDuration BIGINT UNSIGNED,
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId, Infrastructure,
                 InfrastructureDescription, NodeCount, Processors, ServiceLevelType, BenchmarkType)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- What the summariser makes of jobs, summaries and normalised summaries: the source of all views of sums.
CREATE TABLE IF NOT EXISTS HybridSuperSummaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
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
    ServiceLevelType VARCHAR(50) COLLATE utf8mb4_general_ci NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL DEFAULT 0,
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    EarliestEndTime DATETIME,
    LatestEndTime DATETIME,
    WallDuration BIGINT UNSIGNED NOT NULL,
    CpuDuration BIGINT UNSIGNED NOT NULL,
    NormalisedWallDuration BIGINT UNSIGNED NOT NULL,
    NormalisedCpuDuration BIGINT UNSIGNED NOT NULL,
    NumberOfJobs BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId,
                 Infrastructure, InfrastructureDescription, ServiceLevelType, ServiceLevel, NodeCount, Processors),
    KEY UpdateTimeIdx (UpdateTime)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Not written since APEL 1.3.0; kept for scripts that look for it.
CREATE TABLE IF NOT EXISTS SuperSummaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
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
    ServiceLevelType VARCHAR(50) COLLATE utf8mb4_general_ci NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL,
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    EarliestEndTime DATETIME,
    LatestEndTime DATETIME,
    WallDuration BIGINT UNSIGNED NOT NULL,
    CpuDuration BIGINT UNSIGNED NOT NULL,
    NumberOfJobs BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId,
                 InfrastructureType, InfrastructureDescription, ServiceLevelType, ServiceLevel, NodeCount, Processors),
    KEY UpdateTimeIdx (UpdateTime)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- How many jobs each site says it holds for a month.
CREATE TABLE IF NOT EXISTS SyncRecords (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    SiteID INT NOT NULL,
    SubmitHostID INT NOT NULL,
    NumberOfJobs BIGINT,
    Month INT NOT NULL,
    Year INT NOT NULL,
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (SiteID, SubmitHostID, Month, Year),
    KEY UpdateTimeIdx (UpdateTime),
    KEY MonthIdx (Year, Month)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS LastUpdated (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    Type VARCHAR(255) NOT NULL,
    PRIMARY KEY (Type)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Months whose summaries must be made again. A writer of JobRecords, Summaries or
-- NormalisedSummaries adds a row with a random Mark in its own transaction; the
-- summariser deletes exactly the marks it has read.
CREATE TABLE IF NOT EXISTS ChangedMonths (
    SiteID INT NOT NULL,
    Year INT NOT NULL,
    Month INT NOT NULL,
    Mark BIGINT NOT NULL,
    PRIMARY KEY (SiteID, Year, Month, Mark)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

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
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Every row has its names, so these are inner joins in effect. LEFT JOIN lets the optimiser begin with a lookup
-- table only where there is a condition on its name: or else it reads all of JobRecords by way of Sites, where
-- the index on UpdateTime would give the few new rows.
CREATE OR REPLACE VIEW VJobRecords AS
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

CREATE OR REPLACE VIEW VSummaries AS
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

CREATE OR REPLACE VIEW VNormalisedSummaries AS
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

CREATE OR REPLACE VIEW VSuperSummaries AS
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
CREATE OR REPLACE VIEW VUnloadedSums AS
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
CREATE OR REPLACE VIEW VNormalisedSuperSummaries AS
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
CREATE OR REPLACE VIEW VUserSummaries AS
SELECT Year,
       Month,
       Sites.name AS Site,
       VOs.name AS VO,
       DNs.name AS GlobalUserName,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       SUM(WallDuration) AS TotalWallDuration,
       SUM(CpuDuration) AS TotalCpuDuration,
       ROUND(SUM(NormalisedWallDuration) / 3600, 2) AS NormalisedWallDuration,
       ROUND(SUM(NormalisedCpuDuration) / 3600, 2) AS NormalisedCpuDuration,
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

CREATE OR REPLACE VIEW VSyncRecords AS
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
CREATE OR REPLACE VIEW VSumCPU AS
SELECT Sites.name AS ExecutingSite,
       VOs.name AS LCGUserVO,
       SUM(NumberOfJobs) AS Njobs,
       ROUND(SUM(CpuDuration) / 3600) AS SumCPU,
       ROUND(SUM(NormalisedCpuDuration) / 14400) AS NormSumCPU,
       ROUND(SUM(WallDuration) / 3600) AS SumWCT,
       ROUND(SUM(NormalisedWallDuration) / 14400) AS NormSumWCT,
       Month,
       Year,
       DATE(MIN(EarliestEndTime)) AS RecordStart,
       DATE(MAX(LatestEndTime)) AS RecordEnd
FROM HybridSuperSummaries
JOIN Sites ON Sites.id = HybridSuperSummaries.SiteID
JOIN VOs ON VOs.id = HybridSuperSummaries.VOID
WHERE NumberOfJobs > 0
GROUP BY Sites.name, VOs.name, Month, Year;

CREATE OR REPLACE VIEW VUserCPU AS
SELECT Sites.name AS ExecutingSite,
       VOs.name AS LCGUserVO,
       DNs.name AS UserDN,
       VOGroups.name AS PrimaryGroup,
       VORoles.name AS PrimaryRole,
       SUM(NumberOfJobs) AS Njobs,
       ROUND(SUM(CpuDuration) / 3600) AS SumCPU,
       ROUND(SUM(NormalisedCpuDuration) / 14400) AS NormSumCPU,
       ROUND(SUM(WallDuration) / 3600) AS SumWCT,
       ROUND(SUM(NormalisedWallDuration) / 14400) AS NormSumWCT,
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
CREATE OR REPLACE VIEW VSpecIntHistory AS
SELECT Site AS ExecutingSite,
       SpecInt2000,
       SUM(NumberOfJobs) AS Njobs,
       Month,
       Year,
       DATE(MIN(EarliestEndTime)) AS RecordStart,
       DATE(MAX(LatestEndTime)) AS RecordEnd
FROM (
    SELECT Sites.name AS Site,
           ROUND(CASE WHEN ServiceLevelType = 'si2k' THEN ServiceLevel ELSE ServiceLevel * 250 END) AS SpecInt2000,
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
CREATE OR REPLACE VIEW VHepSpecHistory AS
SELECT Site,
       HepSpec06,
       SUM(NumberOfJobs) AS NumberOfJobs,
       Year,
       Month,
       DATE(MIN(EarliestEndTime)) AS EarliestEndDate,
       DATE(MAX(LatestEndTime)) AS LatestEndDate
FROM (
    SELECT Sites.name AS Site,
           CASE WHEN ServiceLevelType = 'si2k' THEN ServiceLevel / 250 ELSE ServiceLevel END AS HepSpec06,
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

CREATE OR REPLACE VIEW VLcgRecordsSync_v2 AS
SELECT CONCAT(Sites.name, '-', Year, '-', Month) AS RecordIdentity,
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
