-- What server-extra.sql adds to a centre: jobs by month, and the portal's views.

ALTER TABLE JobRecords PARTITION BY RANGE (TO_DAYS(EndTime)) (
    PARTITION p2025_01 VALUES LESS THAN (TO_DAYS('2025-02-01')),
    PARTITION p2025_02 VALUES LESS THAN (TO_DAYS('2025-03-01')),
    PARTITION p2025_03 VALUES LESS THAN (TO_DAYS('2025-04-01')),
    PARTITION pDefault VALUES LESS THAN MAXVALUE
);

CREATE VIEW VSumCPU AS
SELECT Sites.name AS ExecutingSite, SUM(NumberOfJobs) AS Njobs, Month, Year
FROM HybridSuperSummaries
JOIN Sites ON Sites.id = HybridSuperSummaries.SiteID
GROUP BY Sites.name, Month, Year;
