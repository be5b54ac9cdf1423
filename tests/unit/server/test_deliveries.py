"""Small messages are put together as far as they are there; large ones, and those that must, go alone."""

from typing import Any, Iterator, List

import pytest

from apel.messages import Message
from apel.records import JobRecord
from apel.server import deliveries
from apel.server.deliveries import Delivery, Opened, grouped
from apel.server.verdicts import refusal
from apelcommon.errors import Transient


def opened(name: str, size: int = 1) -> Opened:
    """A message of so many characters; what is in it doesn't matter here."""
    return Opened(Delivery(name, "x" * size, "/CN=a", "1"), refusal("", "", ""))


@pytest.fixture(autouse=True)
def _small(monkeypatch: Any) -> None:
    monkeypatch.setattr(deliveries, "SMALL_CHARACTERS", 10)
    monkeypatch.setattr(deliveries, "MOST_CHARACTERS", 25)
    monkeypatch.setattr(deliveries, "MOST_MESSAGES", 4)


def names(messages: Any, alone: str = "") -> List[str]:
    """The names of each group, as one text."""
    groups = grouped(messages, lambda one: one.delivery.name in alone)
    return ["".join(one.delivery.name for one in group) for group in groups]


@pytest.mark.parametrize(
    "sizes, expected",
    [
        ([], []),
        ([1], ["a"]),
        ([11], ["a"]),
        ([1, 1, 1], ["abc"]),
        ([1] * 9, ["abcd", "efgh", "i"]),
        ([10, 10, 5, 1], ["abc", "d"]),
        ([10, 10, 10], ["ab", "c"]),
        ([1, 11, 1, 1, 99, 99, 1], ["a", "b", "cd", "e", "f", "g"]),
        ([0] * 5, ["abcd", "e"]),
    ],
)
def test_groups_keep_the_order_and_their_bounds(sizes: List[int], expected: List[str]) -> None:
    assert names(opened(chr(97 + place), size) for place, size in enumerate(sizes)) == expected


def test_groups_are_bounded_by_records(monkeypatch: Any) -> None:
    monkeypatch.setattr(deliveries, "MOST_RECORDS", 5)
    sizes = [2, 2, 2, 0, 3, 9, 1]
    records = [Message("", JobRecord, [None] * size, []) for size in sizes]  # type: ignore[list-item]
    given = (Opened(opened(name).delivery, content) for name, content in zip("abcdefg", records))
    assert names(given) == ["ab", "cde", "f", "g"]


def test_what_must_go_alone_goes_alone() -> None:
    assert names(map(opened, "abcdef"), alone="cd") == ["ab", "c", "d", "ef"]


def test_those_before_a_trouble_come_first() -> None:
    """A full disk, say: what was taken from the queue makes room when it is loaded."""

    def breaking() -> Iterator[Opened]:
        yield opened("a")
        yield opened("b")
        raise Transient("No space left on device")

    groups = grouped(breaking(), lambda _: False)
    assert [one.delivery.name for one in next(groups)] == ["a", "b"]
    with pytest.raises(Transient, match="No space"):
        next(groups)
