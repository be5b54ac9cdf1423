"""Fills new tables from old ones in chunks, each in one transaction with its place in the journal."""

from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

from apel.upgrade.columns import Mapping, mapping, on_duplicate
from apel.upgrade.journal import IDS_TABLE, Journal, begin_step, locked_detail, note
from apel.upgrade.tables import NEW, Shape

CHUNK = 5000


class Bounds(NamedTuple):
    """A condition on a key, and the values of its placeholders."""

    condition: str
    values: List[Any]


def after(key: Sequence[str], place: Sequence[Any]) -> Bounds:
    """Rows whose key comes after `place`, so written that the server walks along the key."""
    return _beyond(key, place, ">")


def _beyond(key: Sequence[str], place: Sequence[Any], sign: str) -> Bounds:
    parts: List[str] = []
    values: List[Any] = []
    for length in range(1, len(key) + 1):
        equal = ["o.`%s` = %%s" % name for name in key[: length - 1]]
        parts.append("(%s)" % " AND ".join([*equal, "o.`%s` %s %%s" % (key[length - 1], sign)]))
        values += place[:length]
    return Bounds("(%s)" % " OR ".join(parts), values)


def up_to(key: Sequence[str], place: Sequence[Any]) -> Bounds:
    """Rows whose key comes before `place`, or is it."""
    before = _beyond(key, place, "<")
    same = " AND ".join("o.`%s` = %%s" % name for name in key)
    return Bounds("(%s OR (%s))" % (before.condition, same), [*before.values, *place])


class Chunk(NamedTuple):
    """Some rows of a table `o` that follow each other: a condition for them, and the key of the last."""

    where: str
    values: List[Any]
    last: List[Any]


def next_chunk(
    tx: Any, table: str, shape: Shape, place: Optional[Sequence[Any]], size: int
) -> Optional[Chunk]:
    """At most `size` rows whose keys come after `place` (None: the first ones); None if there are none."""
    conditions, values = ["1"], []
    if place is not None:
        beyond = after(shape.key, place)
        conditions, values = [beyond.condition], list(beyond.values)
    query = "SELECT %s FROM `%s` o WHERE %s ORDER BY %s LIMIT %d" % (
        ", ".join(_as_value("o.`%s`" % name, shape, name) for name in shape.key),
        table,
        conditions[0],
        ", ".join("o.`%s`" % name for name in shape.key),
        size,
    )
    found = tx.rows(query, values)
    if not found:
        return None
    last = list(found[-1])
    end = up_to(shape.key, last)
    return Chunk(" AND ".join([*conditions, end.condition]), [*values, *end.values], last)


class TableCopy:
    """One table on its way into its new form."""

    def __init__(
        self, journal: Journal, table: str, old: Shape, new: Shape, merged: Sequence[str], chunk: int = 0
    ) -> None:
        self.journal = journal
        self.table = table
        self.step = copy_step(table)
        self.key = old.key
        self.old = old
        self.chunk = chunk or CHUNK
        self.target = NEW % table
        self._insert = _insert(table, self.target, mapping(table, old, new, merged))
        self._tail = on_duplicate(table, self.target, mapping(table, old, new, merged).columns)

    def run(self, advance: Callable[[int], None]) -> int:
        """Copy what has not been copied; how many old rows have been read in all."""
        # A row that isn't there can't be locked.
        self.journal.run(lambda tx: begin_step(tx, self.step))
        while True:
            rows = self.journal.run(self._copy_chunk)
            if not rows:
                return int(self.journal.detail(self.step)["rows"])
            advance(rows)

    def _copy_chunk(self, tx: Any) -> int:
        state = locked_detail(tx, self.step) or {"after": None, "rows": 0}
        chunk = next_chunk(tx, self.table, self.old, state["after"], self.chunk)
        if chunk is None:
            note(tx, self.step, state)
            return 0
        where, values, last = chunk
        rows = int(tx.value("SELECT COUNT(*) FROM `%s` o WHERE %s" % (self.table, where), values))
        order = ", ".join("o.`%s`" % name for name in self.key)
        tx.execute("%s WHERE %s ORDER BY %s %s" % (self._insert, where, order, self._tail), values)
        note(tx, self.step, {"after": last, "rows": state["rows"] + rows}, done=False)
        return rows


def _as_value(expression: str, shape: Shape, name: str) -> str:
    """Decimals as text, so that they come back to the server as they are."""
    column = shape.column(name)
    if column is not None and column.type.startswith("decimal"):
        return "CAST(%s AS CHAR)" % expression
    return expression


def copy_step(table: str) -> str:
    """The name of the step in the journal."""
    return "copy:" + table


def _insert(table: str, target: str, columns: Mapping) -> str:
    return "INSERT INTO `%s` (%s) SELECT %s FROM `%s` o %s" % (
        target,
        ", ".join("`%s`" % name for name in columns.columns),
        ", ".join(columns.expressions),
        table,
        " ".join(columns.joins),
    )


def fill_lookup(tx: Any, table: str) -> Tuple[int, int]:
    """Each name once, with the smallest of its ids, into the new table; old rows, and those that went.

    Names are the same when they are so byte by byte. No name (storage databases have that) is None.
    """
    target = NEW % table
    tx.execute("DELETE FROM `%s`" % target)
    tx.execute("DELETE FROM %s WHERE LookupTable = %%s" % IDS_TABLE, (table,))
    name = "CONVERT(COALESCE(o.name, 'None') USING utf8mb4)"
    # The least first, then its conversion: MySQL 9 converts twice what it converts before.
    tx.execute(
        "INSERT INTO `{0}` (id, name)"
        " SELECT MIN(o.id), CONVERT(MIN(COALESCE(o.name, 'None')) USING utf8mb4) FROM `{2}` o"
        " GROUP BY CAST({1} AS BINARY)".format(target, name, table)
    )
    collation = tx.value(
        "SELECT collation_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = %s AND column_name = 'name'",
        (target,),
    )
    tx.execute(
        "INSERT INTO {ids} SELECT '{table}', o.id, n.id FROM `{table}` o"
        " JOIN `{target}` n ON n.name = {name} COLLATE {collation} WHERE n.id <> o.id".format(
            ids=IDS_TABLE, table=table, target=target, name=name, collation=collation
        )
    )
    rows = int(tx.value("SELECT COUNT(*) FROM `%s`" % table))
    merged = int(tx.value("SELECT COUNT(*) FROM %s WHERE LookupTable = %%s" % IDS_TABLE, (table,)))
    return rows, merged
