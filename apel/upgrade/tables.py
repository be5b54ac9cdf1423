"""What a table is and what it should be: compared as the server itself writes them down."""

import re
from functools import partial
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from apel.db.backend import Backend, session
from apel.upgrade.journal import Journal

#: A new table before it takes its place, and the old one after it has lost it.
NEW, OLD = "New_%s", "Old_%s"

LOOKUP_COLUMNS = ["id", "name"]

_CREATE = re.compile(r"CREATE TABLE IF NOT EXISTS `?(\w+)`?")


class Column(NamedTuple):
    """A column: its type in words, whether it may be NULL, its default as text (None: none or NULL)."""

    name: str
    type: str
    null: bool
    default: Optional[str]

    @property
    def is_time(self) -> bool:
        """Whether it holds a date and time."""
        return self.type.startswith(("datetime", "timestamp"))

    @property
    def is_text(self) -> bool:
        """Whether it holds text."""
        return "char" in self.type or "text" in self.type


class Shape(NamedTuple):
    """A table: its definition without its name, for comparing; its columns; its primary key."""

    definition: str
    columns: List[Column]
    key: List[str]

    @property
    def names(self) -> List[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]

    @property
    def is_lookup(self) -> bool:
        """Whether it gives names their ids."""
        return self.names == LOOKUP_COLUMNS

    def column(self, name: str) -> Optional[Column]:
        """A column by its name, in any case of letters, as the server takes it."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)


class Blueprint:
    """The tables of a schema as this server would make them, and the statements that do."""

    def __init__(self, backend: Backend, journal: Journal, schema: str) -> None:
        with session(backend) as connection:
            statements = backend.schema_statements(connection, schema)
        self.creates: Dict[str, str] = {}
        for statement in statements:
            found = _CREATE.match(statement)
            if found:
                self.creates[found.group(1)] = statement
        self.shapes = {name: journal.run(partial(self._shape, name)) for name in self.creates}

    def create(self, table: str, name: str) -> str:
        """The statement that makes `table` under another name."""
        return _CREATE.sub("CREATE TABLE IF NOT EXISTS `%s`" % name, self.creates[table], count=1)

    def _shape(self, table: str, tx: Any) -> Shape:
        name = "Wanted_" + table
        tx.execute("DROP TEMPORARY TABLE IF EXISTS `%s`" % name)
        tx.execute(self.create(table, name).replace("CREATE TABLE", "CREATE TEMPORARY TABLE", 1))
        shape = read_shape(tx, name)
        tx.execute("DROP TEMPORARY TABLE `%s`" % name)
        return shape


def shape_of(journal: Journal, table: str) -> Shape:
    """A table as it is."""
    return journal.run(lambda tx: read_shape(tx, table))


def read_shape(tx: Any, table: str) -> Shape:
    """A table as it is, temporary ones too."""
    columns, key = [], {}
    for row in tx.rows("SHOW COLUMNS FROM `%s`" % table):
        name, kind, null, _, default = row[:5]
        # MariaDB of some ages shows the default with its quotes.
        columns.append(Column(name, kind.lower(), null == "YES", default and default.strip("'")))
    for row in tx.rows("SHOW KEYS FROM `%s` WHERE Key_name = 'PRIMARY'" % table):
        key[int(row[3])] = row[4]
    created = tx.rows("SHOW CREATE TABLE `%s`" % table)[0][1]
    return Shape(_definition(created), columns, [key[place] for place in sorted(key)])


def _definition(created: str) -> str:
    """Without name, counter and partitions: these two are data, in a way."""
    lines = []
    for line in created.split("\n")[1:]:
        lines.append(re.sub(r" AUTO_INCREMENT=\d+", "", line))
        if line.startswith(")"):
            break
    return "\n".join(lines)


def partitions(tx: Any, table: str) -> str:
    """The clause that parts a new table as this one is parted; '' for one that isn't (by ranges)."""
    found: List[Tuple[str, str, str]] = tx.rows(
        "SELECT partition_expression, partition_name, partition_description"
        " FROM information_schema.partitions WHERE table_schema = DATABASE() AND table_name = %s"
        " AND partition_method = 'RANGE' ORDER BY partition_ordinal_position",
        (table,),
    )
    if not found:
        return ""
    parts = ["PARTITION `%s` VALUES LESS THAN %s" % (name, _limit(limit)) for _, name, limit in found]
    return "PARTITION BY RANGE (%s) (%s)" % (found[0][0], ", ".join(parts))


def _limit(text: str) -> str:
    return text if text == "MAXVALUE" else "(%s)" % text
