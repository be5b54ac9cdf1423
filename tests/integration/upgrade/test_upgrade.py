"""An incumbent's database becomes ours in place: the same schema as a new one, and nothing lost."""

from typing import Any, Dict, Iterator, List, NamedTuple

import pytest
from awkward import awkward_client, awkward_server
from incumbent import Incumbent
from incumbentrows import SUM
from olddatabases import look, rows_of_all

from apel.db import Unusable, open_backend, open_database
from apel.db.schema import VERSIONS, expected
from apel.server.summarise import Summariser
from apel.upgrade import carry
from apel.upgrade.columns import LOOKUPS
from apel.upgrade.run import Changed, TableReport, Upgrade
from servers.databases import mariadb_settings

MAKERS: Dict[str, Any] = {"client": awkward_client, "server": awkward_server}
STAMPS = "SELECT DISTINCT UNIX_TIMESTAMP(UpdateTime) FROM %s ORDER BY 1"
pytestmark = pytest.mark.server


class Upgraded(NamedTuple):
    """A database after its upgrade; `before`: its times of change; the tables' reports by name."""

    database: Incumbent
    before: Dict[str, Any]
    reports: Dict[str, TableReport]

    def rows(self, sql: str) -> Any:
        return self.database.rows(sql)


def upgraded(old: Incumbent, schema: str) -> Upgraded:
    before = {table: old.rows(STAMPS % table) for table in ("JobRecords", "LastUpdated")}
    before["sums"] = old.rows("SELECT SUM(NumberOfJobs), SUM(WallDuration) FROM SuperSummaries")
    work = Upgrade(open_backend(mariadb_settings(old.server, old.database)), schema)
    work.run()
    assert work.differences() == []
    assert not work.plan().needed
    reports = {line.table: line for line in work.report()}
    work.journal.db.close()
    return Upgraded(old, before, reports)


@pytest.fixture(scope="module")
def client(mariadb: Any) -> Iterator[Upgraded]:
    """A site's database."""
    old = awkward_client(mariadb)
    yield upgraded(old, "client")
    old.close()


@pytest.fixture(scope="module")
def server(mariadb: Any) -> Iterator[Upgraded]:
    """A centre's database, with partitions, a view, a routine, a table and a trigger of the admin's own."""
    old = awkward_server(mariadb)
    old.load("server-partitions")
    old.do(
        "CREATE TABLE Audit (what VARCHAR(255))",
        "CREATE TRIGGER Noted AFTER INSERT ON SyncRecords FOR EACH ROW INSERT INTO Audit VALUES ('100 %')",
        "CREATE VIEW MyView AS SELECT LocalJobId, Sites.name FROM JobRecords JOIN Sites ON Sites.id = SiteID",
        "CREATE PROCEDURE MyOwn () SELECT 1",
    )
    yield upgraded(old, "server")
    old.close()


def names(database: Any, table: str) -> Dict[bytes, int]:
    return dict(database.rows("SELECT CAST(name AS BINARY), id FROM `%s`" % table))


def test_names_twice_become_one_and_names_in_two_cases_stay_two(client: Any) -> None:
    assert names(client, "Sites") == {b"EXAMPLE-NORTH": 1, b"Example-North": 2, b"EXAMPLE-SOUTH": 4}
    assert names(client, "Queues") == {b"long": 1, b"long ": 2}
    assert "/CN=Zoë Müller".encode() in names(client, "DNs")
    job = (
        "SELECT SiteID, SubmitHostID, MachineNameID, GlobalUserNameID FROM JobRecords WHERE LocalJobId = '51'"
    )
    assert client.rows(job) == [(1, 1, 1, 1)]
    assert client.rows("SELECT SiteID, MachineNameID FROM JobRecords WHERE LocalJobId = '50'") == [(2, 2)]


def test_of_rows_that_become_one_the_right_one_stays(client: Any) -> None:
    job = "SELECT WallDuration FROM JobRecords WHERE LocalJobId = '%d'"
    assert client.rows(job % 2) == [(7200,)]  # written later
    assert client.rows(job % 3) == [(3600,)]  # written earlier
    assert client.rows("SELECT Status FROM EventRecords WHERE JobName = '60'") == [(1,)]
    spec = "SELECT StopTime, ServiceLevel FROM SpecRecords WHERE CEID = 1"
    assert [(stop, str(level)) for stop, level in client.rows(spec)] == [(None, "10.500")]
    folded = {name: line.folded for name, line in client.reports.items() if line.folded}
    assert folded == {
        "Sites": 1, "MachineNames": 1, "SubmitHosts": 1, "DNs": 1,
        "JobRecords": 2, "EventRecords": 1, "BlahdRecords": 1, "SpecRecords": 1, "SuperSummaries": 1,
    }  # fmt: skip


def test_dates_of_zeros_become_what_they_may_be(client: Any) -> None:
    stamps = "SELECT LrmsId, CAST(TimeStamp AS CHAR) FROM BlahdRecords WHERE LrmsId > '60' ORDER BY 1"
    assert client.rows(stamps) == [("61", "2025-03-10 00:59:00"), ("62", "1970-01-01 00:00:00")]
    start = "SELECT CAST(StartTime AS CHAR) FROM JobRecords WHERE LocalJobId = '53'"
    assert client.rows(start) == [("2025-03-10 01:00:00",)]
    assert client.rows("SELECT COUNT(*) FROM JobRecords WHERE DAYOFMONTH(StartTime) = 0") == [(0,)]
    assert client.rows("SELECT WallDuration FROM EventRecords WHERE JobName = '61'") == [(-5,)]


def test_months_with_stale_sums_are_marked_and_those_without_jobs_are_not(client: Any) -> None:
    marked = "SELECT DISTINCT SiteID, Year, Month FROM ChangedMonths ORDER BY 1, 2, 3"
    # February is the first month with jobs after one whose jobs were removed: it may lack some, too.
    assert client.rows(marked) == [(1, 2025, 3)]


def test_grid_records_that_came_after_a_job_was_local_are_looked_at_again(client: Any) -> None:
    # 60 was local; 54 was local too, but the old joiner had marked it as joined.
    assert client.rows("SELECT JobName FROM EventRecords WHERE Status = 1 ORDER BY 1") == [("54",), ("60",)]
    assert client.rows("SELECT LrmsId FROM BlahdRecords WHERE Processed = 0") == [("54",)]


def test_sums_of_a_host_with_two_ids_are_added_up(client: Any) -> None:
    assert (
        client.rows("SELECT SUM(NumberOfJobs), SUM(WallDuration) FROM SuperSummaries")
        == client.before["sums"]
    )


def test_times_of_change_stay_so_that_nothing_is_sent_again(client: Any, server: Any) -> None:
    for each in (client, server):
        assert set(each.rows(STAMPS % "JobRecords")) <= set(each.before["JobRecords"])
        sent = "SELECT UNIX_TIMESTAMP(UpdateTime) FROM LastUpdated WHERE Type = 'sent'"
        assert each.rows(sent) == each.before["LastUpdated"]


def test_sums_whose_jobs_went_with_their_partition_outlive_the_summariser(server: Any) -> None:
    """The summariser makes a month's sums again from its records, and removes what has none."""
    db = open_database(mariadb_settings(server.database.server, server.database.database), "server")
    summariser = Summariser(db)
    marked = server.rows("SELECT DISTINCT Year, Month FROM ChangedMonths ORDER BY 1, 2")
    assert marked == [(2025, 2), (2025, 3)]
    assert summariser.miscounted() == []
    summariser.mark(summariser.all_months())
    summariser.run()
    db.close()
    kept = "SELECT NumberOfJobs, NormalisedWallDuration FROM HybridSuperSummaries WHERE Year = 2020"
    assert server.rows(kept) == [(1000, 37800)]
    assert server.rows("SELECT SiteID, Year, Month, State, Jobs FROM ClosedMonths") == [
        (1, 2020, 11, "purged", 1000)
    ]
    # And the stale sum of another benchmark is gone, which receivers are told by one of no jobs.
    assert server.rows("SELECT COUNT(*) FROM VSuperSummaries WHERE ServiceLevel = 9") == [(0,)]


def test_sums_outlive_their_jobs_where_the_site_sent_sums_as_well(old: Any, upgrade_of: Any) -> None:
    """Jobs of one of its services, summaries of another: the jobs went with their partition, those stayed."""
    database = old(awkward_server)
    december = dict(SUM, Month=12, Year=2020, PublisherDNID=1)
    database.insert("Summaries", [dict(december, Processors=8, NumberOfJobs=12)])
    made = dict(SUM, Month=12, Year=2020)
    database.insert(
        "HybridSuperSummaries",
        [dict(made, NumberOfJobs=500), dict(made, Processors=8, NumberOfJobs=10)],
    )
    upgrade_of(database, "server").run()
    with open_database(mariadb_settings(database.server, database.database), "server") as db:
        summariser = Summariser(db)
        summariser.run()
        summariser.mark(summariser.all_months())
        summariser.run()
        assert summariser.miscounted() == []
    kept = "SELECT Processors, NumberOfJobs FROM HybridSuperSummaries WHERE Year = 2020 AND Month = 12"
    # What the summariser had not taken over yet, it has now.
    assert sorted(database.rows(kept)) == sorted([(SUM["Processors"], 500), (8, 12)])
    assert database.rows("SELECT State, Jobs FROM ClosedMonths WHERE Month = 12") == [("purged", 498)]


def test_what_is_set_up_last_goes_on_where_it_was_killed(old: Any, upgrade_of: Any, monkeypatch: Any) -> None:
    """A site with years of events: a few at a time, none of them twice, and the same comes of it."""
    whole, killed = old(awkward_client), old(awkward_client)
    upgrade_of(whole, "client").run()
    looked_at: List[Any] = []
    look_at = carry.next_chunk

    def die_at_the_third(tx: Any, table: str, shape: Any, place: Any, size: int) -> Any:
        looked_at.append(place)
        if len(looked_at) == 3:
            raise KeyboardInterrupt
        return look_at(tx, table, shape, place, size)

    monkeypatch.setattr(carry, "EVENTS", 2)
    monkeypatch.setattr(carry, "next_chunk", die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        upgrade_of(killed, "client").run()
    upgrade_of(killed, "client").run()
    assert looked_at[3] == looked_at[2] is not None and len(looked_at) > 5
    for table in ("EventRecords", "BlahdRecords"):
        assert rows_of_all(killed)[table] == rows_of_all(whole)[table]
    count = "SELECT COUNT(*) FROM %s"
    for table in ("ChangedMonths", "LastUpdated"):
        assert killed.rows(count % table) == whole.rows(count % table)


@pytest.mark.parametrize("schema", sorted(MAKERS))
def test_steps_of_an_upgrade_on_a_cluster_may_take_long(
    old: Any, upgrade_of: Any, monkeypatch: Any, schema: str
) -> None:
    """Comparing large tables takes more than what an unloader could bear: it was begun again for ever."""
    database = old(MAKERS[schema])
    work = upgrade_of(database, schema)
    monkeypatch.setattr(type(work.backend), "unseen_seconds", 900)
    monkeypatch.setattr("apel.db.database.LONGEST_SECONDS", -1.0)
    twin = upgrade_of(database, schema)
    twin.run()
    assert twin.differences() == []


def test_what_an_admin_added_stays(server: Any) -> None:
    parts = server.rows(
        "SELECT partition_name FROM information_schema.partitions WHERE table_schema = DATABASE()"
        " AND table_name = 'JobRecords' ORDER BY partition_ordinal_position"
    )
    assert [name for (name,) in parts] == ["p2025_01", "p2025_02", "p2025_03", "pDefault"]
    assert server.rows("SELECT COUNT(*) FROM MyView") == [(43,)]
    # What the upgrade copied did not set off the trigger.
    assert server.rows("SELECT * FROM Audit") == []
    server.database.do("INSERT INTO SyncRecords VALUES (NOW(), 2, 1, 5, 3, 2025, 1)")
    assert server.rows("SELECT * FROM Audit") == [("100 %",)]
    routines = look(server.database.server, server.database.database)["routines"]
    assert [name for name, _ in routines] == ["MyOwn"]


def test_a_writer_during_the_copy_is_noticed_and_the_next_run_copies_again(
    old: Any, upgrade_of: Any, monkeypatch: Any
) -> None:
    database = old(awkward_client)
    work = upgrade_of(database, "client")
    check = work._check

    def write_first(*args: Any) -> Any:
        database.do("INSERT INTO VOs (id, name) VALUES (77, 'new')")
        database.do("UPDATE JobRecords SET WallDuration = 5, VOID = 77 WHERE LocalJobId = '7'")
        return check(*args)

    monkeypatch.setattr(work, "_check", write_first)
    with pytest.raises(Changed, match="JobRecords was written to while it was copied"):
        work.run()
    assert database.rows("SELECT COUNT(*) FROM JobRecords") == [(48,)]
    again = upgrade_of(database, "client")
    again.run()
    assert database.rows("SELECT WallDuration, VO FROM VJobRecords WHERE LocalJobId = '7'") == [(5, "new")]


def test_every_id_of_ours_has_its_lookup_table() -> None:
    """Or else merged names would leave rows behind that point at nothing."""
    texts = {
        *(
            "id",
            "LocalUserID",
            "LocalUserId",
            "LocalGroupId",
            "LocalJobId",
            "GlobalJobId",
            "LrmsId",
            "VMUUID",
        ),
        *("ImageId", "StorageRecordId", "RecordId", "StarRecordID"),
    }
    for schema in VERSIONS:
        tables = expected(schema)[0]
        ids = {name for columns in tables.values() for name in columns if name.lower().endswith("id")}
        assert ids - texts <= set(LOOKUPS)
        assert {LOOKUPS[name] for name in ids - texts} <= set(tables)


def test_columns_that_would_be_lost_stop_it(old: Any, upgrade_of: Any) -> None:
    database = old(awkward_client)
    database.do("ALTER TABLE JobRecords ADD COLUMN Mine INT")
    before = rows_of_all(database)
    with pytest.raises(Unusable, match="JobRecords has a column that is not ours, Mine"):
        upgrade_of(database, "client").run()
    assert rows_of_all(database) == before


def test_another_kind_of_database_is_refused(old: Any, upgrade_of: Any) -> None:
    database = old(awkward_client)
    with pytest.raises(Unusable, match="no table HybridSuperSummaries"):
        upgrade_of(database, "server").run()
