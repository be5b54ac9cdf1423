"""Loads received messages into the central database, each once in effect, whatever dies on the way.

A message is forgotten only when its records are committed. Until then it stays in `incoming`, so after
a crash at any point it is loaded again; natural keys make that harmless.
"""

import contextlib
import logging
import time
from functools import partial
from operator import attrgetter
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional, Sequence, Set, Tuple

from apel.columns import parts
from apel.db import Database, RowRefused
from apel.db.tables import mark_months, store
from apel.errors import RecordError, shown
from apel.messages import Message, decode, join
from apel.records import JobRecord, SummaryRecord
from apel.server.closed import REFUSED, MonthsClosed, refuse_closed
from apel.server.kinds import TABLES, months_of
from apel.server.levels import kept_apart
from apel.server.rejects import Rejects
from apel.server.rest import Unfinished
from apel.server.site_rights import SiteRights, stored_sites
from apel.server.turns import Turns
from apel.server.verdicts import as_rejected, reasons, without
from apel.summaries import SiteMonth
from apel.times import month_of
from apel.unloader import hold_off_together, prepare_writers
from apelcommon.daemon import Stop, notify
from apelcommon.errors import Transient

log = logging.getLogger(__name__)

NO_ID = "noid"
UNKNOWN = "unknown type"
NO_TABLES = "There are no %s tables in this database: run `apeldb init --schema %s`, or load it elsewhere."
SECONDS_BETWEEN_PURGES = 600
#: In one transaction: on a cluster, a write set of a few MB. Usual messages have a thousand.
MOST_RECORDS_AT_ONCE = 5000


class Queues(NamedTuple):
    """The loader's queues of messages (`body`, `signer`, `empaid`, `error`); `accept` may be None.

    Each has ids(), lock(id), get(id), value(id, key), unlock(id), add(message), remove(id), purge().
    """

    incoming: Any
    reject: Any
    accept: Any = None


class Delivery(NamedTuple):
    """One message as it was received: its element's name in the queue, and what is in it."""

    name: str
    body: str
    signer: str
    empaid: str


class Outcome(NamedTuple):
    """What became of a message: its format, its records stored and rejected, and why rejected."""

    format: str
    stored: int
    rejected: int
    reason: str = ""


class Tally:
    """What was done so far: messages dealt with, refused whole or in part; and records."""

    def __init__(self) -> None:
        self.messages = 0
        self.refused = 0
        self.partly_refused = 0
        self.stored = 0
        self.rejected = 0

    def add(self, outcome: Outcome) -> None:
        """Count a message that was dealt with."""
        self.messages += 1
        self.refused += bool(outcome.reason) and not outcome.stored
        self.partly_refused += bool(outcome.reason) and bool(outcome.stored)
        self.stored += outcome.stored
        self.rejected += outcome.rejected


class FileTrouble(Transient):
    """Trouble with the files of a queue: no space, no permission, a bad disk."""


class Loader:
    """Loads what is in the queue `incoming`.

    `strict`: one bad record refuses its whole message. `rights`: who may send for which sites; None: anyone.
    `tell` is called with the outcome of each message.
    """

    def __init__(
        self,
        db: Database,
        queues: Queues,
        strict: bool = False,
        rights: Optional[SiteRights] = None,
        tell: Callable[[Outcome], None] = lambda outcome: None,
    ) -> None:
        self.db = db
        self.queues = queues
        self.strict = strict
        self.rights = rights
        self.tell = tell
        self.tally = Tally()
        self._rejects = Rejects(queues.reject)
        #: Outlives this loader, when its configuration is read again.
        self.unfinished = Unfinished()
        self._turns = Turns(queues.incoming)
        self._next_purge = 0.0
        self._prepared = False

    def step(self, stop: Optional[Stop] = None) -> int:
        """Deal with what is in the queue, in its order; how many messages that were.

        Raises Transient for trouble with the database or the queue as a whole. Trouble with one message
        (it can't be read, or put into `reject`) lets it rest for a while: `resting` says how many do.
        """
        done = 0
        while True:
            now_done = self._pass(stop)
            done += now_done
            if not now_done or not self._turns.passed_over or _is_set(stop):
                return done

    def _pass(self, stop: Optional[Stop]) -> int:
        done = 0
        self._purge()
        self._turns.begin_pass()
        for name in filter(self.unfinished.rest.is_over, self._names()):
            if _is_set(stop):
                return done
            done += self._take(name)
            notify("WATCHDOG=1")
        self.unfinished.end_pass()
        return done

    @property
    def resting(self) -> int:
        """How many messages are left for later because of trouble of their own."""
        return len(self.unfinished.rest)

    def _names(self) -> Iterator[str]:
        with _files():
            yield from self.queues.incoming.ids()

    def _purge(self) -> None:
        """Free what dead processes held; tidy the other queues now and then, for they may be large."""
        with _files():
            self.queues.incoming.purge()
            if time.monotonic() >= self._next_purge:
                for queue in filter(None, (self.queues.reject, self.queues.accept)):
                    queue.purge()
                self._next_purge = time.monotonic() + SECONDS_BETWEEN_PURGES

    def _take(self, name: str) -> bool:
        """Lock an element and deal with it; False if another loader has it, or if it must rest or wait."""
        incoming = self.queues.incoming
        if self._turns.must_wait(name) or not self._lock(name):
            return False
        finished = False
        try:
            self._finish(name)
            finished = True
        except FileTrouble as err:
            self.unfinished.rest.begin(name, str(err))
        except Transient as err:
            log.warning("Message %s: deferred: %s", name, err)
            raise
        except Exception as err:
            # The outermost edge of one message: content that meets a mistake of ours mustn't end the daemon.
            log.exception("Message %s: the loader failed", name)
            self.unfinished.rest.begin(name, "internal error: %s: %s" % (type(err).__name__, err))
        finally:
            if not finished:
                with _files():
                    incoming.unlock(name)
        return finished

    def _lock(self, name: str) -> bool:
        """Whether an element could be locked. One that isn't ours to touch rests, and holds up no other."""
        with _files():
            try:
                locked = bool(self.queues.incoming.lock(name))
            except (PermissionError, NotADirectoryError) as err:
                self.unfinished.rest.begin(name, "It can't be locked: %s." % err)
                return False
        if not locked:
            log.debug("Message %s: locked by another loader", name)
            self._turns.is_held(name)
        return locked

    def _finish(self, name: str) -> None:
        with _files():
            delivery = self._read(name)
        outcome = self._load(delivery)
        with _files():
            if self.queues.accept is not None and outcome.stored:
                self.queues.accept.add(_element(delivery))
            self.queues.incoming.remove(name)
        self.unfinished.end(name)
        self.tally.add(outcome)
        self.tell(outcome)
        _log_outcome(delivery, outcome)

    def _read(self, name: str) -> Delivery:
        element: Dict[str, str] = self.queues.incoming.get(name)
        return Delivery(
            name,
            element.get("body", ""),
            element.get("signer", "").strip(),
            element.get("empaid", "").strip() or NO_ID,
        )

    def _load(self, delivery: Delivery) -> Outcome:
        """Store what is good in a message and reject what is not."""
        if delivery.name in self.unfinished.committed:
            return self._conclude(delivery)
        if not delivery.signer:
            return self._refuse(delivery, UNKNOWN, "The message has no signer.")
        try:
            message = decode(delivery.body)
        except RecordError as err:
            return self._refuse(delivery, UNKNOWN, str(err))
        message = self._permitted(delivery, message)
        if message.record_class is SummaryRecord:
            message = message._replace(records=kept_apart(message.records))
        schema = TABLES[message.record_class].schema
        if not self.db.has(schema):
            return self._refuse(delivery, message.format, NO_TABLES % (schema, schema), len(message.records))
        if not self._prepared:
            prepare_writers(self.db)
            self._prepared = True
        return self.db.on_one_connection(partial(self._store_it, delivery, message))

    def _store_it(self, delivery: Delivery, message: Message) -> Outcome:
        store_it = self._store_whole if self.strict else self._store
        while True:
            try:
                return store_it(delivery, message)
            except MonthsClosed as err:
                message = self._without_closed(message, err.months)

    def _without_closed(self, message: Message, months: Set[SiteMonth]) -> Message:
        records: Sequence[Any] = message.records
        ids = self.db.ids("Sites", {record.Site for record in records})
        found = [(record, SiteMonth(ids[record.Site], *month_of(record.EndTime))) for record in records]
        return without(message, [(record, REFUSED % month[1:]) for record, month in found if month in months])

    def _permitted(self, delivery: Delivery, message: Message) -> Message:
        """The message, without the records of sites that its signer may not send for if that is enforced."""
        if self.rights is None:
            return message
        stored = stored_sites(self.db, message.records)
        refused = self.rights.check(delivery.signer, message.records, stored)
        if not refused:
            return message
        if not self.rights.enforced:
            log.warning(
                "Message %s, id %s, from %s: %d records: %s", *_known(delivery), len(refused), refused[0][1]
            )
            return message
        return without(message, refused)

    def _store_whole(self, delivery: Delivery, message: Message) -> Outcome:
        """All records of a message, or none."""
        table = TABLES[message.record_class]
        mark = self._marker(message, table.marks)

        def work(tx: Any) -> int:
            self._hold_off(tx)
            mark(tx)
            return int(table.insert(tx, message.records, rows, "update"))

        if message.rejected:
            return self._refuse(delivery, message.format, reasons(message.rejected), len(message.rejected))
        try:
            rows = table.rows(self.db, message.records, PublisherDN=delivery.signer)
            outcome = Outcome(message.format, self.db.run(work), 0)
        except RowRefused as err:
            return self._refuse(delivery, message.format, str(err), len(message.records))
        self.unfinished.committed[delivery.name] = outcome, ""
        return self._conclude(delivery)

    def _store(self, delivery: Delivery, message: Message) -> Outcome:
        """The good records of a message; the others are rejected.

        In one transaction; of a very large message in several: whatever happens between two of them, the
        message is still there, still the first of its signer, and is stored again from its beginning.
        """
        table = TABLES[message.record_class]
        extra = {"PublisherDN": delivery.signer}
        mark = self._marker(message, table.marks)
        count, unstored = 0, []
        for part in parts(message.records, MOST_RECORDS_AT_ONCE):
            stored = store(self.db, table, part, "update", extra, mark, self._hold_off)
            count += stored.count
            unstored += stored.rejected
            notify("WATCHDOG=1")
        refused = sorted(message.rejected + as_rejected(message, unstored), key=attrgetter("number"))
        reason, body = reasons(refused), ""
        if refused:
            body = delivery.body if count == 0 else join([one.text for one in refused], message.format)
        outcome = Outcome(message.format, count, len(refused), reason)
        self.unfinished.committed[delivery.name] = outcome, body
        return self._conclude(delivery)

    def _conclude(self, delivery: Delivery) -> Outcome:
        """What remains when all is committed: after trouble, this alone is tried again.

        Storing it once more would undo what later messages of its signer have corrected since.
        """
        outcome, body = self.unfinished.committed[delivery.name]
        if body:
            self._reject(delivery, body, outcome.reason)
        return outcome

    def _hold_off(self, tx: Any) -> None:
        """Have the unloader wait until this transaction is committed; other loaders needn't (unloader.py)."""
        hold_off_together(tx, self.db.sql)

    def _refuse(self, delivery: Delivery, format: str, reason: str, records: int = 0) -> Outcome:
        self._reject(delivery, delivery.body, reason)
        return Outcome(format, 0, records, reason)

    def _reject(self, delivery: Delivery, body: str, reason: str) -> None:
        if delivery.name in self.unfinished.rejected:
            return  # done on an earlier try, before removal from `incoming` failed
        with _files():
            self._rejects.add(dict(_element(delivery), body=body, error="Parsing unsuccessful: " + reason))
        self.unfinished.rejected.add(delivery.name)

    def _marker(self, message: Message, marks: str) -> Callable[[Any], None]:
        """What marks, in the transaction of the records, the months that the summariser must make again."""
        months = months_of(message)
        site_ids = self.db.ids("Sites", {site for site, _, _ in months})

        def mark(tx: Any) -> None:
            changed = {(site_ids[site], year, month) for site, year, month in months}
            if message.record_class is JobRecord:
                refuse_closed(tx, changed)
            mark_months(tx, changed, marks)

        return mark


def _is_set(stop: Optional[Stop]) -> bool:
    return stop is not None and stop.is_set()


def _element(delivery: Delivery) -> Dict[str, str]:
    return {"body": delivery.body, "signer": delivery.signer, "empaid": delivery.empaid}


@contextlib.contextmanager
def _files() -> Iterator[None]:
    """Trouble with the files of a queue (disk full, no permission) passes; the message waits."""
    try:
        yield
    except Transient as err:
        raise FileTrouble(str(err)) from err
    except OSError as err:
        raise FileTrouble("Cannot use the queue: %s" % err) from err


def _log_outcome(delivery: Delivery, outcome: Outcome) -> None:
    if not outcome.reason:
        level, result = logging.INFO, "%d records stored" % outcome.stored
    elif outcome.stored:
        level = logging.WARNING
        result = "%d records stored, %d rejected: %s" % (outcome.stored, outcome.rejected, outcome.reason)
    else:
        level, result = logging.WARNING, "rejected: %s" % outcome.reason
    log.log(level, "Message %s, id %s, from %s, %s: %s", *_known(delivery), outcome.format, result)


def _known(delivery: Delivery) -> Tuple[str, str, str]:
    """What the log says of any message: its name in the queue, its id, its signer."""
    return delivery.name, shown(delivery.empaid), shown(delivery.signer, 255) or "nobody"
