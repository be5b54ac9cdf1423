-- The storage tables as APEL 2.5.0 has them, for tests of the upgrade. The engine and the character set are the
-- server's. A statement ends where a line ends in ; and the next line is empty.

CREATE TABLE `Sites` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255),
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

CREATE TABLE `StorageSystems` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255),
    INDEX (name)
);

CREATE FUNCTION StorageSystemLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `StorageSystems` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `StorageSystems` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE `StorageShares` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255),
    INDEX (name)
);

CREATE FUNCTION StorageShareLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `StorageShares` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `StorageShares` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE `StorageMedia` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255),
    INDEX (name)
);

CREATE FUNCTION StorageMediaLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `StorageMedia` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `StorageMedia` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE `StorageClasses` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255),
    INDEX (name)
);

CREATE FUNCTION StorageClassLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `StorageClasses` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `StorageClasses` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE `UserIdentities` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255),
    INDEX (name)
);

CREATE FUNCTION UserIdentityLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `UserIdentities` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `UserIdentities` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE `Groups` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255),
    INDEX (name)
);

CREATE FUNCTION GroupLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `Groups` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `Groups` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE `SubGroups` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255),
    INDEX (name)
);

CREATE FUNCTION SubGroupLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `SubGroups` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `SubGroups` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE `Roles` (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255),
    INDEX (name)
);

CREATE FUNCTION RoleLookup (lookup VARCHAR(255)) RETURNS INTEGER DETERMINISTIC
BEGIN
    DECLARE result INTEGER;
    SELECT id INTO result FROM `Roles` WHERE name = lookup;
    IF result IS NULL THEN
        INSERT INTO `Roles` (name) VALUES (lookup);
        SET result = LAST_INSERT_ID();
    END IF;
    RETURN result;
END;

CREATE TABLE StarRecords (
    RecordId VARCHAR(255) NOT NULL PRIMARY KEY,
    CreateTime DATETIME NOT NULL,
    StorageSystemID INT NOT NULL,
    SiteID INT NOT NULL,
    StorageShareID INT NOT NULL,
    StorageMediaID INT NOT NULL,
    StorageClassID INT NOT NULL,
    FileCount INT,
    DirectoryPath VARCHAR(255),
    LocalUser VARCHAR(255),
    LocalGroup VARCHAR(255),
    UserIdentityID INT NOT NULL,
    GroupID INT NOT NULL,
    SubGroupID INT NOT NULL,
    RoleID INT NOT NULL,
    StartTime DATETIME NOT NULL,
    EndTime DATETIME NOT NULL,
    ResourceCapacityUsed BIGINT NOT NULL,
    LogicalCapacityUsed BIGINT,
    ResourceCapacityAllocated BIGINT,
    INDEX (StorageSystemID), INDEX (StorageShareID), INDEX (StorageMediaID), INDEX (StorageClassID),
    INDEX (UserIdentityID), INDEX (GroupID)
);

CREATE TABLE GroupAttributes (
    StarRecordID VARCHAR(255) NOT NULL,
    AttributeType VARCHAR(255),
    AttributeValue VARCHAR(255),
    PRIMARY KEY (StarRecordID, AttributeType)
);

CREATE PROCEDURE ReplaceGroupAttribute (record VARCHAR(255), kind VARCHAR(255), content VARCHAR(255))
    REPLACE INTO GroupAttributes VALUES (record, kind, content);

CREATE VIEW VStarRecords AS
SELECT CreateTime, RecordId, Sites.name AS Site
FROM StarRecords
JOIN Sites ON Sites.id = StarRecords.SiteID;
