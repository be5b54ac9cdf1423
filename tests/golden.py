"""The incumbent's views, as text, and rows of ours in a form that can be compared with them."""

import pathlib
from decimal import Decimal
from typing import Any, Iterable, List, Tuple


def golden_view(path: pathlib.Path) -> Tuple[List[str], List[List[str]]]:
    """The columns and the rows of a file of tests/data/golden."""
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    return head.split("\t"), [line.split("\t") for line in lines]


def comparable(rows: Iterable[Iterable[Any]]) -> List[Tuple[str, ...]]:
    """Sorted, with numbers as numbers: the back ends write 10, 10.0 and 10.000."""
    return sorted(tuple(map(_one, row)) for row in rows)


def _one(value: Any) -> str:
    text = "NULL" if value is None else str(value)
    try:
        return str(Decimal(text).normalize() + 0) if not text.isdigit() else str(int(text))
    except ArithmeticError:
        return text
