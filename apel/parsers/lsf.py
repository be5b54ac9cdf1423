"""LSF: `lsb.acct` of LSF 5 to 10.1, a record a line: blank-separated numbers and "strings" ("" stands for ").

Only JOB_FINISH is a job's end. Its fields, in order, are those of the lsb.acct chapter of the LSF reference:
event type, version, event time, job id, user id, options, numProcessors, submit, begin, term and start time,
user, queue, resReq, dependCond, preExecCmd, fromHost, cwd, inFile, outFile, errFile, jobFile, the number of
asked hosts and their names, the number of execution hosts and their names, job status, host factor, job name,
command, nineteen figures of resource usage (user and system time first), mailUser, projectName, exit status,
maxNumProcessors, loginShell, timeEvent, array index, maxRMem, maxRSwap, and others that vary by version.
"""

import re
from typing import Dict, Iterable, List, Optional, Tuple, Union

from apel.errors import ParseError, shown
from apel.parsers import units
from apel.parsers.accelerators import GPU, MOST_CARDS, NO_GPUS, Cards, attached, known_name
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
from apel.times import END_OF_TIME

INFRASTRUCTURE = "APEL-CREAM-LSF"

FINISH = "JOB_FINISH"

#: Strings of a record, by number; and how many there are between resource usage and memory.
USER, QUEUE, RES_REQ, JOB_FILE = 2, 3, 4, 12
MEMORY_AFTER_USAGE = 4

#: The longest number there is; more digits are garbage.
LONGEST_NUMBER = 32

NOT_STARTED = Skipped("never started")
CONTINUATION = Skipped("continues the record on the line before")
UNPAIRED = "an unpaired quote"

NO_CPU = "CPU time unavailable (-1), recorded as 0"
NO_MEMORY = "memory of unknown form, recorded without it"
MUCH_CPU = "suspicious: CPU time is more than 1.5 x wall time x cores"

#: What all resource requirements that reserve GPUs have.
NGPUS = "ngpus"

#: A reservation of GPUs in rusage[…], perhaps for each task; and their model.
_RUSAGE = re.compile(r"rusage\[([^]]*)\]")
_NGPUS = re.compile(r"\bngpus(?:_physical)?=([0-9]+)(?:\.0*)?(?:/(\w+))?(?![\w.])")
_MODEL = re.compile(r"\bgmodel=([^:,\]]+)")

#: What only resource requirements begin with: no user's text stands in their place.
_REQUIREMENT = re.compile(r"\s*(?:select|order|rusage|span|same|cu|affinity)\[")

#: How every record begins, as opposed to the rest of a record that has line ends in a string.
_BEGINNING = re.compile(r'"[A-Z][A-Z0-9_]{2,39}" "[^"]{1,20}" [0-9]')


class LsfParser(Parser):
    """EventRecords of JOB_FINISH records. All times in them are epochs: no zone matters."""

    type_name = "LSF"
    version = "LSF/1"

    def __init__(self, options: ParserOptions) -> None:
        super().__init__(options)
        self._site, self._machine, self._parallel = options.site, options.machine_name, options.parallel
        self._scale = options.scale_host_factor
        self._names = Remembered(name)

    def parse(self, line: str) -> Outcome:
        """The EventRecord of a job that ended; Skipped for other events, and for jobs that never started."""
        strings, gaps = tokens(line)
        if not strings:
            if line.strip():
                raise ParseError("no string at the beginning")
            return BLANK
        if strings[0] != FINISH:
            return _other(strings[0])
        try:
            ended, job, _, _, _, _, _, _, began = gaps[1].split()
            if began == "0":
                return NOT_STARTED
            record = self._event(job, _times(began, ended), strings, gaps)
            return self._with_gpus(record, strings, gaps) if NGPUS in line else record
        except (ValueError, IndexError):
            raise ParseError("fields are missing, or not where they belong") from None

    def _event(self, job: str, times: Tuple[int, int], strings: List[str], gaps: List[str]) -> EventRecord:
        """The record of a job. Raises ValueError or IndexError where its line is too short, or shifted."""
        hosts, after, status = _execution(strings, gaps)
        user_time, system_time = gaps[after + 2].split()[:2]
        index, real, virtual = self._rest(gaps, after + 2 + MEMORY_AFTER_USAGE)
        factor = _factor(status) if self._scale else 1
        start, stop = times
        wall, cpu = int((stop - start) * factor), self._cpu(user_time, system_time, factor)
        cores, nodes = places(hosts) if self._parallel else (0, 0)
        if cores and 2 * cpu > 3 * wall * cores:
            self.doubt(MUCH_CPU)
        record = EventRecord.make(
            (
                self._site,
                _job_name(job, index),
                self._names[strings[USER]],
                None,
                wall,
                cpu,
                start,
                stop,
                INFRASTRUCTURE,
                self._machine,
                self._names[strings[QUEUE]],
                real,
                virtual,
                cores,
                nodes,
                None,
                None,
                None,
                None,
                None,
            )
        )
        return record.check() if max(wall, cpu, cores) > SMALL_NUMBER else record

    def _with_gpus(self, record: EventRecord, strings: List[str], gaps: List[str]) -> EventRecord:
        """The record with the GPUs that the job's resource requirement names."""
        hosts, after, _ = _execution(strings, gaps)
        cards = gpus_of(_requirement(strings, after + MEMORY_AFTER_USAGE), hosts)
        total = sum(card.number for card in cards or ())
        if cards is None or total > MOST_CARDS:
            self.doubt(NO_GPUS)
            return record
        if not cards:
            return record
        wall = record.StopTime - record.StartTime
        return record.replace(GPUs=int(total), Accelerators=attached(cards, wall))

    def parse_lines(self, lines: Iterable[str]) -> List[Union[Record, Skipped, Failed]]:
        """As for every parser; and a record that has line ends in a string is put together again."""
        lines = list(lines)
        outcomes = super().parse_lines(lines)
        for number, outcome in enumerate(outcomes):
            if type(outcome) is Failed and outcome.reason == UNPAIRED and not self.continues(lines[number]):
                self._rejoin(lines, outcomes, number)
        return outcomes

    def continues(self, line: str) -> bool:
        """Whether the line is not the beginning of a record."""
        return _BEGINNING.match(line) is None

    def is_whole(self, lines: List[str]) -> bool:
        """Whether no string of the record is open."""
        return sum(line.count('"') for line in lines) % 2 == 0

    def _rejoin(self, lines: List[str], outcomes: List[Union[Record, Skipped, Failed]], first: int) -> None:
        """Parse the line with those after it that begin no record, if that is what makes it whole."""
        end = first + 1
        while end < len(lines) and self.continues(lines[end]):
            end += 1
        text = "\n".join(lines[first:end])
        if end > first + 1 and text.count('"') % 2 == 0:
            outcomes[first:end] = [*super().parse_lines([text]), *[CONTINUATION] * (end - first - 1)]

    def _cpu(self, user_time: str, system_time: str, factor: float) -> int:
        """Seconds of CPU, rounded; -1 is what LSF writes where it doesn't know."""
        used = _decimal(user_time), _decimal(system_time)
        if used[0] < 0 or used[1] < 0:
            self.doubt(NO_CPU)
            used = max(0.0, used[0]), max(0.0, used[1])
        return round((used[0] + used[1]) * factor)

    def _rest(self, gaps: List[str], place: int) -> Tuple[str, Optional[int], Optional[int]]:
        """(array index, real memory, virtual memory); the oldest versions have none."""
        numbers = gaps[place].split() if place < len(gaps) else []
        if len(numbers) < 3:
            return "0", None, None
        return numbers[0], self._memory(numbers[1]), self._memory(numbers[2])

    def _memory(self, text: str) -> Optional[int]:
        """KB; anything below 0 is 0."""
        if text.isdecimal() and len(text) < 19:
            return int(text)
        try:
            return max(0, int(units.number(text)))
        except ValueError:
            self.doubt(NO_MEMORY)
            return None


def tokens(line: str) -> Tuple[List[str], List[str]]:
    """The strings of a record, and what stands between each and the next. Raises ParseError."""
    pieces = line.split('"')
    if not len(pieces) % 2:
        raise ParseError(UNPAIRED)
    strings, gaps = pieces[1::2], pieces[2::2]
    if gaps and not gaps[-1]:
        gaps[-1] = " "
    # Nothing between two quotes: they stand for one, and what seemed two strings is one.
    place = 0
    for _ in range(gaps.count("")):
        place = gaps.index("", place)
        del gaps[place]
        strings[place] += '"' + strings.pop(place + 1)
    return strings, gaps


def _execution(strings: List[str], gaps: List[str]) -> Tuple[List[str], int, List[str]]:
    """(execution hosts, number of the last string before the status, [status, host factor]).

    Raises ValueError or IndexError where a line is too short, or has something else in these places.
    """
    place = JOB_FILE
    asked, *numbers = gaps[place].split()
    if not numbers:
        place += units.whole(asked)
        numbers = gaps[place].split()
    count = units.whole(numbers[0])
    if not count:
        return [], place, numbers[1:]
    hosts = strings[place + 1 : place + 1 + count]
    place += count
    return hosts, place, gaps[place].split()


def places(hosts: List[str]) -> Tuple[int, int]:
    """(cores, nodes) of hosts that are named once for each core, or as '16*hostA' (SHORT_EVENTFILE)."""
    nodes, cores = set(), 0
    for host in hosts:
        count, star, short = host.partition("*")
        if star and count.isdecimal() and len(count) < 10:
            nodes.add(short)
            cores += int(count)
        else:
            nodes.add(host)
            cores += 1
    return cores, len(nodes)


def slots_of(hosts: List[str]) -> Dict[str, int]:
    """Hosts, each once, with the cores that a job has there: more than `places`, which every job needs."""
    slots: Dict[str, int] = {}
    for host in hosts:
        cores, _ = places([host])
        short = host.partition("*")[2] if host[:1].isdecimal() and "*" in host else host
        slots[short] = slots.get(short, 0) + cores
    return slots


def _requirement(strings: List[str], behind: int) -> str:
    """The resource requirement that was in force (10.1), or else the one that was asked for."""
    effective = [text for text in strings[behind:] if NGPUS in text and _REQUIREMENT.match(text)]
    return effective[-1] if effective else strings[RES_REQ]


def gpus_of(requirement: str, hosts: List[str]) -> Optional[List[Cards]]:
    """GPUs of 'select[…] rusage[ngpus_physical=2.00]': so many on each host, or for each task.

    None for a form from which they can't be told; nothing where none are reserved.
    """
    reserved = [text for text in _RUSAGE.findall(requirement) if NGPUS in text]
    if not reserved:
        return []
    found = _NGPUS.findall(reserved[0])
    if len(reserved) > 1 or len(found) != 1 or "||" in requirement:
        return None
    (digits, each), model = found[0], _MODEL.search(reserved[0])
    by_task = each in ("task", "slot")
    if not (by_task or each in ("", "host")) or len(digits) > 6:
        return None
    name = known_name(model.group(1)) if model else None
    return [
        Cards(known_name(host), name, GPU, int(digits) * (min(count, MOST_CARDS) if by_task else 1))
        for host, count in slots_of(hosts).items()
    ]


def _other(event: str) -> Skipped:
    """Why a record of another event is none of ours. Raises ParseError for what is no event."""
    if not (event.replace("_", "").isalnum() and event.isupper()):
        raise ParseError("no event of LSF at the beginning")
    return Skipped("event %s: not the end of a job" % shown(event, 40))


def _job_name(job: str, index: str) -> str:
    """The job's id, '4711', or that of one job of an array, '4711[3]'."""
    if not (job.isdecimal() and len(job) < LONGEST_NUMBER):
        raise ParseError("job id is no number")
    if index == "0":
        return job
    if not (index.isdecimal() and len(index) < LONGEST_NUMBER):
        raise ParseError("array index is no number")
    return "%s[%s]" % (job, index)


def _times(began: str, ended: str) -> Tuple[int, int]:
    start, stop = _epoch(began, "start time"), _epoch(ended, "event time")
    if stop < start:
        raise ParseError("event time is before start time")
    return start, stop


def _epoch(text: str, field: str) -> int:
    if not (text.isdecimal() and len(text) < 11 and int(text) < END_OF_TIME):
        raise ParseError("%s is no epoch" % field)
    return int(text)


def _factor(status: List[str]) -> float:
    factor = _decimal(status[1]) if len(status) == 2 else 0.0
    if factor <= 0:
        raise ParseError("host factor is missing, or not above 0")
    return factor


def _decimal(text: str) -> float:
    """'12.5', '-1'. Raises ParseError for anything else that Python takes for a number, such as nan."""
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.replace(".", "", 1).isdecimal() and len(text) < LONGEST_NUMBER):
        raise ParseError("a time or factor is no number")
    return float(text)
