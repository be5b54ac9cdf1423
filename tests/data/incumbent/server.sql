-- The centre's tables as APEL 2.5.0 has them, for tests of the upgrade. The engine and the character set are the
-- server's. A statement ends where a line ends in ; and the next line is empty.

CREATE TABLE Sites (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION SiteLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM Sites WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO Sites (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE DNs (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION DNLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM DNs WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO DNs (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE VOs (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION VOLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM VOs WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO VOs (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE VORoles (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION VORoleLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM VORoles WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO VORoles (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE VOGroups (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION VOGroupLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM VOGroups WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO VOGroups (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE SubmitHosts (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION SubmitHostLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM SubmitHosts WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO SubmitHosts (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE MachineNames (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION MachineNameLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM MachineNames WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO MachineNames (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE Queues (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    INDEX (name)
);

CREATE FUNCTION QueueLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM Queues WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO Queues (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE JobRecords (
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
    InfrastructureDescription VARCHAR(100),
    InfrastructureType VARCHAR(20),
    ServiceLevelType VARCHAR(50) NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL,
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (SiteID, LocalJobId, EndTime),
    INDEX UASIdx (VOID, UpdateTime),
    INDEX SummaryIdx (SiteID, VOID, GlobalUserNameID, VOGroupID, VORoleID, EndYear, EndMonth, InfrastructureType,
        SubmitHostID, ServiceLevelType, ServiceLevel, NodeCount, Processors, EndTime, WallDuration, CpuDuration)
);

CREATE TABLE Summaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    SiteID INT NOT NULL,
    Month INT NOT NULL,
    Year INT NOT NULL,
    GlobalUserNameID INT NOT NULL,
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    SubmitHostId INT NOT NULL,
    InfrastructureType VARCHAR(20),
    InfrastructureDescription VARCHAR(100),
    ServiceLevelType VARCHAR(50) NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL,
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    EarliestEndTime DATETIME,
    LatestEndTime DATETIME,
    WallDuration BIGINT UNSIGNED NOT NULL,
    CpuDuration BIGINT UNSIGNED NOT NULL,
    NumberOfJobs BIGINT UNSIGNED NOT NULL,
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId, InfrastructureType, ServiceLevelType, ServiceLevel, NodeCount, Processors)
);

CREATE TABLE NormalisedSummaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    SiteID INT NOT NULL,
    Month INT NOT NULL,
    Year INT NOT NULL,
    GlobalUserNameID INT NOT NULL,
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    SubmitHostId INT NOT NULL,
    Infrastructure VARCHAR(20),
    InfrastructureDescription VARCHAR(100),
    ServiceLevelType VARCHAR(50) NOT NULL DEFAULT '',
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
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId, Infrastructure, NodeCount, Processors, ServiceLevelType)
);

CREATE TABLE HybridSuperSummaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    SiteID INT NOT NULL,
    Month INT NOT NULL,
    Year INT NOT NULL,
    GlobalUserNameID INT NOT NULL,
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    SubmitHostId INT NOT NULL,
    Infrastructure VARCHAR(20) NOT NULL,
    InfrastructureDescription VARCHAR(100),
    ServiceLevelType VARCHAR(50) NOT NULL,
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
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId, Infrastructure, ServiceLevelType, ServiceLevel, NodeCount, Processors)
);

CREATE TABLE SuperSummaries (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    SiteID INT NOT NULL,
    Month INT NOT NULL,
    Year INT NOT NULL,
    GlobalUserNameID INT NOT NULL,
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    SubmitHostId INT NOT NULL,
    InfrastructureType VARCHAR(20),
    InfrastructureDescription VARCHAR(100),
    ServiceLevelType VARCHAR(50) NOT NULL,
    ServiceLevel DECIMAL(10,3) NOT NULL,
    NodeCount INT NOT NULL,
    Processors INT NOT NULL,
    EarliestEndTime DATETIME,
    LatestEndTime DATETIME,
    WallDuration BIGINT UNSIGNED NOT NULL,
    CpuDuration BIGINT UNSIGNED NOT NULL,
    NumberOfJobs BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId, InfrastructureType, ServiceLevelType, ServiceLevel, NodeCount, Processors)
);

CREATE TABLE SyncRecords (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    SiteID INT NOT NULL,
    SubmitHostID INT NOT NULL,
    NumberOfJobs INT,
    Month INT NOT NULL,
    Year INT NOT NULL,
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (SiteID, SubmitHostID, Month, Year),
    INDEX (UpdateTime), INDEX (SiteID), INDEX (Month), INDEX (Year)
);

CREATE PROCEDURE ReplaceSyncRecord (site VARCHAR(255), submitHost VARCHAR(255), njobs INT, month INT, year INT,
    publisherDN VARCHAR(255))
    REPLACE INTO SyncRecords (SiteID, SubmitHostID, NumberOfJobs, Month, Year, PublisherDNID)
    VALUES (SiteLookup(site), SubmitHostLookup(submitHost), njobs, month, year, DNLookup(publisherDN));

CREATE PROCEDURE SummariseJobs ()
BEGIN
    SELECT NOW();
END;

CREATE PROCEDURE NormaliseSummaries ()
BEGIN
    SELECT NOW();
END;

CREATE PROCEDURE CopyNormalisedSummaries ()
BEGIN
    SELECT NOW();
END;

CREATE TABLE LastUpdated (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    Type VARCHAR(255) PRIMARY KEY
);

CREATE PROCEDURE UpdateTimestamp (kind VARCHAR(255))
    REPLACE INTO LastUpdated (Type) VALUES (kind);

CREATE VIEW VJobRecords AS
SELECT JobRecords.UpdateTime AS UpdateTime, Sites.name AS Site, SubmitHosts.name AS SubmitHost, MachineNames.name AS MachineName, Queues.name AS Queue, JobRecords.LocalJobId AS LocalJobId, JobRecords.LocalUserId AS LocalUserId, DNs.name AS GlobalUserName, JobRecords.FQAN AS FQAN, VOs.name AS VO, VOGroups.name AS VOGroup, VORoles.name AS VORole, JobRecords.WallDuration AS WallDuration, JobRecords.CpuDuration AS CpuDuration, JobRecords.Processors AS Processors, JobRecords.NodeCount AS NodeCount, JobRecords.StartTime AS StartTime, JobRecords.EndTime AS EndTime, JobRecords.InfrastructureDescription AS InfrastructureDescription, JobRecords.InfrastructureType AS InfrastructureType, JobRecords.MemoryReal AS MemoryReal, JobRecords.MemoryVirtual AS MemoryVirtual, JobRecords.ServiceLevelType AS ServiceLevelType, JobRecords.ServiceLevel AS ServiceLevel
FROM JobRecords
JOIN Sites ON Sites.id = JobRecords.SiteID
JOIN SubmitHosts ON SubmitHosts.id = JobRecords.SubmitHostID
JOIN DNs ON DNs.id = JobRecords.GlobalUserNameID
JOIN VOs ON VOs.id = JobRecords.VOID
JOIN VOGroups ON VOGroups.id = JobRecords.VOGroupID
JOIN VORoles ON VORoles.id = JobRecords.VORoleID
JOIN MachineNames ON MachineNames.id = JobRecords.MachineNameID
JOIN Queues ON Queues.id = JobRecords.QueueID;

CREATE VIEW VSummaries AS
SELECT Summaries.UpdateTime AS UpdateTime, Sites.name AS Site, Summaries.Month AS Month, Summaries.Year AS Year, DNs.name AS GlobalUserName, VOs.name AS VO, VOGroups.name AS VOGroup, VORoles.name AS VORole, SubmitHosts.name AS SubmitHost, Summaries.InfrastructureType AS InfrastructureType, Summaries.InfrastructureDescription AS InfrastructureDescription, Summaries.ServiceLevelType AS ServiceLevelType, Summaries.ServiceLevel AS ServiceLevel, Summaries.NodeCount AS NodeCount, Summaries.Processors AS Processors, Summaries.EarliestEndTime AS EarliestEndTime, Summaries.LatestEndTime AS LatestEndTime, Summaries.WallDuration AS WallDuration, Summaries.CpuDuration AS CpuDuration, Summaries.NumberOfJobs AS NumberOfJobs
FROM Summaries
JOIN Sites ON Sites.id = Summaries.SiteID
JOIN SubmitHosts ON SubmitHosts.id = Summaries.SubmitHostId
JOIN DNs ON DNs.id = Summaries.GlobalUserNameID
JOIN VOs ON VOs.id = Summaries.VOID
JOIN VOGroups ON VOGroups.id = Summaries.VOGroupID
JOIN VORoles ON VORoles.id = Summaries.VORoleID;

CREATE VIEW VNormalisedSummaries AS
SELECT NormalisedSummaries.UpdateTime AS UpdateTime, Sites.name AS Site, NormalisedSummaries.Month AS Month, NormalisedSummaries.Year AS Year, DNs.name AS GlobalUserName, VOs.name AS VO, VOGroups.name AS VOGroup, VORoles.name AS VORole, SubmitHosts.name AS SubmitHost, NormalisedSummaries.Infrastructure AS Infrastructure, NormalisedSummaries.InfrastructureDescription AS InfrastructureDescription, NormalisedSummaries.ServiceLevelType AS ServiceLevelType, NormalisedSummaries.NodeCount AS NodeCount, NormalisedSummaries.Processors AS Processors, NormalisedSummaries.EarliestEndTime AS EarliestEndTime, NormalisedSummaries.LatestEndTime AS LatestEndTime, NormalisedSummaries.WallDuration AS WallDuration, NormalisedSummaries.CpuDuration AS CpuDuration, NormalisedSummaries.NormalisedWallDuration AS NormalisedWallDuration, NormalisedSummaries.NormalisedCpuDuration AS NormalisedCpuDuration, NormalisedSummaries.NumberOfJobs AS NumberOfJobs
FROM NormalisedSummaries
JOIN Sites ON Sites.id = NormalisedSummaries.SiteID
JOIN SubmitHosts ON SubmitHosts.id = NormalisedSummaries.SubmitHostId
JOIN DNs ON DNs.id = NormalisedSummaries.GlobalUserNameID
JOIN VOs ON VOs.id = NormalisedSummaries.VOID
JOIN VOGroups ON VOGroups.id = NormalisedSummaries.VOGroupID
JOIN VORoles ON VORoles.id = NormalisedSummaries.VORoleID;

CREATE VIEW VSuperSummaries AS
SELECT HybridSuperSummaries.UpdateTime AS UpdateTime, Sites.name AS Site, HybridSuperSummaries.Month AS Month, HybridSuperSummaries.Year AS Year, DNs.name AS GlobalUserName, VOs.name AS VO, VOGroups.name AS VOGroup, VORoles.name AS VORole, SubmitHosts.name AS SubmitHost, HybridSuperSummaries.Infrastructure AS InfrastructureType, HybridSuperSummaries.InfrastructureDescription AS InfrastructureDescription, HybridSuperSummaries.ServiceLevelType AS ServiceLevelType, HybridSuperSummaries.ServiceLevel AS ServiceLevel, HybridSuperSummaries.NodeCount AS NodeCount, HybridSuperSummaries.Processors AS Processors, HybridSuperSummaries.EarliestEndTime AS EarliestEndTime, HybridSuperSummaries.LatestEndTime AS LatestEndTime, HybridSuperSummaries.WallDuration AS WallDuration, HybridSuperSummaries.CpuDuration AS CpuDuration, HybridSuperSummaries.NumberOfJobs AS NumberOfJobs
FROM HybridSuperSummaries
JOIN Sites ON Sites.id = HybridSuperSummaries.SiteID
JOIN SubmitHosts ON SubmitHosts.id = HybridSuperSummaries.SubmitHostId
JOIN DNs ON DNs.id = HybridSuperSummaries.GlobalUserNameID
JOIN VOs ON VOs.id = HybridSuperSummaries.VOID
JOIN VOGroups ON VOGroups.id = HybridSuperSummaries.VOGroupID
JOIN VORoles ON VORoles.id = HybridSuperSummaries.VORoleID;

CREATE VIEW VSyncRecords AS
SELECT SyncRecords.UpdateTime AS UpdateTime, Sites.name AS Site, SubmitHosts.name AS SubmitHost, SyncRecords.NumberOfJobs AS NumberOfJobs, SyncRecords.Month AS Month, SyncRecords.Year AS Year
FROM SyncRecords
JOIN Sites ON Sites.id = SyncRecords.SiteID
JOIN SubmitHosts ON SubmitHosts.id = SyncRecords.SubmitHostID;
