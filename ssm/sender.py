"""Sends the messages that wait in a queue: signed, several on the way, removed when the broker has them."""

import logging
import time
from typing import Any, Dict, NamedTuple, Optional

from apelcommon.errors import Permanent
from ssm.credentials import load_credentials, load_receiver
from ssm.envelope import Encryptor
from ssm.errors import SigningError, StorageError, TransportError
from ssm.options import check_sender
from ssm.queues import FileQueue, open_outgoing
from ssm.smime import Signer
from ssm.transport import Transport, open_transport
from ssm.trust import TrustStore

log = logging.getLogger("ssmsend")


class Sent(NamedTuple):
    """What a run did: messages that were sent, that can't be (empty, unreadable), and that still wait."""

    sent: int
    failed: int
    left: int


def send_queue(settings: Any, stop: Any = None) -> Sent:
    """Send all messages of the queue that `settings` (of sender.cfg) name.

    `stop` (with `is_set()`) ends it early. Raises ConfigError, SigningError (nothing was removed) or
    TransportError, ReceiptTimeout, StorageError (what was not confirmed stays in the queue).
    """
    check_sender(settings)
    queue = open_outgoing(settings.messaging.path, settings.messaging.path_type)
    try:
        return _send_all(settings, queue, stop)
    except OSError as err:
        raise StorageError("The queue %s: %s." % (queue.path, err)) from err


def _send_all(settings: Any, queue: FileQueue, stop: Any) -> Sent:
    queue.purge()
    if not any(True for _ in queue.ids()):
        log.info("No messages found to send.")
        return Sent(0, 0, 0)
    credentials = load_credentials(settings.certificates.certificate, settings.certificates.key)
    log.info("Messages will be signed using %s", credentials.name)
    encryptor = load_encryptor(settings.certificates)
    transport = open_transport(settings.sender.protocol, settings)
    run = _Run(queue, _Sealer(credentials.signer(), encryptor), transport, settings.messaging, stop)
    try:
        transport.connect()
        run.send_all()
    finally:
        run.finish()
        transport.close()
    return run.result()


def load_encryptor(own: Any) -> Optional[Encryptor]:
    """What encrypts for [certificates] server_cert; None if messages are only to be signed.

    Raises SigningError, or TrustError if the CA directory is unusable.
    """
    if not own.server_cert:
        return None
    trust = TrustStore(own.capath) if own.verify_server_cert else None
    return load_receiver(own.server_cert, trust, own.cipher)


class _Sealer(NamedTuple):
    """Signs messages, then encrypts them if there is somebody to encrypt them for."""

    signer: Signer
    encryptor: Optional[Encryptor]

    def seal(self, text: bytes) -> bytes:
        signed = self.signer.sign(text)
        return self.encryptor.encrypt(signed) if self.encryptor else signed


class _Run:
    """One pass over the queue."""

    def __init__(
        self, queue: FileQueue, sealer: _Sealer, transport: Transport, options: Any, stop: Optional[Any]
    ) -> None:
        self.queue = queue
        self.sealer = sealer
        self.transport = transport
        self.window = options.window
        self.receipt_timeout = options.receipt_timeout
        self.stop = stop
        self.on_the_way: Dict[str, int] = {}
        self.sent = 0
        self.failed = 0

    def send_all(self) -> None:
        """Send every message that nobody else has locked; returns when each has its receipt."""
        for element in self.queue.ids():
            if self.stop is not None and self.stop.is_set():
                log.info("Asked to stop: what is not yet sent stays in the queue.")
                break
            while len(self.on_the_way) >= self.window:
                self._take_receipts()
            self._send(element)
        while self.on_the_way:
            self._take_receipts()

    def _send(self, element: str) -> None:
        try:
            locked = self.queue.lock(element)
        except (PermissionError, NotADirectoryError) as err:
            self.failed += 1
            log.error("Message %s can't be locked: %s; it stays in the queue.", element, err)
            return
        if not locked:
            log.warning("Message %s is locked by another process; skipped.", element)
            return
        try:
            body = self._readable(element)
            signed = self.sealer.seal(body) if body is not None else b""
        except SigningError:
            self.queue.unlock(element)
            raise
        except OSError as err:
            self.queue.unlock(element)
            self.failed += 1
            log.error("Message %s can't be read: %s; it stays in the queue.", element, err)
            return
        if signed:
            self.on_the_way[element] = len(signed)
            self.transport.send(element, signed)

    def _readable(self, element: str) -> Optional[bytes]:
        """The text of a message, or None for one that no receiver would take: that is put aside."""
        body = self.queue.read(element)
        reason = _unfit(body)
        if not reason:
            return body
        place = self.queue.put_aside(element, reason)
        self.failed += 1
        log.error("Message %s can't be sent: %s. It is now %s", element, reason, place)
        return None

    def _take_receipts(self) -> None:
        deadline = time.monotonic() + self.receipt_timeout
        confirmed = self.transport.confirmed(min(1.0, self.receipt_timeout))
        while not confirmed:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise ReceiptTimeout("No receipt within %.0f seconds." % self.receipt_timeout)
            confirmed = self.transport.confirmed(min(1.0, remaining))
        self._remove(confirmed)

    def _remove(self, confirmed: Any) -> None:
        for element in confirmed:
            size = self.on_the_way.pop(element, None)
            if size is not None:
                self.queue.remove(element)
                self.sent += 1
                log.info("Message %s sent (%d bytes).", element, size)

    def finish(self) -> None:
        """Take the receipts that have come, and give back what has none."""
        try:
            if self.on_the_way:
                self._remove(self.transport.confirmed(0))
        except TransportError:
            log.debug("No more receipts: the connection has ended")
        for element in self.on_the_way:
            self.queue.unlock(element)
            log.warning("Message %s: no receipt; it stays in the queue.", element)
        self.on_the_way.clear()
        log.info("Messages: %d sent, %d failed, %d left in the queue.", *self.result())

    def result(self) -> Sent:
        """What was done."""
        return Sent(self.sent, self.failed, self.queue.count())


class ReceiptTimeout(Permanent):
    """The broker took messages but confirmed none of them in time: they stay in the queue."""


def _unfit(body: bytes) -> str:
    """Why a message can't be sent, or nothing."""
    if not body.strip():
        return "the message is empty"
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as err:
        return "the message is not UTF-8: %s" % err
    return ""
