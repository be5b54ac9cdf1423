"""Levels of storage for others: as YAML and as StAR, what is new, and what another centre makes of it."""

import re
from typing import Any, Dict, Iterator, List, Sequence

import pytest
import yaml
from central_records import at, snapshot, star
from portal import EARLIER, Portal, new_portal, records

from apel import unloader
from apel.db.sqlite import SQLite
from apel.server.summarise import EMPTY_SECONDS, STORAGE, Summariser
from apel.times import epoch_from_text
from servers.databases import BACKENDS

DAYS, MONTHS = {"table_name": "DaySummaries"}, {"table_name": "MonthSummaries"}
LEVELS = ("StorageDaySummaries", "StorageMonthSummaries")
GONE = "StorageVanishedSummaries"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: Any) -> None:
    """Rows of this very second are aged instead."""
    monkeypatch.setattr(unloader, "WAITS_FOR_A_QUIET_SECOND", 0)


@pytest.fixture(params=BACKENDS)
def portal(request: Any, tmp_path: Any) -> Iterator[Portal]:
    """On each back end in turn."""
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    yield from new_portal(tmp_path, server)


def load(portal: Portal, *snapshots: Any) -> None:
    portal.centre.load(star(*snapshots))
    assert portal.centre.rejected() == []
    Summariser(portal.centre.db, sums=STORAGE).run()


def documents(messages: Sequence[str]) -> List[Any]:
    """The documents of messages in YAML, but for those that say the type."""
    streams = [list(yaml.safe_load_all(text)) for text in messages]
    assert all(first == {"type": "StorageRecord"} for first, *_ in streams)
    return sorted(
        (one for _, *rest in streams for one in rest), key=lambda one: (one["Group"], one["EndTime"])
    )


def test_days_as_yaml_are_added_up_over_what_the_draft_does_not_say(portal: Portal) -> None:
    """Rows that differ in subgroup or role alone have one key for its receivers."""
    time = "2026-10-02 18:00:00"
    load(
        portal,
        snapshot(time, 5, FileCount=2),
        snapshot("2026-10-02 19:00:00", 7, "p", Role="production"),
        snapshot(time, 9, "cms", Group="cms"),
    )
    (atlas, cms) = documents(portal.run(**DAYS))
    assert (atlas["Group"], atlas["ResourceCapacityUsed"], atlas["FileCount"]) == ("atlas", 12, 2)
    assert (atlas["EndTime"], atlas["Month"], atlas["Year"]) == ("2026-10-02T19:00:00Z", "10", "2026")
    assert (cms["Group"], cms["ResourceCapacityUsed"], cms["FileCount"]) == ("cms", 9, None)
    assert "Role" not in atlas
    assert len(records(portal.run(**DAYS, interval="all", send_ur="true"))) == 3


def test_months_as_yaml_say_averages_by_subgroup_and_role(portal: Portal) -> None:
    load(
        portal, snapshot("2026-10-02 18:00:00", 4), snapshot("2026-10-03 18:00:00", 8, "p", Role="production")
    )
    load(portal, snapshot("2026-10-03 18:00:00", 6))
    found = {one.get("Role"): one["ResourceCapacityUsed"] for one in documents(portal.run(**MONTHS))}
    assert found == {None: 5, "production": 8}


def test_latest_sends_only_days_that_changed(portal: Portal) -> None:
    """C6: a day is new when its value is another one, and when a part of it is gone."""
    load(portal, *(snapshot("2026-10-%02d 18:00:00" % day, day) for day in range(1, 6)))
    load(portal, snapshot("2026-10-05 18:00:00", 50, "p", Role="production"))
    portal.age(*LEVELS)
    assert [one["ResourceCapacityUsed"] for one in documents(portal.run(**DAYS))] == [1, 2, 3, 4, 55]
    assert portal.run(**DAYS) == []
    load(portal, snapshot("2026-10-06 18:00:00", 6), snapshot("2026-10-02 20:00:00", 20))
    assert [one["ResourceCapacityUsed"] for one in documents(portal.run(**DAYS))] == [20, 6]
    portal.age(*LEVELS)
    assert portal.run(**DAYS) == []
    portal.centre.execute("DELETE FROM StarRecords WHERE ResourceCapacityUsed = 50")
    summariser = Summariser(portal.centre.db, sums=STORAGE)
    summariser.mark(summariser.all_months())
    summariser.run()
    assert [one["ResourceCapacityUsed"] for one in documents(portal.run(**DAYS))] == [5]
    found = {one.get("Role"): one["ResourceCapacityUsed"] for one in documents(portal.run(**MONTHS))}
    assert found == {None: 7, "production": 0}  # 1, 20, 3, 4, 5 and 6 on six days: 6.5


def receive(portal: Portal, *runs: Sequence[str]) -> List[Any]:
    """What another centre makes of messages of runs, one after another: group, days, level of the month."""
    for table in ("StarRecords", "StarHistory", "GroupAttributes", *LEVELS, GONE, "StorageMonths"):
        portal.centre.execute("DELETE FROM " + table)
    for messages in runs:
        load(portal, *records(messages))
    return months(portal)


def months(portal: Portal) -> List[Any]:
    query = "SELECT `Group`, Days, ResourceCapacityUsed FROM MonthSummaries ORDER BY 1"
    return [(group, int(days), int(used)) for group, days, used in portal.centre.rows(query)]


@pytest.mark.parametrize("table", [DAYS, MONTHS])
def test_receiver_of_levels_forgets_those_whose_records_moved(portal: Portal, table: Dict[str, str]) -> None:
    """D8: it would count the storage of the old group beside that of the new one for ever."""
    star_of = dict(table, send_ur="true")
    times = ["2026-10-%02d 18:00:00" % day for day in (1, 2)]
    load(portal, *(snapshot(time, 5) for time in times), snapshot(times[0], 3, "x", Group="lhcb"))
    portal.age(*LEVELS)
    before = portal.run(**star_of)
    load(portal, *(snapshot(time, 5, Group="cms") for time in times))
    assert months(portal) == [("cms", 2, 5), ("lhcb", 1, 3)]
    after = portal.run(**star_of)
    told = [(one.Group, one.StorageClass, one.ResourceCapacityUsed) for one in records(after)]
    assert sorted(set(told), key=str) == [("atlas", "vanished", 0), ("cms", None, 5)]
    assert {one.RecordId for one in records(before) if one.Group == "atlas"} == {
        one.RecordId for one in records(after) if one.Group == "atlas"
    }
    assert receive(portal, before, after) == [("cms", 2, 5), ("lhcb", 1, 3)]
    assert receive(portal, after, before) == [("cms", 2, 5), ("lhcb", 1, 3)]


def test_levels_that_come_back_count_again(portal: Portal) -> None:
    """D8: a correction that is taken back."""
    sent = []
    for group in ("atlas", "cms", "atlas"):
        load(portal, snapshot("2026-10-01 18:00:00", 5, Group=group))
        sent.append(portal.run(**DAYS, send_ur="true"))
    assert portal.centre.rows("SELECT COUNT(*) FROM VUnloadedDays WHERE `Group` = 'atlas'") == [(1,)]
    assert receive(portal, *sent) == [("atlas", 1, 5)]


def test_vanished_levels_are_of_zero_bytes_in_yaml(portal: Portal) -> None:
    """And add nothing to what is left of a day; how many files there are stays unknown."""
    time = "2026-10-02 18:00:00"
    production = snapshot(time, 7, "p", Role="production")
    load(portal, snapshot(time, 5), production, snapshot(time, 9, "c", Group="cms"))
    portal.run(**DAYS)
    portal.age(*LEVELS)
    assert portal.run(**DAYS) == []
    load(portal, snapshot(time, 7, "p", Group="lhcb"), snapshot(time, 9, "c", Group="lhcb", Role="x"))
    found = documents(portal.run(**DAYS))
    assert [(one["Group"], one["ResourceCapacityUsed"], one["FileCount"]) for one in found] == [
        ("atlas", 5, None),
        ("cms", 0, None),
        ("lhcb", 16, None),
    ]
    assert {one["EndTime"] for one in found} == {"2026-10-02T18:00:00Z"}


def test_vanished_levels_go_when_old_and_all_receivers_know(portal: Portal, monkeypatch: Any) -> None:
    load(portal, snapshot("2026-10-02 18:00:00", 5))
    load(portal, snapshot("2026-10-02 18:00:00", 5, Group="cms"))
    portal.run(**DAYS)
    portal.age(GONE)
    summariser = Summariser(portal.centre.db, sums=STORAGE)
    now = epoch_from_text(EARLIER) + EMPTY_SECONDS
    monkeypatch.setattr("apel.times.now", lambda: now)
    assert (summariser.forget_empty(), portal.centre.count(GONE)) == (0, 2)
    monkeypatch.setattr("apel.times.now", lambda: now + 1)
    assert (summariser.forget_empty(), portal.centre.count(GONE)) == (1, 0)


def test_months_that_are_sent_every_day_are_averages_at_the_receiver_too(portal: Portal) -> None:
    """Each replaces the one before: averages of some days must not be averaged again."""
    sent = []
    for day in (1, 2, 3):
        load(portal, snapshot("2026-10-%02d 18:00:00" % day, 10 * day))
        portal.centre.execute("UPDATE StorageMonthSummaries SET UpdateTime = '2026-10-%02d 20:00:00'" % day)
        sent.append(portal.run(**MONTHS, send_ur="true", interval="all"))
    assert months(portal) == [("atlas", 3, 20)]
    for order in (sent, sent[::-1]):
        assert receive(portal, *order) == [("atlas", 3, 20)]
        assert portal.centre.count("StarHistory") == 0


def test_days_as_star_give_another_centre_the_same_days_and_months(portal: Portal) -> None:
    load(
        portal,
        snapshot("2026-10-01 18:00:00", 5, FileCount=3, LogicalCapacityUsed=2),
        snapshot("2026-10-02 23:59:59", 6, SubGroup="/atlas/uk", Role="production"),
        snapshot("2026-10-31 23:00:00", 7, StartTime=at("2026-10-30")),
        *(snapshot("2026-10-03 18:00:00", 8, name, LocalUser=name) for name in "ab"),
    )
    columns = (
        "Site, StorageSystem, StorageShare, StorageMedia, DirectoryPath, `Group`, SubGroup, Role, EndTime,"
        " Month, Year, FileCount, ResourceCapacityUsed, LogicalCapacityUsed, ResourceCapacityAllocated"
    )
    levels = [sorted(map(str, portal.centre.rows("SELECT %s FROM %s" % (columns, view))))
              for view in ("DaySummaries", "MonthSummaries")]  # fmt: skip
    sent = portal.run(**DAYS, send_ur="true")
    again = portal.run(**DAYS, send_ur="true", interval="all")
    assert [one.RecordId for one in records(sent)] == [one.RecordId for one in records(again)]
    for table in ("StarRecords", "StarHistory", "GroupAttributes", *LEVELS, "StorageMonths"):
        portal.centre.execute("DELETE FROM " + table)
    for messages in (sent, again):
        portal.centre.load(*messages)
        Summariser(portal.centre.db, sums=STORAGE).run()
        assert levels == [
            sorted(map(str, portal.centre.rows("SELECT %s FROM %s" % (columns, view))))
            for view in ("DaySummaries", "MonthSummaries")
        ]
    assert portal.centre.rejected() == []


def test_months_as_star_have_ids_of_their_own(portal: Portal) -> None:
    load(portal, snapshot("2026-10-01 18:00:00", 4), snapshot("2026-10-20 18:00:00", 5))
    (month,) = records(portal.run(**MONTHS, send_ur="true"))
    first, _ = records(portal.run(**DAYS, send_ur="true"))
    assert month.ResourceCapacityUsed == 5 and month.RecordId.startswith("summary/2026-10/")
    assert first.RecordId.startswith("summary/2026-10-01/")
    assert first.RecordId.split("/")[-1] == month.RecordId.split("/")[-1]


def test_republish_of_storage_by_site_and_month(portal: Portal) -> None:
    days = ("2026-09-30", "2026-10-01", "2026-10-31", "2026-11-01")
    load(portal, *(snapshot(day + " 18:00:00", 1) for day in days))
    load(portal, snapshot("2026-10-05 18:00:00", 2, Site="OTHER"))
    words = ["republish", "--month", "2026-10", "--site", "EXAMPLE-NORTH"]
    assert [one["EndTime"][:10] for one in documents(portal.run(words, **DAYS))] == [
        "2026-10-01",
        "2026-10-31",
    ]
    assert [one["Month"] for one in documents(portal.run(words, **MONTHS))] == ["10"]
    options = {"interval": "gap", "gap_start": "2026-10-05", "gap_end": "2026-10-31"}
    found = documents(portal.run(**DAYS, **options))
    assert [one["Site"] for one in found] == ["OTHER", "EXAMPLE-NORTH"]


def test_other_forms_of_levels_are_errors_of_configuration(portal: Portal) -> None:
    assert portal.fails(**DAYS, dict_benchmark_type="true") == 2
    assert portal.fails(**DAYS, include_vos="atlas") == 2


def test_records_of_a_large_message_are_completed_by_queries_that_any_sqlite_takes(
    tmp_path: Any, monkeypatch: Any
) -> None:
    """Those of EL8 and older take 999 parameters; a usual message has a thousand records."""
    numbers: List[int] = []
    execute = SQLite.execute

    def counted(backend: SQLite, connection: Any, sql: str, params: Sequence[Any]) -> Any:
        numbers.append(len(params))
        return execute(backend, connection, sql, params)

    monkeypatch.setattr(SQLite, "execute", counted)
    one = snapshot("2026-10-02 18:00:00", 1).replace(GroupAttributes=(("authority", "x"),))
    for found in new_portal(tmp_path, None):
        found.centre.load(star(*(one.replace(RecordId=str(number)) for number in range(1001))))
        sent = records(found.run(table_name="VStarRecords", send_ur="true", interval="all"))
        assert [len(each.GroupAttributes) for each in sent] == [1] * 1001
    assert max(numbers) <= 999


def test_withheld_users_of_storage_stay_apart(portal: Portal) -> None:
    """A user's DN is withheld here as of jobs, and a receiver still makes the same levels."""
    users = (("07:00", 1, "/CN=Ada"), ("07:30", 2, "/CN=Bob"), ("08:00", 4, "/CN=Ada"))
    load(
        portal,
        *(snapshot("2026-10-02 %s:00" % time, used, user, UserIdentity=user) for time, used, user in users),
        snapshot("2026-10-03 09:00:00", 8, UserIdentity=None),
    )
    sent = portal.run(table_name="VStarRecords", send_ur="true", withhold_dns="true")
    names = [one.UserIdentity for one in records(sent)]
    assert names.count(None) == 1 and len(set(names)) == 3
    assert all(name is None or re.fullmatch("withheld [0-9]+", name) for name in names)
    query = "SELECT StartTime, ResourceCapacityUsed FROM DaySummaries ORDER BY 1"
    before = portal.centre.rows(query)
    assert [int(used) for _, used in before] == [6, 8]
    portal.centre.execute("DELETE FROM StarRecords")
    load(portal, *records(sent))
    assert portal.centre.rows(query) == before
