-- From 2.5.0 back to 2.2.0: smaller numbers, whole processors.

ALTER TABLE CloudRecords MODIFY SuspendDuration INT, MODIFY WallDuration INT, MODIFY CpuDuration INT,
    MODIFY CpuCount INT, MODIFY NetworkInbound INT, MODIFY NetworkOutbound INT, MODIFY Memory INT, MODIFY Disk INT;

ALTER TABLE CloudSummaries MODIFY WallDuration INT, MODIFY CpuDuration INT, MODIFY CpuCount INT NOT NULL,
    MODIFY NetworkInbound INT, MODIFY NetworkOutbound INT, MODIFY Memory INT, MODIFY Disk INT;
