"""Which records of a message are refused, and why, in the words of the reject queue."""

import itertools
from operator import attrgetter
from typing import Any, List, Sequence, Tuple

from apel.errors import RecordError
from apel.messages import Message, Rejected, encode
from apel.records import Record

REASONS_SHOWN = 5


def without(message: Message, refused: Sequence[Tuple[Any, str]]) -> Message:
    """The message with these of its records, each with a reason, among the rejected ones."""
    out = {id(record) for record, _ in refused}
    return message._replace(
        records=[record for record in message.records if id(record) not in out],
        rejected=sorted(message.rejected + as_rejected(message, refused), key=attrgetter("number")),
    )


def as_rejected(message: Message, refused: Sequence[Tuple[Record, str]]) -> List[Rejected]:
    """The records that are refused, each as a message of its own."""
    if not refused:
        return []
    others = {one.number for one in message.rejected}
    free = (number for number in itertools.count(1) if number not in others)
    # By identity: looking for an equal one takes hours if a large message is refused whole.
    numbers = {id(record): number for record, number in zip(message.records, free)}
    return [
        Rejected(
            numbers[id(record)],
            encode([record], message.format, include_infrastructure_description=True),
            RecordError("", reason),
        )
        for record, reason in refused
    ]


def reasons(refused: List[Rejected]) -> str:
    """The reasons, first ones first, not without bounds."""
    some = ["record %d: %s" % (one.number, one.error) for one in refused[:REASONS_SHOWN]]
    more = len(refused) - len(some)
    return "; ".join(some) + ("; and %d more" % more if more else "")
