"""Log files: which there are, and their complete lines from any position, compressed or not.

A position is a number of bytes of the content, decompressed, so that it stays valid when a log is
rotated and compressed. Nothing here knows a database; apel/ingest/readfiles.py remembers what has been read.
"""

import bz2
import contextlib
import gzip
import hashlib
import logging
import lzma
import os
import re
import stat
import zlib
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

from apel import zstd
from apel.records.fields import MOST_INTEGER
from apelcommon.errors import Permanent

log = logging.getLogger(__name__)

#: Bytes read at a time; the complete lines of one block are stored in one transaction.
BLOCK = 256 * 1024

#: A line longer than this many bytes is cut to it, and can't be parsed.
LONGEST_LINE = 64 * 1024

#: How much of the beginning tells a file from others, and how much before a position proves it.
HEAD = 4096
TAIL = 1024

#: A file not written to for so long is finished, even if its last line has no end.
SETTLED_SECONDS = 86400

Opener = Callable[[Any], Any]
Continues = Callable[[str], bool]
IsWhole = Callable[[List[str]], bool]


def _gunzip(raw: Any) -> Any:
    return gzip.GzipFile(fileobj=raw, mode="rb")


def _unzstd(raw: Any) -> Any:
    using = zstd.library()
    if using is None:
        raise OSError(zstd.NEEDED)
    return zstd.ZstdReader(raw, using)


_OPENERS: Dict[bytes, Opener] = {
    b"\x1f\x8b": _gunzip,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    **dict.fromkeys((zstd.MAGIC, *zstd.SKIPPED_MAGIC), _unzstd),
}
_READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)


class UnreadableFile(Permanent):
    """A log file, or a folder of them, that can't be read now; the next run tries again."""


class Found(NamedTuple):
    """A log file and what the file system says of it."""

    path: str
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: str, status: os.stat_result) -> "Found":
        """Some file systems number their files with 64 bits, of which databases store 63."""
        return cls(path, status.st_ino & MOST_INTEGER, status.st_size, status.st_mtime_ns)


class Choice(NamedTuple):
    """Which files of a folder are logs: options dir, subdirs, filename_prefix and filename_pattern."""

    folder: str
    subdirs: bool = False
    prefix: Optional[str] = None
    pattern: Optional[str] = None

    def takes(self, name: str) -> bool:
        """Whether a file of that name is chosen: the prefix if it is given, else the pattern, else any."""
        if self.prefix is not None:
            # The incumbent reads a prefix as a regular expression: files it finds by that are taken too.
            return name.startswith(self.prefix) or _matches(self.prefix, name)
        return self.pattern is None or re.match(self.pattern, name) is not None


class Chunk(NamedTuple):
    """Complete lines, without their ends; the position after them; the hash of the bytes before that.

    cut: the first line was longer than LONGEST_LINE and is cut.
    """

    lines: List[str]
    end: int
    tail_hash: str
    cut: bool


class Examined(NamedTuple):
    """What a look at the content found: its size, the tail hash at each position asked for, its MD5."""

    size: int
    tails: Dict[int, str]
    md5: str


def find(choice: Choice, failed: Callable[[str], None]) -> Iterator[Found]:
    """The log files, in order of folder and name; `failed` is told what can't be listed or looked at."""

    def unlisted(err: OSError) -> None:
        failed("%s: %s" % (printable(str(err.filename)), err.strerror))

    for folder, folders, names in os.walk(choice.folder, onerror=unlisted):
        for name in sorted(filter(choice.takes, names)):
            path = os.path.abspath(os.path.join(folder, name))
            try:
                status = os.stat(path)
            except OSError as err:
                unlisted(err)
                continue
            if stat.S_ISREG(status.st_mode):
                yield Found.of(path, status)
        if not choice.subdirs:
            return
        folders.sort()


def _matches(expression: str, name: str) -> bool:
    try:
        return re.match(expression, name) is not None
    except re.error:
        return False


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """What goes wrong in reading is UnreadableFile, which names the file."""
    try:
        yield
    except _READ_ERRORS as err:
        reason = getattr(err, "strerror", None) or str(err)
        raise UnreadableFile("%s: %s" % (printable(path), reason)) from err


def printable(path: str) -> str:
    """A path as a log or a database can hold it, whatever bytes are in it."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def sha256(data: bytes) -> str:
    """Hexadecimal digest."""
    return hashlib.sha256(data).hexdigest()


class LogFile:
    """One open log file: a context manager. All methods raise UnreadableFile, naming the file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.unfinished = 0  # bytes of a last line without end, after chunks()
        with _naming(path):
            self._raw = open(path, "rb")  # noqa: SIM115 - closed by __exit__
        try:
            with _naming(path):
                self._open()
        except UnreadableFile:
            self._raw.close()
            raise

    def _open(self) -> None:
        magic = self._raw.read(6)
        self._raw.seek(0)
        opener = next((opener for start, opener in _OPENERS.items() if magic.startswith(start)), None)
        self.compressed = opener is not None
        self.bzip2 = opener is bz2.BZ2File
        self._stream: Any = self._raw if opener is None else opener(self._raw)
        status = os.fstat(self._raw.fileno())
        self.found = Found.of(self.path, status)
        self.head = self._stream.read(HEAD)

    def __enter__(self) -> "LogFile":
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not self._raw:
            self._stream.close()
        self._raw.close()

    def beginning(self, length: int) -> bytes:
        """The first bytes of the content, which may have come after the file was opened."""
        if len(self.head) < length and not self.compressed:
            with _naming(self.path):
                self.head = os.pread(self._raw.fileno(), HEAD, 0)
        return self.head[:length]

    def first_line(self) -> str:
        """The first line, as far as it is there, and at most HEAD bytes of it."""
        return _decoded(self.head.split(b"\n", 1)[0])[0].lstrip("\ufeff")

    def raw_position(self) -> int:
        """How many bytes of the file itself have been read (for progress bars)."""
        return self._raw.tell()

    def examine(self, positions: Sequence[int], md5: bool = False) -> Examined:
        """The tail hashes at some positions. A compressed file is read to its end, which proves it whole."""
        with _naming(self.path):
            if not self.compressed and not md5:
                size = os.fstat(self._raw.fileno()).st_size
                tails = {place: sha256(self._before(place)) for place in positions if place <= size}
                return Examined(size, tails, "")
            return self._read_through(sorted(positions), md5)

    def _read_through(self, positions: List[int], md5: bool) -> Examined:
        digest = _md5() if md5 else None
        self._stream.seek(0)
        size, window, tails = 0, b"", {}
        waiting = list(positions)
        for block in iter(lambda: self._stream.read(BLOCK), b""):
            if digest:
                digest.update(block)
            window += block
            size += len(block)
            while waiting and waiting[0] <= size:
                end = len(window) - (size - waiting[0])
                tails[waiting.pop(0)] = sha256(window[max(0, end - TAIL) : end])
            window = window[-TAIL:]
        return Examined(size, tails, digest.hexdigest() if digest else "")

    def raw_md5(self) -> str:
        """MD5 of the file as it is, compressed or not; '' where the system forbids MD5."""
        digest = _md5()
        if digest is None:
            return ""
        with _naming(self.path), open(self.path, "rb") as stream:
            for block in iter(lambda: stream.read(BLOCK), b""):
                digest.update(block)
        return str(digest.hexdigest())

    def _before(self, position: int) -> bytes:
        """Up to TAIL bytes before a position, where the stream then stands."""
        begin = max(0, position - TAIL)
        self._stream.seek(begin)
        return bytes(self._stream.read(position - begin))

    def chunks(
        self,
        start: int,
        settled: bool = False,
        continues: Optional[Continues] = None,
        is_whole: Optional[IsWhole] = None,
    ) -> Iterator[Chunk]:
        """Complete lines from a position on. Afterwards `unfinished` says how many bytes are left at the end.

        settled: nobody writes to the file any more, so that its last line is complete without an end.
        continues: tells lines that shall be in one chunk with the line before them. is_whole: whether
        such lines, the last of the file, are all of their record; they are left at the end if not.
        """
        with _naming(self.path):
            window = _Window(self._before(start), start)
            more = True
            while more:
                block = self._stream.read(BLOCK)
                more = bool(block)
                window.data += block
                chunk = window.take(not more, settled, continues, is_whole)
                if chunk is not None:
                    if start == 0 and chunk.lines:
                        chunk.lines[0] = chunk.lines[0].lstrip("\ufeff")
                        start = -1
                    yield chunk
        self.unfinished = len(window.data) - window.begin


class _Window:
    """Bytes that have been read: from `begin` on not handed out yet, before that the last TAIL that were."""

    def __init__(self, before: bytes, position: int) -> None:
        self.data = before
        self.begin = len(before)
        self.position = position
        self.cut: Optional[bytes] = None

    def take(
        self, at_end: bool, settled: bool, continues: Optional[Continues], is_whole: Optional[IsWhole]
    ) -> Optional[Chunk]:
        """The complete lines, which then are history."""
        end = max(self.begin, self.data.rfind(b"\n", self.begin) + 1)
        if at_end and settled:
            end = len(self.data)
        elif continues is not None:
            start = self._group_start(end, continues)
            if not at_end and (start > self.begin or self._is_short(start)):
                end = start
            elif at_end and is_whole is not None and self._is_short(start) and start < end:
                end = end if is_whole(_decoded(self.data[start:end])) else start
        if end > self.begin:
            return self._hand_out(end)
        if len(self.data) - self.begin > LONGEST_LINE + TAIL:
            self._cut()
        return None

    def _hand_out(self, end: int) -> Chunk:
        lines = _decoded(self.data[self.begin : end])
        cut, self.cut = self.cut, None
        if cut is not None:
            lines[:1] = _decoded(cut)
        self.position += end - self.begin
        chunk = Chunk(lines, self.position, sha256(self.data[max(0, end - TAIL) : end]), cut is not None)
        self._forget(end)
        return chunk

    def _is_short(self, start: int) -> bool:
        """Whether what has been read from a place on may be one record, of which there may be more."""
        return len(self.data) - start <= LONGEST_LINE

    def _group_start(self, end: int, continues: Continues) -> int:
        """Where the last line before `end` begins that is not a continuation; or where all begins."""
        start = end
        while start > self.begin:
            line_end = start
            start = max(self.begin, self.data.rfind(b"\n", self.begin, line_end - 1) + 1)
            if not continues(_decoded(self.data[start:line_end])[0]):
                break
        return start

    def _cut(self) -> None:
        """Keep the beginning of a line that has no end in sight, and not all of it."""
        if self.cut is None:
            self.cut = self.data[self.begin : self.begin + LONGEST_LINE]
        self.position += len(self.data) - self.begin
        self._forget(len(self.data))

    def _forget(self, end: int) -> None:
        kept = max(0, end - TAIL)
        self.data = self.data[kept:]
        self.begin = end - kept


def _decoded(data: bytes) -> List[str]:
    """Lines as text: UTF-8, or Latin-1 for a line that isn't (so that any byte can be stored)."""
    if data.endswith(b"\n"):
        data = data[:-1]
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        lines = [_decoded_line(line) for line in data.split(b"\n")]
    return [line.rstrip("\r") for line in lines] if b"\r" in data else lines


def _decoded_line(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _md5() -> Any:
    """An MD5, or None where the system forbids it (FIPS)."""
    try:
        return hashlib.md5()
    except ValueError:
        log.warning("MD5 is forbidden here: files that an APEL before version 3 has read are read again.")
        return None
