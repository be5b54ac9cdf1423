"""Benchmark history: one clock, no gap, no overlap, never an arbitrary value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apel.client.benchmarks import (
    BDII,
    MANUAL,
    Benchmark,
    Period,
    all_valid_at,
    benchmark_type,
    changes,
    manual_benchmark,
    superseded,
    valid_at,
)
from apel.times import utc_text

EPOCH = "1970-01-01 00:00:00"
NOW = "2026-11-10 12:00:00"


def after(history, change, now=NOW):
    """The history once the change is made, as the database does it."""
    if change is None:
        return history
    if change.amend:
        return [change.opened if period == change.close else period for period in history]
    closed = [period._replace(stop=now) if period == change.close else period for period in history]
    return closed + ([change.opened] if change.opened else [])


def test_manual_spec_is_trimmed_and_spelled_as_the_centre_knows_it():
    assert manual_benchmark(" ce01:9619/q , hepscore23,\t12.5 ") == Benchmark(
        "ce01:9619/q", "HEPscore23", 12.5
    )


@pytest.mark.parametrize(
    "text, said",
    [
        ("ce01,HEPSPEC", "three parts"),
        ("ce01,HEPSPEC,9,5", "decimal point"),
        ("ce01,,9.5", "three parts"),
        ("ce01,HEPSPEC,fast", "'fast'"),
        ("ce01,HEPSPEC,nan", "above 0"),
        ("ce01,HEPSPEC,-1", "above 0"),
        ("ce01,HEPSPEC,0.0004", "above 0"),
        ("ce01,HEPSPEC,inf", "above 0"),
        ("ce01,HEP-SPEC06,9.5", "did you mean HEPSPEC?"),
        ("ce01,HEPscore32,9.5", "did you mean HEPscore23?"),
        ("ce01,SpecInt2000,9.5", "did you mean si2k?"),
    ],
)
def test_manual_spec_with_wrong_parts_is_refused(text, said):
    """C13: two or four parts, a number that isn't one, a benchmark we don't know."""
    with pytest.raises(ValueError) as caught:
        manual_benchmark(text)
    assert said in str(caught.value)


def test_value_is_rounded_as_the_database_does_it():
    assert manual_benchmark("ce01,HEPSPEC,9.12345").value == 9.123


def test_name_of_no_benchmark_lists_the_right_ones():
    with pytest.raises(ValueError, match="must have one of HEPscore23, HEPSPEC, si2k$"):
        benchmark_type("zzz")


def test_first_value_covers_old_jobs():
    """C5: it starts with the epoch."""
    assert changes([], Benchmark("ce", "HEPSPEC", 9.5), NOW).opened == Period(EPOCH, None, "HEPSPEC", 9.5)


def test_equal_value_in_another_case_changes_nothing():
    history = [Period(EPOCH, None, "Si2k", 2500.0)]
    assert changes(history, Benchmark("ce", "si2k", 2500.0005), NOW) is None


def test_change_at_midnight_leaves_no_gap_and_no_overlap():
    """C5."""
    old = Period(EPOCH, None, "HEPSPEC", 9.5)
    history = after([old], changes([old], Benchmark("ce", "HEPSPEC", 10.0), NOW))
    assert valid_at(history, "2026-11-10 11:59:59").value == 9.5
    assert valid_at(history, NOW).value == 10.0


def test_second_change_in_one_second_replaces_the_first():
    """C5: a clock that was set back makes no interval that ends before it starts."""
    history = [Period(EPOCH, NOW, "HEPSPEC", 9.5), Period(NOW, None, "HEPSPEC", 10.0)]
    changed = after(history, changes(history, Benchmark("ce", "HEPSPEC", 11.0), NOW))
    assert changed == [Period(EPOCH, NOW, "HEPSPEC", 9.5), Period(NOW, None, "HEPSPEC", 11.0)]


def test_two_types_open_for_one_element_use_the_preferred():
    """C2: HEPscore23, then HEPSPEC, then si2k, whatever their order."""
    history = [Period(EPOCH, None, name, 1.0) for name in ("si2k", "HEPscore23", "HEPSPEC")]
    assert valid_at(history, NOW).type == "HEPscore23"
    assert valid_at(history[::2], NOW).type == "HEPSPEC"


def test_going_back_to_an_older_type_ends_the_preferred_one():
    """C2: what the configuration says is used, though a preferred type is still open."""
    history = [Period(EPOCH, None, "HEPscore23", 12.5), Period(EPOCH, None, "si2k", 2500.0)]
    ended = superseded(history, ["HEPSPEC"], NOW)
    assert [change.close.type for change in ended] == ["HEPscore23"]
    assert superseded(history, ["hepscore23"], NOW) == []


def test_type_that_is_configured_no_more_ends_unless_an_information_system_goes_on_with_it():
    """Whatever its rank: all that are in force are sent."""
    history = [
        Period(EPOCH, None, "HEPSPEC", 10.0),  # from before sources were noted: there was but si2k elsewhere
        Period(EPOCH, None, "si2k", 2500.0),
        Period(EPOCH, None, "HEPscore23", 12.5, MANUAL),
    ]

    def ended(history, looked_up=True):
        return [change.close.type for change in superseded(history, ["HEPscore23"], NOW, looked_up)]

    assert ended(history) == ["HEPSPEC"]
    assert ended(history, looked_up=False) == ["HEPSPEC", "si2k"]
    published = [period._replace(source=BDII) for period in history[:2]]
    assert ended(published) == []
    assert ended([period._replace(source=MANUAL) for period in history[:2]]) == ["HEPSPEC", "si2k"]


def test_all_that_are_valid_are_one_of_each_type_the_preferred_first():
    history = [
        Period(EPOCH, None, "si2k", 2500.0),
        Period("2026-01-01 00:00:00", None, "HEPSPEC", 10.0),
        Period(EPOCH, None, "hepspec", 9.0),  # a history with an overlap, by hand: the older one, as ever
        Period(EPOCH, NOW, "HEPscore23", 12.5),
        Period(EPOCH, None, "mine: 1, other", 1.0),  # no message could say it beside others
    ]
    valid = all_valid_at(history, NOW)
    assert [(period.type, period.value) for period in valid] == [("hepspec", 9.0), ("si2k", 2500.0)]
    assert all_valid_at(history[4:], NOW) == tuple(history[4:])
    assert all_valid_at([], NOW) == ()


def test_type_closed_by_hand_goes_on_where_it_ended():
    history = [Period(EPOCH, "2026-10-01 00:00:00", "HEPSPEC", 9.5)]
    assert changes(history, Benchmark("ce", "HEPSPEC", 9.0), NOW).opened.start == "2026-10-01 00:00:00"


STEPS = st.lists(st.tuples(st.integers(-5, 50), st.floats(1, 20)), min_size=1, max_size=8)


@given(STEPS)
def test_any_row_of_changes_leaves_exactly_one_value_at_any_time(steps):
    """C5: even where the clock goes back."""
    history, clock = [], 1000
    for seconds, value in steps:
        clock += seconds
        now = utc_text(clock)
        history = after(history, changes(history, Benchmark("ce", "HEPSPEC", value), now), now)
    for time in range(900, 1500, 7):
        text = utc_text(time)
        holding = [p for p in history if p.start <= text and (p.stop is None or text < p.stop)]
        assert len(holding) == 1


def test_type_taken_up_again_leaves_the_time_between_to_the_other():
    """C5: from HEPscore23 to HEPSPEC and back; what ended meanwhile was measured in HEPSPEC."""
    left, back = "2026-02-01 00:00:00", "2026-03-01 00:00:00"
    history = [
        Period(EPOCH, left, "HEPscore23", 10.0),
        Period(left, None, "HEPSPEC", 11.0),
    ]
    history = after(history, changes(history, Benchmark("ce", "HEPscore23", 12.0), back), back)
    assert valid_at(history, "2026-02-15 00:00:00") == Period(left, None, "HEPSPEC", 11.0)
    assert valid_at(history, back).value == 12.0
