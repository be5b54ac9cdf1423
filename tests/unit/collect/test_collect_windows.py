"""Which period a run collects: without a gap, whatever became of the runs before it."""

from hypothesis import given
from hypothesis import strategies as st

from apel.collect.window import Rule, Window, known_after

HOUR, DAY = 3600, 86400
RULE = Rule(first=30 * DAY, overlap=DAY, settle=300)
NOW = 1795305600


def test_first_run_goes_back_some_days():
    assert RULE.window(NOW, None) == Window(NOW - 300 - 30 * DAY, NOW - 300)


def test_later_run_overlaps_the_last():
    assert RULE.window(NOW, NOW - DAY) == Window(NOW - 2 * DAY, NOW - 300)


def test_run_after_a_long_pause_leaves_nothing_out():
    assert RULE.window(NOW, NOW - 400 * DAY).since == NOW - 401 * DAY


def test_clock_that_was_wrong():
    """A state of the future is not believed, and the next one is sane again.

    The run that left it may be days ago: beginning a day ago would leave out what has ended since.
    """
    window = RULE.window(NOW, NOW + 1000 * DAY)
    assert window == Window(NOW - 300 - 30 * DAY, NOW - 300)
    assert RULE.window(NOW, NOW) == Window(NOW - 300 - DAY, NOW - 300)
    assert known_after(window, NOW + 1000 * DAY, NOW) == NOW - 300


def test_period_that_is_asked_for():
    assert RULE.window(NOW, NOW - DAY, since=5, until=9) == Window(5, 9)


def test_period_behind_a_gap_proves_nothing_of_the_gap():
    assert known_after(Window(NOW - HOUR, NOW), NOW - DAY, NOW) == NOW - DAY


def test_period_of_earlier_days_moves_nothing():
    assert known_after(Window(NOW - 9 * DAY, NOW - 8 * DAY), NOW - DAY, NOW) == NOW - DAY


def test_period_until_the_future_counts_until_now():
    assert known_after(Window(NOW - DAY, NOW + DAY), NOW - HOUR, NOW) == NOW


def test_pieces_are_the_whole():
    assert list(Window(0, 25).pieces(10)) == [Window(0, 10), Window(10, 20), Window(20, 25)]
    assert list(Window(7, 7).pieces(10)) == []


@given(st.lists(st.tuples(st.integers(1, 40 * DAY), st.booleans()), min_size=1, max_size=12))
def test_no_moment_is_left_out(steps):
    """Runs at any distance, each of which may fail: what the good ones collected has no gap."""
    now, known, collected = NOW, None, None
    for pause, works in steps:
        now += pause
        window = RULE.window(now, known)
        if works:
            assert collected is None or window.since <= collected
            collected, known = window.until, known_after(window, known, now)
            assert known == collected
