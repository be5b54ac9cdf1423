"""How messages travel: one small interface, and one module for each way, with its client library."""

import abc
from typing import Any, List, NamedTuple, Optional

from ssm.broker import AMS, DIRECTORY

__all__ = ["Delivery", "Transport", "open_transport"]


class Delivery(NamedTuple):
    """A message that arrived: its id ("" if it came without), its bytes, and what acknowledges it."""

    id: str
    body: bytes
    token: Any


class Transport(abc.ABC):
    """A way for messages. Every method may raise TransportError, after which `close` and start again."""

    # Whether "nothing there" means that there is nothing, rather than nothing yet.
    empty_is_drained = False
    # The most that a message may weigh, if that is known beforehand; 0: the other side will say.
    most = 0

    def weight(self, size: int) -> int:
        """What a message of `size` bytes weighs on the way, in bytes."""
        return size

    @abc.abstractmethod
    def connect(self) -> None:
        """Open the way. Whether it can be used for sending, receiving or both is a matter of rights."""

    def where(self) -> str:
        """Whom `connect` has reached, for people."""
        return "the other side answers"

    @abc.abstractmethod
    def send(self, identifier: str, body: bytes) -> None:
        """Hand a message over; it counts as sent only when `confirmed` has returned its id.

        This or `confirmed` may raise TooLarge, after which as well all begins anew with `connect`.
        """

    @abc.abstractmethod
    def confirmed(self, timeout: float) -> List[str]:
        """Ids of messages that the other side now has durably; waits up to `timeout` s for the first."""

    @abc.abstractmethod
    def receive(self, timeout: float) -> Optional[Delivery]:
        """The next message, or None if none came within `timeout` seconds."""

    @abc.abstractmethod
    def acknowledge(self, delivery: Delivery) -> None:
        """Say that a message is durably ours; without, it comes again."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close the way, as politely as is quick. Never raises."""


def open_transport(protocol: str, settings: Any) -> Transport:
    """The transport for a protocol, not yet connected."""
    if protocol == DIRECTORY:
        from ssm.transport.directory import DirectoryTransport

        return DirectoryTransport(settings.messaging.destination)
    if protocol == AMS:
        from ssm.transport.ams import AmsTransport

        return AmsTransport(settings)
    from ssm.transport.stomp import StompTransport

    return StompTransport(settings)
