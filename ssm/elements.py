"""The steps on disk from which the queues are made."""

import contextlib
import os
import random
import re
import time
from typing import IO, List, Union

from apelcommon.files import fsync_directory

Data = Union[str, bytes]

FOLDER = re.compile(r"[0-9a-f]{8}$")
ELEMENT = re.compile(r"[0-9a-f]{14}$")
IDENTIFIER = re.compile(r"[0-9a-f]{8}/[0-9a-f]{14}$")
LAST_NAME = "f" * 14
TEMPORARY_SECONDS = 300
LOCK_SECONDS = 600


def as_bytes(data: Data) -> bytes:
    """What is written to disk for a text or bytes."""
    return data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data


def new_name() -> str:
    """A name for a new element: 8 hex digits of seconds, 5 of microseconds, 1 at random."""
    seconds, microseconds = divmod(int(time.time() * 1000000), 1000000)
    return "%08x%05x%01x" % (seconds, microseconds, random.randrange(16))


class Names:
    """The names of a queue's new elements: by the clock, but after all that are there.

    A clock that was set back would put a correction before what it corrects, and the older one would win.
    """

    def __init__(self) -> None:
        self._folder = self._newest = ""

    def next(self, folder: str) -> str:
        """A name for an element in a folder, the path of which is given."""
        name = new_name()
        if folder != self._folder or name <= self._newest:
            self._folder, self._newest = folder, newest_in(folder)
        if name <= self._newest < LAST_NAME:
            name = "%014x" % (int(self._newest, 16) + 1)
        self._newest = name
        return name


def newest_in(folder: str) -> str:
    """The last name of an element in a folder; nothing where there is none."""
    return max(filter(ELEMENT.match, names_in(folder)), default="")


def folders_in(path: str) -> List[str]:
    """The names of the intermediate folders of a queue, oldest first."""
    return sorted(name for name in os.listdir(path) if FOLDER.match(name))


def names_in(path: str) -> List[str]:
    """The names in a directory; none if it is gone."""
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def subfolders(path: str) -> int:
    """How many folders a directory holds."""
    links = os.stat(path).st_nlink
    # Where a directory has one link only (btrfs, overlays), links don't count what is in it.
    return links - 2 if links > 2 else len(os.listdir(path))


def make_folder(path: str) -> None:
    """Make a directory, durably, unless it is there."""
    if not os.path.isdir(path):
        os.makedirs(path, exist_ok=True)
        fsync_directory(os.path.dirname(path))


def write_file(path: str, data: bytes) -> None:
    """Write a new file and sync it; it is gone again where that fails. Raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        # On a full disk, half a message would take what room is left.
        remove_file(path)
        raise


def put_file(path: str, data: bytes) -> None:
    """Write a file under a name with a dot in front, sync and rename it; the umask says who may read it."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, ".%s.%s" % (name, os.urandom(4).hex()))
    write_file(temporary, data)
    try:
        os.rename(temporary, path)
    except OSError:
        remove_file(temporary)
        raise
    fsync_directory(folder)


def open_file(path: str) -> IO[bytes]:
    """Open a file to read it: no link, which may lead to what its maker may not read; no pipe is waited for.

    Raises OSError.
    """
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def is_older(path: str, before: float) -> bool:
    """Whether a path is there and was last changed before a time (epoch seconds)."""
    try:
        return os.lstat(path).st_mtime < before
    except (FileNotFoundError, NotADirectoryError):
        return False


def remove_file(path: str) -> bool:
    """Remove a file; whether it was there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        return True
    return False


def remove_folder(path: str) -> bool:
    """Remove an empty directory; whether it was there."""
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(path)
        return True
    return False
