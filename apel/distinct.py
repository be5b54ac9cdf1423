"""Columns of values that are mostly repeated: what is to be done to them is done once for each."""

from typing import Any, Callable, Dict, List, Sequence


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
    return column.count(column[0]) == len(column)
