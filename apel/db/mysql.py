"""MariaDB and MySQL through PyMySQL: sessions, errors, and the SQL that only they understand."""

import contextlib
import hashlib
import inspect
import logging
import secrets
import socket
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import pymysql
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions

from apel.db.backend import TIME_COLUMNS, Backend, Query, Row, statements
from apel.db.errors import Conflict, Lost, RowRefused, Unusable
from apel.db.literals import value_lists
from apel.db.mysql_expressions import MySQLExpressions
from apel.db.mysql_hosts import Host, or_by_socket
from apelcommon.errors import Permanent, ServiceError
from apelcommon.resources import schema_path

log = logging.getLogger(__name__)

#: Strict in all, and nothing that changes how literals are read, whatever the server's default.
SQL_MODE = (
    "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY"
)
#: lock_wait_timeout: the server's default for schema locks is a day or more. net_write_timeout: whoever reads
#: a stream may be slow. group_concat_max_len: MySQL's own of 1 kB would cut texts without a word.
SESSION = (
    "SET SESSION sql_mode = '%s', SESSION time_zone = '+00:00', SESSION lock_wait_timeout = 60,"
    " SESSION net_write_timeout = 600, SESSION group_concat_max_len = 16777216" % SQL_MODE
)
# READ COMMITTED: INSERT ... SELECT does not lock what it reads, and gaps are not locked. Each statement sees
# what was committed before it began, so nothing may depend on two reads being alike.
ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
SNAPSHOT_ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"

CONNECT_SECONDS = 10
#: More than a node of a cluster needs to find out that another has died, and than any statement takes.
READ_SECONDS = 900
WRITE_SECONDS = 60

#: A host that dies without a word is noticed, by unanswered probes or unacknowledged data, within a minute.
KEEPALIVE = (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 4), ("TCP_USER_TIMEOUT", 60000))
#: Galera: a transaction begins, and a statement reads, when all is seen that was committed on any node
#: before. Or else a program that fails over, or follows another one, would miss what has just been written.
CAUSAL_READS = "SET SESSION wsrep_sync_wait = 1"
#: Galera: row locks end at the node. So a row may be seen by others this much later than its UpdateTime says:
#: the longest transaction (database.py), a commit that waits for its cluster, and clocks that differ.
UNSEEN_SECONDS = 900
SETTINGS = "SHOW VARIABLES WHERE Variable_name IN ('max_allowed_packet', 'wsrep_on')"

NO_RSA = "install python3-cryptography, or give the account a password of the kind mysql_native_password"
#: Who has claimed a name.
HOLDER = "host %s, connection %d, for %s s"

LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: As many as a usual message has.
ROWS_PER_STATEMENT = 1000
MOST_STATEMENT_BYTES = 4 << 20

MARIADB_COLLATION, MYSQL_COLLATION = "utf8mb4_nopad_bin", "utf8mb4_0900_bin"

CONFLICT_CODES = {1205, 1213, 1020, 3572}
LOST_CODES = {
    1040,  # too many connections
    1047,  # Galera: not ready, or not in the primary component
    1053,  # shutting down
    1152,
    1158,
    1159,
    1160,
    1161,
    1184,  # the connection broke, as the server sees it
    1203,
    1226,  # this account has too many connections
    1290,
    1836,  # read-only: a replica, or a primary that is being changed
    1792,  # read-only transaction
    1927,
    3169,  # killed
    1317,  # interrupted: the server is going down
    2002,
    2003,
    2006,
    2013,
    2014,
    2027,
    2055,
    4031,  # closed by the server for idleness
}
#: Out of space, table crashed, larger than a Galera write set, no right, no such database, table or column.
UNUSABLE_CODES = {1021, 1030, 1034, 1105, 1114, 1180, 1194, 1195, 1665, 1044, 1045, 1049, 1054, 1142, 1143}
UNUSABLE_CODES |= {1146, 1227, 1356, 1698, 3118, 4151, 4165}
REFUSED_CODES = {1048, 1062, 1264, 1265, 1292, 1300, 1364, 1365, 1366, 1406, 1411, 1441, 1690, 3819, 4025}
COMMIT_FAILED = 1180
LOCK_WAIT = 1205
ENGINE_ERROR, INTERNAL = 1030, "error 122"


def _number(text: str) -> Any:
    """SUM of whole numbers is a DECIMAL to the server; everybody else wants an int."""
    return float(text) if "." in text else int(text)


def _conversions() -> Dict[Any, Any]:
    """Times stay text, as they are written; decimals become numbers."""
    wanted = dict(conversions)
    for kind in (FIELD_TYPE.TIMESTAMP, FIELD_TYPE.DATETIME, FIELD_TYPE.TIME, FIELD_TYPE.DATE):
        del wanted[kind]
    wanted[FIELD_TYPE.DECIMAL] = wanted[FIELD_TYPE.NEWDECIMAL] = _number
    return wanted


class MySQL(Backend):
    """A list of servers that hold the same database: the first that answers is used until it fails."""

    name = "mysql"
    errors = (pymysql.err.MySQLError, OSError, UnicodeEncodeError)

    def __init__(
        self,
        servers: Sequence[Host],
        database: str,
        user: str,
        password: str,
        read_seconds: Optional[int] = None,
    ) -> None:
        self.sql = MySQLExpressions()
        self.servers = list(servers)
        self.database = database
        self.user = user
        self._password = password
        self._read_seconds = read_seconds
        self._current = 0
        #: Whether the server connected to last is a node of a Galera cluster.
        self.galera = False
        self._most_bytes = MOST_STATEMENT_BYTES

    def __str__(self) -> str:
        return "Database %s on %s" % (self.database, ", ".join(map(str, self.servers)))

    # -- connections ----------------------------------------------------------------------------

    def connect(self, stream: bool = False) -> Any:
        """Connect to the server used last, or else the next that answers.

        Raises Lost, which says what each of them answered, or Unusable when the only answers were refusals.
        """
        failures: List[ServiceError] = []
        # At each time: one that was down when we began has no socket before it is up.
        self.servers = or_by_socket(self.servers)
        for _ in self.servers:
            host = self.servers[self._current]
            try:
                return self._open(host, stream)
            except self.errors as err:
                failures.append(self.translate(err, host))
                self._current = (self._current + 1) % len(self.servers)
        kind = Lost if any(isinstance(failure, Lost) for failure in failures) else Unusable
        raise kind("; ".join(map(str, failures)))

    def _open(self, host: Host, stream: bool) -> Any:
        options: Dict[str, Any] = {
            "user": self.user,
            "password": self._password,
            "database": self.database,
            "charset": "utf8mb4",
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": self._read_seconds or READ_SECONDS,
            "write_timeout": WRITE_SECONDS,
            "conv": _conversions(),
        }
        if host.name.startswith("/"):
            options["unix_socket"] = host.name
        else:
            options.update(host=host.name, port=host.port)
        if _is_local(host) and "ssl_disabled" in inspect.signature(pymysql.connections.Connection).parameters:
            # Newer versions of the driver make a TLS context for every connection: 30 ms in place of 1.
            options["ssl_disabled"] = True
        try:
            connection = pymysql.connect(**options)
        except RuntimeError as err:
            # The driver's word for a way to log in that it has no library for.
            raise Unusable("database %s on %s: %s; %s" % (self.database, host, err, NO_RSA)) from err
        try:
            _keep_alive(getattr(connection, "_sock"))  # noqa: B009 - not in the driver's types
            self._set_session(connection, stream)
        except self.errors:
            connection.close()
            raise
        return connection

    def _set_session(self, connection: Any, stream: bool) -> None:
        cursor = connection.cursor()
        cursor.execute(SESSION)
        cursor.execute(SNAPSHOT_ISOLATION if stream else ISOLATION)
        cursor.execute(SETTINGS)
        found = dict(cursor.fetchall())
        # The head of the statement, and the packet's own, need some room.
        self._most_bytes = min(MOST_STATEMENT_BYTES, int(found["max_allowed_packet"]) - 65536)
        self.galera = found.get("wsrep_on") == "ON"
        if self.galera:
            cursor.execute(CAUSAL_READS)

    def cut(self, connection: Any) -> None:
        channel = getattr(connection, "_sock", None)
        if channel is not None:
            with contextlib.suppress(OSError):
                # Below TLS, whose own shutdown would wait for the server.
                socket.socket.shutdown(channel, socket.SHUT_RDWR)

    # -- errors ---------------------------------------------------------------------------------

    def translate(self, err: BaseException, host: Optional[Host] = None) -> ServiceError:
        """Ours for an error of the driver."""
        server = host or self.servers[self._current]
        code = err.args[0] if err.args and isinstance(err.args[0], int) else 0
        text = "database %s on %s: %s" % (self.database, server, _words(err))
        if isinstance(err, UnicodeEncodeError):
            return RowRefused("not Unicode text: %s" % ascii(str(err)))
        if self._is_lost(err, code):
            return Lost(text)
        if code in CONFLICT_CODES:
            return Conflict(text)
        if code in REFUSED_CODES or isinstance(err, (pymysql.err.DataError, pymysql.err.IntegrityError)):
            return RowRefused(_words(err))
        if code in UNUSABLE_CODES or not isinstance(err, pymysql.err.ProgrammingError):
            return Unusable(text + _advice(code))
        return Permanent(text)

    def _is_lost(self, err: BaseException, code: int) -> bool:
        if self.galera and (code == LOCK_WAIT or (code == ENGINE_ERROR and INTERNAL in str(err))):
            # A node says the one, too, when it can't catch up with the others because it is cut off from
            # them; and the other has been seen of a node that had just come back.
            return True
        if code == COMMIT_FAILED:
            # Galera, as it loses its majority: the outcome is unknown. Its other reasons don't pass.
            return "primary" in str(err).lower()
        # InterfaceError(0, ''): the driver finds its connection closed.
        return code in LOST_CODES or isinstance(err, (OSError, pymysql.err.InterfaceError))

    @property
    def unseen_seconds(self) -> int:
        return UNSEEN_SECONDS if self.galera else 0

    def lost(self) -> None:
        self._current = (self._current + 1) % len(self.servers)

    # -- statements -----------------------------------------------------------------------------

    def begin(self, connection: Any) -> None:
        connection.begin()

    def execute(self, connection: Any, sql: str, params: Sequence[Any]) -> Any:
        cursor = connection.cursor()
        # A tuple, even an empty one: so %% is one per cent sign whether there are parameters or not.
        cursor.execute(sql, tuple(params))
        self.answers += 1
        return cursor

    def insert(
        self, connection: Any, table: str, columns: Sequence[str], rows: Sequence[Row], conflict: str
    ) -> int:
        head = ("INSERT INTO %s (%s) VALUES " % (table, ", ".join(columns))).encode()
        tail = b""
        if conflict == "update":
            tail = self.sql.on_conflict(columns, (), table).encode()
        elif conflict == "ignore":
            # Not INSERT IGNORE, which would also cut text that is too long and turn wrong values into zeros.
            tail = (" ON DUPLICATE KEY UPDATE {0} = {1}.{0}".format(columns[0], table)).encode()
        inserted = 0
        times = {place for place, name in enumerate(columns) if name in TIME_COLUMNS}
        for values in value_lists(rows, ROWS_PER_STATEMENT, self._most_bytes, times):
            connection.query(head + values + tail)
            self.answers += 1
            inserted += connection.affected_rows()
        return inserted if conflict == "ignore" else len(rows)

    def stream(self, connection: Any, sql: str, params: Sequence[Any]) -> Iterator[Tuple[Any, ...]]:
        connection.query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        cursor = connection.cursor(pymysql.cursors.SSCursor)
        cursor.execute(sql, tuple(params))
        try:
            yield from cursor
        finally:
            # Or else the driver reads what is left, when the reader has stopped early: hours, perhaps.
            connection._result.unbuffered_active = False

    def stream_text(self, connection: Any, query: Query) -> Iterator[Sequence[Optional[str]]]:
        """Each row comes as one column, since the driver's work is by the column: twice as fast.

        Separator and sign for NULL hold a control character, which no record has, and a token drawn for this
        query, so that not even a row from elsewhere can imitate them.
        """
        token = secrets.token_hex(2)
        separator, null = "\x1f" + token, "\x1e" + token
        parts = ["IFNULL(%s, '%s')" % (self._as_text(name), null) for name in query.columns]
        packed = "CONCAT_WS('%s', %s)" % (separator, ", ".join(parts))
        width = len(query.columns)
        for (text,) in self.stream(connection, query.text(packed), query.params):
            values = text.split(separator)
            if null in text:
                values = [None if value == null else value for value in values]
            if len(values) != width:
                raise Conflict("a row with the separator of this query in it")
            yield values

    def _as_text(self, column: str) -> str:
        return self.sql.epoch(column) if column in TIME_COLUMNS else column

    def claim(self, connection: Any, name: str) -> Optional[str]:
        """By a lock of the server's own, which goes with its connection; on a cluster it is of one node."""
        # It has nothing to do while the program works, and some servers end idle connections soon.
        self.execute(connection, "SET SESSION wait_timeout = 86400", ())
        lock = hashlib.sha256(("%s %s" % (name, self.database)).encode("utf-8")).hexdigest()[:40]
        if self.execute(connection, "SELECT GET_LOCK(%s, 0)", (lock,)).fetchone()[0] == 1:
            return None
        (number,) = self.execute(connection, "SELECT IS_USED_LOCK(%s)", (lock,)).fetchone()
        for process in self.execute(connection, "SHOW PROCESSLIST", ()).fetchall():
            if process[0] == number:
                return HOLDER % (process[2].rpartition(":")[0] or process[2], number, process[5] or 0)
        return "connection %s" % number

    # -- schema ---------------------------------------------------------------------------------

    def relations(self, connection: Any) -> Dict[str, List[str]]:
        query = (
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
            " ORDER BY table_name, ordinal_position"
        )
        found: Dict[str, List[str]] = {}
        for table, column in self.execute(connection, query, ()).fetchall():
            found.setdefault(table, []).append(column)
        return found

    def make_schema(self, connection: Any, schema: str) -> None:
        """Every statement commits by itself here, and each may be repeated."""
        for statement in self.schema_statements(connection, schema):
            connection.query(statement)

    def schema_statements(self, connection: Any, schema: str) -> List[str]:
        with open(schema_path(self.name, schema), encoding="utf-8") as stream:
            script = stream.read()
        version = self.execute(connection, "SELECT VERSION()", ()).fetchone()[0]
        if "mariadb" not in version.lower():
            script = script.replace(MARIADB_COLLATION, MYSQL_COLLATION)
        return list(statements(script))


def _keep_alive(channel: Any) -> None:
    """Have the kernel find out whether the server's host is still there; a socket file needs none of it."""
    if channel.family != socket.AF_UNIX:
        for name, value in KEEPALIVE:
            if hasattr(socket, name):
                channel.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _is_local(host: Host) -> bool:
    return host.name.startswith("/") or host.name in LOOPBACK or host.name.startswith("127.")


def _words(err: BaseException) -> str:
    return "%s (%s)" % (err.args[1], err.args[0]) if len(err.args) > 1 else str(err) or type(err).__name__


def _advice(code: int) -> str:
    if code in (1044, 1045, 1142, 1143, 1227, 1698):
        return "; check username, password and grants"
    if code == 1049:
        return "; create it (CREATE DATABASE), grant the account all rights on it, and run `apeldb init`"
    if code in (1054, 1146, 1356):
        return "; is this the right database, and has `apeldb init` been run on it?"
    if code == 1665:
        return "; set binlog_format to ROW or MIXED on the server"
    return ""
