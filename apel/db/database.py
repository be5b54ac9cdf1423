"""A database as the rest of the suite sees it: repeated transactions, bulk writes, lookup ids, streams."""

import logging
import time
from contextlib import contextmanager
from functools import partial
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Set,
    Tuple,
    TypeVar,
)

from apel.columns import ByColumn, parts
from apel.db.backend import CONFLICTS, VALUES_PER_QUERY, Backend, Expressions, Query, Row
from apel.db.errors import Conflict, Lost, NewConnection, Unusable
from apel.db.lookups import Lookups
from apelcommon.backoff import Backoff
from apelcommon.daemon import asked_to_end, cut_short, notify, pause
from apelcommon.errors import ServiceError

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT_SECONDS = 0.05
MOST_WAIT_SECONDS = 4.0
TRIES = 10
#: Where a lock does not keep other nodes out, watermarks rely on transactions being shorter (unseen_seconds).
LONGEST_SECONDS = 600.0
TOO_LONG = "a transaction took more than %d seconds, so long that an unload might miss its rows"

AT_WORK = (
    "%s is already running on another host, with the same database (%s: %s); this run ends now and has"
    " changed nothing. Run it on one host only. If that host is gone, KILL its connection on the database"
    " server."
)


class Transaction:
    """What a unit of work may do. All of it is committed, or none.

    Each statement sees what was committed before it began (READ COMMITTED); SQLite's see one state. Values
    come as str, int, float or None; times as 'YYYY-MM-DD hh:mm:ss', UTC, which is also how they are given.
    An UPDATE of your own must set UpdateTime = CURRENT_TIMESTAMP; `insert` and `upsert_select` do so.
    """

    def __init__(self, backend: Backend, connection: Any) -> None:
        self._backend = backend
        self._connection = connection
        #: Whether anything was done but reading.
        self.wrote = False

    @property
    def sql(self) -> Expressions:
        """SQL text that differs between dialects."""
        return self._backend.sql

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._backend.errors as err:
            raise self._backend.translate(err) from err

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run a statement with bound parameters (%s); how many rows it touched.

        An UPDATE to equal values touches a row of SQLite's, but none of MySQL's.
        """
        self.wrote = True
        with self._translated():
            cursor = self._backend.execute(self._connection, sql, params)
            return int(cursor.rowcount)

    def rows(self, sql: str, params: Sequence[Any] = ()) -> List[Tuple[Any, ...]]:
        """All rows of a query."""
        with self._translated():
            return list(self._backend.execute(self._connection, sql, params).fetchall())

    def rows_among(
        self, sql: str, values: Sequence[Any], params: Sequence[Any] = ()
    ) -> Iterator[Tuple[Any, ...]]:
        """The rows of a query that ends in `column IN`, for any number of values. params: what is before."""
        for some in parts(values, VALUES_PER_QUERY):
            holders = ", ".join(["%s"] * len(some))
            yield from self.rows("%s (%s)" % (sql, holders), [*params, *some])

    def row(self, sql: str, params: Sequence[Any] = ()) -> Optional[Tuple[Any, ...]]:
        """The first row of a query, or None."""
        found = self.rows(sql, params)
        return found[0] if found else None

    def value(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """The first value of the first row, or None."""
        found = self.row(sql, params)
        return found[0] if found else None

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Row], conflict: str = "error") -> int:
        """Insert many rows by few statements.

        conflict: what becomes of a row whose key is there already: 'error' raises RowRefused; 'ignore' keeps
        the old row; 'update' writes over it, and moves its UpdateTime if that changes anything.
        Returns how many rows are new for 'ignore', else how many were given. RowRefused does not say which
        row it was.
        """
        if conflict not in CONFLICTS:
            raise ValueError("conflict is %r, but must be one of %s" % (conflict, ", ".join(CONFLICTS)))
        given = rows if isinstance(rows, (list, ByColumn)) else list(rows)
        if not given:
            return 0
        self.wrote = True
        with self._translated():
            return self._backend.insert(self._connection, table, columns, given, conflict)


class Database:
    """One database, and a connection to it that is made when first used. Not for several threads at once."""

    def __init__(self, backend: Backend, schema: str, prepare: Callable[[Backend, Any, str], None]) -> None:
        self.backend = backend
        self.schema = schema
        self.first_wait = FIRST_WAIT_SECONDS
        #: How long a transaction that writes may take on a cluster; None: as long as it likes.
        self.longest_seconds: Optional[float] = LONGEST_SECONDS
        self._prepare = prepare
        self._prepared = False
        self._connection: Any = None
        self._working = False
        #: Whether ids are in use that hold for this connection only (see on_one_connection).
        self._pinned = False
        self._lookups = Lookups(self)
        self._schemas: Set[str] = set()

    @property
    def sql(self) -> Expressions:
        """SQL text that differs between dialects."""
        return self.backend.sql

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next use makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _close(connection, self.backend)

    # -- transactions ---------------------------------------------------------------------------

    def run(self, work: Callable[[Transaction], T], tries: int = TRIES) -> T:
        """`work(tx)` in one transaction, committed; its result.

        On trouble that passes (Conflict, Lost) the whole of `work` is run again, after a growing wait, at
        most `tries` times in all. When the connection breaks during the commit, nobody knows whether it was
        done, so it is done again: `work` must be such that doing it twice is doing it once (natural keys and
        upserts), and must change nothing but the database.
        Raises Transient when it is out of tries; Unusable, RowRefused and other Permanents at once.
        """
        if self._working:
            raise RuntimeError("a transaction inside a transaction: use the tx at hand")
        backoff = Backoff(self.first_wait, MOST_WAIT_SECONDS)
        for left in range(tries - 1, -1, -1):
            try:
                return self._once(work)
            except (Conflict, Lost) as err:
                if isinstance(err, Lost):
                    self._give_up_server()
                if not left or asked_to_end():
                    raise
                wait = backoff.next()
                log.info("Trying again in %.1f s: %s", wait, err)
                notify("WATCHDOG=1")
                pause(wait)
        raise AssertionError("tries must be 1 or more")

    def _once(self, work: Callable[[Transaction], T]) -> T:
        connection = self._connected()
        self._working = True
        try:
            with cut_short(self._cutter(connection)):
                return self._transaction(work, connection)
        except Exception:
            self._undo()
            raise
        except BaseException:
            # Interrupted, perhaps in the middle of an answer, of which the next user would read the rest.
            self.close()
            raise
        finally:
            self._working = False

    def _cutter(self, connection: Any) -> Callable[[], None]:
        """Cuts a transaction in which nothing was answered since it began, or was last asked; not others."""
        seen = [self.backend.answers]

        def cut() -> None:
            before, seen[0] = seen[0], self.backend.answers
            if before == seen[0]:
                self.backend.cut(connection)

        return cut

    def _transaction(self, work: Callable[[Transaction], T], connection: Any) -> T:
        self._call(self.backend.begin, connection)
        began = time.monotonic()
        transaction = Transaction(self.backend, connection)
        result = work(transaction)
        took = time.monotonic() - began
        longest = self.longest_seconds
        if longest is not None and transaction.wrote and self.backend.unseen_seconds and took > longest:
            raise Conflict(TOO_LONG % longest)
        self._call(self.backend.commit, connection)
        return result

    def _undo(self) -> None:
        """Roll back; a connection that can't even do that is given up."""
        try:
            self._call(self.backend.rollback, self._connection)
        except ServiceError as err:
            log.debug("No rollback: %s", err)
            self.close()

    def _give_up_server(self) -> None:
        # The connection may still be good, and only the server be read-only or outside its cluster.
        self.close()
        self.backend.lost()

    def on_one_connection(self, work: Callable[[], T]) -> T:
        """`work()`, which looks ids up and uses them in transactions that follow; its result.

        Ids hold for one connection only: behind the next one may be a database that was restored, or that
        lost its last seconds when all its nodes died, and names have other ids in it. So when the connection
        is lost, `work` is begun anew. It must be such that doing it twice is doing it once. May be nested.
        Raises what `work` raises; Lost if connections don't last long enough.
        """
        if self._pinned:
            return work()
        for _ in range(TRIES):
            if self._connection is None:
                self.run(lambda tx: None)
            self._pinned = True
            try:
                return work()
            except NewConnection:
                log.info("Names are looked up again on a new connection")
            finally:
                self._pinned = False
        raise Lost("%s: no connection lasts for a piece of work" % self.backend)

    def _connected(self) -> Any:
        if self._connection is None:
            if self._pinned:
                raise NewConnection
            self._connection = self._connect()
            self._lookups.forget()
        return self._connection

    def _connect(self, stream: bool = False) -> Any:
        with cut_short(self._cut_connecting):
            connection = self.backend.connect(stream)
        if not self._prepared:
            try:
                self._call(self._prepare, self.backend, connection, self.schema)
            except ServiceError:
                _close(connection, self.backend)
                raise
            self._prepared = True
        return connection

    def _cut_connecting(self) -> None:
        raise Lost("%s does not answer, and this program was asked to end." % self.backend)

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except self.backend.errors as err:
            raise self.backend.translate(err) from err

    def has(self, schema: str) -> bool:
        """Whether a schema is in this database; those of the centre may be together in one."""
        if schema not in self._schemas:
            query = "SELECT DISTINCT SchemaName FROM SchemaVersion"
            self._schemas = {name for (name,) in self.run(lambda tx: tx.rows(query))}
        return schema in self._schemas

    @contextmanager
    def alone(self, program: str) -> Iterator[None]:
        """Keep others from running the same program on this database, from whatever host, until the end.

        It holds for as long as a connection of its own does, so a program that dies leaves nothing behind.
        Raises ServiceError, saying who is at work, Transient.
        """
        self.run(lambda tx: None)
        connection = self._connect()
        try:
            holder = self._claim(connection, program)
            if holder is not None:
                raise ServiceError(AT_WORK % (program, self.backend, holder))
            yield
        finally:
            _close(connection, self.backend)

    def _claim(self, connection: Any, program: str) -> Optional[str]:
        try:
            found: Optional[str] = self._call(self.backend.claim, connection, program)
            return found
        except Unusable as err:
            # Some clusters forbid locks that aren't of rows.
            log.info("Whether %s runs on another host can't be told: %s", program, err)
            return None

    # -- lookup ids -----------------------------------------------------------------------------

    def ids(self, table: str, names: Iterable[Optional[str]]) -> Dict[Optional[str], int]:
        """The ids of names in a lookup table, made where they are missing; None is the name 'None'.

        Names are made in a transaction of their own, before yours: two writers that meet a new name at once
        get the same id, and neither waits for the other's long transaction. So don't call it inside one, but
        both within one `on_one_connection`.
        Raises RowRefused for a name that is too long, Transient.
        """
        return self._lookups.ids(table, names)

    # -- streams --------------------------------------------------------------------------------

    def stream(self, sql: str, params: Sequence[Any] = ()) -> Iterator[Tuple[Any, ...]]:
        """The rows of a query one by one, in flat memory, as of one moment, on a connection of its own."""
        return self._streamed(lambda connection: self.backend.stream(connection, sql, params))

    def stream_text(
        self,
        source: str,
        columns: Sequence[str],
        where: str = "",
        params: Sequence[Any] = (),
        order: str = "",
    ) -> Iterator[Sequence[Optional[str]]]:
        """As `stream`, every value as text or None, times as epoch seconds: several times as fast.

        source is a table or view, `where` and `order` SQL without the keywords.
        """
        query = Query(source, columns, where, params, order)
        return self._streamed(lambda connection: self.backend.stream_text(connection, query))

    def _streamed(self, start: Callable[[Any], Iterator[Any]]) -> Iterator[Any]:
        connection = self._connect(stream=True)
        rows = None
        try:
            with cut_short(partial(self.backend.cut, connection)):
                rows = start(connection)
                yield from rows
        except self.backend.errors as err:
            error = self.backend.translate(err)
            if isinstance(error, Lost):
                self.backend.lost()
            raise error from err
        finally:
            _close(connection, self.backend)


def _close(connection: Any, backend: Backend) -> None:
    try:
        connection.close()
    except backend.errors as err:
        log.debug("Closing a connection: %s", err)
