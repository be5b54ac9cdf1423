"""The options of apelcollect: what /etc/apel/collect.cfg may say."""

import re
import shlex
from typing import Callable, List

from apelcommon.config import LOGGING, Option, OptionTable
from apelcommon.metrics import METRICS

INTRODUCTION = """How apelcollect asks the batch system for the jobs that ended; docs/collect.md tells more.
"""


def at_least(least: int) -> Callable[[str], int]:
    """The kind of an option that is a whole number, and no less than `least`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < least:
            raise ValueError("is %r, but must be a whole number, %d or more" % (text, least))
        return int(text)

    return read


def shell_words(text: str) -> List[str]:
    """The words of a command line, quoted as in a shell."""
    try:
        return shlex.split(text)
    except ValueError as err:
        raise ValueError("is %r: %s" % (text, err)) from None


def stem(text: str) -> str:
    """The beginning of a file's name."""
    if "/" in text or text.startswith("."):
        raise ValueError(
            "is %r, but must be the beginning of a file name, without / or a dot in front" % text
        )
    return text


COLLECT: List[Option] = [
    Option(
        "collect",
        "parser_config",
        "path",
        "/etc/apel/parser.cfg",
        "The configuration of apelparser: the logs go where its [batch] dir says.",
    ),
    Option(
        "collect",
        "dir",
        "path",
        "",
        "The directory for the logs, where this host has no parser_config. Empty: what parser_config says.",
    ),
    Option(
        "collect",
        "prefix",
        stem,
        "",
        "What the names of the logs begin with. Empty: slurm_acc or accounting, as with the old scripts.",
    ),
    Option(
        "collect",
        "first_days",
        at_least(1),
        30,
        "How many days back the first run goes (a later one goes on where the last one ended).",
    ),
    Option(
        "collect",
        "overlap_hours",
        at_least(0),
        None,
        "How far before the end of the last run a run begins, since some jobs become known late. A job that "
        "is in two logs is stored once. Not given: 24 for SLURM; 264 for HTCondor, where a job may stay in "
        "the queue for 10 days after its end.",
        sample="24",
    ),
    Option(
        "collect",
        "settle_minutes",
        at_least(0),
        5,
        "Jobs that ended so short a time ago are left to the next run.",
    ),
    Option(
        "collect",
        "timeout_minutes",
        at_least(1),
        30,
        "A command of the batch system that takes longer is stopped, and the run has failed.",
    ),
    Option(
        "collect",
        "keep_days",
        at_least(0),
        0,
        "Logs that apelcollect wrote so many days ago are deleted. 0: none is.",
    ),
    Option("collect", "sacct", "path", "sacct", "SLURM: the command, with its path if cron doesn't find it."),
    Option(
        "collect",
        "states",
        "words",
        ["CD", "F", "TO", "NF", "PR", "CA", "OOM", "DL"],
        "SLURM: the states of jobs that have ended. A SLURM before 17.11 doesn't know OOM.",
    ),
    Option("collect", "sacct_arguments", shell_words, [], "SLURM: more arguments, such as --clusters=north."),
    Option(
        "collect",
        "condor_history",
        "path",
        "condor_history",
        "HTCondor: the command, with its path if cron doesn't find it.",
    ),
    Option(
        "collect",
        "condor_history_arguments",
        shell_words,
        [],
        "HTCondor: more arguments, such as -name schedd2.example.org.",
    ),
]

TABLE = OptionTable(
    "apelcollect",
    [*COLLECT, *METRICS, *LOGGING("/var/log/apel/apelcollect.log")],
    introduction=INTRODUCTION,
)
