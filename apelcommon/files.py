"""Files that are whole or absent, and locks that die with their process."""

import contextlib
import errno
import fcntl
import hashlib
import os
import pwd
import tempfile
from typing import IO, Optional, Tuple

from apelcommon.errors import ServiceError

FileState = Optional[Tuple[int, int, int]]

LOCK_FOLDERS = ("/run/apel", "/tmp")


def file_state(path: str) -> FileState:
    """What changes when a file does: time (ns), size, inode. None where it is not to be seen."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def owner_name(path: str) -> str:
    """The user that a file or folder belongs to, by name where it has one."""
    number = os.stat(path).st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def fsync_directory(path: str) -> None:
    """Make the names in a directory durable (a rename is not, until then)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: str, data: bytes, mode: int = 0o644, durable: bool = True) -> None:
    """Write `data` to `path` so that a reader, or a crash, sees the old file or the new one, whole.

    Unless it is `durable`, a crash of the machine may leave neither: for what is soon made again.
    """
    folder = os.path.dirname(os.path.abspath(path))
    descriptor, temporary = tempfile.mkstemp(prefix=".%s." % os.path.basename(path), dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            if durable:
                os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        fsync_directory(folder)


def lock_path(program: str, *what: str) -> str:
    """The usual lock file of a program that works on `what` (a database, say), for one user.

    It is the same whatever the environment says of temporary files, so that a run from cron and one from
    a shell meet: in /run/apel where that is ours to write, in /tmp elsewhere.
    """
    name = hashlib.sha256("\n".join(what).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    folder = next(
        (path for path in LOCK_FOLDERS if os.access(path, os.W_OK | os.X_OK)), tempfile.gettempdir()
    )
    return os.path.join(folder, "%s-%d-%s.lock" % (program, os.getuid(), name))


class Lock:
    """One process at a time: a context manager on a lock file.

    The kernel's lock ends with its process, so a lock file left by a crash is simply taken over. The file
    goes with the lock. Raises ServiceError naming the process that holds it.
    """

    def __init__(self, path: str, what: str = "") -> None:
        self.path = path
        self.what = what or os.path.basename(path)
        self._stream: Optional[IO[str]] = None

    def __enter__(self) -> "Lock":
        stream = self._open()
        self._take(stream)
        while not self._is_of(stream):
            # Its former holder has removed the file since we opened it: nobody else will meet us there.
            stream.close()
            stream = self._open()
            self._take(stream)
        with contextlib.suppress(OSError):
            # The number is for people: on a full disk the lock holds without.
            os.ftruncate(stream.fileno(), 0)
            os.pwrite(stream.fileno(), b"%d\n" % os.getpid(), 0)
        self._stream = stream
        return self

    def _take(self, stream: IO[str]) -> None:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            holder = stream.read().strip() or "unknown"
            stream.close()
            if err.errno not in (errno.EAGAIN, errno.EACCES):
                raise ServiceError("Cannot lock %s: %s" % (self.path, err)) from err
            raise ServiceError(
                "%s is already running (process %s holds %s); this run ends now and has changed nothing."
                % (self.what, holder, self.path)
            ) from err

    def _is_of(self, stream: IO[str]) -> bool:
        """Whether the file of that name is still the one that was opened."""
        opened = os.fstat(stream.fileno())
        with contextlib.suppress(OSError):
            return os.path.samestat(opened, os.stat(self.path))
        return False

    def _open(self) -> IO[str]:
        try:
            return os.fdopen(
                os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644), "r+"
            )
        except OSError as err:
            raise ServiceError("Cannot open the lock file %s: %s" % (self.path, err.strerror)) from err

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            # Before the lock is given up, so that what goes is never another's.
            with contextlib.suppress(OSError):
                if self._is_of(self._stream):
                    os.unlink(self.path)
            self._stream.close()
            self._stream = None
