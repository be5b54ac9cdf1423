"""Where the results of a parser run go: into the site database, or nowhere."""

import abc
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Type

from apel.db import Database, RowRefused, Transaction
from apel.db.store import store
from apel.db.tables import BLAHD, EVENTS, FILES, Table
from apel.parsers import Parser
from apel.records import BlahdRecord, EventRecord, ProcessedFile, Record

TABLES: Dict[Type[Record], Table] = {EventRecord: EVENTS, BlahdRecord: BLAHD}

FILES_OF = "SELECT %s FROM ProcessedFiles WHERE HostName = %%s" % ", ".join(FILES.columns)

COUNT_KEPT = "SELECT COUNT(*) FROM RejectedLines WHERE HostName = %s"
LINE_COLUMNS = ("HostName", "Hash", "LineNumber", "FileName", "Line", "Reason", "ParserVersion")

#: Lines, behind one of them, that a parser of another version rejected (of any, for no version). BLAH lines
#: are for the BLAH parser, the rest for whichever batch system is configured: its type may have been wrong
#: when they failed.
KEPT_LINES = """
SELECT Hash, LineNumber, FileName, Line, Reason FROM RejectedLines
WHERE HostName = %%s AND ParserVersion <> %%s AND ParserVersion %s 'BLAH/%%%%'
  AND (Hash > %%s OR (Hash = %%s AND LineNumber > %%s))
ORDER BY Hash, LineNumber LIMIT %d
"""
LINES_AT_ONCE = 1000

#: So many rejected lines of one batch system are kept, so that no log can fill the database with rubbish.
MOST_KEPT = 100000


class RejectedLine(NamedTuple):
    """A line that gave no record and no reason to skip it: kept, so that a newer parser can try again.

    hash and path are of its file (as in ProcessedFiles); number counts from 1.
    """

    hash: str
    number: int
    path: str
    line: str
    reason: str


class Batch(NamedTuple):
    """What is stored in one transaction.

    row: the file's row after these lines, None for lines that were kept before (`retried`).
    origin: gives the line that a record was made of, in case the database refuses the record.
    """

    records: List[Record]
    rejected: List[RejectedLine]
    row: Optional[ProcessedFile]
    origin: Callable[[Record], RejectedLine]
    retried: Sequence[RejectedLine] = ()


class Committed(NamedTuple):
    """How many records are new (or, when replacing, written), and which lines the database refused.

    dropped: how many rejected lines were not kept, as there are too many.
    """

    stored: int
    refused: List[RejectedLine]
    dropped: int = 0


class Ledger(abc.ABC):
    """What is known of files and lines, and where their records go."""

    @abc.abstractmethod
    def read_files(self) -> List[ProcessedFile]:
        """What is known of the files that were read."""

    @abc.abstractmethod
    def commit(self, parser: Parser, batch: Batch, conflict: str) -> Committed:
        """Store a batch, whole. conflict: ignore or update a record that is there already."""

    @abc.abstractmethod
    def remember(self, row: ProcessedFile) -> None:
        """Keep a file's row."""

    @abc.abstractmethod
    def rejected_lines(
        self, parser: Parser, after: Optional[RejectedLine], every: bool
    ) -> List[RejectedLine]:
        """Some of the kept lines, in order, that a parser of another version rejected; `every`: of any."""


class DryRun(Ledger):
    """Knows nothing and keeps nothing."""

    def read_files(self) -> List[ProcessedFile]:
        """None."""
        return []

    def commit(self, parser: Parser, batch: Batch, conflict: str) -> Committed:
        """Nothing is stored, all would be."""
        return Committed(len(batch.records), [])

    def remember(self, row: ProcessedFile) -> None:
        """Don't."""

    def rejected_lines(
        self, parser: Parser, after: Optional[RejectedLine], every: bool
    ) -> List[RejectedLine]:
        """None."""
        return []


class DatabaseLedger(Ledger):
    """The tables EventRecords, BlahdRecords, ProcessedFiles and RejectedLines, for one batch server."""

    def __init__(self, db: Database, host_name: str, most_kept: int = MOST_KEPT) -> None:
        self._db = db
        self._host = host_name
        self._most_kept = most_kept
        self._kept: Optional[int] = None

    def read_files(self) -> List[ProcessedFile]:
        """The rows of ProcessedFiles."""
        rows: List[Any] = self._db.run(lambda tx: tx.rows(FILES_OF, (self._host,)))
        return [ProcessedFile.make(row) for row in rows]

    def commit(self, parser: Parser, batch: Batch, conflict: str) -> Committed:
        """Records, rejected lines and read position in one transaction.

        Raises Transient when the database fails; then nothing of the batch is stored.
        """

        table = TABLES[parser.record_class]
        kept = self._bounded(batch.rejected, batch.retried)

        def store_all() -> int:
            rows = table.rows(self._db, batch.records)

            def work(tx: Transaction) -> int:
                stored = table.insert(tx, batch.records, rows, conflict)
                self._note(tx, parser, batch, kept)
                return stored

            return self._db.run(work)

        try:
            return self._committed(batch, kept, self._db.on_one_connection(store_all), [])
        except RowRefused:
            return self._commit_good_ones(parser, batch, conflict)

    def _commit_good_ones(self, parser: Parser, batch: Batch, conflict: str) -> Committed:
        """Records first, the position after: a run that dies between them stores them again."""
        done = store(self._db, TABLES[parser.record_class], batch.records, conflict)
        refused = [batch.origin(record)._replace(reason=reason) for record, reason in done.rejected]
        kept = self._bounded(batch.rejected + refused, batch.retried)
        self._db.run(lambda tx: self._note(tx, parser, batch, kept))
        return self._committed(batch, kept, done.count, refused)

    def _bounded(self, lines: List[RejectedLine], retried: Sequence[RejectedLine]) -> List[RejectedLine]:
        """As many of the lines as there is room for. Lines that were kept already have theirs."""
        if self._kept is None or self._kept + len(lines) > self._most_kept:
            count = self._db.run(lambda tx: tx.value(COUNT_KEPT, (self._host,)))
            self._kept = int(count)
        return lines[: max(0, self._most_kept - self._kept + len(retried))] if lines else lines

    def _committed(
        self, batch: Batch, kept: List[RejectedLine], stored: int, refused: List[RejectedLine]
    ) -> Committed:
        assert self._kept is not None
        self._kept += len(kept) - len(batch.retried)
        return Committed(stored, refused, len(batch.rejected) + len(refused) - len(kept))

    def _note(self, tx: Transaction, parser: Parser, batch: Batch, kept: List[RejectedLine]) -> None:
        """All that is stored beside the records."""
        self._forget(tx, batch.retried)
        self._keep(tx, parser, kept)
        if batch.row is not None:
            _save(tx, batch.row)

    def remember(self, row: ProcessedFile) -> None:
        """Write a row of ProcessedFiles."""
        self._db.run(lambda tx: _save(tx, row))

    def rejected_lines(
        self, parser: Parser, after: Optional[RejectedLine], every: bool
    ) -> List[RejectedLine]:
        """The first of them behind `after`."""
        like = "LIKE" if parser.record_class is BlahdRecord else "NOT LIKE"
        sql = KEPT_LINES % (like, LINES_AT_ONCE)
        place = ("", "", 0) if after is None else (after.hash, after.hash, after.number)
        version = "" if every else parser.version
        rows: List[Any] = self._db.run(lambda tx: tx.rows(sql, (self._host, version, *place)))
        return [RejectedLine(*row) for row in rows]

    def _keep(self, tx: Transaction, parser: Parser, lines: Sequence[RejectedLine]) -> None:
        rows = [
            (self._host, line.hash, line.number, line.path, line.line, line.reason, parser.version)
            for line in lines
        ]
        tx.insert("RejectedLines", LINE_COLUMNS, rows, "update")

    def _forget(self, tx: Transaction, lines: Sequence[RejectedLine]) -> None:
        for line in lines:
            tx.execute(
                "DELETE FROM RejectedLines WHERE HostName = %s AND Hash = %s AND LineNumber = %s",
                (self._host, line.hash, line.number),
            )


def _save(tx: Transaction, row: ProcessedFile) -> None:
    tx.insert(FILES.name, FILES.columns, [row], "update")
