-- From 2.4.0 back to 2.2: normalised sums without a benchmark's name.

ALTER TABLE NormalisedSummaries DROP PRIMARY KEY, DROP COLUMN ServiceLevelType, ADD PRIMARY KEY (SiteID, Month, Year, GlobalUserNameID, VOID, VORoleID, VOGroupID, SubmitHostId, NodeCount,
    Processors);
