"""What servers do to us on bad days: deadlocks, deaths, refusals; seen on a real MariaDB."""

import socket
import threading
import time
import warnings
from types import SimpleNamespace
from typing import Any, Iterator, List

import pymysql
import pytest

from apel.db import Conflict, Lost, RowRefused, Unusable, mysql_hosts, open_database
from apel.db.mysql import MySQL
from apel.db.mysql_hosts import Host, hosts
from apel.db.schema import initialise
from apelcommon import daemon
from apelcommon.errors import Permanent
from servers.databases import mariadb_settings
from servers.mariadb import MariaDB
from servers.process import free_port

pytestmark = pytest.mark.server

COUNT = "SELECT COUNT(*) FROM DNs"
#: The defaults of MariaDB 10.5 to 11, and of MySQL 8 and 9.
MARIADB_MODE = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION"
MYSQL_MODE = (
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION"
)


@pytest.fixture(scope="module")
def own_server(mariadb: Any) -> Iterator[MariaDB]:
    """A server that may be killed without harm to other tests."""
    server = MariaDB()
    server.start()
    yield server
    server.close()


@pytest.fixture
def own_db(own_server: MariaDB) -> Iterator[Any]:
    """A central database on it."""
    settings = mariadb_settings(own_server, own_server.new_database("own"))
    db = open_database(settings, "server")
    db.first_wait = 0.05
    initialise(db.backend, "server")
    yield db
    db.close()


@pytest.fixture
def maria_db(maria_client: Any) -> Iterator[Any]:
    """A site database on the shared server."""
    db = open_database(maria_client, "client")
    db.first_wait = 0.01
    initialise(db.backend, "client")
    yield db
    db.close()


def test_server_killed_in_a_transaction_and_restarted(own_server: MariaDB, own_db: Any) -> None:
    """D1: the whole transaction is repeated on a new connection."""
    half_done, killed = threading.Event(), threading.Event()
    tries: List[int] = []
    counted: List[int] = []

    def work(tx: Any) -> int:
        tries.append(1)
        tx.insert("DNs", ["name"], [("first",)])
        half_done.set()
        killed.wait(120)
        tx.insert("DNs", ["name"], [("second",)])
        return int(tx.value(COUNT))

    worker = threading.Thread(target=lambda: counted.append(own_db.run(work, tries=15)))
    worker.start()
    half_done.wait(120)
    own_server.kill()
    killed.set()
    own_server.start()
    worker.join()
    assert counted == [2]
    assert len(tries) == 2
    assert own_db.run(lambda tx: tx.value(COUNT)) == 2


def test_server_down_is_transient_and_names_its_host(
    own_server: MariaDB, own_db: Any, monkeypatch: Any
) -> None:
    """D1: nothing is refused for want of a server, and the same Database goes on when it is back."""
    monkeypatch.setattr("apel.db.database.MOST_WAIT_SECONDS", 0.05)
    own_server.kill()
    try:
        with pytest.raises(Lost, match=str(own_server.port)):
            own_db.run(lambda tx: tx.value(COUNT), tries=2)
        with pytest.raises(Lost):
            next(own_db.stream(COUNT))
        with pytest.raises(Lost):
            own_db.ids("DNs", ["x"])
    finally:
        own_server.start()
    assert own_db.run(lambda tx: tx.value(COUNT)) == 0


def test_connection_killed_while_idle(maria_db: Any) -> None:
    """D1: 2006 and 2013 of a connection that the server has closed."""
    ours = maria_db.run(lambda tx: tx.value("SELECT CONNECTION_ID()"))
    killer = maria_db.backend.connect()
    maria_db.backend.execute(killer, "KILL %s", (ours,))
    killer.close()
    assert maria_db.run(lambda tx: tx.value("SELECT CONNECTION_ID()")) != ours


def test_a_deadlock_is_repeated_by_its_loser(maria_db: Any, another: Any) -> None:
    """D1: 1213; both transactions are done in the end, one of them twice."""
    ids = list(maria_db.ids("DNs", ["a", "b"]).values())
    dbs = [maria_db, another(maria_db)]
    both_hold_one = threading.Barrier(2)
    tries: List[int] = []

    def change(place: int) -> None:
        first, second = ids if place else ids[::-1]
        mine: List[int] = []

        def work(tx: Any) -> None:
            mine.append(1)
            tx.execute("UPDATE DNs SET name = CONCAT(name, '+') WHERE id = %s", (first,))
            if len(mine) == 1:
                both_hold_one.wait(120)
            tx.execute("UPDATE DNs SET name = CONCAT(name, '+') WHERE id = %s", (second,))

        dbs[place].run(work)
        tries.append(len(mine))

    threads = [threading.Thread(target=change, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(tries) == [1, 2]
    assert maria_db.run(lambda tx: tx.rows("SELECT name FROM DNs ORDER BY name")) == [("a++",), ("b++",)]


def test_lock_wait_timeout_is_a_conflict(maria_db: Any, another: Any) -> None:
    """D1: 1205."""
    maria_db.ids("DNs", ["a"])
    other = another(maria_db)

    def wait_for_it(tx: Any) -> None:
        tx.execute("SET SESSION innodb_lock_wait_timeout = 1")
        tx.execute("UPDATE DNs SET name = 'c' WHERE name = 'a'")

    def hold(tx: Any) -> None:
        tx.execute("UPDATE DNs SET name = 'b' WHERE name = 'a'")
        with pytest.raises(Conflict):
            other.run(wait_for_it, tries=1)

    maria_db.run(hold)


def test_read_only_server_is_transient(own_server: MariaDB, own_db: Any) -> None:
    """D1: 1290; the account has no right to write to a read-only server."""
    account = SimpleNamespace(**vars(mariadb_settings(own_server, own_db.backend.database)))
    account.username, account.password = "plain", "x"
    own_server.rows("", "CREATE OR REPLACE USER plain@'%%' IDENTIFIED BY 'x'")
    own_server.rows("", "GRANT ALL ON *.* TO plain@'%%'")
    own_server.rows("", "REVOKE SUPER, READ_ONLY ADMIN ON *.* FROM plain@'%%'")
    db = open_database(account, "server")
    db.first_wait = 0.01
    own_server.rows("", "SET GLOBAL read_only = 1")
    try:
        with pytest.raises(Lost, match="read-only"):
            db.run(lambda tx: tx.insert("DNs", ["name"], [("a",)]), tries=2)
    finally:
        own_server.rows("", "SET GLOBAL read_only = 0")
    db.run(lambda tx: tx.insert("DNs", ["name"], [("a",)]))
    db.close()


def test_too_many_connections_is_transient(own_server: MariaDB, own_db: Any) -> None:
    """D1: 1040."""
    own_server.rows("", "SET GLOBAL max_connections = 10")
    plain = "limited"
    own_server.rows("", "CREATE OR REPLACE USER limited@'%%' IDENTIFIED BY 'x'")
    own_server.rows("", "GRANT ALL ON %s.* TO limited@'%%%%'" % own_db.backend.database)
    settings = mariadb_settings(own_server, own_db.backend.database)
    settings.username, settings.password = plain, "x"
    db = open_database(settings, "server")
    db.first_wait = 0.01
    held: List[Any] = []
    try:
        with pytest.raises(pymysql.err.OperationalError):
            while True:
                held.append(db.backend._open(db.backend.servers[0], False))
        with pytest.raises(Lost, match="1040"):
            db.run(lambda tx: tx.value(COUNT), tries=2)
    finally:
        for connection in held:
            connection.close()
        db.close()
        _give_room(own_server)


def _give_room(server: MariaDB) -> None:
    """Take the limit away, as soon as the server has noticed that a connection is closed."""
    for _ in range(1200):
        try:
            server.rows("", "SET GLOBAL max_connections = 151")
            return
        except pymysql.err.OperationalError:
            time.sleep(0.05)
    pytest.fail("The server never had room again.")


def test_told_to_end_a_transaction_that_comes_on_is_finished(maria_db: Any) -> None:
    """D1: one in which nothing is answered is cut, and nothing of it stays."""

    def grace_is_over() -> None:
        for cut in list(daemon._cuts):
            cut()

    def comes_on(tx: Any) -> int:
        for name in ("a", "b", "c"):
            tx.insert("DNs", ["name"], [(name,)])
            grace_is_over()
        return int(tx.value(COUNT))

    def hangs(tx: Any) -> None:
        tx.insert("DNs", ["name"], [("d",)])
        grace_is_over()
        grace_is_over()
        tx.insert("DNs", ["name"], [("e",)])

    assert maria_db.run(comes_on, tries=1) == 3
    with pytest.raises(Lost):
        maria_db.run(hangs, tries=1)
    assert maria_db.run(lambda tx: tx.value(COUNT)) == 3
    assert daemon._cuts == []


def test_accounts_of_mysql_8_without_cryptography(maria_client: Any, monkeypatch: Any) -> None:
    """Its default accounts want their password encrypted; the driver's error is none of the usual kind."""

    def no_library(**_: Any) -> Any:
        raise RuntimeError("'cryptography' package is required for sha256_password or caching_sha2_password")

    db = open_database(maria_client, "client")
    monkeypatch.setattr(pymysql, "connect", no_library)
    with pytest.raises(Unusable, match="caching_sha2_password; install python3-cryptography, or"):
        db.run(lambda tx: tx.value("SELECT 1"), tries=1)


def test_wrong_password_and_missing_database_are_said_at_once(
    mariadb: Any, maria_client: Any, monkeypatch: Any
) -> None:
    maria_client.password = "wrong"
    tries: List[int] = []
    connect = pymysql.connect
    monkeypatch.setattr(pymysql, "connect", lambda **options: tries.append(1) or connect(**options))
    with pytest.raises(Unusable, match="check username"):
        open_database(maria_client, "client").run(lambda tx: tx.value(COUNT))
    nowhere = mariadb_settings(mariadb, "no_such_database")
    with pytest.raises(Unusable, match="CREATE DATABASE"):
        open_database(nowhere, "client").run(lambda tx: tx.value(COUNT))
    assert len(tries) == 2


# -- several hosts --------------------------------------------------------------------------------


def test_a_dead_host_is_passed_over_and_the_good_one_is_kept(mariadb: Any, maria_db: Any) -> None:
    """D18, as far as one server can show it: hosts are tried in order, and the one that answers is kept."""
    names = ["127.0.0.1:%d" % free_port(), "%s:%d" % (mariadb.host, mariadb.port)]
    settings = mariadb_settings(mariadb, maria_db.backend.database)
    settings.hostname = names
    db = open_database(settings, "client")
    assert db.run(lambda tx: tx.value(COUNT)) == 0
    assert str(db.backend.servers[db.backend._current]) == names[1]
    db.close()
    assert list(db.stream(COUNT)) == [(0,)]
    assert str(db.backend.servers[db.backend._current]) == names[1]


def test_a_connection_to_a_server_that_will_not_serve_is_given_up(maria_db: Any) -> None:
    """D1: read-only, or out of its cluster, it still answers; the repetition must go elsewhere."""
    seen: List[int] = []

    def work(tx: Any) -> int:
        seen.append(tx.value("SELECT CONNECTION_ID()"))
        if len(seen) == 1:
            raise Lost("read-only")
        return len(seen)

    assert maria_db.run(work) == 2
    assert seen[0] != seen[1]


def test_all_hosts_down_are_all_named() -> None:
    ports = [free_port(), free_port()]
    backend = MySQL(hosts(["127.0.0.1:%d" % port for port in ports], 3306), "x", "x", "")
    with pytest.raises(Lost) as caught:
        backend.connect()
    assert all("127.0.0.1:%d" % port in str(caught.value) for port in ports)


def test_a_host_that_says_nothing_is_given_up(monkeypatch: Any) -> None:
    monkeypatch.setattr("apel.db.mysql.READ_SECONDS", 1)
    monkeypatch.setattr("apel.db.mysql.CONNECT_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        port = silent.getsockname()[1]
        with pytest.raises(Lost, match=str(port)):
            MySQL([Host("127.0.0.1", port)], "x", "x", "").connect()


def test_hosts_of_every_form() -> None:
    names = ["db1", "db2:3307", "[::1]:3308", "::1", "[fe80::1]", "/run/mysqld.sock", "10.0.0.1"]
    expected = [
        ("db1", 1),
        ("db2", 3307),
        ("::1", 3308),
        ("::1", 1),
        ("fe80::1", 1),
        (names[5], 1),
        (names[6], 1),
    ]
    assert hosts(names, 1) == expected


def test_socket_file(mariadb: Any, maria_db: Any) -> None:
    settings = mariadb_settings(mariadb, maria_db.backend.database)
    settings.hostname = [mariadb.folder + "/socket"]
    with open_database(settings, "client") as db:
        assert db.run(lambda tx: tx.value(COUNT)) == 0


def test_localhost_is_tried_by_its_socket_as_well(mariadb: Any, maria_db: Any, monkeypatch: Any) -> None:
    """As files of APEL 2 have it: its library took localhost for the socket; an account may know no more."""
    for statement in (
        "CREATE USER IF NOT EXISTS only@localhost IDENTIFIED BY 'x'",
        "GRANT ALL ON *.* TO only@localhost",
    ):
        mariadb.rows("", statement)
    settings = mariadb_settings(mariadb, maria_db.backend.database)
    settings.hostname, settings.username, settings.password = ["localhost"], "only", "x"
    monkeypatch.setattr(mysql_hosts, "SOCKETS", ("/nowhere", mariadb.folder + "/socket"))
    monkeypatch.setattr(mysql_hosts, "USUAL_PORT", mariadb.port)
    with open_database(settings, "client") as db:
        assert db.run(lambda tx: tx.value(COUNT)) == 0


def test_socket_that_comes_later_is_found(mariadb: Any, maria_db: Any, monkeypatch: Any) -> None:
    """Of a server that was down when a daemon began, and that listens to nothing else."""
    settings = mariadb_settings(mariadb, maria_db.backend.database)
    settings.hostname, settings.port = ["localhost"], free_port()
    monkeypatch.setattr(mysql_hosts, "SOCKETS", ("/nowhere",))
    monkeypatch.setattr(mysql_hosts, "USUAL_PORT", settings.port)
    with open_database(settings, "client") as db:
        with pytest.raises(Lost):
            db.run(lambda tx: tx.value(COUNT), tries=1)
        monkeypatch.setattr(mysql_hosts, "SOCKETS", ("/nowhere", mariadb.folder + "/socket"))
        assert db.run(lambda tx: tx.value(COUNT), tries=1) == 0


def test_only_localhost_and_its_usual_port_stand_for_a_socket(monkeypatch: Any, tmp_path: Any) -> None:
    monkeypatch.setattr(mysql_hosts, "SOCKETS", (str(tmp_path),))
    found = mysql_hosts.or_by_socket(hosts(["localhost"], 3306))
    assert [str(host) for host in found] == ["localhost:3306", str(tmp_path)]
    assert mysql_hosts.or_by_socket(found) == found
    for others in (hosts(["localhost"], 3307), hosts(["db1"], 3306), hosts(["localhost", "db1"], 3306)):
        assert mysql_hosts.or_by_socket(others) == others


# -- sessions -------------------------------------------------------------------------------------


def test_our_sessions_are_strict_in_utc_and_read_committed(mariadb: Any, maria_db: Any) -> None:
    """D12: whatever the server's defaults are; the test server's time zone is +03:00."""
    mode, zone = maria_db.run(lambda tx: tx.row("SELECT @@sql_mode, @@time_zone"))
    assert zone == "+00:00"
    for word in ("STRICT_ALL_TABLES", "NO_ZERO_DATE", "ONLY_FULL_GROUP_BY"):
        assert word in mode
    assert "NO_BACKSLASH_ESCAPES" not in mode
    levels = dict(maria_db.run(lambda tx: tx.rows("SHOW SESSION VARIABLES LIKE '%%_isolation'")))
    assert levels.get("transaction_isolation", levels.get("tx_isolation")) == "READ-COMMITTED"
    assert maria_db.run(lambda tx: tx.value("SELECT @@character_set_connection")) == "utf8mb4"


@pytest.mark.parametrize(
    "mode",
    [
        "",
        MARIADB_MODE,
        MYSQL_MODE,
        "ANSI,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT",
        "TRADITIONAL,ONLY_FULL_GROUP_BY",
    ],
)
def test_any_default_sql_mode_will_do(own_server: MariaDB, mode: str) -> None:
    """D12: schemas and statements work without the server being changed."""
    before = own_server.rows("", "SELECT @@GLOBAL.sql_mode")[0][0]
    own_server.rows("", "SET GLOBAL sql_mode = %s", (mode,))
    try:
        settings = mariadb_settings(own_server, own_server.new_database("mode"))
        with open_database(settings, "server") as db:
            initialise(db.backend, "server")
            names = ["it's", 'a\\"b', "x"]
            ids = db.ids("DNs", names)
            assert dict(db.run(lambda tx: tx.rows("SELECT name, id FROM DNs"))) == ids
            with pytest.raises(RowRefused):
                db.run(lambda tx: tx.insert("DNs", ["name"], [("y" * 256,)]))
    finally:
        own_server.rows("", "SET GLOBAL sql_mode = %s", (before,))


def test_views_can_be_read_in_the_strictest_mode(mariadb: Any) -> None:
    """D12: by others than us, too."""
    for schema in ("client", "server"):
        name = mariadb.new_database("views")
        backend = open_database(mariadb_settings(mariadb, name), schema).backend
        initialise(backend, schema)
        views = mariadb.rows(name, "SHOW FULL TABLES WHERE Table_type = 'VIEW'")
        assert views
        for view, _ in views:
            assert mariadb.rows(name, "SELECT * FROM %s" % view) == []
        mariadb.drop_database(name)


def test_packets_stay_below_what_the_server_takes(maria_db: Any) -> None:
    maria_db.run(lambda tx: tx.value(COUNT))
    maria_db.backend._most_bytes = 5000
    rows = [(1, 1, 1, number) for number in range(1000)]
    maria_db.run(lambda tx: tx.insert("ChangedMonths", ("SiteID", "Year", "Month", "Mark"), rows))
    assert maria_db.run(lambda tx: tx.value("SELECT COUNT(*) FROM ChangedMonths")) == 1000
    with pytest.raises(RowRefused, match="6008 bytes"):
        maria_db.run(lambda tx: tx.insert("DNs", ["name"], [("short",), ("x" * 6004,)]))


def test_no_warnings_from_the_driver(maria_db: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for conflict in ("ignore", "update"):
            maria_db.run(lambda tx, how=conflict: tx.insert("DNs", ["name"], [("a",), ("a",)], how))


# -- what each error means ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (pymysql.err.OperationalError(1213, "Deadlock found when trying to get lock"), Conflict),
        (pymysql.err.OperationalError(1205, "Lock wait timeout exceeded"), Conflict),
        (pymysql.err.OperationalError(2006, "MySQL server has gone away"), Lost),
        (pymysql.err.OperationalError(2013, "Lost connection during query"), Lost),
        (pymysql.err.OperationalError(2003, "Can't connect"), Lost),
        (pymysql.err.OperationalError(1047, "WSREP has not yet prepared node for application use"), Lost),
        (pymysql.err.OperationalError(1040, "Too many connections"), Lost),
        (pymysql.err.OperationalError(1053, "Server shutdown in progress"), Lost),
        (pymysql.err.OperationalError(1290, "running with the --read-only option"), Lost),
        (pymysql.err.OperationalError(1836, "Running in read-only mode"), Lost),
        (pymysql.err.InternalError(1180, "Got error 107 'Not connected to Primary Component'"), Lost),
        (pymysql.err.InternalError(1180, "Got error 90 'wsrep_max_ws_rows exceeded'"), Unusable),
        (pymysql.err.InterfaceError(0, ""), Lost),
        (ConnectionResetError(104, "Connection reset by peer"), Lost),
        (pymysql.err.OperationalError(1114, "The table is full"), Unusable),
        (pymysql.err.OperationalError(1021, "Disk full"), Unusable),
        (pymysql.err.OperationalError(1142, "INSERT command denied"), Unusable),
        (pymysql.err.ProgrammingError(1146, "Table doesn't exist"), Unusable),
        (
            pymysql.err.OperationalError(1665, "Cannot execute statement: impossible to write to binary log"),
            Unusable,
        ),
        (pymysql.err.DataError(1406, "Data too long for column"), RowRefused),
        (pymysql.err.IntegrityError(1048, "Column cannot be null"), RowRefused),
        (pymysql.err.OperationalError(1366, "Incorrect string value"), RowRefused),
        (pymysql.err.OperationalError(4025, "CONSTRAINT failed"), RowRefused),
        (pymysql.err.ProgrammingError(1064, "You have an error in your SQL syntax"), Permanent),
        (pymysql.err.OperationalError(9999, "Something new"), Unusable),
    ],
)
def test_what_the_drivers_errors_mean(error: Exception, kind: type) -> None:
    backend = MySQL([Host("db1", 3306)], "apel", "x", "secret")
    ours = backend.translate(error)
    assert type(ours) is kind
    assert "secret" not in str(ours)


def test_a_node_that_cannot_catch_up_is_left() -> None:
    """D18: a read that waits for the rest of the cluster in vain ends as a lock wait does."""
    backend = MySQL([Host("db1", 3306)], "apel", "x", "secret")
    internal = pymysql.err.OperationalError(1030, 'Got error 122 "Internal (unspecified) error in handler"')
    full = pymysql.err.OperationalError(1030, 'Got error 28 "No space left on device"')
    assert type(backend.translate(internal)) is Unusable
    backend.galera = True
    assert type(backend.translate(pymysql.err.OperationalError(1205, "Lock wait timeout exceeded"))) is Lost
    assert type(backend.translate(internal)) is Lost
    assert type(backend.translate(full)) is Unusable
