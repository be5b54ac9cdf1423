"""One pass over a queue: messages sealed, several on the way at once, removed when the other side has them.

A message that is too large goes in parts, cut between its records (`ssm.splitting`), and leaves the queue
when all of them are confirmed. The other side says what is too large in an error (TooLarge), or just hangs
up: then what was on the way is tried again one by one, to see at which message it does.
"""

import collections
import logging
import re
import time
from typing import Any, Callable, Deque, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from apelcommon.daemon import GRACE_SECONDS, notify
from apelcommon.errors import Permanent
from ssm.errors import TooLarge, TransportError
from ssm.filequeues import FileQueue
from ssm.splitting import halves
from ssm.transport import Transport

log = logging.getLogger("ssmsend")

# A line that is lost at a larger message may be lost because of it.
SUSPECT_BYTES = 65536
MOST_LOSSES, MOST_SUSPICIONS = 2, 6
# File names may hold what no header or line can: line ends, and bytes that are not UTF-8 (as surrogates).
UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


class Sent(NamedTuple):
    """What a run did: messages that were sent, that can't be (empty, unreadable), and that still wait."""

    sent: int
    failed: int
    left: int


class ReceiptTimeout(Permanent):
    """The broker took messages but confirmed none of them in time: they stay in the queue."""


class _Message:
    """A message in hand: what of it is still to be sent, is on the way, or can't be sent at all."""

    def __init__(self, text: bytes) -> None:
        self.todo: Deque[bytes] = collections.deque([text])
        self.on_the_way: Dict[str, bytes] = {}
        self.unfit: List[bytes] = []
        self.cut = False
        self.sent = 0

    def lost(self) -> bool:
        """The line broke: what was on the way is to be sent again; whether the text must be read again."""
        self.todo.extendleft(reversed(list(self.on_the_way.values())))
        self.on_the_way.clear()
        return not self.cut


class Outbound:
    """One pass over the queue. `seal` makes of a text what goes over the line; it may raise SigningError."""

    def __init__(
        self,
        queue: FileQueue,
        seal: Callable[[bytes], bytes],
        transport: Transport,
        options: Any,
        stop: Optional[Any] = None,
    ) -> None:
        """`options` is the section [messaging] of sender.cfg; `stop` (with `is_set()`) ends it early."""
        self.queue = queue
        self.seal = seal
        self.transport = transport
        self.options = options
        self.stop = stop
        self.sent = 0
        self.failed = 0
        self._held: Dict[str, Optional[_Message]] = {}  # locked by us, by element; None: to be read
        self._on_the_way: Dict[str, Tuple[str, int]] = {}  # element and size, by id
        self._again: Deque[str] = collections.deque()
        self._alone = False  # one message on the way at a time
        wanted = transport.weight(options.max_size) if options.max_size else 0
        self._most = min(filter(None, (wanted, transport.most)), default=0)
        self._suspected = 0  # what is larger is cut if it can be
        self._suspicions = 0
        self._losses = 0  # since the last receipt
        self._last_loss = TransportError("")
        self._receipts = 0
        self._passed_over: List[str] = []

    def send_all(self) -> None:
        """Send every message that nobody else has locked; returns when each has its receipt.

        Raises TransportError, ReceiptTimeout, SigningError, OSError: call `finish` in any case.
        """
        ids = self.queue.ids()
        while True:
            try:
                for element in self._in_turn(ids):
                    self._send(element)
                self._drain()
                break
            except TransportError as err:
                self._after(err)
        self._report_passed_over()

    def _report_passed_over(self) -> None:
        if self._passed_over and not self._receipts:
            raise self._last_loss
        for element in self._passed_over:
            self.failed += 1
            log.error(
                "Message %s: the connection is lost whenever it is sent; it stays in the queue.", element
            )

    def _in_turn(self, ids: Iterator[str]) -> Iterator[str]:
        """The elements to send, locked: those that were on the way when the line broke, then new ones."""
        while not self._stopped():
            # A queue of a week takes longer than systemd's patience.
            notify("WATCHDOG=1")
            if self._again:
                yield self._again.popleft()
                continue
            if self._alone:
                self._drain()
                self._alone = False
            element = next(ids, None)
            if element is None:
                return
            if self._lock(element):
                yield element

    def _stopped(self) -> bool:
        stopped = self.stop is not None and self.stop.is_set()
        if stopped:
            log.info("Asked to stop: what is not yet sent stays in the queue.")
        return stopped

    def _lock(self, element: str) -> bool:
        try:
            locked = self.queue.lock(element)
        except (PermissionError, NotADirectoryError) as err:
            self.failed += 1
            log.error("Message %s can't be locked: %s; it stays in the queue.", element, err)
            return False
        if locked:
            self._held[element] = None
        else:
            log.warning("Message %s is locked by another process; skipped.", element)
        return locked

    def _send(self, element: str) -> None:
        message = self._held[element]
        if message is None:
            body = self._readable(element)
            if body is None:
                return
            message = self._held[element] = _Message(body)
        while message.todo:
            while len(self._on_the_way) >= (1 if self._alone else self.options.window):
                self._take_receipts()
            self._send_next(element, message)
        self._settle(element)

    def _send_next(self, element: str, message: _Message) -> None:
        """Send the first of what there is of a message; or cut it, or put it with what can't be sent."""
        text = message.todo.popleft()
        sealed = self._sealed(text, self._suspected)
        two = halves(text) if sealed is None else None
        if two is not None:
            message.cut = True
            message.todo.extendleft(reversed(two))
            return
        sealed = sealed or self._sealed(text)
        if sealed is None:
            message.unfit.append(text)
            return
        identifier = UNPRINTABLE.sub(lambda found: "\\x%02x" % ord(found.group()), element)
        if message.cut:
            identifier += "-%d" % (message.sent + len(message.on_the_way) + 1)
        # What is sent whole need not be kept: the queue has it.
        message.on_the_way[identifier] = text if message.cut else b""
        self._on_the_way[identifier] = (element, len(sealed))
        self.transport.send(identifier, sealed)

    def _readable(self, element: str) -> Optional[bytes]:
        """The text of a message, or None for one that can't be read, or that no receiver would take."""
        try:
            body = self.queue.read(element)
            reason = _unfit(body)
        except OSError as err:
            self._give_back(element)
            self.failed += 1
            log.error("Message %s can't be read: %s; it stays in the queue.", element, err)
            return None
        if not reason:
            return body
        self._put_aside(element, reason)
        return None

    def _put_aside(self, element: str, reason: str, parts: Iterable[bytes] = ()) -> None:
        self.failed += 1
        try:
            place = self.queue.put_aside(element, reason, list(parts))
        except OSError as err:
            self._give_back(element)
            log.error("Message %s can't be sent: %s. It stays in the queue: %s", element, reason, err)
            return
        del self._held[element]
        log.error("Message %s can't be sent: %s. It is now %s", element, reason, place)

    def _sealed(self, text: bytes, suspected: int = 0) -> Optional[bytes]:
        """A text as it goes over the line, or None where that is too large."""
        most = min(filter(None, (self._most, suspected)), default=0)
        if most and self.transport.weight(len(text)) > most:
            return None  # sealing makes nothing smaller
        sealed = self.seal(text)
        return None if most and self.transport.weight(len(sealed)) > most else sealed

    def _drain(self) -> None:
        while self._on_the_way:
            self._take_receipts()

    def _take_receipts(self) -> None:
        began = time.monotonic()
        confirmed = self.transport.confirmed(min(1.0, self._patience()))
        while not confirmed:
            patience = self._patience()
            remaining = began + patience - time.monotonic()
            if remaining <= 0:
                raise ReceiptTimeout("No receipt within %.0f seconds." % patience)
            confirmed = self.transport.confirmed(min(1.0, remaining))
        self._confirm(confirmed)

    def _patience(self) -> float:
        """How long a receipt is waited for; when we are to end, not long: what has none is sent again."""
        patience = float(self.options.receipt_timeout)
        asked = self.stop is not None and self.stop.is_set()
        return min(patience, GRACE_SECONDS) if asked else patience

    def _confirm(self, identifiers: Iterable[str]) -> None:
        for identifier in identifiers:
            element, size = self._on_the_way.pop(identifier, ("", 0))
            if element:
                self._losses = self._suspicions = 0
                self._receipts += 1
                log.info("Message %s sent (%d bytes).", identifier, size)
                message = self._held[element]
                if message is not None:
                    message.sent += 1
                    del message.on_the_way[identifier]
                    self._settle(element)

    def _settle(self, element: str) -> None:
        """Take a message off the queue if everything of it that can be sent has its receipt."""
        message = self._held.get(element)
        if message is None or message.todo or message.on_the_way:
            return
        if message.unfit:
            reason = "it is larger than %d bytes, and can't be split" % self._most
            self._put_aside(element, reason, message.unfit if message.cut else ())
            return
        self.queue.remove(element)
        del self._held[element]
        self.sent += 1
        if message.cut:
            log.info("Message %s was too large for one: it went in %d parts.", element, message.sent)

    def _after(self, err: TransportError) -> None:
        """The line is lost, or a message refused: connect again, and decide how to go on. May raise `err`."""
        self._take_late_receipts()
        if not self._on_the_way:
            raise err
        culprit = self._culprit(err)
        if isinstance(err, TooLarge):
            if culprit is not None:
                self._most = self.transport.weight(culprit[1]) - 1
        else:
            self._count_loss(err, culprit)
        log.warning("%s Connecting again.", err)
        self._alone = True
        self._on_the_way.clear()
        for element, message in self._held.items():
            if message is not None and message.lost():
                self._held[element] = None
        self._again = collections.deque(name for name in self._held if name not in self._passed_over)
        self.transport.close()
        self.transport.connect()

    def _culprit(self, err: TransportError) -> Optional[Tuple[str, int]]:
        """(element, size) of the message that the trouble is about, if that is known."""
        named = self._on_the_way.get(getattr(err, "identifier", ""))
        if named is None and len(self._on_the_way) == 1:
            named = next(iter(self._on_the_way.values()))
        return named

    def _count_loss(self, err: TransportError, culprit: Optional[Tuple[str, int]]) -> None:
        if self._alone and culprit is not None:
            element, size = culprit
            weight = self.transport.weight(size)
            if weight > SUSPECT_BYTES and self._suspicions < MOST_SUSPICIONS:
                self._suspicions += 1
                self._suspected = weight // 4
                return
            self._passed_over.append(element)
        self._losses += 1
        self._last_loss = err
        if self._losses > MOST_LOSSES:
            raise err

    def _take_late_receipts(self) -> None:
        try:
            self._confirm(self.transport.confirmed(0))
        except TransportError:
            log.debug("No more receipts: the connection has ended")

    def finish(self) -> None:
        """Take the receipts that have come, and give back what has none."""
        if self._on_the_way:
            self._take_late_receipts()
        for element in list(self._held):
            self._give_back(element)
            log.warning("Message %s: no receipt; it stays in the queue.", element)
        self._on_the_way.clear()
        log.info("Messages: %d sent, %d failed, %d left in the queue.", *self.result())

    def _give_back(self, element: str) -> None:
        self.queue.unlock(element)
        del self._held[element]

    def result(self) -> Sent:
        """What was done."""
        return Sent(self.sent, self.failed, self.queue.count())


def _unfit(body: bytes) -> str:
    """Why a message can't be sent, or nothing."""
    if not body.strip():
        return "the message is empty"
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as err:
        return "the message is not UTF-8: %s" % err
    return ""
