"""How full storage was on a day and in a month: what snapshots say."""

import itertools
from typing import Any, Dict, List, Optional, Sequence, Tuple

from hypothesis import given, settings
from hypothesis import strategies as st

from apel.records.storage import moment, months_spoken_for, span
from apel.server.storage_levels import RUN_SECONDS, Level, Part, Snapshot, levels_by_day, month_level
from apel.times import DAY, epoch_from_text, month_bounds

FIRST, AFTER = month_bounds(2026, 3)
HOUR = 3600
WHOLE: Part = (None, None, None, None)


def at(text: str) -> int:
    return epoch_from_text("2026-%s:00" % text)


def user(name: Optional[str], dn: Optional[str] = None) -> Part:
    """A part that is about a local user, a certificate, or both."""
    return None, name, None, dn


NUMBERS = itertools.count()


def made_of(*words: Any) -> Snapshot:
    """A snapshot with a record of its own."""
    return Snapshot(str(next(NUMBERS)), *words)


def measured(text: str, used: int, since: str = "", made: str = "", files: Optional[int] = None) -> Snapshot:
    """A record made at a time; its period ends then, and begins ten minutes before or at `since`."""
    end = at(text)
    start = at(since) if since else end - 600
    return made_of(at(made) if made else end, start, end, (files, used, None, None))


def valid(text: str, used: int, hours: int) -> Snapshot:
    """A record made at a time, from when on it holds for some hours."""
    start = at(text)
    return made_of(start, start, start + hours * HOUR, (None, used, None, None))


def used(*snapshots: Snapshot) -> Dict[int, Optional[int]]:
    """Bytes used by day of March, of snapshots of one thing."""
    return used_of({WHOLE: list(snapshots)})


def used_of(parts: Dict[Part, List[Snapshot]]) -> Dict[int, Optional[int]]:
    levels = levels_by_day(parts, FIRST, AFTER)
    return {(day - FIRST) // DAY + 1: level.figures[1] for day, level in levels.items()}


# -- days -----------------------------------------------------------------------------------------


def test_last_snapshot_of_a_day_counts_and_is_not_added_to_the_others() -> None:
    assert used(measured("03-05 01:00", 10), measured("03-05 23:00", 30), measured("03-05 12:00", 20)) == {
        5: 30
    }


def test_day_without_a_snapshot_has_no_value() -> None:
    assert used(measured("03-05 01:00", 10), measured("03-07 01:00", 20)) == {5: 10, 7: 20}


def test_record_of_a_whole_day_is_of_that_day() -> None:
    """Though it ends with the first second of the next, and was made later still."""
    assert used(measured("03-08 00:00", 7, since="03-07 00:00", made="03-08 00:05")) == {7: 7}
    assert used(measured("04-01 00:00", 7, since="03-31 00:00", made="04-02 10:00")) == {31: 7}


def test_snapshot_that_holds_for_days_fills_those_that_have_none() -> None:
    assert used(valid("03-05 12:00", 10, 72), valid("03-07 06:00", 20, 12)) == {5: 10, 6: 10, 7: 20, 8: 10}
    # Measured at its end: the next that was taken says it.
    assert used(measured("03-09 12:00", 20, since="03-07 12:00"), measured("03-08 12:00", 10)) == {
        7: 20,
        8: 10,
        9: 20,
    }


def test_snapshots_over_midnight_leave_the_next_day_to_its_own() -> None:
    """Once a day at three, valid for a day."""
    found = used(*(valid("03-%02d 03:00" % day, day, 24) for day in range(1, 32)))
    assert found == {day: day for day in range(1, 32)}


def test_period_since_something_was_made_years_ago_is_no_validity() -> None:
    """cASO: volumes since they were made. A month back at most."""
    old = measured("03-20 12:00", 5)
    old = made_of(old.created, 0, old.end, old.figures)
    assert min(used(old)) == 1 and max(used(old)) == 20
    assert span(at("05-20 12:00"), 0, at("05-20 12:00"))[0] == at("05-20 12:00") - 31 * DAY - 1


def test_period_that_never_ends_speaks_for_a_month() -> None:
    assert used(valid("03-05 00:00", 5, 24 * 365 * 50)) == dict.fromkeys(range(5, 32), 5)
    assert used(valid("01-20 00:00", 5, 24 * 365 * 50)) == {}


def test_period_that_ends_before_it_begins_is_the_moment_of_its_end() -> None:
    backwards = made_of(at("03-05 12:00"), at("03-04 12:00"), at("03-01 12:00"), (1, 2, 3, 4))
    assert levels_by_day({WHOLE: [backwards]}, FIRST, AFTER) == {
        at("03-01 00:00"): Level(at("03-01 12:00") + 1, (1, 2, 3, 4))
    }


def test_several_records_of_one_run_are_added_up() -> None:
    """cASO: a record for each volume, seconds apart; one that was removed at noon isn't in the last run."""
    morning = [measured("03-05 08:00", 1), measured("03-05 08:00", 2), measured("03-05 08:01", 4)]
    evening = [measured("03-05 20:00", 1, since="02-01 00:00"), measured("03-05 20:02", 2)]
    assert used(*morning, *evening)[5] == 3


def test_snapshots_of_a_producer_that_runs_every_few_minutes_are_not_added() -> None:
    times = ["03-05 23:%02d" % minute for minute in range(0, 60, 5)]
    assert used(*(measured(time, 7) for time in times)) == {5: 7}


def test_run_that_was_repeated_for_the_same_time_counts_once() -> None:
    """With ids of its own: what was made last is right."""
    first = [measured("03-06 00:00", size, since="03-05 00:00", made="03-06 00:05") for size in (1, 2)]
    again = [measured("03-06 00:00", size, since="03-05 00:00", made="03-06 09:00") for size in (1, 3)]
    assert used(*first, *again) == used(*again, *first) == {5: 4}


def test_unknown_figures_are_not_zero() -> None:
    levels = levels_by_day(
        {WHOLE: [measured("03-05 01:00", 1), measured("03-05 01:00", 2, files=3)]}, FIRST, AFTER
    )
    assert [level.figures for level in levels.values()] == [(3, 3, None, None)]


# -- parts ----------------------------------------------------------------------------------------


def test_users_of_a_group_are_added_up_each_by_their_last_snapshot() -> None:
    parts = {
        user("a"): [measured("03-05 01:00", 1), measured("03-05 23:00", 2)],
        user("b"): [measured("03-05 12:00", 4)],
    }
    assert used_of(parts) == {5: 6}


def test_total_of_a_group_is_not_added_to_its_users() -> None:
    """Two producers of one system, or one with reports by group and by user."""
    parts = {
        WHOLE: [measured("03-05 01:00", 10)],
        user("a"): [measured("03-05 02:00", 3), measured("03-06 02:00", 4)],
        user("b"): [measured("03-05 02:00", 7), measured("03-06 02:00", 8)],
    }
    assert used_of(parts) == {5: 10, 6: 12}


def test_users_of_whom_some_have_a_certificate_are_different_ones() -> None:
    parts = {user("a"): [measured("03-05 01:00", 1)], user("b", "/CN=b"): [measured("03-05 01:00", 2)]}
    assert used_of(parts) == {5: 3}
    # This one holds the second of them.
    assert used_of({**parts, user("b"): [measured("03-05 01:00", 5)]}) == {5: 6}


def test_users_by_account_and_by_certificate_are_not_added() -> None:
    """Nothing says which is which: the side that knows of more counts."""
    parts = {
        user("a"): [measured("03-05 01:00", 4)],
        user("b"): [measured("03-05 01:00", 4)],
        user(None, "/CN=a"): [measured("03-05 01:00", 7)],
    }
    assert used_of(parts) == {5: 8}
    parts[user(None, "/CN=c")] = [measured("03-05 01:00", 2)]
    assert used_of(parts) == {5: 9}


# -- months ---------------------------------------------------------------------------------------


def test_month_is_the_average_of_its_days_and_the_last_of_them() -> None:
    levels = levels_by_day({WHOLE: [measured("03-01 01:00", 10), measured("03-01 02:00", 20, files=4),
                                    measured("03-03 01:00", 31, files=7), measured("03-31 01:00", 0)]},
                           FIRST, AFTER)  # fmt: skip
    found = month_level(levels)
    # 51 bytes on three days; of files two days know.
    assert found.average == (6, 17, None, None)
    assert (found.days, found.last) == (3, (None, 0, None, None))
    assert found.end == at("03-31 01:00")


def test_average_is_rounded_halves_up_and_exact_beyond_floats() -> None:
    big = 2**62 + 1
    levels = {FIRST: Level(FIRST, (0, big, 1, 1)), FIRST + DAY: Level(FIRST, (1, big + 1, 1, None))}
    assert month_level(levels).average == (1, big + 1, 1, 1)


def test_months_of_a_snapshot() -> None:
    assert months_spoken_for(at("03-05 12:00"), at("03-05 11:00"), at("03-05 12:00")) == {(2026, 3)}
    assert months_spoken_for(at("03-05 12:00"), at("02-27 11:00"), at("03-05 12:00")) == {
        (2026, 2),
        (2026, 3),
    }
    assert months_spoken_for(at("04-01 00:00"), at("03-31 00:00"), at("04-01 00:00")) == {
        (2026, 3),
        (2026, 4),
    }
    assert months_spoken_for(0, 0, at("03-05 12:00")) == {(1970, 1), (1970, 2), (2026, 3)}


# -- against a plain calculation ------------------------------------------------------------------

EVENTS = st.lists(
    st.tuples(
        st.integers(-3 * 24, 8 * 24),  # made: hours of March
        st.integers(-80, 10),  # start: hours before
        st.sampled_from([0, 0, 0, 1, 24, 60]),  # end: hours after
        st.integers(0, 300),  # seconds more
        st.one_of(st.none(), st.integers(0, 9)),
        st.integers(0, 1000),
        st.sampled_from([WHOLE, user("a"), user("b"), user("a", "/a"), user(None, "/a"), user(None, "/b")]),
    ),
    max_size=12,
)


def plainly(events: Sequence[Tuple[Any, ...]], day: int) -> Optional[Tuple[Any, ...]]:
    """The figures of a day, by looking at everything for every question."""
    speaking: Dict[Part, List[Tuple[int, int, Any]]] = {}
    for hours, before, after, more, files, size, part in events:
        made = FIRST + hours * HOUR + more
        end = made + after * HOUR
        start = min(made + before * HOUR, end)
        second = made if start <= made < end else (end - 1 if start < end else start)
        if start > made:
            second = start
        if max(start, second - 31 * DAY) < day + DAY and max(end, second + 1) > day:
            speaking.setdefault(part, []).append((second, made, (files, size)))
    values: Dict[Part, Tuple[Any, ...]] = {}
    for part, found in speaking.items():
        before_end = [one for one in found if one[0] < day + DAY]
        pick = max(one[0] for one in before_end) if before_end else min(one[0] for one in found)
        run = [one for one in before_end or found if abs(one[0] - pick) <= RUN_SECONDS]
        last = max(one[1] for one in run)
        chosen = [one[2] for one in run if last - one[1] <= RUN_SECONDS]
        known = [files for files, _ in chosen if files is not None]
        values[part] = (sum(known) if known else None, sum(size for _, size in chosen))
    return _sum_of_disjoint(values)


def _sum_of_disjoint(values: Dict[Part, Tuple[Any, ...]]) -> Optional[Tuple[Any, ...]]:
    def detail(part: Part) -> Tuple[bool, ...]:
        return tuple(value is not None for value in part)

    def rank(part: Part) -> Tuple[Any, ...]:
        alike = sum(size for other, (_, size) in values.items() if detail(other) == detail(part))
        return sum(detail(part)), -alike, detail(part)

    taken: List[Part] = []
    for part in sorted(values, key=rank):
        others = [one for one in taken if detail(one) != detail(part)]
        if all(any(a and b and a != b for a, b in zip(part, one)) for one in others):
            taken.append(part)
    if not taken:
        return None
    known = [values[part][0] for part in taken if values[part][0] is not None]
    return (sum(known) if known else None, sum(values[part][1] for part in taken))


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_levels_are_what_a_plain_calculation_says(events: Any) -> None:
    parts: Dict[Part, List[Snapshot]] = {}
    for hours, before, after, more, files, size, part in events:
        made = FIRST + hours * HOUR + more
        one = made_of(made, made + before * HOUR, made + after * HOUR, (files, size))
        parts.setdefault(part, []).append(one)
    levels = levels_by_day(parts, FIRST, AFTER)
    for day in range(FIRST, AFTER, DAY):
        found = levels.get(day)
        assert (found and found.figures) == plainly(events, day)


def test_moment_is_within_the_period() -> None:
    for made, start, end, second in [
        (5, 1, 9, 5),
        (0, 1, 9, 1),
        (12, 1, 9, 8),
        (9, 1, 9, 8),
        (5, 9, 1, 1),
        (5, 5, 5, 5),
    ]:
        assert moment(made, start, end) == second
