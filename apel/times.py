"""Times are whole epoch seconds, UTC, everywhere; only this module turns them into text, months and back."""

import calendar
import re
import time
from datetime import datetime, timezone
from functools import lru_cache
from typing import Tuple

DAY = 86400

#: First second that is refused: 2106-01-01, just before the 32-bit epoch ends.
END_OF_TIME = 4291747200

_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:Z|([+-])([0-9]{2}):?([0-9]{2}))?"
)

#: ' hh:mm:' of each minute of a day, and 'ss': many times are turned into text.
_MINUTES = [" %02d:%02d:" % divmod(minute, 60) for minute in range(1440)]
_SECONDS = ["%02d" % second for second in range(60)]


def now() -> int:
    """The clock, in epoch seconds; tests replace this one function."""
    return int(time.time())


@lru_cache(maxsize=4096)
def _date_text(day: int) -> str:
    """'YYYY-MM-DD' of a day counted from the epoch (logs and messages name few days many times)."""
    return datetime.fromtimestamp(day * DAY, timezone.utc).strftime("%Y-%m-%d")


@lru_cache(maxsize=4096)
def _day_start(date_text: str) -> int:
    return calendar.timegm(time.strptime(date_text, "%Y-%m-%d"))


@lru_cache(maxsize=4096)
def _month_of_day(day: int) -> Tuple[int, int]:
    date = datetime.fromtimestamp(day * DAY, timezone.utc)
    return date.year, date.month


def utc_text(epoch: int) -> str:
    """1741305600 -> '2025-03-07 00:00:00', as the database takes it."""
    day, second = divmod(epoch, DAY)
    minute, second = divmod(second, 60)
    return _date_text(day) + _MINUTES[minute] + _SECONDS[second]


def epoch_from_text(text: str) -> int:
    """'2025-03-07T00:00:00Z', or with a blank for the T, or with +hh:mm for the Z -> 1741305600.

    Without a zone it is UTC. Raises ValueError.
    """
    found = _ISO.fullmatch(text)
    if not found:
        raise ValueError("not a time of the form YYYY-MM-DDThh:mm:ssZ")
    date, hour, minute, second, sign, zone_hour, zone_minute = found.groups()
    if not (int(hour) < 24 and int(minute) < 60 and int(second) < 60):
        raise ValueError("no such time of day")
    epoch = _day_start(date) + int(hour) * 3600 + int(minute) * 60 + int(second)
    if not sign:
        return epoch
    ahead = int(zone_hour) * 3600 + int(zone_minute) * 60
    return epoch - ahead if sign == "+" else epoch + ahead


def month_of(epoch: int) -> Tuple[int, int]:
    """(year, month) in UTC."""
    return _month_of_day(epoch // DAY)


@lru_cache(maxsize=1024)
def month_bounds(year: int, month: int) -> Tuple[int, int]:
    """(first second of the month, first second of the next); ValueError if there is no such month."""
    if not (1 <= month <= 12 and 1970 <= year <= 9998):
        raise ValueError(f"there is no month {month} of year {year}")
    following = (year + 1, 1) if month == 12 else (year, month + 1)
    return calendar.timegm((year, month, 1, 0, 0, 0)), calendar.timegm((*following, 1, 0, 0, 0))
