"""`apeldb upgrade` as an admin sees it, and the upgrade from earlier versions of our own schemas."""

import re
from typing import Any, Callable, List

import pytest
from awkward import awkward_client, awkward_server
from incumbent import Incumbent
from olddatabases import look, rows_of_all

from apel.commands import apeldb
from apel.db import Unusable, open_backend, open_database
from apel.db.backend import session
from apel.db.schema import initialise
from servers.databases import BACKENDS, mariadb_settings, sqlite_settings


@pytest.fixture
def command(tmp_path: Any) -> Callable[..., int]:
    """Runs apeldb with the [db] section that the first argument gives."""

    def run(settings: Any, *words: str) -> int:
        lines = ["[db]"]
        for name, value in vars(settings).items():
            lines.append("%s = %s" % (name, ", ".join(value) if isinstance(value, list) else value))
        path = tmp_path / "db.cfg"
        path.write_text("\n".join(lines) + "\n")
        return apeldb.main([*words, "-c", str(path)])

    return run


def settings_of(old: Incumbent) -> Any:
    return mariadb_settings(old.server, old.database)


def new_settings(request: Any, kind: str, folder: Any, name: str) -> Any:
    """A [db] section for a database of our own, still to be made."""
    if kind == "sqlite":
        return sqlite_settings(folder / (name + ".db"))
    server = request.getfixturevalue("mariadb")
    return mariadb_settings(server, server.new_database(name))


@pytest.mark.server
def test_a_dry_run_says_what_and_how_long_and_changes_nothing(old: Any, command: Any, capsys: Any) -> None:
    database = old(awkward_client)
    before = rows_of_all(database), look(database.server, database.database)
    assert command(settings_of(database), "upgrade", "--dry-run", "--schema", "client") == 0
    said = capsys.readouterr().out
    assert "is a database of APEL 2." in said
    assert "JobName varchar(60) becomes varchar(255)" in said
    assert "1 names are there more than once" in said
    assert "stored routines dropped: CleanProcessedFiles, DNLookup" in said
    assert "About a minute, and 1 MB of disk" in said
    assert (rows_of_all(database), look(database.server, database.database)) == before
    assert command(settings_of(database), "upgrade", "--check", "--schema", "client") == 1
    assert "needs an upgrade" in capsys.readouterr().out


@pytest.mark.server
def test_it_reports_what_it_did_and_says_so_again(old: Any, command: Any, capsys: Any) -> None:
    database = old(awkward_server)
    settings = settings_of(database)
    assert command(settings, "init", "--schema", "server") == 75
    assert "apeldb upgrade" in capsys.readouterr().err
    assert command(settings, "upgrade", "--schema", "server") == 0
    said = capsys.readouterr().out
    assert "JobRecords                       44           43        1" in said
    assert "NumberOfJobs 1066" in said
    assert "as before, compared by 3 sites and months" in said
    assert command(settings, "upgrade", "--schema", "server") == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert command(settings, "upgrade", "--check", "--schema", "server") == 0
    assert "every table as it should be" in capsys.readouterr().out
    assert command(settings, "check", "--schema", "server") == 0
    database.do("ALTER TABLE SyncRecords DROP INDEX MonthIdx")
    assert command(settings, "upgrade", "--check", "--schema", "server") == 1
    assert "SyncRecords is not as it should be" in capsys.readouterr().out
    assert command(settings, "upgrade", "--drop-old", "--schema", "server") == 0
    assert "Old_JobRecords" in capsys.readouterr().out
    assert command(settings, "upgrade", "--roll-back", "--schema", "server") == 75
    assert "no upgrade here that could be undone" in capsys.readouterr().err


def test_flags_go_with_their_action(command: Any, tmp_path: Any, capsys: Any) -> None:
    assert command(sqlite_settings(tmp_path / "x"), "init", "--drop-old", "--schema", "client") == 2
    assert "--drop-old goes with upgrade only" in capsys.readouterr().err


# -- our own earlier versions ---------------------------------------------------------------------

#: As if an earlier version had had fewer columns, other keys, one table less and another view.
AGE = [
    "DROP VIEW VProcessedFiles",
    "DROP TABLE ProcessedFiles",
    "CREATE TABLE ProcessedFiles (HostName VARCHAR(100) NOT NULL, Hash VARCHAR(64) NOT NULL, StopLine INT,"
    " PRIMARY KEY (Hash))",
    "INSERT INTO ProcessedFiles VALUES ('h', 'abc', 7)",
    "CREATE VIEW VProcessedFiles AS SELECT Hash FROM ProcessedFiles",
    "DROP TABLE RejectedLines",
    "UPDATE SchemaVersion SET Version = 0",
]


@pytest.fixture(params=BACKENDS)
def aged(request: Any, tmp_path: Any) -> Any:
    """The [db] section of a site's database of an earlier version."""
    if request.param == "mariadb":
        server = request.getfixturevalue("mariadb")
        settings = mariadb_settings(server, server.new_database("aged"))
    else:
        settings = sqlite_settings(tmp_path / "aged.db")
    backend = open_backend(settings)
    initialise(backend, "client")
    with session(backend) as connection:
        for statement in AGE:
            backend.execute(connection, statement, ())
        connection.commit()
    return settings


def definitions(settings: Any) -> List[Any]:
    if settings.backend == "sqlite":
        backend = open_backend(settings)
        with session(backend) as connection:
            query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%%' ORDER BY 1, 2"
            rows = backend.execute(connection, query, ()).fetchall()
        return [(kind, name, sql.replace('"', "")) for kind, name, sql in rows]
    with session(open_backend(settings)) as connection:
        cursor = connection.cursor()
        cursor.execute("SHOW TABLES")
        names = [name for (name,) in cursor.fetchall()]
        found = []
        for name in names:
            cursor.execute("SHOW CREATE TABLE `%s`" % name)
            found.append(cursor.fetchone()[1].replace("`%s`." % settings.name, ""))
    return found


def test_an_earlier_version_of_ours_becomes_todays(
    aged: Any, command: Any, tmp_path: Any, capsys: Any
) -> None:
    with open_database(aged, "client") as db, pytest.raises(Unusable, match="run `apeldb upgrade`"):
        db.run(lambda tx: tx.value("SELECT 1"))
    assert command(aged, "upgrade", "--check", "--schema", "client") == 1
    assert command(aged, "upgrade", "--dry-run", "--schema", "client") == 0
    assert command(aged, "upgrade", "--schema", "client") == 0
    assert command(aged, "upgrade", "--schema", "client") == 0
    if aged.backend == "mysql":
        command(aged, "upgrade", "--drop-old", "--schema", "client")
    assert command(aged, "upgrade", "--check", "--schema", "client") == 0
    capsys.readouterr()
    with open_database(aged, "client") as db:
        rows = db.run(lambda tx: tx.rows("SELECT HostName, Hash, StopLine, Position FROM ProcessedFiles"))
    assert rows == [("h", "abc", 7, None)]
    fresh = sqlite_settings(tmp_path / "fresh.db") if aged.backend == "sqlite" else _empty_beside(aged)
    initialise(open_backend(fresh), "client")
    assert definitions(aged) == definitions(fresh)


def _empty_beside(settings: Any) -> Any:
    name = settings.name + "_fresh"
    with session(open_backend(settings)) as connection:
        connection.cursor().execute("CREATE DATABASE `%s`" % name)
    return type(settings)(**dict(vars(settings), name=name))


# -- version 1, which had no columns for tokens -----------------------------------------------------

WITHOUT_TOKENS = [
    (r"\n +Token\w+ VARCHAR\(\d+\),", ""),
    (r",\n +TokenIssuer,\n +TokenSubject\n", "\n"),
    (r"( CEID INT,\n +TimeStamp DATETIME,)\n +GlobalUserNameID INT,\n +FQAN VARCHAR\(255\),", r"\1"),
]
JOB = {
    "LocalJobId": "'7'", "ServiceLevelType": "'HEPSPEC'", "ServiceLevel": "10", "WallDuration": "60",
    "StartTime": "'2026-03-01 00:00:00'", "EndTime": "'2026-03-01 00:01:00'",
    "EndYear": "2026", "EndMonth": "3",
}  # fmt: skip
IDS = (
    "Site",
    "SubmitHost",
    "MachineName",
    "Queue",
    "GlobalUserName",
    "VO",
    "VOGroup",
    "VORole",
    "PublisherDN",
)


def make_version_one(settings: Any, schema: str) -> None:
    """A database as version 1 of a schema made it, with two jobs, one of them of a token."""
    backend = open_backend(settings)
    job = dict(JOB, **{name + "ID": "1" for name in IDS})
    with session(backend) as connection:
        for statement in backend.schema_statements(connection, schema):
            for pattern, text in WITHOUT_TOKENS:
                statement = re.sub(pattern, text, statement)
            assert "Token" not in statement
            backend.execute(connection, statement.replace("%", "%%"), ())
        for table in ("Sites", "SubmitHosts", "MachineNames", "Queues", "DNs", "VOs", "VOGroups", "VORoles"):
            backend.execute(connection, "INSERT INTO %s (id, name) VALUES (1, 'x')" % table, ())
        backend.execute(connection, "INSERT INTO DNs (id, name) VALUES (2, 'https://iam.example/ 5d1f')", ())
        for more in ({}, {"LocalJobId": "'8'", "GlobalUserNameID": "2"}):
            values = dict(job, **more)
            insert = "INSERT INTO JobRecords (%s) VALUES (%s)" % (
                ", ".join(values),
                ", ".join(values.values()),
            )
            backend.execute(connection, insert, ())
        version = "INSERT INTO SchemaVersion (SchemaName, Version, Software) VALUES (%s, 1, '5')"
        backend.execute(connection, version, (schema,))
        connection.commit()


@pytest.mark.parametrize("schema", ["client", "server"])
@pytest.mark.parametrize("kind", BACKENDS)
def test_columns_of_tokens_come_with_version_two(
    request: Any, command: Any, tmp_path: Any, capsys: Any, kind: str, schema: str
) -> None:
    settings = new_settings(request, kind, tmp_path, "one")
    make_version_one(settings, schema)
    with open_database(settings, schema) as db, pytest.raises(Unusable, match="run `apeldb upgrade`"):
        db.run(lambda tx: tx.value("SELECT 1"))
    assert command(settings, "init", "--schema", schema) == 75
    assert command(settings, "check", "--schema", schema) == 1
    assert "JobRecords lacks column TokenSubject" in capsys.readouterr().out
    assert command(settings, "upgrade", "--schema", schema) == 0
    assert command(settings, "check", "--schema", schema) == 0
    with open_database(settings, schema) as db:
        query = "SELECT Site, LocalJobId, WallDuration, TokenIssuer, TokenSubject FROM VJobRecords ORDER BY 2"
        assert db.run(lambda tx: tx.rows(query)) == [
            ("x", "7", 60, None, None),
            ("x", "8", 60, "https://iam.example/", "5d1f"),
        ]
    if kind == "sqlite":
        fresh = sqlite_settings(tmp_path / "new.db")
        initialise(open_backend(fresh), schema)
        assert definitions(settings) == definitions(fresh)
    else:  # this compares definitions
        assert command(settings, "upgrade", "--check", "--schema", schema) == 0
        assert command(settings, "upgrade", "--roll-back", "--schema", schema) == 0
        assert command(settings, "upgrade", "--schema", schema) == 0


# -- version 1 of clouds and storage, which had no sums to tell receivers of, and none of storage ------------

SINCE_TWO = re.compile(
    r"CREATE .*\b(?:VUnloaded\w+|StarHistory|ChangedStorageMonths|Storage\w*Summaries|StorageMonths"
    r"|DaySummaries|MonthSummaries)\b"
)


def make_version_one_of_sums(settings: Any, schema: str) -> None:
    """A database as version 1 of a schema made it, with a site."""
    backend = open_backend(settings)
    with session(backend) as connection:
        for statement in backend.schema_statements(connection, schema):
            if not SINCE_TWO.match(statement):
                statement = statement.replace("\nWHERE NumberOfVMs IS NULL OR NumberOfVMs > 0", "")
                backend.execute(connection, statement.replace("%", "%%"), ())
        version = "INSERT INTO SchemaVersion (SchemaName, Version, Software) VALUES (%s, 1, '5')"
        backend.execute(connection, version, (schema,))
        backend.execute(connection, "INSERT INTO Sites (id, name) VALUES (1, 'x')", ())
        connection.commit()


@pytest.mark.parametrize("schema", ["cloud", "storage"])
@pytest.mark.parametrize("kind", BACKENDS)
def test_tables_and_views_of_sums_come_with_version_two(
    request: Any, command: Any, tmp_path: Any, kind: str, schema: str
) -> None:
    """Or else loader and unloader would meet a database that lacks them, and nobody would be told."""
    settings = new_settings(request, kind, tmp_path, "one")
    make_version_one_of_sums(settings, schema)
    with open_database(settings, schema) as db, pytest.raises(Unusable, match="run `apeldb upgrade`"):
        db.run(lambda tx: tx.value("SELECT 1"))
    assert command(settings, "upgrade", "--schema", schema) == 0
    assert command(settings, "check", "--schema", schema) == 0
    with open_database(settings, schema) as db:
        assert db.run(lambda tx: tx.rows("SELECT name FROM Sites")) == [("x",)]
    if kind == "sqlite":
        fresh = sqlite_settings(tmp_path / "new.db")
        initialise(open_backend(fresh), schema)
        assert definitions(settings) == definitions(fresh)
    else:
        with open_database(settings, schema) as db:
            view = "VCloudSummaries" if schema == "cloud" else "VStarRecords"
            (made,) = db.run(lambda tx: tx.rows("SHOW CREATE VIEW " + view))
            assert ("> 0" in made[1]) == (schema == "cloud")


# -- version 2 of storage, which had no levels that have vanished -----------------------------------------

SINCE_THREE = (
    "DROP VIEW VUnloadedDays",
    "DROP VIEW VUnloadedMonths",
    "DROP TABLE StorageVanishedSummaries",
    "UPDATE SchemaVersion SET Version = 2",
)


@pytest.mark.parametrize("kind", BACKENDS)
def test_vanished_levels_come_with_version_three(
    request: Any, command: Any, tmp_path: Any, kind: str
) -> None:
    """Or else the summariser would fail where the first one vanishes."""
    settings = new_settings(request, kind, tmp_path, "two")
    backend = open_backend(settings)
    initialise(backend, "storage")
    with session(backend) as connection:
        for statement in (*SINCE_THREE, "INSERT INTO Sites (id, name) VALUES (1, 'x')"):
            backend.execute(connection, statement, ())
        connection.commit()
    with open_database(settings, "storage") as db, pytest.raises(Unusable, match="run `apeldb upgrade`"):
        db.run(lambda tx: tx.value("SELECT 1"))
    assert command(settings, "upgrade", "--schema", "storage") == 0
    assert command(settings, "check", "--schema", "storage") == 0
    with open_database(settings, "storage") as db:
        assert db.run(lambda tx: tx.rows("SELECT name FROM Sites")) == [("x",)]
        assert db.run(lambda tx: tx.rows("SELECT * FROM VUnloadedDays")) == []
