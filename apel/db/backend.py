"""What a database dialect has to give, and no more: connecting, translating errors, its own SQL."""

import abc
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Type

from apelcommon.errors import ServiceError

Row = Sequence[Any]

#: How many values one query asks for: few enough for the parameters of any SQLite.
VALUES_PER_QUERY = 500

#: What tx.insert does with a row whose key is there already.
CONFLICTS = ("error", "ignore", "update")

#: Columns that hold a UTC time; Backend.stream_text gives them as epoch seconds.
TIME_COLUMNS = frozenset(
    [
        "UpdateTime",
        "StartTime",
        "EndTime",
        "StopTime",
        "EarliestEndTime",
        "LatestEndTime",
        "TimeStamp",
        "ValidFrom",
        "ValidUntil",
        "RecordCreateTime",
        "CreateTime",
        "MeasurementTime",
        "EarliestStartTime",
        "LatestStartTime",
        "EarliestMeasurementTime",
        "LatestMeasurementTime",
    ]
)

#: Tables in which a row is only written over by one that is as new or newer, by this column of both.
VERSION_COLUMNS = {"CloudRecords": "RecordCreateTime", "StarRecords": "CreateTime"}


class Query(NamedTuple):
    """SELECT columns FROM source WHERE where ORDER BY order; `params` fill the placeholders of `where`."""

    source: str
    columns: Sequence[str]
    where: str = ""
    params: Sequence[Any] = ()
    order: str = ""

    def text(self, selected: str) -> str:
        """The statement, selecting `selected`."""
        parts = ["SELECT %s FROM %s" % (selected, self.source)]
        if self.where:
            parts.append("WHERE " + self.where)
        if self.order:
            parts.append("ORDER BY " + self.order)
        return " ".join(parts)


class Expressions(abc.ABC):
    """SQL text that differs between dialects. Placeholders are %s in all of them, `%%` is a per cent sign."""

    @abc.abstractmethod
    def epoch(self, column: str) -> str:
        """Epoch seconds of a UTC time."""

    @abc.abstractmethod
    def exact_text(self, column: str) -> str:
        """A number as text that reads as the same number; '' for NULL."""

    @abc.abstractmethod
    def concatenated(self, parts: Sequence[str], separator: str) -> str:
        """Texts of a row as one."""

    @abc.abstractmethod
    def joined(self, text: str, separator: str) -> str:
        """An aggregate: the texts of all rows as one, without those that are NULL; NULL if all are."""

    @abc.abstractmethod
    def on_conflict(self, columns: Sequence[str], key: Sequence[str], table: str) -> str:
        """The end of an INSERT that writes `columns` over a row with the same key.

        UpdateTime moves when a value really changes. A row of a table in VERSION_COLUMNS that is newer stays.
        """

    @abc.abstractmethod
    def shared_lock(self) -> str:
        """The end of a SELECT that keeps its rows from being locked by others until the transaction ends."""

    @abc.abstractmethod
    def upsert_select(self, table: str, columns: Sequence[str], key: Sequence[str], select: str) -> str:
        """INSERT the rows of `select` into `table`, over rows with the same `key`."""

    @abc.abstractmethod
    def update_from(self, table: str, source: str, key: Sequence[str], columns: Sequence[str]) -> str:
        """Set `columns` of `table` as in the row of `source` with the same `key`."""


class Backend(abc.ABC):
    """One dialect. A connection is the driver's own; only the backend looks into it.

    `errors` are the driver's exceptions, which `translate` turns into ours. `makes_itself`: the schema is
    made at the first connection; or else by `apeldb init`.
    """

    name: str
    sql: Expressions
    errors: Tuple[Type[BaseException], ...]
    makes_itself = False
    #: How many statements have been answered: what a transaction that comes on can be told by.
    answers = 0

    @abc.abstractmethod
    def connect(self, stream: bool = False) -> Any:
        """A new connection with no transaction open. `stream`: for reading much, in one snapshot."""

    @abc.abstractmethod
    def translate(self, err: BaseException) -> ServiceError:
        """Our error for the driver's: one of apel.db.errors, or Permanent for a bad statement."""

    @abc.abstractmethod
    def __str__(self) -> str:
        """What an operator calls the database."""

    def claim(self, connection: Any, name: str) -> Optional[str]:
        """Claim a name among all who use this server, until the connection ends; who has it already, or None.

        For programs on several hosts; those on one have lock files. A back end without servers needs none.
        """
        return None

    @abc.abstractmethod
    def cut(self, connection: Any) -> None:
        """Have whatever waits for an answer on this connection fail at once, from within a signal handler."""

    def exists(self) -> bool:
        """Whether there is something to connect to, as far as that can be seen without connecting."""
        return True

    @property
    def unseen_seconds(self) -> int:
        """How long a row may stay unseen after its UpdateTime, where a row lock does not keep writers out."""
        return 0

    def lost(self) -> None:  # noqa: B027 - nothing to do where there is one server
        """A connection was lost: another server may do better."""

    @abc.abstractmethod
    def begin(self, connection: Any) -> None:
        """Start a transaction that may write."""

    def commit(self, connection: Any) -> None:
        """End the transaction; what it did is durable."""
        connection.commit()

    def rollback(self, connection: Any) -> None:
        """End the transaction; nothing of it remains."""
        connection.rollback()

    @abc.abstractmethod
    def execute(self, connection: Any, sql: str, params: Sequence[Any]) -> Any:
        """Run a statement; its cursor (fetchall, fetchone, rowcount). Values are str, int, float or None."""

    @abc.abstractmethod
    def insert(
        self, connection: Any, table: str, columns: Sequence[str], rows: Sequence[Row], conflict: str
    ) -> int:
        """Insert rows by statements of many rows each; how many rows were inserted or changed."""

    @abc.abstractmethod
    def stream(self, connection: Any, sql: str, params: Sequence[Any]) -> Iterator[Tuple[Any, ...]]:
        """The rows of a query as they arrive, in one snapshot of the database."""

    @abc.abstractmethod
    def stream_text(self, connection: Any, query: Query) -> Iterator[Sequence[Optional[str]]]:
        """The rows of a query as text, TIME_COLUMNS as epoch seconds: the fastest way to read many."""

    @abc.abstractmethod
    def relations(self, connection: Any) -> Dict[str, List[str]]:
        """All tables and views here, each with the names of its columns in order."""

    @abc.abstractmethod
    def make_schema(self, connection: Any, schema: str) -> None:
        """Load schemas/<dialect>/<schema>.sql, as far as it isn't there."""

    @abc.abstractmethod
    def schema_statements(self, connection: Any, schema: str) -> List[str]:
        """The statements of schemas/<dialect>/<schema>.sql as this server takes them; all may be repeated."""


@contextmanager
def session(backend: Backend) -> Iterator[Any]:
    """A connection, closed in the end; the driver's errors become ours."""
    connection = backend.connect()
    try:
        yield connection
    except backend.errors as err:
        raise backend.translate(err) from err
    finally:
        connection.close()


def statements(script: str) -> Iterator[str]:
    """The statements of a schema file, without its comments."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    for statement in "\n".join(lines).split(";\n"):
        text = statement.strip().rstrip(";")
        if text:
            yield text
