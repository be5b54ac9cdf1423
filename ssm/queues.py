"""Directory queues on disk, in the layouts of python-dirq 1.8, with each element durable before it counts.

Why not python-dirq itself: it syncs nothing, so a power cut can leave an acknowledged message empty, and
it tells locks by link counts, which some file systems don't keep. Layouts: messages.md section 13 of the
incumbent's facts; the tests exchange elements with python-dirq in both directions.
"""

import contextlib
import errno
import logging
import os
import re
import shutil
import time
import uuid
from typing import Dict, Iterator, List, Mapping, Tuple

from apelcommon.files import fsync_directory, write_atomically
from ssm.claims import Claims, free_the_dead
from ssm.elements import (
    ELEMENT,
    Data,
    as_bytes,
    folders_in,
    is_older,
    make_folder,
    names_in,
    new_name,
    remove_file,
    remove_folder,
    subfolders,
    write_file,
)
from ssm.errors import QueueError, StorageError

log = logging.getLogger(__name__)

# Elements of the queues of the suite; `?` marks what may be absent.
INCOMING = {"body": "string", "signer": "string", "empaid": "string?", "error": "string?"}
REJECT = {"body": "string", "signer": "string?", "empaid": "string?", "error": "string"}
ACCEPT = INCOMING

IDENTIFIER = re.compile(r"[0-9a-f]{8}/[0-9a-f]{14}$")
TEMPORARY_SECONDS = 300
LOCK_SECONDS = 600
GRANULARITY_SECONDS = 60
FAILED = "failed"


class Queue:
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

    def ids(self) -> Iterator[str]:
        """The ids of all elements, oldest first, locked or not."""
        raise NotImplementedError

    def count(self) -> int:
        """How many elements there are, locked or not."""
        return sum(1 for _ in self.ids())

    def purge(self) -> int:
        """Free the locks of dead processes and remove leftovers of old ones; how many locks were freed."""
        return 0

    def _at(self, element: str) -> str:
        return os.path.join(self.path, element)


class FileQueue(Queue):
    """A queue whose elements are files; what the sender reads from."""

    def add(self, text: Data) -> str:
        """Add an element; it is on disk when its id is returned. Raises StorageError."""
        raise NotImplementedError

    def lock(self, element: str) -> bool:
        """Lock an element against other processes; False if another has it, or took it away."""
        raise NotImplementedError

    def unlock(self, element: str) -> None:
        """Give a locked element back."""
        raise NotImplementedError

    def remove(self, element: str) -> None:
        """Remove a locked element for good."""
        raise NotImplementedError

    def read(self, element: str) -> bytes:
        """The bytes of an element."""
        with open(self._at(element), "rb") as stream:
            return stream.read()

    def get(self, element: str) -> str:
        """The text of an element; bytes that aren't UTF-8 show as `\\xNN`."""
        return self.read(element).decode("utf-8", "backslashreplace")

    def put_aside(self, element: str, reason: str) -> str:
        """Move a locked element that can never be sent to `failed/`, with its reason; where it is now."""
        folder = self._at(FAILED)
        make_folder(folder)
        place = os.path.join(folder, os.path.basename(element))
        write_atomically(place, self.read(element))
        write_atomically(place + ".reason", (reason + "\n").encode())
        self.remove(element)
        return place


class OutgoingQueue(FileQueue):
    """The simple layout: `<8 hex>/<14 hex>` is a file, `.tmp` while it is written, `.lck` while locked."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._claims = Claims(self.path)

    def ids(self) -> Iterator[str]:
        """The ids of all elements, oldest first, locked or not."""
        return _elements_in(self.path)

    def add(self, text: Data) -> str:
        """Add an element; it is on disk when its id is returned. Raises StorageError."""
        try:
            folder, temporary = self._write(as_bytes(text))
            return self._publish(folder, temporary)
        except OSError as err:
            raise StorageError("Cannot add to the queue %s: %s" % (self.path, err.strerror or err)) from err

    def _write(self, data: bytes) -> Tuple[str, str]:
        now = int(time.time())
        folder = "%08x" % (now - now % GRANULARITY_SECONDS)
        while True:
            temporary = self._at("%s/%s.tmp" % (folder, new_name()))
            make_folder(self._at(folder))
            # A purge may remove the empty folder between the two steps; then once more.
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                write_file(temporary, data)
                return folder, temporary

    def _publish(self, folder: str, temporary: str) -> str:
        while True:
            element = "%s/%s" % (folder, new_name())
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
            os.utime(path)
        except FileExistsError:
            self._claims.release(element)
            return False
        except FileNotFoundError:
            # Removed by another process while we locked it.
            remove_file(path + ".lck")
            self._claims.release(element)
            return False
        return True

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
                remove_file(self._at(element))
            elif name.endswith(".lck") and self._unlock_before(element[:-4], now - LOCK_SECONDS):
                log.warning("%s was locked for more than %d s; it is free again.", element[:-4], LOCK_SECONDS)
                freed += 1
        return freed

    def _unlock_before(self, element: str, before: float) -> bool:
        lock = self._at(element) + ".lck"
        return bool(IDENTIFIER.match(element)) and is_older(lock, before) and remove_file(lock)


class DirectoryQueue(FileQueue):
    """Plain files in one directory (`path_type: directory`), any names, oldest first; nothing is locked.

    Sub-directories are ignored, and so are names that begin with a dot: files on their way in.
    """

    def ids(self) -> Iterator[str]:
        """The ids (file names) of all elements, oldest first."""
        found: List[Tuple[int, str]] = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if not entry.name.startswith(".") and entry.is_file():
                        found.append((entry.stat().st_mtime_ns, entry.name))
        return iter([name for _, name in sorted(found)])

    def add(self, text: Data) -> str:
        """Add an element; it is on disk when its id is returned. Raises StorageError."""
        name = str(uuid.uuid4())
        try:
            write_atomically(self._at(name), as_bytes(text))
        except OSError as err:
            raise StorageError("Cannot add to the queue %s: %s" % (self.path, err.strerror or err)) from err
        return name

    def lock(self, element: str) -> bool:
        """Whether the element is (still) there: this layout has no locks."""
        return os.path.isfile(self._at(element))

    def unlock(self, element: str) -> None:
        """Nothing to do: this layout has no locks."""

    def remove(self, element: str) -> None:
        """Remove an element for good."""
        remove_file(self._at(element))


class MessageQueue(Queue):
    """The normal layout: an element is a directory with a file for each key of the schema.

    `schema` maps a key to `string`, or to `string?` for one that may be absent.
    """

    MOST_IN_FOLDER = 16000

    def __init__(self, path: str, schema: Mapping[str, str]) -> None:
        super().__init__(path)
        self.schema = dict(schema)
        self.required = [key for key, kind in schema.items() if not kind.endswith("?")]
        self._make_folders("temporary", "obsolete")
        self._claims = Claims(self.path)

    def ids(self) -> Iterator[str]:
        """The ids of all elements, oldest first, locked or not."""
        return _elements_in(self.path)

    def add(self, data: Mapping[str, Data]) -> str:
        """Add an element with a value for each key; it is on disk when its id is returned.

        Raises QueueError for keys the schema doesn't have or misses, StorageError if it can't be written.
        """
        self._check_keys(data)
        try:
            temporary = self._build(data)
            return self._publish(temporary)
        except OSError as err:
            raise StorageError("Cannot add to the queue %s: %s" % (self.path, err.strerror or err)) from err

    def _check_keys(self, data: Mapping[str, Data]) -> None:
        wrong = [key for key in data if key not in self.schema]
        missing = [key for key in self.required if key not in data]
        if wrong or missing:
            raise QueueError("%s: an element with unknown %s or without %s" % (self.path, wrong, missing))

    def _build(self, data: Mapping[str, Data]) -> str:
        while True:
            temporary = self._at("temporary/" + new_name())
            with contextlib.suppress(FileExistsError):
                os.mkdir(temporary)
                break
        try:
            for key, value in data.items():
                write_file(os.path.join(temporary, key), as_bytes(value))
            fsync_directory(temporary)
        except OSError:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return temporary

    def _publish(self, temporary: str) -> str:
        while True:
            folder = self._insertion_folder()
            element = "%s/%s" % (folder, new_name())
            try:
                os.rename(temporary, self._at(element))
            except OSError as err:
                if err.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    continue
                if err.errno == errno.ENOENT and not os.path.isdir(self._at(folder)):
                    continue  # a purge removed the folder; the next turn makes another
                raise
            fsync_directory(self._at(folder))
            return element

    def _insertion_folder(self) -> str:
        folders = folders_in(self.path)
        newest = folders[-1] if folders else "%08x" % 0
        if folders and subfolders(self._at(newest)) >= self.MOST_IN_FOLDER:
            newest = "%08x" % (int(newest, 16) + 1)
        make_folder(self._at(newest))
        return newest

    def get(self, element: str) -> Dict[str, str]:
        """The values of an element by key; bytes that aren't UTF-8 show as `\\xNN`.

        Raises QueueError if a required file is missing.
        """
        return {key: value.decode("utf-8", "backslashreplace") for key, value in self.read(element).items()}

    def read(self, element: str) -> Dict[str, bytes]:
        """The bytes of an element by key. Raises QueueError if a required file is missing."""
        values: Dict[str, bytes] = {}
        for key in self.schema:
            path = os.path.join(self._at(element), key)
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as stream:
                values[key] = stream.read()
        missing = [key for key in self.required if key not in values]
        if missing:
            raise QueueError("%s: the element %s has no %s" % (self.path, element, ", ".join(missing)))
        return values

    def lock(self, element: str) -> bool:
        """Lock an element against other processes; False if another has it, or took it away."""
        self._claims.hold(element)
        try:
            os.mkdir(self._at(element) + "/locked")
        except (FileExistsError, FileNotFoundError):
            self._claims.release(element)
            return False
        return True

    def unlock(self, element: str) -> None:
        """Give a locked element back."""
        remove_folder(self._at(element) + "/locked")
        self._claims.release(element)

    def remove(self, element: str) -> None:
        """Remove a locked element for good."""
        obsolete = self._at("obsolete/" + new_name())
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._at(element), obsolete)
            # At once, and whole: what a crash leaves in obsolete/ is removed by purge.
            shutil.rmtree(obsolete, ignore_errors=True)
        self._claims.release(element)

    def purge(self) -> int:
        """Free the locks of dead processes and remove leftovers of old ones; how many locks were freed."""
        freed = free_the_dead(self.path, self._unlock_before)
        self._purge_leftovers()
        for folder in folders_in(self.path)[:-1]:
            with contextlib.suppress(OSError):
                os.rmdir(self._at(folder))
        before = time.time() - LOCK_SECONDS
        for element in self.ids():
            if self._unlock_before(element, before):
                log.warning("%s was locked for more than %d s; it is free again.", element, LOCK_SECONDS)
                freed += 1
        return freed

    def _purge_leftovers(self) -> None:
        for folder in ("temporary", "obsolete"):
            for name in names_in(self._at(folder)):
                path = self._at("%s/%s" % (folder, name))
                if ELEMENT.match(name) and is_older(path, time.time() - TEMPORARY_SECONDS):
                    shutil.rmtree(path, ignore_errors=True)

    def _unlock_before(self, element: str, before: float) -> bool:
        lock = self._at(element) + "/locked"
        return bool(IDENTIFIER.match(element)) and is_older(lock, before) and remove_folder(lock)


def _elements_in(path: str) -> Iterator[str]:
    for folder in folders_in(path):
        for name in sorted(names_in(os.path.join(path, folder))):
            if ELEMENT.match(name):
                yield "%s/%s" % (folder, name)


def open_outgoing(path: str, path_type: str = "dirq") -> FileQueue:
    """The queue at `path` that a sender reads: of `path_type` dirq (simple layout) or directory."""
    return DirectoryQueue(path) if path_type == "directory" else OutgoingQueue(path)
