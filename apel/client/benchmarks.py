"""How fast each compute element was, and when: the history that turns hours into comparable work.

A benchmark is valid in the half-open interval [start, stop), UTC, of one clock: the caller's. So a new
value begins in the very second in which the old one ends, and every end of a job lies in exactly one
interval. The first value of a compute element starts with the epoch, so that its old jobs are covered.
"""

import difflib
import logging
import math
from collections import defaultdict
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from apel.db import Database
from apel.times import utc_text

log = logging.getLogger(__name__)

#: From the most to the least wanted, where several are valid for one compute element.
PREFERENCE = ("HEPscore23", "HEPSPEC", "si2k")
#: Names that are found elsewhere for the same benchmarks.
ALIASES = {
    "hepspec06": "HEPSPEC",
    "hep-spec06": "HEPSPEC",
    "hs06": "HEPSPEC",
    "hs23": "HEPscore23",
    "hepscore": "HEPscore23",
    "specint2000": "si2k",
    "ksi2k": "si2k",
}
SMALLEST_CHANGE = 0.001
MOST = 9999999.999
#: How many the database keeps.
DECIMALS = 3
#: Who says what a benchmark is: the configuration, or an information system.
MANUAL, BDII = "manual", "bdii"
EXAMPLE = "ce.example.org:9619/ce.example.org-batch,HEPscore23,12.5"


class Benchmark(NamedTuple):
    """The benchmark of one compute element (or, for local jobs, of the batch system)."""

    ce: str
    type: str
    value: float


class Period(NamedTuple):
    """A row of SpecRecords: `type` was `value` from `start` until just before `stop` (None: still is).

    Times are UTC text, YYYY-MM-DD hh:mm:ss, which sorts as time does. source: MANUAL, BDII, or None where
    nobody knows.
    """

    start: str
    stop: Optional[str]
    type: str
    value: float
    source: Optional[str] = None

    @property
    def was_looked_up(self) -> bool:
        """Whether it came from an information system; from there was only si2k when that wasn't noted."""
        return self.source == BDII or (self.source is None and self.type.lower() == PREFERENCE[-1])


class Change(NamedTuple):
    """What is done to a history: the period `close` ends when `opened` starts, or is replaced if `amend`."""

    close: Optional[Period]
    opened: Optional[Period]
    amend: bool = False


def benchmark_type(text: str) -> str:
    """The benchmark's name as we spell it. Raises ValueError, with the nearest right name."""
    known = {name.lower(): name for name in PREFERENCE}
    folded = text.strip().lower()
    if folded in known:
        return known[folded]
    near = difflib.get_close_matches(folded, [*known, *ALIASES], 1, 0.6)
    name = ALIASES.get(near[0]) or known[near[0]] if near else ""
    hint = "; did you mean %s?" % name if name else ""
    raise ValueError("has the benchmark %r, but must have one of %s%s" % (text, ", ".join(PREFERENCE), hint))


def manual_benchmark(text: str) -> Benchmark:
    """The value of a manual_specN option, `CE,type,value`. Raises ValueError with words for the admin."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(parts):
        raise ValueError(
            "is %r, but must have three parts, CE,type,value, as in %s" % (text, EXAMPLE)
            + (" (a decimal point, not a comma)" if len(parts) == 4 else "")
        )
    return Benchmark(parts[0], benchmark_type(parts[1]), benchmark_value(parts[2]))


def benchmark_value(text: str) -> float:
    """A benchmark's value above zero, as the database keeps it. Raises ValueError for the admin."""
    try:
        value = round(float(text), DECIMALS)
    except ValueError:
        raise ValueError("has the value %r, which is no number" % text) from None
    if not (math.isfinite(value) and 0 < value <= MOST):
        raise ValueError("has the value %r, but it must be above 0 and at most %.3f" % (text, MOST))
    return value


def preference(name: str) -> int:
    """The place of a benchmark in PREFERENCE, in any case of letters; names we don't know come last."""
    folded = name.lower()
    for place, known in enumerate(PREFERENCE):
        if known.lower() == folded:
            return place
    return len(PREFERENCE)


def valid_at(history: Sequence[Period], time: str) -> Optional[Period]:
    """The preferred period among those that hold `time`; None if there is none (C2, C5)."""
    valid = all_valid_at(history, time)
    return valid[0] if valid else None


def all_valid_at(history: Sequence[Period], time: str) -> Tuple[Period, ...]:
    """The periods that hold `time`, one of each type, the preferred first.

    Of types that we don't know there is at most one, where there is no other: no message could say several.
    """
    valid = [
        period
        for period in history
        if period.start <= time and (period.stop is None or time < period.stop) and period.value is not None
    ]
    if len(valid) < 2:
        return tuple(valid)
    # Names we don't know share a rank; their spelling decides, so that the choice is never arbitrary.
    valid.sort(key=lambda period: (preference(period.type), period.type.lower(), period.start))
    by_rank: Dict[int, Period] = {}
    for period in valid:
        by_rank.setdefault(preference(period.type), period)
    if len(by_rank) > 1:
        by_rank.pop(len(PREFERENCE), None)
    return tuple(by_rank.values())


def changes(history: Sequence[Period], benchmark: Benchmark, now: str) -> Optional[Change]:
    """What makes `benchmark` the value from now on; None if it is that already.

    A type that is new for a compute element with a history starts now: what is past stays as it was. One
    that has ended starts where it ended if no other followed, so that there is no gap.
    """
    same = sorted(period for period in history if period.type.lower() == benchmark.type.lower())
    if not same:
        start = now if history else utc_text(0)
        return Change(None, Period(start, None, benchmark.type, benchmark.value))
    last = next((period for period in same if period.stop is None), same[-1])
    if last.stop is not None:
        followed = last.stop < now and valid_at(history, last.stop) is not None
        start = now if followed else last.stop
        return Change(None, Period(start, None, benchmark.type, benchmark.value))
    if abs(last.value - benchmark.value) <= SMALLEST_CHANGE:
        return None
    # A second change in the same second, or a clock that was set back: there is no time to put between.
    amend = last.start >= now
    start = last.start if amend else now
    return Change(last, Period(start, None, last.type, benchmark.value), amend)


def superseded(
    history: Sequence[Period], configured: Iterable[str], now: str, looked_up: bool = True
) -> List[Change]:
    """Ends of the open periods of types that are not configured by hand, where others are.

    Without this a site that goes back from HEPscore23 to HEPSPEC would keep its HEPscore23 for ever, and one
    that goes on to HEPscore23 would publish the HEPSPEC of its old machines beside it. What an information
    system says stays beside what is preferred to it, if it still is asked (looked_up).
    """
    folded = [name.lower() for name in configured]
    best = min(map(preference, folded))
    return [
        Change(period, None)
        for period in history
        if period.stop is None
        and period.type.lower() not in folded
        and period.start < now
        and (preference(period.type) < best or not (looked_up and period.was_looked_up))
    ]


#: Of what is in force, and was affirmed now.
SET_SOURCE = """
UPDATE SpecRecords SET Source = %%s
WHERE SiteID = %%s AND CEID = %%s AND StopTime IS NULL AND COALESCE(Source, '') <> %%s
  AND ServiceLevelType IN (%s)
"""


class History:
    """The SpecRecords of a site, and how they are changed.

    looked_up: whether an information system is asked as well, so that what came from there goes on.
    """

    def __init__(self, db: Database, site: str, looked_up: bool = True) -> None:
        self.db = db
        self.site = site
        self.looked_up = looked_up

    def set_manual(self, benchmarks: Sequence[Benchmark], now: int) -> None:
        """Make the benchmarks of the configuration the valid ones from `now` (epoch seconds) on."""
        self._update_all(benchmarks, now, MANUAL)

    def set_published(self, benchmarks: Sequence[Benchmark], now: int) -> None:
        """The same for what an information system publishes, which never ends what was set by hand."""
        self._update_all(benchmarks, now, BDII)

    def _update_all(self, benchmarks: Sequence[Benchmark], now: int, source: str) -> None:
        """Those of one compute element together: the first that it ever has all count for its old jobs."""
        by_ce: Dict[str, List[Benchmark]] = defaultdict(list)
        for benchmark in benchmarks:
            by_ce[benchmark.ce].append(benchmark)

        def work() -> None:
            site_id = self.db.ids("Sites", [self.site])[self.site]
            ce_ids = self.db.ids("SubmitHosts", list(by_ce))
            for ce, mine in by_ce.items():
                self._update((site_id, ce_ids[ce]), mine, now, source)

        self.db.on_one_connection(work)

    def _update(self, key: Tuple[int, int], mine: Sequence[Benchmark], now: int, source: str) -> None:
        """key: the ids of site and compute element."""
        time = utc_text(now)
        types = [benchmark.type for benchmark in mine]
        set_source = SET_SOURCE % ", ".join(["%s"] * len(types))

        def work(tx: Any) -> List[Change]:
            history = _history(tx, *key)
            wanted = [changes(history, benchmark, time) for benchmark in mine]
            done = [change for change in wanted if change is not None]
            if source == MANUAL:
                done += superseded(history, types, time, self.looked_up)
            for change in done:
                _write(tx, key, change, time)
            tx.execute(set_source, (source, *key, source, *types))
            return done

        for change in self.db.run(work):
            _say(mine[0].ce, change, time)


def _history(tx: Any, site_id: int, ce_id: int) -> List[Period]:
    rows = tx.rows(
        "SELECT CAST(StartTime AS CHAR), CAST(StopTime AS CHAR), ServiceLevelType, ServiceLevel, Source"
        " FROM SpecRecords WHERE SiteID = %s AND CEID = %s",
        (site_id, ce_id),
    )
    return [
        Period(start, stop, name, float(value or 0.0), source) for start, stop, name, value, source in rows
    ]


def _write(tx: Any, key: Tuple[int, int], change: Change, now: str) -> None:
    close, opened = change.close, change.opened
    if close is not None:
        sets = ("ServiceLevel", opened.value) if change.amend and opened else ("StopTime", now)
        tx.execute(
            "UPDATE SpecRecords SET %s = %%s WHERE SiteID = %%s AND CEID = %%s AND StartTime = %%s"
            " AND ServiceLevelType = %%s" % sets[0],
            (sets[1], *key, close.start, close.type),
        )
    if opened is not None and not change.amend:
        columns = ("SiteID", "CEID", "StartTime", "ServiceLevelType", "ServiceLevel")
        tx.insert("SpecRecords", columns, [(*key, opened.start, opened.type, opened.value)])


def _say(ce: str, change: Change, now: str) -> None:
    if change.opened is None:
        assert change.close is not None
        log.info("%s: %s %s ends at %s UTC", ce, change.close.type, change.close.value, now)
    else:
        new = change.opened
        log.info("%s: benchmark %s %s from %s UTC", ce, new.type, new.value, new.start)


def read_histories(tx: Any) -> Dict[Tuple[int, int], List[Period]]:
    """All benchmark histories, by (site id, compute element id)."""
    found: Dict[Tuple[int, int], List[Period]] = defaultdict(list)
    for site_id, ce_id, start, stop, name, value, source in tx.rows(
        "SELECT SiteID, CEID, CAST(StartTime AS CHAR), CAST(StopTime AS CHAR), ServiceLevelType,"
        " ServiceLevel, Source FROM SpecRecords WHERE ServiceLevel IS NOT NULL"
    ):
        found[site_id, ce_id].append(Period(start, stop, name, float(value), source))
    return found
