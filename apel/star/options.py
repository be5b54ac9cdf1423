"""The options of apelstar: what /etc/apel/star.cfg may say."""

from typing import Any, Iterator, List

from apel.collect.options import at_least, shell_words
from apel.identity_file import USUAL_PATH, identity_map
from apelcommon.config import LOGGING, REQUIRED, Option, OptionTable, Settings
from apelcommon.metrics import METRICS

INTRODUCTION = """How apelstar measures storage and writes StAR records; docs/storage.md tells more.
"""

#: RecordIds begin with it, and have 255 characters.
LONGEST_SYSTEM = 150
_MAP: Any = identity_map


def problems(settings: Settings) -> Iterator[str]:
    """What is wrong with options together. Those that are wrong alone are None here."""
    options = settings.star
    if options.storage_system and len(options.storage_system) > LONGEST_SYSTEM:
        yield "[star] storage_system has more than %d characters" % LONGEST_SYSTEM
    if options.replication is not None and options.replication < 1:
        yield "[star] replication must be 1 or more"
    for path in options.mounts or ():
        if not path.startswith("/"):
            yield "[star] mounts: %s does not begin with /" % path


def command_words(text: str) -> List[str]:
    """A command with its arguments, quoted as in a shell; never none."""
    words = shell_words(text)
    if not words:
        raise ValueError("is empty, but must be a command")
    return words


def _command(name: str, usual: str, help: str) -> Option:
    return Option("star", name, command_words, [usual], help, sample=usual)


STAR: List[Option] = [
    Option("star", "site_name", "text", REQUIRED, "The site's name in GOCDB.", sample="EXAMPLE-SITE"),
    Option(
        "star",
        "storage_system",
        "text",
        REQUIRED,
        "The name of the storage system: its host, usually. It is a part of every record's id.",
        sample="se.example.org",
    ),
    Option(
        "star", "dir_location", "path", "/var/spool/apel/", "Messages go to the queue `outgoing` below it."
    ),
    Option(
        "star",
        "valid_hours",
        at_least(1),
        24,
        "How often it is run: for so long a record holds. A second run in that time replaces the first.",
    ),
    Option(
        "star",
        "identity_map",
        _MAP,
        None,
        "The file with the rules that give files their VO, group and role (docs/storage.md). Not given: "
        "records name none.",
        sample=USUAL_PATH,
    ),
    Option("star", "storage_media", "text", "disk", "What it is stored on: disk or tape."),
    Option("star", "storage_class", "text", "", "How it is stored, such as replicated. Empty: not said."),
    Option(
        "star",
        "replication",
        "number",
        1.0,
        "Bytes that a byte takes up: 3 with three replicas, 1.5 with erasure coding 4+2. For buckets and "
        "images, where Ceph doesn't say it.",
    ),
    Option(
        "star",
        "mounts",
        "words",
        [],
        "mounts, quotas: the mount points of file systems, separated by commas.",
        sample="/data1,/data2",
    ),
    Option(
        "star",
        "quotas_of",
        "choice",
        "group",
        "quotas: whose files are told apart, those of unix groups or of users.",
        choices=("group", "user"),
    ),
    Option(
        "star",
        "pools",
        "words",
        [],
        "images: the pools of RBD images. pools: only these; none given: all.",
        sample="volumes,vms",
    ),
    _command("repquota", "repquota", "quotas: the command. It must be root: `sudo -n /usr/sbin/repquota`."),
    _command("radosgw_admin", "radosgw-admin", "buckets: the command, with arguments such as --id=apel."),
    _command("rbd", "rbd", "images: the command, with arguments such as --id=apel."),
    _command("ceph", "ceph", "pools: the command, with arguments such as --id=apel."),
    Option("star", "timeout_minutes", at_least(1), 30, "A command that takes longer is stopped."),
    Option("star", "records_per_message", at_least(1), 500, "At most so many: AMS takes 1 MB."),
]

TABLE = OptionTable(
    "apelstar",
    [*STAR, *METRICS, *LOGGING("/var/log/apel/apelstar.log")],
    introduction=INTRODUCTION,
    check=problems,
)
