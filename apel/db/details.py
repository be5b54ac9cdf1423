"""What a record holds any number of, in a table beside its own: benchmarks, accelerators, attributes."""

from typing import TYPE_CHECKING, Any, Dict, FrozenSet, Iterable, Iterator, List, Sequence, Set, Tuple

from apel.columns import column_at, column_of, parts
from apel.db.backend import VALUES_PER_QUERY, VERSION_COLUMNS

if TYPE_CHECKING:
    from apel.db.database import Transaction

#: A record and the row it makes.
Pair = Tuple[Any, Sequence[Any]]
Key = Tuple[Any, ...]

#: Columns whose text is compared without regard to case.
FOLDED = frozenset(["ServiceLevelType", "BenchmarkType"])
#: Tables of records without UpdateTime, which nobody unloads.
UNSTAMPED = frozenset(["EventRecords"])
#: Columns of keys that have another name in the record's own table.
RENAMED = {"StarRecordID": "RecordId"}


class Detail:
    """A table with a row for each tuple in a field of a record, as the record that was stored last has it.

    key: columns that name the record here and (but for RENAMED) in its own table. values: the columns of a
    tuple, the first of which completes the key. within: the columns at the head of the key by which rows are
    found.
    """

    def __init__(
        self, table: str, field: str, key: Sequence[str], values: Sequence[str], within: Sequence[str]
    ) -> None:
        self.name = table
        self.field = field
        self.source = tuple(map(_in_source, key))
        self.key = tuple(key)
        self.values = tuple(values)
        self.within = tuple(within)

    def concerns(
        self, tx: "Transaction", columns: Sequence[str], records: Sequence[Any], rows: Sequence[Any]
    ) -> bool:
        """Whether there are rows of these records, or can be: of most sites there are none at all."""
        if any(column_of(records, self.field)):
            return True
        *heads, _ = self.within
        if not heads:
            return True
        return self._has_any(tx, heads[0], set(column_at(rows, columns.index(heads[0]))))

    def write(
        self,
        tx: "Transaction",
        table: str,
        columns: Sequence[str],
        pairs: Sequence[Pair],
        before: FrozenSet[Key] = frozenset(),
    ) -> None:
        """Make the rows of these records what they hold. table, columns: of the records' own rows.

        Of several records with one key the last counts. What is said of a record is a part of it: where that
        changes, its own row counts as written now, or else the unloader would not know. before: those that
        had a row of their own already (`had_rows`); the others' are new anyhow.
        """
        places = [columns.index(name) for name in self.source]
        keys: Dict[Key, Key] = {}
        wanted: Dict[Key, Dict[Key, Key]] = {}
        for record, row in pairs:
            key = tuple(row[place] for place in places)
            folded = self._folded(key)
            keys[folded] = key
            wanted[folded] = self._by_name((*key, *values) for values in getattr(record, self.field) or ())
        old: Dict[Key, Dict[Key, Key]] = {folded: {} for folded in keys}
        for found in self._old(tx, list(keys.values())):
            old.get(self._folded(found[: len(self.key)]), {}).update(self._by_name([found]))
        changed = [folded for folded in keys if _values(old[folded]) != _values(wanted[folded])]
        for folded in changed:
            for name in old[folded].keys() - wanted[folded].keys():
                self._delete(tx, old[folded][name])
        rows = [row for folded in changed for row in wanted[folded].values()]
        tx.insert(self.name, (*self.key, *self.values), rows, "update")
        if table not in UNSTAMPED:
            touch(tx, table, self.source, [keys[one] for one in changed if old[one] or one in before])

    def had_rows(
        self, tx: "Transaction", table: str, columns: Sequence[str], pairs: Sequence[Pair]
    ) -> FrozenSet[Key]:
        """Which records that hold something have a row of their own, asked before they are written."""
        places = [columns.index(name) for name in self.source]
        keys = [tuple(row[place] for place in places) for record, row in pairs if getattr(record, self.field)]
        if table in UNSTAMPED or not keys:
            return frozenset()
        return frozenset(map(self._folded, self.known(tx, table, keys)))

    def _by_name(self, rows: Iterable[Key]) -> Dict[Key, Key]:
        """Rows by their whole key; of several with one key the last."""
        return {self._folded(row[: len(self.key) + 1]): row for row in rows}

    def _folded(self, key: Key) -> Key:
        names = (*self.key, self.values[0])
        return tuple(value.lower() if name in FOLDED else value for name, value in zip(names, key))

    def _old(self, tx: "Transaction", keys: Sequence[Key]) -> Iterator[Key]:
        """The rows of these records, and of some others."""
        heads = self.within[:-1]
        groups = {
            head: found
            for head, found in self._grouped(keys).items()
            if not heads or self._has_any(tx, heads[0], head[:1])
        }
        yield from self._select(tx, self.name, (*self.key, *self.values), groups)

    def known(self, tx: "Transaction", table: str, keys: Sequence[Key]) -> Iterator[Key]:
        """Which of these keys the records' own table has, and some others."""
        for row in self._select(tx, table, self.source, self._grouped(keys)):
            yield tuple(row)

    def _select(
        self, tx: "Transaction", table: str, columns: Sequence[str], groups: Dict[Key, Set[Any]]
    ) -> Iterator[Key]:
        *heads, last = self.within if table == self.name else map(_in_source, self.within)
        selected = ", ".join(columns)
        for head, found in groups.items():
            where = " AND ".join([*("%s = %%s" % name for name in heads), "%s IN" % last])
            query = "SELECT %s FROM %s WHERE %s" % (selected, table, where)
            yield from tx.rows_among(query, sorted(found), head)

    def _grouped(self, keys: Sequence[Key]) -> Dict[Key, Set[Any]]:
        places = [self.key.index(name) for name in self.within]
        groups: Dict[Key, Set[Any]] = {}
        for key in keys:
            *head, last = (key[place] for place in places)
            groups.setdefault(tuple(head), set()).add(last)
        return groups

    def _has_any(self, tx: "Transaction", column: str, values: Iterable[Any]) -> bool:
        """Most sites never send more than one benchmark: then nothing need be looked for."""
        query = "SELECT 1 FROM %s WHERE %s IN (%%s) LIMIT 1" % (self.name, column)
        return any(
            tx.value(query % ", ".join(["%s"] * len(some)), some) is not None
            for some in parts(sorted(values), VALUES_PER_QUERY)
        )

    def _delete(self, tx: "Transaction", row: Key) -> None:
        names = (*self.key, self.values[0])
        conditions = " AND ".join("%s = %%s" % name for name in names)
        tx.execute("DELETE FROM %s WHERE %s" % (self.name, conditions), row[: len(names)])


def touch(tx: "Transaction", table: str, columns: Sequence[str], keys: Sequence[Key]) -> None:
    """Let the rows with these keys count as written now. columns: those of the keys."""
    one = "(%s)" % " AND ".join("%s = %%s" % name for name in columns)
    for some in parts(keys, VALUES_PER_QUERY // len(columns)):
        any_of = " OR ".join([one] * len(some))
        update = "UPDATE %s SET UpdateTime = CURRENT_TIMESTAMP WHERE %s" % (table, any_of)
        tx.execute(update, [value for key in some for value in key])


def _in_source(name: str) -> str:
    return RENAMED.get(name, name)


def _values(rows: Dict[Key, Key]) -> Dict[Key, Key]:
    """What the rows of a record say beside their keys."""
    return {name: row[len(name) :] for name, row in rows.items()}


def newest(tx: "Transaction", table: str, columns: Sequence[str], pairs: Sequence[Pair]) -> List[Pair]:
    """The records whose rows have just been stored, without those that a newer row kept out.

    Of a table in VERSION_COLUMNS, with its key in the first column.
    """
    key, version = columns[0], VERSION_COLUMNS[table]
    place = columns.index(version)
    query = "SELECT %s, %s FROM %s WHERE %s IN" % (key, version, table, key)
    stored: Dict[Any, Any] = dict(tx.rows_among(query, sorted({row[0] for _, row in pairs})))
    return [(record, row) for record, row in pairs if stored.get(row[0]) == row[place]]


def unknown(
    tx: "Transaction", table: str, columns: Sequence[str], details: Sequence[Detail], pairs: Sequence[Pair]
) -> List[Pair]:
    """The records with details that have no row yet; of several with one key the first, as is stored then."""
    fields = [detail.field for detail in details]
    holding = [pair for pair in pairs if any(getattr(pair[0], field) for field in fields)]
    if not holding:
        return []
    places = [columns.index(name) for name in details[0].source]
    first: Dict[Key, Pair] = {}
    for pair in holding:
        first.setdefault(tuple(pair[1][place] for place in places), pair)
    for known in details[0].known(tx, table, list(first)):
        first.pop(known, None)
    return list(first.values())
