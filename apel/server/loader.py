"""Loads received messages into the central database, each once in effect, whatever dies on the way.

A message is forgotten only when its records are committed. Until then it stays in `incoming`, so after
a crash at any point it is loaded again; natural keys make that harmless.
"""

import contextlib
import logging
import time
from typing import Any, Callable, Iterator, NamedTuple, Optional, Sequence, Set

from apel.db import Conflict, Database, Lost
from apel.server.deliveries import Delivery, Opened, grouped, opened, read
from apel.server.rejects import Rejects
from apel.server.rest import Unfinished
from apel.server.site_rights import SiteRights
from apel.server.storing import Storing
from apel.server.turns import Turns
from apel.server.verdicts import Outcome, Verdict
from apelcommon.daemon import Stop, notify
from apelcommon.errors import Transient

log = logging.getLogger(__name__)

SECONDS_BETWEEN_PURGES = 600


class Queues(NamedTuple):
    """The loader's queues of messages (`body`, `signer`, `empaid`, `error`); `accept` may be None.

    Each has ids(), lock(id), get(id), value(id, key), unlock(id), add(message), remove(id), purge().
    """

    incoming: Any
    reject: Any
    accept: Any = None


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
        self.tell = tell
        self.tally = Tally()
        self.storing = Storing(db, strict, rights)
        self._rejects = Rejects(queues.reject)
        #: Outlives this loader, when its configuration is read again.
        self.unfinished = Unfinished()
        self._turns = Turns(queues.incoming)
        #: The elements that are locked.
        self._in_hand: Set[str] = set()
        self._next_purge = 0.0

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
        try:
            for group in grouped(self._opened(stop), self.storing.goes_alone):
                done += self._load(group)
                notify("WATCHDOG=1")
        finally:
            while self._in_hand:
                self._give_back(next(iter(self._in_hand)))
        if not _is_set(stop):
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

    # -- taking messages ------------------------------------------------------------------------

    def _opened(self, stop: Optional[Stop]) -> Iterator[Opened]:
        """The messages that are due, locked and read, until we are to end."""
        for name in self._names():
            if _is_set(stop):
                return
            one = self._open(name) if self._is_due(name) and self._lock(name) else None
            if one is not None:
                yield one

    def _is_due(self, name: str) -> bool:
        """Whether it is a message's turn, and it needn't rest."""
        if self.unfinished.rest.is_over(name):
            return not self._turns.must_wait(name)
        if name in self.unfinished.committed:
            self._turns.is_held(name)
        return False

    def _lock(self, name: str) -> bool:
        """Whether an element could be locked. One that isn't ours to touch rests, and holds up no other."""
        with _files():
            try:
                locked = bool(self.queues.incoming.lock(name))
            except (PermissionError, NotADirectoryError) as err:
                self._rest(name, "It can't be locked: %s." % err)
                return False
        if locked:
            self._in_hand.add(name)
        else:
            log.debug("Message %s: locked by another loader", name)
            self._turns.is_held(name)
        return locked

    def _open(self, name: str) -> Optional[Opened]:
        """A locked message; None if it must rest, since it can't be read."""
        try:
            with _files():
                delivery = read(name, self.queues.incoming.get(name))
            verdict = self.unfinished.committed.get(name)
            return Opened(delivery, verdict) if verdict else opened(delivery)
        except Exception as err:
            self._put_off(name, err)
            return None

    def _give_back(self, name: str) -> None:
        self._in_hand.discard(name)
        with _files():
            self.queues.incoming.unlock(name)

    def _put_off(self, name: str, err: Exception) -> None:
        """Let a message rest that has trouble of its own, and unlock it.

        The outermost edge of one message: content that meets a mistake of ours mustn't end the daemon.
        """
        if isinstance(err, FileTrouble):
            reason = str(err)
        else:
            log.error("Message %s: the loader failed", name, exc_info=err)
            reason = "internal error: %s: %s" % (type(err).__name__, err)
        self._rest(name, reason)
        self._give_back(name)

    def _rest(self, name: str, reason: str) -> None:
        self.unfinished.rest.begin(name, reason)
        if name in self.unfinished.committed:
            self._turns.is_held(name)

    # -- loading them ---------------------------------------------------------------------------

    def _load(self, group: Sequence[Opened]) -> int:
        """Deal with messages; how many could be finished. Raises Transient for trouble with the database."""
        judged = []
        for one in group:
            try:
                judged.append(self.storing.judged(one))
            except Transient as err:
                _log_deferred([one], err)
                raise
            except Exception as err:
                self._put_off(one.delivery.name, err)
        return self._store(judged)

    def _store(self, group: Sequence[Opened]) -> int:
        """Store judged messages, together if all of them can be, and finish them; how many that were."""
        group = [one for one in group if not self._must_stay(one.delivery)]
        if not group:
            return 0
        try:
            verdicts = self.storing.store(group)
        except (Conflict, Lost) as err:
            _log_deferred(group, err)
            raise
        except Exception as err:
            if len(group) > 1:
                # Refused, or more than a cluster takes at once.
                log.info("%d messages can't be stored in one transaction: %s", len(group), err)
                middle = len(group) // 2
                return self._store(group[:middle]) + self._store(group[middle:])
            if isinstance(err, Transient):
                _log_deferred(group, err)
                raise
            self._put_off(group[0].delivery.name, err)
            return 0
        for one, verdict in zip(group, verdicts):
            if verdict.outcome.stored:
                self.unfinished.committed[one.delivery.name] = verdict
        return sum(self._finish(one.delivery, verdict) for one, verdict in zip(group, verdicts))

    def _must_stay(self, delivery: Delivery) -> bool:
        """Whether a message has to wait for one before it; then it is unlocked."""
        if delivery.signer not in self._turns.stuck:
            return False
        self._give_back(delivery.name)
        return True

    def _finish(self, delivery: Delivery, verdict: Verdict) -> bool:
        """Do what remains after the commit; whether it could be done. After trouble, only this is repeated.

        Storing a message once more would undo what later ones of its signer have corrected since. A loader
        that comes after us would do so: so these stay as long as it does, and would be stored again as well.
        """
        name = delivery.name
        if self._must_stay(delivery):
            # Another loader may store the one before it once more: so this one must be, too, after that.
            self.unfinished.committed.pop(name, None)
            return False
        try:
            self._put_away(delivery, verdict)
        except Exception as err:
            self._put_off(name, err)
            if name in self.unfinished.committed:
                self._turns.is_stuck(name, delivery.signer)
            return False
        self._in_hand.discard(name)
        return True

    def _put_away(self, delivery: Delivery, verdict: Verdict) -> None:
        name, outcome = delivery.name, verdict.outcome
        with _files():
            # If not, it was done on an earlier try, before removal from `incoming` failed.
            if verdict.body is not None and name not in self.unfinished.rejected:
                error = "Parsing unsuccessful: " + outcome.reason
                self._rejects.add(dict(delivery.element(), body=verdict.body, error=error))
                self.unfinished.rejected.add(name)
            if self.queues.accept is not None and outcome.stored:
                self.queues.accept.add(delivery.element())
            self.queues.incoming.remove(name)
        self.unfinished.end(name)
        self.tally.add(outcome)
        self.tell(outcome)
        _log_outcome(delivery, outcome)


def _is_set(stop: Optional[Stop]) -> bool:
    return stop is not None and stop.is_set()


@contextlib.contextmanager
def _files() -> Iterator[None]:
    """Trouble with the files of a queue (disk full, no permission) passes; the message waits."""
    try:
        yield
    except Transient as err:
        raise FileTrouble(str(err)) from err
    except OSError as err:
        raise FileTrouble("Cannot use the queue: %s" % err) from err


def _log_deferred(group: Sequence[Opened], err: Transient) -> None:
    more = ", and %d after it" % (len(group) - 1) if len(group) > 1 else ""
    log.warning("Message %s%s: deferred: %s", group[0].delivery.name, more, err)


def _log_outcome(delivery: Delivery, outcome: Outcome) -> None:
    if not outcome.reason:
        level, result = logging.INFO, "%d records stored" % outcome.stored
    elif outcome.stored:
        level = logging.WARNING
        result = "%d records stored, %d rejected: %s" % (outcome.stored, outcome.rejected, outcome.reason)
    else:
        level, result = logging.WARNING, "rejected: %s" % outcome.reason
    log.log(level, "Message %s, id %s, from %s, %s: %s", *delivery.known(), outcome.format, result)
