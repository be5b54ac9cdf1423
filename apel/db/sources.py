"""Where the values of a table's columns come from: each source makes a column of some records."""

from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Mapping, Optional, Sequence

from apel.columns import are_all_equal, columns_of, each_once
from apel.db.lookups import NONE
from apel.identity import NO_TOKEN, token_of
from apel.records import Record
from apel.times import month_of, utc_text

if TYPE_CHECKING:
    from apel.db.database import Database

#: Benchmarks are kept to three decimals (DECIMAL(10,3)), by SQLite too.
LEVEL_DECIMALS = 3


class Batch:
    """Some records of one class, by field; `extra` holds what comes beside them."""

    def __init__(
        self, db: "Database", names: Sequence[str], records: Sequence[Record], extra: Mapping[str, Any]
    ):
        self.db = db
        self.size = len(records)
        self.records = records
        self.extra = extra
        columns = columns_of(records, 0, len(records))
        self._fields: Dict[str, Sequence[Any]] = dict(zip(names, columns))

    def field(self, name: str) -> Sequence[Any]:
        """The values of one field."""
        return self._fields[name]


#: Makes the values of one column.
Source = Callable[[Batch], Iterable[Any]]


def as_is(field: str, absent: Any = None) -> Source:
    """The value itself, or `absent` for None."""

    def values(batch: Batch) -> Sequence[Any]:
        column = batch.field(field)
        if absent is None or None not in column:
            return column
        return [absent if value is None else value for value in column]

    return values


def name(field: str) -> Source:
    """Text kept in the table itself; absence is the word None, as in the incumbent's databases."""
    return as_is(field, NONE)


def id_of(field: str, table: str) -> Source:
    """The id of a name."""

    return lambda batch: _ids(batch, batch.field(field), table)


def _ids(batch: Batch, column: Sequence[Any], table: str) -> Iterable[int]:
    if are_all_equal(column):
        return [batch.db.ids(table, column[:1])[column[0]]] * batch.size
    return map(batch.db.ids(table, column).__getitem__, column)


def id_of_extra(key: str, table: str) -> Source:
    """The id of a name that comes beside the records: one for all of them, or one for each."""

    def values(batch: Batch) -> Iterable[int]:
        given = batch.extra[key]
        return _ids(batch, [given] * batch.size if isinstance(given, str) else given, table)

    return values


def id_if_known(field: str, table: str) -> Source:
    """The id of a name, or NULL for none."""

    def values(batch: Batch) -> Iterable[Optional[int]]:
        column = batch.field(field)
        ids = batch.db.ids(table, {text for text in column if text is not None})
        return map(ids.get, column)

    return values


def time(field: str) -> Source:
    """A time, as text in UTC."""

    def values(batch: Batch) -> Iterable[Optional[str]]:
        return [None if epoch is None else utc_text(epoch) for epoch in batch.field(field)]

    return values


def year(field: str) -> Source:
    """The year of a time."""
    return lambda batch: [month_of(epoch)[0] for epoch in batch.field(field)]


def month(field: str) -> Source:
    """The month of a time, 1 to 12."""
    return lambda batch: [month_of(epoch)[1] for epoch in batch.field(field)]


def level(field: str) -> Source:
    """A benchmark, to as many decimals as are kept."""
    return lambda batch: each_once(_rounded, batch.field(field))


def _rounded(value: Optional[float]) -> Optional[float]:
    return None if value is None else round(value, LEVEL_DECIMALS)


def token(field: str, place: int) -> Source:
    """The issuer (place 0) or the subject (1) of the token that a user's name is of, or NULL."""

    def values(batch: Batch) -> Iterable[Optional[str]]:
        column = batch.field(field)
        users = set(column)
        if set(map(token_of, users)) <= {NO_TOKEN}:
            return [None] * batch.size
        return map({user: token_of(user)[place] for user in users}.__getitem__, column)

    return values


#: Columns that many tables have: whose something is.
USER = ("GlobalUserNameID", id_of("GlobalUserName", "DNs"))
VO = (
    ("VOID", id_of("VO", "VOs")),
    ("VOGroupID", id_of("VOGroup", "VOGroups")),
    ("VORoleID", id_of("VORole", "VORoles")),
)
