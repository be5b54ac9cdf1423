"""Many records at once, a column of one field at a time: that is what makes a large message fast.

Most values of a message are repeated (sites, users, VOs, benchmarks), so each distinct text is read and
checked once; whole numbers go through the interpreter's own loops.
"""

import re
from typing import Any, List, Optional, Sequence

from apel.columns import are_all_equal, each_once
from apel.identity import Identity, parse_fqan
from apel.records.fields import NULL_WORDS, SEPARATOR, Field, Integer, Text, Value

#: As many as the usual form of an integer has.
MOST_DIGITS = 18
_DIGITS = re.compile("[0-9]+")

Columns = List[Sequence[Any]]


def read_column(field: Field, raws: Sequence[Optional[str]], canonical: bool = False) -> Sequence[Value]:
    """The values of wire texts. `canonical` says that all of them match the field's pattern of that name.

    Raises RecordError if any is wrong.
    """
    if are_all_equal(raws):
        return [field.read(raws[0])] * len(raws)
    if isinstance(field, Integer):
        numbers = _numbers(field, raws, canonical)
        if numbers is not None and _in_bounds(field, numbers):
            return numbers
    if isinstance(field, Text) and _clean_already(field, raws):
        return raws
    return each_once(field.read, raws)


def _numbers(field: Integer, raws: Sequence[Any], canonical: bool) -> Optional[List[Optional[int]]]:
    """The numbers, if all texts are in the usual form; or else each of them takes a closer look."""
    if canonical:
        return [None if raw is None or raw == "None" else int(raw) for raw in raws]
    if None in raws or not field.any_digits or max(map(len, raws)) > MOST_DIGITS:
        return None
    texts = [raw for raw in raws if raw != "None"] if "None" in raws else raws
    if "" in texts or not _DIGITS.fullmatch("".join(texts)):
        return None
    if texts is raws:
        return list(map(int, raws))
    return [None if raw == "None" else int(raw) for raw in raws]


def write_column(field: Field, values: Sequence[Value]) -> List[str]:
    """The wire texts of values, each checked; '' where the line is to be left out."""
    if isinstance(field, Integer) and set(map(type, values)) == {int} and _in_bounds(field, values):
        return list(map(str, values))
    if isinstance(field, Text) and _clean_already(field, values):
        return [*values]  # type: ignore[list-item]
    return each_once(lambda value: field.write(field.clean(value)), values)


def _in_bounds(field: Integer, values: Sequence[Any]) -> bool:
    if None in values:
        if field.required:
            return False
        values = [value for value in values if value is not None] or [field.least]
    return field.least <= min(values) and max(values) <= field.most


def _clean_already(field: Text, values: Sequence[Any]) -> bool:
    """Whether every text, read or to be written, is as it should be; False where that takes a closer look."""
    distinct = list(set(values))
    if set(map(type, distinct)) != {str}:
        return False
    together = "".join(distinct)
    return (
        max(map(len, distinct)) <= field.max_length
        and together.isprintable()
        and SEPARATOR not in together
        and (" " not in together or list(map(str.strip, distinct)) == distinct)
        and NULL_WORDS.isdisjoint(map(str.lower, distinct))
    )


def identify(columns: Columns, places: Sequence[int]) -> None:
    """VO, VOGroup and VORole as the FQAN says, where there is one. places: of the four, FQAN first."""
    fqan, *others = places
    if None not in columns[fqan]:
        for place, column in zip(others, zip(*each_once(parse_fqan, columns[fqan]))):
            columns[place] = column
    elif any(columns[fqan]):
        sent = zip(*(columns[place] for place in others))
        told = [_identity(name, values) for name, values in zip(columns[fqan], sent)]
        for place, column in zip(others, zip(*told)):
            columns[place] = column


def _identity(fqan: Optional[str], sent: Identity) -> Identity:
    return sent if fqan is None else parse_fqan(fqan)
