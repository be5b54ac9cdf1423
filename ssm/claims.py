"""Which queue elements this process holds, so that the locks of a dead process can be told from live ones.

The queue layouts know only locks without an owner, which are stale after ten minutes. Beside them, each
process that holds locks keeps a file `.claims-<pid>-<hex>` in the queue directory, locked by the kernel
(flock) for as long as the process lives. Whoever can lock that file knows that its writer is dead, and
frees what it held. python-dirq ignores such files.
"""

import contextlib
import errno
import fcntl
import logging
import os
import time
from typing import Callable, Dict, Iterator, Optional, Set

from ssm.elements import open_file

log = logging.getLogger(__name__)

PREFIX = ".claims-"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NO_FLOCK = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)

Unlock = Callable[[str, float], bool]


@contextlib.contextmanager
def _despite_full_disk() -> Iterator[None]:
    """Go on without a note of a lock: what leaves a queue makes room, and locks without are freed by age."""
    try:
        yield
    except OSError as err:
        if err.errno not in NO_ROOM:
            raise
        log.debug("No room to note a lock: %s", err)


class Claims:
    """The locks that one queue object of this process holds. The file exists only while there are any."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._descriptor: Optional[int] = None
        self._path = ""
        self._held: Set[str] = set()
        self._supported = True

    def hold(self, element: str) -> None:
        """Note that we are about to lock `element`; to be called before locking it."""
        if not self._supported:
            return
        self._held.add(element)
        if self._descriptor is None:
            with _despite_full_disk():
                self._open()
        self._write("+%d %s\n" % (time.time(), element))

    def release(self, element: str) -> None:
        """Note that we no longer hold `element`."""
        if element not in self._held:
            return
        self._held.discard(element)
        if self._held:
            self._write("- %s\n" % element)
        else:
            self._close()

    def _write(self, line: str) -> None:
        if self._descriptor is not None:
            with _despite_full_disk():
                os.write(self._descriptor, line.encode())

    def _open(self) -> None:
        while self._supported:
            path = os.path.join(self.folder, "%s%d-%s" % (PREFIX, os.getpid(), os.urandom(4).hex()))
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            if self._lock(descriptor) and os.fstat(descriptor).st_nlink:
                self._descriptor, self._path = descriptor, path
                return
            os.close(descriptor)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _lock(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            if err.errno in NO_FLOCK:
                log.debug("No flock in %s: locks of dead processes wait until they are old", self.folder)
                self._supported = False
            return False
        return True

    def _close(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            os.close(self._descriptor)
            self._descriptor = None


def free_the_dead(folder: str, unlock: Unlock) -> int:
    """Free the elements that dead processes held in the queue at `folder`; how many.

    `unlock(element, before)` frees an element if its lock was made before that time (epoch seconds).
    """
    freed = 0
    for name in os.listdir(folder):
        if name.startswith(PREFIX):
            try:
                freed += _free_one(os.path.join(folder, name), unlock)
            except OSError as err:
                log.warning("%s/%s can't be looked at: %s", folder, name, err.strerror)
    return freed


def _free_one(path: str, unlock: Unlock) -> int:
    # Gone meanwhile, or locked by its living writer: nothing of ours.
    with contextlib.suppress(FileNotFoundError, BlockingIOError), open_file(path) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        text = stream.read().decode("utf-8", "replace")
        # Some seconds of grace: between noting a lock and making it, the process may have been asleep.
        freed = [element for element, when in _held_in(text).items() if unlock(element, when + 5)]
        for element in freed:
            log.warning("%s was locked by a process that is gone; it is free again.", element)
        os.unlink(path)
        return len(freed)
    return 0


def _held_in(text: str) -> Dict[str, float]:
    held: Dict[str, float] = {}
    for line in text.splitlines():
        mark, _, element = line.partition(" ")
        if mark == "-":
            held.pop(element, None)
        elif mark[:1] == "+" and mark[1:].isdigit() and element:
            held[element] = float(mark[1:])
    return held
