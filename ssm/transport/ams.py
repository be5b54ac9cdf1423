"""Messages through the ARGO Messaging Service: published and pulled in batches.

A subscription is a position in a row of messages. A pull gives those after it, and gives them again until one
of them is acknowledged, and with it all before it; an acknowledgement counts once, and only within the
subscription's deadline. So each batch is acknowledged once, as far as it is stored, when it is done or the
deadline draws near; what was not acknowledged comes again with the next pull. What is stored but could not be
acknowledged is known when it comes again: it is not stored twice, only acknowledged once more.
"""

import base64
import binascii
import collections
import contextlib
import logging
import re
import time
from typing import Any, Deque, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ssm.broker import AMS, DEFAULT_PORTS, broker_addresses
from ssm.errors import TooLarge, TransportError
from ssm.transport import Delivery, Transport
from ssm.transport.amsapi import TRIES, AmsRefused, AmsUnreachable, Api

log = logging.getLogger(__name__)

MOST_REQUEST = 1000000
ATTRIBUTES_BYTES = 200
DEFAULT_DEADLINE, MOST_DEADLINE = 10, 600
PAUSE_SECONDS = 0.5
NO_RIGHT = (
    "%s %d messages are stored and not acknowledged: AMS gives them again and again, and no others. They are"
    " not stored twice while this receiver runs. Have the owner of the subscription %s give us the right to"
    " consume from it (pull and acknowledge)."
)

#: The longest id of a message that is taken as it is.
MOST_ID = 255
NOT_PRINTABLE = re.compile("[^ -~]")

Entry = Tuple[str, Dict[str, Any]]


class Ticket(NamedTuple):
    """What acknowledges a message, and all before it; with what tells it from another of that place."""

    id: str
    message: str
    published: str


class AmsTransport(Transport):
    """[messaging] destination is the topic of a sender, the subscription of a receiver."""

    most = MOST_REQUEST

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.destination = settings.messaging.destination
        self.prefetch = self.most_pulled = getattr(settings.messaging, "prefetch", 1)
        self.wanted_deadline = getattr(settings.messaging, "ack_deadline", 0)
        self._apis = collections.deque(
            Api(settings, address) for address in broker_addresses(settings.broker, DEFAULT_PORTS[AMS])
        )
        self._batch: List[Entry] = []
        self._batch_bytes = 0
        self._confirmed: List[str] = []
        self._waiting: Deque[Delivery] = collections.deque()
        self._done: Optional[Ticket] = None  # the last of this batch that is stored
        self._stored: Dict[Ticket, None] = {}  # what AMS does not know of, in order
        self._pulled = 0.0
        self._deadline = 0.0
        self._failing = False

    @property
    def _api(self) -> Api:
        return self._apis[0]

    def weight(self, size: int) -> int:
        """What it adds to a request: base64, and its attributes."""
        return (size + 2) // 3 * 4 + ATTRIBUTES_BYTES

    def connect(self) -> None:
        """Reach the first host that answers; get a token there, if none is configured."""
        for remaining in reversed(range(len(self._apis))):
            try:
                self._api.connect()
                return
            except TransportError as err:
                self._api.close()
                self._apis.rotate(-1)
                if not remaining:
                    raise
                log.info("%s Trying the next host.", err)

    def where(self) -> str:
        """The host that answered."""
        return "AMS at %s:%d answers, and we have a token" % (self._api.host, self._api.port)

    def _post(self, path: str, body: Any, tries: int = TRIES) -> Dict[str, Any]:
        with self._watched():
            return self._api.post(path, body, tries)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Remember whether the host fails, so that the next connection is to another."""
        try:
            yield
        except AmsUnreachable:
            self._failing = True
            raise
        except AmsRefused as err:
            self._failing = err.status >= 500
            raise

    # ------------------------------------------------------------ sending

    def send(self, identifier: str, body: bytes) -> None:
        """Put a message into the batch; that is published when it is full, or asked for."""
        weight = self.weight(len(body))
        if self._batch and self._batch_bytes + weight > MOST_REQUEST:
            self._publish_batch()
        data = base64.b64encode(body).decode("ascii")
        self._batch.append((identifier, {"attributes": {"empaid": identifier}, "data": data}))
        self._batch_bytes += weight

    def confirmed(self, timeout: float) -> List[str]:
        """Publish what is in the batch; the ids of all that AMS has taken since last asked."""
        if self._batch:
            self._publish_batch()
        found, self._confirmed = self._confirmed, []
        return found

    def _publish_batch(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        self._publish(batch)

    def _publish(self, batch: List[Entry]) -> None:
        path = "topics/%s:publish" % self.destination
        try:
            answer = self._post(path, {"messages": [message for _, message in batch]})
        except AmsRefused as err:
            if err.status != 413:
                raise
            if len(batch) == 1:
                raise TooLarge(str(err), batch[0][0]) from err
            half = len(batch) // 2
            self._publish(batch[:half])
            self._publish(batch[half:])
            return
        ids = answer.get("messageIds")
        if not isinstance(ids, list) or len(ids) != len(batch):
            raise AmsUnreachable("AMS was given %d messages, and answers %.200r." % (len(batch), answer))
        self._confirmed += [identifier for identifier, _ in batch]

    # ------------------------------------------------------------ receiving

    def receive(self, timeout: float) -> Optional[Delivery]:
        """The next message of the subscription."""
        if not self._deadline:
            self._agree_on_deadline()
        end = time.monotonic() + timeout
        while True:
            if self._waiting and self._done is not None and self._is_late():
                log.info("Storing takes long: %d messages are left for the next pull.", len(self._waiting))
                self._waiting.clear()
            if self._waiting:
                return self._waiting.popleft()
            self._acknowledge_batch()
            self._pull()
            if not self._waiting:
                self._acknowledge_batch()
            remaining = end - time.monotonic()
            if not self._waiting:
                if remaining <= 0:
                    return None
                time.sleep(min(PAUSE_SECONDS, remaining))

    def _is_late(self) -> bool:
        return time.monotonic() - self._pulled > self._deadline / 2

    def _pull(self) -> None:
        # What is acknowledged in time is measured from before the request, to be on the safe side.
        self._pulled = time.monotonic()
        body = {"maxMessages": str(self.most_pulled), "returnImmediately": "false"}
        answer = self._post("subscriptions/%s:pull" % self.destination, body, tries=1)
        received = answer.get("receivedMessages") or []
        if not isinstance(received, list):
            raise AmsUnreachable("AMS answers a pull with %.200r." % answer)
        for item in received:
            if isinstance(item, dict) and isinstance(item.get("ackId"), str):
                self._take(_delivery(item))
            else:
                log.error("AMS gives what can't be acknowledged: %.200r. Passed over.", item)

    def _take(self, delivery: Delivery) -> None:
        if delivery.token not in self._stored or self._waiting:
            self._waiting.append(delivery)
        else:
            log.debug("Message %s is stored already, and to be acknowledged again", delivery.id)
            self._done = delivery.token

    def acknowledge(self, delivery: Delivery) -> None:
        """Note that a message, and so all before it, is stored; AMS hears of it at the end of the batch."""
        self._done = delivery.token
        self._stored[delivery.token] = None

    def _acknowledge_batch(self) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        try:
            self._post("subscriptions/%s:acknowledge" % self.destination, {"ackIds": [done.id]})
            self.most_pulled = min(self.prefetch, self.most_pulled + 1)
            self._forget(done)
        except AmsRefused as err:
            if err.status in (400, 408):
                self._refused_acknowledgement(err)
            elif err.status in (401, 403, 404):
                raise AmsRefused(NO_RIGHT % (err, len(self._stored), self.destination), err.status) from err
            else:
                raise

    def _forget(self, done: Ticket) -> None:
        # Those after it may come again: a pull may give fewer than were stored before.
        for ticket in list(self._stored):
            del self._stored[ticket]
            if ticket == done:
                return

    def _refused_acknowledgement(self, err: AmsRefused) -> None:
        """What was stored comes again: the deadline was over, or somebody else uses the subscription."""
        seconds = time.monotonic() - self._pulled
        if seconds < self._deadline:
            log.warning(
                "%s Does another receiver pull from %s? Messages may come again.", err, self.destination
            )
            return
        log.warning("%s It came after %.0f seconds; these messages will come again.", err, seconds)
        self.most_pulled = max(1, self.most_pulled // 2)
        self._set_deadline(min(MOST_DEADLINE, max(1, int(seconds * 2))))

    def _agree_on_deadline(self) -> None:
        """Learn within which time to acknowledge, and have it set as wanted if we may."""
        try:
            answer = self._api.get("subscriptions/%s" % self.destination)
            self._deadline = float(answer.get("ackDeadlineSeconds") or DEFAULT_DEADLINE)
        except (AmsRefused, TypeError, ValueError, OverflowError) as err:
            log.debug("The deadline of %s is not told: %s", self.destination, err)
            self._deadline = float(DEFAULT_DEADLINE)
        if not 0 < self._deadline <= MOST_DEADLINE:
            log.warning("AMS tells a deadline of %s s: 10 s are assumed.", self._deadline)
            self._deadline = float(DEFAULT_DEADLINE)
        if self.wanted_deadline > self._deadline:
            self._set_deadline(self.wanted_deadline)

    def _set_deadline(self, seconds: int) -> None:
        path = "subscriptions/%s:modifyAckDeadline" % self.destination
        for value in (seconds, str(seconds)):  # documented as a number, and met as text
            try:
                self._post(path, {"ackDeadlineSeconds": value})
                self._deadline = float(seconds)
                log.info("The deadline of %s is now %d seconds.", self.destination, seconds)
                return
            except AmsRefused as err:
                if err.status != 400:
                    log.info("The deadline of %s stays at %.0f s: %s", self.destination, self._deadline, err)
                    return

    def close(self) -> None:
        """Acknowledge what is stored, and close the line."""
        with contextlib.suppress(TransportError):
            self._acknowledge_batch()
        self._waiting.clear()
        self._batch, self._batch_bytes = [], 0
        self._api.close()
        if self._failing:
            self._apis.rotate(-1)
            self._failing = False


def _delivery(item: Dict[str, Any]) -> Delivery:
    """A message as AMS gives it; what is wrong with it is left to whoever judges messages."""
    message = item.get("message")
    message = message if isinstance(message, dict) else {}
    data = message.get("data") or ""
    try:
        body = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError, TypeError):
        body = str(data).encode("utf-8", "backslashreplace")
    ticket = Ticket(item["ackId"], repr(message.get("messageId")), repr(message.get("publishTime")))
    return Delivery(_empaid(message.get("attributes")), body, ticket)


def _empaid(attributes: Any) -> str:
    """The sender's id for a message; attributes are an object, or (as documented) a list of pairs."""
    if isinstance(attributes, list):
        pairs = [pair for pair in attributes if isinstance(pair, dict)]
        attributes = {str(pair.get("key")): pair.get("value") for pair in pairs}
    found = attributes.get("empaid") if isinstance(attributes, dict) else ""
    # It becomes part of a file and of lines in the log.
    text = found if isinstance(found, str) else ""
    return NOT_PRINTABLE.sub("?", text[:MOST_ID])
