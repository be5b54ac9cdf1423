"""Many records at once, a column of one field at a time: that is what makes a large message fast.

Most values of a message are repeated (sites, users, VOs, benchmarks), so each distinct text is read and
checked once; whole numbers go through the interpreter's own loops.
"""

from typing import Any, Callable, Dict, List, Optional, Sequence

from apel.identity import Identity, parse_fqan
from apel.records.fields import NULL_WORDS, SEPARATOR, Field, Integer, Text, Value

LONGEST_NULL_WORD = max(map(len, NULL_WORDS))

Columns = List[Sequence[Any]]


class _Once(Dict[Any, Any]):
    """Calls a function once for each distinct key."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def __missing__(self, key: Any) -> Any:
        value = self[key] = self.function(key)
        return value


def each_once(function: Callable[[Any], Any], column: Sequence[Any]) -> List[Any]:
    """function(value) for every value of the column."""
    return list(map(_Once(function).__getitem__, column))


def read_column(field: Field, raws: Sequence[Optional[str]], canonical: bool) -> List[Value]:
    """The values of wire texts. `canonical` says that all of them match the field's pattern of that name.

    Raises RecordError if any is wrong.
    """
    if canonical and isinstance(field, Integer):
        values = [None if raw is None or raw == "None" else int(raw) for raw in raws]
        if _in_bounds(field, values):
            return values  # type: ignore[return-value]
    if isinstance(field, Text) and _mostly_distinct(raws) and _clean_already(field, raws):
        return [*raws]
    return each_once(field.read, raws)


def write_column(field: Field, values: Sequence[Value]) -> List[str]:
    """The wire texts of values, each checked; '' where the line is to be left out."""
    if isinstance(field, Integer) and set(map(type, values)) == {int} and _in_bounds(field, values):
        return list(map(str, values))
    if isinstance(field, Text) and _mostly_distinct(values) and _clean_already(field, values):
        return [*values]  # type: ignore[list-item]
    return each_once(lambda value: field.write(field.clean(value)), values)


def _in_bounds(field: Integer, values: Sequence[Any]) -> bool:
    if None in values:
        if field.required:
            return False
        values = [value for value in values if value is not None] or [field.least]
    return field.least <= min(values) and max(values) <= field.most


def _mostly_distinct(values: Sequence[Any]) -> bool:
    return 2 * len(set(values)) > len(values)


def _clean_already(field: Text, values: Sequence[Any]) -> bool:
    """Whether every text, read or to be written, is as it should be; False where that takes a closer look."""
    if set(map(type, values)) != {str}:
        return False
    together = "".join(values)
    lengths = list(map(len, values))
    return (
        min(lengths) > LONGEST_NULL_WORD
        and max(lengths) <= field.max_length
        and together.isprintable()
        and " " not in together
        and SEPARATOR not in together
    )


def identify(columns: Columns, places: Sequence[int]) -> None:
    """VO, VOGroup and VORole as the FQAN says, where there is one. places: of the four, FQAN first."""
    fqan, *others = places
    if any(columns[fqan]):
        sent = zip(*(columns[place] for place in others))
        told = [_identity(name, values) for name, values in zip(columns[fqan], sent)]
        for place, column in zip(others, zip(*told)):
            columns[place] = column


def _identity(fqan: Optional[str], sent: Identity) -> Identity:
    return sent if fqan is None else parse_fqan(fqan)
