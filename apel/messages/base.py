"""What a message is once read: its records, and those that were refused, each with its reason."""

from typing import List, NamedTuple, Sequence, Type

from apel.errors import RecordError
from apel.records import Record


class Rejected(NamedTuple):
    """One record that breaks a rule.

    number: its place in the message, from 1.
    text: a message of its own, header included, holding only this record as it was sent.
    error: the field and the reason.
    """

    number: int
    text: str
    error: RecordError


class Message(NamedTuple):
    """The good records in the order of the message, and the others."""

    format: str
    record_class: Type[Record]
    records: Sequence[Record]
    rejected: List[Rejected]
