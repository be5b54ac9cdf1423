"""Durations and memory sizes of batch logs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apel.parsers import units


@pytest.mark.parametrize(
    "text, expected",
    [
        ("90", 90),
        ("01:30", 90),
        ("2:03:04", 7384),
        ("1-02:03:04", 93784),
        ("1-03:04", 86584),
        ("00:03.250", 3),
        ("00:03.500", 4),
        ("00:90:00", 5400),
        ("400:00:00", 1440000),
    ],
)
def test_durations(text, expected):
    """P11."""
    assert units.seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", ":", "1:", "-1", "1-", "1-2", "1:2:3:4", "x", "1.x", "UNLIMITED", "+1", "1_0", "9" * 19]
)
def test_no_durations(text):
    with pytest.raises(ValueError, match=r".+"):
        units.seconds(text)


@given(st.integers(0, 10**6), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
@settings(deadline=None, max_examples=50)
def test_durations_add_up(days, hours, minutes, seconds):
    text = "%d-%02d:%02d:%02d" % (days, hours, minutes, seconds)
    assert units.seconds(text) == ((days * 24 + hours) * 60 + minutes) * 60 + seconds


@pytest.mark.parametrize(
    "text, expected",
    [
        ("2097152K", 2097152),
        ("1.50G", 1572864),
        ("0", 0),
        ("1023", 0),
        ("4096", 4),
        ("3.5K", 3),
        ("2T", 2**31),
    ],
)
def test_memory(text, expected):
    """P10."""
    assert units.memory_kb(text) == expected


@pytest.mark.parametrize("text", ["", "K", "16?", "-1K", "1e3K", "1.K", ".5G", "9999999999999P"])
def test_no_memory(text):
    """P10."""
    with pytest.raises(ValueError, match=r".+"):
        units.memory_kb(text)
