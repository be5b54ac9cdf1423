-- The cloud tables as APEL 2.5.0 has them, for tests of the upgrade. The engine and the character set are the
-- server's. A statement ends where a line ends in ; and the next line is empty.

CREATE TABLE `Sites` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION SiteLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `Sites` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `Sites` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE `DNs` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION DNLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `DNs` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `DNs` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE `VOs` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION VOLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `VOs` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `VOs` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE `VORoles` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION VORoleLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `VORoles` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `VORoles` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE `VOGroups` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION VOGroupLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `VOGroups` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `VOGroups` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE `CloudComputeServices` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION CloudComputeServiceLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `CloudComputeServices` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `CloudComputeServices` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE CloudRecords (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
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
    SuspendDuration BIGINT,
    WallDuration BIGINT,
    CpuDuration BIGINT,
    CpuCount DECIMAL(10,3) UNSIGNED,
    NetworkType VARCHAR(255),
    NetworkInbound BIGINT,
    NetworkOutbound BIGINT,
    PublicIPCount INT,
    Memory BIGINT,
    Disk BIGINT,
    BenchmarkType VARCHAR(50) NOT NULL,
    Benchmark DECIMAL(10,3) NOT NULL,
    StorageRecordId VARCHAR(255),
    ImageId VARCHAR(255),
    CloudType VARCHAR(255),
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (VMUUID, MeasurementMonth, MeasurementYear),
    INDEX (UpdateTime), INDEX (GlobalUserNameID), INDEX (SiteID), INDEX (ImageId)
);

CREATE TABLE CloudSummaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
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
    WallDuration BIGINT,
    CpuDuration BIGINT,
    CpuCount DECIMAL(10,3) UNSIGNED NOT NULL,
    NetworkInbound BIGINT,
    NetworkOutbound BIGINT,
    Memory BIGINT,
    Disk BIGINT,
    BenchmarkType VARCHAR(50) NOT NULL,
    Benchmark DECIMAL(10,3) NOT NULL,
    NumberOfVMs INT,
    PublisherDNID VARCHAR(255),
    PRIMARY KEY (SiteID, CloudComputeServiceID, Month, Year, GlobalUserNameID, VOID, VOGroupID, VORoleID, Status,
        ImageId, CpuCount, BenchmarkType, Benchmark)
);

CREATE PROCEDURE SummariseVMs ()
BEGIN
    SELECT NOW();
END;

CREATE TABLE LastUpdated (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    Type VARCHAR(255) PRIMARY KEY
);

CREATE PROCEDURE UpdateTimestamp (kind VARCHAR(255))
    REPLACE INTO LastUpdated (Type) VALUES (kind);

CREATE VIEW VCloudRecords AS
SELECT CloudRecords.UpdateTime AS UpdateTime, VMUUID, Sites.name AS SiteName
FROM CloudRecords
JOIN Sites ON Sites.id = CloudRecords.SiteID;
