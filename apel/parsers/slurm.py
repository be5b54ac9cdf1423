"""SLURM: lines of `sacct -P`, fifteen fields between bars or those of a header, and `sacct --json`.

JobID|JobName|User|Group|Start|End|Elapsed|CPUTimeRAW or TotalCPU|
Partition|NCPUS|NNodes|NodeList|MaxRSS|MaxVMSize|State
"""

import itertools
from typing import FrozenSet, Iterable, List, Optional, Sequence, Tuple, Union

from apel.errors import ParseError, shown
from apel.parsers import units
from apel.parsers.accelerators import Attached, Cards, attached, first_host, known_gpus
from apel.parsers.base import (
    BLANK,
    HEADER,
    SMALL_NUMBER,
    TOO_LONG,
    Failed,
    Outcome,
    Parser,
    ParserOptions,
    Remembered,
    Skipped,
    name,
)
from apel.parsers.clock import Clock, Offset, host_offset
from apel.parsers.slurmcolumns import Layout, is_usual, names_of
from apel.parsers.slurmjson import BEGIN as JSON_BEGIN
from apel.parsers.slurmjson import END as JSON_END
from apel.parsers.slurmjson import is_around, job_of
from apel.parsers.units import MINUTES
from apel.records import EventRecord, Record
from apel.times import END_OF_TIME

FIELDS = 15
AFTER_NAME = FIELDS - 2
JOB, START, ELAPSED, MAX_RSS, MAX_VM, STATE = 0, 4, 6, 12, 13, 14

INFRASTRUCTURE = "APEL-CREAM-SLURM"

#: States of jobs that have ended and may have used resources.
ENDED: FrozenSet[str] = frozenset(
    ["COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "CANCELLED", "OUT_OF_MEMORY", "DEADLINE"]
)

#: States of jobs that have not ended; sacct prints them again when they have.
NOT_ENDED: FrozenSet[str] = frozenset(
    ["PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "COMPLETING", "STOPPED", "SIGNALING", "STAGE_OUT"]
).union(["SPECIAL_EXIT", "RESV_DEL_HOLD", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESIZING"])

#: States of jobs that ended without running here: the boot failed, or another cluster took the job.
NEVER_RAN: FrozenSet[str] = frozenset(["BOOT_FAIL", "REVOKED"])

#: What stands for a time that has not come.
NO_TIME: FrozenSet[str] = frozenset(["Unknown", "None", "", "N/A"])

AROUND_JOBS = Skipped("JSON around the jobs")
PART_OF_JSON = Skipped("part of a JSON object on several lines")
NOT_STARTED = Skipped("never started")

CANCELLED_BY = "CANCELLED by "

NO_MEMORY = "memory of unknown form, recorded without it"
NO_CPU = "no CPU time, wall time x CPUs taken for it"
MUCH_CPU = "suspicious: CPU time is more than 1.5 x wall time x CPUs"


class Step(Skipped):
    """A job step: never a job of its own, but its memory may complete its job's."""

    job: str
    memory: Tuple[str, str]


class SlurmParser(Parser):
    """EventRecords of sacct lines. Times are of the host's zone (`offset_at`) unless they name another."""

    type_name = "SLURM"
    version = "SLURM/3"

    def __init__(self, options: ParserOptions, offset_at: Offset = host_offset) -> None:
        super().__init__(options)
        self._clock = Clock(offset_at)
        self._hours = self._clock.hours
        self._site, self._machine = options.site, options.machine_name
        self._names = Remembered(name)
        self._counts = Remembered(units.count)
        self._layout: Optional[Layout] = None

    def begin(self, first_line: str) -> None:
        """A header names the columns of its file."""
        self._learn(names_of(first_line.split("|")))

    def _learn(self, names: Optional[List[str]]) -> None:
        self._layout = None if names is None or is_usual(names) else Layout(names)

    def parse(self, line: str) -> Outcome:
        """The EventRecord of a job that ended; Skipped for a step, or a job that didn't run or end."""
        fields = line.split("|")
        if self._layout is None and len(fields) == FIELDS and line[:1] != "{":
            return self._job(fields, None, ())
        if not line[:1].isalnum():
            if not line.strip():
                return BLANK
            if is_around(line):
                return AROUND_JOBS
            if line.lstrip()[:1] == "{":
                job = job_of(line)
                return AROUND_JOBS if job is None else self._job(*job)
        return self._of_columns(line, fields)

    def _of_columns(self, line: str, fields: List[str]) -> Outcome:
        """A line whose columns are those of a header, or whose job's name has bars in it; or a header."""
        names = names_of(fields) if line[:1].isalpha() else None
        if names is not None:
            self._learn(names)
            return HEADER
        if self._layout is None:
            return self._job(_refitted(fields), None, ())
        return self._job(*self._layout.arranged(fields))

    def _job(self, fields: Sequence[str], gpus: Optional[int], cards: Sequence[Cards]) -> Outcome:
        """The outcome of the fifteen fields of a line."""
        if "." in fields[JOB]:
            return _step(fields)
        if fields[STATE] not in ENDED or fields[START] in NO_TIME:
            names = names_of(fields)
            if names is not None:
                self._learn(names)
                return HEADER
            skipped = _not_accounted(fields[STATE], fields[START], fields[ELAPSED])
            if skipped is not None:
                return skipped
        return self._event(fields, gpus, cards)

    def _event(self, fields: Sequence[str], gpus: Optional[int], cards: Sequence[Cards]) -> EventRecord:
        """The record of a job that ended. Raises ParseError, RecordError."""
        job, _, user, group, began, ended, elapsed, used, queue, cpus, nodes, at, real, virtual, _ = fields
        try:
            wall, cores, node_count = units.seconds(elapsed), self._counts[cpus], self._counts[nodes]
            cpu = int(used) if used.isdecimal() else self._cpu_seconds(used, wall * cores)
        except ValueError:
            raise ParseError(_unreadable(elapsed, used, cpus, nodes)) from None
        start, stop = self._times_of(began, ended, wall)
        if 2 * cpu > 3 * wall * cores:
            self.doubt(MUCH_CPU)
        clean = self._names
        record = EventRecord.make(
            (
                self._site,
                job if job.isdecimal() and len(job) < TOO_LONG else _job_name(job),
                clean[user],
                clean[group],
                wall,
                cpu,
                start,
                stop,
                INFRASTRUCTURE,
                self._machine,
                clean[queue],
                self._memory(real) if real else None,
                self._memory(virtual) if virtual else None,
                cores,
                node_count,
                None if gpus is None else known_gpus(self, gpus),
                _attached(cards, at, wall) if cards else None,
                None,
                None,
                None,
            )
        )
        return record.check() if wall > SMALL_NUMBER or cpu > SMALL_NUMBER else record

    def parse_lines(self, lines: Iterable[str]) -> List[Union[Record, Skipped, Failed]]:
        """As for every parser; and a job's memory is the most of its line and of its steps after it."""
        lines = list(lines)
        if any(begin in lines for begin in JSON_BEGIN):
            return self._of_long_json(lines)
        outcomes = super().parse_lines(lines)
        place, job = 0, None
        for number, outcome in enumerate(outcomes):
            if isinstance(outcome, EventRecord):
                place, job = number, outcome
            elif isinstance(outcome, Step) and job is not None:
                outcomes[place] = job = self._completed(job, outcome)
        return outcomes

    def _of_long_json(self, lines: List[str]) -> List[Union[Record, Skipped, Failed]]:
        """Outcomes of lines with JSON objects on many of them: a job's is that of its first line."""
        outcomes: List[Union[Record, Skipped, Failed]] = []
        while len(outcomes) < len(lines):
            first = last = len(outcomes)
            if lines[first] in JSON_BEGIN:
                ends = (place for place in range(first, len(lines)) if lines[place] in JSON_END)
                last = next(ends, len(lines) - 1)
            outcomes += super().parse_lines(["".join(lines[first : last + 1])])
            outcomes += [PART_OF_JSON] * (last - first)
        return outcomes

    def continues(self, line: str) -> bool:
        """Whether the line is of a job step, or inside a JSON object."""
        if line[:1] in (" ", "\t"):
            return line not in JSON_BEGIN
        if self._layout is None:
            return "." in line.partition("|")[0]
        return "." in "".join(line.split("|")[self._layout.job_place : self._layout.job_place + 1])

    def is_whole(self, lines: List[str]) -> bool:
        """Whether a JSON object on many lines has its last brace."""
        return lines[0] not in JSON_BEGIN or any(line in JSON_END for line in lines)

    def _completed(self, job: EventRecord, step: Step) -> EventRecord:
        if step.job != job.JobName:
            return job
        real, virtual = (self._memory(text) if text else None for text in step.memory)
        return job.replace(
            MemoryReal=_most(job.MemoryReal, real), MemoryVirtual=_most(job.MemoryVirtual, virtual)
        )

    def _cpu_seconds(self, text: str, all_cores: int) -> int:
        if text.strip():
            return units.seconds(text)
        self.doubt(NO_CPU)
        return all_cores

    def _memory(self, text: str) -> Optional[int]:
        digits = text[:-1]
        if digits.isdecimal() and text[-1] == "K" and len(digits) < 15:  # what sacct prints for almost all
            return int(digits)
        try:
            return units.memory_kb(text)
        except ValueError:
            self.doubt(NO_MEMORY)
            return None

    def _times_of(self, began: str, ended: str, wall: int) -> Tuple[int, int]:
        """(start, stop); on a day with a change of the clocks, such that the job took `wall` seconds."""
        if began.isdecimal() and ended.isdecimal() and len(began) + len(ended) < 23:
            start, stop = int(began), int(ended)
        else:
            try:
                first, last = self._hours[began[:14]], self._hours[ended[:14]]
                if first is None or last is None:
                    raise ValueError("the clocks change")
                start, stop = first + MINUTES[began[14:]], last + MINUTES[ended[14:]]
            except (KeyError, ValueError):  # or no plain local time: perhaps one of the other forms
                start, stop = self._best_times(began, ended, wall)
        if stop < start:
            raise ParseError("End is before Start")
        if start < 0 or stop >= END_OF_TIME:
            raise ParseError("Start or End is out of range")
        return start, stop

    def _best_times(self, began: str, ended: str, wall: int) -> Tuple[int, int]:
        pairs = itertools.product(self._epochs("Start", began), self._epochs("End", ended))
        return min(pairs, key=lambda pair: abs(pair[1] - pair[0] - wall))

    def _epochs(self, name: str, text: str) -> Tuple[int, ...]:
        try:
            return self._clock.epochs(text)
        except ValueError:
            raise ParseError("%s is not a time" % name) from None


def _refitted(fields: List[str]) -> List[str]:
    """Fifteen fields of more, which bars in the job's name have made (or the last bar of `sacct -p`)."""
    if len(fields) > FIELDS and not fields[-1]:
        fields = fields[:-1]
    if len(fields) < FIELDS:
        raise ParseError("fewer than %d fields" % FIELDS)
    return [fields[0], "|".join(fields[1:-AFTER_NAME]), *fields[-AFTER_NAME:]]


def _attached(cards: Sequence[Cards], hosts: str, wall: int) -> Optional[Tuple[Attached, ...]]:
    """A job's accelerators, of whose hosts the log says nothing but the names: the first stands for all."""
    host = first_host(hosts)
    return attached([card._replace(host=host) for card in cards], wall)


def _job_name(text: str) -> Optional[str]:
    """The id of a job of an array (123_4) or of a heterogeneous one (123+0)."""
    if not text.lstrip()[:1].isdecimal():
        raise ParseError("JobID is no number")
    return name(text)


def _step(fields: Sequence[str]) -> Step:
    step = Step("job step")
    step.job = fields[JOB].partition(".")[0].strip()
    step.memory = (fields[MAX_RSS], fields[MAX_VM])
    return step


def _not_accounted(state: str, began: str, elapsed: str) -> Optional[Skipped]:
    """Why a job with this state is not accounted; None if it is. Raises ParseError for an unknown state."""
    if state in NOT_ENDED:
        return Skipped("state %s: not ended" % state)
    if state in NEVER_RAN:
        return Skipped("state %s: never ran" % state)
    if state not in ENDED and not state.startswith(CANCELLED_BY):
        return _strange(state)
    if began in NO_TIME:
        return NOT_STARTED
    return Skipped("cancelled before it ran") if not elapsed.strip("0:") else None


def _strange(state: str) -> Skipped:
    """'CANCELLED+' (sacct without -P) can't be told; but a state that a newer SLURM has must not be lost."""
    word = state.rstrip("+").upper()
    if state != word and any(known.startswith(word) for known in ENDED | NOT_ENDED | NEVER_RAN):
        return Skipped("state cut short or in lower case")
    raise ParseError("unknown state %s" % shown(state, 30))


def _unreadable(elapsed: str, used: str, cpus: str, nodes: str) -> str:
    """Which of a job's numbers can't be read."""
    for field, text in (("Elapsed", elapsed), ("NCPUS", cpus), ("NNodes", nodes), ("CPU time", used)):
        try:
            units.seconds(text) if field in ("Elapsed", "CPU time") else units.count(text)
        except ValueError:
            return "%s is of unknown form" % field if text.strip() else "%s is empty" % field
    return "a number is out of range"


def _most(one: Optional[int], other: Optional[int]) -> Optional[int]:
    known = [value for value in (one, other) if value is not None]
    return max(known) if known else None
