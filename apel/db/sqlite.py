"""SQLite: one file, made with its schema when first used; for the quick start, tests and small sites."""

import os
import re
import sqlite3
from functools import lru_cache
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from apel.db.backend import TIME_COLUMNS, VERSION_COLUMNS, Backend, Expressions, Query, Row, statements
from apel.db.errors import Conflict, Lost, RowRefused, Unusable
from apelcommon.errors import Permanent, ServiceError
from apelcommon.resources import schema_path

#: The first with ON CONFLICT ... DO UPDATE.
OLDEST = (3, 24, 0)
BUSY_SECONDS = 15.0
#: The tables whose UpdateTime moves when a row is changed; MySQL knows that by itself.
STAMPED_TABLES = frozenset(
    [
        "AcceleratorRecords",
        "AcceleratorSummaries",
        "CloudRecords",
        "CloudSummaries",
        "HybridSuperSummaries",
        "IPRecords",
        "IPSummaries",
        "JobRecords",
        "LastUpdated",
        "NormalisedSummaries",
        "ProcessedFiles",
        "RejectedLines",
        "StarRecords",
        "StorageDaySummaries",
        "StorageMonthSummaries",
        "StorageVanishedSummaries",
        "Summaries",
        "SuperSummaries",
        "SyncRecords",
    ]
)
ROWS_PER_FETCH = 1000
MEMORY = ":memory:"

#: Tables or views, each with the names of its columns in order.
Relations = Dict[str, List[str]]

_PLACEHOLDER = re.compile("%[%s]")


@lru_cache(maxsize=1000)
def own_placeholders(sql: str) -> str:
    """%s as SQLite writes it, and %% as %."""
    return _PLACEHOLDER.sub(lambda found: "?" if found.group() == "%s" else "%", sql)


class SQLiteExpressions(Expressions):
    """What SQLite says differently."""

    def epoch(self, column: str) -> str:
        return "CAST(strftime('%%%%s', %s) AS INTEGER)" % column

    def exact_text(self, column: str) -> str:
        return "CASE WHEN {0} IS NULL THEN '' ELSE quote({0}) END".format(column)

    def concatenated(self, parts: Sequence[str], separator: str) -> str:
        return (" || '%s' || " % separator).join(parts)

    def joined(self, text: str, separator: str) -> str:
        return "GROUP_CONCAT(%s, '%s')" % (text, separator)

    def on_conflict(self, columns: Sequence[str], key: Sequence[str], table: str) -> str:
        rest = [name for name in columns if name not in key]
        head = " ON CONFLICT (%s) DO " % ", ".join(key)
        if not rest:
            return head + "NOTHING"
        changes = ["%s = excluded.%s" % (name, name) for name in rest]
        if "UpdateTime" not in columns and table in STAMPED_TABLES:
            changes.append("UpdateTime = CURRENT_TIMESTAMP")
        old = ", ".join("%s.%s" % (table, name) for name in rest)
        new = ", ".join("excluded.%s" % name for name in rest)
        where = "(%s) IS NOT (%s)" % (old, new)
        version = VERSION_COLUMNS.get(table)
        if version in columns:
            where += " AND excluded.{0} >= {1}.{0}".format(version, table)
        return head + "UPDATE SET %s WHERE %s" % (", ".join(changes), where)

    def shared_lock(self) -> str:
        # The transaction is the only one that writes.
        return ""

    def upsert_select(self, table: str, columns: Sequence[str], key: Sequence[str], select: str) -> str:
        # WHERE: or else ON is taken for a join's.
        head = "INSERT INTO %s (%s) SELECT * FROM (%s) WHERE 1" % (table, ", ".join(columns), select)
        return head + self.on_conflict(columns, key, table)

    def update_from(self, table: str, source: str, key: Sequence[str], columns: Sequence[str]) -> str:
        same = " AND ".join("%s.%s = %s.%s" % (source, name, table, name) for name in key)
        new = ", ".join("%s.%s" % (source, name) for name in columns)
        keys = ", ".join(key)
        return (
            "UPDATE {table} SET ({names}) = (SELECT {new} FROM {source} WHERE {same})"
            " WHERE ({keys}) IN (SELECT {keys} FROM {source})"
        ).format(table=table, names=", ".join(columns), new=new, source=source, same=same, keys=keys)


def blueprint(schema: str) -> Tuple[Relations, Relations]:
    """The tables, and the views, that a database of the schema has; the same in every dialect."""
    connection = sqlite3.connect(MEMORY, isolation_level=None)
    try:
        for statement in _script(schema):
            connection.execute(statement)
        return _relations(connection, "table"), _relations(connection, "view")
    finally:
        connection.close()


def _relations(connection: "sqlite3.Connection", kind: str) -> Relations:
    query = "SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite_%' ORDER BY name"
    names = [name for (name,) in connection.execute(query, (kind,)).fetchall()]
    found = {name: _columns(connection, name) for name in names}
    return {name: columns for name, columns in found.items() if columns}


def _columns(connection: "sqlite3.Connection", name: str) -> List[str]:
    try:
        return [row[1] for row in connection.execute("PRAGMA table_info(%s)" % name).fetchall()]
    except sqlite3.OperationalError:
        # A view of a table that is gone: as good as missing itself, and MySQL lists it as little.
        return []


def _script(schema: str) -> Iterator[str]:
    with open(schema_path("sqlite", schema), encoding="utf-8") as stream:
        return statements(stream.read())


class SQLite(Backend):
    """One file, several processes: readers never wait, writers wait for each other (write-ahead log)."""

    name = "sqlite"
    makes_itself = True
    errors = (sqlite3.Error, OverflowError, UnicodeEncodeError)

    def __init__(self, path: str) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise Unusable(
                "SQLite %s is too old: %s or newer is needed. Use MariaDB (backend = mysql) on this machine."
                % (sqlite3.sqlite_version, ".".join(map(str, OLDEST)))
            )
        self.sql = SQLiteExpressions()
        self.path = path
        self._keys: Dict[str, List[str]] = {}

    def __str__(self) -> str:
        return "SQLite database %s" % self.path

    def exists(self) -> bool:
        return os.path.exists(self.path)

    # -- connections ----------------------------------------------------------------------------

    def connect(self, stream: bool = False) -> Any:
        folder = os.path.dirname(os.path.abspath(self.path))
        if not os.path.isdir(folder):
            raise Unusable("database %s: there is no folder %s" % (self.path, folder))
        try:
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        except sqlite3.Error as err:
            raise self.translate(err) from err
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # Safe against crashes of a process; of the machine, too, since the log is synced at every commit.
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as err:
            connection.close()
            raise self.translate(err) from err
        return connection

    def cut(self, connection: Any) -> None:
        connection.interrupt()

    def translate(self, err: BaseException) -> ServiceError:
        text = "database %s: %s" % (self.path, err)
        if isinstance(err, (UnicodeEncodeError, OverflowError)):
            return RowRefused(ascii(str(err))[1:-1])
        if isinstance(err, (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError)):
            return RowRefused(str(err))
        words = str(err).lower()
        if "integer overflow" in words:
            return RowRefused(str(err))  # a sum beyond 64 bits
        if "locked" in words or "busy" in words:
            return Conflict(text)
        if "not a database" in words:
            return Unusable(text + "; [db] name must be the path of our own file, or of none that exists")
        if "no such table" in words or "no such column" in words:
            return Unusable(text + "; is this the right file?")
        if "syntax error" in words or isinstance(err, sqlite3.ProgrammingError):
            return Permanent(text)
        return Lost(text) if "disk i/o" in words else Unusable(text)

    # -- statements -----------------------------------------------------------------------------

    def begin(self, connection: Any) -> None:
        # At once a writer's: a reader that became a writer would fail if another had written meanwhile.
        connection.execute("BEGIN IMMEDIATE")

    def execute(self, connection: Any, sql: str, params: Sequence[Any]) -> Any:
        self.answers += 1
        return connection.execute(own_placeholders(sql), tuple(params))

    def insert(
        self, connection: Any, table: str, columns: Sequence[str], rows: Sequence[Row], conflict: str
    ) -> int:
        sql = "INSERT INTO %s (%s) VALUES (%s)" % (table, ", ".join(columns), ", ".join("?" * len(columns)))
        if conflict == "update":
            sql += self.sql.on_conflict(columns, self._key(connection, table), table)
        elif conflict == "ignore":
            sql += " ON CONFLICT DO NOTHING"
        inserted = connection.executemany(sql, rows).rowcount
        return inserted if conflict == "ignore" else len(rows)

    def _key(self, connection: Any, table: str) -> List[str]:
        if table not in self._keys:
            info = connection.execute("PRAGMA table_info(%s)" % table).fetchall()
            places = sorted((place, name) for _, name, _, _, _, place in info if place)
            self._keys[table] = [name for _, name in places]
        return self._keys[table]

    def stream(self, connection: Any, sql: str, params: Sequence[Any]) -> Iterator[Tuple[Any, ...]]:
        cursor = self.execute(connection, sql, params)
        cursor.arraysize = ROWS_PER_FETCH
        while True:
            rows = cursor.fetchmany()
            if not rows:
                return
            yield from rows

    def stream_text(self, connection: Any, query: Query) -> Iterator[Sequence[Optional[str]]]:
        columns = [self.sql.epoch(name) if name in TIME_COLUMNS else name for name in query.columns]
        selected = ", ".join("CAST(%s AS TEXT)" % column for column in columns)
        return self.stream(connection, query.text(selected), query.params)

    # -- schema ---------------------------------------------------------------------------------

    def relations(self, connection: Any) -> Relations:
        return dict(_relations(connection, "table"), **_relations(connection, "view"))

    def make_schema(self, connection: Any, schema: str) -> None:
        """All in the open transaction, so another process finds all of it or none."""
        for statement in self.schema_statements(connection, schema):
            connection.execute(statement)

    def schema_statements(self, connection: Any, schema: str) -> List[str]:
        return list(_script(schema))
