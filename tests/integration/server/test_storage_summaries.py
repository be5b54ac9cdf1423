"""How full storage was, by day and month: from messages to the tables, as months and records change."""

import pathlib
import random
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from central_records import at, snapshot, star
from centre import Centre, Installation

from apel.records import StorageRecord
from apel.server.storage_levels import Snapshot, levels_by_day, month_level
from apel.server.summarise import STORAGE, Scope, Summariser
from apel.times import DAY, month_bounds, utc_text
from servers.databases import BACKENDS, fresh_database

TB = 10**12
OCTOBER = (2026, 10)
EARLIER = "2026-05-01 00:00:00"


@pytest.fixture(params=BACKENDS)
def centre(request: Any, tmp_path: Any) -> Iterator[Centre]:
    """A centre with a storage database, on each back end in turn."""
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    for db in fresh_database("storage", tmp_path, server):
        yield Centre(tmp_path / "spool", db)


@pytest.fixture
def installed(centre: Centre, tmp_path: Any, request: Any) -> Installation:
    """The commands with their configuration files; db.cfg says `type = storage`."""
    backend = centre.db.backend
    if backend.name == "sqlite":
        options = {"backend": "sqlite", "name": backend.path}  # type: ignore[attr-defined]
    else:
        options = request.getfixturevalue("mariadb").options_for(backend.database)  # type: ignore[attr-defined]
    return Installation(tmp_path, dict(options, type="storage"))


def summarise(centre: Centre) -> int:
    return Summariser(centre.db, sums=STORAGE).run()


def days(centre: Centre, columns: str = "`Group`, ResourceCapacityUsed") -> List[Any]:
    return centre.rows("SELECT SUBSTR(StartTime, 1, 10), %s FROM DaySummaries ORDER BY 1, 2" % columns)


def months(
    centre: Centre, columns: str = "`Group`, Days, ResourceCapacityUsed, LastResourceCapacityUsed"
) -> List[Any]:
    return centre.rows("SELECT Year, Month, %s FROM MonthSummaries ORDER BY 1, 2, 3" % columns)


def test_period_that_ends_before_it_begins_is_of_its_end(centre: Centre) -> None:
    """Also where that is another month: it counted for neither."""
    swapped = {"StartTime": at("2026-11-02"), "CreateTime": at("2026-11-05")}
    centre.load(star(snapshot("2026-09-30 18:00:00", 5, **swapped)))
    assert summarise(centre) > 0
    assert days(centre) == [("2026-09-30", "atlas", 5)]
    assert months(centre) == [(2026, 9, "atlas", 1, 5, 5)]


# -- a truth made by hand -------------------------------------------------------------------------


def test_days_and_months_are_what_was_worked_out_by_hand(centre: Centre) -> None:
    """A level: two snapshots of a day, or thirty of a month, hold no more than one of them."""
    centre.load(
        star(
            snapshot("2026-10-01 06:00:00", 4 * TB, FileCount=100, LogicalCapacityUsed=2 * TB),
            snapshot("2026-10-01 18:00:00", 5 * TB, FileCount=110, LogicalCapacityUsed=3 * TB),
            snapshot("2026-10-02 18:00:00", 8 * TB, FileCount=130, ResourceCapacityAllocated=20 * TB),
            snapshot("2026-10-31 23:59:59", 2 * TB, FileCount=90, ResourceCapacityAllocated=30 * TB),
            snapshot("2026-11-01 00:00:01", 1 * TB),
            snapshot("2026-10-02 18:00:00", 7, "cms", Group="cms"),
        )
    )
    assert summarise(centre) == 2
    assert days(centre) == [
        ("2026-10-01", "atlas", 5 * TB),
        ("2026-10-02", "atlas", 8 * TB),
        ("2026-10-02", "cms", 7),
        ("2026-10-31", "atlas", 2 * TB),
        ("2026-11-01", "atlas", 1 * TB),
    ]
    assert months(centre) == [
        (2026, 10, "atlas", 3, 5 * TB, 2 * TB),
        (2026, 10, "cms", 1, 7, 7),
        (2026, 11, "atlas", 1, 1 * TB, 1 * TB),
    ]
    figures = "FileCount, LogicalCapacityUsed, ResourceCapacityAllocated, LastLogicalCapacityUsed, EndTime"
    assert months(centre, "`Group`, " + figures)[0] == (
        *(2026, 10, "atlas", 110, 3 * TB, 25 * TB, None),
        "2026-10-31 23:59:59",
    )


def test_views_have_the_columns_of_the_draft_and_names(centre: Centre) -> None:
    centre.load(star(snapshot("2026-10-02 18:00:00", 7, SubGroup="/atlas/uk", Role="production")))
    summarise(centre)
    draft = (
        "Site, StorageSystem, StorageShare, StorageMedia, DirectoryPath, `Group`, EndTime, Month, Year,"
        " FileCount, ResourceCapacityUsed, LogicalCapacityUsed, ResourceCapacityAllocated"
    )
    names = (
        "EXAMPLE-NORTH",
        "se.north.example",
        "ATLASDATADISK",
        "disk",
        "/dpm/north.example/home/atlas",
        "atlas",
    )
    row = (*names, "2026-10-02 18:00:00", 10, 2026, None, 7, None, None)
    for view in ("DaySummaries", "MonthSummaries"):
        assert centre.rows("SELECT %s FROM %s" % (draft, view)) == [row]
        assert centre.rows("SELECT SubGroup, Role FROM " + view) == [("/atlas/uk", "production")]


def test_a_record_without_names_has_its_days_once(centre: Centre) -> None:
    """Absent names are a part of the key, and as good as any."""
    bare = dict.fromkeys(("Site", "StorageShare", "StorageMedia", "StorageClass", "DirectoryPath", "Group"))
    for used in (1, 2):
        centre.load(star(snapshot("2026-10-02 18:00:00", used, **bare)))
        assert summarise(centre) == 1
    assert days(centre) == [("2026-10-02", "None", 2)]
    assert centre.count("StorageMonthSummaries") == 1


def test_producers_of_one_system_at_different_granularity_are_not_added(centre: Centre) -> None:
    """By group, and by user within it; in whatever order they come."""
    users = [
        snapshot("2026-10-02 18:00:00", size, name, LocalUser=name, StorageClass=None)
        for name, size in [("a", 3), ("b", 4)]
    ]
    classes = [
        snapshot("2026-10-02 19:00:00", size, name, LocalUser=None, StorageClass=name)
        for name, size in [("one", 5), ("two", 6)]
    ]
    whole = snapshot("2026-10-02 17:00:00", 9, "all", LocalUser=None, StorageClass=None)
    centre.load(star(*users))
    summarise(centre)
    assert days(centre) == [("2026-10-02", "atlas", 7)]
    centre.load(star(*classes))
    summarise(centre)
    assert days(centre) == [("2026-10-02", "atlas", 11)]
    centre.load(star(whole))
    summarise(centre)
    assert days(centre) == [("2026-10-02", "atlas", 9)]


def test_capacities_beyond_63_bits_are_refused_and_the_old_sums_stay(
    centre: Centre, installed: Installation, capsys: Any
) -> None:
    """P22: the sum of two of the largest that a record may hold; where the database takes it, it is right."""
    most = 2**63 - 1
    centre.load(star(snapshot("2026-10-02 18:00:00", 5)))
    summarise(centre)
    centre.load(star(*(snapshot("2026-10-03 18:00:00", most, name, LocalUser=name) for name in "ab")))
    status = installed.summarise()
    if centre.db.backend.name == "sqlite":
        assert status == 1 and "can't be summed" in capsys.readouterr().err
        assert days(centre) == [("2026-10-02", "atlas", 5)] and centre.count("ChangedStorageMonths")
    else:
        assert status == 0 and days(centre)[1] == ("2026-10-03", "atlas", 2 * most)


# -- changes --------------------------------------------------------------------------------------


def test_only_months_that_changed_are_made_again_and_rows_that_stay_are_not_new(centre: Centre) -> None:
    centre.load(star(*(snapshot("2026-%02d-05 18:00:00" % month, month) for month in (8, 9, 10))))
    assert summarise(centre) == 3
    assert summarise(centre) == 0
    for table in ("StorageDaySummaries", "StorageMonthSummaries"):
        centre.execute("UPDATE %s SET UpdateTime = '%s'" % (table, EARLIER))
    centre.load(star(snapshot("2026-10-06 18:00:00", 20)))
    assert summarise(centre) == 1
    changed = "SELECT Month, Year FROM %s WHERE UpdateTime > '" + EARLIER + "'"
    assert centre.rows(changed % "DaySummaries") == centre.rows(changed % "MonthSummaries") == [(10, 2026)]
    assert centre.count("ChangedStorageMonths") == 0


def test_snapshot_over_the_end_of_a_month_makes_both_again(centre: Centre) -> None:
    centre.load(star(snapshot("2026-11-02 12:00:00", 5, StartTime=at("2026-10-30 12:00:00"))))
    assert summarise(centre) == 2
    assert [day for day, _, _ in days(centre)] == ["2026-10-30", "2026-10-31", "2026-11-01", "2026-11-02"]
    assert [row[:2] for row in months(centre)] == [(2026, 10), (2026, 11)]


def test_vanished_groups_go_from_days_and_months(centre: Centre) -> None:
    """D8: a corrected record is of another group; another one was deleted by hand."""
    centre.load(
        star(snapshot("2026-10-02 18:00:00", 5), snapshot("2026-10-03 18:00:00", 6, "b", Group="cms"))
    )
    summarise(centre)
    centre.load(star(snapshot("2026-10-02 18:00:00", 5, Group="ops", CreateTime=at("2026-10-04"))))
    summarise(centre)
    assert days(centre) == [("2026-10-02", "ops", 5), ("2026-10-03", "cms", 6)]
    centre.execute("DELETE FROM StarRecords WHERE RecordId LIKE '%%b'")
    summariser = Summariser(centre.db, sums=STORAGE)
    (miscount,) = summariser.miscounted()
    assert (miscount.jobs, miscount.summed) == (1, 2)
    summariser.mark([miscount.month])
    assert summariser.run() == 1 and summariser.miscounted() == []
    assert months(centre) == [(2026, 10, "ops", 1, 5, 5)]


def test_days_deleted_by_hand_are_found_and_made_again(centre: Centre) -> None:
    centre.load(star(*(snapshot("2026-10-%02d 18:00:00" % day, day) for day in (2, 3))))
    summarise(centre)
    assert Summariser(centre.db, sums=STORAGE).miscounted() == []
    centre.execute("DELETE FROM StorageDaySummaries WHERE ResourceCapacityUsed = 2")
    summariser = Summariser(centre.db, sums=STORAGE)
    assert [one.month.month for one in summariser.miscounted()] == [10]
    summariser.mark(one.month for one in summariser.miscounted())
    summariser.run()
    assert len(days(centre)) == 2


def test_record_whose_id_never_changes_leaves_its_past_behind(centre: Centre) -> None:
    """cASO's volumes, a bucket: each message replaces the record, not what it said of other days."""
    times = ["2026-09-30 12:00:00", "2026-10-01 12:00:00", "2026-10-01 20:00:00", "2026-10-02 12:00:00"]
    versions = [snapshot(time, number, RecordId="volume") for number, time in enumerate(times, 1)]
    expected = [("2026-09-30", "atlas", 1), ("2026-10-01", "atlas", 3), ("2026-10-02", "atlas", 4)]
    for seed in range(4):
        order = random.Random(seed).sample(versions, 4) if seed else versions
        for version in order:
            centre.load(star(version))
            if seed % 2:
                summarise(centre)
        summarise(centre)
        assert days(centre) == expected, order
        assert centre.rows("SELECT RecordId, ResourceCapacityUsed FROM StarRecords") == [("volume", 4)]
        assert centre.rows("SELECT ResourceCapacityUsed FROM StarHistory ORDER BY 1") == [(1,), (3,)]
        assert Summariser(centre.db, sums=STORAGE).miscounted() == []
        summariser = Summariser(centre.db, sums=STORAGE)
        summariser.mark(summariser.all_months())
        summariser.run()
        assert days(centre) == expected
        centre.execute("DELETE FROM StarRecords")
        centre.execute("DELETE FROM StarHistory")
    centre.load(star(*versions))
    summariser.mark(summariser.all_months())
    summarise(centre)
    assert days(centre) == expected


def test_record_that_is_replaced_across_midnight_is_not_added_to_its_past(centre: Centre) -> None:
    """Two runs within two minutes, of which the first was yesterday: one volume, not two."""
    for time, size in (("2026-10-01 23:59:30", 10), ("2026-10-02 00:00:30", 20)):
        spell = {"CreateTime": at(time), "StartTime": at(time), "EndTime": at(time) + 2 * 86400}
        centre.load(star(snapshot(time, size, RecordId="volume", **spell)))
    summarise(centre)
    assert centre.count("StarHistory") == 1
    wanted = [("2026-10-01", 10), *(("2026-10-0%d" % day, 20) for day in (2, 3, 4))]
    assert days(centre, "ResourceCapacityUsed") == wanted


def test_record_that_is_corrected_to_an_earlier_day_or_another_site_leaves_nothing(centre: Centre) -> None:
    """D8: of the wrong month at first, then of the wrong site."""
    centre.load(star(snapshot("2026-11-05 12:00:00", 1, RecordId="x")))
    summarise(centre)
    made = at("2026-11-06")
    centre.load(star(snapshot("2026-10-05 12:00:00", 1, RecordId="x", CreateTime=made, Site="ONE")))
    summarise(centre)
    assert days(centre, "Site") == [("2026-10-05", "ONE")] and len(months(centre)) == 1
    centre.load(star(snapshot("2026-10-05 12:00:00", 1, RecordId="x", CreateTime=made, Site="TWO")))
    summarise(centre)
    assert days(centre, "Site") == [("2026-10-05", "TWO")] and len(months(centre)) == 1
    assert centre.count("StarHistory") == 0


def test_same_messages_twice_or_out_of_order_give_the_same_levels(centre: Centre) -> None:
    """D6."""
    rng = random.Random(7)
    times = "2026-10-%02d %02d:00:00"
    bodies = [star(snapshot(times % (day, hour), rng.randrange(9), RecordId="%d" % (day % 3)))
              for day in range(1, 5) for hour in (1, 13)]  # fmt: skip
    pictures = []
    for order in (bodies, bodies[::-1], rng.sample(bodies, len(bodies)), bodies + bodies[:5]):
        for body in order:
            centre.load(body)
        summarise(centre)
        pictures.append((days(centre), months(centre)))
        for table in ("StarRecords", "StarHistory"):
            centre.execute("DELETE FROM " + table)
    assert pictures[0] == pictures[1] == pictures[2] == pictures[3]
    assert len(pictures[0][0]) == 4


def test_what_is_stored_is_what_the_snapshots_say(centre: Centre, monkeypatch: Any) -> None:
    """Many random records, in several slices of a month: the tables hold the levels of storage_levels.py."""
    monkeypatch.setattr("apel.server.storage_sums.RECORDS_AT_ONCE", 20)
    rng = random.Random(3)
    records = []
    for number in range(200):
        time = utc_text(at("2026-09-20") + rng.randrange(50 * DAY))
        records.append(
            snapshot(
                *(time, rng.randrange(10**15), str(number)),
                Group=rng.choice(["atlas", "cms", None]),
                StorageShare=rng.choice(["s", "t"]),
                LocalUser=rng.choice([None, None, "u", "v"]),
                FileCount=rng.choice([None, rng.randrange(99)]),
                StartTime=at(time) - rng.choice([0, 600, 90000, 10**7]),
                EndTime=at(time) + rng.choice([0, 0, 3600, 200000]),
            )
        )
    rng.shuffle(records)
    for start in range(0, 200, 100):
        centre.load(star(*records[start : start + 100]))
        summarise(centre)
    assert centre.rejected() == []
    expected_days, expected_months = _expected(records)
    columns = "`Group`, StorageShare, EndTime, FileCount, ResourceCapacityUsed"
    assert sorted(map(str, days(centre, columns))) == sorted(map(str, expected_days))
    columns = "`Group`, StorageShare, Days, FileCount, ResourceCapacityUsed, LastFileCount"
    columns += ", LastResourceCapacityUsed"
    assert sorted(map(str, months(centre, columns))) == sorted(map(str, expected_months))


def _expected(records: List[StorageRecord]) -> Tuple[List[Any], List[Any]]:
    found: Dict[Any, Dict[Any, List[Any]]] = {}
    for one in records:
        part = (one.StorageClass, one.LocalUser, None, None)
        figures = (one.FileCount, one.ResourceCapacityUsed)
        each = Snapshot(one.RecordId, one.CreateTime, one.StartTime, one.EndTime, figures)  # type: ignore[arg-type]
        found.setdefault((one.Group or "None", one.StorageShare), {}).setdefault(part, []).append(each)
    by_day, by_month = [], []
    for key, parts in found.items():
        for month in range(7, 13):
            levels = levels_by_day(parts, *month_bounds(2026, month))
            by_day += [
                (utc_text(day)[:10], *key, utc_text(level.end), *level.figures)
                for day, level in levels.items()
            ]
            if levels:
                of_month = month_level(levels)
                by_month.append((2026, month, *key, of_month.days, *of_month.average, *of_month.last))
    return by_day, by_month


# -- the command ----------------------------------------------------------------------------------


def test_summariser_command_makes_levels_of_storage(
    centre: Centre, installed: Installation, capsys: Any
) -> None:
    other = snapshot("2026-09-05 18:00:00", 2, Site="OTHER")
    centre.load(star(snapshot("2026-10-02 18:00:00", 5), other))
    assert installed.summarise("--dry-run") == 0
    out = capsys.readouterr().out
    assert "EXAMPLE-NORTH 2026-10\n" in out and "2 months would be made again" in out
    assert installed.summarise("--site", "OTHER") == 0
    assert days(centre) == [("2026-09-05", "atlas", 2)]
    assert installed.summarise() == 0
    assert len(days(centre)) == 2
    centre.execute("DELETE FROM StorageDaySummaries")
    assert installed.summarise("--all", "--month", "2026-10") == 0
    assert days(centre) == [("2026-10-02", "atlas", 5)]
    assert installed.summarise("--verify") == 0
    assert "OTHER 2026-09: its sources hold 1 storage records, its sums 0." in installed.log()
    assert len(days(centre)) == 2


def test_days_of_a_database_that_was_upgraded_are_made_by_the_daily_check(
    centre: Centre, installed: Installation
) -> None:
    """It has records, of which nothing is marked."""
    centre.load(star(snapshot("2026-10-02 18:00:00", 5)))
    centre.execute("DELETE FROM ChangedStorageMonths")
    assert installed.summarise() == 0
    assert days(centre) == [("2026-10-02", "atlas", 5)]


def test_scope_of_one_site_and_month(centre: Centre) -> None:
    centre.load(star(snapshot("2026-10-02 18:00:00", 5), snapshot("2026-09-05 18:00:00", 2)))
    assert Summariser(centre.db, Scope("EXAMPLE-NORTH", OCTOBER), STORAGE).run() == 1
    assert days(centre) == [("2026-10-02", "atlas", 5)]


def test_sample_of_the_draft_is_one_day(centre: Centre) -> None:
    """The sample record: a whole day, made five minutes after its end."""
    text = (pathlib.Path(__file__).parents[2] / "data/messages/star.xml").read_text(encoding="utf-8")
    centre.load(text)
    summarise(centre)
    assert days(centre, "EndTime, FileCount") == [("2025-03-07", "2025-03-08 00:00:00", 4200)]
