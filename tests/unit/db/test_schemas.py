"""The schemas of the dialects are one schema, and apeldb makes and checks it."""

import os
import re
from typing import Any, Dict, List

import pytest

from apel.commands import apeldb
from apel.db import Unusable, open_backend, open_database
from apel.db.backend import session, statements
from apel.db.options import read_database_settings
from apel.db.schema import CENTRE, check, expected, initialise, prepare
from apel.db.store import store
from apel.db.tables import SERVER_JOBS
from apel.records import JobRecord
from apelcommon.errors import ConfigError
from apelcommon.resources import schema_path

SCHEMAS = ("client", "server", "cloud", "storage", "accelerator", "ip")


def relations(settings: Any) -> Any:
    backend = open_backend(settings)
    with session(backend) as connection:
        return backend.relations(connection)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_database_has_what_is_expected(empty_settings: Any, schema: str) -> None:
    """Tables, views and their columns are the same in every dialect."""
    tables, views = expected(schema)
    assert initialise(open_backend(empty_settings), schema)
    assert relations(empty_settings) == dict(tables, **views)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_both_dialects_have_the_same_keys(schema: str) -> None:
    def keys(dialect: str) -> Dict[str, str]:
        with open(schema_path(dialect, schema), encoding="utf-8") as stream:
            found = {}
            for statement in statements(stream.read()):
                table = re.match(r"CREATE TABLE IF NOT EXISTS `?(\w+)", statement)
                key = re.search(r"PRIMARY KEY \(([^)]*)\)", statement)
                if table and key:
                    found[table.group(1)] = " ".join(key.group(1).split())
        return found

    mysql = {table: key for table, key in keys("mysql").items() if key != "id"}
    assert mysql == keys("sqlite")
    assert {"JobRecords", "CloudRecords", "StarRecords", "AcceleratorRecords", "IPRecords"} & set(mysql)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_table_of_mysql_has_a_key_innodb_and_a_collation_that_keeps_blanks(schema: str) -> None:
    with open(schema_path("mysql", schema), encoding="utf-8") as stream:
        script = stream.read()
    tables = [text for text in statements(script) if text.startswith("CREATE TABLE")]
    assert len(tables) == len(expected(schema)[0])
    for table in tables:
        assert "PRIMARY KEY" in table
        assert table.endswith("ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin")
    words = script.upper().split()
    assert not {"TRIGGER", "PROCEDURE", "FUNCTION", "EVENT"} & set(words)


def test_init_may_be_repeated(empty_settings: Any) -> None:
    backend = open_backend(empty_settings)
    assert initialise(backend, "client")
    assert not initialise(backend, "client")
    assert check(backend, "client") == []


def test_init_makes_again_what_is_missing(empty_settings: Any) -> None:
    backend = open_backend(empty_settings)
    initialise(backend, "server")
    with open_database(empty_settings, "server") as db:
        db.ids("DNs", ["kept"])
        for statement in ("DROP VIEW VSumCPU", "DROP TABLE SyncRecords"):
            db.run(lambda tx, sql=statement: tx.execute(sql))
    missing = ["SyncRecords", "VLcgRecordsSync_v2", "VSumCPU", "VSyncRecords"]
    assert sorted(check(backend, "server")) == ["%s is missing" % name for name in missing]
    assert initialise(backend, "server")
    assert check(backend, "server") == []
    with open_database(empty_settings, "server") as db:
        assert db.run(lambda tx: tx.rows("SELECT name FROM DNs")) == [("kept",)]


def test_init_goes_on_where_it_was_interrupted(empty_settings: Any, monkeypatch: Any) -> None:
    backend = open_backend(empty_settings)
    insert = backend.insert
    monkeypatch.setattr(backend, "insert", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        initialise(backend, "client")
    assert check(backend, "client")
    monkeypatch.setattr(backend, "insert", insert)
    assert initialise(backend, "client")
    assert check(backend, "client") == []


def test_init_leaves_another_versions_tables_alone(empty_settings: Any) -> None:
    """An incumbent's database has our names and other columns; it is not half converted."""
    backend = open_backend(empty_settings)
    with session(backend) as connection:
        # The same columns, but names are not unique: that shows only by the missing version table.
        backend.execute(connection, "CREATE TABLE DNs (id INT, name VARCHAR(255))", ())
    before = relations(empty_settings)
    with pytest.raises(Unusable, match="DNs without a SchemaVersion"):
        initialise(backend, "client")
    assert relations(empty_settings) == before


def test_init_leaves_a_changed_table_alone(empty_settings: Any) -> None:
    backend = open_backend(empty_settings)
    initialise(backend, "client")
    with open_database(empty_settings, "client") as db:
        db.run(lambda tx: tx.execute("ALTER TABLE DNs ADD COLUMN extra INT"))
        db.run(lambda tx: tx.execute("DROP TABLE RejectedLines"))
    with pytest.raises(Unusable, match="DNs has an unknown column extra"):
        initialise(backend, "client")
    assert "RejectedLines" not in relations(empty_settings)


def test_the_schemas_of_the_centre_may_share_a_database(empty_settings: Any) -> None:
    backend = open_backend(empty_settings)
    for schema in sorted(CENTRE):
        assert initialise(backend, schema)
    assert [check(backend, schema) for schema in sorted(CENTRE)] == [[]] * len(CENTRE)
    with open_database(empty_settings, "cloud") as db:
        assert db.has("storage") and not db.has("client")
    with pytest.raises(
        Unusable, match="This is a accelerator and cloud and ip and server and storage database"
    ):
        initialise(backend, "client")


@pytest.mark.server
def test_any_schema_of_the_centre_will_do_where_none_is_named(maria_client: Any) -> None:
    """The incumbent's files of a storage database don't say what it is."""
    initialise(open_backend(maria_client), "storage")
    with open_database(maria_client, "server", or_others=True) as db:
        assert db.has("storage") and not db.has("server")
        db.run(lambda tx: tx.execute("UPDATE SchemaVersion SET Version = 99"))
    for or_others, reason in ((True, "version 99 of schema storage"), (False, "no server schema")):
        asked = open_database(maria_client, "server", or_others=or_others)
        with asked as db, pytest.raises(Unusable, match=reason):
            db.run(lambda tx: tx.value("SELECT 1"))


def test_a_newer_schema_is_refused(empty_settings: Any) -> None:
    initialise(open_backend(empty_settings), "client")
    with open_database(empty_settings, "client") as db:
        row = ("client", 99, "9.0.0")
        db.run(lambda tx: tx.insert("SchemaVersion", ("SchemaName", "Version", "Software"), [row]))
    with open_database(empty_settings, "client") as db, pytest.raises(Unusable, match="version 99"):
        db.run(lambda tx: tx.value("SELECT 1"))


@pytest.mark.server
def test_a_server_without_schema_asks_for_apeldb_init(maria_client: Any) -> None:
    with open_database(maria_client, "client") as db, pytest.raises(Unusable, match="apeldb init"):
        db.run(lambda tx: tx.value("SELECT 1"))
    backend = open_backend(maria_client)
    with session(backend) as connection, pytest.raises(Unusable):
        prepare(backend, connection, "client")


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def config(empty_settings: Any, tmp_path: Any) -> Any:
    """A site's configuration file for the database."""
    lines: List[str] = ["[site_info]", "site_name = S", "[db]"]
    for name, value in vars(empty_settings).items():
        text = ", ".join(value) if isinstance(value, list) else value
        lines.append("%s = %s" % (name, text))
    path = tmp_path / "client.cfg"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_check_init_check(config: str, capsys: Any) -> None:
    assert apeldb.main(["check", "-c", config]) == 1
    assert "is not a complete client database" in capsys.readouterr().out.replace("does not exist", "")
    assert apeldb.main(["init", "-c", config]) == 0
    assert "schema client version 2 is in place" in capsys.readouterr().out
    assert apeldb.main(["init", "-c", config]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert apeldb.main(["check", "-c", config]) == 0
    assert "is complete" in capsys.readouterr().out


def test_dry_run_changes_nothing(config: str, empty_settings: Any, capsys: Any) -> None:
    assert apeldb.main(["init", "--dry-run", "-c", config]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    if empty_settings.backend == "sqlite":
        assert not os.path.exists(empty_settings.name)
    else:
        assert relations(empty_settings) == {}
    apeldb.main(["init", "-c", config])
    capsys.readouterr()
    assert apeldb.main(["init", "--dry-run", "-c", config]) == 0
    assert "would change nothing" in capsys.readouterr().out


def test_init_of_the_wrong_schema_fails(config: str, capsys: Any) -> None:
    apeldb.main(["init", "-c", config])
    assert apeldb.main(["init", "-c", config, "--schema", "server"]) == 75
    assert "This is a client database" in capsys.readouterr().err


def test_whose_database_it_is(tmp_path: Any, capsys: Any) -> None:
    def told(text: str) -> Any:
        (tmp_path / "x.cfg").write_text(text)
        return read_database_settings(str(tmp_path / "x.cfg"))[1]

    assert told("[db]\nname = x\n[joiner]\nenabled = true\n") == "client"
    assert told("[db]\nname = x\ntype = cpu\n") == "server"
    assert told("[db]\nname = x\n") is None
    assert apeldb.main(["check", "-c", str(tmp_path / "x.cfg")]) == 2
    assert "--schema" in capsys.readouterr().err


def test_a_file_without_database_is_said(tmp_path: Any) -> None:
    """C11: all that is wrong with the section, as in any other program."""
    path = tmp_path / "x.cfg"
    path.write_text("[db]\nhostnam = a\nport = x\n")
    with pytest.raises(ConfigError) as caught:
        read_database_settings(str(path))
    problems = " ".join(caught.value.problems)
    assert all(word in problems for word in ("hostname", "port", "name is missing"))


def test_where_no_file_is_it_is_said_how_to_get_one(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="not found at .*client.cfg: copy .*/conf/client.cfg there"):
        read_database_settings(str(tmp_path / "client.cfg"))


def test_new_jobs_are_found_by_update_time_not_by_reading_all(server_db: Any) -> None:
    """The view's joins must not lead the optimiser to begin with a lookup table."""
    values = {
        "Site": "S",
        "WallDuration": 1,
        "CpuDuration": 1,
        "StartTime": 1740787200,
        "EndTime": 1740787200,
    }
    record = JobRecord.of(LocalJobId="0", ServiceLevelType="HEPSPEC", ServiceLevel=10.0, **values)
    jobs = [record.replace(LocalJobId=str(number)) for number in range(3000)]
    store(server_db, SERVER_JOBS, jobs, "update", {"PublisherDN": "/CN=x"})
    server_db.run(lambda tx: tx.execute("UPDATE JobRecords SET UpdateTime = '2025-03-01 00:00:00'"))
    query = "SELECT * FROM VJobRecords WHERE UpdateTime >= '2026-01-01 00:00:00'"
    if server_db.backend.name == "sqlite":
        plan = server_db.run(lambda tx: tx.rows("EXPLAIN QUERY PLAN " + query))
        assert "JobRecords_UpdateTimeIdx" in plan[0][3]
    else:
        plan = server_db.run(lambda tx: tx.value("EXPLAIN FORMAT=JSON " + query))
        # Whether it then takes the index depends on statistics that the server gathers when it likes.
        assert re.findall(r'"table_name": "(\w+)"', plan)[0] == "JobRecords"
