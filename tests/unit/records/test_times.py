"""Times: UTC on every host."""

import calendar
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apel import times


@pytest.fixture(params=["UTC", "Europe/London", "America/New_York"], autouse=True)
def zone(request, monkeypatch):
    """A host in UTC, and two with daylight saving."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def test_times_as_the_database_takes_them():
    assert times.utc_text(0) == "1970-01-01 00:00:00"
    assert times.utc_text(1741309199) == "2025-03-07 00:59:59"
    assert times.utc_text(times.END_OF_TIME) == "2106-01-01 00:00:00"


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-07T00:00:00Z",
        "2025-03-07 00:00:00",
        "2025-03-07T00:00:00",
        "2025-03-07T02:30:00+02:30",
        "2025-03-06T19:00:00-0500",
    ],
)
def test_times_as_text(text):
    assert times.epoch_from_text(text) == 1741305600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2025",
        "2025-02-30T00:00:00Z",
        "2025-03-07T24:00:00Z",
        "2025-03-07T00:60:00Z",
        "2025-03-07T00:00:60Z",
        "0000-01-01T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "٢٠٢٥-03-07T00:00:00Z",
        "2025-03-07T00:00:00Z\n",
    ],
)
def test_bad_times_as_text(text):
    """D2: bad dates."""
    with pytest.raises(ValueError):
        times.epoch_from_text(text)


@given(epoch=st.integers(0, times.END_OF_TIME))
def test_text_and_back(epoch):
    assert times.epoch_from_text(times.utc_text(epoch)) == epoch
    assert times.month_of(epoch) == time.gmtime(epoch)[:2]


def test_months():
    assert times.month_bounds(2025, 12) == (1764547200, 1767225600)
    assert times.month_bounds(2024, 2)[1] == calendar.timegm((2024, 3, 1, 0, 0, 0))
    for year, month in [(2025, 0), (2025, 13), (1969, 12), (10**9, 1)]:
        with pytest.raises(ValueError):
            times.month_bounds(year, month)


def test_the_clock_is_whole_seconds_utc():
    assert abs(times.now() - time.time()) < 2
    assert isinstance(times.now(), int)
