"""The loader on bad days of a real MariaDB: it waits, goes on by itself, and loses and doubles nothing."""

import contextlib
import itertools
import random
import subprocess
import threading
import time
from typing import Any, Iterator

import pytest
from centre import Centre, Installation, job, jobs, message, summary, sync, wait_for

from apel.db import open_database
from apelcommon.errors import Transient
from servers.databases import mariadb_settings

KILLS, PER_KILL = 8, 10
NUMBERS = itertools.count(1)
WAITING = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"


@contextlib.contextmanager
def as_ordinary_user(mariadb: Any, installation: Installation, extra: str = "") -> Iterator[Centre]:
    """The centre through an account without SUPER, which read_only binds."""
    name = "ordinary%d" % next(NUMBERS)
    database = installation.db.backend.database
    mariadb._administer("CREATE USER %s@'%%' IDENTIFIED BY 'secret' " + extra, (name,))
    mariadb._administer("GRANT SELECT, INSERT, UPDATE, DELETE ON `%s`.* TO %%s@'%%%%'" % database, (name,))
    settings = mariadb_settings(mariadb, database)
    settings.username = name
    db = open_database(settings, schema="server")
    yield Centre(installation.folder / "spool", db)
    db.close()


def test_db_down_keeps_messages(installation: Installation, mariadb: Any) -> None:
    """D1: the server is stopped under the running loader, and started again: all is loaded, by itself."""
    centre = installation.centre
    centre.deliver(message([job(LocalJobId="before")]))
    with installation.running_loader() as process:
        wait_for(lambda: centre.incoming.count() == 0)
        mariadb.stop()
        try:
            for number in range(5):
                centre.deliver(message([job(LocalJobId=str(number))]))
            wait_for(lambda: "Trying again in" in installation.log())
            time.sleep(1)
            assert process.poll() is None
            assert centre.incoming.count() == 5 and centre.reject.count() == 0
        finally:
            mariadb.start()
        wait_for(lambda: centre.incoming.count() == 0)
        assert process.poll() is None
    assert centre.count("JobRecords") == 6 and centre.reject.count() == 0


def test_db_killed_in_the_middle_of_loading(installation: Installation, mariadb: Any) -> None:
    """D1: kill -9 of the server while messages are loaded."""
    centre = installation.centre
    for number in range(40):
        centre.deliver(message([job(LocalJobId="%d.%d" % (number, part)) for part in range(50)]))
    with installation.running_loader() as process:
        wait_for(lambda: centre.incoming.count() < 30)
        mariadb.kill()
        mariadb.start()
        wait_for(lambda: centre.incoming.count() == 0)
        assert process.poll() is None
    assert centre.count("JobRecords") == 2000 and centre.reject.count() == 0


def test_a_loader_started_while_the_db_is_down_waits_for_it(installation: Installation, mariadb: Any) -> None:
    """D1: as at boot."""
    centre = installation.centre
    centre.deliver(message([job()]))
    mariadb.stop()
    try:
        process = subprocess.run(installation.loader_command("--once"), timeout=300, stderr=subprocess.PIPE)
        assert process.returncode == 75 and b"apeldbloader: " in process.stderr
        with installation.running_loader() as daemon:
            wait_for(lambda: "Trying again in" in installation.log())
            assert daemon.poll() is None
            mariadb.start()
            wait_for(lambda: centre.incoming.count() == 0)
    finally:
        if mariadb.pid is None:
            mariadb.start()
    assert centre.count("JobRecords") == 1


def test_db_read_only_keeps_messages(installation: Installation, mariadb: Any) -> None:
    """D1: read_only, as on a replica or during a change of primary."""
    with as_ordinary_user(mariadb, installation) as centre:
        centre.deliver(message(jobs(3)))
        centre.db.first_wait = 0.001
        mariadb._administer("SET GLOBAL read_only = 1")
        try:
            with pytest.raises(Transient):
                centre.loader().step()
        finally:
            mariadb._administer("SET GLOBAL read_only = 0")
        assert centre.incoming.count() == 1 and centre.reject.count() == 0
        assert centre.loader().step() == 1
        assert centre.count("JobRecords") == 3


def test_too_many_connections_keeps_messages(installation: Installation, mariadb: Any) -> None:
    """D1: the account's connections are all taken."""
    with as_ordinary_user(mariadb, installation, "WITH MAX_USER_CONNECTIONS 2") as centre:
        centre.deliver(message(jobs(3)))
        taken = [centre.db.backend.connect(), centre.db.backend.connect()]
        centre.db.first_wait = 0.001
        with pytest.raises(Transient):
            centre.loader().step()
        assert centre.incoming.count() == 1 and centre.reject.count() == 0
        for connection in taken:
            connection.close()
        assert centre.loader().step() == 1


def test_no_right_to_insert_keeps_messages(installation: Installation, mariadb: Any) -> None:
    """D1: a missing grant is no fault of the messages."""
    with as_ordinary_user(mariadb, installation) as centre:
        centre.deliver(message(jobs(3)))
        name, database = centre.db.backend.user, centre.db.backend.database
        mariadb._administer("REVOKE INSERT ON `%s`.* FROM %%s@'%%%%'" % database, (name,))
        with pytest.raises(Transient):
            centre.loader().step()
        assert centre.incoming.count() == 1 and centre.reject.count() == 0


def test_a_deadlock_is_repeated(installation: Installation, mariadb: Any, caplog: Any) -> None:
    """D1: 1213. Another transaction holds job b and wants job a, while the loader has a and wants b."""
    caplog.set_level("INFO")
    centre = installation.centre
    centre.load(message([job(LocalJobId="a"), job(LocalJobId="b")]), message(jobs(200)))
    centre.deliver(message([job(LocalJobId="a", Queue="x"), job(LocalJobId="b", Queue="x")]))
    change = "UPDATE JobRecords SET LocalUserId = 'other' WHERE LocalJobId %s"
    with contextlib.closing(mariadb.connect(centre.db.backend.database)) as other, other.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute("BEGIN")
        # The one with more to undo survives: not the loader.
        cursor.execute(change % "NOT IN ('a')")
        loader = threading.Thread(target=centre.loader().step)
        loader.start()
        try:
            wait_for(lambda: mariadb.rows("", WAITING) != [("Innodb_row_lock_current_waits", "0")])
            cursor.execute(change % "= 'a'")
        finally:
            other.rollback()
            loader.join(180)
    assert not loader.is_alive() and "Deadlock" in caplog.text
    assert centre.incoming.count() == centre.reject.count() == 0
    query = "SELECT COUNT(*) FROM JobRecords JOIN Queues ON Queues.id = QueueID WHERE name = 'x'"
    assert centre.rows(query) == [(2,)]


def test_a_lock_held_too_long_keeps_the_message(installation: Installation, mariadb: Any) -> None:
    """D1: 1205."""
    centre = installation.centre
    centre.load(message(jobs(2)))
    centre.deliver(message(jobs(2, Queue="x")))
    centre.db.first_wait = 0.001
    centre.execute("SET SESSION innodb_lock_wait_timeout = 1")
    real_run = centre.db.run
    centre.db.run = lambda work, tries=2: real_run(work, min(tries, 2))  # type: ignore[method-assign]
    with contextlib.closing(mariadb.connect(centre.db.backend.database)) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE JobRecords SET LocalUserId = 'other'")
        with pytest.raises(Transient, match="1205"):
            centre.loader().step()
        other.rollback()
    assert centre.incoming.count() == 1 and centre.reject.count() == 0
    assert centre.loader().step() == 1


def test_two_loaders_meet_new_names_at_once(installation: Installation) -> None:
    """D4: one queue, one database, two processes, each message full of new names: one row for each name."""
    centre = installation.centre
    for number in range(30):
        records = [
            job(LocalJobId="%d.%d" % (number, part), FQAN="/vo%d" % part, Queue="q%d" % part, LocalUserId="u")
            for part in range(40)
        ]
        random.Random(number).shuffle(records)
        centre.deliver(message(records))
    text = (installation.folder / "loader.cfg").read_text()
    pid = "pidfile = %s" % installation.pidfile
    other = installation.write("loader2.cfg", text.replace(pid, pid + "2"))
    with installation.running_loader() as first, installation.running_loader("-c", other) as second:
        wait_for(lambda: centre.incoming.count() == 0)
        assert first.poll() is None and second.poll() is None
    assert centre.count("JobRecords") == 1200 and centre.reject.count() == 0
    for table in ("VOs", "Queues", "Sites", "DNs"):
        assert centre.rows("SELECT name FROM %s GROUP BY name HAVING COUNT(*) > 1" % table) == []


def test_names_that_differ_in_case_accents_or_blanks_on_mariadb(installation: Installation) -> None:
    """D5."""
    names = ["atlas", "ATLAS", "atl\xe1s", "atlas x"]
    centre = installation.centre
    centre.load(message([job(LocalJobId=name, FQAN=None, VO=name) for name in names]))
    query = "SELECT LocalJobId, VOs.name FROM JobRecords JOIN VOs ON VOs.id = VOID"
    assert sorted(centre.rows(query)) == sorted((name, name) for name in names)


def test_messages_twice_and_out_of_order_on_mariadb(installation: Installation) -> None:
    """D6."""
    centre = installation.centre
    bodies = [message(jobs(50)), message([summary()], "summary v0.2"), sync(5), sync(6, 4)]
    centre.load(*bodies)
    once = centre.picture()
    for seed in range(3):
        random.Random(seed).shuffle(bodies)
        centre.load(*bodies)
    assert centre.picture() == once


def test_loader_killed_between_commit_and_removal(installation: Installation) -> None:
    """D7: kill -9 at random moments: nothing lost, nothing twice, bad records once in `reject`."""
    centre = installation.centre
    chance = random.Random(9)
    for turn in range(KILLS):
        for number in range(PER_KILL):
            body = message([job(LocalJobId="%d.%d.%d" % (turn, number, part)) for part in range(20)])
            if number % 2:
                body = body.replace("LocalJobId: %d.%d.7\n" % (turn, number), "LocalJobId: None\n")
            centre.deliver(body, empaid="%08x/%014x" % (turn, number))
        before = centre.incoming.count()
        with installation.running_loader() as process:
            wait_for(lambda before=before: centre.incoming.count() < before, poll=0.001)
            time.sleep(chance.uniform(0, 0.02))
            process.kill()
    with installation.running_loader():
        wait_for(lambda: centre.incoming.count() == 0)
    bad = KILLS * PER_KILL // 2
    assert centre.count("JobRecords") == KILLS * PER_KILL * 20 - bad
    ids = [element["empaid"] for element in centre.rejected()]
    assert len(ids) == len(set(ids)) == bad


def test_names_that_have_other_ids_after_a_lost_connection(installation: Installation, mariadb: Any) -> None:
    """D1, D18: restored, or short of its last seconds, it has other ids: names are looked up again."""
    centre = installation.centre
    loader = centre.loader()
    database = installation.db.backend.database  # type: ignore[attr-defined]
    loaded, insert = [], type(centre.db.backend).insert

    def restore_once(backend: Any, connection: Any, table: str, *arguments: Any) -> int:
        if table == "JobRecords" and not loaded:
            loaded.append(1)
            mariadb.rows(database, "UPDATE Sites SET name = 'OTHER' WHERE name = 'EXAMPLE-NORTH'")
            mariadb.rows(database, "INSERT INTO Sites (name) VALUES ('EXAMPLE-NORTH')")
            mariadb.rows(database, "KILL %s" % connection.thread_id())
        return int(insert(backend, connection, table, *arguments))

    centre.deliver(message(jobs(3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(centre.db.backend), "insert", restore_once)
        assert loader.step() == 1
    assert loaded
    assert centre.rows("SELECT DISTINCT Site FROM VJobRecords") == [("EXAMPLE-NORTH",)]
    assert centre.rows("SELECT name FROM ChangedMonths JOIN Sites ON id = SiteID") == [("EXAMPLE-NORTH",)]
