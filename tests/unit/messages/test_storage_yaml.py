"""Levels of storage in YAML: what the draft says, read back by a YAML library."""

from typing import Any, Dict, List

import pytest
import yaml
from central_records import storage
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import texts

from apel.errors import RecordError
from apel.messages import encode
from apel.messages.storage_yaml import NAME, NAMES
from apel.records import StorageRecord
from apel.times import epoch_from_text

DAY: Dict[str, Any] = {"SubGroup": None, "Role": None, "GroupAttributes": None}


def written(*records: StorageRecord) -> List[Any]:
    return list(yaml.safe_load_all(encode(records, NAME)))


def test_stream_of_documents_is_the_drafts() -> None:
    """A type, then a document for each row, all with their marks."""
    text = encode([storage(**DAY)], NAME)
    assert text == (
        "---\n"
        "type: StorageRecord\n"
        "...\n"
        "---\n"
        'EndTime: "2025-03-08T00:00:00Z"\n'
        'StorageSystem: "se.north.example"\n'
        'Site: "EXAMPLE-NORTH"\n'
        'StorageShare: "ATLASDATADISK"\n'
        'StorageMedia: "disk"\n'
        'DirectoryPath: "/dpm/north.example/home/atlas"\n'
        'Group: "atlas"\n'
        'Month: "3"\n'
        'Year: "2025"\n'
        "FileCount: 4200\n"
        "ResourceCapacityUsed: 987654321000\n"
        "LogicalCapacityUsed: 493827160500\n"
        "ResourceCapacityAllocated: 2000000000000\n"
        "...\n"
    )
    kind, day = yaml.safe_load_all(text)
    assert kind == {"type": "StorageRecord"}
    assert (day["EndTime"], day["Month"], day["FileCount"]) == ("2025-03-08T00:00:00Z", "3", 4200)


def test_what_is_unknown_is_null_and_absent_names_are_the_word_of_the_database() -> None:
    _, day = written(storage(**DAY, FileCount=None, Group=None, LogicalCapacityUsed=None))
    assert (day["FileCount"], day["LogicalCapacityUsed"], day["Group"]) == (None, None, "None")


def test_month_is_that_in_which_the_period_begins() -> None:
    end = epoch_from_text("2026-01-01 00:00:00")
    _, day = written(storage(**DAY, StartTime=end - 86400, EndTime=end))
    assert (day["Year"], day["Month"]) == ("2025", "12")


def test_subgroup_and_role_are_said_where_they_are_given() -> None:
    _, month = written(storage(SubGroup="/atlas/uk", Role="a: b"))
    assert (month["SubGroup"], month["Role"]) == ("/atlas/uk", "a: b")
    assert not {"SubGroup", "Role"} & set(written(storage(**DAY))[1])


def test_text_that_looks_like_something_else_stays_text() -> None:
    words = [
        "yes",
        "12",
        "1.5",
        "~",
        "2026-10-01",
        "- a",
        "a: b",
        "{a}",
        "#x",
        "'",
        '"',
        "\\n",
        "é 😀 \ufefe",
    ]
    for word in words:
        _, day = written(storage(**DAY, Group=word))
        assert day["Group"] == word


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries({name: texts() for name in NAMES}))
def test_any_names_come_back(names: Dict[str, str]) -> None:
    _, day = written(storage(**DAY, **names))
    assert {name: day[name] for name in NAMES} == names


def test_bad_records_are_refused() -> None:
    with pytest.raises(RecordError) as raised:
        encode([storage(**DAY), storage(**DAY).replace(FileCount=-1)], NAME)
    assert (raised.value.field, raised.value.number) == ("FileCount", 2)
