"""What became of a message: which records are refused, and why, in the words of the reject queue."""

import itertools
from operator import attrgetter
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from apel.errors import RecordError
from apel.messages import Message, Rejected, encode, join
from apel.records import Record

REASONS_SHOWN = 5


class Outcome(NamedTuple):
    """What became of a message: its format, its records stored and rejected, and why rejected."""

    format: str
    stored: int
    rejected: int
    reason: str = ""


class Verdict(NamedTuple):
    """What became of a message, and what of it belongs into `reject`, if anything."""

    outcome: Outcome
    body: Optional[str]


def refusal(format: str, body: str, reason: str, records: int = 0) -> Verdict:
    """A message refused whole."""
    return Verdict(Outcome(format, 0, records, reason), body)


def verdict_on(message: Message, body: str, unstored: Sequence[Tuple[Any, str]] = ()) -> Verdict:
    """A message whose records are stored, but for these, each with the reason. body: all of it as it came."""
    refused = sorted(message.rejected + as_rejected(message, unstored), key=attrgetter("number"))
    count = len(message.records) - len(unstored)
    if refused and count:
        body = join([one.text for one in refused], message.format)
    outcome = Outcome(message.format, count, len(refused), reasons(refused))
    return Verdict(outcome, body if refused else None)


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
