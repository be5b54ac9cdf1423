"""Writes records of a database into the spool as messages, and remembers what it sent when all is safe.

How `latest` misses nothing (C6). A row carries the second in which it was written, UpdateTime, by the
database's clock, but others see it only when its writer commits, perhaps seconds later. A watermark taken
from any clock alone would therefore pass over rows that commit after the unload with an earlier stamp.

So writers and unloader meet at one row of LastUpdated (Type 'writers'). A writer of what is unloaded locks
it, before its first stamp is made, until it commits; at the centre, where there are many, with a lock that
they share. The unloader locks it for the moment in which it reads
the clock and opens its snapshot. Hence every writer has either committed before the
snapshot, which shows its rows, or stamps its rows later than the clock that was read, W. The next run
takes what has UpdateTime >= W: all that this one could not see.

Rows stamped in the very second W that the snapshot already shows would be sent twice. That harms nobody
(the centre replaces), but a run right after a join would repeat all of it; so the unloader first waits,
holding nothing, until that second is over. If writers are so busy that there always are such rows, it
goes on all the same. SQLite has one writer at a time, so there the transaction itself is that lock.

On a Galera cluster no lock reaches the other nodes, and each stamps rows by its own clock. There W is taken
some time earlier (Backend.unseen_seconds), so the rows of that time are sent once more: harmless, as above.

A clock that is set back would have rows written with stamps before W once more, and an unload that comes when
it has passed W again would never look at them. So each writer moves marks that lie in its future back to now;
and an unload during which that happened leaves the mark where it was.

W becomes the watermark (Type 'sent') only after the last message is safe in the spool. An unload that
fails before has marked nothing as sent (C10): the next one sends all of it again.
"""

import functools
import itertools
import logging
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type

from apel import times
from apel.db import Database
from apel.db.backend import Expressions
from apel.errors import RecordError
from apel.messages import encode
from apel.messages.json_formats import JSON_FORMATS
from apel.messages.json_formats import MOST_RECORDS as MOST_RECORDS_IN_JSON
from apel.own_clock import checked_time
from apel.records import Record
from apel.views import SITE_VIEWS, Condition, Selection, View, is_added_up, query, since_last_month
from apelcommon.errors import ConfigError
from apelcommon.progress import Progress

log = logging.getLogger(__name__)

SENT_ACCELERATORS = "sent accelerators"
SENT, SENT_SUMS, WRITERS = "sent", "sent summaries", "writers"
#: All receivers, each with its watermark.
SENT_TO = "SELECT Type, CAST(UpdateTime AS CHAR) FROM LastUpdated WHERE Type LIKE 'sent%%' ORDER BY Type"
FEWEST_RECORDS, MOST_RECORDS, USUAL_RECORDS = 1, 5000, 1000
WAITS_FOR_A_QUIET_SECOND = 5
#: An UPDATE that changes nothing locks the row all the same, and is the same SQL everywhere.
HOLD_OFF_UNLOADER = ("UPDATE LastUpdated SET UpdateTime = UpdateTime WHERE Type = %s", (WRITERS,))
CLOCK_IS_BEHIND = "The database's clock (%s) is behind the last unload (%s): everything is sent again"
CLOCK_WAS_SET_BACK = "The database's clock was set back: what was written since (%s) will be sent again"
#: Marks of a time that is still to come.
AHEAD = "Type LIKE 'sent%%' AND UpdateTime > CURRENT_TIMESTAMP"


TextRows = Iterator[Sequence[Optional[str]]]


class Unloaded(NamedTuple):
    """What was written: messages, the records in them, and rows that break a rule and were left out."""

    messages: int = 0
    records: int = 0
    invalid: int = 0


def records_per_message(wanted: int) -> int:
    """The number within its bounds, with a warning if it was outside."""
    allowed = min(MOST_RECORDS, max(FEWEST_RECORDS, wanted))
    if allowed != wanted:
        log.warning(
            "records_per_message is %d; it must be from %d to %d, so %d is used",
            wanted,
            FEWEST_RECORDS,
            MOST_RECORDS,
            allowed,
        )
    return allowed


def hold_off_unloader(tx: Any) -> None:
    """Every writer of rows that `latest` selects by UpdateTime says this first in its transaction."""
    _lock(tx)
    _follow_the_clock(tx)


def hold_off_together(tx: Any, sql: Expressions) -> None:
    """The same for writers of whom there are many: it holds off none that says the same."""
    tx.execute("SELECT Type FROM LastUpdated WHERE Type = %s" + sql.shared_lock(), (WRITERS,))
    _follow_the_clock(tx)


def _follow_the_clock(tx: Any) -> None:
    # Asked first: an UPDATE locks rows, also where it changes none.
    if tx.value("SELECT COUNT(*) FROM LastUpdated WHERE " + AHEAD):
        log.warning(CLOCK_WAS_SET_BACK, tx.value("SELECT CAST(CURRENT_TIMESTAMP AS CHAR)"))
        tx.execute("UPDATE LastUpdated SET UpdateTime = CURRENT_TIMESTAMP WHERE " + AHEAD)


def _lock(tx: Any) -> None:
    tx.execute(*HOLD_OFF_UNLOADER)


def prepare_writers(db: Database) -> None:
    """Make the row that writers and unloader lock: a row that isn't there can't be locked."""
    db.run(lambda tx: tx.insert("LastUpdated", ("Type",), [(WRITERS,)], conflict="ignore"))


class Receiver(NamedTuple):
    """Who messages are for: the name of its watermark in LastUpdated, and how large a message may be.

    most_bytes: 0 for no limit. inherits: whether it takes over the watermark of an upgraded database.
    """

    watermark: str
    most_bytes: int = 0
    inherits: bool = True


SITE_RECEIVER = Receiver(SENT)
#: The same, of records that the incumbent has none of.
ACCELERATOR_RECEIVER = Receiver(SENT_ACCELERATORS, inherits=False)


class Unloader:
    """Writes selections of a database to a queue, an object with add(text)."""

    def __init__(
        self,
        db: Database,
        queue: Any,
        selection: Selection,
        size: int = USUAL_RECORDS,
        views: Mapping[str, View] = SITE_VIEWS,
        receiver: Receiver = SITE_RECEIVER,
    ) -> None:
        self.db = db
        self.queue = queue
        self.selection = selection
        self.size = records_per_message(size)
        self.views = views
        self.sent = receiver.watermark
        self.inherits = receiver.inherits and receiver.watermark != SENT
        self.most_bytes = receiver.most_bytes

    def unload(self, name: str) -> Unloaded:
        """Write the selected rows of a view. Raises what queue.add raises; then nothing counts as sent."""
        view = self._view(name)
        interval = self.selection.interval
        if view.table and interval != "gap":
            watermark, rows = self._open_snapshot(view, interval == "latest")
            done = self._write(view, self.selection, rows)
            is_set = self.db.run(lambda tx: _set_watermark(tx, self.sent, watermark))
            if self.inherits and is_set:
                self.db.run(lambda tx: tx.execute("DELETE FROM LastUpdated WHERE Type = %s", (SENT,)))
            return done
        if interval != "gap":
            return self._unload_sums(view, interval == "latest")
        return self._write(view, self.selection, self._rows(view, self.selection))

    def _unload_sums(self, view: View, latest: bool) -> Unloaded:
        """Whole months. The older ones that have changed since the last unload are among the latest, too."""
        prepare_writers(self.db)
        now, before = self.db.run(_sums_watermarks)
        watermark = _earlier(now, self.db.backend.unseen_seconds)
        condition = _changed_sums(before, watermark) if latest else ("", [])
        done = self._write(view, self.selection, self._rows(view, self.selection, condition))
        self.db.run(lambda tx: _set_watermark(tx, SENT_SUMS, watermark))
        return done

    def unload_sync(self) -> Unloaded:
        """Write how many jobs of each month and submit host the selection has, always for all months."""
        view = self._view("VSyncRecords")
        selection = self.selection._replace(
            interval="all", withhold_dns=False, dict_benchmark_type=False, send_ur=False
        )
        return self._write(view, selection, self._rows(view, selection))

    def resend(self, name: str) -> Unloaded:
        """Write the selected rows of a view once more; what counts as sent stays as it is."""
        view = self._view(name)
        return self._write(view, self.selection, self._rows(view, self.selection))

    def _rows(self, view: View, selection: Selection, condition: Condition = ("", [])) -> TextRows:
        return self.db.stream_text(*query(view, selection, condition, self.db.sql))

    def _view(self, name: str) -> View:
        try:
            return self.views[name]
        except KeyError:
            known = ", ".join(self.views)
            raise ConfigError("%s can't be unloaded; choose from %s" % (name, known)) from None

    def _open_snapshot(self, view: View, latest: bool) -> Tuple[str, TextRows]:
        """The coming watermark, and the rows as they are at that moment."""
        prepare_writers(self.db)
        for wait in range(WAITS_FOR_A_QUIET_SECOND, -1, -1):
            opened = self.db.run(functools.partial(self._try_snapshot, view, latest, wait == 0))
            if opened is not None:
                break
            time.sleep(1.0 - time.time() % 1.0)
        assert opened is not None
        return opened

    def _try_snapshot(self, view: View, latest: bool, last: bool, tx: Any) -> Optional[Tuple[str, TextRows]]:
        """None if there are rows of this very second, and it isn't the last try."""
        _lock(tx)
        now = checked_time(tx)  # or else all new jobs would be refused, as of the future, and count as sent
        newest = tx.value("SELECT CAST(MAX(UpdateTime) AS CHAR) FROM " + view.table)
        unseen = self.db.backend.unseen_seconds
        if newest is not None and newest >= now and not last and not unseen:
            return None
        before = _watermark(tx, self.sent) or (self._inherited(tx) if self.inherits else None)
        if latest and before is not None and before > now:
            # How far it was set back nobody knows, nor which rows were written since: all are sent again.
            log.warning(CLOCK_IS_BEHIND, now, before)
            latest = False
        condition = _new_rows(view, self.selection, before) if latest and before is not None else ("", [])
        rows = self._rows(view, self.selection, condition)
        # The snapshot is made by the first row, so that must be read while writers are locked out.
        first = list(itertools.islice(rows, 1))
        return _earlier(now, unseen), itertools.chain(first, rows)

    @staticmethod
    def _inherited(tx: Any) -> Optional[str]:
        """In an upgraded database the first receiver goes on from the only mark that the incumbent had.

        It was set when all was written, so a day before it is surely sent.
        """
        before = _watermark(tx, SENT)
        return before and times.utc_text(times.epoch_from_text(before) - times.DAY)

    def _write(self, view: View, selection: Selection, rows: TextRows) -> Unloaded:
        format = selection.format_of(view)
        messages = records = invalid = 0
        size = min(self.size, MOST_RECORDS_IN_JSON) if format in JSON_FORMATS else self.size
        with Progress("Unloading %s" % format, None, "records") as progress:
            for chunk in _chunks(view.record_class, rows, size):
                invalid += len(chunk)
                for text, good in self._messages(view, self._complete(view, chunk), format):
                    self.queue.add(text)
                    messages += 1
                    records += good
                    invalid -= good
                progress.advance(len(chunk))
        log.info("Unloaded %d records (%s) in %d messages, %d invalid", records, format, messages, invalid)
        return Unloaded(messages, records, invalid)

    def _complete(self, view: View, chunk: List[Record]) -> List[Record]:
        """The records with what stands beside their rows."""
        if view.beside is not None and self.selection.dict_benchmark_type:
            chunk = view.beside.read(chunk)
        return view.complete(self.db, chunk) if view.complete is not None else chunk

    def _messages(self, view: View, chunk: List[Record], format: str) -> Iterator[Tuple[str, int]]:
        """Messages, and how many of the records are in each; invalid ones are in none."""
        try:
            text = self._encode(chunk, format)
        except RecordError:
            chunk = [record for record in chunk if _is_valid(view, record, format)]
            if not chunk:
                return
            text = self._encode(chunk, format)
        if not self.most_bytes or len(chunk) == 1 or len(text.encode("utf-8")) <= self.most_bytes:
            yield text, len(chunk)
            return
        middle = len(chunk) // 2
        for half in (chunk[:middle], chunk[middle:]):
            yield from self._messages(view, half, format)

    def _encode(self, records: List[Record], format: str) -> str:
        extra = self.selection.include_infrastructure_description
        return encode(records, format, extra, whole_cpu_count=self.selection.whole_cpu_count)


def _is_valid(view: View, record: Record, format: str) -> bool:
    try:
        encode([record], format)
    except RecordError as err:
        values = record.as_dict()
        key = ", ".join("%s %s" % (name, values[name]) for name in view.key)
        log.error("Not sent, because it is invalid (%s): %s", err, key)
        return False
    return True


def _chunks(record_class: Type[Record], rows: TextRows, size: int) -> Iterator[List[Record]]:
    """Records of rows of text, a message's worth at a time: read by the column, which is fast."""
    readers = [_READERS.get(field.kind) for field in record_class.fields]
    while True:
        chunk = list(itertools.islice(rows, size))
        if not chunk:
            return
        columns = [read(column) if read else column for read, column in zip(readers, zip(*chunk))]
        yield list(map(record_class.make, zip(*columns)))


def _whole(column: Sequence[Optional[str]]) -> List[Optional[int]]:
    try:
        return [None if text is None else int(text) for text in column]
    except ValueError:
        # SQLite writes numbers beyond 64 bits with an exponent; the record is refused later on.
        return [None if text is None else int(float(text)) for text in column]


def _decimal(column: Sequence[Optional[str]]) -> List[Optional[float]]:
    return [None if text is None else float(text) for text in column]


def _earlier(time: str, seconds: int) -> str:
    return times.utc_text(times.epoch_from_text(time) - seconds)


_READERS: Dict[str, Callable[[Sequence[Optional[str]]], Sequence[Any]]] = {
    "integer": _whole,
    "timestamp": _whole,
    "number": _decimal,
}


def _new_rows(view: View, selection: Selection, before: str) -> Condition:
    """Rows written since; with rows that are added up, all those that the sums need."""
    if not (view.by_row and is_added_up(view, selection)):
        return "UpdateTime >= %s", [before]
    period = "%s, %s" % (view.site, view.period)
    # Each month once: or else the server may join all new rows of a month to all rows of it.
    changed = "SELECT DISTINCT %s FROM %s WHERE UpdateTime >= %%s" % (period, view.source)
    return "(%s) IN (SELECT * FROM (%s) AS Changed)" % (period, changed), [before]


def _watermark(tx: Any, kind: str) -> Optional[str]:
    found: Optional[str] = tx.value(
        "SELECT CAST(UpdateTime AS CHAR) FROM LastUpdated WHERE Type = %s", (kind,)
    )
    return found


def _set_watermark(tx: Any, kind: str, watermark: str) -> bool:
    """Whether it could be: not to a time to come, before which rows may be written that we haven't seen."""
    now = str(tx.value("SELECT CAST(CURRENT_TIMESTAMP AS CHAR)"))
    if watermark > now:
        log.warning(CLOCK_WAS_SET_BACK, now)
        return False
    tx.insert("LastUpdated", ("Type", "UpdateTime"), [(kind, watermark)], conflict="update")
    return True


def _changed_sums(before: Optional[str], now: str) -> Condition:
    recent, months = since_last_month(times.now())
    if before is None:
        return recent, months
    if before > now:
        log.warning(CLOCK_IS_BEHIND, now, before)
        return "", []
    return recent + " OR UpdateTime >= %s", [*months, before]


def _sums_watermarks(tx: Any) -> Tuple[str, Optional[str]]:
    """The coming one, and the last. A summariser at work stamps its rows later, after it has the lock."""
    _lock(tx)
    last = tx.value("SELECT CAST(UpdateTime AS CHAR) FROM LastUpdated WHERE Type = %s", (SENT_SUMS,))
    return tx.value("SELECT CAST(CURRENT_TIMESTAMP AS CHAR)"), last
