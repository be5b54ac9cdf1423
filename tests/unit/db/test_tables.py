"""Records become rows, and every row the database can hold is stored."""

from typing import Any, Dict, List

import pytest

from apel.db import RowRefused, Unusable
from apel.db.marks import mark_months
from apel.db.store import store
from apel.db.tables import BLAHD, EVENTS, FILES, SERVER_JOBS, SUMMARIES, SYNC
from apel.records import BlahdRecord, EventRecord, JobRecord, ProcessedFile, SummaryRecord, SyncRecord

DAY = 86400
END = 1740787200  # 2025-03-01 00:00:00 UTC
SENDER = {"PublisherDN": "/CN=sender"}

EVENT: Dict[str, Any] = {
    "Site": "S",
    "JobName": "1",
    "WallDuration": 10,
    "CpuDuration": 9,
    "StartTime": END - 10,
    "StopTime": END,
    "MachineName": "batch",
}
JOB: Dict[str, Any] = {
    "Site": "S",
    "MachineName": "batch",
    "LocalJobId": "1",
    "WallDuration": 10,
    "CpuDuration": 9,
    "StartTime": END - 10,
    "EndTime": END,
    "ServiceLevelType": "HEPSPEC",
    "ServiceLevel": 10.0,
}
SUMMARY: Dict[str, Any] = {
    "Site": "S",
    "Month": 3,
    "Year": 2025,
    "ServiceLevelType": "HEPSPEC",
    "ServiceLevel": 10.0,
    "NodeCount": 1,
    "Processors": 1,
    "WallDuration": 10,
    "CpuDuration": 9,
    "NumberOfJobs": 1,
}


def event(**changes: Any) -> EventRecord:
    return EventRecord.of(**dict(EVENT, **changes))


def job(**changes: Any) -> JobRecord:
    return JobRecord.of(**dict(JOB, **changes))


def summary(**changes: Any) -> SummaryRecord:
    return SummaryRecord.of(**dict(SUMMARY, **changes))


def rows(db: Any, sql: str) -> List[Any]:
    return list(db.run(lambda tx: tx.rows(sql)))


def test_absent_text_is_the_word_none_and_absent_numbers_are_null(client_db: Any) -> None:
    assert store(client_db, EVENTS, [event()], "ignore") == (1, [])
    columns = "LocalUserID, Infrastructure, MemoryReal, NodeCount, StartTime, EndTime, Status, name"
    query = "SELECT %s FROM EventRecords JOIN Queues ON QueueID = id" % columns
    times = "2025-02-28 23:59:50", "2025-03-01 00:00:00"
    assert rows(client_db, query) == [("None", "None", None, None, *times, 0, "None")]


def test_blahd_record_and_file_are_stored(client_db: Any) -> None:
    blahd = BlahdRecord.of(TimeStamp=END, LrmsId="1", Site="S", CE="ce", FQAN="/a", ValidFrom=END - DAY)
    known = blahd.replace(LrmsId="2", MachineName="batch")
    assert store(client_db, BLAHD, [blahd, known], "ignore").count == 2
    query = "SELECT LrmsId, TimeStamp, ValidFrom, ValidUntil, Processed, MachineNameID FROM BlahdRecords"
    time, from_time = "2025-03-01 00:00:00", "2025-02-28 00:00:00"
    (batch,) = client_db.ids("MachineNames", ["batch"]).values()
    expected = [("1", time, from_time, None, 0, None), ("2", time, from_time, None, 0, batch)]
    assert sorted(rows(client_db, query)) == expected
    file = ProcessedFile.of(HostName="h", FileName="f", Hash="x", StopLine=3, Parsed=2, Position=2**40)
    store(client_db, FILES, [file], "update")
    store(client_db, FILES, [file.replace(StopLine=2**33)], "update")
    assert rows(client_db, "SELECT StopLine, Position FROM ProcessedFiles") == [(2**33, 2**40)]
    assert rows(client_db, "SELECT * FROM VProcessedFiles") == [("h", "f", "x", 2**33, 2)]


def test_a_job_has_its_month_its_publisher_and_no_null_counts(server_db: Any) -> None:
    store(server_db, SERVER_JOBS, [job(ServiceLevel=10.12349)], "update", SENDER)
    columns = "EndYear, EndMonth, Processors, NodeCount, ServiceLevel, FQAN, name"
    query = "SELECT %s FROM JobRecords JOIN DNs ON PublisherDNID = id" % columns
    assert rows(server_db, query) == [(2025, 3, 0, 0, 10.123, "None", "/CN=sender")]


def test_values_longer_than_the_incumbents_columns_are_stored_whole(client_db: Any) -> None:
    """P22: a job name of 255 characters, a user of 255, more seconds and kB than 32 bits hold."""
    long = "é" * 255
    values = {"LocalUserID": long, "LocalUserGroup": long, "Queue": long}
    big = {"WallDuration": 2**40, "CpuDuration": 2**40, "MemoryReal": 2**42, "MemoryVirtual": 2**62}
    assert store(client_db, EVENTS, [event(JobName=long, **values, **big)], "ignore").rejected == []
    columns = (
        "JobName, LocalUserID, LocalUserGroup, name, WallDuration, CpuDuration, MemoryReal, MemoryVirtual"
    )
    found = rows(client_db, "SELECT %s FROM EventRecords JOIN Queues ON QueueID = id" % columns)
    assert found == [(long, long, long, long, *big.values())]


def test_one_bad_record_of_1000_and_the_others_are_stored(client_db: Any) -> None:
    """P7: a record that only the database can refuse is found; the rest, and the position, are stored."""
    events = [event(JobName=str(number)) for number in range(1000)]
    events[700] = events[700].replace(StartTime=None)
    events[3] = events[3].replace(Queue="q" * 256)
    events[4] = events[4].replace(LocalUserID="\udc80")
    done: List[int] = []

    def position(tx: Any) -> None:
        done.append(tx.insert("LastUpdated", ["Type"], [("position",)]))

    stored = store(client_db, EVENTS, events, "ignore", also=position)
    assert stored.count == 997
    assert [record for record, _ in stored.rejected] == [events[3], events[4], events[700]]
    assert all(reason for _, reason in stored.rejected)
    assert rows(client_db, "SELECT COUNT(*) FROM EventRecords") == [(stored.count,)]
    assert rows(client_db, "SELECT Type FROM LastUpdated") == [("position",)]


CARDS = "SELECT JobName, Number, Host, Model, Count, AvailableDuration, ActiveDuration FROM EventAccelerators"
TWO = ((0, "wn1", "a100", "GPU", 2, 60, None), (1, None, None, "GPU", 0.5, 60, 30))


def test_accelerators_of_a_job_are_those_of_the_event_that_is_kept(client_db: Any) -> None:
    """The first that was parsed; when parsing again, the last."""
    ordered = CARDS + " ORDER BY JobName, Number"
    one = ((0, "wn2", "t4", "GPU", 1, 5, None),)
    first = [event(JobName="1", Accelerators=TWO), event(JobName="2"), event(JobName="1", Accelerators=one)]
    store(client_db, EVENTS, first, "ignore")
    expected = [("1", 0, "wn1", "a100", 2, 60, None), ("1", 1, None, None, 0.5, 60, 30)]
    assert rows(client_db, ordered) == expected
    again = [event(JobName="1", Accelerators=one), event(JobName="2", Accelerators=one), event(JobName="3")]
    store(client_db, EVENTS, again, "ignore")
    assert rows(client_db, ordered) == expected
    store(client_db, EVENTS, again, "update")
    assert rows(client_db, ordered) == [("1", 0, "wn2", "t4", 1, 5, None), ("2", 0, "wn2", "t4", 1, 5, None)]
    store(client_db, EVENTS, [event(JobName="1"), event(JobName="3", Accelerators=TWO)], "update")
    assert [row[:2] for row in rows(client_db, ordered)] == [("2", 0), ("3", 0), ("3", 1)]


def test_nothing_is_stored_when_what_goes_with_it_fails(client_db: Any) -> None:
    def position(tx: Any) -> None:
        tx.execute("INSERT INTO NoSuchTable (a) VALUES (1)")

    with pytest.raises(Unusable):
        store(client_db, EVENTS, [event()], "ignore", also=position)
    assert rows(client_db, "SELECT COUNT(*) FROM EventRecords") == [(0,)]


def test_a_position_is_stored_without_records(client_db: Any) -> None:
    store(client_db, EVENTS, [], "ignore", also=lambda tx: tx.insert("LastUpdated", ["Type"], [("a",)]))
    assert rows(client_db, "SELECT Type FROM LastUpdated") == [("a",)]


def test_the_same_records_twice_or_in_another_order_are_the_same_as_once(server_db: Any) -> None:
    """D6: repeated messages leave every row as it was, UpdateTime included."""
    jobs = [job(LocalJobId=str(number)) for number in range(10)]
    store(server_db, SERVER_JOBS, jobs, "update", SENDER)
    server_db.run(lambda tx: tx.execute("UPDATE JobRecords SET UpdateTime = '2025-01-01 00:00:00'"))
    before = rows(server_db, "SELECT * FROM JobRecords ORDER BY LocalJobId")
    store(server_db, SERVER_JOBS, jobs[::-1] + jobs[:3], "update", SENDER)
    assert rows(server_db, "SELECT * FROM JobRecords ORDER BY LocalJobId") == before
    store(server_db, SERVER_JOBS, [jobs[0].replace(WallDuration=11)], "update", SENDER)
    changed = rows(server_db, "SELECT WallDuration FROM JobRecords WHERE UpdateTime > '2025-01-02 00:00:00'")
    assert changed == [(11,)]


def test_summaries_of_other_infrastructures_are_kept_apart(server_db: Any) -> None:
    """D9: rows that differ only in infrastructure type or description."""
    kinds = [("grid", "A"), ("grid", "B"), ("local", "A"), (None, None)]
    summaries = [
        summary(InfrastructureType=kind, InfrastructureDescription=text, NumberOfJobs=number)
        for number, (kind, text) in enumerate(kinds)
    ]
    assert store(server_db, SUMMARIES, summaries, "update", SENDER).count == 4
    query = "SELECT InfrastructureType, InfrastructureDescription, NumberOfJobs FROM VSummaries ORDER BY 3"
    expected = [("grid", "A", 0), ("grid", "B", 1), ("local", "A", 2), ("None", "None", 3)]
    assert rows(server_db, query) == expected


def test_summaries_whose_benchmark_differs_in_case_are_one(server_db: Any) -> None:
    store(server_db, SUMMARIES, [summary(ServiceLevelType="HEPSPEC")], "update", SENDER)
    store(server_db, SUMMARIES, [summary(ServiceLevelType="hepspec", NumberOfJobs=5)], "update", SENDER)
    assert rows(server_db, "SELECT NumberOfJobs FROM Summaries WHERE ServiceLevelType = 'HepSpec'") == [(5,)]


def test_two_batch_systems_with_the_same_job_ids_are_kept_apart(server_db: Any) -> None:
    """D10: the machine name is part of a job's identity."""
    jobs = [job(MachineName=machine) for machine in ("batch1", "batch2", None)]
    store(server_db, SERVER_JOBS, jobs, "update", SENDER)
    query = "SELECT MachineName FROM VJobRecords ORDER BY MachineName"
    assert rows(server_db, query) == [("None",), ("batch1",), ("batch2",)]


def test_a_later_sync_replaces_the_earlier(server_db: Any) -> None:
    record = SyncRecord.of(Site="S", SubmitHost=None, NumberOfJobs=2**33, Month=3, Year=2025)
    for count in (2**33, 5):
        store(server_db, SYNC, [record.replace(NumberOfJobs=count)], "update", SENDER)
    query = "SELECT Site, SubmitHost, NumberOfJobs, Month, Year FROM VSyncRecords"
    assert rows(server_db, query) == [("S", "None", 5, 3, 2025)]


def test_marks_of_two_writers_are_two(server_db: Any) -> None:
    for _ in range(2):
        server_db.run(lambda tx: mark_months(tx, [(1, 2025, 3), (1, 2025, 3), (2, 2025, 3)]))
    found = rows(server_db, "SELECT SiteID, Mark FROM ChangedMonths")
    assert sorted(site for site, _ in found) == [1, 1, 2, 2]
    assert len({mark for _, mark in found}) == 4
    assert all(0 <= mark < 2**63 for _, mark in found)


def test_a_name_that_no_table_holds_is_refused(server_db: Any) -> None:
    with pytest.raises(RowRefused):
        SERVER_JOBS.rows(server_db, [job(VO="x").replace(VO="x" * 256)], **SENDER)
