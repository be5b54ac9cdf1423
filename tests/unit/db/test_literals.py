"""Rows as SQL literals: whatever is in them, the statement stays one statement and says what was meant."""

import decimal
from typing import Any, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apel.db import RowRefused
from apel.db.literals import literal, row_texts, value_lists

TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=60)


def texts(rows: List[Any]) -> List[str]:
    return [text.decode("utf-8") for text in row_texts(rows)]


def test_each_kind_of_value() -> None:
    row = (1, -2.5, "a", None, True, b"\x00'", b"", decimal.Decimal("1.5"), "it's \\ é")
    assert texts([row]) == [r"(1,-2.5,'a',NULL,1,x'0027','','1.5','it\'s \\ é')"]


def test_columns_of_one_kind_and_mixed_ones() -> None:
    assert texts([(1, "a", None), (2, "b", 3)]) == ["(1,'a',NULL)", "(2,'b',3)"]
    assert texts([(1, "a'"), (2.5, "b")]) == [r"(1,'a\'')", "(2.5,'b')"]
    assert texts([]) == []


def test_times_are_written_as_numbers_if_all_of_them_are_times() -> None:
    """The server reads numbers faster. What only looks like a time in part stays the text that it is."""
    good = [("2025-03-01 00:00:00", "2025-03-01 00:00:00"), ("2025-12-31 23:59:59", "b")]
    assert list(row_texts(good, {0})) == [
        b"(20250301000000,'2025-03-01 00:00:00')",
        b"(20251231235959,'b')",
    ]
    for odd in ("", "2025-03-01", "2025-03-01T00:00:00", "2025-03-01 00:00:0'", None, "2025-03-01 00,00:00"):
        assert list(row_texts([(good[0][0],), (odd,)], {0})) == list(row_texts([(good[0][0],), (odd,)]))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(RowRefused):
        literal(value)
    with pytest.raises(RowRefused):
        texts([(1.0,), (value,)])


def test_what_is_not_unicode_is_refused() -> None:
    with pytest.raises(RowRefused, match="Unicode"):
        texts([("good",), ("\udcff",)])


@given(st.lists(st.tuples(TEXT, st.integers(-(2**63), 2**63 - 1)), max_size=30), st.integers(1, 7))
def test_lists_hold_all_rows_within_their_bounds(rows: List[Any], most_rows: int) -> None:
    whole = list(row_texts(rows))
    longest = max([len(text) for text in whole], default=0) + 1
    for most_bytes in (longest, 3 * longest, 10**6):
        lists = list(value_lists(rows, most_rows, most_bytes))
        assert b",".join(lists) == b",".join(whole)
        assert all(0 < len(one) <= most_bytes for one in lists)


def test_a_row_larger_than_a_packet_is_refused() -> None:
    with pytest.raises(RowRefused, match="bytes"):
        list(value_lists([("a",), ("b" * 100,)], 10, 50))


@settings(suppress_health_check=list(HealthCheck), max_examples=25)
@given(values=st.lists(st.tuples(TEXT, st.one_of(st.none(), TEXT)), min_size=1, max_size=30))
def test_any_text_comes_back_from_the_database_as_it_was(client_db: Any, values: List[Any]) -> None:
    rows = [(str(number), *pair) for number, pair in enumerate(values)]

    def work(tx: Any) -> List[Any]:
        tx.execute("DELETE FROM RejectedLines")
        columns = ("Hash", "Line", "Reason", "HostName", "LineNumber")
        tx.insert("RejectedLines", columns, [(*row, "h", 1) for row in rows])
        return list(tx.rows("SELECT Hash, Line, Reason FROM RejectedLines"))

    assert sorted(client_db.run(work)) == sorted(rows)
    packed = [tuple(row) for row in client_db.stream_text("RejectedLines", ["Hash", "Line", "Reason"])]
    assert sorted(packed) == sorted(rows)
