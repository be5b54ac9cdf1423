"""Messages with trouble of their own wait longer each time; those another loader has taken are forgotten."""

from typing import Any, List

import pytest

from apel.server import rest
from apel.server.rest import Rest


@pytest.fixture
def clock(monkeypatch: Any) -> List[float]:
    """The time, which tests move."""
    now = [1000.0]
    monkeypatch.setattr(rest.time, "monotonic", lambda: now[0])
    return now


def test_each_rest_is_longer_up_to_a_limit(clock: List[float]) -> None:
    resting = Rest()
    waits = []
    for _ in range(12):
        resting.begin("a", "a bad sector.")
        start = clock[0]
        while not resting.is_over("a"):
            clock[0] += 1.0
        waits.append(clock[0] - start)
    assert 3 <= waits[0] <= 8 and 400 <= waits[-1] <= 760
    assert waits[1] > waits[0] and waits[2] > waits[1]


def test_others_need_not_rest(clock: List[float]) -> None:
    resting = Rest()
    resting.begin("a", "x")
    assert resting.is_over("b") and not resting.is_over("a")
    resting.end("a")
    assert resting.is_over("a") and len(resting) == 0


def test_what_another_loader_has_taken_is_forgotten(clock: List[float]) -> None:
    resting = Rest()
    resting.begin("a", "x")
    resting.begin("b", "x")
    resting.end_pass()
    assert len(resting) == 2
    resting.is_over("b")
    resting.end_pass()
    assert len(resting) == 1 and resting.is_over("a") and not resting.is_over("b")
