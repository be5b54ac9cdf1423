"""What can happen to a database that is a file."""

import sqlite3
import subprocess
import sys
import threading
from typing import Any

import pytest

from apel.db import Conflict, Unusable, open_database
from apel.db.errors import RowRefused
from apel.db.schema import VERSIONS
from apel.db.sqlite import STAMPED_TABLES, SQLite, blueprint, own_placeholders
from servers.databases import sqlite_settings

COUNT = "SELECT COUNT(*) FROM DNs"


@pytest.fixture
def path(tmp_path: Any) -> Any:
    return tmp_path / "apel.db"


def opened(path: Any, schema: str = "client") -> Any:
    db = open_database(sqlite_settings(path), schema)
    db.first_wait = 0.01
    return db


def test_file_and_schema_are_made_on_first_use(path: Any) -> None:
    with opened(path) as db:
        assert not path.exists()
        assert db.run(lambda tx: tx.value(COUNT)) == 0
    with opened(path) as db:
        found = db.run(lambda tx: tx.row("SELECT SchemaName, Version FROM SchemaVersion"))
        assert found == ("client", VERSIONS["client"])


def test_processes_that_make_it_at_once_make_it_once(path: Any) -> None:
    code = (
        "from types import SimpleNamespace as S; from apel.db import open_database;"
        "db = open_database(S(backend='sqlite', name=%r), 'server'); print(db.ids('DNs', ['a'])['a'])"
        % str(path)
    )
    words = [sys.executable, "-c", code]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, universal_newlines=True) for _ in range(4)]
    answers = [process.communicate(timeout=300)[0] for process in processes]
    assert answers == ["1\n"] * 4
    with opened(path, "server") as db:
        assert db.run(lambda tx: tx.value("SELECT COUNT(*) FROM SchemaVersion")) == 1


def test_a_file_that_is_no_database_is_left_alone(path: Any) -> None:
    path.write_text("some notes, and quite a few of them: " * 100)
    before = path.read_text()
    with opened(path) as db, pytest.raises(Unusable, match="must be the path of our own file"):
        db.run(lambda tx: tx.value(COUNT))
    assert path.read_text() == before


def test_another_programs_database_is_left_alone(path: Any) -> None:
    connection = sqlite3.connect(str(path))
    connection.execute("CREATE TABLE VOs (a)")
    connection.commit()
    with opened(path) as db, pytest.raises(Unusable, match="Nothing was changed"):
        db.run(lambda tx: tx.value(COUNT))
    names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert names == [("VOs",)]


def test_the_other_schemas_database_is_refused(path: Any) -> None:
    with opened(path, "server") as db:
        db.run(lambda tx: tx.value(COUNT))
    with opened(path, "client") as db, pytest.raises(Unusable, match="This is a server database"):
        db.run(lambda tx: tx.value(COUNT))


def test_missing_folder_is_named(tmp_path: Any) -> None:
    with opened(tmp_path / "no" / "apel.db") as db, pytest.raises(Unusable, match="no folder"):
        db.run(lambda tx: tx.value(COUNT))


def test_a_busy_file_is_a_conflict(path: Any, monkeypatch: Any, another: Any) -> None:
    """D1: another process writes for a long time; the work is repeated until it is through."""
    monkeypatch.setattr("apel.db.sqlite.BUSY_SECONDS", 0.05)
    db = opened(path)
    db.ids("DNs", ["a"])
    other = another(db)

    def hold(tx: Any) -> None:
        tx.insert("DNs", ["name"], [("b",)])
        with pytest.raises(Conflict, match="locked"):
            other.run(lambda tx: tx.insert("DNs", ["name"], [("c",)]), tries=2)
        # Readers are not held up.
        assert list(other.stream(COUNT)) == [(1,)]

    db.run(hold)
    held, release = threading.Event(), threading.Event()

    def hold_for_a_while(tx: Any) -> None:
        held.set()
        release.wait(120)

    def holding() -> None:
        with opened(path) as mine:
            mine.run(hold_for_a_while)

    holder = threading.Thread(target=holding)
    holder.start()
    held.wait(120)
    threading.Timer(0.3, release.set).start()
    other.run(lambda tx: tx.insert("DNs", ["name"], [("c",)]), tries=60)
    holder.join()
    assert db.run(lambda tx: tx.value(COUNT)) == 3
    db.close()


def test_nothing_is_lost_or_half_there_after_kill_9(path: Any) -> None:
    code = (
        "import os, signal; from types import SimpleNamespace as S; from apel.db import open_database\n"
        "db = open_database(S(backend='sqlite', name=%r), 'client'); db.ids('DNs', ['a', 'b'])\n"
        "def work(tx):\n"
        "    tx.insert('DNs', ['name'], [('c',)])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "db.run(work)" % str(path)
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    with opened(path) as db:
        assert db.run(lambda tx: tx.rows("SELECT name FROM DNs ORDER BY name")) == [("a",), ("b",)]


@pytest.mark.parametrize("words", ["database or disk is full", "attempt to write a readonly database"])
def test_a_full_disk_and_a_read_only_file_are_for_an_operator(words: str) -> None:
    assert type(SQLite("x").translate(sqlite3.OperationalError(words))) is Unusable


def test_an_old_sqlite_is_refused_with_the_way_out(monkeypatch: Any) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 7, 17))
    with pytest.raises(Unusable, match=r"3\.24\.0 or newer"):
        open_database(sqlite_settings("x"), "client")


def test_placeholders() -> None:
    assert own_placeholders("a = %s AND b LIKE '%%x%%' AND c = strftime('%%s', %s)") == (
        "a = ? AND b LIKE '%x%' AND c = strftime('%s', ?)"
    )


def test_every_table_with_an_update_time_is_stamped() -> None:
    found = set()
    for schema in VERSIONS:
        tables, _ = blueprint(schema)
        found |= {name for name, columns in tables.items() if "UpdateTime" in columns}
    assert found - {"SchemaVersion"} == STAMPED_TABLES


def test_refused_values_are_refused_rows() -> None:
    backend = SQLite("x")
    for error in (sqlite3.IntegrityError("NOT NULL constraint failed"), OverflowError("int too large")):
        assert type(backend.translate(error)) is RowRefused
