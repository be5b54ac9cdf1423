"""Upgrades of every old version, the way back, and upgrades that are killed: slow, so on one Python only."""

import json
import os
import subprocess
import sys
from typing import Any, Dict

import pytest
from awkward import awkward_client, awkward_cloud, awkward_server, awkward_storage
from incumbent import OLDER
from olddatabases import look, rows_of_all

from apel.db import Unusable, open_database
from apel.server.summarise import CLOUD, Summariser
from apel.upgrade.run import Changed
from servers.databases import mariadb_settings

MAKERS: Dict[str, Any] = {"client": awkward_client, "server": awkward_server}
ALL: Dict[str, Any] = dict(MAKERS, cloud=awkward_cloud, storage=awkward_storage)
TESTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROOT = os.path.dirname(TESTS)
#: Clocks and marks drawn by lot.
NOT_EQUAL = (
    "ChangedMonths",
    "ClosedMonths",
    "LastUpdated",
    "ProcessedFiles",
    "SchemaUpgrade",
    "SchemaVersion",
)
pytestmark = pytest.mark.server


@pytest.mark.parametrize(
    "schema, charset, version",
    [("client", "latin1", "2.5.0"), ("client", "utf8mb4", "2.5.0"), ("server", "utf8mb4", "2.5.0")]
    + [("server", "latin1", version) for version in OLDER]
    + [("cloud", "utf8mb4", "2.5.0"), ("cloud", "latin1", "2.2.0"), ("storage", "latin1", "2.5.0")],
)
def test_fresh_and_upgraded_are_equal(
    old: Any, upgrade_of: Any, fresh: Any, schema: str, charset: str, version: str
) -> None:
    options = {"version": version} if schema in ("server", "cloud") else {}
    database = old(ALL[schema], charset=charset, **options)
    work = upgrade_of(database, schema)
    work.run()
    work.drop_old()
    assert look(database.server, database.database) == fresh(schema)


@pytest.mark.parametrize("schema", sorted(MAKERS))
def test_the_way_back_leads_to_where_it_began(old: Any, upgrade_of: Any, schema: str) -> None:
    database = old(MAKERS[schema])
    database.do(
        "CREATE TRIGGER Kept AFTER INSERT ON JobRecords FOR EACH ROW INSERT INTO Queues (name) VALUES ('t')"
    )
    before = look(database.server, database.database), rows_of_all(database)
    work = upgrade_of(database, schema)
    work.run()
    assert work.roll_back() == []
    assert (look(database.server, database.database), rows_of_all(database)) == before
    database.do("CALL UpdateTimestamp('sent')")
    work.run()
    assert work.differences() == []


def test_a_writer_in_the_last_moment_is_noticed(old: Any, upgrade_of: Any, monkeypatch: Any) -> None:
    database = old(awkward_client)
    work = upgrade_of(database, "client")
    swap = work._swap

    def write_first() -> None:
        database.do("INSERT INTO LastUpdated (Type) VALUES ('late')")
        swap()

    monkeypatch.setattr(work, "_swap", write_first)
    with pytest.raises(Changed, match="roll-back"):
        work.run()
    db = open_database(mariadb_settings(database.server, database.database), "client")
    with pytest.raises(Unusable, match="not complete"):
        db.run(lambda tx: tx.value("SELECT 1"))
    db.close()
    work.roll_back()
    assert database.rows("SELECT COUNT(*) FROM LastUpdated") == [(2,)]


def test_small_chunks_give_the_same(old: Any, upgrade_of: Any, monkeypatch: Any) -> None:
    whole, small = old(awkward_client), old(awkward_client)
    upgrade_of(whole, "client").run()
    monkeypatch.setattr("apel.upgrade.copying.CHUNK", 3)
    upgrade_of(small, "client").run()
    kept = ("JobRecords", "EventRecords", "BlahdRecords", "SpecRecords", "SuperSummaries", "Sites")
    assert [rows_of_all(small)[table] for table in kept] == [rows_of_all(whole)[table] for table in kept]


@pytest.mark.parametrize("schema", sorted(MAKERS))
def test_killed_after_any_statement_it_goes_on_and_ends_as_if_nothing_had_been(
    old: Any, upgrade_of: Any, schema: str
) -> None:
    """APEL_TEST_EVERY_KILL=1 tries every single statement, which takes some minutes."""
    step = "1" if os.environ.get("APEL_TEST_EVERY_KILL") == "1" else "16"
    whole, killed = old(MAKERS[schema]), old(MAKERS[schema])
    upgrade_of(whole, schema).run()
    section = json.dumps(vars(mariadb_settings(killed.server, killed.database)))
    words = [sys.executable, os.path.join(TESTS, "killedupgrade.py"), section, schema, "3", step]
    done = subprocess.run(
        words, env=dict(os.environ, PYTHONPATH=os.pathsep.join([ROOT, TESTS])), stdout=subprocess.PIPE
    )
    assert done.returncode == 0
    assert int(done.stdout) > 10
    found, wanted = rows_of_all(killed), rows_of_all(whole)
    for table in wanted:
        if table not in NOT_EQUAL:
            assert found[table] == wanted[table], table
    assert look(killed.server, killed.database) == look(whole.server, whole.database)
    assert upgrade_of(killed, schema).differences() == []


def test_cloud_sums_outlive_their_records_and_negative_figures_go(old: Any, upgrade_of: Any) -> None:
    database = old(awkward_cloud)
    upgrade_of(database, "cloud").run()
    db = open_database(mariadb_settings(database.server, database.database), "cloud")
    summariser = Summariser(db, sums=CLOUD)
    summariser.mark(summariser.all_months())
    summariser.run()
    db.close()
    assert database.rows("SELECT NumberOfVMs FROM CloudSummaries WHERE Year = 2020") == [(50,)]
    assert database.rows("SELECT SiteID, WallDuration FROM CloudRecords WHERE VMUUID = 'vm2'") == [(1, None)]
    sums = "SELECT NumberOfVMs, WallDuration FROM CloudSummaries WHERE SiteID = 1 AND Year = 2025"
    assert database.rows(sums) == [(2, 1000)]
    assert database.rows("SELECT COUNT(*) FROM CloudSummaries WHERE PublisherDNID = '2'") == [(1,)]


def test_nameless_groups_of_storage_become_one(old: Any, upgrade_of: Any) -> None:
    database = old(awkward_storage)
    upgrade_of(database, "storage").run()
    assert database.rows("SELECT id, name FROM `Groups` ORDER BY id") == [(1, "atlas"), (2, "None")]
    rows = database.rows("SELECT RecordId, Role, SubGroup, FileCount FROM VStarRecords ORDER BY RecordId")
    assert rows == [("r1", "atlas", "atlas", 3), ("r2", "None", "None", None), ("r3", "None", "None", 3)]
    stamps = "SELECT CAST(CreateTime AS CHAR), UNIX_TIMESTAMP(UpdateTime) FROM StarRecords ORDER BY RecordId"
    assert database.rows(stamps)[0][1] == 1742432400
    assert database.rows(stamps)[2] == ("1970-01-01 00:00:00", 1)
    publisher = "SELECT DISTINCT DNs.name FROM StarRecords JOIN DNs ON DNs.id = PublisherDNID"
    assert database.rows(publisher) == [("apeldb upgrade",)]
