"""Records to text: each is checked again before it is written."""

from typing import List, Optional, Sequence, Tuple

from apel import times
from apel.errors import RecordError
from apel.messages.benchmarks import DEFAULT_TYPE
from apel.messages.columns import write_column
from apel.messages.formats import FORMATS, TextFormat, may_be_left_out
from apel.records import Field, Record


def encode(
    records: Sequence[Record],
    format: str,
    include_infrastructure_description: bool = False,
    now: Optional[int] = None,
) -> str:
    """The message of these records in one of FORMATS.

    include_infrastructure_description: for summaries; job records always have it.
    Raises RecordError, with the number of the record from 1, for the first that breaks a rule.
    """
    text_format = FORMATS[format]
    now = times.now() if now is None else now
    _check_class(records, text_format)
    leave_out = frozenset() if include_infrastructure_description else text_format.extra
    if not records:
        return text_format.header + "\n"
    try:
        lines = _lines(records, text_format, leave_out, now)
    except RecordError:
        # Once more, one by one: to say which it is, or to write what only needed cleaning.
        lines = _lines(_cleaned(records, text_format, now), text_format, leave_out, now)
    return text_format.header + "\n" + "".join(lines)


def _check_class(records: Sequence[Record], text_format: TextFormat) -> None:
    for record_class in set(map(type, records)) - {text_format.record_class}:
        raise RecordError("", f"a {record_class.__name__} can't stand in '{text_format.header}'")


def _cleaned(records: Sequence[Record], text_format: TextFormat, now: int) -> List[Record]:
    cleaned = []
    for number, record in enumerate(records, 1):
        try:
            record = record.check(now)
            for rule in text_format.rules:
                rule(record, now)
        except RecordError as err:
            raise RecordError(err.field, err.reason, number) from err
        cleaned.append(record)
    return cleaned


def _lines(records: Sequence[Record], text_format: TextFormat, leave_out: frozenset, now: int) -> List[str]:
    """Each record as text, with its separator."""
    columns = dict(zip(text_format.record_class.names, zip(*records)))
    texts = [_texts(field, columns[field.name], text_format) for field in text_format.written(leave_out)]
    for record in records:
        for rule in text_format.rules:
            rule(record, now)
    template = text_format.template(leave_out)
    return [template % row for row in zip(*texts)]


def _texts(field: Field, column: Tuple, text_format: TextFormat) -> List[str]:
    """What stands in the template for one field, for every record."""
    texts = write_column(field, column)
    if may_be_left_out(field):
        return [f"{field.name}: {text}\n" if text else "" for text in texts]
    if text_format.dict_benchmark and field.name == "ServiceLevelType":
        return [DEFAULT_TYPE if text == "None" else text for text in texts]
    return texts
