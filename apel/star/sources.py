"""What is asked how full it is: file systems, their quotas, and a Ceph cluster's buckets, images and pools.

Formats: statvfs(3); `repquota --output=csv` (quota-tools, in KiB whatever the block size); the JSON of
`radosgw-admin bucket stats`, of `rbd du` and of `ceph df`, as Ceph's documentation and its tests show them.
"""

import json
import os
from fractions import Fraction
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from apel.star.filesystems import file_system
from apelcommon.errors import Permanent, Transient

KIB = 1024
#: Categories of a bucket's usage that hold no data here: marks of deletion, and what is in another cloud.
NOT_HERE = frozenset(["rgw.none", "rgw.cloudtiered"])
#: The category of whole objects; `rgw.multimeta` is of uploads that are not complete.
OBJECTS = "rgw.main"

#: What reading JSON of another form raises. OverflowError: 1e400 is a number there, and infinite here.
NOT_AS_EXPECTED = (AttributeError, KeyError, TypeError, ValueError, OverflowError)

QUOTA_COLUMNS = (
    *("BlockStatus", "FileStatus", "BlockUsed", "BlockSoftLimit", "BlockHardLimit", "BlockGrace"),
    *("FileUsed", "FileSoftLimit", "FileHardLimit", "FileGrace"),
)


class Unreadable(Permanent):
    """Output that is not what was asked for; the text says why."""


class Usage(NamedTuple):
    """How full something is. Sizes are bytes: used with all overhead, logical without, allocated at most.

    share, path: what it is. user, group: whose, as the system calls them; about: by what else its VO is told.
    """

    share: str
    used: int
    logical: Optional[int] = None
    allocated: Optional[int] = None
    files: Optional[int] = None
    path: Optional[str] = None
    user: Optional[str] = None
    group: Optional[str] = None


#: Runs a command and gives its output.
Run = Callable[[Sequence[str]], bytes]


class Source(NamedTuple):
    """One thing to ask: what it is; the commands, from the section [star]; and what their outputs say.

    Each command comes with what it is about: a mount point or a pool, '' if there is nothing to say. Without
    commands, `read` looks for itself.
    """

    what: str
    commands: Callable[[Any], List[Tuple[str, List[str]]]]
    read: Callable[[Any, str, bytes], List[Usage]]


# -- file systems ---------------------------------------------------------------------------------


def mounts(options: Any, path: str, output: bytes) -> List[Usage]:
    """A mounted file system. Raises Transient if nothing is: or else the disk below it would count."""
    found = file_system(path)
    if not found.blocks:
        raise Transient("%s: its file system does not say how large it is" % path)
    used = (found.blocks - found.bfree) * found.frsize
    # Some file systems make inodes as they need them and count none; of CephFS, -1 are free.
    counted = found.files and found.ffree <= found.files
    files = found.files - found.ffree if counted else None
    return [Usage(path, used, used, found.blocks * found.frsize, files, path)]


def quotas(options: Any, path: str, output: bytes) -> List[Usage]:
    """The groups, or users, of a file system that have files there."""
    # What is not UTF-8 stays told apart: of two records with one id the second would replace the first.
    lines = output.decode("utf-8", "backslashreplace").splitlines()
    header = [number for number, line in enumerate(lines) if line.split(",")[1:] == list(QUOTA_COLUMNS)]
    if not header:
        raise Unreadable("repquota did not print the columns of --output=csv for %s" % path)
    found = []
    for line in lines[header[0] + 1 :]:
        if line.strip():
            found.append(_quota(options, path, line))
    return [usage for usage in found if usage.used or usage.files]


def _quota(options: Any, path: str, line: str) -> Usage:
    # From the right, since a name may hold a comma.
    name, *fields = line.rsplit(",", len(QUOTA_COLUMNS))
    try:
        of = dict(zip(QUOTA_COLUMNS, fields))
        used, soft, hard = (
            int(of[column]) * KIB for column in ("BlockUsed", "BlockSoftLimit", "BlockHardLimit")
        )
        files = int(of["FileUsed"])
    except (KeyError, ValueError):
        raise Unreadable("repquota printed for %s: %s" % (path, line[:200])) from None
    who = {options.quotas_of: name}
    return Usage(path, used, used, hard or soft or None, files, path, **who)


# -- Ceph -----------------------------------------------------------------------------------------


def buckets(options: Any, about: str, output: bytes) -> List[Usage]:
    """Each bucket of the object gateway; its owner is the user."""
    found = _json(output, "radosgw-admin bucket stats")
    return [_bucket(options, each) for each in (found if isinstance(found, list) else [found])]


def _bucket(options: Any, bucket: Any) -> Usage:
    try:
        usage = {name: each for name, each in bucket["usage"].items() if name not in NOT_HERE}
        stored = sum(_size(each, "size", "size_kb") for each in usage.values())
        actual = sum(_size(each, "size_actual", "size_kb_actual") for each in usage.values())
        files = int(usage[OBJECTS]["num_objects"]) if OBJECTS in usage else 0
        tenant, name, owner = bucket.get("tenant"), bucket["bucket"], bucket["owner"]
        quota = bucket.get("bucket_quota", {})
        most = int(quota.get("max_size", -1)) if quota.get("enabled") else -1
    except NOT_AS_EXPECTED as err:
        raise Unreadable(_NOT_SO % ("radosgw-admin bucket stats", "bucket", _missing(err))) from None
    share = "%s/%s" % (tenant, name) if tenant else name
    used = _replicated(options, actual)
    allocated = _replicated(options, most) if most > 0 else None
    return Usage(share, used, stored, allocated, files, user=owner)


def _size(usage: Dict[str, Any], name: str, in_kib: str) -> int:
    """A size in bytes; older gateways give KiB only."""
    return int(usage[name]) if name in usage else int(usage[in_kib]) * KIB


def images(options: Any, pool: str, output: bytes) -> List[Usage]:
    """All RBD images of a pool, with their snapshots."""
    found = _json(output, "rbd du")
    try:
        listed = found["images"]
        used = sum(int(each["used_size"]) for each in listed)
        heads = [each for each in listed if "snapshot" not in each]
        provisioned = sum(int(each["provisioned_size"]) for each in heads)
    except NOT_AS_EXPECTED as err:
        raise Unreadable(_NOT_SO % ("rbd du", "pool", _missing(err))) from None
    return [Usage(pool, _replicated(options, used), used, _replicated(options, provisioned), len(heads))]


def pools(options: Any, about: str, output: bytes) -> List[Usage]:
    """The pools of a cluster."""
    found = _json(output, "ceph df")
    try:
        listed = [_pool(options, each) for each in found["pools"]]
    except NOT_AS_EXPECTED as err:
        raise Unreadable(_NOT_SO % ("ceph df", "pool", _missing(err))) from None
    absent = set(options.pools) - {usage.share for usage in listed}
    if absent:
        raise Unreadable("[star] pools: the cluster has no pool %s" % ", ".join(sorted(absent)))
    return [usage for usage in listed if not options.pools or usage.share in options.pools]


def _pool(options: Any, pool: Any) -> Usage:
    stats = pool["stats"]
    used, files = int(stats["bytes_used"]), int(stats["objects"])
    if "stored" in stats:
        return Usage(pool["name"], used, int(stats["stored"]), None, files)
    # Before Nautilus: without replication.
    return Usage(pool["name"], _replicated(options, used), used, None, files)


_NOT_SO = "%s did not print what was expected of a %s: %s"


def _missing(err: Exception) -> str:
    return "no %s" % err if isinstance(err, KeyError) else str(err)


def _json(output: bytes, command: str) -> Any:
    try:
        return json.loads(output.decode("utf-8"))
    except (ValueError, RecursionError) as err:
        raise Unreadable("%s printed no JSON: %s" % (command, err)) from None


def _replicated(options: Any, size: int) -> int:
    """A size with all its copies, exact whatever its length."""
    return round(size * Fraction(str(options.replication)))


# -- all of them ----------------------------------------------------------------------------------


def _of_mounts(words: Callable[[Any, str], List[str]]) -> Callable[[Any], List[Tuple[str, List[str]]]]:
    return lambda options: [(path, words(options, path)) for path in mount_points(options.mounts)]


def mount_points(paths: Sequence[str]) -> List[str]:
    """Absolute paths, each once however it is written: /data/ is /data."""
    return list(dict.fromkeys("/" + os.path.normpath(path).lstrip("/") for path in paths))


def _repquota(options: Any, path: str) -> List[str]:
    return [*options.repquota, "--%s" % options.quotas_of, "--output=csv", path]


SOURCES: Dict[str, Source] = {
    "mounts": Source("file systems", _of_mounts(lambda options, path: []), mounts),
    "quotas": Source("quotas", _of_mounts(_repquota), quotas),
    "buckets": Source(
        "buckets",
        lambda options: [("", [*options.radosgw_admin, "bucket", "stats", "--format=json"])],
        buckets,
    ),
    "images": Source(
        "pools of images",
        lambda options: [
            (pool, [*options.rbd, "du", "--pool", pool, "--format=json"]) for pool in options.pools
        ],
        images,
    ),
    "pools": Source("pools", lambda options: [("", [*options.ceph, "df", "--format=json"])], pools),
}
#: The option that must name something for a source.
NEEDED = {"mounts": "mounts", "quotas": "mounts", "images": "pools"}


def ask(source: Source, options: Any, run: Run) -> Iterator[Callable[[], List[Usage]]]:
    """What asks each thing in turn. Each raises Transient or Unreadable."""
    for about, words in source.commands(options):

        def one(about: str = about, words: Sequence[str] = words) -> List[Usage]:
            return source.read(options, about, run(words) if words else b"")

        yield one
