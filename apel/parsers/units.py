"""The numbers of batch logs: durations and memory sizes in all the forms that batch systems print."""

import math
from typing import Dict

from apel.records.fields import MOST_COUNT, is_number

#: What fits the BIGINT columns of the database.
MOST = 2**63 - 1

_KB_PER_UNIT: Dict[str, int] = {"K": 1, "M": 1024, "G": 1024**2, "T": 1024**3, "P": 1024**4}
_SECONDS_PER_PART = (1, 60, 3600)

#: 'mm:ss' -> seconds: what most times end with. A table so small stays near the processor.
MINUTES: Dict[str, int] = {"%02d:%02d" % divmod(second, 60): second for second in range(3600)}


def whole(text: str) -> int:
    """'123' -> 123. ValueError for anything but decimal digits, or a number that no column can hold."""
    if not (text.isdecimal() and len(text) < 19):
        raise ValueError("not a whole number")
    return int(text)


def count(text: str) -> int:
    """As `whole`, but ValueError for what no column of cores, hosts or GPUs can hold (SLURM's NO_VAL)."""
    value = whole(text)
    if value > MOST_COUNT:
        raise ValueError("too many")
    return value


def number(text: str) -> float:
    """A decimal number, exponent and sign or not. ValueError for anything else, and beyond any column."""
    value = float(text) if is_number(text) else math.inf
    if not -MOST < value < MOST:
        raise ValueError("not a number")
    return value


def rounded(text: str) -> int:
    """The whole number nearest to a decimal one that isn't negative; halves up. Raises ValueError."""
    head, _, fraction = text.partition(".")
    if head.isdecimal() and len(head) < 16 and (not fraction or fraction.isdecimal()):
        return int(head) + 1 if fraction[:1] >= "5" else int(head)
    value = number(text)
    if value < 0:
        raise ValueError("negative")
    return int(value + 0.5)


def seconds(text: str) -> int:
    """Seconds, rounded, of '90', 'mm:ss', 'hh:mm:ss', 'd-hh:mm:ss', 'd-mm:ss', each with or without '.fff'.

    Parts may have any number of digits and any value ('00:90:00' is 5400). Raises ValueError.
    """
    hours, _, rest = text.partition(":")
    usual = MINUTES.get(rest)
    if usual is not None and hours.isdecimal() and len(hours) < 9:
        return int(hours) * 3600 + usual
    days, dash, clock = text.rpartition("-")
    parts = clock.split(":")
    if len(parts) > 3 or (dash and len(parts) == 1):
        raise ValueError("not a duration")
    last, dot, fraction = parts[-1].partition(".")
    if dot and not fraction.isdecimal():
        raise ValueError("not a duration")
    parts[-1] = last
    total = whole(days) * 86400 if dash else 0
    for size, part in zip(_SECONDS_PER_PART, reversed(parts)):
        total += size * whole(part)
    return total + 1 if fraction[:1] >= "5" else total


def memory_kb(text: str) -> int:
    """KB, rounded down, of '2097152K', '1.5G' (steps of 1024) or plain bytes ('4096'). Raises ValueError."""
    unit = _KB_PER_UNIT.get(text[-1:])
    if unit is None:
        return _scaled(text, 1) // 1024
    return _scaled(text[:-1], unit)


def size_kb(text: str) -> int:
    """KB, rounded down, of '3145728kb', '2GB', '4096b', bytes ('512') or words of 8 bytes ('10kw') of PBS.

    Raises ValueError.
    """
    size = text.upper()
    word = 8 if size.endswith("W") else 1
    if size.endswith(("B", "W")):
        size = size[:-1]
    unit = _KB_PER_UNIT.get(size[-1:])
    if unit is None:
        return _scaled(size, word) // 1024
    return _scaled(size[:-1], unit * word)


def _scaled(text: str, unit: int) -> int:
    """`text`, a decimal number, times `unit`, rounded down; exact however long the number."""
    integral, dot, fraction = text.partition(".")
    value = whole(integral) * unit
    if dot:
        value += whole(fraction) * unit // 10 ** len(fraction)
    if value > MOST:
        raise ValueError("too large")
    return value
