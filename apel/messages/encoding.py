"""Records to messages: each is checked again before it is written."""

import functools
from typing import Callable, Dict, FrozenSet, List, Optional, Sequence, Set, Tuple, Type

from apel import times
from apel.errors import RecordError
from apel.messages import aur, car, star, storage_yaml
from apel.messages.benchmarks import as_written, written
from apel.messages.columns import each_once, write_column
from apel.messages.formats import FORMATS, TextFormat, may_be_left_out
from apel.messages.json_formats import JSON_FORMATS, JsonFormat
from apel.messages.json_writing import check_number, write_records
from apel.messages.xml_writing import XmlWriter
from apel.records import CloudRecord, Field, Record

#: The formats in XML, by name.
XML_WRITERS: Dict[str, XmlWriter] = {car.NAME: car.WRITER, star.NAME: star.WRITER, **aur.WRITERS}
#: And those that are made in the same way.
WRITERS: Dict[str, XmlWriter] = {**XML_WRITERS, storage_yaml.NAME: storage_yaml.WRITER}


def encode(
    records: Sequence[Record],
    format: str,
    include_infrastructure_description: bool = False,
    now: Optional[int] = None,
    whole_cpu_count: bool = False,
) -> str:
    """The message of these records in one of FORMATS, WRITERS or JSON_FORMATS; these need at least one.

    include_infrastructure_description: for summaries and XML; job records in text always have it.
    whole_cpu_count: write the CPUs of a virtual machine without decimals, as older readers want it.
    Raises RecordError, with the number of the record from 1, for the first that breaks a rule.
    """
    now = times.now() if now is None else now
    if format in WRITERS:
        return _document(format, records, include_infrastructure_description, now)
    if format in JSON_FORMATS:
        return _json(JSON_FORMATS[format], records, now)
    text_format = FORMATS[format]
    _check_class(records, text_format.record_class, text_format.header)
    leave_out = frozenset() if include_infrastructure_description else text_format.extra
    whole = {"CpuCount"} if whole_cpu_count and text_format.record_class is CloudRecord else set()
    write = functools.partial(_lines, text_format=text_format, leave_out=leave_out, whole=whole, now=now)
    return text_format.header + "\n" + "".join(_written(records, write, now))


def _document(format: str, records: Sequence[Record], with_description: bool, now: int) -> str:
    writer = WRITERS[format]
    _check_class(records, writer.record_class, format)
    texts = _written(records, lambda some: writer.write(some, with_description, now), now)
    return writer.frame.document(texts)


def _json(json_format: JsonFormat, records: Sequence[Record], now: int) -> str:
    _check_class(records, json_format.record_class, json_format.type)
    check_number(records)
    write = functools.partial(write_records, json_format, now=now)
    return json_format.document(_written(records, write, now))


def _whole_cpus(text: str) -> str:
    """A part of a CPU counts as one, and beyond that parts are cut off: the incumbent's rule."""
    return text if text == "None" else "1" if 0 < float(text) < 1 else str(int(float(text)))


def join(messages: Sequence[str], format: str) -> str:
    """The records of several messages of one format, each as `encode` or a Rejected has it, in one."""
    if format in WRITERS:
        return WRITERS[format].frame.joined(messages)
    if format in JSON_FORMATS:
        return JSON_FORMATS[format].joined(messages)
    header = messages[0].partition("\n")[0]
    return header + "\n" + "".join(one.partition("\n")[2] for one in messages)


def _check_class(records: Sequence[Record], wanted: Type[Record], name: str) -> None:
    for record_class in set(map(type, records)) - {wanted}:
        raise RecordError("", f"a {record_class.__name__} can't stand in '{name}'")


def _written(
    records: Sequence[Record], write: Callable[[Sequence[Record]], List[str]], now: int
) -> List[str]:
    """Each record as text."""
    if not records:
        return []
    try:
        return write(records)
    except RecordError:
        # Once more, one by one: to say which it is, or to write what only needed cleaning.
        return [text for number, record in enumerate(records, 1) for text in _one(number, record, write, now)]


def _one(number: int, record: Record, write: Callable[[Sequence[Record]], List[str]], now: int) -> List[str]:
    try:
        return write([record.check(now)])
    except RecordError as err:
        raise RecordError(err.field, err.reason, number) from err


def _lines(
    records: Sequence[Record], text_format: TextFormat, leave_out: FrozenSet[str], whole: Set[str], now: int
) -> List[str]:
    """Each record as text, with its separator. whole: fields that are written without decimals."""
    columns = dict(zip(text_format.record_class.names, zip(*records)))
    fields = text_format.written(leave_out)
    texts = [_texts(field, columns, text_format) for field in fields]
    texts = [
        each_once(_whole_cpus, column) if field.name in whole else column
        for field, column in zip(fields, texts)
    ]
    for record in records:
        for rule in text_format.rules:
            rule(record, now)
    template = text_format.template(leave_out)
    return [template % row for row in zip(*texts)]


def _texts(field: Field, columns: Dict[str, Tuple], text_format: TextFormat) -> List[str]:
    """What stands in the template for one field, for every record."""
    texts = write_column(field, columns[field.name])
    if may_be_left_out(field):
        return [f"{field.name}: {text}\n" if text else "" for text in texts]
    if field.name in text_format.by_benchmark:
        return _in_braces(text_format, field.name, texts, columns)
    return texts


def _in_braces(text_format: TextFormat, name: str, texts: List[str], columns: Dict[str, Tuple]) -> List[str]:
    """Texts of one of the fields that hold `{type: value}`."""
    fields = text_format.record_class.fields
    (kind,) = text_format.places("ServiceLevelType")
    kinds = as_written(write_column(fields[kind], columns["ServiceLevelType"]))
    place = text_format.by_benchmark.index(name) + 1
    rows = list(zip(kinds, texts, columns["Benchmarks"]))
    return each_once(lambda row: written(row[0], row[1], row[2], place), rows)
