"""What can be wrong with a record or a log line, said so that its sender can put it right."""

from typing import Optional

from apelcommon.errors import Permanent


class RecordError(Permanent):
    """A record, or a whole message, that breaks a rule and is refused.

    field: the name of the field to blame, or '' when it is the record or message as a whole.
    reason: one printable line for the sender.
    number: which record of the message, counted from 1, where that is known.
    """

    def __init__(self, field: str, reason: str, number: Optional[int] = None) -> None:
        self.field = field
        self.reason = reason
        self.number = number
        super().__init__(f"{field}: {reason}" if field else reason)


class OfTheFuture(RecordError):
    """A record of a time that is still to come: or else it is our own clock that is wrong."""


class ParseError(Permanent):
    """A log line that can't be understood; its reason holds none of its data, so that it can be counted."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def shown(text: str, most: int = 80) -> str:
    """Text from outside as it may stand in an error: one line, printable, at most about `most` characters."""
    short = text if len(text) <= most else text[:most] + "..."
    return short if short.isprintable() else repr(short)[1:-1]
