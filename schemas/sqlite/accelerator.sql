-- Accelerator database (SQLite 3.24+), with the tables, columns and views of ../mysql/accelerator.sql, which explains them.

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

CREATE TABLE IF NOT EXISTS FQANs (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

-- What the sites say of the accelerators of each virtual machine and job, once for each month. No record says when it was
-- made, so the one that comes last stays. The type is part of the identity, since a model may be unknown.
CREATE TABLE IF NOT EXISTS AcceleratorRecords (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    MeasurementMonth INT NOT NULL,
    MeasurementYear INT NOT NULL,
    AssociatedRecordType VARCHAR(20) NOT NULL,
    AssociatedRecord VARCHAR(255) NOT NULL,
    GlobalUserNameID INT NOT NULL,
    FQANID INT NOT NULL,
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    SiteID INT NOT NULL,
    Count DECIMAL(12,6) NOT NULL,
    Cores INT CHECK (Cores >= 0),
    AvailableDuration BIGINT NOT NULL CHECK (AvailableDuration >= 0),
    ActiveDuration BIGINT CHECK (ActiveDuration >= 0),
    BenchmarkType VARCHAR(50) NOT NULL,
    Benchmark DECIMAL(10,3),
    Type VARCHAR(20) NOT NULL,
    Model VARCHAR(255) NOT NULL,
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (SiteID, MeasurementYear, MeasurementMonth, AssociatedRecordType, AssociatedRecord, Type, Model)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS AcceleratorRecords_UserIdx ON AcceleratorRecords (GlobalUserNameID);
CREATE INDEX IF NOT EXISTS AcceleratorRecords_UpdateTimeIdx ON AcceleratorRecords (UpdateTime);

-- The records of a month that agree in the key; Count is that of each of them, so Count times a duration is in
-- accelerator-seconds. An ActiveDuration that is absent counts as AvailableDuration; Cores of 0 are unknown. PublisherDNID is
-- `summariser`, or as text the id of the DN of whoever sent it.
CREATE TABLE IF NOT EXISTS AcceleratorSummaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    Month INT NOT NULL,
    Year INT NOT NULL,
    AssociatedRecordType VARCHAR(20) NOT NULL,
    GlobalUserNameID INT NOT NULL,
    FQANID INT NOT NULL,
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    SiteID INT NOT NULL,
    Count DECIMAL(12,6) NOT NULL,
    Cores INT NOT NULL CHECK (Cores >= 0),
    AvailableDuration BIGINT NOT NULL CHECK (AvailableDuration >= 0),
    ActiveDuration BIGINT CHECK (ActiveDuration >= 0),
    BenchmarkType VARCHAR(50) NOT NULL,
    Benchmark DECIMAL(10,3) NOT NULL,
    Type VARCHAR(20) NOT NULL,
    Model VARCHAR(255) NOT NULL,
    NumberOfRecords BIGINT NOT NULL,
    PublisherDNID VARCHAR(255) NOT NULL,
    PRIMARY KEY (SiteID, Year, Month, AssociatedRecordType, GlobalUserNameID, FQANID, Type, Model, Count, Cores,
                 BenchmarkType, Benchmark)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS AcceleratorSummaries_UpdateTimeIdx ON AcceleratorSummaries (UpdateTime);

-- To which category a model belongs from a day on, as the operator says: VAcceleratorSummaries shows that of the first of
-- the month. Nothing writes here but the operator.
CREATE TABLE IF NOT EXISTS AcceleratorModels (
    Model VARCHAR(255) NOT NULL,
    Type VARCHAR(20) NOT NULL,
    Date DATE NOT NULL,
    Category VARCHAR(255) NOT NULL,
    PRIMARY KEY (Model, Type, Date)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS LastUpdated (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    Type VARCHAR(255) NOT NULL,
    PRIMARY KEY (Type)
) WITHOUT ROWID;

-- Months whose sums must be made again, as ChangedMonths of server.sql, for AcceleratorSummaries.
CREATE TABLE IF NOT EXISTS ChangedAcceleratorMonths (
    SiteID INT NOT NULL,
    Year INT NOT NULL,
    Month INT NOT NULL,
    Mark BIGINT NOT NULL,
    PRIMARY KEY (SiteID, Year, Month, Mark)
) WITHOUT ROWID;

-- Year and Month once more under the names that all sums have.
CREATE VIEW IF NOT EXISTS VAcceleratorRecords AS
SELECT AcceleratorRecords.UpdateTime AS UpdateTime,
       MeasurementMonth,
       MeasurementYear,
       AssociatedRecordType,
       AssociatedRecord,
       DNs.name AS GlobalUserName,
       FQANs.name AS FQAN,
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
       MeasurementMonth AS Month,
       MeasurementYear AS Year
FROM AcceleratorRecords
LEFT JOIN Sites ON Sites.id = AcceleratorRecords.SiteID
LEFT JOIN DNs ON DNs.id = AcceleratorRecords.GlobalUserNameID
LEFT JOIN FQANs ON FQANs.id = AcceleratorRecords.FQANID
LEFT JOIN VOs ON VOs.id = AcceleratorRecords.VOID
LEFT JOIN VOGroups ON VOGroups.id = AcceleratorRecords.VOGroupID
LEFT JOIN VORoles ON VORoles.id = AcceleratorRecords.VORoleID;

-- All sums, with those that have lost their records: what is unloaded, since receivers replace row by row.
CREATE VIEW IF NOT EXISTS VUnloadedAcceleratorSums AS
SELECT AcceleratorSummaries.UpdateTime AS UpdateTime,
       Month,
       Year,
       AssociatedRecordType,
       DNs.name AS GlobalUserName,
       FQANs.name AS FQAN,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       Sites.name AS SiteName,
       Count,
       NULLIF(Cores, 0) AS Cores,
       AvailableDuration,
       ActiveDuration,
       BenchmarkType,
       CASE WHEN Benchmark = 0 AND BenchmarkType = 'None' THEN NULL ELSE Benchmark END AS Benchmark,
       Type,
       Model,
       NumberOfRecords
FROM AcceleratorSummaries
LEFT JOIN Sites ON Sites.id = AcceleratorSummaries.SiteID
LEFT JOIN DNs ON DNs.id = AcceleratorSummaries.GlobalUserNameID
LEFT JOIN FQANs ON FQANs.id = AcceleratorSummaries.FQANID
LEFT JOIN VOs ON VOs.id = AcceleratorSummaries.VOID
LEFT JOIN VOGroups ON VOGroups.id = AcceleratorSummaries.VOGroupID
LEFT JOIN VORoles ON VORoles.id = AcceleratorSummaries.VORoleID;

CREATE VIEW IF NOT EXISTS VAcceleratorSummaries AS
SELECT UpdateTime,
       Month,
       Year,
       AssociatedRecordType,
       GlobalUserName,
       FQAN,
       VO,
       VOGroup,
       VORole,
       SiteName,
       Count,
       Cores,
       AvailableDuration,
       ActiveDuration,
       BenchmarkType,
       Benchmark,
       Type,
       Model,
       NumberOfRecords,
       (SELECT Category FROM AcceleratorModels M
        WHERE M.Model = S.Model AND M.Type = S.Type
          AND M.Date <= (Year || '-' || SUBSTR('0' || Month, -2) || '-01')
        ORDER BY M.Date DESC LIMIT 1) AS Category
FROM VUnloadedAcceleratorSums S
WHERE NumberOfRecords > 0;
