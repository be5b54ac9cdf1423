"""Grid Engine (SGE, OGS, SoGE, Univa and Altair GE, OCS): lines of its accounting file, accounting(5).

45 fields between colons, to which the commercial flavours append more; GE 6.0 and 6.1 had 43:

qname:hostname:group:owner:job_name:job_number:account:priority:submission_time:start_time:end_time:failed:
exit_status:ru_wallclock:(17 fields of rusage):project:department:granted_pe:slots:task_number:cpu:mem:io:
category:iow:pe_taskid:maxvmem:arid:ar_submission_time[:job_class:qdel_info:maxrss:…]

OCS 9 writes a JSON object instead (accounting.jsonl).
"""

import json
from operator import itemgetter
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple, Union

from apel.errors import ParseError, RecordError
from apel.parsers import units
from apel.parsers.base import (
    BLANK,
    SMALL_NUMBER,
    Failed,
    Outcome,
    Parser,
    ParserOptions,
    Remembered,
    Skipped,
    name,
)
from apel.records import EventRecord, Record
from apel.records.fields import is_number
from apel.times import END_OF_TIME

FIELDS, LEAST_FIELDS = 45, 43

#: Places of fields that are looked at when a line's fields have to be found again.
JOB_NAME, JOB_NUMBER, PRIORITY, CATEGORY, MAXRSS = 4, 5, 7, 39, 47

#: The most colons looked for in a job's name, and in its category.
MOST_COLONS = 200

#: qname, hostname, group, owner, job_number, start_time, end_time, ru_wallclock, ru_maxrss, slots,
#: task_number, cpu, pe_taskid, maxvmem
USED = itemgetter(0, 1, 2, 3, 5, 9, 10, 13, 16, 34, 35, 36, 41, 42)

INFRASTRUCTURE = "APEL-CREAM-SGE"

NO_TASK = "NONE"
NOT_AN_ARRAY = "0"
UNSCALED = (1.0, 1.0)

COMMENT = Skipped("comment")
NOT_STARTED = Skipped("never started")

NO_MEMORY = "memory of unknown form, recorded without it"
MUCH_CPU = "suspicious: CPU time is more than 1.5 x wall time x slots"
LONG_WALL = "suspicious: ru_wallclock is longer than end_time - start_time"
UNCLAIMED = "CPU time of slave tasks whose job was not read in the same run"

#: Larger numbers than these are milliseconds (Univa GE 8.2 and newer), and microseconds (OCS 9).
MOST_SECONDS, MOST_MILLISECONDS = 10**11, 10**14

#: Jobs whose slave tasks have ended that are remembered; the oldest are forgotten, and stay counted.
MOST_WAITING = 100000

#: What OCS 9 calls the fields of USED; some lie deeper in the object.
JSON_NAMES = ["qname", "hostname", "group", "owner", "job_number", "start_time", "end_time", "ru_wallclock"]
JSON_NAMES += ["ru_maxrss", "slots", "task_number", "cpu", "pe_taskid", "maxvmem", "maxrss", "wallclock"]


class Slave(Skipped):
    """A task of a parallel job that qmaster logged by itself: never a job of its own."""

    job: str
    cpu_seconds: int


class SGEParser(Parser):
    """EventRecords of Grid Engine's accounting file.

    Wall and CPU time are multiplied by the host's factors in the options. Times in milliseconds are known
    by their size, whatever ge_ms_timestamps says. CPU time of slave tasks is added to their job.
    """

    type_name = "SGE"
    version = "SGE/1"

    def __init__(self, options: ParserOptions) -> None:
        super().__init__(options)
        self._site, self._machine = options.site, options.machine_name
        self._parallel = options.parallel
        self._factors: Mapping[str, Tuple[float, float]] = options.host_factors or {}
        self._names = Remembered(name)
        self._counts = Remembered(units.count)
        self._slaves: Dict[str, List[int]] = {}

    def parse(self, line: str) -> Outcome:
        """The EventRecord of a line; Skipped for a comment, a slave task, or a job that never started."""
        fields = line.split(":")
        if not (len(fields) == FIELDS or _is_extended(fields)) or not (
            fields[JOB_NUMBER].isdecimal() and _is_whole(fields[PRIORITY])
        ):
            text = line.strip()
            if not text:
                return BLANK
            if text[0] == "#":
                return COMMENT
            if text[0] == "{":
                return self._of_json(text)
            fields = _refitted(fields)
        return self._event(USED(fields), fields[MAXRSS] if len(fields) > MAXRSS else "")

    def parse_lines(self, lines: Iterable[str]) -> List[Union[Record, Skipped, Failed]]:
        """As for every parser; and a job's CPU time is that of its line and of its slave tasks' lines.

        Those stand before the job's own line as a rule; they are remembered for it from call to call.
        """
        outcomes = super().parse_lines(lines)
        if self._slaves or any(type(outcome) is Slave for outcome in outcomes):
            self._claim(outcomes)
        return outcomes

    def _claim(self, outcomes: List[Union[Record, Skipped, Failed]]) -> None:
        places: Dict[str, int] = {}
        for place, outcome in enumerate(outcomes):
            if isinstance(outcome, Slave):
                self._remember(outcome)
            elif isinstance(outcome, EventRecord):
                places[outcome.JobName] = place
                outcomes[place] = self._completed(outcome)
        for job in [job for job in self._slaves if job in places]:
            record = outcomes[places[job]]
            if isinstance(record, EventRecord):
                outcomes[places[job]] = self._completed(record)

    def _remember(self, slave: Slave) -> None:
        if len(self._slaves) >= MOST_WAITING:
            del self._slaves[next(iter(self._slaves))]
        self._slaves.setdefault(slave.job, []).append(slave.cpu_seconds)
        self.doubt(UNCLAIMED)

    def _completed(self, job: EventRecord) -> Union[EventRecord, Failed]:
        """The job with the CPU time of its slave tasks so far; Failed if no column can hold it."""
        used = self._slaves.pop(job.JobName, None)
        if used is None:
            return job
        self.doubts[UNCLAIMED] -= len(used)
        if not self.doubts[UNCLAIMED]:
            del self.doubts[UNCLAIMED]
        try:
            return job.replace(CpuDuration=job.CpuDuration + sum(used)).check()
        except RecordError as err:
            return Failed(str(err))

    def _event(self, used: Tuple[str, ...], maxrss: str) -> Outcome:
        queue, host, group, owner, number, began, ended, wall, rss, slots, task, cpu, pe_task, vmem = used
        try:
            wall_time = int(wall) if wall.isdecimal() and len(wall) < 10 else units.rounded(wall)
            cpu_time = units.rounded(cpu)
            cores = self._counts[slots]
        except ValueError:
            raise ParseError(_unreadable(wall, cpu, slots)) from None
        elapsed, much = wall_time, cpu_time > 1.5 * wall_time * cores
        if self._factors:
            cpu_factor, wall_factor = self._factors.get(host, UNSCALED)
            cpu_time, wall_time = int(cpu_time * cpu_factor), int(wall_time * wall_factor)
        job = number if task == NOT_AN_ARRAY else _array_job(number, task)
        if pe_task != NO_TASK:
            return _slave(job, cpu_time)
        start, stop = _moment("start_time", began), _moment("end_time", ended)
        if not 0 < start <= stop < END_OF_TIME:
            return _not_started(start, stop, elapsed)
        if elapsed > stop - start + 1:
            self.doubt(LONG_WALL)
        if much:
            self.doubt(MUCH_CPU)
        names = self._names
        record = EventRecord.make(
            (
                self._site,
                job,
                names[owner],
                names[group],
                wall_time,
                cpu_time,
                start,
                stop,
                INFRASTRUCTURE,
                self._machine,
                names[queue],
                self._real(rss, maxrss),
                self._memory(vmem, 1024),
                cores if self._parallel else 0,
                0,
                None,
                None,
                None,
                None,
                None,
            )
        )
        if wall_time > SMALL_NUMBER or cpu_time > SMALL_NUMBER or len(job) > 20:
            return record.check()
        return record

    def _real(self, rss: str, maxrss: str) -> Optional[int]:
        """Resident memory in kB: maxrss in bytes, where there is one; or else ru_maxrss, in kB."""
        return (self._memory(maxrss, 1024) if maxrss else None) or self._memory(rss, 1)

    def _memory(self, text: str, unit: int) -> Optional[int]:
        """A size in kB of one in units; None for zero, which says that it wasn't measured."""
        if text in ("0", "0.0", "0.000000"):
            return None
        try:
            return units.rounded(text) // unit or None
        except ValueError:
            self.doubt(NO_MEMORY)
            return None

    def _of_json(self, text: str) -> Outcome:
        """The outcome of a line of OCS 9's accounting.jsonl."""
        try:
            found: Any = json.loads(text)
            values = [_text(_flat(found), key) for key in JSON_NAMES]
        except (ValueError, RecursionError):
            raise ParseError("not a JSON object") from None
        *used, maxrss, wall = values
        for place, default in ((7, wall), (8, "0"), (10, NOT_AN_ARRAY), (12, NO_TASK), (13, "0")):
            used[place] = used[place] or default
        if used[5] in ("", "0") and not used[7].strip("0."):
            return NOT_STARTED
        if not _is_whole(used[4]):
            raise ParseError("job_number is of unknown form")
        return self._event(tuple(used), maxrss)


def _is_whole(text: str) -> bool:
    """Whether it is a whole number, negative or not."""
    return text.isdecimal() or (text[:1] == "-" and text[1:].isdecimal())


def _array_job(number: str, task: str) -> str:
    """The id of a task of an array job; tasks share the job's number, and may end in the same second."""
    if not task.isdecimal():
        raise ParseError("task_number is of unknown form")
    return "%s.%s" % (number, task)


def _slave(job: str, cpu_seconds: int) -> Slave:
    slave = Slave("slave task, its CPU time is its job's")
    slave.job = job
    slave.cpu_seconds = cpu_seconds
    return slave


def _moment(field: str, text: str) -> int:
    """Epoch seconds of a time in seconds, milliseconds or microseconds. Raises ParseError."""
    if not text.isdecimal() or len(text) > 18:
        raise ParseError("%s is not a time" % field)
    value = int(text)
    if value < MOST_SECONDS:
        return value
    return (value + 500) // 1000 if value < MOST_MILLISECONDS else (value + 500000) // 1000000


def _not_started(start: int, stop: int, wall: int) -> Skipped:
    """The outcome for a job whose times aren't those of one that ran."""
    if start == 0 or stop == 0:
        if wall == 0:
            return NOT_STARTED
        raise ParseError("ru_wallclock without start_time or end_time")
    raise ParseError("end_time is before start_time" if stop < start else "a time is out of range")


def _unreadable(wall: str, cpu: str, slots: str) -> str:
    """Which of a job's numbers can't be read."""
    for field, text in (("ru_wallclock", wall), ("cpu", cpu)):
        try:
            units.rounded(text)
        except ValueError:
            return "%s is not a number of seconds" % field
    return "slots is of unknown form"


# -- lines with more colons, or fewer -----------------------------------------------------------


def _is_extended(fields: List[str]) -> bool:
    """Whether fields are appended and nothing else is different: a quick look that saves _refitted."""
    if len(fields) < FIELDS or fields[41] != NO_TASK or not is_number(fields[40]):
        return False
    return "".join([*fields[8:13], fields[34], fields[35], fields[43], fields[44]]).isdecimal()


def _refitted(fields: List[str]) -> List[str]:
    """The fields in their places, where colons in job_name and category have moved them.

    The numbers after each tell how far; so it doesn't matter how many fields are appended at the end.
    """
    if len(fields) < LEAST_FIELDS:
        raise ParseError("fewer than %d fields" % LEAST_FIELDS)
    spare = min(len(fields) - LEAST_FIELDS, MOST_COLONS)
    for moved in range(spare + 1):
        if _is_head(fields, moved):
            for more in range(moved, spare + 1):
                if _is_tail(fields, more):
                    return _joined(fields, moved, more)
    raise ParseError("the fields are not those of accounting(5)")


def _joined(fields: List[str], moved: int, more: int) -> List[str]:
    """The fields, those of job_name and of category in one each; older files get those that they lack."""
    found = fields[:JOB_NAME]
    found.append(":".join(fields[JOB_NAME : JOB_NUMBER + moved]))
    found += fields[JOB_NUMBER + moved : CATEGORY + moved]
    found.append(":".join(fields[CATEGORY + moved : CATEGORY + 1 + more]))
    found += fields[CATEGORY + 1 + more :]
    return found + ["0"] * (FIELDS - len(found))


def _is_head(fields: List[str], moved: int) -> bool:
    """Whether the fields from job_number to io are where they belong, but `moved` to the right."""
    number = JOB_NUMBER + moved
    return (
        fields[number].isdecimal()
        and all(map(_is_whole, fields[PRIORITY + moved : 13 + moved]))
        and all(map(is_number, fields[13 + moved : 31 + moved]))
        and all(map(_is_whole, fields[34 + moved : 36 + moved]))
        and all(map(is_number, fields[36 + moved : 39 + moved]))
    )


def _is_tail(fields: List[str], moved: int) -> bool:
    """Whether iow, pe_taskid, maxvmem, and the reservation if there is one, are `moved` to the right."""
    iow, task, vmem = fields[40 + moved : 43 + moved]
    reservation = fields[43 + moved : 45 + moved]
    return is_number(iow) and not is_number(task) and is_number(vmem) and all(map(_is_whole, reservation))


# -- JSON ---------------------------------------------------------------------------------------


def _flat(found: Any) -> Dict[str, Any]:
    """The values of an object and of the objects in it, by their own names; the outer ones win."""
    if not isinstance(found, dict):
        raise ValueError("not an object")
    flat: Dict[str, Any] = {}
    for value in found.values():
        if isinstance(value, dict):
            flat.update(_flat(value))
    flat.update((key, value) for key, value in found.items() if not isinstance(value, dict))
    return flat


def _text(flat: Mapping[str, Any], key: str) -> str:
    """A value as it would stand between colons; '' if there is none."""
    value = flat.get(key)
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
