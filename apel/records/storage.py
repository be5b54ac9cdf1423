"""How full a piece of storage was at a time, and who used it."""

from apel.records.base import Record
from apel.records.fields import integer, text, timestamp, tuples


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
