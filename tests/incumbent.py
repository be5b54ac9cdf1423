"""Databases with the tables of APEL 2.2 to 2.5, filled as its programs would."""

import hashlib
import os
from typing import Any, Callable, Dict, List, Sequence

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "data", "incumbent")
#: What makes a centre of an older version of one of the next; each needs those before it.
OLDER = {
    "2.5.0": [],
    "2.4.1": ["server-to-2.4.1"],
    "2.4.0": ["server-to-2.4.1", "server-to-2.4.0"],
    "2.2.1": ["server-to-2.4.1", "server-to-2.4.0", "server-to-2.2.1"],
}
LAX = "SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION', SESSION time_zone = '+00:00'"


class Incumbent:
    """A database of the old software on a MariaDB of the tests: `database` is its name."""

    def __init__(self, server: Any, schema: str, version: str = "2.5.0", charset: str = "latin1") -> None:
        self.server = server
        self.database = server.new_database("old_" + schema)
        self.do("ALTER DATABASE `%s` CHARACTER SET %s" % (self.database, charset))
        self.load(schema)
        if schema == "server":
            for name in OLDER[version]:
                self.load(name)

    def load(self, name: str) -> None:
        """Run a file of tests/data/incumbent."""
        with open(os.path.join(DATA, name + ".sql"), encoding="utf-8") as stream:
            text = "\n".join(line for line in stream.read().splitlines() if not line.startswith("--"))
        self.do(*[part.strip().rstrip(";") for part in (text + "\n").split(";\n\n") if part.strip()])

    def do(self, *statements: str) -> None:
        """Run statements as an old program would: nothing is strict."""
        connection = self.server.connect(self.database, autocommit=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute(LAX)
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()

    def rows(self, sql: str) -> List[Any]:
        """The rows of a query."""
        return self.server.rows(self.database, sql)

    def insert(self, table: str, rows: Sequence[Dict[str, Any]]) -> None:
        """Store rows, as far as this version's table has the columns."""
        connection = self.server.connect(self.database, autocommit=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute(LAX)
                cursor.execute("SHOW COLUMNS FROM `%s`" % table)
                known = [row[0] for row in cursor.fetchall()]
                for row in rows:
                    names = [name for name in known if name in row]
                    holders = ", ".join(["%s"] * len(names))
                    cursor.execute(
                        "INSERT INTO `%s` (%s) VALUES (%s)" % (table, ", ".join(names), holders),
                        [row[name] for name in names],
                    )
        finally:
            connection.close()

    def names(self, table: str, names: Sequence[str]) -> None:
        """Give names the ids 1, 2, 3, …"""
        self.insert(table, [{"id": number, "name": name} for number, name in enumerate(names, 1)])

    def close(self) -> None:
        """Forget the database."""
        self.server.drop_database(self.database)


def as_it_would_have_been(server: Any, schema: str, db: Any) -> Incumbent:
    """What the old software would hold, had it done the work that a database of ours shows.

    It knows whole files by their MD5, no statuses but 0, 1 and 2, and only one mark of what was sent.
    """
    old = Incumbent(server, schema)
    tables = old.rows(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
    )
    for (table,) in tables:
        columns = [row[0] for row in old.rows("SHOW COLUMNS FROM `%s`" % table)]
        query = "SELECT %s FROM %s" % (", ".join(columns), table)
        found = db.run(lambda tx, query=query: tx.rows(query))
        rows = [dict(zip(columns, row)) for row in found]
        old.insert(table, [row for row in map(_as_it_was(table), rows) if row])
    return old


def _as_it_was(table: str) -> Callable[[Dict[str, Any]], Dict[str, Any]]:
    def change(row: Dict[str, Any]) -> Dict[str, Any]:
        if table == "EventRecords" and row["Status"] > 2:
            row["Status"] = 0
        elif table == "BlahdRecords":
            row["Processed"] = 0
        elif table == "ProcessedFiles":
            with open(row["FileName"], "rb") as stream:
                row["Hash"] = hashlib.md5(stream.read()).hexdigest()
        elif table == "LastUpdated" and row["Type"] != "sent":
            return {}
        return row

    return change
