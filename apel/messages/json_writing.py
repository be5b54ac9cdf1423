"""Records as JSON: one on each line, in the order of their fields."""

import json
from typing import Any, Dict, List, Sequence

from apel.errors import RecordError
from apel.messages.json_formats import MOST_RECORDS, JsonFormat
from apel.records import Record

#: What receivers that demand a key read as no value.
ABSENT = "None"


def check_number(records: Sequence[Record]) -> None:
    """Raises RecordError for more records than a message may hold, or none."""
    if not 1 <= len(records) <= MOST_RECORDS:
        raise RecordError("", f"{len(records)} records, a message in JSON holds from 1 to {MOST_RECORDS}")


def write_records(json_format: JsonFormat, records: Sequence[Record], now: int) -> List[str]:
    """Each record as text, checked again. Raises RecordError if any breaks a rule."""
    return [_written(json_format, record.check(now)) for record in records]


def _written(json_format: JsonFormat, record: Record) -> str:
    found: Dict[str, Any] = {}
    for field in json_format.fields:
        value = getattr(record, field.name)
        if value is not None:
            found[field.name] = _shortest(value)
        elif field.name in json_format.always:
            found[field.name] = ABSENT
    return json.dumps(found)


def _shortest(value: Any) -> Any:
    """2.0 as 2; it is read as a number again."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
