"""Takes messages off the transport, verifies and authorises them, and queues them before it says so."""

import logging
import os
import time
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple, Union

from apelcommon.backoff import Backoff
from apelcommon.daemon import notify, say_whether_it_ends, wait_and_beat
from apelcommon.errors import ConfigError, Transient
from apelcommon.ids import of_sender
from ssm import smime
from ssm.banned import BannedSigners
from ssm.broker import DIRECTORY
from ssm.dnlist import DnList
from ssm.envelope import Decryptor
from ssm.errors import CryptoError, TransportError
from ssm.figures import ReceiverFigures
from ssm.keyring import KeyRing
from ssm.options import check_receiver
from ssm.queues import INCOMING, REJECT, MessageQueue
from ssm.reasons import BANNED, EMPTY, NOT_DECRYPTED, NOT_LISTED, NOT_VERIFIED, REASONS, reason_of
from ssm.rejectcap import RejectCap
from ssm.transport import Delivery, Transport, open_transport
from ssm.trust import TrustStore

log = logging.getLogger("ssmreceive")

Keys = Union[KeyRing, Decryptor]

PING = "ping"
NO_ID = "noid"
NO_SIGNER = "Not available."
POLL_SECONDS = 1.0


class Verdict(NamedTuple):
    """What becomes of a message: its text and signer, and why it is rejected ("": it isn't)."""

    body: Union[str, bytes]
    signer: str
    error: str = ""


class Received(NamedTuple):
    """What a run did."""

    accepted: int
    rejected: int


def make_queues(base: str) -> Tuple[MessageQueue, MessageQueue]:
    """The queues `incoming` and `reject` below [messaging] path. Raises StorageError."""
    incoming = MessageQueue(os.path.join(base, "incoming"), INCOMING)
    return incoming, MessageQueue(os.path.join(base, "reject"), REJECT)


class Receiver:
    """Judges messages and puts them into `incoming` or `reject` below [messaging] path."""

    def __init__(
        self,
        base: str,
        trust: TrustStore,
        allowed: Union[DnList, frozenset],
        keys: Optional[Keys] = None,
        banned: Optional[BannedSigners] = None,
        figures: Optional[ReceiverFigures] = None,
    ) -> None:
        """`keys` open what is encrypted for us; who is `banned` is refused though `allowed`."""
        self.incoming, self.reject = make_queues(base)
        self.trust = trust
        self.allowed = allowed
        self.keys = keys or Decryptor([])
        self.banned = banned
        self.figures = figures
        self.cap = RejectCap(self.reject, 0, 0)
        self.accepted = 0
        self.rejected = 0
        for queue in (self.incoming, self.reject):
            try:
                queue.purge()
            except OSError as err:
                log.warning("Leftovers in %s can't be removed: %s", queue.path, err)

    def judge(self, body: bytes) -> Verdict:
        """Decrypt, verify and authorise a message. Raises TrustError if no verdict is possible now."""
        if not body.strip():
            return Verdict(body, NO_SIGNER, EMPTY)
        try:
            opened = self.keys.open(body)
        except CryptoError as err:
            return Verdict(body, NO_SIGNER, NOT_DECRYPTED + str(err))
        try:
            signed = smime.verify(opened)
            signer = self.trust.check(signed.certificate, signed.others)
        except CryptoError as err:
            return Verdict(body, NO_SIGNER, NOT_VERIFIED + str(err))
        if self.banned is not None and signer in self.banned:
            return Verdict(body, signer, BANNED + signer)
        if signer not in self.allowed:
            return Verdict(body, signer, NOT_LISTED + signer)
        if not signed.text:
            return Verdict(body, signer, EMPTY)
        return Verdict(signed.text, signer)

    def take(self, delivery: Delivery) -> None:
        """Put a message, durably, where it belongs; returns when it may be acknowledged.

        Raises Transient (disk, CA directory): then it must not be acknowledged.
        """
        if delivery.id == PING:
            log.info("Received ping message.")
            return
        identifier = of_sender(delivery.id) or NO_ID
        self._store(identifier, self.judge_anything(identifier, delivery.body))

    def judge_anything(self, identifier: str, body: bytes) -> Verdict:
        """As `judge`, and whatever else goes wrong is a reason to reject. Raises Transient only."""
        try:
            return self.judge(body)
        except Transient:
            raise
        except Exception as err:  # the edge: whatever a message does to us, it must not come again for ever
            log.exception("Message %s: internal error while it was verified", identifier)
            return Verdict(
                body,
                NO_SIGNER,
                "%sinternal error: %s: %s" % (NOT_VERIFIED, type(err).__name__, err),
            )

    def _store(self, identifier: str, verdict: Verdict) -> None:
        element: Dict[str, Union[str, bytes]] = {
            "body": verdict.body,
            "signer": verdict.signer,
            "empaid": identifier,
        }
        if verdict.error:
            self._reject(identifier, verdict, element)
            return
        name = self.incoming.add(element)
        self.accepted += 1
        if self.figures is not None:
            self.figures.stored()
        log.info("Message %s from %s stored (incoming/%s).", identifier, verdict.signer, name)

    def _reject(self, identifier: str, verdict: Verdict, element: Dict[str, Union[str, bytes]]) -> None:
        kept = not verdict.error.startswith(BANNED) or not self.banned or self.banned.keeps(verdict.signer)
        if kept:
            name = self.reject.add({**element, "error": verdict.error})
            log.warning(
                "Message %s from %s rejected (reject/%s): %s", identifier, verdict.signer, name, verdict.error
            )
            self._count_removed(self.cap.added(len(verdict.body)))
        self.rejected += 1
        if self.figures is not None:
            self.figures.rejected.add(reason=reason_of(verdict.error))

    def _count_removed(self, count: int) -> None:
        if self.figures is not None and count:
            self.figures.removed.add(count)

    def rest(self) -> None:
        """What is to be done now and then: limits kept, figures written."""
        self._count_removed(self.cap.look_now_and_then())
        if self.figures is not None:
            self.figures.look_now_and_then({"incoming": self.incoming, "reject": self.reject})

    def result(self) -> Received:
        """What was done so far."""
        return Received(self.accepted, self.rejected)


def receive(
    settings: Any,
    names: DnList,
    stop: Any,
    idle: Optional[float] = None,
    keys: Optional[Keys] = None,
    banned: Optional[BannedSigners] = None,
) -> Received:
    """Receive as receiver.cfg says until `stop`, reconnecting for ever.

    `names` are the signers to accept, `keys` as of `load_keys`, `banned` as of `load_banned` (which are asked
    if there are none). With `idle`, ends when no message came for that many seconds, and doesn't try again:
    only then Transient is raised. Raises ConfigError, SigningError.
    """
    check_receiver(settings)
    receiver = make_receiver(settings, names, keys or load_keys(settings), banned)
    transport = open_transport(settings.receiver.protocol, settings)
    loop = _Loop(receiver, transport, stop, idle)
    try:
        if idle is None:
            loop.run_for_ever()
        else:
            loop.run_once()
    finally:
        if receiver.banned is not None:
            receiver.banned.report()
        if receiver.figures is not None:
            receiver.figures.look({"incoming": receiver.incoming, "reject": receiver.reject})
            receiver.figures.metrics.write()
    return receiver.result()


def make_receiver(
    settings: Any, names: DnList, keys: Keys, banned: Optional[BannedSigners] = None
) -> Receiver:
    """The receiver that receiver.cfg describes. Raises ConfigError, StorageError."""
    own = settings.certificates
    trust = TrustStore(own.capath, own.check_crls, own.allow_proxies)
    figures = ReceiverFigures(settings, REASONS.values())
    banned = load_banned(settings, banned)
    receiver = Receiver(settings.messaging.path, trust, names, keys, banned, figures)
    receiver.cap = RejectCap(receiver.reject, settings.reject.max_mb, settings.reject.max_days)
    return receiver


def load_banned(settings: Any, before: Optional[BannedSigners] = None) -> BannedSigners:
    """The banned signers of [auth]. Raises ConfigError if there is a file that can't be read.

    `before`: those that were in force, whose last good list must not be lost with its file.
    """
    own = settings.auth
    if before is not None and before.names.path == own.banned_dns:
        before.most_kept = own.banned_kept
        return before
    if before is not None and len(before.names) and not os.path.lexists(own.banned_dns):
        raise ConfigError(
            "[auth] banned-dns: there is no %s, and %d are banned." % (own.banned_dns, len(before.names))
        )
    return BannedSigners(own.banned_dns, own.banned_kept)


def load_keys(settings: Any) -> Keys:
    """Our certificate and key, to open what is encrypted for us. Raises SigningError if they are no good.

    Through a directory they are not needed: without them, only encrypted messages are rejected.
    """
    own = settings.certificates
    if settings.receiver.protocol == DIRECTORY and not os.path.exists(own.key):
        log.info("No key at %s: messages that are encrypted will be rejected.", own.key)
        return Decryptor([])
    return KeyRing(own.certificate, own.key)


class _Loop:
    """Moves messages from the transport to the receiver."""

    def __init__(self, receiver: Receiver, transport: Transport, stop: Any, idle: Optional[float]) -> None:
        self.receiver = receiver
        self.transport = transport
        self.stop = stop
        self.idle = 0.0 if idle is not None and transport.empty_is_drained else idle
        self.backoff = Backoff(1.0, 60.0)
        self._next_beat = 0.0

    def run_for_ever(self) -> None:
        """Connect and pump until asked to stop, whatever the broker does.

        systemd hears at once that we are ready: a broker that is away at boot is no failure of ours.
        """
        notify("READY=1")
        while not self.stop.is_set():
            try:
                self.run_once()
            except TransportError as err:
                self._after(str(err))
            except Exception as err:  # the edge: no answer of another service may end a daemon
                log.exception("The connection failed in a way that should not be possible")
                self._after("%s: %s." % (type(err).__name__, err))
        say_whether_it_ends(self.stop)

    def _after(self, trouble: str) -> None:
        wait = self.backoff.next()
        log.warning("%s Trying again in %.0f seconds.", trouble, wait)
        self._pause(wait)

    def run_once(self) -> None:
        """Connect, and pump until idle or asked to stop. Raises TransportError."""
        try:
            self.transport.connect()
            notify("STATUS=Connected.")
            self._pump()
        finally:
            self.transport.close()

    def _pump(self) -> None:
        quiet = 0.0
        wait = POLL_SECONDS if self.idle is None else min(POLL_SECONDS, self.idle)
        while not self.stop.is_set():
            delivery = self.transport.receive(wait)
            self._beat()
            self.backoff.reset()
            if delivery is not None:
                quiet = 0.0
                self._handle(delivery)
                continue
            quiet += wait
            if self.idle is not None and quiet >= self.idle:
                return

    def _handle(self, delivery: Delivery) -> None:
        if self._insist(lambda: self.receiver.take(delivery)):
            self.transport.acknowledge(delivery)

    def _insist(self, work: Callable[[], None]) -> bool:
        """Do the work, waiting out a full disk or a missing CA directory; whether it was done."""
        backoff = Backoff(1.0, 60.0)
        while True:
            try:
                work()
                return True
            except Transient as err:
                wait = backoff.next()
                log.error("%s Nothing is acknowledged; trying again in %.0f seconds.", err, wait)
                if self.idle is not None:
                    raise
                if self._pause(wait):
                    return False

    def _pause(self, seconds: float) -> bool:
        return wait_and_beat(self.stop, seconds, self._rest)

    def _rest(self) -> None:
        try:
            self.receiver.rest()
        except OSError as err:
            log.warning("The reject queue can't be looked through: %s", err)

    def _beat(self) -> None:
        """Let systemd know that we live; not for every message of a flood."""
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + 1.0
            notify("WATCHDOG=1")
            self._rest()
