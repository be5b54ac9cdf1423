"""Text to records: each record judged by itself, a large message by columns."""

import logging
import re
from typing import Any, Dict, Iterator, List, Optional, Sequence

from apel import times
from apel.columns import ByColumn
from apel.errors import RecordError, shown
from apel.messages.aur import AUR
from apel.messages.base import Message, Rejected
from apel.messages.car_reading import CAR
from apel.messages.columns import Columns
from apel.messages.formats import FORMATS, TextFormat, format_of
from apel.messages.json_reading import decode_json
from apel.messages.rows import Outcome, Raws, Row, Rows
from apel.messages.star import STAR
from apel.messages.uniform import raw_columns
from apel.messages.xml_reading import decode_document
from apel.records import Record
from apel.records.fields import is_null

log = logging.getLogger(__name__)

#: A usual message is read as a whole.
RECORDS_AT_ONCE = 2000

#: What some editors and libraries begin a text with; XML may.
_BYTE_ORDER_MARK = "\ufeff"
_SEPARATOR = "\n%%\n"
_SEPARATOR_LINE = re.compile(r"^[ \t]*%%[ \t]*\n", re.MULTILINE)


def decode(text: str, now: Optional[int] = None) -> Message:
    """The records of a message, and those refused.

    now: epoch seconds, for the rules about the future; the clock's time if not given.
    Raises RecordError if the message as a whole can't be read (empty, or a header that isn't known).
    """
    now = times.now() if now is None else now
    text = text.lstrip(_BYTE_ORDER_MARK).strip()
    if not text:
        raise RecordError("", "The message is empty.")
    if text[0] == "<":
        return decode_document(text, now, (CAR, STAR, AUR))
    if text[0] == "{":
        return decode_json(text, now)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    header, _, body = text.partition("\n")
    header = header.strip()
    name = format_of(header)
    decoder = _Decoder(FORMATS[name], header, now)
    for block in _blocks(body):
        decoder.read(block)
    record_class = FORMATS[name].record_class
    records = ByColumn(decoder.columns, record_class.names, record_class.make)
    return Message(name, record_class, records, decoder.rejected)


def _blocks(body: str) -> Iterator[str]:
    """Some records at a time, with their separators: memory stays low, and a bad one's company small."""
    start = 0
    most = RECORDS_AT_ONCE * (body.find(_SEPARATOR) + len(_SEPARATOR))
    while start < len(body):
        end = body.find(_SEPARATOR, start + most)
        end = len(body) if end < 0 else end + len(_SEPARATOR)
        yield body[start:end]
        start = end


def _split(body: str) -> List[str]:
    """The texts of the records, each ending in a newline. The separator stands alone on its line."""
    body += "\n"
    chunks = body.split("%%\n")
    alone = all(chunk.endswith("\n") for chunk in chunks[:-1] if chunk)
    if not alone or len(chunks) - 1 < body.count("%%"):
        chunks = _SEPARATOR_LINE.split(body)
    return [chunk for chunk in chunks if chunk and not chunk.isspace()]


class _Decoder:
    """Reads a message of one format: its records, by field, and those refused, by their numbers from 1."""

    def __init__(self, text_format: TextFormat, header: str, now: int) -> None:
        self.format = text_format
        self.header = header
        self.rows = Rows(text_format, now)
        self.columns: List[List[Any]] = [[] for _ in text_format.record_class.fields]
        self.rejected: List[Rejected] = []

    def read(self, block: str) -> None:
        """Read some more records: all at once if they are alike and good, or else each by itself."""
        columns = raw_columns(block.rstrip("\n"), self.format)
        try:
            if columns is not None:
                self._add(self.rows.judged(columns))
                return
        except RecordError as err:
            log.debug("Each record is looked at by itself: %s", err)
        self._each(_split(block))

    def _each(self, chunks: Sequence[str]) -> None:
        before = len(self.columns[0]) + len(self.rejected)
        good: List[Record] = []
        for number, outcome in self.outcomes(chunks):
            if isinstance(outcome, RecordError):
                text = f"{self.header}\n{chunks[number - 1]}%%\n"
                self.rejected.append(Rejected(before + number, text, outcome))
            else:
                good.append(outcome)
        self._add(list(zip(*good)))

    def _add(self, columns: Columns) -> None:
        for column, more in zip(self.columns, columns):
            column.extend(more)

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
        outcomes = self.rows.outcomes(usual, True)
        if odd or refused:
            outcomes = sorted(
                outcomes + self.rows.outcomes(odd, False) + refused, key=lambda outcome: outcome[0]
            )
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
        if self.format.by_benchmark:
            _drop_overridden_type(raw, self.format.by_benchmark)
        return tuple(map(raw.get, self.format.record_class.names))


def _drop_overridden_type(raw: Dict[str, str], by_benchmark: Sequence[str]) -> None:
    """Of a literal type and the type within the benchmark, whichever comes later counts."""
    keys = list(raw)
    later = [keys.index(name) for name in by_benchmark if name in raw]
    if "ServiceLevelType" in raw and later:
        overridden = keys.index("ServiceLevelType") < max(later)
        if overridden or is_null(raw["ServiceLevelType"]):
            del raw["ServiceLevelType"]
