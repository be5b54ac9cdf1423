"""HTCondor: lines of `condor_history`, ten or eleven attributes between bars, or a JSON object each.

GlobalJobId|Owner|RemoteWallClockTime|RemoteUserCpu|RemoteSysCpu|JobStartDate|EnteredCurrentStatus|
ResidentSetSize_RAW|ImageSize_RAW|RequestCpus[|multiplier[|AuthTokenIssuer|AuthTokenSubject[|AuthTokenGroups]]][|]

`condor_history -format` prints nothing at all for an attribute that a job lacks, so that the columns behind
it move to the left. Such a line is told by its numbers (docs/batch-htcondor.md), and fails. JSON names its
attributes, so nothing can move there. The batch-* files of HTCondor-CE have the form with bars.
"""

import json
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Optional, Tuple, Union

from apel.errors import ParseError, RecordError
from apel.identity import BAD_TOKEN, TOKEN_PARTS, Token, groups_text, is_users, token_groups
from apel.parsers import units
from apel.parsers.accelerators import (
    GPU,
    MOST_CARDS,
    UNREAD,
    Attached,
    Cards,
    attached,
    known_gpus,
    known_name,
)
from apel.parsers.base import (
    BLANK,
    Failed,
    Outcome,
    Parser,
    ParserOptions,
    Remembered,
    Skipped,
    name,
    own_name,
)
from apel.parsers.classad import UNDEFINED, text_of, token_of_job
from apel.records import EventRecord, Record
from apel.records.fields import is_number
from apel.times import END_OF_TIME

ATTRIBUTES = 10

INFRASTRUCTURE = "APEL-CREAM-HTCONDOR"

NOT_STARTED = Skipped("never started")
BRACKET = Skipped("bracket or comma of a JSON array")
PART_OF_JSON = Skipped("part of a JSON object on several lines")
UNFINISHED = Failed("a JSON object that does not end")

#: What lines of JSON begin with; and what those do that continue an object (condor_history indents).
JSON_BEGINS: FrozenSet[str] = frozenset("{[],}")
INSIDE_JSON: FrozenSet[str] = frozenset(" \t}")

#: The first line of an object that is on several lines.
LONG_JSON: FrozenSet[str] = frozenset(["{", "[{", ",{"])

NO_MEMORY = "memory undefined or of unknown form, recorded without it"
MUCH_CPU = "suspicious: CPU time is more than 1.5 x wall time x cores"
LONG_WALL = "suspicious: wall time is longer than from the first start to the end"
NOT_SCALED = "has ApelSpecs but no ApelScaling, recorded unscaled"

#: Earlier than any job of HTCondor; most numbers that a moved column holds are smaller.
EARLIEST = 500000000

#: Seconds (31 years) that no job takes, but that a moment in the place of a duration always has.
ENDLESS = 10**9

#: Seconds by which wall time may be longer than from start to end: the times are taken one after the other.
SLACK = 60

#: A process has no less memory mapped, in kB; a number of cores in the place of ImageSize is smaller.
LEAST_IMAGE = 1024

MOST_CORES = 10**6
MOST_MULTIPLIER = 1000.0

MOVED = "%s: a column is missing or there is one too many"

#: The attributes of a job in JSON, each the first of these with a value; ClassAd names have no case.
NAMES: Tuple[Tuple[str, ...], ...] = (
    ("globaljobid",),
    ("owner",),
    ("remotewallclocktime",),
    ("remoteusercpu",),
    ("remotesyscpu",),
    ("jobstartdate", "jobcurrentstartdate"),
    ("enteredcurrentstatus", "completiondate"),
    ("residentsetsize_raw", "residentsetsize"),
    ("imagesize_raw", "imagesize"),
    ("requestcpus", "cpusprovisioned"),
    ("machineattrapelscaling0", "apelscaling"),
)
#: GPUs: how many, or else which ('CUDA0, CUDA1'), or else how many were asked for.
GIVEN_GPUS, ASSIGNED_GPUS, WANTED_GPUS = ("gpusprovisioned",), ("assignedgpus",), ("requestgpus",)
GPU_MODEL = ("machineattrgpus_devicename0", "machineattrcudadevicename0", "gpus_devicename", "cudadevicename")
GPU_HOST = ("lastremotehost",)
#: GPUs busy on average over the last run: up to as many as there are.
GPU_USAGE, RUNS = ("gpusaverageusage",), ("numjobstarts",)
#: The attributes that tell of GPUs.
GPUS = (*GIVEN_GPUS, *ASSIGNED_GPUS, *WANTED_GPUS, *GPU_MODEL, *GPU_HOST, *GPU_USAGE, *RUNS)
MOST_COLUMNS = ATTRIBUTES + 1 + len(TOKEN_PARTS)
COLUMNS = ["GlobalJobId", "Owner", "RemoteWallClockTime", "RemoteUserCpu", "RemoteSysCpu"]
COLUMNS += ["JobStartDate", "EnteredCurrentStatus", "ResidentSetSize_RAW", "ImageSize_RAW", "RequestCpus"]

#: JobStatus of jobs that have ended: removed, completed.
ENDED = (3, 4)
NOT_ENDED = (1, 2, 5, 6, 7)

Number = Union[int, float]
#: Wall and CPU time, start, stop, cores, resident and virtual memory in kB.
Measured = Tuple[Number, Number, int, int, int, Optional[int], Optional[int]]


class HTCondorParser(Parser):
    """EventRecords of condor_history. Wall and CPU time are multiplied by the last column, if it is there."""

    type_name = "HTCondor"
    version = "HTCondor/1"

    def __init__(self, options: ParserOptions) -> None:
        super().__init__(options)
        self._site, self._machine = options.site, options.machine_name
        self._names = Remembered(_name)
        self._multipliers = Remembered(_multiplier)

    def parse(self, line: str) -> Outcome:
        """The EventRecord of a job; Skipped for one that never started."""
        if line[:1] in JSON_BEGINS:
            text = line.strip("[], \t")
            return self._of_json(text) if text else BRACKET if line.strip() else BLANK
        fields = line.split("|")
        if not fields[-1].strip():
            fields.pop()
        if len(fields) == ATTRIBUTES:
            fields.append("")
        elif len(fields) != ATTRIBUTES + 1:
            if not fields:
                return BLANK
            return self._of_many_columns(fields)
        return self._record(fields)

    def parse_lines(self, lines: Iterable[str]) -> List[Union[Record, Skipped, Failed]]:
        """As for every parser; JSON objects may be on several lines, each brace on a line of its own.

        A line without multiplier between lines that have one lacks a column.
        """
        lines = list(lines)
        if "{" in lines:
            return self._of_long_json(lines)
        outcomes = super().parse_lines(lines)
        bars = [line.count("|") - (line[-1:] == "|") for line in lines]
        if ATTRIBUTES in bars and ATTRIBUTES - 1 in bars:
            first, last = bars.index(ATTRIBUTES), len(bars) - bars[::-1].index(ATTRIBUTES)
            for place in range(first, last):
                if bars[place] == ATTRIBUTES - 1 and isinstance(outcomes[place], EventRecord):
                    outcomes[place] = Failed(MOVED % "one column fewer than in the lines around")
        return outcomes

    def continues(self, line: str) -> bool:
        """Whether the line is of a JSON object, but not its beginning."""
        return line[:1] in INSIDE_JSON

    def is_whole(self, lines: List[str]) -> bool:
        """Whether a JSON object on many lines has its last brace."""
        return lines[0].rstrip() not in LONG_JSON or any(line[:1] == "}" for line in lines)

    def _of_long_json(self, lines: List[str]) -> List[Union[Record, Skipped, Failed]]:
        """One outcome for each line; that of an object stands at its last line."""
        outcomes: List[Union[Record, Skipped, Failed]] = []
        collected: List[str] = []
        for line in lines:
            if collected and line[:1] in INSIDE_JSON:
                collected.append(line)
            else:
                outcomes += [UNFINISHED] * len(collected)
                collected = [line]
            if collected[0].rstrip() not in LONG_JSON:
                outcomes += super().parse_lines(collected)
                collected = []
            elif line[:1] == "}":
                outcomes += [PART_OF_JSON] * (len(collected) - 1)
                outcomes += super().parse_lines([" ".join(collected)])
                collected = []
        return outcomes + [UNFINISHED] * len(collected)

    def _of_many_columns(self, fields: List[str]) -> Outcome:
        """The outcome of a line with the columns of a token, or with a wrong number.

        Without a token, issuer and subject are empty, and the last of them looks like a bar at the end.
        """
        if len(fields) == ATTRIBUTES + 2 and not fields[-1].strip():
            fields = [*fields, ""]
        if not ATTRIBUTES + 2 < len(fields) <= MOST_COLUMNS:
            few = len(fields) < ATTRIBUTES
            raise ParseError("fewer than 10 columns" if few else "more than 11 columns, and not a token's")
        issuer, subject, *groups = fields[ATTRIBUTES + 1 :]
        return self._with_token(self._record(fields[: ATTRIBUTES + 1]), issuer, subject, "".join(groups))

    def _with_token(self, outcome: Outcome, issuer: str, subject: str, groups: str) -> Outcome:
        """A job isn't lost for a token that can't stand in a record."""
        if not isinstance(outcome, EventRecord) or not (issuer or subject):
            return outcome
        try:
            token = Token(self._names[issuer], self._names[subject])
        except RecordError:
            self.doubt(BAD_TOKEN)
            return outcome
        if not is_users(token.issuer):
            return outcome
        kept = groups_text(token_groups(groups))
        return outcome.replace(TokenIssuer=token.issuer, TokenSubject=token.subject, TokenGroups=kept)

    def _record(self, fields: List[str]) -> Outcome:
        """The outcome of eleven columns."""
        measured = self._measured(fields)
        if isinstance(measured, Skipped):
            return measured
        wall, cpu, start, stop, cores, rss, image = measured
        try:
            multiplier = self._multipliers[fields[-1]]
        except ValueError:
            raise ParseError("the multiplier is not a number above 0") from None
        job = own_name(fields[0])
        if job is None or job in UNDEFINED:
            raise ParseError("GlobalJobId is empty")
        return EventRecord.make(
            (
                self._site,
                job,
                self._names[fields[1]],
                None,
                int(wall * multiplier),
                int(cpu * multiplier),
                start,
                stop,
                INFRASTRUCTURE,
                self._machine,
                None,
                rss,
                image,
                cores,
                0,
                None,
                None,
                None,
                None,
                None,
            )
        )

    def _measured(self, fields: List[str]) -> Union[Measured, Skipped]:
        """The numbers of a job that ran. Raises ParseError if they can't be those of a job."""
        _, _, wall, user, system, began, ended, real, virtual, cpus, _ = fields
        digits = wall + user + system + began + ended + real + virtual + cpus
        try:
            if not digits.isdecimal() or len(digits) > 100:
                raise ValueError("not all plain numbers")
            wall_time: Number = int(wall)
            cpu_time: Number = int(user) + int(system)
            start, stop, cores = int(began), int(ended), int(cpus)
            rss: Optional[int] = units.whole(real)
            image: Optional[int] = units.whole(virtual)
        except ValueError:  # perhaps one of the rarer forms
            if began in UNDEFINED and (wall in UNDEFINED or not wall.strip("0.")):
                return NOT_STARTED
            wall_time, cpu_time, start, stop, cores = _numbers(fields)
            rss, image = self._memory(real), self._memory(virtual)
        if start == wall_time == 0:
            return NOT_STARTED
        if not (
            EARLIEST < start <= stop < END_OF_TIME
            and cpu_time <= wall_time * cores < ENDLESS
            and wall_time <= stop - start + SLACK
            and cores <= MOST_CORES
        ):
            self._look_closer(wall_time, cpu_time, start, stop, cores)
        if rss and image is not None and image < LEAST_IMAGE <= rss:
            raise ParseError(MOVED % "ImageSize is no size")
        return wall_time, cpu_time, start, stop, cores, rss, image

    def _look_closer(self, wall: Number, cpu: Number, start: int, stop: int, cores: int) -> None:
        """Raise ParseError if the numbers can't be those of a job; count them if they are only odd."""
        if start <= EARLIEST or stop <= EARLIEST or stop >= END_OF_TIME:
            raise ParseError(MOVED % "JobStartDate or EnteredCurrentStatus is no moment")
        if stop < start:
            raise ParseError("EnteredCurrentStatus is before JobStartDate")
        if cores > MOST_CORES:
            raise ParseError(MOVED % "RequestCpus is no number of cores")
        much = cpu > 1.5 * wall * cores
        if wall >= ENDLESS or (much and cpu >= ENDLESS):
            raise ParseError(MOVED % "wall or CPU time is no duration")
        if much:
            self.doubt(MUCH_CPU)
        if wall > stop - start + SLACK:
            self.doubt(LONG_WALL)

    def _memory(self, text: str) -> Optional[int]:
        try:
            return units.rounded(text)
        except ValueError:
            self.doubt(NO_MEMORY)
            return None

    def _of_json(self, text: str) -> Outcome:
        """The outcome of a JSON object."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise ParseError("not a JSON object") from None
        if not isinstance(found, dict):
            raise ParseError("not a JSON object")
        job = {key.lower(): value for key, value in found.items()}
        status = job.get("jobstatus", ENDED[0])
        if status in NOT_ENDED:
            return Skipped("JobStatus %d: not ended" % status)
        if status not in ENDED:
            raise ParseError("JobStatus is none of HTCondor's")
        fields = [text_of(job, names) for names in NAMES]
        outcome = self._record(fields)
        if not isinstance(outcome, EventRecord):
            return outcome
        if not fields[-1] and "machineattrapelspecs0" in job:
            self.doubt(NOT_SCALED)
        gpus = known_gpus(self, _gpus(job))
        if gpus is not None:
            given = _attached(job, gpus, fields[2]) if gpus else None
            outcome = outcome.replace(GPUs=gpus, Accelerators=given)
        return self._with_token(outcome, *token_of_job(job))


def _name(text: str) -> Optional[str]:
    """As for all logs; HTCondor has one more word for what isn't there."""
    return None if text.strip().lower() == "undefined" else name(text)


def _multiplier(text: str) -> float:
    """1.0 for an empty column. ValueError for what can't scale anything."""
    text = text.strip()
    value = units.number(text) if text else 1.0
    if not 0 < value <= MOST_MULTIPLIER:
        raise ValueError("not a multiplier")
    return value


def _numbers(fields: List[str]) -> Tuple[Number, Number, int, int, int]:
    """Wall and CPU time (perhaps with decimals), start, stop and cores; ParseError names the one at fault."""
    found: Dict[str, Any] = {}
    for column, text in list(zip(COLUMNS, fields))[2:]:
        duration = column.startswith("Remote")
        try:
            if duration:
                found[column] = units.number(text)
            elif column in ("JobStartDate", "EnteredCurrentStatus", "RequestCpus"):
                found[column] = units.whole(text)
        except ValueError:
            problem = "undefined" if text in UNDEFINED else "of unknown form"
            raise ParseError("%s is %s" % (column, problem)) from None
        if duration and found[column] < 0:
            raise ParseError("%s is negative" % column)
    cpu = found["RemoteUserCpu"] + found["RemoteSysCpu"]
    return (
        found["RemoteWallClockTime"],
        cpu,
        found["JobStartDate"],
        found["EnteredCurrentStatus"],
        found["RequestCpus"],
    )


def _gpus(job: Mapping[str, object]) -> Optional[int]:
    """How many GPUs a job had; UNREAD if what the log says of that is no number, or more than any job has."""
    given = _count(text_of(job, GIVEN_GPUS))
    if given is None:
        assigned = [gpu for gpu in text_of(job, ASSIGNED_GPUS).split(",") if gpu.strip()]
        given = len(assigned) or _count(text_of(job, WANTED_GPUS))
        if given is None and (text_of(job, GIVEN_GPUS) or text_of(job, WANTED_GPUS)):
            return UNREAD
    return given


def _attached(job: Mapping[str, object], gpus: int, wall: str) -> Optional[Tuple[Attached, ...]]:
    """A job's GPUs, for its wall time as it was, not scaled."""
    seconds = int(units.number(wall))
    host, model = known_name(text_of(job, GPU_HOST).rpartition("@")[2]), known_name(text_of(job, GPU_MODEL))
    used = None
    usage = text_of(job, GPU_USAGE)
    if is_number(usage) and text_of(job, RUNS) in ("", "1"):
        used = round(seconds * min(1.0, max(0.0, float(usage)) / gpus))
    return attached([Cards(host, model, GPU, gpus)], seconds, used)


def _count(text: str) -> Optional[int]:
    """A number of GPUs; None for anything else."""
    return int(text) if text.isdecimal() and len(text) < 9 and int(text) <= MOST_CARDS else None
