"""Virtual machines at the centre: their records, and what they used in each month."""

import itertools
import pathlib
import time
from typing import Any, Dict, Iterator, Tuple

import pytest
from central_records import at, cloud, vm
from centre import SIGNER, Centre, Installation, message
from golden import comparable, golden_view

from apel.db.schema import initialise
from apel.messages import decode
from apel.records import CloudSummaryRecord
from apel.server.summarise import CLOUD, Summariser
from apel.times import DAY, epoch_from_text
from servers.databases import BACKENDS, fresh_database

GOLDEN = pathlib.Path(__file__).parents[2] / "data" / "golden" / "cloud"
NOW = epoch_from_text("2026-11-22 00:00:00")


@pytest.fixture(autouse=True)
def _late_enough(monkeypatch: Any) -> None:
    monkeypatch.setattr("apel.times.now", lambda: NOW)


@pytest.fixture(params=BACKENDS)
def centre(request: Any, tmp_path: Any) -> Iterator[Centre]:
    """A centre with a cloud database, on each back end in turn."""
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    for db in fresh_database("cloud", tmp_path, server):
        yield Centre(tmp_path / "spool", db)


def summarise(centre: Centre) -> int:
    return Summariser(centre.db, sums=CLOUD).run()


def usage(
    centre: Centre, columns: str = "WallDuration, CpuDuration"
) -> Dict[Tuple[int, int], Tuple[Any, ...]]:
    """What was used in each month, all machines together."""
    names = ", ".join("SUM(%s)" % name for name in columns.split(", "))
    query = "SELECT Year, Month, %s FROM VCloudSummaries GROUP BY Year, Month" % names
    return {row[:2]: tuple(row[2:]) for row in centre.rows(query)}


# -- the incumbent's ------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["VCloudRecords", "VCloudSummaries"])
def test_golden_cloud_views(centre: Centre, view: str) -> None:
    """The same but for an EndTime of 0, which is none (D16)."""
    centre.load((GOLDEN / "messages" / "1.txt").read_text(encoding="utf-8"))
    assert centre.rejected() == []
    summarise(centre)
    columns, expected = golden_view(GOLDEN / (view + ".tsv"))
    if view == "VCloudRecords":
        place = columns.index("EndTime")
        for row in expected:
            row[place] = "NULL" if row[place].startswith("1970") else row[place]
    found = centre.rows("SELECT %s FROM %s" % (", ".join(columns), view))
    assert comparable(found) == comparable(expected)


def test_views_have_the_incumbents_columns_and_keep_users_apart_from_anonymous_ones(centre: Centre) -> None:
    centre.load(cloud(vm("2025-03-31", 10, GlobalUserName="/CN=Ada")))
    assert centre.rows("SELECT VMUUID, VO, WallDuration FROM VAnonCloudRecords") == [("vm", "vo.example", 10)]
    (row,) = centre.rows("SELECT GlobalUserName, VOGroup, VORole FROM VCloudRecords")
    assert row == ("/CN=Ada", "/vo.example", "Role=member")


# -- months ---------------------------------------------------------------------------------------


def test_cumulative_figures_become_those_of_each_month(centre: Centre) -> None:
    """In whatever order and number of runs the records come (D6)."""
    records = [vm("2025-01-31", 10 * DAY), vm("2025-02-28", 38 * DAY), vm("2025-04-10", 79 * DAY)]
    expected = {
        (2025, 1): (10 * DAY, 20 * DAY),
        (2025, 2): (28 * DAY, 56 * DAY),
        (2025, 4): (41 * DAY, 82 * DAY),
    }
    for order in itertools.permutations(records):
        for record in order:
            centre.load(cloud(record))
            summarise(centre)
        assert usage(centre) == expected
        centre.execute("DELETE FROM CloudRecords")
        centre.execute("DELETE FROM CloudSummaries")


def test_late_record_corrects_the_months_after_it(centre: Centre) -> None:
    """D8."""
    centre.load(cloud(vm("2025-01-31", 10), vm("2025-03-31", 30), vm("2025-01-31", 7, VMUUID="other")))
    summarise(centre)
    assert usage(centre)[2025, 3] == (20, 40)
    centre.load(cloud(vm("2025-02-28", 25)))
    assert summarise(centre) == 2
    assert usage(centre) == {(2025, 1): (17, 34), (2025, 2): (15, 30), (2025, 3): (5, 10)}
    assert centre.count("ChangedCloudMonths") == 0
    assert summarise(centre) == 0


def test_counters_that_restart_give_no_negative_usage(centre: Centre) -> None:
    """D16: what they show then was used since."""
    centre.load(cloud(vm("2025-01-31", 1000), vm("2025-02-28", 300), vm("2025-03-31", 450)))
    summarise(centre)
    assert usage(centre) == {(2025, 1): (1000, 2000), (2025, 2): (300, 600), (2025, 3): (150, 300)}


def test_counters_that_restart_and_pass_the_old_ones_lose_nothing(centre: Centre) -> None:
    """D16: the new start tells it."""
    centre.load(
        cloud(
            vm("2025-01-31", 5 * DAY, StartTime=at("2025-01-26")),
            vm("2025-03-31", 50 * DAY, StartTime=at("2025-02-09")),
        )
    )
    summarise(centre)
    assert usage(centre) == {(2025, 1): (5 * DAY, 10 * DAY), (2025, 3): (50 * DAY, 100 * DAY)}


def test_restart_of_wall_is_one_of_all_counters(centre: Centre) -> None:
    """D16: CPU time that happens to be larger than before is all new."""
    first = vm("2025-01-31", 100, CpuDuration=10, NetworkInbound=3, NetworkOutbound=9)
    again = vm("2025-02-28", 50, CpuDuration=40, NetworkInbound=4, NetworkOutbound=None)
    centre.load(cloud(first, again))
    summarise(centre)
    columns = "WallDuration, CpuDuration, NetworkInbound, NetworkOutbound"
    assert usage(centre, columns)[2025, 2] == (50, 40, 4, None)


def test_smaller_cpu_time_alone_is_counted_from_zero(centre: Centre) -> None:
    """D16: a machine that was made smaller (CPU time is often wall time by cores)."""
    centre.load(cloud(vm("2025-01-31", 100, CpuDuration=800), vm("2025-02-28", 150, CpuDuration=300)))
    summarise(centre)
    assert usage(centre)[2025, 2] == (50, 300)


def test_month_without_a_figure_is_passed_over_not_counted_twice(centre: Centre) -> None:
    centre.load(cloud(vm("2025-01-31", 100), vm("2025-02-28"), vm("2025-03-31", 300)))
    summarise(centre)
    assert usage(centre) == {(2025, 1): (100, 200), (2025, 2): (None, None), (2025, 3): (200, 400)}


def test_end_time_of_zero_is_none(centre: Centre) -> None:
    """D16: whatever the status; the month is that of the record."""
    body = cloud(vm("2025-03-31", 5), vm("2025-03-31", 5, VMUUID="b", Status="completed"))
    centre.load(body.replace("Status:", "EndTime: 0\nStatus:"))
    query = "SELECT EndTime, MeasurementYear, MeasurementMonth FROM CloudRecords"
    assert centre.rows(query) == [(None, 2025, 3)] * 2
    summarise(centre)
    assert usage(centre) == {(2025, 3): (10, 20)}


def test_record_without_start_time_is_stored(centre: Centre) -> None:
    """D16."""
    centre.load(cloud(vm("2025-03-31", 5)))
    summarise(centre)
    assert centre.rows("SELECT EarliestStartTime, LatestStartTime FROM CloudSummaries") == [(None, None)]


def test_month_of_a_record_follows_from_what_it_has(centre: Centre) -> None:
    """The end of what has ended, else when the record was made, else start and duration."""
    start, april = at("2025-03-30"), at("2025-04-02")
    records = [
        vm("2025-05-01", 1, VMUUID="ended", Status="Completed", EndTime=april, StartTime=start),
        vm("2025-05-01", 1, VMUUID="made", StartTime=start),
        vm(None, 2 * DAY, VMUUID="ran", StartTime=start, SuspendDuration=DAY),
        vm(None, None, VMUUID="began", StartTime=start),
    ]
    centre.load(cloud(*records))
    query = "SELECT VMUUID, MeasurementMonth, RecordCreateTime FROM CloudRecords ORDER BY VMUUID"
    assert centre.rows(query) == [
        ("began", 3, "2025-03-30 00:00:00"),
        ("ended", 4, "2025-05-01 00:00:00"),
        ("made", 5, "2025-05-01 00:00:00"),
        ("ran", 4, "2025-04-02 00:00:00"),
    ]


def test_record_of_no_month_is_rejected_alone(centre: Centre) -> None:
    """D3, D16: neither a time nor a start."""
    body = cloud(vm("2025-03-31", 5), vm("2025-03-31", 5, VMUUID="lost"))
    head, tail = body.rsplit("RecordCreateTime: ", 1)
    centre.load(head + tail.partition("\n")[2])
    (rejected,) = centre.rejected()
    assert "the month can't be known" in rejected["error"] and "VMUUID: lost" in rejected["body"]
    assert centre.rows("SELECT VMUUID FROM CloudRecords") == [("vm",)]


def test_figures_of_the_future_are_rejected(centre: Centre, monkeypatch: Any) -> None:
    """D2."""
    # The database's clock can't be set, and one of ours that is behind it would have the message wait.
    monkeypatch.setattr("apel.times.now", lambda: int(time.time()))
    future = str(int(time.time()) + 3 * DAY)
    centre.load(cloud(vm("2026-11-23", 5)).replace(str(at("2026-11-23")), future))
    assert "in the future" in centre.rejected()[0]["error"] and centre.count("CloudRecords") == 0


def test_new_year(centre: Centre) -> None:
    """D15, D16: a machine that runs over it."""
    centre.load(
        cloud(vm("2025-12-31", 20 * DAY), vm("2026-01-01 00:00:00", 21 * DAY), vm("2026-01-31", 51 * DAY))
    )
    summarise(centre)
    assert usage(centre) == {(2025, 12): (20 * DAY, 40 * DAY), (2026, 1): (31 * DAY, 62 * DAY)}


# -- identity and order ---------------------------------------------------------------------------


def test_same_cloud_messages_twice_or_out_of_order_give_the_same(centre: Centre) -> None:
    """D6: of two records of a machine and a month, the one that was made later stays."""
    bodies = [cloud(vm("2025-03-10", 5)), cloud(vm("2025-03-31", 26)), cloud(vm("2025-04-02", 28))]
    pictures = []
    for order in (bodies, bodies[::-1], bodies + bodies[:1], [bodies[1], bodies[0], bodies[2]]):
        centre.load(*order)
        summarise(centre)
        pictures.append(
            centre.rows("SELECT VMUUID, MeasurementTime, WallDuration FROM VCloudRecords ORDER BY 2")
        )
        assert usage(centre) == {(2025, 3): (26, 52), (2025, 4): (2, 4)}
        centre.execute("DELETE FROM CloudRecords")
    assert pictures[0] == pictures[1] == pictures[2] == pictures[3]


def test_record_that_was_corrected_replaces_the_old_one(centre: Centre) -> None:
    """D8: made at the same time, with another VO."""
    centre.load(cloud(vm("2025-03-31", 5)), cloud(vm("2025-03-31", 6, FQAN="/other")))
    summarise(centre)
    assert centre.rows("SELECT VO, WallDuration FROM VCloudSummaries") == [("other", 6)]


def test_machines_of_two_sites_with_one_id_are_kept_apart(centre: Centre) -> None:
    """D10."""
    centre.load(cloud(vm("2025-03-31", 5), vm("2025-03-31", 7, SiteName="OTHER")))
    summarise(centre)
    assert centre.rows("SELECT SiteName, WallDuration FROM VCloudSummaries ORDER BY 1") == [
        ("EXAMPLE-CLOUD", 5),
        ("OTHER", 7),
    ]


def test_names_of_clouds_that_differ_in_case_are_kept_apart(centre: Centre) -> None:
    """D5, D9."""
    records = [vm("2025-03-31", 1, VMUUID=each, ImageId=each) for each in ("image", "Image", "imagé")]
    centre.load(cloud(*records))
    assert centre.count("CloudRecords") == 3
    summarise(centre)
    assert centre.count("CloudSummaries") == 3


def test_sums_follow_records_that_go(centre: Centre) -> None:
    """D8: with --verify, since nothing marks what is deleted by hand."""
    centre.load(cloud(vm("2025-03-31", 5), vm("2025-03-31", 7, VMUUID="b", ImageId="b")))
    summarise(centre)
    centre.execute("DELETE FROM CloudRecords WHERE VMUUID = 'b'")
    summariser = Summariser(centre.db, sums=CLOUD)
    (miscount,) = summariser.miscounted()
    assert (miscount.jobs, miscount.summed) == (1, 2)
    summariser.mark([miscount.month])
    summariser.run()
    assert usage(centre) == {(2025, 3): (5, 10)} and summariser.miscounted() == []


# -- summaries that sites send --------------------------------------------------------------------


def cloud_summary(**changes: Any) -> CloudSummaryRecord:
    text = (pathlib.Path(__file__).parents[2] / "data/messages/cloud_summary_v0.4.txt").read_text()
    (record,) = decode(text).records
    return record.replace(**changes).check()  # type: ignore[return-value]


def test_received_cloud_summaries_stay_beside_our_own(centre: Centre) -> None:
    received = cloud_summary(Month=3, Year=2025)
    centre.load(message([received], "cloud summary v0.4"), cloud(vm("2025-03-31", 5)))
    for _ in range(2):
        summarise(centre)
        query = "SELECT SiteName, NumberOfVMs, WallDuration FROM VCloudSummaries ORDER BY WallDuration"
        assert centre.rows(query) == [("EXAMPLE-CLOUD", 1, 5), ("EXAMPLE-CLOUD", 1, 2678400)]
        Summariser(centre.db, sums=CLOUD).mark(Summariser(centre.db, sums=CLOUD).all_months())
    query = "SELECT name FROM CloudSummaries JOIN DNs ON PublisherDNID = DNs.id"
    if centre.db.backend.name == "sqlite":
        query = query.replace("PublisherDNID", "CAST(PublisherDNID AS INTEGER)")
    assert centre.rows(query) == [(SIGNER,)]


def test_what_records_say_wins_over_a_received_sum_of_the_same_names(centre: Centre) -> None:
    """D6: in either order."""
    record = vm("2025-03-31", 5)
    same = cloud_summary(
        CloudComputeService=record.CloudComputeService,
        GlobalUserName=None,
        VO="vo.example",
        VOGroup="/vo.example",
        VORole="Role=member",
        Status="started",
        ImageId="image",
        CpuCount=2.0,
        BenchmarkType="HEPscore23",
        Benchmark=12.5,
    )
    bodies = [cloud(record), message([same], "cloud summary v0.4")]
    for order in (bodies, bodies[::-1]):
        for body in order:
            centre.load(body)
            summarise(centre)
        assert usage(centre) == {(2025, 3): (5, 10)}


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def installed(centre: Centre, tmp_path: Any, request: Any) -> Installation:
    """The commands with their configuration files; db.cfg says `type = cloud`."""
    backend = centre.db.backend
    if backend.name == "sqlite":
        options = {"backend": "sqlite", "name": backend.path}  # type: ignore[attr-defined]
    else:
        options = request.getfixturevalue("mariadb").options_for(backend.database)  # type: ignore[attr-defined]
    return Installation(tmp_path, dict(options, type="cloud"))


def test_new_year_cleans_stale_sums_of_december_and_january(
    centre: Centre, installed: Installation, monkeypatch: Any
) -> None:
    """D15: rows whose machines have no records any more, in both months of the window."""
    centre.load(cloud(vm("2025-12-30", 5), vm("2026-01-01 06:00:00", 9)))
    assert installed.summarise() == 0
    columns = (
        "SiteID, CloudComputeServiceID, Month, Year, GlobalUserNameID, VOID, VOGroupID, VORoleID, Status,"
        " CloudType, ImageId, WallDuration, CpuCount, BenchmarkType, Benchmark, NumberOfVMs, PublisherDNID"
    )
    centre.execute(
        "INSERT INTO CloudSummaries (%s) SELECT %s FROM CloudSummaries"
        % (columns, columns.replace("ImageId", "'stale'"))
    )
    assert centre.count("CloudSummaries") == 4
    monkeypatch.setattr("apel.times.now", lambda: at("2026-01-01 08:00:00"))
    assert installed.summarise() == 0
    assert usage(centre) == {(2025, 12): (5, 10), (2026, 1): (4, 8)}
    assert centre.count("VCloudSummaries") == 2


def test_stale_sums_stay_where_they_are_not_wanted_gone(centre: Centre, installed: Installation) -> None:
    centre.load(cloud(vm("2026-11-20", 5)))
    assert installed.summarise() == 0
    centre.execute("DELETE FROM CloudRecords")
    text = pathlib.Path(installed.summariser_cfg).read_text()
    installed.write("summariser.cfg", text.replace("[logging]", "delete_stale_summaries = false\n[logging]"))
    assert installed.summarise() == 0
    assert centre.count("CloudSummaries") == 1


def test_summariser_makes_all_cloud_months_again(
    centre: Centre, installed: Installation, capsys: Any
) -> None:
    centre.load(cloud(vm("2025-01-31", 5), vm("2025-02-28", 9)))
    assert installed.summarise("--dry-run") == 0
    assert "2 months would be made again" in capsys.readouterr().out
    assert installed.summarise() == 0
    centre.execute("DELETE FROM CloudSummaries")
    assert installed.summarise("--all", "--site", "EXAMPLE-CLOUD", "--month", "2025-02") == 0
    assert usage(centre) == {(2025, 2): (4, 8)}


# -- several schemas in one database --------------------------------------------------------------


def test_message_whose_tables_are_not_there_is_rejected_with_advice(centre: Centre) -> None:
    """D2: it is kept, and can be loaded when they are."""
    sync = "APEL-sync-message: v0.1\nSite: S\nNumberOfJobs: 1\nMonth: 1\nYear: 2025\n%%\n"
    centre.load(sync, cloud(vm("2025-03-31", 5)))
    (rejected,) = centre.rejected()
    assert "apeldb init --schema server" in rejected["error"] and rejected["body"] == sync
    assert centre.count("CloudRecords") == 1
    initialise(centre.db.backend, "server")
    centre.db.close()
    centre.load(sync)
    assert centre.count("SyncRecords") == 1
