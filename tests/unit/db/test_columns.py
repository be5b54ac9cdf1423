"""Rows kept by columns are a sequence like any other, and always the same objects."""

from typing import Any, List

from apel.columns import ByColumn, are_all_equal, column_at, column_of, columns_of, each_once, parts
from apel.records import SyncRecord

NAMES = SyncRecord.names


def counts(number: int) -> ByColumn:
    """Records of so many sites."""
    sites = ["SITE-%d" % site for site in range(number)]
    columns = [sites, ["ce"] * number, list(range(number)), [3] * number, [2025] * number]
    return ByColumn(columns, NAMES, SyncRecord.make)


def test_a_sequence_of_rows() -> None:
    records = counts(3)
    plain = [SyncRecord.make(("SITE-%d" % site, "ce", site, 3, 2025)) for site in range(3)]
    assert len(records) == 3 and list(records) == plain and records[1:] == plain[1:]
    assert records == plain and plain == records and records == counts(3) and records != plain[1:]
    assert records[2].NumberOfJobs == 2 and plain[2] in records
    assert not ByColumn([]) and not counts(0)
    assert ByColumn([[1, 2], ["a", "b"]]) == [(1, "a"), (2, "b")]


def test_rows_are_made_once_and_are_those_of_the_whole() -> None:
    """Verdicts find records by their identity."""
    records = counts(7)
    made = list(records)
    seen: List[Any] = []
    for part in parts(records, 3):
        assert len(part) in (3, 1)
        seen += part
    assert list(map(id, seen)) == list(map(id, made)) == list(map(id, records))
    assert [list(part) for part in parts(made, 3)] == [made[:3], made[3:6], made[6:]]


def test_columns_of_any_rows() -> None:
    records = counts(4)
    for rows in (records, list(records), records.part(0, 4)):
        assert list(column_of(rows, "Site")) == ["SITE-0", "SITE-1", "SITE-2", "SITE-3"]
        assert list(column_at(rows, 2)) == [0, 1, 2, 3]
        assert [list(column) for column in columns_of(rows, 1, 3)][:3] == [
            ["SITE-1", "SITE-2"],
            ["ce", "ce"],
            [1, 2],
        ]


def test_what_is_repeated_is_done_once() -> None:
    calls: List[int] = []

    def double(value: int) -> int:
        calls.append(value)
        return 2 * value

    assert each_once(double, [3, 1, 3, 3]) == [6, 2, 6, 6] and calls == [3, 1]
    assert are_all_equal([1, 1]) and not are_all_equal([1, 2])
