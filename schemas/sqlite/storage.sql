-- Storage database (SQLite 3.24+), with the tables, columns and views of ../mysql/storage.sql, which explains them.

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

CREATE TABLE IF NOT EXISTS StorageSystems (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS StorageShares (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS StorageMedia (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS StorageClasses (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS UserIdentities (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS `Groups` (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS SubGroups (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

CREATE TABLE IF NOT EXISTS Roles (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE CHECK (length(name) <= 255)
);

-- How full a piece of storage was, as its site said. UpdateTime and PublisherDNID, who sent it, are ours.
CREATE TABLE IF NOT EXISTS StarRecords (
    RecordId VARCHAR(255) NOT NULL,
    CreateTime DATETIME NOT NULL,
    StorageSystemID INT NOT NULL,
    SiteID INT NOT NULL,
    StorageShareID INT NOT NULL,
    StorageMediaID INT NOT NULL,
    StorageClassID INT NOT NULL,
    FileCount BIGINT CHECK (FileCount >= 0),
    DirectoryPath VARCHAR(255),
    LocalUser VARCHAR(255),
    LocalGroup VARCHAR(255),
    UserIdentityID INT NOT NULL,
    GroupID INT NOT NULL,
    SubGroupID INT NOT NULL,
    RoleID INT NOT NULL,
    StartTime DATETIME NOT NULL,
    EndTime DATETIME NOT NULL,
    ResourceCapacityUsed BIGINT NOT NULL CHECK (ResourceCapacityUsed >= 0),
    LogicalCapacityUsed BIGINT CHECK (LogicalCapacityUsed >= 0),
    ResourceCapacityAllocated BIGINT CHECK (ResourceCapacityAllocated >= 0),
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PublisherDNID INT NOT NULL,
    PRIMARY KEY (RecordId)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS StarRecords_StorageSystemIdx ON StarRecords (StorageSystemID);
CREATE INDEX IF NOT EXISTS StarRecords_StorageShareIdx ON StarRecords (StorageShareID);
CREATE INDEX IF NOT EXISTS StarRecords_StorageMediaIdx ON StarRecords (StorageMediaID);
CREATE INDEX IF NOT EXISTS StarRecords_StorageClassIdx ON StarRecords (StorageClassID);
CREATE INDEX IF NOT EXISTS StarRecords_UserIdentityIdx ON StarRecords (UserIdentityID);
CREATE INDEX IF NOT EXISTS StarRecords_GroupIdx ON StarRecords (GroupID);
CREATE INDEX IF NOT EXISTS StarRecords_SiteIdx ON StarRecords (SiteID, EndTime);
CREATE INDEX IF NOT EXISTS StarRecords_UpdateTimeIdx ON StarRecords (UpdateTime);

-- What else is said of a record's group, beside subgroup and role.
CREATE TABLE IF NOT EXISTS GroupAttributes (
    StarRecordID VARCHAR(255) NOT NULL,
    AttributeType VARCHAR(255) NOT NULL,
    AttributeValue VARCHAR(255),
    PRIMARY KEY (StarRecordID, AttributeType)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS LastUpdated (
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    Type VARCHAR(255) NOT NULL,
    PRIMARY KEY (Type)
) WITHOUT ROWID;

-- Of records whose id was used again for a later day: what they said before, the last of each day. StarRecords has
-- the newest alone, so a producer that never changes its ids would leave no past to sum up.
CREATE TABLE IF NOT EXISTS StarHistory (
    RecordId VARCHAR(255) NOT NULL,
    CreateTime DATETIME NOT NULL,
    StorageSystemID INT NOT NULL,
    SiteID INT NOT NULL,
    StorageShareID INT NOT NULL,
    StorageMediaID INT NOT NULL,
    StorageClassID INT NOT NULL,
    FileCount BIGINT CHECK (FileCount >= 0),
    DirectoryPath VARCHAR(255),
    LocalUser VARCHAR(255),
    LocalGroup VARCHAR(255),
    UserIdentityID INT NOT NULL,
    GroupID INT NOT NULL,
    SubGroupID INT NOT NULL,
    RoleID INT NOT NULL,
    StartTime DATETIME NOT NULL,
    EndTime DATETIME NOT NULL,
    ResourceCapacityUsed BIGINT NOT NULL CHECK (ResourceCapacityUsed >= 0),
    LogicalCapacityUsed BIGINT CHECK (LogicalCapacityUsed >= 0),
    ResourceCapacityAllocated BIGINT CHECK (ResourceCapacityAllocated >= 0),
    PublisherDNID INT NOT NULL,
    Day DATE NOT NULL,
    PRIMARY KEY (RecordId, Day)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS StarHistory_SiteIdx ON StarHistory (SiteID, EndTime);

-- Months whose sums must be made again, as ChangedMonths of server.sql, for the two tables below.
CREATE TABLE IF NOT EXISTS ChangedStorageMonths (
    SiteID INT NOT NULL,
    Year INT NOT NULL,
    Month INT NOT NULL,
    Mark BIGINT NOT NULL,
    PRIMARY KEY (SiteID, Year, Month, Mark)
) WITHOUT ROWID;

-- How full a piece of storage was on a day (docs/storage.md); StartTime is when that begins. Names are ids, since
-- no key of InnoDB's holds six of 255 characters; the views DaySummaries and MonthSummaries have the names.
CREATE TABLE IF NOT EXISTS StorageDaySummaries (
    SiteID INT NOT NULL,
    Year INT NOT NULL,
    Month INT NOT NULL,
    StartTime DATETIME NOT NULL,
    EndTime DATETIME NOT NULL,
    StorageSystemID INT NOT NULL,
    StorageShareID INT NOT NULL,
    StorageMediaID INT NOT NULL,
    DirectoryPath VARCHAR(255) NOT NULL CHECK (length(DirectoryPath) <= 255),
    GroupID INT NOT NULL,
    SubGroupID INT NOT NULL,
    RoleID INT NOT NULL,
    FileCount BIGINT CHECK (FileCount >= 0),
    ResourceCapacityUsed BIGINT NOT NULL CHECK (ResourceCapacityUsed >= 0),
    LogicalCapacityUsed BIGINT CHECK (LogicalCapacityUsed >= 0),
    ResourceCapacityAllocated BIGINT CHECK (ResourceCapacityAllocated >= 0),
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (SiteID, Year, Month, StartTime, StorageSystemID, StorageShareID, StorageMediaID, DirectoryPath, GroupID,
                 SubGroupID, RoleID)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS StorageDaySummaries_UpdateTimeIdx ON StorageDaySummaries (UpdateTime);

-- The same of a month: averages over its days with a value, and its last value.
CREATE TABLE IF NOT EXISTS StorageMonthSummaries (
    SiteID INT NOT NULL,
    Year INT NOT NULL,
    Month INT NOT NULL,
    StartTime DATETIME NOT NULL,
    EndTime DATETIME NOT NULL,
    StorageSystemID INT NOT NULL,
    StorageShareID INT NOT NULL,
    StorageMediaID INT NOT NULL,
    DirectoryPath VARCHAR(255) NOT NULL CHECK (length(DirectoryPath) <= 255),
    GroupID INT NOT NULL,
    SubGroupID INT NOT NULL,
    RoleID INT NOT NULL,
    Days INT NOT NULL,
    FileCount BIGINT CHECK (FileCount >= 0),
    ResourceCapacityUsed BIGINT NOT NULL CHECK (ResourceCapacityUsed >= 0),
    LogicalCapacityUsed BIGINT CHECK (LogicalCapacityUsed >= 0),
    ResourceCapacityAllocated BIGINT CHECK (ResourceCapacityAllocated >= 0),
    LastFileCount BIGINT CHECK (LastFileCount >= 0),
    LastResourceCapacityUsed BIGINT NOT NULL CHECK (LastResourceCapacityUsed >= 0),
    LastLogicalCapacityUsed BIGINT CHECK (LastLogicalCapacityUsed >= 0),
    LastResourceCapacityAllocated BIGINT CHECK (LastResourceCapacityAllocated >= 0),
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (SiteID, Year, Month, StorageSystemID, StorageShareID, StorageMediaID, DirectoryPath, GroupID, SubGroupID,
                 RoleID)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS StorageMonthSummaries_UpdateTimeIdx ON StorageMonthSummaries (UpdateTime);

-- From how many records that end in a month it was made, and how many days that gave: to find out what was deleted
-- by hand.
CREATE TABLE IF NOT EXISTS StorageMonths (
    SiteID INT NOT NULL,
    Year INT NOT NULL,
    Month INT NOT NULL,
    Records INT NOT NULL,
    Days INT NOT NULL,
    PRIMARY KEY (SiteID, Year, Month)
) WITHOUT ROWID;

-- Days and months of which there are no records any more, until all receivers have been told: rows of the tables
-- above that have gone. OfMonth is 1 for those of months, 0 for days.
CREATE TABLE IF NOT EXISTS StorageVanishedSummaries (
    SiteID INT NOT NULL,
    Year INT NOT NULL,
    Month INT NOT NULL,
    OfMonth INT NOT NULL,
    StartTime DATETIME NOT NULL,
    EndTime DATETIME NOT NULL,
    StorageSystemID INT NOT NULL,
    StorageShareID INT NOT NULL,
    StorageMediaID INT NOT NULL,
    DirectoryPath VARCHAR(255) NOT NULL CHECK (length(DirectoryPath) <= 255),
    GroupID INT NOT NULL,
    SubGroupID INT NOT NULL,
    RoleID INT NOT NULL,
    UpdateTime TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (SiteID, Year, Month, OfMonth, StartTime, StorageSystemID, StorageShareID, StorageMediaID, DirectoryPath,
                 GroupID, SubGroupID, RoleID)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS StorageVanishedSummaries_UpdateTimeIdx ON StorageVanishedSummaries (UpdateTime);

-- As the incumbent's, with UpdateTime at its end.
CREATE VIEW IF NOT EXISTS VStarRecords AS
SELECT CreateTime,
       RecordId,
       StorageSystems.name AS StorageSystem,
       Sites.name AS Site,
       StorageShares.name AS StorageShare,
       StorageMedia.name AS StorageMedia,
       StorageClasses.name AS StorageClass,
       FileCount,
       DirectoryPath,
       LocalUser,
       LocalGroup,
       UserIdentities.name AS UserIdentity,
       GroupNames.name AS `Group`,
       Roles.name AS Role,
       SubGroups.name AS SubGroup,
       StartTime,
       EndTime,
       ResourceCapacityUsed,
       LogicalCapacityUsed,
       ResourceCapacityAllocated,
       StarRecords.UpdateTime AS UpdateTime
FROM StarRecords
LEFT JOIN StorageSystems ON StorageSystems.id = StarRecords.StorageSystemID
LEFT JOIN Sites ON Sites.id = StarRecords.SiteID
LEFT JOIN StorageShares ON StorageShares.id = StarRecords.StorageShareID
LEFT JOIN StorageMedia ON StorageMedia.id = StarRecords.StorageMediaID
LEFT JOIN StorageClasses ON StorageClasses.id = StarRecords.StorageClassID
LEFT JOIN UserIdentities ON UserIdentities.id = StarRecords.UserIdentityID
LEFT JOIN `Groups` AS GroupNames ON GroupNames.id = StarRecords.GroupID
LEFT JOIN SubGroups ON SubGroups.id = StarRecords.SubGroupID
LEFT JOIN Roles ON Roles.id = StarRecords.RoleID;

-- The columns of the draft of storage summaries, then ours.
CREATE VIEW IF NOT EXISTS DaySummaries AS
SELECT Sites.name AS Site,
       StorageSystems.name AS StorageSystem,
       StorageShares.name AS StorageShare,
       StorageMedia.name AS StorageMedia,
       DirectoryPath,
       GroupNames.name AS `Group`,
       EndTime,
       Month,
       Year,
       FileCount,
       ResourceCapacityUsed,
       LogicalCapacityUsed,
       ResourceCapacityAllocated,
       SubGroups.name AS SubGroup,
       Roles.name AS Role,
       StartTime,
       StorageDaySummaries.UpdateTime AS CreateTime,
       StorageDaySummaries.UpdateTime AS UpdateTime
FROM StorageDaySummaries
JOIN Sites ON Sites.id = StorageDaySummaries.SiteID
JOIN StorageSystems ON StorageSystems.id = StorageDaySummaries.StorageSystemID
JOIN StorageShares ON StorageShares.id = StorageDaySummaries.StorageShareID
JOIN StorageMedia ON StorageMedia.id = StorageDaySummaries.StorageMediaID
JOIN `Groups` AS GroupNames ON GroupNames.id = StorageDaySummaries.GroupID
JOIN SubGroups ON SubGroups.id = StorageDaySummaries.SubGroupID
JOIN Roles ON Roles.id = StorageDaySummaries.RoleID;

CREATE VIEW IF NOT EXISTS MonthSummaries AS
SELECT Sites.name AS Site,
       StorageSystems.name AS StorageSystem,
       StorageShares.name AS StorageShare,
       StorageMedia.name AS StorageMedia,
       DirectoryPath,
       GroupNames.name AS `Group`,
       EndTime,
       Month,
       Year,
       FileCount,
       ResourceCapacityUsed,
       LogicalCapacityUsed,
       ResourceCapacityAllocated,
       Days,
       LastFileCount,
       LastResourceCapacityUsed,
       LastLogicalCapacityUsed,
       LastResourceCapacityAllocated,
       SubGroups.name AS SubGroup,
       Roles.name AS Role,
       StartTime,
       StorageMonthSummaries.UpdateTime AS CreateTime,
       StorageMonthSummaries.UpdateTime AS UpdateTime
FROM StorageMonthSummaries
JOIN Sites ON Sites.id = StorageMonthSummaries.SiteID
JOIN StorageSystems ON StorageSystems.id = StorageMonthSummaries.StorageSystemID
JOIN StorageShares ON StorageShares.id = StorageMonthSummaries.StorageShareID
JOIN StorageMedia ON StorageMedia.id = StorageMonthSummaries.StorageMediaID
JOIN `Groups` AS GroupNames ON GroupNames.id = StorageMonthSummaries.GroupID
JOIN SubGroups ON SubGroups.id = StorageMonthSummaries.SubGroupID
JOIN Roles ON Roles.id = StorageMonthSummaries.RoleID;

-- What is unloaded: with those that have vanished, as levels of 0 in a storage class by which receivers know them.
CREATE VIEW IF NOT EXISTS VUnloadedDays AS
SELECT Site, StorageSystem, StorageShare, StorageMedia, DirectoryPath, `Group`, EndTime, Month, Year, FileCount,
       ResourceCapacityUsed, LogicalCapacityUsed, ResourceCapacityAllocated, SubGroup, Role, StartTime, CreateTime, UpdateTime,
       NULL AS StorageClass
FROM DaySummaries
UNION ALL
SELECT Sites.name,
       StorageSystems.name,
       StorageShares.name,
       StorageMedia.name,
       DirectoryPath,
       GroupNames.name,
       EndTime,
       Month,
       Year,
       NULL,
       0,
       NULL,
       NULL,
       SubGroups.name,
       Roles.name,
       StartTime,
       StorageVanishedSummaries.UpdateTime,
       StorageVanishedSummaries.UpdateTime,
       'vanished'
FROM StorageVanishedSummaries
JOIN Sites ON Sites.id = StorageVanishedSummaries.SiteID
JOIN StorageSystems ON StorageSystems.id = StorageVanishedSummaries.StorageSystemID
JOIN StorageShares ON StorageShares.id = StorageVanishedSummaries.StorageShareID
JOIN StorageMedia ON StorageMedia.id = StorageVanishedSummaries.StorageMediaID
JOIN `Groups` AS GroupNames ON GroupNames.id = StorageVanishedSummaries.GroupID
JOIN SubGroups ON SubGroups.id = StorageVanishedSummaries.SubGroupID
JOIN Roles ON Roles.id = StorageVanishedSummaries.RoleID
WHERE OfMonth = 0;

CREATE VIEW IF NOT EXISTS VUnloadedMonths AS
SELECT Site, StorageSystem, StorageShare, StorageMedia, DirectoryPath, `Group`, EndTime, Month, Year, FileCount,
       ResourceCapacityUsed, LogicalCapacityUsed, ResourceCapacityAllocated, SubGroup, Role, StartTime, CreateTime, UpdateTime,
       NULL AS StorageClass
FROM MonthSummaries
UNION ALL
SELECT Sites.name,
       StorageSystems.name,
       StorageShares.name,
       StorageMedia.name,
       DirectoryPath,
       GroupNames.name,
       EndTime,
       Month,
       Year,
       NULL,
       0,
       NULL,
       NULL,
       SubGroups.name,
       Roles.name,
       StartTime,
       StorageVanishedSummaries.UpdateTime,
       StorageVanishedSummaries.UpdateTime,
       'vanished'
FROM StorageVanishedSummaries
JOIN Sites ON Sites.id = StorageVanishedSummaries.SiteID
JOIN StorageSystems ON StorageSystems.id = StorageVanishedSummaries.StorageSystemID
JOIN StorageShares ON StorageShares.id = StorageVanishedSummaries.StorageShareID
JOIN StorageMedia ON StorageMedia.id = StorageVanishedSummaries.StorageMediaID
JOIN `Groups` AS GroupNames ON GroupNames.id = StorageVanishedSummaries.GroupID
JOIN SubGroups ON SubGroups.id = StorageVanishedSummaries.SubGroupID
JOIN Roles ON Roles.id = StorageVanishedSummaries.RoleID
WHERE OfMonth = 1;
