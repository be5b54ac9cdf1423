-- From 2.5.0 back to 2.4.1: no infrastructure description in the sums.

DROP VIEW VSummaries;

DROP VIEW VNormalisedSummaries;

DROP VIEW VSuperSummaries;

ALTER TABLE Summaries DROP COLUMN InfrastructureDescription;

ALTER TABLE NormalisedSummaries DROP COLUMN InfrastructureDescription;

ALTER TABLE HybridSuperSummaries DROP COLUMN InfrastructureDescription;

ALTER TABLE SuperSummaries DROP COLUMN InfrastructureDescription;
