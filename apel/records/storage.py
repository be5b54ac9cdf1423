"""How full a piece of storage was at a time, and who used it."""

import re
from typing import Set, Tuple

from apel.records.base import Record
from apel.records.fields import integer, text, timestamp, tuples
from apel.times import DAY, month_of

#: A snapshot speaks for no more than so many days before and after its moment. Some producers give as
#: StartTime when a thing was made, years ago, or as EndTime a day that never comes.
MOST_DAYS = 31

#: The storage class of a level that there is no more: a centre sends it to those whom it told of it.
VANISHED = "vanished"
_LEVEL = re.compile("summary/[0-9]{4}-[0-9]{2}(-[0-9]{2})?/[0-9a-f]{64}$")


class StorageRecord(Record):
    """A storage accounting record: capacities in bytes.

    GroupAttributes is what is said of the group beside SubGroup and Role, as (type, value).
    """

    __slots__ = ()

    RecordId = text(required=True)
    CreateTime = timestamp(required=True)
    StorageSystem = text(required=True)
    Site = text()
    StorageShare = text()
    StorageMedia = text()
    StorageClass = text()
    FileCount = integer(ge=0)
    DirectoryPath = text()
    LocalUser = text()
    LocalGroup = text()
    UserIdentity = text()
    Group = text()
    SubGroup = text()
    Role = text()
    StartTime = timestamp(required=True)
    EndTime = timestamp(required=True)
    ResourceCapacityUsed = integer(required=True, ge=0)
    LogicalCapacityUsed = integer(ge=0)
    ResourceCapacityAllocated = integer(ge=0)
    GroupAttributes = tuples(text(required=True), text())


def is_level(record_id: str) -> bool:
    """Whether a record is what another centre made of a day or a month: the last that came says all of it."""
    return _LEVEL.match(record_id) is not None


def moment(created: int, start: int, end: int) -> int:
    """The second that a snapshot is of: when it was made, brought into the time for which it is valid.

    That ends before EndTime: a record of a whole day is of that day, not of the next one. Producers measure
    at StartTime and say how long it holds, or at EndTime and say since when: their records are made then.
    A period that ends before it begins is that second of its end.
    """
    start = min(start, end)
    return min(max(created, start), max(end - 1, start))


def span(created: int, start: int, end: int) -> Tuple[int, int]:
    """From when until when (not included) a snapshot speaks for its storage."""
    at = moment(created, start, end)
    start = min(start, end)
    return max(start, at - MOST_DAYS * DAY), min(max(end, at + 1), at + 1 + MOST_DAYS * DAY)


def months_spoken_for(created: int, start: int, end: int) -> Set[Tuple[int, int]]:
    """Every (year, month) whose levels rest on a snapshot, and that in which it ends, where it is counted."""
    first, after = span(created, start, end)
    months = {month_of(time) for time in range(first, after, 28 * DAY)}
    return months | {month_of(after - 1), month_of(end)}
