"""The options of apelparser: what /etc/apel/parser.cfg may say."""

from typing import Any, Iterable, List

from apel.db.options import DATABASE_OPTIONS
from apel.identity_file import PARSER_HELP, identity_option
from apel.parsers import BATCH_PARSERS
from apelcommon.config import LOGGING, REQUIRED, Option, OptionTable, Settings
from apelcommon.metrics import METRICS

INTRODUCTION = """What apelparser reads, and where it stores it. docs/parsers.md tells how the logs are made.
The file holds a password: keep it readable by its owner only.
"""

PREFIX = "Only files whose names begin with this are read. If given, filename_pattern is not heeded."
PATTERN = "Only files whose names match this regular expression (from their beginning) are read."


def filled(text: str) -> str:
    """Text that must not be empty."""
    if not text:
        raise ValueError("is empty, but must be given")
    return text


def batch_type(text: str) -> str:
    """The name of a batch system, which may be given in any case."""
    return {name.lower(): name for name in BATCH_PARSERS}.get(text.lower(), text)


def _log_options(section: str, folder: str, what: str) -> List[Option]:
    return [
        Option(section, "dir", "path", folder, "The directory with %s." % what),
        Option(section, "subdirs", "boolean", False, "Whether files in its subdirectories are read, too."),
    ]


SITE: List[Option] = [
    Option("site_info", "site_name", filled, REQUIRED, "The site's name in GOCDB."),
    Option(
        "site_info",
        "lrms_server",
        filled,
        REQUIRED,
        "A name for the batch system, unique in the site: jobs carry it as their MachineName.",
    ),
]

BLAH: List[Option] = [
    Option("blah", "enabled", "boolean", REQUIRED, "Whether BLAH logs are read.", sample="true"),
    *_log_options("blah", "/var/log/cream/accounting", "the BLAH logs"),
    Option("blah", "filename_prefix", "text", None, PREFIX, sample="blahp.log"),
    Option("blah", "filename_pattern", "pattern", None, PATTERN, sample="blahp\\.log-\\d{8}"),
    Option(
        "blah", "reparse", "boolean", False, "Whether all files are read again and their records replaced."
    ),
]

BATCH: List[Option] = [
    Option("batch", "enabled", "boolean", REQUIRED, "Whether batch system logs are read.", sample="true"),
    Option(
        "batch", "reparse", "boolean", False, "Whether all files are read again and their records replaced."
    ),
    Option(
        "batch",
        "type",
        batch_type,
        "",
        "The batch system: %s." % ", ".join(BATCH_PARSERS),
    ),
    Option(
        "batch",
        "parallel",
        "boolean",
        False,
        "PBS, SGE, LSF: whether cores and nodes are counted.",
        sample="true",
    ),
    *_log_options("batch", "", "the batch system's logs"),
    Option("batch", "filename_prefix", "text", None, PREFIX, sample="slurm_acc"),
    Option("batch", "filename_pattern", "pattern", None, PATTERN, sample="slurm_acc\\.\\d{8}"),
    Option(
        "batch",
        "scale_host_factor",
        "boolean",
        None,
        "LSF: whether times are scaled by the host factor. Absent: they are not, and a warning says so.",
        sample="false",
    ),
    Option(
        "batch",
        "ge_ms_timestamps",
        "boolean",
        False,
        "Univa Grid Engine 8.2 and newer: times are in milliseconds. Not needed: such times are known.",
    ),
    Option(
        "batch",
        "qhost_file",
        "path",
        "",
        "SGE: a file with the output of qhost -F -xml, which has the hosts' factors cputmult and wallmult. "
        "Empty: the command is run.",
    ),
]

RUN: List[Option] = [
    identity_option("parser", PARSER_HELP),
    Option(
        "parser",
        "lockfile",
        "path",
        "",
        "The file that keeps a second run for the same batch system from starting. Empty: one in "
        "/run/apel or /tmp, named after the batch system and the database.",
    ),
]


def check(settings: Settings) -> Iterable[str]:
    """What is wrong with the options together."""
    batch = settings.batch
    if batch.enabled and batch.type not in BATCH_PARSERS:
        yield _wrong_type(batch.type)
    for name in ("blah", "batch"):
        section = settings.section(name)
        if section.enabled and not section.dir:
            yield "[%s] dir is empty, but [%s] enabled is true" % (name, name)


def _wrong_type(name: Any) -> str:
    why = "is %r, but must be the name of a batch system" % name if name else "is empty"
    return "[batch] type %s; it reads %s" % (why, ", ".join(BATCH_PARSERS))


class ParserTable(OptionTable):
    """The sample puts in force what a new site needs, although the options' absence has another meaning."""

    def sample(self) -> str:
        """The sample configuration file."""
        text = super().sample()
        for line in ("filename_prefix = blahp.log", "parallel = true"):
            text = text.replace("#" + line, line)
        return text


TABLE = ParserTable(
    "apelparser",
    [*DATABASE_OPTIONS, *SITE, *BLAH, *BATCH, *RUN, *METRICS, *LOGGING("/var/log/apelparser.log")],
    {("blah", "parallel"): "has no effect; remove it."},
    introduction=INTRODUCTION,
    check=check,
)
