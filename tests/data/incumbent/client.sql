-- The site's tables as APEL 2.5.0 has them, for tests of the upgrade. The engine and the character set are the
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

CREATE TABLE EventRecords (
    SiteID INT NOT NULL,
    JobName VARCHAR(60) NOT NULL,
    LocalUserID VARCHAR(20),
    LocalUserGroup VARCHAR(20),
    WallDuration INT,
    CpuDuration INT,
    StartTime DATETIME NOT NULL,
    EndTime DATETIME NOT NULL,
    Infrastructure VARCHAR(100),
    MachineNameID INT NOT NULL,
    QueueID INT NOT NULL,
    MemoryReal BIGINT,
    MemoryVirtual BIGINT,
    Processors INT,
    NodeCount INT,
    Status INT,
    PRIMARY KEY (MachineNameID, JobName, EndTime),
    INDEX EventJoinIdx (SiteID, JobName)
);

CREATE PROCEDURE InsertEventRecord (site VARCHAR(255), jobName VARCHAR(60), localUserId VARCHAR(20),
    localUserGroup VARCHAR(20), wallDuration INT, cpuDuration INT, startTime DATETIME, endTime DATETIME,
    infrastructure VARCHAR(50), machineName VARCHAR(255), queue VARCHAR(100), memoryReal BIGINT,
    memoryVirtual BIGINT, processors INT, nodeCount INT)
    INSERT IGNORE INTO EventRecords VALUES (SiteLookup(site), jobName, localUserId, localUserGroup, wallDuration,
        cpuDuration, startTime, endTime, infrastructure, MachineNameLookup(machineName), QueueLookup(queue),
        memoryReal, memoryVirtual, processors, nodeCount, 0);

CREATE TABLE BlahdRecords (
    TimeStamp DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00',
    GlobalUserNameID INT NOT NULL,
    FQAN VARCHAR(255),
    VOID INT NOT NULL,
    VOGroupID INT NOT NULL,
    VORoleID INT NOT NULL,
    CEID INT NOT NULL,
    GlobalJobId VARCHAR(255),
    LrmsId VARCHAR(255) DEFAULT '',
    SiteID INT NOT NULL,
    ValidFrom DATETIME,
    ValidUntil DATETIME,
    Processed INT,
    PRIMARY KEY (TimeStamp, SiteID, LrmsId, CEID),
    INDEX BlahdJoinIdx (ValidFrom, ValidUntil, SiteID, LrmsId)
);

CREATE TABLE SpecRecords (
    SiteID INT NOT NULL,
    CEID INT NOT NULL,
    StartTime DATETIME,
    StopTime DATETIME,
    ServiceLevelType VARCHAR(50) NOT NULL,
    ServiceLevel DECIMAL(10,3),
    PRIMARY KEY (SiteID, CEID, StartTime, ServiceLevelType)
);

CREATE FUNCTION SpecLookup (site VARCHAR(255), ce VARCHAR(255), kind VARCHAR(50), moment DATETIME)
    RETURNS DECIMAL(10,3) DETERMINISTIC
BEGIN
    DECLARE result DECIMAL(10,3);
    SELECT ServiceLevel INTO result FROM SpecRecords
        WHERE SiteID = SiteLookup(site) AND CEID = SubmitHostLookup(ce) AND ServiceLevelType = kind
        AND StartTime < moment AND StopTime IS NULL;
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
    PRIMARY KEY (MachineNameID, LocalJobId, EndTime),
    
    INDEX SummaryIdx (SiteID, VOID, GlobalUserNameID, VOGroupID, VORoleID, EndYear, EndMonth, InfrastructureType,
        SubmitHostID, ServiceLevelType, ServiceLevel, NodeCount, Processors, EndTime, WallDuration, CpuDuration)
);

CREATE PROCEDURE JoinJobRecords ()
BEGIN
    SELECT NOW();
END;

CREATE PROCEDURE LocalJobs ()
BEGIN
    SELECT NOW();
END;

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

CREATE PROCEDURE SummariseJobs ()
    REPLACE INTO SuperSummaries (SiteID, Month, Year, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostId,
        InfrastructureType, ServiceLevelType, ServiceLevel, NodeCount, Processors, EarliestEndTime, LatestEndTime,
        WallDuration, CpuDuration, NumberOfJobs)
    SELECT SiteID, EndMonth, EndYear, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostID,
        InfrastructureType, ServiceLevelType, ServiceLevel, NodeCount, Processors, MIN(EndTime), MAX(EndTime),
        SUM(WallDuration), SUM(CpuDuration), COUNT(*)
    FROM JobRecords
    GROUP BY SiteID, VOID, GlobalUserNameID, VOGroupID, VORoleID, EndYear, EndMonth, InfrastructureType,
        SubmitHostID, ServiceLevelType, ServiceLevel, NodeCount, Processors;

CREATE TABLE LastUpdated (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    Type VARCHAR(255) PRIMARY KEY
);

CREATE PROCEDURE UpdateTimestamp (kind VARCHAR(255))
    REPLACE INTO LastUpdated (Type) VALUES (kind);

CREATE TABLE ProcessedFiles (
    HostName VARCHAR(255) NOT NULL,
    FileName VARCHAR(255),
    Hash VARCHAR(64) NOT NULL,
    StopLine INT,
    Parsed INT,
    PRIMARY KEY (HostName, Hash)
);

CREATE PROCEDURE CleanProcessedFiles (hostName VARCHAR(255))
    DELETE FROM ProcessedFiles WHERE HostName = hostName;

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

CREATE VIEW VSuperSummaries AS
SELECT SuperSummaries.UpdateTime AS UpdateTime, Sites.name AS Site, SuperSummaries.Month AS Month, SuperSummaries.Year AS Year, DNs.name AS GlobalUserName, VOs.name AS VO, VOGroups.name AS VOGroup, VORoles.name AS VORole, SubmitHosts.name AS SubmitHost, SuperSummaries.InfrastructureType AS InfrastructureType, SuperSummaries.ServiceLevelType AS ServiceLevelType, SuperSummaries.ServiceLevel AS ServiceLevel, SuperSummaries.NodeCount AS NodeCount, SuperSummaries.Processors AS Processors, SuperSummaries.EarliestEndTime AS EarliestEndTime, SuperSummaries.LatestEndTime AS LatestEndTime, SuperSummaries.WallDuration AS WallDuration, SuperSummaries.CpuDuration AS CpuDuration, SuperSummaries.NumberOfJobs AS NumberOfJobs
FROM SuperSummaries
JOIN Sites ON Sites.id = SuperSummaries.SiteID
JOIN SubmitHosts ON SubmitHosts.id = SuperSummaries.SubmitHostId
JOIN DNs ON DNs.id = SuperSummaries.GlobalUserNameID
JOIN VOs ON VOs.id = SuperSummaries.VOID
JOIN VOGroups ON VOGroups.id = SuperSummaries.VOGroupID
JOIN VORoles ON VORoles.id = SuperSummaries.VORoleID;

CREATE VIEW VSyncRecords AS
SELECT Sites.name AS Site, SubmitHosts.name AS SubmitHost, SUM(NumberOfJobs) AS NumberOfJobs, Month, Year
FROM SuperSummaries
JOIN Sites ON Sites.id = SuperSummaries.SiteID
JOIN SubmitHosts ON SubmitHosts.id = SuperSummaries.SubmitHostId
GROUP BY Site, SubmitHost, Month, Year;

CREATE VIEW VSpecRecords AS
SELECT Sites.name AS Site, SubmitHosts.name AS CE, SpecRecords.StartTime AS StartTime, SpecRecords.StopTime AS StopTime, SpecRecords.ServiceLevelType AS ServiceLevelType, SpecRecords.ServiceLevel AS ServiceLevel
FROM SpecRecords
JOIN Sites ON Sites.id = SpecRecords.SiteID
JOIN SubmitHosts ON SubmitHosts.id = SpecRecords.CEID;

CREATE VIEW VProcessedFiles AS
SELECT HostName, FileName, Hash, StopLine, Parsed FROM ProcessedFiles;
