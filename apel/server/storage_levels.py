"""How full storage was on a day and over a month: levels, averaged from snapshots, never summed over time.

What the records of one key (site, system, share, media, path, group, subgroup, role) say of a day:

1. Records that agree in all else that tells what they are about (class, local user and group, user) are
   snapshots of one *part*. Of a day counts the last run of the producer: the latest moment
   (apel.records.storage.moment) before the end of the day among the snapshots that speak for it, and those at
   most RUN_SECONDS before. If all were taken later, it is the earliest of these, and those up to RUN_SECONDS
   after it. A record counts once in a run, with its nearest snapshot; and of a run that was repeated, only
   what was made at most RUN_SECONDS before the last of it. What is left is added up: several volumes of one
   user, say, each with a record of its own.
2. Parts of a key that overlap are not added: a part without a user holds those with one. Those that say least
   of what they are about are taken first, and of the others only parts that differ from all these in
   something that both say. Among parts of equal detail those come first whose producer knows of more.

A month's value is the average of its days that have one; an unknown figure of a day is left out of it.
"""

from bisect import bisect_left
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from apel.records.storage import moment, span
from apel.times import DAY

#: A cloud takes seconds for the volumes of a user; runs every few minutes must not be added up.
RUN_SECONDS = 120

#: Files; bytes used, logical bytes used, bytes allocated. None is unknown.
Figures = Tuple[Optional[int], ...]
USED = 1
#: What a summary is of, and what of it a snapshot is about: None is not said.
Key = Tuple[object, ...]
Part = Tuple[Optional[object], ...]


class Snapshot:
    """What a record says, which may have said something else before. Times are epoch seconds."""

    __slots__ = ("after", "created", "end", "figures", "first", "moment", "record")

    def __init__(self, record: str, created: int, start: int, end: int, figures: Figures) -> None:
        self.record = record
        self.created = created
        self.end = end
        self.figures = figures
        self.moment = moment(created, start, end)
        self.first, self.after = span(created, start, end)


class Level(NamedTuple):
    """A key's figures of a day, and until when in it they are known."""

    end: int
    figures: Figures


class MonthLevel(NamedTuple):
    """Figures of a month: over how many days, until when, the averages, and those of the last day."""

    days: int
    end: int
    average: Figures
    last: Figures


def levels_by_day(parts: Dict[Part, List[Snapshot]], first: int, after: int) -> Dict[int, Level]:
    """The level of a key on each day between two midnights, by the midnight at which it begins."""
    days: Dict[int, Dict[Part, Level]] = {}
    for part, snapshots in parts.items():
        for day, level in _levels_of_part(snapshots, first, after):
            days.setdefault(day, {})[part] = level
    return {day: _added([levels[part] for part in _disjoint(levels)]) for day, levels in sorted(days.items())}


def month_level(levels: Dict[int, Level]) -> MonthLevel:
    """The level of a month from those of its days, of which there is one at least."""
    last = levels[max(levels)]
    average = tuple(map(_average, zip(*(level.figures for level in levels.values()))))
    return MonthLevel(len(levels), last.end, average, last.figures)


def _levels_of_part(snapshots: List[Snapshot], first: int, after: int) -> Iterator[Tuple[int, Level]]:
    snapshots.sort(key=lambda one: one.moment)
    moments = [one.moment for one in snapshots]
    for day in range(first, after, DAY):
        place = bisect_left(moments, day + DAY)
        run = _run(reversed(snapshots[:place]), day) or _run(snapshots[place:], day)
        if run:
            made = max(one.created for one in run)
            levels = [_on(day, one) for one in run if one.created >= made - RUN_SECONDS]
            yield day, _added(levels)


def _run(snapshots: Iterable[Snapshot], day: int) -> List[Snapshot]:
    """Of snapshots, by their distance from a day: the first that speaks for it, and those of the same run."""
    run: Dict[str, Snapshot] = {}
    nearest: Optional[int] = None
    for one in snapshots:
        if nearest is not None and abs(one.moment - nearest) > RUN_SECONDS:
            break
        if one.first < day + DAY and one.after > day:
            nearest = one.moment if nearest is None else nearest
            run.setdefault(one.record, one)
    return list(run.values())


def _on(day: int, one: Snapshot) -> Level:
    return Level(min(max(one.end, one.moment + 1), day + DAY), one.figures)


def _added(levels: Sequence[Level]) -> Level:
    """Levels of different things at the same time. What is unknown of some is what the others say."""
    if len(levels) == 1:
        return levels[0]
    figures = [
        [value for value in column if value is not None] for column in zip(*(one.figures for one in levels))
    ]
    return Level(max(one.end for one in levels), tuple(sum(known) if known else None for known in figures))


def _average(values: Sequence[Optional[int]]) -> Optional[int]:
    """Rounded, halves up."""
    known = [value for value in values if value is not None]
    return (2 * sum(known) + len(known)) // (2 * len(known)) if known else None


def _disjoint(levels: Dict[Part, Level]) -> List[Part]:
    """The parts that are added up: no two of them can overlap."""
    if len(levels) == 1:
        return list(levels)
    by_detail: Dict[Tuple[bool, ...], List[Part]] = {}
    for part in levels:
        by_detail.setdefault(tuple(value is not None for value in part), []).append(part)

    def order(detail: Tuple[bool, ...]) -> Tuple[int, int, Tuple[bool, ...]]:
        return sum(detail), -sum(levels[part].figures[USED] or 0 for part in by_detail[detail]), detail

    taken: Dict[Tuple[bool, ...], List[Part]] = {}
    for detail in sorted(by_detail, key=order):
        free = by_detail[detail]
        for other, parts in taken.items():
            common = [place for place, both in enumerate(zip(detail, other)) if all(both)]
            said: Set[Part] = {_only(part, common) for part in parts}
            free = [part for part in free if _only(part, common) not in said]
        taken[detail] = free
    return [part for parts in taken.values() for part in parts]


def _only(part: Part, places: Sequence[int]) -> Part:
    return tuple(part[place] for place in places)
