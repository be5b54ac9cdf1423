"""Reads what zstd has compressed: with Python's own module from 3.14 on, else with the package zstandard."""

import contextlib
import importlib
from typing import Any, Callable, Iterator, NamedTuple, Optional, Tuple

#: How compressed files begin: a frame, or one to be skipped (as pzstd writes them).
MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPED_MAGIC = tuple(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16))

NEEDED = "it is compressed with zstd, which needs Python 3.14, or the Python package zstandard 0.19 or newer"

#: Compressed bytes read at a time. Of a file that compresses extremely well they make some hundred MB.
BLOCK = 8192


class Library(NamedTuple):
    """What reads one frame (an object with decompress, eof and unused_data), and what it raises."""

    new_frame: Callable[[], Any]
    errors: Tuple[Any, ...]


def library() -> Optional[Library]:
    """What there is here that reads zstd, or None."""
    with contextlib.suppress(ImportError):
        own = importlib.import_module("compression.zstd")
        return Library(own.ZstdDecompressor, (own.ZstdError,))
    with contextlib.suppress(ImportError):
        package = importlib.import_module("zstandard")
        found = Library(lambda: package.ZstdDecompressor().decompressobj(), (package.ZstdError,))
        # Before 0.19 nothing tells whether a frame is whole.
        if hasattr(found.new_frame(), "unused_data"):
            return found
    return None


class ZstdReader:
    """The content of a compressed file. `read` raises EOFError for a cut file, OSError for a damaged one."""

    def __init__(self, raw: Any, using: Library) -> None:
        self._raw = raw
        self._using = using
        self._begin()

    def _begin(self) -> None:
        self._raw.seek(0)
        self._frame: Any = None
        self._compressed = b""
        self._ready = b""
        self._position = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        while len(self._ready) < size and self._fill():
            pass
        data, self._ready = self._ready[:size], self._ready[size:]
        self._position += len(data)
        return data

    def _fill(self) -> bool:
        """Decompress some more; False at the end."""
        compressed = self._compressed or self._raw.read(BLOCK)
        self._compressed = b""
        if not compressed:
            if self._frame is not None:
                raise EOFError("the file ends in the middle")
            return False
        with self._errors_named():
            if self._frame is None:
                self._frame = self._using.new_frame()
            self._ready += self._frame.decompress(compressed)
            if self._frame.eof:
                self._compressed, self._frame = self._frame.unused_data, None
        return True

    @contextlib.contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except self._using.errors as err:
            raise OSError("damaged: %s" % err) from err

    def seek(self, position: int) -> None:
        """Go to a position, from the beginning if it has been passed."""
        if position < self._position:
            self._begin()
        while self._position < position and self.read(min(BLOCK * 16, position - self._position)):
            pass

    def close(self) -> None:
        """Forget what is left; whoever opened the file closes it."""
        self._ready = self._compressed = b""
