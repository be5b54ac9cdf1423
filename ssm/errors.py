"""What can go wrong in the messenger, by what is to be done about it."""

from apelcommon.errors import Permanent, Transient


class CryptoError(Permanent):
    """A message that doesn't verify; the text is the reason, fit for the reject queue."""


class SigningError(Permanent):
    """Our own certificate or key can't be used: nothing can be sent until that is put right."""


class QueueError(Permanent):
    """An element of a queue that isn't what its schema says."""


class StorageError(Transient):
    """The disk under a queue refuses to write (full, read-only, failing): nothing may be acknowledged."""


class TrustError(Transient):
    """The CA directory is gone or empty: no verdict on any signer is possible until it is back."""


class TransportError(Transient):
    """The broker or hand-over directory doesn't answer, or refuses: messages stay where they are."""


class TooLarge(TransportError):
    """The other side takes no message of that size: it must be split. `identifier`: its id, if told."""

    def __init__(self, reason: str, identifier: str = "") -> None:
        super().__init__(reason)
        self.identifier = identifier
