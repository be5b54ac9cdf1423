"""Which log files have been read, and how far: the rows of ProcessedFiles for one batch server.

A file is known by its content, not by its name: by the hash of its first bytes (as many as had been
read when it was first met, at most HEAD), and by the hash of the TAIL bytes before the position up to
which it was read. So it is found again after rotation and compression, and a file that was replaced,
or that only begins alike, is another file.
"""

from typing import Dict, Iterable, List, Optional, Set, Tuple

from apel.logfiles import HEAD, Chunk, Found, LogFile, printable, sha256
from apel.records import ProcessedFile

Seen = Tuple[str, Optional[int], Optional[int], Optional[int]]


def identity(head: bytes, copy: int = 0) -> str:
    """The Hash of a file that begins with `head`; `copy` tells apart files that begin alike."""
    return sha256(head) if not copy else sha256(head + b"#%d" % copy)


class ReadFiles:
    """What is known of the files of one batch server (HostName), kept up to date during a run."""

    def __init__(self, host_name: str, rows: Iterable[ProcessedFile] = ()) -> None:
        self.host_name = host_name
        self._rows: Dict[str, ProcessedFile] = {}
        self._old: Dict[str, ProcessedFile] = {}
        self._head_lengths: Set[int] = set()
        self._seen: Set[Seen] = set()
        for row in rows:
            self.remember(row)

    def remember(self, row: ProcessedFile) -> None:
        """Take in a row that is, or is about to be, in the table."""
        if not row.HeadLength:
            self._old[row.Hash] = row
            return
        before = self._rows.get(row.Hash)
        if before is not None:
            self._seen.discard(_seen(before))
        self._rows[row.Hash] = row
        self._head_lengths.add(row.HeadLength)
        if row.Size is not None:
            self._seen.add(_seen(row))

    def is_unchanged(self, found: Found) -> bool:
        """Whether the file was read to its end and the file system shows no change since."""
        return (printable(found.path), found.inode, found.size, found.modified_ns) in self._seen

    def holds(self, row: ProcessedFile) -> bool:
        """Whether the row is known just so."""
        return self._rows.get(row.Hash) == row

    def recall(self, log: LogFile) -> Optional[ProcessedFile]:
        """The row of an open file, wherever it was when it was read; None for one not met before.

        Reads a compressed file to its end, so that a damaged one raises UnreadableFile in time.
        """
        rows = self._beginning_like(log.head)
        wants_md5 = not rows and bool(self._old)
        examined = log.examine([row.Position for row in rows], md5=wants_md5 and not log.bzip2)
        rows = [row for row in rows if examined.tails.get(row.Position) == row.TailHash]
        if rows:
            return max(rows, key=lambda row: int(row.Position))
        if wants_md5:
            return self._read_by_incumbent(log, examined.md5)
        return None

    def _beginning_like(self, head: bytes) -> List[ProcessedFile]:
        rows = []
        for length in self._head_lengths:
            copy = 0
            while length <= len(head):
                row = self._rows.get(identity(head[:length], copy))
                if row is None:
                    break
                rows.append(row)
                copy += 1
        return [row for row in rows if row.HeadLength <= len(head)]

    def _read_by_incumbent(self, log: LogFile, md5: str) -> Optional[ProcessedFile]:
        """The row for a file that the incumbent read whole: bzip2 files it knew by their compressed bytes."""
        old = self._old.get(log.raw_md5() if log.bzip2 else md5)
        if old is None:
            return None
        lines, end, tail_hash = 0, 0, ""
        for chunk in log.chunks(0):
            lines, end, tail_hash = lines + len(chunk.lines), chunk.end, chunk.tail_hash
        if not end:
            return None
        row = self.begun(log)
        return self._advanced(row, log, end, tail_hash).replace(StopLine=lines, Parsed=old.Parsed)

    def begun(self, log: LogFile) -> ProcessedFile:
        """A row, without Hash yet, for a file of which nothing has been read."""
        empty = ProcessedFile.make([None] * len(ProcessedFile.names))
        return empty.replace(
            HostName=self.host_name,
            FileName=printable(log.path),
            StopLine=0,
            Parsed=0,
            Position=0,
            HeadLength=0,
        )

    def advanced(self, row: ProcessedFile, log: LogFile, chunk: Chunk, parsed: int) -> ProcessedFile:
        """The row after a chunk was read of which `parsed` lines gave records. The file is not done yet."""
        row = self._advanced(row, log, chunk.end, chunk.tail_hash)
        return row.replace(StopLine=row.StopLine + len(chunk.lines), Parsed=row.Parsed + parsed)

    def _advanced(self, row: ProcessedFile, log: LogFile, end: int, tail_hash: str) -> ProcessedFile:
        if not row.HeadLength:
            head = log.beginning(min(HEAD, end))
            row = row.replace(HeadLength=len(head), Hash=self._free_hash(head))
        return row.replace(
            FileName=printable(log.path),
            Position=end,
            TailHash=tail_hash,
            Size=None,
            ModifiedNs=None,
            Inode=None,
        )

    def done(self, row: ProcessedFile, log: LogFile) -> ProcessedFile:
        """The row of a file that was read as far as it was when it was opened; next time its status tells.

        Not so with an unfinished last line, which may become complete by age alone.
        """
        if log.unfinished:
            return row
        found = log.found
        return row.replace(
            FileName=printable(log.path), Size=found.size, ModifiedNs=found.modified_ns, Inode=found.inode
        )

    def _free_hash(self, head: bytes) -> str:
        copy = 0
        while identity(head, copy) in self._rows:
            copy += 1
        return identity(head, copy)


def _seen(row: ProcessedFile) -> Seen:
    return (row.FileName, row.Inode, row.Size, row.ModifiedNs)
