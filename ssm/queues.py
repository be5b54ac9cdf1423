"""Directory queues on disk, in the layouts of python-dirq 1.8, with each element durable before it counts.

Why not python-dirq itself: it syncs nothing, so a power cut can leave an acknowledged message empty, and
it tells locks by link counts, which some file systems don't keep. Layouts: messages.md section 13 of the
incumbent's facts; the tests exchange elements with python-dirq in both directions.
"""

import contextlib
import errno
import logging
import os
import shutil
import time
from typing import Dict, Iterator, Mapping, Optional

from apelcommon.files import fsync_directory
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
    remove_folder,
    subfolders,
    write_file,
)
from ssm.errors import QueueError, StorageError
from ssm.filequeues import DirectoryQueue, FileQueue, OutgoingQueue, Queue, elements_in, open_outgoing

__all__ = [
    "ACCEPT",
    "INCOMING",
    "REJECT",
    "DirectoryQueue",
    "FileQueue",
    "MessageQueue",
    "OutgoingQueue",
    "Queue",
    "open_outgoing",
]

log = logging.getLogger(__name__)

# Elements of the queues of the suite; `?` marks what may be absent.
INCOMING = {"body": "string", "signer": "string", "empaid": "string?", "error": "string?"}
REJECT = {"body": "string", "signer": "string?", "empaid": "string?", "error": "string"}
ACCEPT = INCOMING

#: The errors of a rename to a folder in which there is something.
TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


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
        self._names = Names()

    def ids(self) -> Iterator[str]:
        """The ids of all elements, oldest first, locked or not."""
        return elements_in(self.path)

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
            element = "%s/%s" % (folder, self._names.next(self._at(folder)))
            try:
                os.rename(temporary, self._at(element))
            except OSError as err:
                if err.errno in TAKEN:
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

    def value(self, element: str, key: str) -> Optional[str]:
        """One value of an element; None if it can't be read: there is none, or the element is gone."""
        try:
            with open(os.path.join(self._at(element), key), "rb") as stream:
                return stream.read().decode("utf-8", "backslashreplace")
        except OSError:
            return None

    def lock(self, element: str) -> bool:
        """Lock an element against other processes; False if another has it, or took it away."""
        self._claims.hold(element)
        lock = self._at(element) + "/locked"
        locked = False
        try:
            os.mkdir(lock)
            # Whoever is removing the element may have moved it away while the kernel looked up its path: then
            # the lock was made inside what is being deleted.
            locked = os.path.isdir(lock)
        except (FileExistsError, FileNotFoundError):
            log.debug("%s is locked, or gone", element)
        finally:
            if not locked:
                self._claims.release(element)
        return locked

    def is_locked(self, element: str) -> bool:
        """Whether some process works on an element, or worked on it when it died."""
        return os.path.isdir(self._at(element) + "/locked")

    def unlock(self, element: str) -> None:
        """Give a locked element back."""
        remove_folder(self._at(element) + "/locked")
        self._claims.release(element)

    def remove(self, element: str) -> None:
        """Remove a locked element for good."""
        self._discard(self._at(element))
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
                if not ELEMENT.match(name) or not is_older(path, time.time() - TEMPORARY_SECONDS):
                    continue
                if folder == "temporary":
                    with contextlib.suppress(OSError):  # not ours
                        self._discard(path)
                else:
                    shutil.rmtree(path, ignore_errors=True)

    def _discard(self, path: str) -> None:
        """Remove a folder, whole or not at all to all others.

        Who still writes an element there (a disk that stood still, a clock that was put forward) must fail,
        and not add what is left of it.
        """
        obsolete = self._at("obsolete/" + new_name())
        try:
            os.rename(path, obsolete)
        except FileNotFoundError:
            return
        except OSError as err:
            if err.errno not in TAKEN:
                raise
            # By another process, in the same microsecond.
            self._discard(path)
        else:
            # What a crash leaves in obsolete/ is removed by purge.
            shutil.rmtree(obsolete, ignore_errors=True)

    def _unlock_before(self, element: str, before: float) -> bool:
        lock = self._at(element) + "/locked"
        try:
            return bool(IDENTIFIER.match(element)) and is_older(lock, before) and remove_folder(lock)
        except PermissionError as err:
            log.warning("%s was locked for too long, but can't be freed: %s", element, err)
            return False
