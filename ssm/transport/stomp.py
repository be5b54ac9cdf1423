"""Messages through a STOMP broker, with stomp.py 4.1.24 to 8.2."""

import collections
import contextlib
import logging
import re
import threading
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

import stomp
from stomp.connect import BaseConnection
from stomp.exception import StompException
from stomp.protocol import Protocol11, Protocol12

from apelcommon.backoff import Backoff
from apelcommon.daemon import asked_to_end, cut_short, pause
from apelcommon.errors import ConfigError
from ssm.broker import broker_addresses
from ssm.errors import TooLarge, TransportError
from ssm.transport import Delivery, Transport
from ssm.transport.wire import Wire, tls_context

log = logging.getLogger(__name__)

SUBSCRIPTION = "1"
CONNECT_TRIES = 3
FAREWELL_SECONDS = 5.0
FAREWELL = "farewell"
LAST_WORDS_SECONDS = 1.0
# ActiveMQ: The maximum frame size was exceeded. RabbitMQ: message size 5 is larger than configured max size.
TOO_LARGE = re.compile(
    r"maximum (?:frame|data|message) (?:size|length)|larger than .*max|frame.too.large", re.I
)
JAVA_CLASS = re.compile(r"^[\w.$]+(?:Exception|Error): ")


def check_library() -> None:
    """Raises ConfigError if the installed stomp.py is one that can't be trusted."""
    version = _library_version()
    if not (4, 1) <= version < (9,):
        raise ConfigError(
            "stomp.py %s is installed, but must be 4.1.24 or newer and older than 9: 9.0.0 never notices "
            "over TLS that the broker has gone. Install another: pip install 'stomp.py<9'"
            % ".".join(str(part) for part in version)
        )


def _library_version() -> Tuple[int, ...]:
    version = stomp.__version__
    parts = version.split(".") if isinstance(version, str) else version
    return tuple(int(part) for part in parts if str(part).isdigit())


class _Connection11(BaseConnection, Protocol11):
    """STOMP 1.1 on our own wire."""

    def __init__(self, wire: Wire, heart_beats: Tuple[int, int]) -> None:
        BaseConnection.__init__(self, wire)
        Protocol11.__init__(self, wire, heart_beats)

    def hello(self) -> None:
        """Ask for the connection; the answer is an event."""
        Protocol11.connect(self, wait=False)

    def acknowledge(self, headers: Dict[str, str]) -> None:
        """Acknowledge the message with these headers."""
        self.ack(headers.get("message-id", ""), SUBSCRIPTION)


class _Connection12(BaseConnection, Protocol12):
    """STOMP 1.2 on our own wire."""

    def __init__(self, wire: Wire, heart_beats: Tuple[int, int]) -> None:
        BaseConnection.__init__(self, wire)
        Protocol12.__init__(self, wire, heart_beats)

    def hello(self) -> None:
        """Ask for the connection; the answer is an event."""
        Protocol12.connect(self, wait=False)

    def acknowledge(self, headers: Dict[str, str]) -> None:
        """Acknowledge the message with these headers."""
        self.ack(headers.get("ack", ""))


CONNECTIONS = {"1.1": _Connection11, "1.2": _Connection12}


class _Events(stomp.ConnectionListener):
    """What the broker said, gathered by stomp.py's thread, taken by ours.

    Listener methods get one frame from stomp.py 7 on, and headers and body before that.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.connected = False
        self.ended = ""
        self.too_large = False
        self.refused = ""  # the id of the message that an error is about
        self.receipts: List[str] = []
        self.messages: Deque[Tuple[Dict[str, str], bytes]] = collections.deque()

    def on_connected(self, *frame: Any) -> None:
        with self.changed:
            self.connected = True
            self.changed.notify_all()

    def on_receipt(self, *frame: Any) -> None:
        with self.changed:
            self.receipts.append(_content(frame)[0].get("receipt-id", ""))
            self.changed.notify_all()

    def on_message(self, *frame: Any) -> None:
        with self.changed:
            self.messages.append(_content(frame))
            self.changed.notify_all()

    def on_error(self, *frame: Any) -> None:
        headers, body = _content(frame)
        # A broker in Java sends its whole stack trace, whose first line begins with the name of a class.
        said = JAVA_CLASS.sub("", body.decode("utf-8", "replace").strip().split("\n")[0])
        message = headers.get("message", "")
        text = said if message.lower() in said.lower() else ": ".join(filter(None, [message, said]))
        with self.changed:
            self.too_large = bool(TOO_LARGE.search(text))
            self.refused = headers.get("receipt-id", "")
        self._end("The broker refuses: %s." % " ".join(text.split())[:300])

    def on_heartbeat_timeout(self) -> None:
        self._end("The broker gives no sign of life.")

    def on_disconnected(self) -> None:
        self._end("Lost connection.")

    def _end(self, reason: str) -> None:
        with self.changed:
            self.ended = self.ended or reason
            self.changed.notify_all()

    def wait(self, ready: Callable[[], Any], timeout: float) -> bool:
        """Wait until `ready()` or the connection ends; whether it is ready. Hold `changed`."""
        self.changed.wait_for(lambda: ready() or self.ended, timeout)
        return bool(ready())


def _content(frame: Tuple[Any, ...]) -> Tuple[Dict[str, str], bytes]:
    headers, body = (frame[0].headers, frame[0].body) if len(frame) == 1 else frame
    return headers, body.encode("utf-8") if isinstance(body, str) else body or b""


class StompTransport(Transport):
    """One connection to the first broker of a list that answers; the queue is [messaging] destination."""

    def __init__(self, settings: Any) -> None:
        check_library()
        self.broker = settings.broker
        self.certificates = settings.certificates
        self.destination = settings.messaging.destination
        self.prefetch = getattr(settings.messaging, "prefetch", 1)
        self._connection: Any = None
        self._events = _Events()
        self._subscribed = False
        self._addresses: Deque[Tuple[str, int]] = collections.deque(broker_addresses(self.broker))

    def connect(self) -> None:
        """Connect to the first broker that answers, beginning with the one after that we lost, if any.

        All are tried a few times: over TLS a first try fails now and then for no lasting reason.
        """
        backoff = Backoff(0.5, 2.0)
        tries = CONNECT_TRIES * len(self._addresses)
        for remaining in reversed(range(tries)):
            try:
                with cut_short(self._cut_connecting):
                    self._connect(self._addresses[0])
                return
            except TransportError as err:
                self.close()
                self._addresses.rotate(-1)
                if not remaining or asked_to_end():
                    raise
                log.info("%s Trying %s.", err, "the next broker" if len(self._addresses) > 1 else "again")
                if remaining % len(self._addresses) == 0:
                    pause(backoff.next())

    def _cut_connecting(self) -> None:
        raise TransportError("%s:%d does not answer, and we were asked to end." % self._addresses[0])

    def where(self) -> str:
        """The broker that answered."""
        return "%s:%d speaks STOMP %s" % (*self._addresses[0], self.broker.stomp_version)

    def _connect(self, address: Tuple[str, int]) -> None:
        wire = Wire(address, self._tls(), self.broker.connect_timeout, self.broker.vhost)
        beat = int(self.broker.heart_beat * 1000)
        self._events = _Events()
        self._subscribed = False
        self._connection = CONNECTIONS[self.broker.stomp_version](wire, (beat, beat))
        self._connection.set_listener("messenger", self._events)
        with self._translated():
            wire.start()
            self._connection.hello()
        with self._events.changed:
            if not self._events.wait(lambda: self._events.connected, self.broker.connect_timeout):
                raise TransportError(self._events.ended or "The broker %s:%d does not answer." % address)
        log.info("Connected to the broker %s:%d", *address)

    def _tls(self) -> Any:
        if not self.broker.use_ssl:
            return None
        own = self.certificates
        return tls_context(own.capath, own.certificate, own.key, self.broker.verify_broker)

    def send(self, identifier: str, body: bytes) -> None:
        """Send a message, to be kept by the broker over a restart; its receipt comes later."""
        headers = {"receipt": identifier, "empa-id": identifier, "persistent": "true"}
        with self._translated():
            self._connection.send(self.destination, body, headers=headers)

    def confirmed(self, timeout: float) -> List[str]:
        """Ids of messages that the broker sent receipts for."""
        events = self._events
        with events.changed:
            events.wait(lambda: events.receipts, timeout)
            found, events.receipts = events.receipts, []
            if not found:
                self._check_alive()
            return found

    def receive(self, timeout: float) -> Optional[Delivery]:
        """The next message from the queue, to which the first call subscribes."""
        if not self._subscribed:
            self._subscribe()
        events = self._events
        with events.changed:
            if not events.wait(lambda: events.messages, timeout):
                self._check_alive()
                return None
            headers, body = events.messages.popleft()
        return Delivery(headers.get("empa-id", ""), body, headers)

    def _subscribe(self) -> None:
        ahead = str(self.prefetch)
        with self._translated():
            self._connection.subscribe(
                self.destination,
                SUBSCRIPTION,
                ack="client-individual",
                headers={"activemq.prefetchSize": ahead, "prefetch-count": ahead},
            )
        self._subscribed = True

    def acknowledge(self, delivery: Delivery) -> None:
        """Acknowledge one message (client-individual)."""
        with self._translated():
            self._connection.acknowledge(delivery.token)

    def close(self) -> None:
        """Say good-bye, so that the broker has our last acknowledgements, and cut the line."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        events = self._events
        if events.connected and events.ended:
            self._addresses.rotate(-1)
        with contextlib.suppress(StompException, OSError):
            if events.connected and not events.ended:
                Protocol11.disconnect(connection, receipt=FAREWELL)
                with events.changed:
                    events.wait(lambda: FAREWELL in events.receipts, FAREWELL_SECONDS)
        connection.transport.disconnect_socket()

    def _check_alive(self) -> None:
        if self._events.ended:
            raise self._ending()

    def _ending(self, otherwise: str = "") -> TransportError:
        """Why the connection has ended, as an error: in the broker's words, where it had any."""
        events = self._events
        if events.too_large:
            return TooLarge(events.ended, events.refused)
        return TransportError(events.ended or otherwise)

    @contextlib.contextmanager
    def _translated(self) -> Any:
        """Every error of stomp.py and the socket, as ours, with what the broker said before it."""
        if self._connection is None:
            raise TransportError("Not connected.")
        try:
            yield
        except (StompException, OSError) as err:
            with self._events.changed:
                self._events.wait(lambda: False, LAST_WORDS_SECONDS)
            raise self._ending("Lost connection: %s." % (str(err) or type(err).__name__)) from err
