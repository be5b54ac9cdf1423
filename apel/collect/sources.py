"""The batch systems that are asked: each one's command, and what must be true of its output."""

import abc
import json
import re
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

from apel.collect.window import Window
from apel.identity import ORIGINAL, TOKEN_PARTS
from apel.parsers import HTCondorParser, SlurmParser
from apel.times import DAY, utc_text

HOUR = 3600

SACCT_FIELDS: Tuple[str, ...] = (
    *("JobID", "JobName", "User", "Group", "Start", "End", "Elapsed", "TotalCPU", "Partition"),
    *("NCPUS", "NNodes", "NodeList", "MaxRSS", "MaxVMSize", "State"),
    "AllocTRES",  # has the GPUs
)

HEADER = "|".join(SACCT_FIELDS).lower().encode("ascii")

#: Where End stands, from the right: a job's name may have bars in it.
END = SACCT_FIELDS.index("End") - len(SACCT_FIELDS)

#: A time that sacct writes when it doesn't heed SLURM_TIME_FORMAT=%s.
LOCAL_TIME = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T")

#: All that apelparser may look at.
ATTRIBUTES: Tuple[str, ...] = (
    *("GlobalJobId", "Owner", "JobStatus", "RemoteWallClockTime", "RemoteUserCpu", "RemoteSysCpu"),
    *("JobStartDate", "JobCurrentStartDate", "EnteredCurrentStatus", "CompletionDate"),
    *("ResidentSetSize_RAW", "ResidentSetSize", "ImageSize_RAW", "ImageSize"),
    *("RequestCpus", "CpusProvisioned", "RequestGPUs", "GPUsProvisioned", "AssignedGPUs", "GPUsAverageUsage"),
    *("MachineAttrGPUs_DeviceName0", "MachineAttrCUDADeviceName0", "GPUs_DeviceName", "CUDADeviceName"),
    *("LastRemoteHost", "NumJobStarts"),
    *("MachineAttrApelScaling0", "ApelScaling", "MachineAttrApelSpecs0"),
    *(prefix + part for prefix in (ORIGINAL, "") for part in TOKEN_PARTS),
)

BETWEEN_OBJECTS = re.compile(r"[\s,]*")


class Unusable(ValueError):
    """Output that can't be what was asked for; the text says why."""


class Log(NamedTuple):
    """What goes into a log file, and how many lines it has."""

    data: bytes
    lines: int


class Source(abc.ABC):
    """A batch system that is asked for its jobs.

    name: on the command line. batch_type: in parser.cfg. prefix: of the names of its logs.
    environment: what the command finds there. piece_seconds: how much it is asked for at a time.
    """

    name: str
    batch_type: str
    prefix: str
    overlap_hours: int
    piece_seconds: int
    environment: Dict[str, str] = {"TZ": "UTC"}

    @abc.abstractmethod
    def command(self, options: Any, window: Window) -> List[str]:
        """The words of the command; options: the section [collect]."""

    @abc.abstractmethod
    def log(self, output: bytes) -> Log:
        """The log file of an output. Raises Unusable for one that is cut off, or something else."""


class Slurm(Source):
    """`sacct`, which tells a job's memory in the lines of its steps only: so there is no -X.

    Nor is there -n: the header proves that it is sacct's output, and tells apelparser the columns.
    """

    name = "slurm"
    batch_type = SlurmParser.type_name
    prefix = "slurm_acc"
    overlap_hours = 24
    piece_seconds = 7 * DAY
    environment = {"TZ": "UTC", "SLURM_TIME_FORMAT": "%s"}

    def command(self, options: Any, window: Window) -> List[str]:
        """With states of jobs that ended, sacct chooses by the moment of their end."""
        since, until = (utc_text(moment).replace(" ", "T") for moment in window)
        return [
            *(options.sacct, "-a", "-P", "-S", since, "-E", until),
            "--state=%s" % ",".join(options.states),
            "--format=%s" % ",".join(SACCT_FIELDS),
            *options.sacct_arguments,
        ]

    def log(self, output: bytes) -> Log:
        """The output as it is, whatever its bytes. A line that is odd by itself is the parser's to count."""
        if not output.strip():
            return Log(b"", 0)
        if not output.endswith(b"\n"):
            raise Unusable("it ends in the middle of a line")
        header, *lines = output.splitlines()
        if header.strip().lower() != HEADER:
            raise Unusable("its first line does not name the columns that were asked for")
        if any(LOCAL_TIME.match(fields[END]) for fields in _split(lines)):
            raise Unusable("its times are not in epoch seconds, although SLURM_TIME_FORMAT=%s asks for them")
        return Log(output, len(lines))


def _split(lines: Iterable[bytes]) -> Iterator[List[bytes]]:
    """The fields of lines that have enough of them."""
    return (fields for fields in (line.split(b"|") for line in lines) if len(fields) >= len(SACCT_FIELDS))


class HTCondor(Source):
    """`condor_history -json`: attributes are named, so no column can move, and a cut can't be overlooked."""

    name = "htcondor"
    batch_type = HTCondorParser.type_name
    prefix = "accounting"
    # A job that was submitted with its files spooled stays in the queue for 10 days after its end.
    overlap_hours = 11 * 24
    piece_seconds = 31 * DAY  # each time, the whole history is searched

    def command(self, options: Any, window: Window) -> List[str]:
        """Jobs that ran and left their last state, which is their end, within the window."""
        constraint = "JobStartDate > 0 && EnteredCurrentStatus >= %d && EnteredCurrentStatus <= %d" % window
        return [
            *(options.condor_history, "-json", "-constraint", constraint),
            *("-attributes", ",".join(ATTRIBUTES)),
            *options.condor_history_arguments,
        ]

    def log(self, output: bytes) -> Log:
        """A JSON object on each line, whether the command printed an array or objects."""
        lines = [json.dumps(job, sort_keys=True) for job in _objects(_text(output))]
        return Log("".join(line + "\n" for line in lines).encode("ascii"), len(lines))


def _objects(text: str) -> Iterator[Dict[str, Any]]:
    """The objects of JSON text, one after the other. Raises Unusable."""
    text = text.strip()
    array = text.startswith("[")
    end = len(text)
    if array:
        if not text.endswith("]"):
            raise Unusable("its JSON is cut off")
        end -= 1
    decoder = json.JSONDecoder()
    place = _skip(text, 1 if array else 0)
    while place < end:
        try:
            found, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            raise Unusable("it is no JSON, or its JSON is cut off") from None
        if not isinstance(found, dict):
            raise Unusable("its JSON is not of jobs")
        yield found
        place = _skip(text, place)


def _skip(text: str, place: int) -> int:
    found = BETWEEN_OBJECTS.match(text, place)
    return found.end() if found else place


def _text(data: bytes) -> str:
    """UTF-8, or Latin-1 for a line that isn't, as apelparser reads logs."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(_line_text(line) for line in data.splitlines(True))


def _line_text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


_ALL: Sequence[Source] = (Slurm(), HTCondor())

#: By their names on the command line.
SOURCES: Dict[str, Source] = {source.name: source for source in _ALL}
