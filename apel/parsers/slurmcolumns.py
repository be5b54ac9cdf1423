"""SLURM: logs whose first line names their columns (`sacct -P` without -n), which a site may choose."""

from operator import itemgetter
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from apel.errors import ParseError
from apel.parsers import units
from apel.parsers.accelerators import UNREAD, Cards, of_tres, possible
from apel.parsers.base import Remembered

#: What each of the fifteen fields may be called, the best first; and whether there is no job without it.
COLUMNS: Tuple[Tuple[Tuple[str, ...], bool], ...] = (
    (("jobid", "jobidraw"), True),
    (("jobname",), False),
    (("user",), False),
    (("group", "account"), False),
    (("start",), True),
    (("end",), True),
    (("elapsedraw", "elapsed"), True),
    (("totalcpu", "cputimeraw", "cputime"), False),
    (("partition",), False),
    (("alloccpus", "ncpus"), False),
    (("nnodes", "allocnodes"), False),
    (("nodelist",), False),
    (("maxrss",), False),
    (("maxvmsize",), False),
    (("state",), True),
)
CPUS, NODES = 9, 10

#: The columns without a header, by any of the names that stand for each.
USUAL: Tuple[FrozenSet[str], ...] = tuple(frozenset(names) for names, _ in COLUMNS)

#: Where GPUs are to be found: `cpu=40,gres/gpu=2,gres/gpu:a100=2,mem=16G,node=1`; in old versions `gpu:2`.
TRES = ("alloctres", "allocgres")


class Allocated(NamedTuple):
    """What AllocTRES says: counts by resource, GPUs in all (or UNREAD), and accelerators."""

    counts: Dict[str, str]
    gpus: Optional[int]
    cards: Sequence[Cards]


NOTHING = Allocated({}, None, ())


def names_of(fields: Sequence[str]) -> Optional[List[str]]:
    """The names, in lower case, of a line that is a header; else None.

    Every word must be a name, as users may put any words into the names of their jobs.
    """
    names = [field.strip().lower() for field in fields]
    # The last bar of `sacct -p` makes one without a name.
    if not all(name.isalpha() for name in names[:-1]) or not (names[-1].isalpha() or not names[-1]):
        return None
    return names if "state" in names and ("jobid" in names or "jobidraw" in names) else None


def is_usual(names: Sequence[str]) -> bool:
    """Whether these are the fifteen columns of logs without a header."""
    usual = len(names) - (not names[-1]) == len(USUAL)
    return usual and all(name in column for name, column in zip(names, USUAL))


class Layout:
    """Where a line's columns stand."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._places = [_place(column, names) for column, _ in COLUMNS]
        self._missing = [
            column[0] for (column, needed), place in zip(COLUMNS, self._places) if needed and place < 0
        ]
        if "alloctres" not in names:
            counts = ((CPUS, "ncpus"), (NODES, "nnodes"))
            self._missing += [name for place, name in counts if self._places[place] < 0]
        self._pick = itemgetter(*self._places)
        self._name_place = self._places[1]
        self._tres_place = _place(TRES, names)
        self._tres = Remembered(allocated)
        self.job_place = self._places[0]

    def arranged(self, fields: List[str]) -> Tuple[Sequence[str], Optional[int], Sequence[Cards]]:
        """The fifteen fields of a line's columns, its GPUs and accelerators. Raises ParseError."""
        if self._missing:
            raise ParseError("the header names no column for %s" % ", ".join(self._missing))
        fields = self._fitted(fields)
        found = self._tres[fields[self._tres_place].strip()] if self._tres_place >= 0 else NOTHING
        # The last one stands for what has no column.
        picked = self._pick([*fields, ""])
        if not (picked[CPUS].strip() and picked[NODES].strip()):
            picked = list(picked)
            picked[CPUS] = picked[CPUS].strip() or found.counts.get("cpu", "")
            picked[NODES] = picked[NODES].strip() or found.counts.get("node", "")
        return picked, found.gpus, found.cards

    def _fitted(self, fields: List[str]) -> List[str]:
        """As many columns as the header has; bars in the job's name make more."""
        extra = len(fields) - len(self._names)
        if extra < 0:
            raise ParseError("fewer columns than the header names")
        if extra == 0:
            return fields
        start = self._name_place
        if start < 0:
            raise ParseError("more columns than the header names")
        behind = start + extra + 1
        return [*fields[:start], "|".join(fields[start:behind]), *fields[behind:]]


def _place(column: Sequence[str], names: Sequence[str]) -> int:
    """The place of the best of a column's names; -1 if there is none."""
    return next((names.index(name) for name in column if name in names), -1)


def allocated(text: str) -> Allocated:
    """What the text of AllocTRES says."""
    counts = tres(text)
    return Allocated(counts, gpus(counts), of_tres(counts))


def tres(text: str) -> Dict[str, str]:
    """'cpu=40,gres/gpu:a100=2' -> by resource; 'gpu:tesla:2,lustre:1' -> with gres/ before each."""
    counts: Dict[str, str] = {}
    for item in filter(None, text.split(",")):
        sign = "=" if "=" in item else ":"
        what, _, count = item.rpartition(sign)
        counts[what if sign == "=" else "gres/" + what] = count
    return counts


def gpus(counts: Dict[str, str]) -> Optional[int]:
    """How many GPUs: the total if it stands there, else the sum over the models; None for none at all.

    UNREAD for what is no number, or more than any job has.
    """
    models = [count for what, count in counts.items() if what.startswith("gres/gpu:")]
    numbers = [counts["gres/gpu"]] if "gres/gpu" in counts else models
    try:
        return possible(sum(map(units.whole, numbers))) if numbers else None
    except ValueError:
        return UNREAD
