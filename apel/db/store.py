"""Storing records: all in one transaction, and if the database refuses some, all the others."""

from typing import TYPE_CHECKING, Any, Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from apel.db.errors import RowRefused
from apel.records import Record

if TYPE_CHECKING:
    from apel.db.database import Database, Transaction
    from apel.db.tables import Table

#: A record and the row it makes.
Pair = Tuple[Record, Tuple[Any, ...]]
Also = Callable[["Transaction"], Any]


class Stored(NamedTuple):
    """How many records were stored, and which were not, each with the database's reason.

    A record whose key was there already (conflict 'ignore') counts as stored.
    """

    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody wants here
    rejected: List[Tuple[Record, str]]


def store(
    db: "Database",
    table: "Table",
    records: Sequence[Record],
    conflict: str,
    extra: Optional[Mapping[str, Any]] = None,
    also: Optional[Also] = None,
    first: Optional[Also] = None,
) -> Stored:
    """Store records in one transaction, together with what `also(tx)` does (a read position, say).

    A record that the database refuses is found by halving, and the others are stored. `extra` is what
    the table needs beside the records. `also` is run even if there is nothing to store; `first(tx)` before
    anything is written.
    Raises Transient when the database can't be used: then nothing was stored, and trying later is right.
    """

    def store_all() -> None:
        rows = table.rows(db, records, **(extra or {}))

        def work(tx: "Transaction") -> None:
            if first is not None:
                first(tx)
            table.insert(tx, records, rows, conflict)
            if also is not None:
                also(tx)

        db.run(work)

    try:
        db.on_one_connection(store_all)
        return Stored(len(records), [])
    except RowRefused:
        around = (first, also)
        return db.on_one_connection(
            lambda: _store_good_ones(db, table, list(records), conflict, extra or {}, around)
        )


def _store_good_ones(
    db: "Database",
    table: "Table",
    records: List[Record],
    conflict: str,
    extra: Mapping[str, Any],
    around: Tuple[Optional[Also], Optional[Also]],
) -> Stored:
    unnamed: List[Tuple[Record, str]] = []
    pairs = _pairs(db, table, records, extra, unnamed)

    def work(tx: "Transaction") -> List[Tuple[Record, str]]:
        rejected: List[Tuple[Record, str]] = []
        first, also = around
        if first is not None:
            first(tx)
        _insert_by_halves(tx, table, pairs, conflict, rejected)
        if also is not None:
            also(tx)
        return rejected

    rejected = unnamed + db.run(work)
    return Stored(len(records) - len(rejected), rejected)


def _pairs(
    db: "Database",
    table: "Table",
    records: List[Record],
    extra: Mapping[str, Any],
    rejected: List[Tuple[Record, str]],
) -> List[Pair]:
    """Each record with its row; those whose names the lookup tables refuse go to `rejected`."""
    try:
        return list(zip(records, table.rows(db, records, **extra)))
    except RowRefused as err:
        if len(records) == 1:
            rejected.append((records[0], str(err)))
            return []
    middle = len(records) // 2
    first = _pairs(db, table, records[:middle], extra, rejected)
    return first + _pairs(db, table, records[middle:], extra, rejected)


def _insert_by_halves(
    tx: "Transaction", table: "Table", pairs: List[Pair], conflict: str, rejected: List[Tuple[Record, str]]
) -> None:
    tx.execute("SAVEPOINT halves")
    try:
        table.insert(tx, [record for record, _ in pairs], [row for _, row in pairs], conflict)
        tx.execute("RELEASE SAVEPOINT halves")
        return
    except RowRefused as err:
        # An insert of many rows may be several statements; the first of them have been done.
        tx.execute("ROLLBACK TO SAVEPOINT halves")
        tx.execute("RELEASE SAVEPOINT halves")
        if len(pairs) == 1:
            rejected.append((pairs[0][0], str(err)))
            return
    middle = len(pairs) // 2
    _insert_by_halves(tx, table, pairs[:middle], conflict, rejected)
    _insert_by_halves(tx, table, pairs[middle:], conflict, rejected)
