"""Storage records of what was measured: when, whose it is, and an id that a second run gives again."""

import hashlib
from typing import Any, List, Optional, Sequence, Tuple

from apel.errors import RecordError
from apel.identity import Credentials, parse_fqan
from apel.records import StorageRecord
from apel.star.sources import Usage
from apel.times import utc_text

ROLE = "Role="
NO_ROLE = "NULL"


def records_of(
    options: Any, kind: str, measured: Sequence[Usage], now: int
) -> Tuple[List[StorageRecord], List[str]]:
    """A record for each, and what is wrong with those that can't be one. options: the section [star]."""
    records: List[StorageRecord] = []
    wrong: List[str] = []
    for usage in measured:
        try:
            records.append(_record(options, kind, usage, now))
        except RecordError as err:
            wrong.append("%s: %s" % (usage.share, err))
    return records, wrong


def _record(options: Any, kind: str, usage: Usage, now: int) -> StorageRecord:
    group, subgroup, role = _owner(options, usage)
    return StorageRecord.of(
        RecordId=_record_id(options, kind, usage, now),
        CreateTime=now,
        StorageSystem=options.storage_system,
        Site=options.site_name,
        StorageShare=usage.share,
        StorageMedia=options.storage_media or None,
        StorageClass=options.storage_class or None,
        FileCount=usage.files,
        DirectoryPath=usage.path,
        LocalUser=usage.user,
        LocalGroup=usage.group,
        Group=group,
        SubGroup=subgroup,
        Role=role,
        StartTime=now,
        EndTime=now + options.valid_hours * 3600,
        ResourceCapacityUsed=usage.used,
        LogicalCapacityUsed=usage.logical,
        ResourceCapacityAllocated=usage.allocated,
    )


def _owner(options: Any, usage: Usage) -> Tuple[Optional[str], Optional[str], Optional[str]]:
    """VO, group below it and role, by the identity map: `group` is the share where there is no unix group."""
    if options.identity_map is None:
        return None, None, None
    who = Credentials(user=usage.user, group=usage.group or usage.share)
    fqan = options.identity_map.fqan_of(who)
    if fqan is None:
        return None, None, None
    vo, group, role = parse_fqan(fqan)
    if group == "/%s" % vo:
        group = None
    if role is not None:
        role = role[len(ROLE) :] if role.startswith(ROLE) else role
    return vo, group, None if role == NO_ROLE else role


def _record_id(options: Any, kind: str, usage: Usage, now: int) -> str:
    """The same for the same thing in the same period, and for nothing else."""
    seconds = options.valid_hours * 3600
    period = utc_text(now - now % seconds).replace(" ", "T") + "Z"
    about = "\n".join(map(str, (options.site_name, usage.share, usage.path, usage.user, usage.group)))
    digest = hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return "%s/sr/%s/%s/%s" % (options.storage_system, kind, period, digest)
