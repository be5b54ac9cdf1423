"""Text to records: each record judged by itself, a large message by columns."""

import re
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from apel import times
from apel.errors import RecordError, shown
from apel.messages.base import Message, Rejected
from apel.messages.benchmarks import read_benchmarks
from apel.messages.columns import Columns, each_once, identify, read_column
from apel.messages.formats import FORMATS, TextFormat, format_of
from apel.records import Record
from apel.records.fields import is_null
from apel.records.rules import NO_BENCHMARK

Raws = Tuple[Optional[str], ...]
Row = Tuple[int, Raws]
Outcome = Tuple[int, Union[Record, RecordError]]

_SEPARATOR_LINE = re.compile(r"^[ \t]*%%[ \t]*\n", re.MULTILINE)


def decode(text: str, now: Optional[int] = None) -> Message:
    """The records of a message, and those refused.

    now: epoch seconds, for the rules about the future; the clock's time if not given.
    Raises RecordError if the message as a whole can't be read (empty, or a header that isn't known).
    """
    text = text.strip()
    if not text:
        raise RecordError("", "The message is empty.")
    if text[0] in "<{":
        raise RecordError("", "Message type not recognised: it is XML or JSON, not APEL text.")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    header, _, body = text.partition("\n")
    header = header.strip()
    name = format_of(header)
    chunks = _split(body)
    outcomes = _Decoder(FORMATS[name], times.now() if now is None else now).outcomes(chunks)
    records = [outcome for _, outcome in outcomes if not isinstance(outcome, RecordError)]
    rejected = [
        Rejected(number, f"{header}\n{chunks[number - 1]}%%\n", outcome)
        for number, outcome in outcomes
        if isinstance(outcome, RecordError)
    ]
    return Message(name, FORMATS[name].record_class, records, rejected)


def _split(body: str) -> List[str]:
    """The texts of the records, each ending in a newline. The separator stands alone on its line."""
    body += "\n"
    chunks = body.split("%%\n")
    alone = all(chunk.endswith("\n") for chunk in chunks[:-1] if chunk)
    if not alone or len(chunks) - 1 < body.count("%%"):
        chunks = _SEPARATOR_LINE.split(body)
    return [chunk for chunk in chunks if chunk and not chunk.isspace()]


class _Decoder:
    """Reads the records of one message, all of one format."""

    def __init__(self, text_format: TextFormat, now: int) -> None:
        self.format = text_format
        self.now = now
        self.fields = text_format.record_class.fields
        self.identity = text_format.places("FQAN", "VO", "VOGroup", "VORole")
        self.benchmark = text_format.places("ServiceLevelType", "ServiceLevel")

    def outcomes(self, chunks: Sequence[str]) -> List[Outcome]:
        """A record or an error for each text, with its number from 1, in order.

        Records in the usual form are matched whole by the format's pattern, others line by line.
        """
        usual: List[Row] = []
        odd: List[Row] = []
        refused: List[Outcome] = []
        match = self.format.pattern.fullmatch
        for number, chunk in enumerate(chunks, 1):
            found = match(chunk)
            if found:
                usual.append((number, found.groups()))
                continue
            try:
                odd.append((number, self._lines(chunk)))
            except RecordError as err:
                refused.append((number, err))
        outcomes = self._convert(usual, True)
        if odd or refused:
            outcomes = sorted(outcomes + self._convert(odd, False) + refused, key=lambda outcome: outcome[0])
        return outcomes

    def _lines(self, chunk: str) -> Raws:
        """The raw values of a record in any order of lines and any spacing; a repeated key's last counts."""
        raw: Dict[str, str] = {}
        for line in chunk.strip().split("\n"):
            key, colon, value = line.partition(":")
            if not colon:
                raise RecordError("", f"a line without a colon: '{shown(line)}'")
            raw[key.strip()] = value.strip()
        for key in raw:
            if key not in self.format.known:
                raise RecordError("", f"Unknown field: {shown(key)}")
        if self.format.dict_benchmark:
            _drop_overridden_type(raw)
        return tuple(map(raw.get, self.format.record_class.names))

    def _convert(self, rows: List[Row], canonical: bool) -> List[Outcome]:
        """All rows at once; if one is bad, halves of them, until the bad ones stand alone."""
        if not rows:
            return []
        try:
            records = self._records([raws for _, raws in rows], canonical)
        except RecordError as err:
            if len(rows) == 1:
                return [(rows[0][0], err)]
            half = len(rows) // 2
            return self._convert(rows[:half], canonical) + self._convert(rows[half:], canonical)
        return [(number, self._judged(record)) for (number, _), record in zip(rows, records)]

    def _judged(self, record: Record) -> Union[Record, RecordError]:
        try:
            for rule in self.format.rules:
                rule(record, self.now)
        except RecordError as err:
            return err
        return record

    def _records(self, rows: List[Raws], canonical: bool) -> List[Record]:
        columns: Columns = list(zip(*rows))
        if self.format.dict_benchmark:
            self._spread_benchmarks(columns)
        columns = [read_column(*pair, canonical) for pair in zip(self.fields, columns)]
        if self.identity:
            identify(columns, self.identity)
        if self.benchmark:
            self._fill_benchmarks(columns)
        make = self.format.record_class.make
        return [make(values) for values in zip(*columns)]

    def _spread_benchmarks(self, columns: Columns) -> None:
        """v0.4: `{type: value}` into the raw texts of both fields; a type that came by itself stays."""
        kind, level = self.benchmark
        pairs = each_once(_read_level, columns[level])
        columns[level] = [value for _, value in pairs]
        columns[kind] = [literal or name for literal, (name, _) in zip(columns[kind], pairs)]

    def _fill_benchmarks(self, columns: Columns) -> None:
        """A job without a benchmark has the type `custom` with value 1.

        The incumbent does so for jobs that come as XML, means to for text, and refuses those by
        mistake; senders rely on it (KAPEL's individual jobs).
        """
        kind, level = self.benchmark
        if None in columns[kind] and None in columns[level] and not self.fields[level].required:
            pairs: List[Tuple[Any, Any]] = [
                NO_BENCHMARK if pair == (None, None) else pair for pair in zip(columns[kind], columns[level])
            ]
            columns[kind], columns[level] = (list(column) for column in zip(*pairs))


def _drop_overridden_type(raw: Dict[str, str]) -> None:
    """Of a literal type and the type within the benchmark, whichever comes later counts."""
    keys = list(raw)
    if "ServiceLevelType" in raw and "ServiceLevel" in raw:
        overridden = keys.index("ServiceLevelType") < keys.index("ServiceLevel")
        if overridden or is_null(raw["ServiceLevelType"]):
            del raw["ServiceLevelType"]


def _read_level(raw: Optional[str]) -> Tuple[str, str]:
    if raw is None:
        raise RecordError("ServiceLevel", "mandatory, and absent")
    return read_benchmarks("ServiceLevel", raw)
