-- From 2.4.1 back to 2.4.0: the infrastructure is not in the keys of the sums, and may be unknown.

ALTER TABLE Summaries DROP PRIMARY KEY, MODIFY InfrastructureType VARCHAR(20), ADD PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId, ServiceLevelType,
    ServiceLevel, NodeCount, Processors);

ALTER TABLE NormalisedSummaries DROP PRIMARY KEY, MODIFY Infrastructure VARCHAR(20), ADD PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId, NodeCount,
    Processors, ServiceLevelType);
