"""PBS: accounting logs of Torque, PBS Pro and OpenPBS, `date;type;job id;name=value name=value …`.

Where values come from: docs/batch-pbs.md. Formats: the accounting chapters of the Torque administrator's
guide and of the PBS Professional reference guide.
"""

import re
from typing import List, Optional, Tuple

from apel.errors import ParseError
from apel.parsers import units
from apel.parsers.accelerators import attached, known_gpus
from apel.parsers.base import (
    BLANK,
    SMALL_NUMBER,
    Outcome,
    Parser,
    ParserOptions,
    Remembered,
    Skipped,
    name,
    own_name,
)
from apel.parsers.pbsplaces import Place, Values, asked_for, cards_of, exec_hosts, gpus_of
from apel.records import EventRecord
from apel.times import END_OF_TIME

INFRASTRUCTURE = "APEL-CREAM-PBS"

#: A run that ended, and a run that ended by its job going back into the queue (PBS Pro gives its usage).
END, RERUN = "E", "R"

WALL, CPU = "resources_used.walltime", "resources_used.cput"

NOT_STARTED = Skipped("never started")
WHOLE_ARRAY = Skipped("a job array as a whole: its jobs have lines of their own")

NO_WALL = "no wall time, end - start taken for it"
NO_CPU = "no CPU time, recorded as 0"
NO_MEMORY = "memory of unknown form, recorded without it"
NO_PLACE = "exec_host missing or of unknown form, cores and nodes as asked for"
MUCH_CPU = "suspicious: CPU time is more than 1.5 x wall time x cores"

#: Texts of places are remembered if they are no longer than this.
SHORT = 256

#: Stands for a value in quotes, whose blanks part no values; few of them are wanted.
QUOTE_HELD = "\x01"
HELD = "=" + QUOTE_HELD
_QUOTED = re.compile(r'="[^"]*"(?!\S)')

#: What almost every line begins with; names with blanks and without quotes are not like that.
_WHO = re.compile(r"user=(\S*) group=(\S*) [^\s=]+=")

#: What is wanted of almost every line: a third of all its values.
_WANTED = re.compile(
    r" (queue|start|end|exec_(?:host|vnode|gpus)|"
    r"resources_used\.(?:walltime|cput|v?mem|ngpus)|Resource_List\.ngpus)=(\S*)"
)

#: `name=value`, the value in quotes if it has blanks; or a word that belongs to the value before it.
_ITEM = re.compile(r"""([^\s=]+)=("[^"]*"(?!\S)|'[^']*'(?!\S)|\S*)|(\S+)""")


class PbsParser(Parser):
    """EventRecords of the lines for ended runs of jobs. All times in them are epochs: no zone matters."""

    type_name = "PBS"
    version = "PBS/1"

    def __init__(self, options: ParserOptions) -> None:
        super().__init__(options)
        self._site, self._machine, self._parallel = options.site, options.machine_name, options.parallel
        self._names = Remembered(name)
        self._places = Remembered(exec_hosts)

    def parse(self, line: str) -> Outcome:
        """The EventRecord of a run that ended; Skipped for other lines, and for jobs that never started."""
        parts = line.split(";", 3)
        if (len(parts) < 4 or parts[1] != END) and not _is_rerun(parts):
            return _other(line, parts)
        job = own_name(parts[2])
        if job is None:
            raise ParseError("no job id")
        if "[]" in job:
            return WHOLE_ARRAY
        values = wanted(parts[3])
        started = values.get("start")
        if started is None or started == "0":
            return _not_started(parts[3])
        start, stop = _epoch(started, "start"), _epoch(values.get("end", ""), "end")
        if stop < start:
            raise ParseError("end is before start")
        return self._event(job, (start, stop), values, parts[3])

    def _event(self, job: str, times: Tuple[int, int], values: Values, text: str) -> EventRecord:
        get, names = values.get, self._names
        start, stop = times
        gpus = self._gpus(values, text) if "gpu" in text else None
        wall, cpu = self._durations_of(values, stop - start)
        nodes, cores = self._place(values, text) if self._parallel else (0, 0)
        if cores and 2 * cpu > 3 * wall * cores:
            self.doubt(MUCH_CPU)
        record = EventRecord.make(
            (
                self._site,
                job,
                names[get("user", "")],
                names[get("group", "")],
                wall,
                cpu,
                start,
                stop,
                INFRASTRUCTURE,
                self._machine,
                names[get("queue", "")],
                self._memory(get("resources_used.mem")),
                self._memory(get("resources_used.vmem")),
                cores,
                nodes,
                gpus,
                attached(cards_of(values, gpus), wall) if gpus else None,
                None,
                None,
                None,
            )
        )
        if wall > SMALL_NUMBER or cpu > SMALL_NUMBER or cores > SMALL_NUMBER or nodes > SMALL_NUMBER:
            return record.check()
        return record

    def _gpus(self, values: Values, text: str) -> Optional[int]:
        return known_gpus(self, gpus_of(attributes(text) if ":gpus=" in text else values))

    def _durations_of(self, values: Values, elapsed: int) -> Tuple[int, int]:
        """(wall, CPU) in seconds. A mother superior that died, or a platform, may leave them out."""
        wall, cpu = values.get(WALL), values.get(CPU)
        if wall is None:
            self.doubt(NO_WALL)
        if cpu is None:
            self.doubt(NO_CPU)
        try:
            return (
                elapsed if wall is None else units.seconds(wall),
                0 if cpu is None else units.seconds(cpu),
            )
        except ValueError:
            raise ParseError("%s or %s is of unknown form" % (WALL, CPU)) from None

    def _memory(self, text: Optional[str]) -> Optional[int]:
        if text is None:
            return None
        digits = text[:-2]
        if digits.isdecimal() and text[-2:] == "kb" and len(digits) < 14:  # what PBS prints for almost all
            return int(digits)
        try:
            return units.size_kb(text)
        except ValueError:
            self.doubt(NO_MEMORY)
            return None

    def _place(self, values: Values, text: str) -> Tuple[int, int]:
        """(nodes, cores): hosts as exec_host has them; CPUs as exec_vnode has them, if it does."""
        hosts, vnodes = values.get("exec_host"), values.get("exec_vnode")
        try:
            if vnodes is None:
                return self._read_place(hosts or "")
            place = self._read_place(vnodes)
            if hosts is None:
                return place
            by_host = self._read_place(hosts)
            return by_host.nodes, place.cores or by_host.cores
        except ValueError:  # missing, or a form that we don't know
            self.doubt(NO_PLACE)
            return asked_for(attributes(text))

    def _read_place(self, text: str) -> Place:
        return self._places[text] if len(text) < SHORT else exec_hosts(text)


def wanted(text: str) -> Values:
    """As `attributes`, and quicker: only the values that make an event, of a line of the usual form."""
    plain = _QUOTED.sub(HELD, text) if '"' in text else text
    who = _WHO.match(plain)
    if who is None or '"' in plain or "\t" in plain or ("'" in plain and "='" in plain):
        return attributes(text)
    values = dict(_WANTED.findall(plain, who.end(2)))
    values["user"], values["group"] = who.groups()
    if plain is not text and QUOTE_HELD in "".join(values.values()):
        return attributes(text)
    return values


def attributes(text: str) -> Values:
    """All values of a line by name; of several with one name the last, but the first user and group.

    User and group come first in a line, before anything whose text a user may choose.
    """
    pairs = _pairs(text)
    values = dict(pairs)
    if len(values) != len(pairs):
        values.update((key, value) for key, value in reversed(pairs) if key in ("user", "group"))
    return values


def _pairs(text: str) -> List[List[str]]:
    """Names and values of a text whose values may have blanks: in quotes (PBS Pro) or not (Torque)."""
    pairs: List[List[str]] = []
    for key, value, word in _ITEM.findall(text):
        if word:
            if not pairs:
                raise ParseError("a word without = before the first name")
            pairs[-1][1] += " " + word
        else:
            if value[:1] in ('"', "'") and value[:1] == value[-1:] and len(value) > 1:
                value = value[1:-1]
            pairs.append([key, value])
    return pairs


def _not_started(text: str) -> Skipped:
    """The outcome for a job without a start, for which PBS writes its end and status all the same."""
    if " end=" not in text and "Exit_status=" not in text:
        raise ParseError("neither start nor end: the line is cut")
    return NOT_STARTED


def _epoch(text: str, field: str) -> int:
    if not (text.isdecimal() and len(text) < 11):
        raise ParseError("%s is %s" % (field, "no epoch" if text else "missing"))
    epoch = int(text)
    if epoch >= END_OF_TIME:
        raise ParseError("%s is out of range" % field)
    return epoch


def _is_rerun(parts: List[str]) -> bool:
    """Whether a job went back into the queue, and the line has the usage of its run."""
    return len(parts) == 4 and parts[1] == RERUN and WALL + "=" in parts[3]


def _other(line: str, parts: List[str]) -> Skipped:
    """Why a line that isn't the end of a run has no record. Raises ParseError if it is no line of PBS."""
    if not line.strip():
        return BLANK
    kind = parts[1] if len(parts) > 2 else ""
    if len(kind) != 1 or not ("A" <= kind <= "Z" or "a" <= kind <= "z"):
        raise ParseError("not of the form date;type;job;attributes")
    if kind == END:
        raise ParseError("an end of a job without attributes")
    return Skipped("record type %s: not the end of a run" % kind)
