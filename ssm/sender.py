"""Sends the messages that wait in a queue: signed, encrypted if wanted, removed when there are receipts."""

import logging
from typing import Any, NamedTuple, Optional

from ssm.credentials import load_credentials, load_receiver
from ssm.envelope import Encryptor
from ssm.errors import StorageError
from ssm.figures import SenderFigures
from ssm.options import check_sender
from ssm.outbound import Outbound, ReceiptTimeout, Sent
from ssm.queues import FileQueue, open_outgoing
from ssm.smime import Signer
from ssm.transport import open_transport
from ssm.trust import TrustStore

__all__ = ["ReceiptTimeout", "Sent", "load_encryptor", "send_queue"]

log = logging.getLogger("ssmsend")


def send_queue(settings: Any, stop: Any = None) -> Sent:
    """Send all messages of the queue that `settings` (of sender.cfg) name.

    `stop` (with `is_set()`) ends it early. Raises ConfigError, SigningError (nothing was removed) or
    TransportError, ReceiptTimeout, StorageError (what was not confirmed stays in the queue).
    """
    check_sender(settings)
    figures = SenderFigures(settings)
    queue = open_outgoing(settings.messaging.path, settings.messaging.path_type)
    try:
        return _send_all(settings, queue, stop, figures)
    except OSError as err:
        raise StorageError("The queue %s: %s." % (queue.path, err)) from err
    finally:
        figures.ran({"outgoing": queue})


def _send_all(settings: Any, queue: FileQueue, stop: Any, figures: SenderFigures) -> Sent:
    queue.purge()
    if not any(True for _ in queue.ids()):
        log.info("No messages found to send.")
        figures.success = True
        return Sent(0, 0, 0)
    credentials = load_credentials(settings.certificates.certificate, settings.certificates.key)
    log.info("Messages will be signed using %s", credentials.name)
    sealer = _Sealer(credentials.signer(), load_encryptor(settings.certificates))
    transport = open_transport(settings.sender.protocol, settings)
    run = Outbound(queue, sealer.seal, transport, settings.messaging, stop)
    try:
        transport.connect()
        run.send_all()
        figures.success = not run.failed
    finally:
        run.finish()
        transport.close()
        figures.sent.add(run.sent)
        figures.failed.add(run.failed)
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
        """What goes over the line. Raises SigningError."""
        signed = self.signer.sign(text)
        return self.encryptor.encrypt(signed) if self.encryptor else signed
