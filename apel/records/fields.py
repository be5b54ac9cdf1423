"""The kinds of field a record can have: what each accepts, and how each stands in a text message.

A field is declared in the body of a record class:

    Site = text(required=True)
    Month = integer(required=True, between=(1, 12))

`read` turns wire text into a value, `clean` checks a value, `write` turns a value into wire text.
Absence is None everywhere. All three raise RecordError naming the field, and nothing else.
"""

import abc
import math
import re
from decimal import Decimal
from typing import Any, Callable, Optional, Tuple, Union

from apel.errors import RecordError, shown
from apel.times import END_OF_TIME, epoch_from_text

Value = Union[str, int, float, Tuple[Any, ...], None]

#: Says what is wrong with a value, or None.
Check = Callable[[Any], Optional[str]]

#: Words that stand for absence, in messages and in databases.
NULL_WORDS = frozenset(["", "none", "null"])

#: How long a name may be, and the list of a token's groups.
MOST_NAME, MOST_GROUPS = 255, 1024

#: The separator of records in a text message, which no value may hold.
SEPARATOR = "%%"

MOST_INTEGER = 2**63 - 1

#: How many tuples a record may hold in one field.
MOST_TUPLES = 100

#: What every table holds of cores and nodes; batch systems write 2**32 - 2 and the like for "no value".
MOST_COUNT = 2**31 - 1

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
# C0, DEL, C1, the Unicode line and paragraph separators, and surrogates (not encodable as UTF-8).
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_null(text: str) -> bool:
    """Whether the text is one of the words for absence, in any case."""
    return len(text) <= 4 and text.lower() in NULL_WORDS


def is_number(text: str) -> bool:
    """Whether the text is a decimal number, exponent or not. `nan`, `inf` and a page of digits are none."""
    return len(text) <= 64 and _NUMBER.fullmatch(text) is not None


# -- checks -------------------------------------------------------------------------------------


def at_least(least: float) -> Check:
    """Refuses numbers below it."""
    return lambda value: f"{value} is less than {least}" if value < least else None


def at_most(most: float) -> Check:
    """Refuses numbers above it."""
    return lambda value: f"{value} is more than {most}" if value > most else None


def no_longer_than(length: int) -> Check:
    """Refuses text of more characters."""
    return lambda value: f"{len(value)} characters, at most {length} allowed" if len(value) > length else None


def one_line(value: str) -> Optional[str]:
    """Text that would break the message it stands in, or the terminal that shows it."""
    if not value.isprintable():
        found = _UNPRINTABLE.search(value)
        if found:
            return f"control character {found.group()!a} in the value"
    return f"'{SEPARATOR}', the separator of records, in the value" if SEPARATOR in value else None


# -- kinds of field -----------------------------------------------------------------------------


class Field(abc.ABC):
    """One field of a record. `canonical` is a pattern of its usual wire forms (see messages/columns.py).

    `on_wire`: whether it has a line of its own in text messages.
    """

    kind = ""
    canonical = ".*"
    on_wire = True

    def __init__(self, required: bool, checks: Tuple[Check, ...]) -> None:
        self.name = ""
        self.required = required
        self.checks = checks

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    def error(self, reason: str) -> RecordError:
        return RecordError(self.name, reason)

    def clean(self, value: Any) -> Value:
        """The value in the type of this field, after all its checks."""
        value = None if value is None else self.convert(value)
        if value is None:
            if self.required:
                raise self.error("mandatory, and absent")
            return None
        for check in self.checks:
            reason = check(value)
            if reason:
                raise self.error(reason)
        return value

    def read(self, raw: Optional[str]) -> Value:
        """The value of wire text; None for a line that isn't there."""
        raw = "" if raw is None else raw.strip()
        return self.clean(None if is_null(raw) else self.from_text(raw))

    @abc.abstractmethod
    def convert(self, value: Any) -> Any:
        """The value in the type of this field, before its checks."""

    @abc.abstractmethod
    def from_text(self, raw: str) -> Any:
        """The value of wire text that is not null."""

    def write(self, value: Value) -> Optional[str]:
        """Wire text of a value that `clean` has returned; None where the line is to be left out."""
        return "None" if value is None else str(value)


class Text(Field):
    """A name: one line, trimmed, never blank."""

    kind = "text"

    def __init__(self, required: bool, max_length: int) -> None:
        super().__init__(required, (no_longer_than(max_length), one_line))
        self.max_length = max_length

    def convert(self, value: Any) -> Optional[str]:
        if not isinstance(value, str):
            raise self.error(f"a {type(value).__name__} where text belongs")
        value = value.strip()
        return None if is_null(value) else value

    def from_text(self, raw: str) -> str:
        return raw


class Choice(Text):
    """One of a few words, written in any case and kept in its usual one."""

    kind = "choice"

    def __init__(self, choices: Tuple[str, ...]) -> None:
        super().__init__(True, max(map(len, choices)))
        self.choices = {word.lower(): word for word in choices}

    def convert(self, value: Any) -> Optional[str]:
        word = super().convert(value)
        if word is None:
            return None
        try:
            return self.choices[word.lower()]
        except KeyError:
            known = ", ".join(self.choices.values())
            raise self.error(f"'{shown(word)}' is not one of {known}") from None


class Integer(Field):
    """A whole number of at most 63 bits."""

    kind = "integer"
    canonical = "-?[0-9]{1,18}|None"
    #: Whether any digits are the number that they say.
    any_digits = True

    def __init__(self, required: bool, least: Optional[int], most: Optional[int]) -> None:
        self.least = -MOST_INTEGER if least is None else least
        self.most = MOST_INTEGER if most is None else most
        super().__init__(required, (at_least(self.least), at_most(self.most)))

    def convert(self, value: Any) -> int:
        # A database driver gives sums as Decimal.
        if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(f"Invalid int value {shown(repr(value))}")
        return value

    def from_text(self, raw: str) -> int:
        if not _INTEGER.fullmatch(raw):
            raise self.error(f"Invalid int value '{shown(raw)}'")
        return int(raw)


class Number(Field):
    """A finite decimal number."""

    kind = "number"

    def __init__(self, required: bool, least: Optional[float], most: Optional[float]) -> None:
        self.least = -math.inf if least is None else least
        self.most = math.inf if most is None else most
        super().__init__(required, (at_least(self.least), at_most(self.most)))

    def convert(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            raise self.error(f"Invalid float value {shown(repr(value))}")
        try:
            number = float(value)
        except (OverflowError, ValueError) as err:
            raise self.error(f"Invalid float value {shown(repr(value))}") from err
        if not math.isfinite(number):
            raise self.error(f"{number} is not a finite number")
        return number + 0.0  # -0.0 is not a name for 0.0

    def from_text(self, raw: str) -> float:
        if not is_number(raw):
            raise self.error(f"Invalid float value '{shown(raw)}'")
        return float(raw)

    def write(self, value: Value) -> Optional[str]:
        """The shortest decimal form that reads back the same, with at least one decimal."""
        return "None" if value is None else repr(value)


class Timestamp(Integer):
    """Whole epoch seconds, UTC, from 1970 to the end of 2105; left out of a message where absent."""

    kind = "timestamp"
    canonical = "[0-9]{1,10}|None"

    def __init__(self, required: bool) -> None:
        super().__init__(required, 0, END_OF_TIME - 1)

    def from_text(self, raw: str) -> int:
        if _INTEGER.fullmatch(raw):
            return int(raw)
        try:
            return epoch_from_text(raw)
        except ValueError as err:
            raise self.error(f"Invalid time '{shown(raw)}': {err}") from err

    def write(self, value: Value) -> Optional[str]:
        return None if value is None else str(value)


class TimeOrZero(Timestamp):
    """A time for which some senders write 0 where there is none."""

    canonical = "[1-9][0-9]{0,9}|None"
    any_digits = False

    def convert(self, value: Any) -> Any:
        return super().convert(value) or None


class Tuples(Field):
    """What a record holds any number of: a name each, and values for it. A tuple of tuples, None for none.

    `values` checks what stands beside the names, each of which may be absent.
    """

    kind = "tuples"
    on_wire = False

    def __init__(self, name: Text, values: Tuple[Field, ...]) -> None:
        super().__init__(False, ())
        self._parts = (name, *values)

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        for part in self._parts:
            part.name = name

    def read(self, raw: Any) -> Value:
        return self.clean(raw)

    def convert(self, value: Any) -> Any:
        if not isinstance(value, tuple):
            raise self.error(f"a {type(value).__name__} where tuples belong")
        if len(value) > MOST_TUPLES:
            raise self.error(f"{len(value)} of them, at most {MOST_TUPLES} allowed")
        return tuple(map(self._one, value)) or None

    def _one(self, value: Any) -> Tuple[Any, ...]:
        if not isinstance(value, tuple) or len(value) != len(self._parts):
            raise self.error(f"no tuple of {len(self._parts)}")
        return tuple(part.clean(item) for part, item in zip(self._parts, value))

    def from_text(self, raw: str) -> Any:
        raise self.error("can't stand in text")


# -- how a record class declares them (Any, because reading the attribute of a record gives a value) ---


def text(required: bool = False, max_length: int = MOST_NAME) -> Any:
    """Text on one line. max_length: in characters."""
    return Text(required, max_length)


def one_of(*choices: str) -> Any:
    """One of these words, written in any case; it may not be absent."""
    return Choice(choices)


def integer(
    required: bool = False, ge: Optional[int] = None, between: Optional[Tuple[int, int]] = None
) -> Any:
    """A whole number. ge: the least; between: the least and the most."""
    least, most = between or (ge, None)
    return Integer(required, least, most)


def number(
    required: bool = False, ge: Optional[float] = None, between: Optional[Tuple[float, float]] = None
) -> Any:
    """A number with or without decimals. ge: the least; between: the least and the most."""
    least, most = between or (ge, None)
    return Number(required, least, most)


def timestamp(required: bool = False) -> Any:
    """A time in whole epoch seconds, UTC."""
    return Timestamp(required)


def time_or_zero() -> Any:
    """A time in whole epoch seconds, UTC, where 0 stands for none."""
    return TimeOrZero(False)


def tuples(name: Any, *values: Any) -> Any:
    """Any number of tuples, which lie in a table of their own (apel/db/details.py)."""
    return Tuples(name, values)
