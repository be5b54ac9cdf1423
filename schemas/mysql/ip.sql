-- Database of public IP addresses (MariaDB 10.3+, MySQL 8.0.17+), loaded by `apeldb init --schema ip`; it may share a
-- database with the other schemas of the centre. What server.sql says of collations, UpdateTime and repetition holds here.

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
-- The other schemas of the centre have some of them too, and may be in the same database.

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

CREATE TABLE IF NOT EXISTS FQANs (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS CloudComputeServices (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- How many addresses a user held at MeasurementTime. All measurements are kept: a level, which is never added up over time.
CREATE TABLE IF NOT EXISTS IPRecords (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    MeasurementTime DATETIME NOT NULL,
    MeasurementMonth INT NOT NULL,
    MeasurementYear INT NOT NULL,
    SiteID INT NOT NULL,
    CloudComputeServiceID INT NOT NULL,
    CloudType VARCHAR(255) NOT NULL,
    LocalUserId VARCHAR(255) NOT NULL,
    LocalGroupId VARCHAR(255) NOT NULL,
    GlobalUserNameID INT NOT NULL,
    FQANID INT NOT NULL,
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    IPVersion INT NOT NULL,
    IPCount INT UNSIGNED NOT NULL,
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (SiteID, MeasurementYear, MeasurementMonth, CloudComputeServiceID, GlobalUserNameID, FQANID,
                 LocalUserId, LocalGroupId, IPVersion, MeasurementTime),
    KEY UpdateTimeIdx (UpdateTime)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- The measurements of a month that agree in the key: the last, the mean and the greatest of them. PublisherDNID is
-- `summariser`, or as text the id of the DN of whoever sent it.
CREATE TABLE IF NOT EXISTS IPSummaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    Month INT NOT NULL,
    Year INT NOT NULL,
    SiteID INT NOT NULL,
    CloudComputeServiceID INT NOT NULL,
    CloudType VARCHAR(255) NOT NULL,
    LocalUserId VARCHAR(255) NOT NULL,
    LocalGroupId VARCHAR(255) NOT NULL,
    GlobalUserNameID INT NOT NULL,
    FQANID INT NOT NULL,
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    IPVersion INT NOT NULL,
    LastIPCount INT UNSIGNED NOT NULL,
    AverageIPCount DECIMAL(16,6) UNSIGNED NOT NULL,
    MaximumIPCount INT UNSIGNED NOT NULL,
    EarliestMeasurementTime DATETIME NOT NULL,
    LatestMeasurementTime DATETIME NOT NULL,
    NumberOfMeasurements BIGINT NOT NULL,
    PublisherDNID VARCHAR(255) NOT NULL,
    PRIMARY KEY (SiteID, Year, Month, CloudComputeServiceID, GlobalUserNameID, FQANID, LocalUserId, LocalGroupId,
                 IPVersion),
    KEY UpdateTimeIdx (UpdateTime)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS LastUpdated (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    Type VARCHAR(255) NOT NULL,
    PRIMARY KEY (Type)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Months whose sums must be made again, as ChangedMonths of server.sql, for IPSummaries.
CREATE TABLE IF NOT EXISTS ChangedIPMonths (
    SiteID INT NOT NULL,
    Year INT NOT NULL,
    Month INT NOT NULL,
    Mark BIGINT NOT NULL,
    PRIMARY KEY (SiteID, Year, Month, Mark)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- Year and Month once more under the names that all sums have.
CREATE OR REPLACE VIEW VIPRecords AS
SELECT IPRecords.UpdateTime AS UpdateTime,
       MeasurementTime,
       MeasurementMonth,
       MeasurementYear,
       Sites.name AS SiteName,
       CloudComputeServices.name AS CloudComputeService,
       CloudType,
       LocalUserId AS LocalUser,
       LocalGroupId AS LocalGroup,
       DNs.name AS GlobalUserName,
       FQANs.name AS FQAN,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       IPVersion,
       IPCount,
       MeasurementMonth AS Month,
       MeasurementYear AS Year
FROM IPRecords
LEFT JOIN Sites ON Sites.id = IPRecords.SiteID
LEFT JOIN CloudComputeServices ON CloudComputeServices.id = IPRecords.CloudComputeServiceID
LEFT JOIN DNs ON DNs.id = IPRecords.GlobalUserNameID
LEFT JOIN FQANs ON FQANs.id = IPRecords.FQANID
LEFT JOIN VOs ON VOs.id = IPRecords.VOID
LEFT JOIN VOGroups ON VOGroups.id = IPRecords.VOGroupID
LEFT JOIN VORoles ON VORoles.id = IPRecords.VORoleID;

-- All sums, with those that have lost their measurements: what is unloaded, since receivers replace row by row.
CREATE OR REPLACE VIEW VUnloadedIPSums AS
SELECT IPSummaries.UpdateTime AS UpdateTime,
       Month,
       Year,
       Sites.name AS SiteName,
       CloudComputeServices.name AS CloudComputeService,
       CloudType,
       LocalUserId AS LocalUser,
       LocalGroupId AS LocalGroup,
       DNs.name AS GlobalUserName,
       FQANs.name AS FQAN,
       VOs.name AS VO,
       VOGroups.name AS VOGroup,
       VORoles.name AS VORole,
       IPVersion,
       LastIPCount,
       AverageIPCount,
       MaximumIPCount,
       EarliestMeasurementTime,
       LatestMeasurementTime,
       NumberOfMeasurements
FROM IPSummaries
LEFT JOIN Sites ON Sites.id = IPSummaries.SiteID
LEFT JOIN CloudComputeServices ON CloudComputeServices.id = IPSummaries.CloudComputeServiceID
LEFT JOIN DNs ON DNs.id = IPSummaries.GlobalUserNameID
LEFT JOIN FQANs ON FQANs.id = IPSummaries.FQANID
LEFT JOIN VOs ON VOs.id = IPSummaries.VOID
LEFT JOIN VOGroups ON VOGroups.id = IPSummaries.VOGroupID
LEFT JOIN VORoles ON VORoles.id = IPSummaries.VORoleID;

CREATE OR REPLACE VIEW VIPSummaries AS
SELECT UpdateTime,
       Month,
       Year,
       SiteName,
       CloudComputeService,
       CloudType,
       LocalUser,
       LocalGroup,
       GlobalUserName,
       FQAN,
       VO,
       VOGroup,
       VORole,
       IPVersion,
       LastIPCount,
       AverageIPCount,
       MaximumIPCount,
       EarliestMeasurementTime,
       LatestMeasurementTime,
       NumberOfMeasurements
FROM VUnloadedIPSums
WHERE NumberOfMeasurements > 0;
