"""Raw texts to records: a whole message at once, and the bad ones found by halving."""

from typing import Any, List, Optional, Tuple, Union

from apel.columns import ByColumn, each_once
from apel.errors import RecordError
from apel.messages.benchmarks import read_durations, read_level
from apel.messages.columns import Columns, identify, read_column
from apel.messages.formats import TextFormat
from apel.records import Record
from apel.records.rules import NO_BENCHMARK, is_surely_kept

#: The text of each field of a record, in order; None for what isn't there.
Raws = Tuple[Optional[str], ...]
#: With the number of the record in its message, from 1.
Row = Tuple[int, Raws]
Outcome = Tuple[int, Union[Record, RecordError]]


class Rows:
    """Reads the rows of one message, all of one format. now: epoch seconds, for rules about the future."""

    def __init__(self, text_format: TextFormat, now: int) -> None:
        self.format = text_format
        self.now = now
        self.fields = text_format.record_class.fields
        self.identity = text_format.places("FQAN", "VO", "VOGroup", "VORole")
        self.benchmark = text_format.places("ServiceLevelType", "ServiceLevel")
        self.by_benchmark = text_format.places(*text_format.by_benchmark)

    def outcomes(self, rows: List[Row], canonical: bool) -> List[Outcome]:
        """A record or an error for each row. `canonical`: all texts are in their usual form (see columns.py).

        All rows at once; if one is bad, halves of them, until the bad ones stand alone.
        """
        if not rows:
            return []
        try:
            columns = self.values(list(zip(*(raws for _, raws in rows))), canonical)
        except RecordError as err:
            if len(rows) == 1:
                return [(rows[0][0], err)]
            half = len(rows) // 2
            return self.outcomes(rows[:half], canonical) + self.outcomes(rows[half:], canonical)
        make = self.format.record_class.make
        return [(number, self._judged(make(values))) for (number, _), values in zip(rows, zip(*columns))]

    def _judged(self, record: Record) -> Union[Record, RecordError]:
        try:
            for rule in self.format.rules:
                rule(record, self.now)
        except RecordError as err:
            return err
        return record

    def judged(self, raws: Columns) -> Columns:
        """As `values`, and the records of them keep all rules. Raises RecordError if one doesn't."""
        columns = self.values(raws)
        records = ByColumn(columns, self.format.record_class.names, self.format.record_class.make)
        for rule in self.format.rules:
            if not is_surely_kept(rule, records, self.now):
                for record in records:
                    rule(record, self.now)
        return columns

    def values(self, columns: Columns, canonical: bool = False) -> Columns:
        """The values of raw texts, each by field. Raises RecordError for a text that is wrong."""
        if self.by_benchmark:
            self._spread_benchmarks(columns)
        columns = [read_column(*pair, canonical) for pair in zip(self.fields, columns)]
        if self.identity:
            if "VO" in self.format.read_only:  # then the FQAN alone counts
                for place in self.identity[1:]:
                    columns[place] = [None] * len(columns[place])
            identify(columns, self.identity)
        if self.benchmark:
            self._fill_benchmarks(columns)
        return columns

    def _spread_benchmarks(self, columns: Columns) -> None:
        """v0.4: `{type: value}` into the raw texts of its fields; a type that came by itself stays."""
        kind, several = self.format.places("ServiceLevelType", "Benchmarks")
        read = read_level if len(self.by_benchmark) == 1 else read_durations
        raws = list(zip(*(columns[place] for place in self.by_benchmark)))
        found = each_once(lambda raw: read(*raw), raws)
        for number, place in enumerate(self.by_benchmark):
            columns[place] = [values[number] for _, values, _ in found]
        literals = columns[kind]
        columns[kind] = [literal or name for literal, (name, _, _) in zip(literals, found)]
        columns[several] = [None if literal else more for literal, (_, _, more) in zip(literals, found)]

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
