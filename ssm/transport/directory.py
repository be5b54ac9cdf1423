"""A hand-over through a directory that both ends reach: a file appears whole, is taken, and goes.

A message is `<time>-<hex>.message`: its id on the first line, then the signed bytes. Files are written
under a name that begins with a dot, synced and renamed, so that neither end can see half of one. The
receiver removes a file when its message is queued: it may come twice, never not at all. Links are never
followed: who may write here may not read all that the receiver may.
"""

import collections
import contextlib
import logging
import os
import time
from typing import Deque, Dict, List, Optional

from apelcommon.errors import ServiceError
from apelcommon.files import FileState, Lock, file_state
from ssm.elements import is_older, make_folder, open_file, put_file, remove_file
from ssm.errors import TransportError
from ssm.transport import Delivery, Transport

log = logging.getLogger(__name__)

SUFFIX = ".message"
LOCK_FILE = ".receiver.lock"
LOOK_SECONDS = 0.2
LEFTOVER_SECONDS = 3600
UNREADABLE_SECONDS = 60.0


class DirectoryTransport(Transport):
    """The hand-over directory `path`; any number of senders, one receiver at a time."""

    empty_is_drained = True

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._confirmed: List[str] = []
        self._waiting: Deque[str] = collections.deque()
        self._unreadable: Dict[str, float] = {}  # when to try again, by name
        self._taken: Dict[str, FileState] = {}  # what is stored, but can't be removed, by name
        self._lock = contextlib.ExitStack()
        self._receiving = False

    def connect(self) -> None:
        """Make the directory if need be, and clear what dead senders left half-written."""
        try:
            make_folder(self.path)
            for name in os.listdir(self.path):
                path = os.path.join(self.path, name)
                if name.startswith(".") and SUFFIX in name and is_older(path, time.time() - LEFTOVER_SECONDS):
                    remove_file(path)
        except OSError as err:
            raise TransportError("The hand-over directory %s: %s." % (self.path, err.strerror)) from err

    def send(self, identifier: str, body: bytes) -> None:
        """Write the message into the directory, synced."""
        name = "%016x-%s%s" % (int(time.time() * 1000000), os.urandom(4).hex(), SUFFIX)
        try:
            put_file(os.path.join(self.path, name), identifier.encode("utf-8") + b"\n" + body)
        except OSError as err:
            raise TransportError(
                "Cannot write to the hand-over directory %s: %s." % (self.path, err.strerror)
            ) from err
        self._confirmed.append(identifier)

    def confirmed(self, timeout: float) -> List[str]:
        """Ids of the messages written since last asked."""
        found, self._confirmed = self._confirmed, []
        return found

    def receive(self, timeout: float) -> Optional[Delivery]:
        """The oldest message not yet given out."""
        self._begin()
        deadline = time.monotonic() + timeout
        while True:
            while self._waiting:
                delivery = self._read(self._waiting.popleft())
                if delivery is not None:
                    return delivery
            self._waiting.extend(self._names())
            if not self._waiting:
                if time.monotonic() >= deadline:
                    return None
                time.sleep(LOOK_SECONDS)

    def _begin(self) -> None:
        if not self._receiving:
            try:
                self._lock.enter_context(Lock(os.path.join(self.path, LOCK_FILE), "A receiver"))
            except ServiceError as err:
                raise TransportError(str(err)) from err
            self._receiving = True

    def _names(self) -> List[str]:
        try:
            with os.scandir(self.path) as entries:
                names = [
                    entry.name
                    for entry in entries
                    if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False)
                ]
        except OSError as err:
            raise TransportError("The hand-over directory %s: %s." % (self.path, err.strerror)) from err
        now = time.monotonic()
        return sorted(
            name
            for name in names
            if not name.startswith(".")
            and self._unreadable.get(name, now) <= now
            and not self._is_taken(name)
        )

    def _is_taken(self, name: str) -> bool:
        return name in self._taken and self._taken[name] == file_state(os.path.join(self.path, name))

    def _read(self, name: str) -> Optional[Delivery]:
        """A message, or None if it is gone, or is not ours to read: that holds up no other."""
        path = os.path.join(self.path, name)
        self._unreadable.pop(name, None)
        try:
            with open_file(path) as stream:
                identifier, _, body = stream.read().partition(b"\n")
        except FileNotFoundError:
            return None
        except PermissionError as err:
            log.error("Cannot read %s: %s. Passed over for now.", path, err.strerror)
            self._unreadable[name] = time.monotonic() + UNREADABLE_SECONDS
            return None
        except OSError as err:
            raise TransportError("Cannot read %s: %s." % (path, err.strerror)) from err
        return Delivery(identifier.decode("utf-8", "replace"), body, path)

    def acknowledge(self, delivery: Delivery) -> None:
        """Remove the message's file; one that can't be removed is passed over from now on."""
        try:
            remove_file(delivery.token)
        except OSError as err:
            # No reason to begin anew: it would be given out again, and stored again, for ever.
            log.error(
                "The message %s is stored, but cannot be removed: %s. Remove it by hand.",
                delivery.token,
                err.strerror,
            )
            self._taken[os.path.basename(delivery.token)] = file_state(delivery.token)

    def close(self) -> None:
        """Let another receiver in."""
        self._lock.close()
        self._receiving = False
        self._waiting.clear()
