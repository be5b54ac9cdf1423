"""apeldbunloader: what is new, for whom, and what is remembered of it."""

from typing import Any

import pytest
from central_records import (
    accelerators,
    cloud,
    gpu,
    gpu_sum,
    ips,
    measured,
    measured_sum,
    normalised,
    star,
    storage,
    vm,
)
from centre import END, SUMMARY, Installation, job, message, summary, sync
from portal import EARLIER, Portal, fill, records

from apel import unloader
from apel.db import Database, mysql
from apel.db.database import Transaction
from apel.server.closed import PURGED
from apel.server.retention import COLUMNS
from apelcommon.errors import Transient
from servers.databases import fresh_database
from ssm.queues import OutgoingQueue

#: How many records there are of each table, where it isn't one.
FILLED = {
    "VJobRecords": 2,
    "AcceleratorRecords": 2,
    "AcceleratorSummaries": 3,
    "IPRecords": 2,
    "IPSummaries": 3,
}


@pytest.mark.parametrize(
    "table, stored, more",
    [
        ("VJobRecords", "JobRecords", lambda: message([job(LocalJobId="new")])),
        ("VSyncRecords", "SyncRecords", lambda: sync(7, month=2)),
        ("VCloudRecords", "CloudRecords", lambda: cloud(vm("2025-03-31", 1, VMUUID="new"))),
        ("VStarRecords", "StarRecords", lambda: star(storage(RecordId="new"))),
        ("AcceleratorRecords", "AcceleratorRecords", lambda: accelerators(gpu(AssociatedRecord="new"))),
        ("AcceleratorSummaries", "AcceleratorSummaries", lambda: message([gpu_sum(Month=1)],
                                                                        "accelerator summary v0.1")),
        ("IPRecords", "IPRecords", lambda: ips(measured("2025-03-04", 5))),
        ("IPSummaries", "IPSummaries", lambda: message([measured_sum(Month=1)], "public ip summary v0.1")),
        ("VSummaries", "Summaries", lambda: message([summary(VO="new", Month=2, EarliestEndTime=None,
                                                             LatestEndTime=None)], "summary v0.2")),
    ],
)  # fmt: skip
def test_latest_sends_what_is_new_and_nothing_twice(
    portal: Portal, table: str, stored: str, more: Any
) -> None:
    """C6: of storage and sync counts, too, where the incumbent can't."""
    options = {"table_name": table, "send_ur": "true" if table == "VStarRecords" else "false"}
    fill(portal)
    portal.age(stored)
    assert len(records(portal.run(**options))) == FILLED.get(table, 1)
    assert portal.run(**options) == []
    portal.centre.load(more())
    assert len(records(portal.run(**options))) == 1


#: Table, message, field, and details that leave the record's own row as it is.
WITH_DETAILS = [
    ("StarRecords", lambda **more: star(storage(**more)), "GroupAttributes",
     (("authority", "x"), ("b", None))),
    ("JobRecords", lambda **more: message([job(**more)], "job v0.4"), "Benchmarks",
     (("HEPscore23", 10.0), ("HEPSPEC", 9.5))),
    ("Summaries", lambda **more: message([summary(**more)], "summary v0.4"), "Benchmarks",
     (("si2k", 2500.0), ("other", 7.0))),
    ("NormalisedSummaries", lambda **more: message([normalised(**more)], "normalised summary v0.4"),
     "Benchmarks", (("HEPscore23", 1125, 9000), ("HEPSPEC", 1100, 8900))),
]  # fmt: skip


@pytest.mark.parametrize("table, body, field, pairs", WITH_DETAILS)
def test_record_of_which_only_its_details_have_changed_is_new(
    portal: Portal, table: str, body: Any, field: str, pairs: Any
) -> None:
    """C6: group attributes and benchmarks are in tables of their own, but part of what is unloaded."""
    both, other = (body(**{field: found}) for found in (pairs, (pairs[0], ("c", *pairs[1][1:]))))
    for text, new in ((both, 1), (both, 0), (other, 1), (body(), 1), (body(), 0), (both, 1)):
        portal.age(table)
        portal.centre.load(text)
        query = "SELECT COUNT(*) FROM %s WHERE UpdateTime > '%s'" % (table, EARLIER)
        assert portal.centre.rows(query) == [(new,)], text
    assert portal.centre.rejected() == [] and portal.centre.count(table) == 1


def test_attributes_of_storage_alone_are_sent_again(portal: Portal) -> None:
    """C6: with the rest of their record, which is what it was."""
    options = {"table_name": "VStarRecords", "send_ur": "true"}
    portal.centre.load(star(storage(), storage(RecordId="other")))
    portal.age("StarRecords")
    assert len(records(portal.run(**options))) == 2
    for attributes in ((("authority", "new"),), (("authority", "newer"), ("more", "x")), None):
        changed = storage(GroupAttributes=attributes)
        portal.centre.load(star(changed), star(storage(RecordId="other")))
        assert records(portal.run(**options)) == [changed]
        portal.age("StarRecords")
        assert portal.run(**options) == []


def test_row_written_in_the_second_of_the_watermark_is_sent(portal: Portal) -> None:
    """C6: by a loader that commits after the unload, in the same second."""
    fill(portal)
    portal.run()
    query = "SELECT UpdateTime FROM LastUpdated WHERE Type LIKE 'sent%%'"
    (watermark,) = portal.centre.rows(query)[0]
    portal.centre.load(message([job(LocalJobId="late")]))
    portal.age("JobRecords")
    portal.centre.execute("UPDATE JobRecords SET UpdateTime = %s WHERE LocalJobId = 'late'", [watermark])
    assert [one.LocalJobId for one in records(portal.run())] == ["late"]


@pytest.mark.parametrize("writer", ["loader", "summariser"])
def test_clock_that_was_set_back_hides_nothing_when_it_has_passed_the_watermark_again(
    portal: Portal, writer: str, no_waiting: None
) -> None:
    """C6: nothing was unloaded in the hour by which it was set back, so the watermark looks right again."""
    options = {} if writer == "loader" else {"table_name": "VSuperSummaries"}
    portal.centre.load(message([job()]))
    portal.centre.summarise()
    portal.age("JobRecords")
    portal.age("HybridSuperSummaries")
    assert len(portal.run(**options)) == 1
    if writer == "summariser":
        portal.centre.load(message([job(LocalJobId="late")]))
    portal.centre.execute("UPDATE LastUpdated SET UpdateTime = '2037-01-01' WHERE Type LIKE 'sent%%'")
    if writer == "summariser":
        portal.centre.summarise()
    else:
        portal.centre.load(message([job(LocalJobId="late")]))
    ahead = "SELECT COUNT(*) FROM LastUpdated WHERE UpdateTime > CURRENT_TIMESTAMP"
    assert portal.centre.rows(ahead) == [(0,)]
    assert len(records(portal.run(**options))) == 1


def test_clock_that_was_set_back_during_an_unload_hides_nothing(portal: Portal, monkeypatch: Any) -> None:
    """C6: what was written then has stamps before the mark that the unload was going to make."""
    portal.centre.load(message([job()]))
    portal.age("JobRecords")
    with monkeypatch.context() as patch:
        patch.setattr("apel.unloader.checked_time", lambda tx: "2037-01-01 00:00:00")
        assert len(portal.run()) == 1
    portal.centre.load(message([job(LocalJobId="during")]))
    portal.age("JobRecords")
    portal.centre.load(message([job(LocalJobId="later")]))
    assert {"during", "later"} <= {one.LocalJobId for one in records(portal.run())}


@pytest.mark.server
def test_unloader_waits_for_a_loader_that_has_not_committed(
    mariadb: Any, tmp_path: Any, monkeypatch: Any, no_waiting: None
) -> None:
    """C6: loaders hold it off together, none of them another."""
    for db in fresh_database("server", tmp_path, mariadb):
        portal = Portal(Installation(tmp_path, mariadb.options_for(db.backend.database)), db)  # type: ignore[attr-defined]
        portal.centre.load(message([job()]))
        monkeypatch.setattr(
            "apel.db.mysql.SESSION", "%s, SESSION innodb_lock_wait_timeout = 1" % mysql.SESSION
        )
        monkeypatch.setattr(Database.run, "__defaults__", (1,))
        # It waits, too, but not until the snapshot is opened.
        monkeypatch.setattr("apel.unloader.prepare_writers", lambda db: None)
        writers = [db.backend.connect(), db.backend.connect()]
        for connection in writers:
            db.backend.begin(connection)
            unloader.hold_off_together(Transaction(db.backend, connection), db.sql)
        try:
            writers[0].commit()
            assert portal.fails() == 75 and portal.sent() == []
            writers[1].commit()
            assert len(records(portal.run())) == 1
        finally:
            for connection in writers:
                connection.close()


def test_each_receiver_has_its_own_watermark(small: Portal) -> None:
    """By name, or by what is sent where, and which rows of it; how they are written makes no difference."""
    fill(small)
    small.age("JobRecords")
    assert len(records(small.run())) == 2
    assert small.run(dict_benchmark_type="true") == []
    assert len(records(small.run(include_vos="atlas"))) == 1
    assert len(records(small.run(local_jobs="false"))) == 1
    assert len(records(small.run(receiver="portal"))) == 2
    assert len(records(small.run(receiver="archive"))) == 2
    assert small.run(receiver="portal") == small.run() == small.run(include_vos="atlas") == []


def test_first_receiver_of_an_upgraded_centre_goes_on_from_the_old_mark(portal: Portal) -> None:
    """It doesn't send years again. The incumbent set its mark late, so the day before it is sent again."""
    portal.centre.load(message([job(LocalJobId=name) for name in ("old", "near", "new")]))
    times = {"old": "2026-03-01 12:00:00", "near": "2026-03-10 06:00:00", "new": "2026-03-11 06:00:00"}
    for name, time in times.items():
        portal.centre.execute("UPDATE JobRecords SET UpdateTime = %s WHERE LocalJobId = %s", [time, name])
    mark = "INSERT INTO LastUpdated (Type, UpdateTime) VALUES ('sent', '2026-03-10 20:00:00')"
    portal.centre.execute(mark)
    assert sorted(one.LocalJobId for one in records(portal.run())) == ["near", "new"]
    assert portal.run() == []
    # Any other receiver has to begin at the beginning, since what it was sent nobody knows.
    assert len(records(portal.run(receiver="another"))) == 3
    assert portal.centre.rows("SELECT COUNT(*) FROM LastUpdated WHERE Type = 'sent'") == [(0,)]


def test_disk_trouble_leaves_the_watermark_where_it_was(small: Portal, monkeypatch: Any) -> None:
    """C10: everything is sent by the next run."""
    fill(small)
    with monkeypatch.context() as patch:

        def full(queue: Any, text: str) -> None:
            raise Transient("No space left on device")

        patch.setattr(OutgoingQueue, "add", full)
        assert small.fails() == 75
    assert len(records(small.run())) == 2


def test_only_months_that_changed_are_sent_of_sums(portal: Portal) -> None:
    """The cost of latest follows what changed: the incumbent sends two months of everything."""
    fill(portal)
    april = {"StartTime": END + 40 * 86400, "EndTime": END + 40 * 86400}
    portal.centre.load(message([job(LocalJobId="april", **april)]))
    portal.centre.summarise()
    portal.age("HybridSuperSummaries")
    for table in ("VSuperSummaries", "VNormalisedSuperSummaries"):
        assert len(records(portal.run(table_name=table))) == 5
    portal.centre.load(message([job(LocalJobId="more", **april)]))
    portal.centre.summarise()
    for table in ("VSuperSummaries", "VNormalisedSuperSummaries"):
        (one,) = records(portal.run(table_name=table))
        assert (one.Month, one.NumberOfJobs) == (4, 2)


def test_sums_that_differ_in_what_is_not_written_are_added_up(portal: Portal) -> None:
    """D9: a receiver would keep one of them, since for it they have one key."""
    changes = [{}, {"InfrastructureDescription": "APEL-X"}, {"InfrastructureDescription": "APEL-Y"}]
    portal.centre.load(message([summary(**each) for each in changes], "summary v0.2"))
    (one,) = records(portal.run(table_name="VSummaries"))
    assert (one.NumberOfJobs, one.WallDuration, one.InfrastructureDescription) == (21, 3000, None)
    options = {"include_infrastructure_description": "true", "interval": "all"}
    assert len(records(portal.run(table_name="VSummaries", **options))) == 3


def test_changed_part_of_a_sum_that_is_added_up_brings_the_rest_of_it(portal: Portal) -> None:
    """C6, D9: of what was received row by row, the new row alone would replace the whole."""
    portal.centre.load(message([summary(), summary(InfrastructureDescription="APEL-X")], "summary v0.2"))
    portal.age("Summaries")
    assert records(portal.run(table_name="VSummaries"))[0].NumberOfJobs == 14
    portal.centre.load(
        message([summary(InfrastructureDescription="APEL-X", NumberOfJobs=100)], "summary v0.2")
    )
    assert records(portal.run(table_name="VSummaries"))[0].NumberOfJobs == 107


@pytest.mark.parametrize("table", ["VSuperSummaries", "VNormalisedSuperSummaries"])
def test_summary_of_a_purged_month_brings_the_sums_of_its_jobs(portal: Portal, table: str) -> None:
    """C6, D8: of a purged month only what the site sends as sums is made again, not the whole month."""
    centre = portal.centre
    centre.load(message([job()]))
    centre.summarise()
    (number,) = centre.db.ids("Sites", [job().Site]).values()
    closed = (number, 2025, 3, PURGED, 1, EARLIER, 0)
    centre.db.run(lambda tx: tx.insert("ClosedMonths", COLUMNS, [closed]))
    centre.execute("DELETE FROM JobRecords")
    portal.age("HybridSuperSummaries")
    assert [one.NumberOfJobs for one in records(portal.run(table_name=table))] == [1]
    names = (*SUMMARY, "InfrastructureDescription")
    same = {name: value for name, value in job().as_dict().items() if name in names}
    # It differs in what the messages of the table don't say.
    other: Any = {"ServiceLevel": 9.0, "InfrastructureDescription": same["InfrastructureDescription"]}
    if table == "VSuperSummaries":
        other = {"InfrastructureDescription": "other"}
    centre.load(message([summary(**dict(same, NumberOfJobs=7, **other))], "summary v0.2"))
    centre.summarise()
    assert [one.NumberOfJobs for one in records(portal.run(table_name=table))] == [8]


def test_normalised_sums_without_their_benchmark_are_added_up(portal: Portal) -> None:
    """v0.3 doesn't say it; in v0.4 what has none is HEPSPEC."""
    kinds = ["HEPscore23", "HEPSPEC", None]
    for kind in kinds:
        format = "normalised summary v0.4" if kind else "normalised summary v0.3"
        portal.centre.load(message([normalised(ServiceLevelType=kind)], format))
    portal.centre.summarise()
    for table in ("VNormalisedSummaries", "VNormalisedSuperSummaries"):
        (one,) = records(portal.run(table_name=table, interval="all"))
        assert (one.NumberOfJobs, one.NormalisedWallDuration) == (9, 3375)
        found = records(portal.run(table_name=table, interval="all", dict_benchmark_type="true"))
        assert sorted((one.ServiceLevelType, one.NumberOfJobs) for one in found) == [
            ("HEPSPEC", 6),
            ("HEPscore23", 3),
        ]
