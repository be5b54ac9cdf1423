"""Wall-clock times of logs as epoch seconds, quick for the many times that fall on one day.

Batch systems such as SLURM print local times without a zone. Where the clocks go back an hour such a
time means two moments, and only the caller can know which (SLURM: by the job's elapsed time).
"""

import time
from typing import Callable, Dict, Optional, Tuple

from apel.parsers.units import MINUTES
from apel.times import DAY, END_OF_TIME, epoch_from_text

Offset = Callable[[int], int]

#: Days and hours kept; logs name few. Garbage can't fill them, as only days of the calendar are kept.
MOST_DAYS = MOST_HOURS = 20000


def host_offset(epoch: int) -> int:
    """Seconds by which this host's zone (TZ) is ahead of UTC at that moment."""
    return time.localtime(epoch).tm_gmtoff


def utc_offset(epoch: int) -> int:
    """The offset of UTC itself."""
    return 0


class Days(Dict[str, Optional[int]]):
    """'YYYY-MM-DD' and one more character -> epoch of that day's start in a zone.

    None for a day near a change of the zone's offset, whose times need a closer look. ValueError if
    there is no such day.
    """

    def __init__(self, offset_at: Offset) -> None:
        super().__init__()
        self._offset_at = offset_at

    def __missing__(self, text: str) -> Optional[int]:
        if len(self) >= MOST_DAYS:
            self.clear()
        start = day_start(text)
        offset = self._offset_at(start)
        # Half hours from the day before to the day after: zones are at most 14 hours from UTC.
        near = range(start - DAY, start + 2 * DAY + 1, 1800)
        steady = all(self._offset_at(moment) == offset for moment in near)
        self[text] = value = start - offset if steady else None
        return value


class Hours(Dict[str, Optional[int]]):
    """'YYYY-MM-DDThh:' -> epoch of that hour's start in a zone; None and ValueError as for Days."""

    def __init__(self, days: Days) -> None:
        super().__init__()
        self._days = days

    def __missing__(self, text: str) -> Optional[int]:
        if len(self) >= MOST_HOURS:
            self.clear()
        hour = text[11:13]
        if not (len(text) == 14 and text[13] == ":" and hour.isdecimal() and hour <= "23"):
            raise ValueError("not an hour")
        start = self._days[text[:11]]
        self[text] = value = None if start is None else start + int(hour) * 3600
        return value


def day_start(text: str) -> int:
    """'2025-03-07T' (or with a blank) -> epoch of its midnight in UTC. Raises ValueError."""
    if not (len(text) == 11 and text[10] in "T "):
        raise ValueError("not a date")
    return epoch_from_text(text + "00:00:00")


class Clock:
    """Epochs of 'YYYY-MM-DDThh:mm:ss' in a zone; `hours` and MINUTES are for callers in a hurry."""

    def __init__(self, offset_at: Offset = host_offset) -> None:
        self._offset_at = offset_at
        self.hours = Hours(Days(offset_at))

    def epochs(self, text: str) -> Tuple[int, ...]:
        """The moments that `text` may mean, in order: one, or two where the clocks go back.

        Also understood: epoch seconds, and a time with its zone ('...Z', '...+01:00').
        Raises ValueError.
        """
        if text.isdecimal() and len(text) < 12:
            return (self._checked(int(text)),)
        if len(text) != 19:
            return (self._checked(epoch_from_text(text)),)
        hour, rest = self.hours[text[:14]], MINUTES.get(text[14:])
        if hour is not None and rest is not None:
            return (self._checked(hour + rest),)
        return self._near_change(epoch_from_text(text))

    def _near_change(self, naive: int) -> Tuple[int, ...]:
        before, after = self._offset_at(naive - DAY), self._offset_at(naive + DAY)
        moments = {naive - offset for offset in (before, after) if self._offset_at(naive - offset) == offset}
        # A time that the clocks jumped over in spring: as if they had not been put forward yet.
        return tuple(sorted(moments)) or (naive - before,)

    @staticmethod
    def _checked(epoch: int) -> int:
        if not 0 <= epoch < END_OF_TIME:
            raise ValueError("out of range")
        return epoch
