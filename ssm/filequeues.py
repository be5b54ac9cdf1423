"""The queues whose elements are files: what the unloader writes and the sender reads.

How they are written, and why not by python-dirq, is said in `ssm.queues`.
"""

import abc
import contextlib
import itertools
import logging
import os
import time
import uuid
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from apelcommon.files import FileState, file_state, fsync_directory
from ssm.claims import Claims, free_the_dead
from ssm.elements import (
    ELEMENT,
    IDENTIFIER,
    LOCK_SECONDS,
    TEMPORARY_SECONDS,
    Data,
    Names,
    as_bytes,
    folders_in,
    is_older,
    make_folder,
    names_in,
    new_name,
    newest_in,
    open_file,
    put_file,
    remove_file,
    write_file,
)
from ssm.errors import StorageError

log = logging.getLogger(__name__)

GRANULARITY_SECONDS = 60
FAILED = "failed"
REASON = ".reason"


class Queue(abc.ABC):
    """What all queues do. An element is known by its id; `lock` it before working on it."""

    def __init__(self, path: str) -> None:
        """Makes the directory if need be. Raises StorageError."""
        self.path = os.path.abspath(path)
        self._make_folders("")

    def _make_folders(self, *names: str) -> None:
        try:
            for name in names:
                make_folder(self._at(name))
        except OSError as err:
            raise StorageError("Cannot make the queue %s: %s" % (self.path, err.strerror or err)) from err

    @abc.abstractmethod
    def ids(self) -> Iterator[str]:
        """The ids of all elements, oldest first, locked or not."""

    def count(self) -> int:
        """How many elements there are, locked or not."""
        return sum(1 for _ in self.ids())

    def is_locked(self, element: str) -> bool:
        """Whether some process works on an element, or worked on it when it died."""
        return False

    @abc.abstractmethod
    def unlock(self, element: str) -> None:
        """Give a locked element back."""

    def oldest(self) -> Optional[float]:
        """When the oldest element was made (epoch seconds); None for an empty queue."""
        return next((self.made(element) for element in self.ids()), None)

    def made(self, element: str) -> float:
        """When an element was made (epoch seconds): its name tells."""
        return float(int(os.path.basename(element)[:8], 16))

    def purge(self) -> int:
        """Free the locks of dead processes and remove leftovers of old ones; how many locks were freed."""
        return 0

    def _at(self, element: str) -> str:
        return os.path.join(self.path, element)


class FileQueue(Queue):
    """A queue whose elements are files; what the sender reads from."""

    @abc.abstractmethod
    def add(self, text: Data) -> str:
        """Add an element; it is on disk when its id is returned. Raises StorageError."""

    @abc.abstractmethod
    def lock(self, element: str) -> bool:
        """Lock an element against other processes; False if another has it, or took it away."""

    @abc.abstractmethod
    def remove(self, element: str) -> None:
        """Remove a locked element for good."""

    def read(self, element: str) -> bytes:
        """The bytes of an element."""
        with open_file(self._at(element)) as stream:
            return stream.read()

    def get(self, element: str) -> str:
        """The text of an element; bytes that aren't UTF-8 show as `\\xNN`."""
        return self.read(element).decode("utf-8", "backslashreplace")

    def put_aside(self, element: str, reason: str, parts: Sequence[bytes] = ()) -> str:
        """Move a locked element that can never be sent to `failed/`, with its reason; where it is now.

        With `parts`, these take its place there: the rest of it has been sent.
        """
        folder = self._at(FAILED)
        make_folder(folder)
        place = os.path.join(folder, os.path.basename(element))
        wanted = ["%s-%d" % (place, number) for number in range(1, len(parts) + 1)] or [place]
        places = []
        for path, text in zip(wanted, parts or [self.read(element)]):
            path = _free_place(path, text)
            put_file(path, text)
            put_file(path + REASON, (reason + "\n").encode())
            places.append(path)
        self.remove(element)
        return ", ".join(places)


def _free_place(path: str, text: bytes) -> str:
    """A path like the one that is wanted, under which nothing else was put aside: file names come again."""
    numbered = ("%s.%d" % (path, number) for number in itertools.count(2))
    places = itertools.chain([path], numbered)
    return next(place for place in places if not os.path.lexists(place) or _holds(place, text))


def _holds(path: str, text: bytes) -> bool:
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        return stream.read() == text
    return False


class OutgoingQueue(FileQueue):
    """The simple layout: `<8 hex>/<14 hex>` is a file, `.tmp` while it is written, `.lck` while locked."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._claims = Claims(self.path)
        self._names = Names()

    def ids(self) -> Iterator[str]:
        """The ids of all elements, oldest first, locked or not."""
        return elements_in(self.path)

    def add(self, text: Data) -> str:
        """Add an element; it is on disk when its id is returned. Raises StorageError."""
        try:
            folder, temporary = self._write(as_bytes(text))
            return self._publish(folder, temporary)
        except OSError as err:
            raise StorageError("Cannot add to the queue %s: %s" % (self.path, err.strerror or err)) from err

    def _write(self, data: bytes) -> Tuple[str, str]:
        while True:
            folder = self._insertion_folder()
            temporary = self._at("%s/%s.tmp" % (folder, new_name()))
            make_folder(self._at(folder))
            # A purge may remove the empty folder between the two steps; then once more.
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                write_file(temporary, data)
                return folder, temporary

    def _insertion_folder(self) -> str:
        now = int(time.time())
        folder = "%08x" % (now - now % GRANULARITY_SECONDS)
        newest = max(folders_in(self.path), default="")
        # Only where the clock was set back.
        return newest if newest > folder and newest_in(self._at(newest)) else folder

    def _publish(self, folder: str, temporary: str) -> str:
        while True:
            element = "%s/%s" % (folder, self._names.next(self._at(folder)))
            with contextlib.suppress(FileExistsError):
                os.link(temporary, self._at(element))
                break
        os.unlink(temporary)
        fsync_directory(self._at(folder))
        return element

    def lock(self, element: str) -> bool:
        """Lock an element against other processes; False if another has it, or took it away."""
        self._claims.hold(element)
        path = self._at(element)
        try:
            os.link(path, path + ".lck")
            self._date_lock(path)
        except FileExistsError:
            self._claims.release(element)
            return False
        except FileNotFoundError:
            # Removed by another process while we locked it.
            remove_file(path + ".lck")
            self._claims.release(element)
            return False
        except OSError:
            # Not a file, or not ours: the kernel refuses a link to it.
            self._claims.release(element)
            raise
        return True

    def is_locked(self, element: str) -> bool:
        """Whether some process works on an element, or worked on it when it died."""
        return os.path.lexists(self._at(element) + ".lck")

    @staticmethod
    def _date_lock(path: str) -> None:
        try:
            os.utime(path)
        except PermissionError:
            remove_file(path + ".lck")
            raise

    def unlock(self, element: str) -> None:
        """Give a locked element back."""
        remove_file(self._at(element) + ".lck")
        self._claims.release(element)

    def remove(self, element: str) -> None:
        """Remove a locked element for good."""
        remove_file(self._at(element))
        self.unlock(element)

    def purge(self) -> int:
        """Free the locks of dead processes and remove leftovers of old ones; how many locks were freed."""
        freed = free_the_dead(self.path, self._unlock_before)
        folders = folders_in(self.path)
        for folder in folders:
            freed += self._purge_folder(folder)
        for folder in folders[:-1]:
            with contextlib.suppress(OSError):
                os.rmdir(self._at(folder))
        return freed

    def _purge_folder(self, folder: str) -> int:
        now, freed = time.time(), 0
        for name in names_in(self._at(folder)):
            element = "%s/%s" % (folder, name)
            if name.endswith(".tmp") and is_older(self._at(element), now - TEMPORARY_SECONDS):
                self._remove_leftover(element)
            elif name.endswith(".lck") and self._unlock_before(element[:-4], now - LOCK_SECONDS):
                log.warning("%s was locked for more than %d s; it is free again.", element[:-4], LOCK_SECONDS)
                freed += 1
        return freed

    def _unlock_before(self, element: str, before: float) -> bool:
        lock = element + ".lck"
        is_ours = bool(IDENTIFIER.match(element)) and is_older(self._at(lock), before)
        return is_ours and self._remove_leftover(lock)

    def _remove_leftover(self, name: str) -> bool:
        """Remove what a dead process left, if we may: another user's must not keep us from the rest."""
        try:
            return remove_file(self._at(name))
        except OSError as err:
            log.warning("%s is a leftover, but can't be removed: %s", self._at(name), err.strerror)
            return False


class DirectoryQueue(FileQueue):
    """Plain files in one directory (`path_type: directory`), any names, oldest first; nothing is locked.

    Sub-directories are ignored, and so are names that begin with a dot: files on their way in.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._read: Dict[str, FileState] = {}  # each file as it was when it was read

    def ids(self) -> Iterator[str]:
        """The ids (file names) of all elements, oldest first."""
        found: List[Tuple[int, str]] = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                        found.append((entry.stat().st_mtime_ns, entry.name))
        return iter([name for _, name in sorted(found)])

    def add(self, text: Data) -> str:
        """Add an element; it is on disk when its id is returned. Raises StorageError."""
        name = str(uuid.uuid4())
        try:
            put_file(self._at(name), as_bytes(text))
        except OSError as err:
            raise StorageError("Cannot add to the queue %s: %s" % (self.path, err.strerror or err)) from err
        return name

    def made(self, element: str) -> float:
        """When an element was made, or last changed (epoch seconds)."""
        return os.stat(self._at(element)).st_mtime

    def lock(self, element: str) -> bool:
        """Whether the element is (still) there: this layout has no locks."""
        return os.path.isfile(self._at(element))

    def unlock(self, element: str) -> None:
        """Forget what was read; this layout has no locks."""
        self._read.pop(element, None)

    def read(self, element: str) -> bytes:
        """The bytes of an element."""
        self._read[element] = file_state(self._at(element))
        return super().read(element)

    def remove(self, element: str) -> None:
        """Remove an element for good, unless another was put in its place since it was read."""
        state = file_state(self._at(element))
        if self._read.pop(element, state) == state:
            remove_file(self._at(element))
        elif state is not None:
            log.info("%s was written anew meanwhile: the new one stays in the queue.", element)


def open_outgoing(path: str, path_type: str = "dirq") -> FileQueue:
    """The queue at `path` that a sender reads: of `path_type` dirq (simple layout) or directory."""
    return DirectoryQueue(path) if path_type == "directory" else OutgoingQueue(path)


def elements_in(path: str) -> Iterator[str]:
    """The ids of the elements in a dirq layout, oldest first."""
    for folder in folders_in(path):
        for name in sorted(names_in(os.path.join(path, folder))):
            if ELEMENT.match(name):
                yield "%s/%s" % (folder, name)
