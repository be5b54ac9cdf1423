"""SLURM: jobs as `sacct --json` prints them (21.08 and newer), an object on one line or on many.

The names and their nesting are those of the data_parser plugins v0.0.37 to v0.0.42, where numbers may stand
alone or as {"set": true, "infinite": false, "number": 7}, and states as a word or as a list of words.
"""

import json
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from apel.errors import ParseError
from apel.parsers.accelerators import Cards, of_tres, possible

#: The lines between which an object of the list `jobs` stands, where it has many.
BEGIN = ("    {", "\t\t{")
END = ("    }", "    },", "\t\t}", "\t\t},")

#: Lines of JSON on many lines that are not of a job.
_AROUND = re.compile(r'\s*(?:[][{}]+,?|"\w+":(?:\s.*)?|\s"[^"]*",?|\s[\w.+-]+,?)\s*\Z')

MOST = 2**63 - 1


class JsonJob(NamedTuple):
    """The fifteen fields of a job, as columns would have them; its GPUs (or UNREAD) and accelerators."""

    fields: List[str]
    gpus: Optional[int]
    cards: Sequence[Cards]


def is_around(line: str) -> bool:
    """Whether a line is of JSON, and neither a job nor of one."""
    return _AROUND.match(line) is not None


def job_of(text: str) -> Optional[JsonJob]:
    """The job of an object's text; None for an object that is none. Raises ParseError."""
    try:
        job = json.loads(text.strip().rstrip(","))
    except (ValueError, RecursionError):
        raise ParseError("an object that is not JSON") from None
    if not isinstance(job, dict) or "job_id" not in job:
        return None
    time, tres = _object(job, "time"), _object(job, "tres")
    allocated = _counts(tres.get("allocated"))
    memory = _memory(job)
    fields = [
        _id(job),
        "",
        _text(job.get("user")),
        _text(job.get("group")) or _text(job.get("account")),
        _moment(time.get("start")),
        _moment(time.get("end")),
        _number(time.get("elapsed")),
        _seconds(_object(time, "total")),
        _text(job.get("partition")),
        _number(allocated.get("cpu")),
        _number(allocated.get("node")) or _number(job.get("allocation_nodes")),
        _text(job.get("nodes")),
        memory.get("mem", ""),
        memory.get("vmem", ""),
        _state(_object(job, "state").get("current")),
    ]
    cards = of_tres({what: _whole(count) for what, count in allocated.items()})
    return JsonJob(fields, _gpus(allocated), cards)


def _object(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: Any) -> Optional[int]:
    """A number, alone or as an object."""
    if isinstance(value, dict):
        value = value.get("number") if value.get("set") and not value.get("infinite") else None
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST
    return value if good else None


def _number(value: Any) -> str:
    number = _whole(value)
    return "" if number is None else str(number)


def _moment(value: Any) -> str:
    """Epoch seconds; 0 is no moment."""
    return _number(value) if _whole(value) else ""


def _seconds(total: Mapping[str, Any]) -> str:
    """{"seconds": 2, "microseconds": 600000} -> '2.600000'."""
    seconds, micro = _whole(total.get("seconds")), _whole(total.get("microseconds"))
    return "" if seconds is None else "%d.%06d" % (seconds, min(micro or 0, 999999))


def _state(value: Any) -> str:
    """A word, or the first of a list: what follows are flags."""
    return _text(value[0] if isinstance(value, list) and value else value)


def _id(job: Mapping[str, Any]) -> str:
    """The job's id as sacct's JobID has it: 123, 123_4 (array), 123+1 (heterogeneous)."""
    array, het = _object(job, "array"), _object(job, "het")
    for parent, place, sign in ((array, "task_id", "_"), (het, "job_offset", "+")):
        whole, part = _whole(parent.get("job_id")), _whole(parent.get(place))
        if whole and part is not None:
            return "%d%s%d" % (whole, sign, part)
    return _number(job["job_id"])


def _counts(tres: Any) -> Dict[str, Any]:
    """[{"type": "gres", "name": "gpu:a100", "count": 2}, …] -> by type, gres by type/name."""
    items = [item for item in tres if isinstance(item, dict)] if isinstance(tres, list) else []
    counts: Dict[str, Any] = {}
    for item in items:
        kind, name = _text(item.get("type")), _text(item.get("name"))
        counts["%s/%s" % (kind, name) if name else kind] = item.get("count")
    return counts


def _gpus(counts: Mapping[str, Any]) -> Optional[int]:
    models = [count for what, count in counts.items() if what.startswith("gres/gpu:")]
    told = [counts["gres/gpu"]] if "gres/gpu" in counts else models
    numbers = [MOST if isinstance(count, int) and count > MOST else _whole(count) for count in told]
    known = [number for number in numbers if number is not None]
    return possible(sum(known)) if known else None


def _memory(job: Mapping[str, Any]) -> Dict[str, str]:
    """The most memory of any of the job's steps, in bytes, by kind."""
    most: Dict[str, int] = {}
    steps = job.get("steps")
    for step in steps if isinstance(steps, list) else []:
        if isinstance(step, dict):
            used = _counts(_object(_object(step, "tres"), "consumed").get("max"))
            for kind in ("mem", "vmem"):
                most[kind] = max(most.get(kind, 0), _whole(used.get(kind)) or 0)
    return {kind: str(count) for kind, count in most.items() if count}
