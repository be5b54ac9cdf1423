"""A parser run: the new lines of all log files of one kind become records, and nothing is dropped uncounted.

A block of lines, the position after it and the lines that failed in it are stored in one transaction,
so that a run may be killed at any moment and the next one goes on where it was.
"""

import logging
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Sequence

from apel.ingest.ledger import Batch, Ledger, RejectedLine
from apel.ingest.readfiles import ReadFiles
from apel.ingest.report import ParseReport
from apel.logfiles import (
    LONGEST_LINE,
    SETTLED_SECONDS,
    Choice,
    Chunk,
    Found,
    LogFile,
    UnreadableFile,
    find,
    printable,
)
from apel.parsers import Failed, Parser, Skipped
from apel.records import ProcessedFile, Record
from apelcommon.progress import Progress

log = logging.getLogger(__name__)

#: A file that begins with so many lines, or more, all of which fail, is no log of this kind.
HOPELESS = 100

TOO_LONG = Failed("a line of %d bytes or more" % LONGEST_LINE)

Advance = Callable[[int], None]


class Source(NamedTuple):
    """One kind of log: its name in reports, its files, who reads them, and whether all over again."""

    name: str
    choice: Choice
    parser: Parser
    reparse: bool = False


def replay(sources: Sequence[Source], ledger: Ledger, host_name: str) -> List[ParseReport]:
    """Try all kept lines again, whatever rejected them; no log is read. Raises Transient."""
    files = ReadFiles(host_name)
    reports = []
    for source in sources:
        ingest = Ingest(source, ledger, files)
        ingest.retry(every=True)
        reports.append(ingest.report)
    return reports


def run(sources: Sequence[Source], ledger: Ledger, host_name: str) -> List[ParseReport]:
    """Read the new lines of all sources; a report for each. Raises Transient when the database fails."""
    files = ReadFiles(host_name, ledger.read_files())
    reports = []
    for source in sources:
        ingest = Ingest(source, ledger, files)
        ingest.retry()
        found = ingest.found()
        with Progress("Parsing %s" % source.name, sum(file.size for file in found), "B") as progress:
            reports.append(ingest.read(found, progress.advance))
    return reports


class Ingest:
    """The run over one source. `files` is shared by the sources of a run."""

    def __init__(self, source: Source, ledger: Ledger, files: ReadFiles) -> None:
        self.source = source
        self.parser = source.parser
        self.ledger = ledger
        self.files = files
        self.report = ParseReport(source.name, self.parser.doubts)
        self._conflict = "update" if source.reparse else "ignore"
        self._begun = ""

    # -- new lines ------------------------------------------------------------------------------

    def found(self) -> List[Found]:
        """The files that a run has to look into."""
        found = []
        for file in find(self.source.choice, self._file_failed):
            if not self.source.reparse and self.files.is_unchanged(file):
                self.report.files_unchanged += 1
            else:
                found.append(file)
        return found

    def read(self, files: Iterable[Found], advance: Advance = lambda count: None) -> ParseReport:
        """Read the files, telling `advance` how many of their bytes are done.

        A file that can't be read is reported, and the others are read.
        """
        for file in files:
            try:
                self._read_file(file, advance)
            except UnreadableFile as err:
                self._file_failed(str(err))
        return self.report

    def _file_failed(self, problem: str) -> None:
        log.error("%s (the next run tries again)", problem)
        self.report.failed_files.append(problem)

    def _read_file(self, file: Found, advance: Advance) -> None:
        with LogFile(file.path) as stream:
            row = self.files.recall(stream) or self.files.begun(stream)
            if self.source.reparse:
                row = row.replace(Position=0, StopLine=0, Parsed=0)
            settled = stream.compressed or file.modified_ns < (time.time() - SETTLED_SECONDS) * 1e9
            self.parser.begin(stream.first_line())
            done = 0
            parser = self.parser
            for chunk in stream.chunks(row.Position, settled, parser.continues, parser.is_whole):
                row = self._store(chunk, stream, row)
                advance(stream.raw_position() - done)
                done = stream.raw_position()
            if row.Position and not self.files.holds(self.files.done(row, stream)):
                row = self.files.done(row, stream)
                self.ledger.remember(row)
                self.files.remember(row)
            advance(file.size - done)
            self.report.files_read += 1
            self.report.files_unfinished += bool(stream.unfinished)
            log.debug("%s: read to byte %d, line %d", printable(file.path), row.Position, row.StopLine)

    def _store(self, chunk: Chunk, stream: LogFile, row: ProcessedFile) -> ProcessedFile:
        outcomes = self._outcomes(chunk)
        failed = [
            (place, outcome.reason) for place, outcome in enumerate(outcomes) if type(outcome) is Failed
        ]
        if len(failed) == len(outcomes) >= HOPELESS and not row.Position:
            raise UnreadableFile(
                "%s: none of its first %d lines is one of %s (%s); is this the right kind of log?"
                % (printable(stream.path), len(outcomes), self.parser.type_name, failed[0][1])
            )
        first = row.StopLine + 1
        records = self._records(outcomes)
        row = self.files.advanced(row, stream, chunk, len(records))
        rejected = [
            RejectedLine(row.Hash, first + place, row.FileName, chunk.lines[place], reason)
            for place, reason in failed
        ]

        def origin(record: Record) -> RejectedLine:
            place = next(place for place, outcome in enumerate(outcomes) if outcome is record)
            return RejectedLine(row.Hash, first + place, row.FileName, chunk.lines[place], "")

        self._commit(Batch(records, rejected, row, origin))
        self.files.remember(row)
        return row

    def _outcomes(self, chunk: Chunk) -> List[Any]:
        if not chunk.cut:
            return self.parser.parse_lines(chunk.lines)
        return [TOO_LONG, *self.parser.parse_lines(chunk.lines[1:])]

    def _records(self, outcomes: Iterable[Any]) -> List[Record]:
        """The records among the outcomes, counting what was skipped."""
        records = []
        for outcome in outcomes:
            if isinstance(outcome, Record):
                records.append(outcome)
            elif isinstance(outcome, Skipped):
                self.report.skip(outcome.reason)
        return records

    def _commit(self, batch: Batch) -> None:
        done = self.ledger.commit(self.parser, batch, self._conflict)
        self.report.stored += done.stored
        self.report.known += len(batch.records) - done.stored - len(done.refused)
        self.report.dropped += done.dropped
        self.report.reject(batch.rejected)
        self.report.reject(done.refused)

    # -- lines that were rejected before ----------------------------------------------------------

    def retry(self, every: bool = False) -> None:
        """Try the kept lines again that a parser of another version, or of another type, rejected; or all."""
        self._begun = ""
        lines: List[RejectedLine] = []
        while True:
            lines = self.ledger.rejected_lines(self.parser, lines[-1] if lines else None, every)
            if not lines:
                return
            self.report.retried += len(lines)
            outcomes = [self._retried(line) for line in lines]
            still = [
                line._replace(reason=outcome.reason)
                for line, outcome in zip(lines, outcomes)
                if type(outcome) is Failed
            ]
            by_record = {id(outcome): line for line, outcome in zip(lines, outcomes)}

            def origin(record: Record, by_record: Dict[int, RejectedLine] = by_record) -> RejectedLine:
                return by_record[id(record)]

            self._commit(Batch(self._records(outcomes), still, None, origin, retried=lines))

    def _retried(self, line: RejectedLine) -> Any:
        if len(line.line.encode("utf-8")) >= LONGEST_LINE:
            return TOO_LONG
        if line.path != self._begun:
            self._begun = line.path
            self.parser.begin(_first_line(line.path))
        return self.parser.parse_lines([line.line])[0]


def _first_line(path: str) -> str:
    """The first line of a file, which may name its columns; nothing for one that is gone."""
    try:
        with LogFile(path) as stream:
            return stream.first_line()
    except UnreadableFile:
        return ""
