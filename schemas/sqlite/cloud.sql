-- Cloud database (SQLite 3.24+), with the tables, columns and views of ../mysql/cloud.sql, which explains them.

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
-- The other schemas of the centre have some of them too, and may be in the same database.

CREATE TABLE IF NOT EXISTS Sites (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS DNs (
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

CREATE TABLE IF NOT EXISTS CloudComputeServices (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

-- What the sites say of each virtual machine, once for each month: figures since its start, as of MeasurementTime. The
-- record that was made last (RecordCreateTime) stays, in whatever order they come. The site is part of the identity:
-- no site writes over another's machines.
CREATE TABLE IF NOT EXISTS CloudRecords (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    RecordCreateTime DATETIME NOT NULL,
    VMUUID VARCHAR(255) NOT NULL,
    SiteID INT NOT NULL,
    CloudComputeServiceID INT NOT NULL,
    MachineName VARCHAR(255),
    LocalUserId VARCHAR(255),
    LocalGroupId VARCHAR(255),
    GlobalUserNameID INT NOT NULL,
    FQAN VARCHAR(255),
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    Status VARCHAR(255),
    StartTime DATETIME,
    EndTime DATETIME,
    MeasurementTime DATETIME NOT NULL,
    MeasurementMonth INT NOT NULL,
    MeasurementYear INT NOT NULL,
    SuspendDuration BIGINT CHECK (SuspendDuration >= 0),
    WallDuration BIGINT CHECK (WallDuration >= 0),
    CpuDuration BIGINT CHECK (CpuDuration >= 0),
    CpuCount DECIMAL(10,3),
    NetworkType VARCHAR(255),
    NetworkInbound BIGINT CHECK (NetworkInbound >= 0),
    NetworkOutbound BIGINT CHECK (NetworkOutbound >= 0),
    PublicIPCount BIGINT,
    Memory BIGINT CHECK (Memory >= 0),
    Disk BIGINT CHECK (Disk >= 0),
    BenchmarkType VARCHAR(50) NOT NULL,
    Benchmark DECIMAL(10,3) NOT NULL,
    StorageRecordId VARCHAR(255),
    ImageId VARCHAR(255),
    CloudType VARCHAR(255),
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (SiteID, VMUUID, MeasurementYear, MeasurementMonth)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS CloudRecords_MeasurementIdx ON CloudRecords (SiteID, VMUUID, MeasurementTime);
CREATE INDEX IF NOT EXISTS CloudRecords_MonthIdx ON CloudRecords (SiteID, MeasurementYear, MeasurementMonth);
CREATE INDEX IF NOT EXISTS CloudRecords_UserIdx ON CloudRecords (GlobalUserNameID);
CREATE INDEX IF NOT EXISTS CloudRecords_ImageIdx ON CloudRecords (ImageId);
CREATE INDEX IF NOT EXISTS CloudRecords_UpdateTimeIdx ON CloudRecords (UpdateTime);

-- What the machines of a month used in it. PublisherDNID is `summariser`, or as text the id of the DN of whoever sent it.
CREATE TABLE IF NOT EXISTS CloudSummaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    SiteID INT NOT NULL,
    CloudComputeServiceID INT NOT NULL,
    Month INT NOT NULL,
    Year INT NOT NULL,
    GlobalUserNameID INT NOT NULL,
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    Status VARCHAR(255) NOT NULL,
    CloudType VARCHAR(255),
    ImageId VARCHAR(255) NOT NULL,
    EarliestStartTime DATETIME,
    LatestStartTime DATETIME,
    WallDuration BIGINT CHECK (WallDuration >= 0),
    CpuDuration BIGINT CHECK (CpuDuration >= 0),
    CpuCount DECIMAL(10,3) NOT NULL,
    NetworkInbound BIGINT CHECK (NetworkInbound >= 0),
    NetworkOutbound BIGINT CHECK (NetworkOutbound >= 0),
    Memory BIGINT CHECK (Memory >= 0),
    Disk BIGINT CHECK (Disk >= 0),
    BenchmarkType VARCHAR(50) NOT NULL,
    Benchmark DECIMAL(10,3) NOT NULL,
    NumberOfVMs BIGINT,
    PublisherDNID VARCHAR(255) NOT NULL,
    PRIMARY KEY (SiteID, CloudComputeServiceID, Month, Year, GlobalUserNameID, VOID, VOGroupID, VORoleID, Status, ImageId,
                 CpuCount, BenchmarkType, Benchmark)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS CloudSummaries_UpdateTimeIdx ON CloudSummaries (UpdateTime);

CREATE TABLE IF NOT EXISTS LastUpdated (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    Type VARCHAR(255) NOT NULL,
    PRIMARY KEY (Type)
) WITHOUT ROWID;

-- Months whose sums must be made again, as ChangedMonths of server.sql, for CloudSummaries.
CREATE TABLE IF NOT EXISTS ChangedCloudMonths (
    SiteID INT NOT NULL,
    Year INT NOT NULL,
    Month INT NOT NULL,
    Mark BIGINT NOT NULL,
    PRIMARY KEY (SiteID, Year, Month, Mark)
) WITHOUT ROWID;

CREATE VIEW IF NOT EXISTS VCloudRecords AS
SELECT CloudRecords.UpdateTime AS UpdateTime,
       RecordCreateTime,
       VMUUID,
       Sites.name AS SiteName,
       CloudComputeServices.name AS CloudComputeService,
       MachineName,
       LocalUserId,
       LocalGroupId,
       DNs.name AS GlobalUserName,
       FQAN,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       Status,
       StartTime,
       EndTime,
       MeasurementTime,
       MeasurementMonth,
       MeasurementYear,
       SuspendDuration,
       WallDuration,
       CpuDuration,
       CpuCount,
       NetworkType,
       NetworkInbound,
       NetworkOutbound,
       PublicIPCount,
       Memory,
       Disk,
       BenchmarkType,
       Benchmark,
       StorageRecordId,
       ImageId,
       CloudType
FROM CloudRecords
LEFT JOIN Sites ON Sites.id = CloudRecords.SiteID
LEFT JOIN CloudComputeServices ON CloudComputeServices.id = CloudRecords.CloudComputeServiceID
LEFT JOIN DNs ON DNs.id = CloudRecords.GlobalUserNameID
LEFT JOIN VOs ON VOs.id = CloudRecords.VOID
LEFT JOIN VOGroups ON VOGroups.id = CloudRecords.VOGroupID
LEFT JOIN VORoles ON VORoles.id = CloudRecords.VORoleID;

-- Without the users' names: for whoever may not see them.
CREATE VIEW IF NOT EXISTS VAnonCloudRecords AS
SELECT CloudRecords.UpdateTime AS UpdateTime,
       VMUUID,
       Sites.name AS SiteName,
       CloudComputeServices.name AS CloudComputeService,
       MachineName,
       LocalUserId,
       LocalGroupId,
       GlobalUserNameID,
       FQAN,
       VOs.name AS VO,
       Status,
       StartTime,
       EndTime,
       SuspendDuration,
       WallDuration,
       CpuDuration,
       CpuCount,
       NetworkType,
       NetworkInbound,
       NetworkOutbound,
       PublicIPCount,
       Memory,
       Disk,
       BenchmarkType,
       Benchmark,
       StorageRecordId,
       ImageId,
       CloudType
FROM CloudRecords
LEFT JOIN Sites ON Sites.id = CloudRecords.SiteID
LEFT JOIN CloudComputeServices ON CloudComputeServices.id = CloudRecords.CloudComputeServiceID
LEFT JOIN VOs ON VOs.id = CloudRecords.VOID;

CREATE VIEW IF NOT EXISTS VCloudSummaries AS
SELECT CloudSummaries.UpdateTime AS UpdateTime,
       Sites.name AS SiteName,
       CloudComputeServices.name AS CloudComputeService,
       Month,
       Year,
       DNs.name AS GlobalUserName,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       Status,
       CloudType,
       ImageId,
       EarliestStartTime,
       LatestStartTime,
       WallDuration,
       CpuDuration,
       CpuCount,
       NetworkInbound,
       NetworkOutbound,
       Memory,
       Disk,
       BenchmarkType,
       Benchmark,
       NumberOfVMs
FROM CloudSummaries
LEFT JOIN Sites ON Sites.id = CloudSummaries.SiteID
LEFT JOIN CloudComputeServices ON CloudComputeServices.id = CloudSummaries.CloudComputeServiceID
LEFT JOIN DNs ON DNs.id = CloudSummaries.GlobalUserNameID
LEFT JOIN VOs ON VOs.id = CloudSummaries.VOID
LEFT JOIN VOGroups ON VOGroups.id = CloudSummaries.VOGroupID
LEFT JOIN VORoles ON VORoles.id = CloudSummaries.VORoleID
WHERE NumberOfVMs IS NULL OR NumberOfVMs > 0;

-- With the sums that have lost their machines: what is unloaded, since receivers replace row by row.
CREATE VIEW IF NOT EXISTS VUnloadedCloudSums AS
SELECT CloudSummaries.UpdateTime AS UpdateTime,
       Sites.name AS SiteName,
       CloudComputeServices.name AS CloudComputeService,
       Month,
       Year,
       DNs.name AS GlobalUserName,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       Status,
       CloudType,
       ImageId,
       EarliestStartTime,
       LatestStartTime,
       WallDuration,
       CpuDuration,
       CpuCount,
       NetworkInbound,
       NetworkOutbound,
       Memory,
       Disk,
       BenchmarkType,
       Benchmark,
       NumberOfVMs
FROM CloudSummaries
LEFT JOIN Sites ON Sites.id = CloudSummaries.SiteID
LEFT JOIN CloudComputeServices ON CloudComputeServices.id = CloudSummaries.CloudComputeServiceID
LEFT JOIN DNs ON DNs.id = CloudSummaries.GlobalUserNameID
LEFT JOIN VOs ON VOs.id = CloudSummaries.VOID
LEFT JOIN VOGroups ON VOGroups.id = CloudSummaries.VOGroupID
LEFT JOIN VORoles ON VORoles.id = CloudSummaries.VORoleID;
