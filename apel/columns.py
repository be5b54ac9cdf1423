"""Many rows of values as columns: no row need be made to work on them, and what is repeated is done once."""

from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple


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


def are_all_equal(column: Sequence[Any]) -> bool:
    """Whether there is but one value, of one or more."""
    first = column[0]
    # Mostly the last one differs, if any does.
    return bool(first == column[-1]) and column.count(first) == len(column)


class ByColumn(Sequence[Any]):
    """Rows kept by columns. They are made when the first one is asked for, and stay the same then.

    make: makes a row of a tuple of its values; a row is that tuple if not given.
    whole: of what this is a part, and where it begins there.
    """

    def __init__(
        self,
        columns: Sequence[Sequence[Any]],
        names: Sequence[str] = (),
        make: Optional[Callable[[Any], Any]] = None,
        whole: Optional[Tuple["ByColumn", int]] = None,
    ) -> None:
        self.columns = columns
        self._names = names
        self._make = make
        self._whole = whole
        self._rows: Optional[List[Any]] = None

    def column(self, name: str) -> Sequence[Any]:
        """The values of one column."""
        return self.columns[self._names.index(name)]

    def part(self, start: int, end: int) -> "ByColumn":
        """Some of the rows, the very same."""
        columns = [column[start:end] for column in self.columns]
        return ByColumn(columns, self._names, self._make, (self, start))

    def _all(self) -> List[Any]:
        if self._whole is not None:
            whole, start = self._whole
            return whole[start : start + len(self)]
        if self._rows is None:
            values = zip(*self.columns)
            self._rows = list(map(self._make, values)) if self._make else list(values)
        return self._rows

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all())

    def __getitem__(self, place: Any) -> Any:
        return self._all()[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, ByColumn)) and self._all() == list(other)

    def __repr__(self) -> str:
        return repr(self._all())


def column_of(rows: Sequence[Any], name: str) -> Iterable[Any]:
    """One attribute of all rows."""
    return rows.column(name) if isinstance(rows, ByColumn) else map(attrgetter(name), rows)


def column_at(rows: Sequence[Any], place: int) -> Iterable[Any]:
    """The values at one place of all rows."""
    return rows.columns[place] if isinstance(rows, ByColumn) else map(itemgetter(place), rows)


def parts(rows: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """The rows, at most so many at a time."""
    for start in range(0, len(rows), most):
        end = start + most
        yield rows.part(start, end) if isinstance(rows, ByColumn) else rows[start:end]


def joined(some: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """The rows of one or more sequences, in order."""
    return some[0] if len(some) == 1 else list(chain.from_iterable(some))


def columns_of(rows: Sequence[Any], start: int, end: int) -> Sequence[Sequence[Any]]:
    """The columns of some of the rows."""
    if isinstance(rows, ByColumn):
        return [column[start:end] for column in rows.columns]
    return list(zip(*rows[start:end]))
