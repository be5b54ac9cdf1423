"""What is known of the logs and of the lines that failed: `apelparser --status`. It changes nothing."""

from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from apel.db import Database
from apel.ingest.ledger import MOST_KEPT, DatabaseLedger
from apel.ingest.run import Source
from apel.logfiles import Found, find, printable
from apel.records import ProcessedFile

REJECTED = """
SELECT Reason, ParserVersion, FileName, LineNumber FROM RejectedLines
WHERE HostName = %s ORDER BY FileName, LineNumber
"""

#: What a file can be: read to its end; with more to read than was read; never met under this name (it may be
#: a file that was renamed); no longer there.
READ, MORE, NEW, GONE = "read", "more", "new", "gone"


class FileStatus(NamedTuple):
    """A file: how far it was read (bytes of its content), and the lines and records up to there."""

    source: Optional[str]
    path: str
    state: str
    size: Optional[int] = None
    position: int = 0
    lines: int = 0
    records: int = 0


class Rejected(NamedTuple):
    """Kept lines that failed for one reason, and where the first of them is."""

    reason: str
    parser: str
    lines: int
    file: str
    line: int


class Status(NamedTuple):
    """All of it, for one batch system."""

    host: str
    files: List[FileStatus]
    problems: List[str]
    rejected: List[Rejected]
    most_kept: int = MOST_KEPT

    def as_json(self) -> Dict[str, Any]:
        """As plain lists and objects."""
        return {
            "host": self.host,
            "files": [dict(file._asdict()) for file in self.files],
            "problems": self.problems,
            "rejected": [dict(lines._asdict()) for lines in self.rejected],
            "rejected_lines": sum(lines.lines for lines in self.rejected),
            "rejected_lines_at_most": self.most_kept,
        }

    def as_text(self) -> List[str]:
        """As a table, and what there is to say beside it."""
        lines = ["%-5s %12s %10s %10s  %s" % ("STATE", "POSITION", "LINES", "RECORDS", "FILE")]
        for file in self.files:
            numbers = (file.position, file.lines, file.records)
            lines.append("%-5s %12d %10d %10d  %s" % (file.state, *numbers, file.path))
        states = [file.state for file in self.files]
        counts = ["%d %s" % (states.count(state), state) for state in (READ, MORE, NEW, GONE)]
        lines.append("%d files: %s" % (len(states), ", ".join(counts)))
        lines += ["problem: %s" % problem for problem in self.problems]
        kept = sum(rejected.lines for rejected in self.rejected)
        lines.append("%d rejected lines are kept (at most %d)" % (kept, self.most_kept))
        for one in self.rejected:
            where = "%s:%d" % (one.file, one.line)
            lines.append("rejected %d by %s: %s (first: %s)" % (one.lines, one.parser, one.reason, where))
        return lines


def status(sources: Sequence[Source], db: Database, host_name: str) -> Status:
    """What is known of one batch system's logs. Raises Transient when the database fails."""
    rows = DatabaseLedger(db, host_name).read_files()
    problems: List[str] = []
    found = [(source.name, file) for source in sources for file in find(source.choice, problems.append)]
    lines: List[Any] = db.run(lambda tx: tx.rows(REJECTED, (host_name,)))
    return Status(host_name, _files(found, rows), problems, _by_reason(lines))


def _files(found: Sequence[Tuple[str, Found]], rows: Iterable[ProcessedFile]) -> List[FileStatus]:
    """A status for each file that is there, and for each that was."""
    newest: Dict[str, ProcessedFile] = {}
    for row in rows:
        before = newest.get(row.FileName)
        # A name that files have had in turn: the last one read to its end is the one that is there.
        if before is None or (row.ModifiedNs or 0) >= (before.ModifiedNs or 0):
            newest[row.FileName] = row
    files = [_present(source, file, newest.pop(printable(file.path), None)) for source, file in found]
    gone = [_read(None, path, GONE, row.Size, row) for path, row in newest.items()]
    return sorted(files, key=lambda file: file.path) + sorted(gone, key=lambda file: file.path)


def _present(source: str, file: Found, row: Optional[ProcessedFile]) -> FileStatus:
    if row is None:
        return FileStatus(source, printable(file.path), NEW, file.size)
    unchanged = (row.Inode, row.Size, row.ModifiedNs) == (file.inode, file.size, file.modified_ns)
    return _read(source, row.FileName, READ if unchanged else MORE, file.size, row)


def _read(
    source: Optional[str], path: str, state: str, size: Optional[int], row: ProcessedFile
) -> FileStatus:
    return FileStatus(source, path, state, size, row.Position or 0, row.StopLine, row.Parsed)


def _by_reason(lines: Iterable[Any]) -> List[Rejected]:
    counted: Dict[Tuple[str, str], Rejected] = {}
    for reason, version, path, number in lines:
        before = counted.get((reason, version), Rejected(reason, version, 0, path, int(number)))
        counted[reason, version] = before._replace(lines=before.lines + 1)
    return sorted(counted.values(), key=lambda one: (-one.lines, one.reason, one.parser))
