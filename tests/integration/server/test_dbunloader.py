"""apeldbunloader: which rows go to whom, in which form, and what is remembered of it."""

import os
import signal
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import pytest
from central_records import cloud, normalised, star, storage, vm
from centre import END, SUMMARY, Centre, Installation, job, message, summary, sync

from apel import unloader
from apel.commands import apeldbunloader
from apel.db import Database, mysql
from apel.db.schema import CENTRE, initialise
from apel.messages import decode
from apel.server.closed import PURGED
from apel.server.retention import COLUMNS
from apel.server.summarise import CLOUD, Summariser
from apelcommon.errors import Transient
from servers.databases import BACKENDS, fresh_database
from ssm.queues import OutgoingQueue

EARLIER = "2026-05-01 00:00:00"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: Any) -> None:
    """Rows of this very second are aged instead."""
    monkeypatch.setattr(unloader, "WAITS_FOR_A_QUIET_SECOND", 0)


class Portal:
    """A centre with all tables in one database, and what its unloader sends."""

    def __init__(self, installation: Installation, db: Database) -> None:
        self.files = installation
        self.centre = Centre(installation.folder / "spool", db)
        self.queue = OutgoingQueue(str(installation.folder / "spool" / "outgoing"))

    def configure(self, **options: Any) -> str:
        """Write unloader.cfg; its path."""
        lines = ["dir_location = %s" % (self.files.folder / "spool")]
        lines += ["%s = %s" % (name, value) for name, value in options.items()]
        logs = "[logging]\nlogfile = %s\nconsole = false\n" % (self.files.folder / "log")
        return self.files.write("unloader.cfg", "\n".join(["[unloader]", *lines, logs]))

    def run(self, words: Sequence[str] = (), **options: Any) -> List[str]:
        """Run the command; the messages it wrote, which are taken out of the queue."""
        path = self.configure(**options)
        assert apeldbunloader.main(["-d", self.files.db_cfg, "-c", path, *words]) == 0
        return self.sent()

    def fails(self, words: Sequence[str] = (), **options: Any) -> int:
        """Run the command; its exit status."""
        path = self.configure(**options)
        return apeldbunloader.main(["-d", self.files.db_cfg, "-c", path, *words])

    def sent(self) -> List[str]:
        """What is in the queue, taken out of it."""
        found = []
        for name in list(self.queue.ids()):
            assert self.queue.lock(name)
            found.append(self.queue.get(name))
            self.queue.remove(name)
        return found

    def age(self, *tables: str) -> None:
        """Make rows older than the second that now is."""
        for table in tables:
            self.centre.execute("UPDATE %s SET UpdateTime = '%s'" % (table, EARLIER))


@pytest.fixture
def small(tmp_path: Any) -> Iterator[Portal]:
    """On SQLite, for what doesn't depend on the database."""
    yield from _portal(tmp_path, None)


@pytest.fixture(params=BACKENDS)
def portal(request: Any, tmp_path: Any) -> Iterator[Portal]:
    """On each back end in turn."""
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    yield from _portal(tmp_path, server)


def _portal(tmp_path: Any, server: Any) -> Iterator[Portal]:
    for db in fresh_database("server", tmp_path, server):
        for schema in sorted(CENTRE):
            initialise(db.backend, schema)
        if server is None:
            options = {"backend": "sqlite", "name": db.backend.path}  # type: ignore[attr-defined]
        else:
            options = server.options_for(db.backend.database)  # type: ignore[attr-defined]
        yield Portal(Installation(tmp_path, options), db)


def records(messages: Sequence[str]) -> List[Any]:
    """All the records of messages, none of which may be refused."""
    found = [decode(text) for text in messages]
    assert not any(one.rejected for one in found)
    return [one for each in found for one in each.records]


def formats(messages: Sequence[str]) -> List[str]:
    return [decode(text).format for text in messages]


def fill(portal: Portal) -> None:
    """Something in every table, summed up."""
    portal.centre.load(
        message([job(), job(LocalJobId="2", InfrastructureType="local", VO="ops", FQAN=None)]),
        message([summary()], "summary v0.2"),
        message([normalised()], "normalised summary v0.4"),
        sync(5),
        cloud(vm("2025-03-31", 10, CpuCount=2.5)),
        star(storage()),
    )
    assert portal.centre.rejected() == []
    portal.centre.summarise()
    Summariser(portal.centre.db, sums=CLOUD).run()


#: Of each table: the usual format, that with dict_benchmark_type, that with send_ur, and how many records.
MATRIX: Dict[str, Tuple[str, str, str, int]] = {
    "VJobRecords": ("job v0.3", "job v0.4", "job car", 2),
    "VSummaries": ("summary v0.2", "summary v0.4", "summary aur", 1),
    "VSuperSummaries": ("summary v0.2", "summary v0.4", "summary aur", 4),
    "VNormalisedSummaries": (
        "normalised summary v0.3",
        "normalised summary v0.4",
        "normalised summary aur",
        1,
    ),
    "VNormalisedSuperSummaries": (
        "normalised summary v0.3",
        "normalised summary v0.4",
        "normalised summary aur",
        4,
    ),
    "VSyncRecords": ("sync v0.1", "", "", 1),
    "VCloudRecords": ("cloud v0.4", "", "", 1),
    "VCloudSummaries": ("cloud summary v0.4", "", "", 1),
    "VStarRecords": ("", "", "storage star", 1),
}


def test_every_table_in_every_format(portal: Portal) -> None:
    """Those there are; all others are errors of configuration, before anything is done."""
    fill(portal)
    for table, (text, braces, markup, count) in MATRIX.items():
        for format, options in (
            (text, {}),
            (braces, {"dict_benchmark_type": "true"}),
            (markup, {"send_ur": "true"}),
        ):
            for interval in ("all", "latest"):
                if not format:
                    assert portal.fails(table_name=table, interval=interval, **options) == 2
                    continue
                portal.centre.execute("DELETE FROM LastUpdated WHERE Type LIKE 'sent%%'")
                sent = portal.run(table_name=table, interval=interval, **options)
                assert (formats(sent), len(records(sent))) == ([format], count), (table, format)
            if table == "VSuperSummaries" and format == "summary v0.4":
                assert "{HEPSPEC:" not in sent[0].replace("{HEPSPEC: 0.0}", "")


def test_what_is_unloaded_can_be_loaded_and_unloaded_the_same(portal: Portal) -> None:
    """Another centre that loads it has the same."""
    fill(portal)
    first: Dict[str, List[str]] = {}
    tables = ["VJobRecords", "VSummaries", "VNormalisedSummaries", "VSyncRecords", "VCloudRecords"]
    options = {"decimal_cpu_count": "true", "include_infrastructure_description": "true"}
    for table in tables:
        first[table] = portal.run(table_name=table, interval="all", **options)
    first["VStarRecords"] = portal.run(table_name="VStarRecords", interval="all", send_ur="true")
    assert '"authority">/O=Example/CN=voms.example<' in first["VStarRecords"][0]
    for name in (
        "JobRecords",
        "Summaries",
        "NormalisedSummaries",
        "SyncRecords",
        "CloudRecords",
        "StarRecords",
    ):
        portal.centre.execute("DELETE FROM " + name)
    portal.centre.execute("DELETE FROM GroupAttributes")
    portal.centre.load(*(text for messages in first.values() for text in messages))
    assert portal.centre.rejected() == []
    for table in tables:
        assert portal.run(table_name=table, interval="all", **options) == first[table]
    assert portal.run(table_name="VStarRecords", interval="all", send_ur="true") == first["VStarRecords"]


def test_cpus_of_machines_are_whole_unless_decimals_are_wanted(small: Portal) -> None:
    small.centre.load(cloud(*(vm("2025-03-31", 1, VMUUID=str(cpus), CpuCount=cpus) for cpus in (0.5, 2.9))))
    assert [one.CpuCount for one in records(small.run(table_name="VCloudRecords"))] == [1.0, 2.0]
    options = {"table_name": "VCloudRecords", "interval": "all", "decimal_cpu_count": "true"}
    assert [one.CpuCount for one in records(small.run(**options))] == [0.5, 2.9]


# -- latest ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table, stored, more",
    [
        ("VJobRecords", "JobRecords", lambda: message([job(LocalJobId="new")])),
        ("VSyncRecords", "SyncRecords", lambda: sync(7, month=2)),
        ("VCloudRecords", "CloudRecords", lambda: cloud(vm("2025-03-31", 1, VMUUID="new"))),
        ("VStarRecords", "StarRecords", lambda: star(storage(RecordId="new"))),
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
    assert len(records(portal.run(**options))) == MATRIX[table][3]
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


@pytest.mark.server
def test_unloader_waits_for_a_loader_that_has_not_committed(
    mariadb: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    """C6: loaders hold it off together, none of them another."""
    for db in fresh_database("server", tmp_path, mariadb):
        portal = Portal(Installation(tmp_path, mariadb.options_for(db.backend.database)), db)  # type: ignore[attr-defined]
        portal.centre.load(message([job()]))
        monkeypatch.setattr(
            "apel.db.mysql.SESSION", "%s, SESSION innodb_lock_wait_timeout = 1" % mysql.SESSION
        )
        monkeypatch.setattr(Database.run, "__defaults__", (1,))
        writers = [db.backend.connect(), db.backend.connect()]
        for connection in writers:
            db.backend.begin(connection)
            db.backend.execute(connection, *unloader.together(db.sql))
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


# -- which rows -----------------------------------------------------------------------------------


def test_gap_sends_both_days_whole_of_everything(portal: Portal) -> None:
    """C9: days by the end of jobs, storage and machines, months of sums."""
    fill(portal)
    for table, (text, _, _, count) in MATRIX.items():
        options = {"table_name": table, "interval": "gap", "send_ur": "false" if text else "true"}
        assert len(records(portal.run(gap_start="2025-03-01", gap_end="2025-03-31", **options))) == count, (
            table
        )
        assert portal.run(gap_start="2025-02-01", gap_end="2025-02-28", **options) == []
    for first, last, count in (("28", "28", 0), ("01", "01", 2)):
        month = "03" if first == "01" else "02"
        gap = {"gap_start": "2025-%s-%s" % (month, first), "gap_end": "2025-%s-%s" % (month, last)}
        assert len(records(portal.run(interval="gap", **gap))) == count


@pytest.mark.parametrize("table", ["VJobRecords", "VSuperSummaries", "VNormalisedSuperSummaries"])
def test_local_jobs_and_vos_are_chosen_everywhere(portal: Portal, table: str) -> None:
    """Also of normalised sums, where the incumbent fails."""
    fill(portal)
    found = records(portal.run(table_name=table, interval="all", local_jobs="false"))
    assert found and "ops" not in {one.VO for one in found}
    found = records(portal.run(table_name=table, interval="all", include_vos="ATLAS, none"))
    assert {one.VO for one in found} == {"atlas"}
    found = records(portal.run(table_name=table, interval="all", exclude_vos="atlas"))
    assert found and "atlas" not in {one.VO for one in found}


@pytest.mark.parametrize("table", sorted(set(MATRIX) - {"VStarRecords", "VSyncRecords"}))
def test_names_are_withheld_of_everything_and_sums_stay_right(portal: Portal, table: str) -> None:
    fill(portal)
    users = [{"GlobalUserName": "/CN=%d" % number} for number in range(2)]
    portal.centre.load(
        message([summary(**each) for each in users], "summary v0.2"),
        message([normalised(**each) for each in users], "normalised summary v0.4"),
        cloud(*(vm("2025-03-31", 10, VMUUID=each["GlobalUserName"], **each) for each in users)),
    )
    portal.centre.summarise()
    Summariser(portal.centre.db, sums=CLOUD).run()
    plain = records(portal.run(table_name=table, interval="all"))
    withheld = records(portal.run(table_name=table, interval="all", withhold_dns="true"))
    assert {one.GlobalUserName for one in withheld} <= {None, "withheld"}
    assert sum(one.WallDuration for one in withheld) == sum(one.WallDuration for one in plain)


def test_republish_by_site_month_and_vo(portal: Portal) -> None:
    """What counts as sent stays as it is."""
    fill(portal)
    april = {"StartTime": END + 40 * 86400, "EndTime": END + 40 * 86400}
    portal.centre.load(message([job(LocalJobId="april", **april), job(Site="OTHER", LocalJobId="other")]))
    portal.age("JobRecords")
    for words, wanted in (
        (["--site", "OTHER"], {"other"}),
        (["--month", "2025-04"], {"april"}),
        (["--vo", "ops"], {"2"}),
        (["--site", "EXAMPLE-NORTH", "--month", "2025-03", "--vo", "atlas"], {"1001"}),
        (["--site", "NOWHERE"], set()),
    ):
        found = records(portal.run(["republish", *words]))
        assert {one.LocalJobId for one in found} == wanted
    assert len(records(portal.run())) == 4
    for table, (text, _, _, _) in MATRIX.items():
        words = ["republish", "--month", "2025-03"]
        assert portal.run(words, table_name=table, send_ur="false" if text else "true"), table


def test_republish_needs_to_know_what(small: Portal, capsys: Any) -> None:
    """C11."""
    assert small.fails(["republish"]) == small.fails(["--site", "X"]) == 2
    assert small.fails(["republish", "--vo", "cms"], include_vos="atlas") == 2
    assert small.fails(["republish", "--vo", "cms"], table_name="VSyncRecords") == 2
    assert small.fails(["republish", "--site", "X", "--daemon"]) == 2
    assert small.sent() == [] and "needs --site, --month or --vo" in capsys.readouterr().err


# -- messages -------------------------------------------------------------------------------------


def test_messages_are_no_larger_than_wanted(small: Portal) -> None:
    small.centre.load(message([job(LocalJobId=str(number)) for number in range(100)]))
    sent = small.run(records_per_message="60", max_message_size="20000")
    assert all(len(text.encode("utf-8")) <= 20000 for text in sent)
    assert len(sent) > 2 and len(records(sent)) == 100
    assert len(small.run(interval="all", max_message_size="1")) == 100


def test_bad_options_are_all_said_before_anything_is_done(small: Portal, capsys: Any) -> None:
    """C11."""
    options = {
        "table_name": "VStarRecords",
        "interval": "gap",
        "records_per_message": "many",
        "include_vos": "a",
    }
    assert small.fails(**options) == 2
    told = capsys.readouterr().err
    for words in ("gap_start is missing", "records_per_message", "set send_ur to true", "not chosen by VO"):
        assert words in told


def test_invalid_row_is_named_and_left_out(small: Portal, capsys: Any) -> None:
    fill(small)
    small.centre.execute("UPDATE JobRecords SET ServiceLevelType = 'wattage' WHERE LocalJobId = '2'")
    assert small.fails() == 1
    assert "1 records are invalid" in capsys.readouterr().err
    assert [one.LocalJobId for one in records(small.sent())] == ["1001"]


def test_configuration_can_be_checked(small: Portal, capsys: Any) -> None:
    small.configure(table_name="VStarRecords", send_ur="true")
    assert small.fails(["--check-config"], table_name="VSyncRecords") in (0, 1)
    assert "schema server version" in capsys.readouterr().out and small.sent() == []


def test_table_that_is_not_in_the_database_is_said(tmp_path: Any, capsys: Any) -> None:
    for db in fresh_database("server", tmp_path):
        options = {"backend": "sqlite", "name": db.backend.path}  # type: ignore[attr-defined]
        portal = Portal(Installation(tmp_path, options), db)
        assert portal.fails(table_name="VCloudRecords") == 2
        assert "no cloud tables" in capsys.readouterr().err


def test_daemon_runs_again_and_again_and_reads_its_files_when_told_to(
    small: Portal, monkeypatch: Any
) -> None:
    fill(small)
    small.age("JobRecords", "SyncRecords")
    runs: List[int] = []

    def steps(step: Any, interval: float, stop: Any) -> None:
        assert interval == 3600.0
        for number in range(4):
            if number == 2:
                small.configure(table_name="VSyncRecords")
                os.kill(os.getpid(), signal.SIGHUP)
            if number == 3:
                small.configure(table_name="VNothing")
                os.kill(os.getpid(), signal.SIGHUP)
            step()
            runs.append(len(small.sent()))

    monkeypatch.setattr(apeldbunloader, "run_steps", steps)
    assert small.run(["--daemon"]) == []
    assert runs == [1, 0, 1, 0]
    assert "what was in force stays" in small.files.log()
