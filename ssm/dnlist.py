"""The list of signers whose messages are accepted, re-read when its file changes."""

import logging
import os
import time
from typing import FrozenSet, List, NamedTuple, Tuple

from apelcommon.errors import ConfigError
from apelcommon.files import FileState, file_state
from ssm.dn import readings

log = logging.getLogger(__name__)

SETTLED_SECONDS = 2.0
UNFINISHED_SECONDS = 30.0
LOOK_SECONDS = 1.0


class _Read(NamedTuple):
    names: FrozenSet[str]
    finished: bool


class DnList:
    """The names in a DN file, one a line; blank and `#` lines are ignored, those that are no name warned of.

    A changed file is taken up once it has stayed the same for two seconds (half a minute if its last
    line has no end, as a half-written file's). One that is gone, unreadable or holds no name leaves the
    last good list in force, with a warning.
    """

    def __init__(self, path: str, of_banned: bool = False) -> None:
        """Raises ConfigError if there is no name to begin with; of banned ones, list and file may lack.

        On that, a name that may be read in two ways counts as both; on others it is left out.
        """
        self.path = path
        self.of_banned = of_banned
        self._state: FileState = None
        self._pending: Tuple[FileState, float] = (None, 0.0)
        self._next_look = 0.0
        self._warned: FileState = (-1, -1, -1)
        self._names: FrozenSet[str] = frozenset()
        self._load_first()

    def __contains__(self, name: object) -> bool:
        self.refresh()
        return name in self._names

    def __len__(self) -> int:
        return len(self._names)

    def refresh(self) -> None:
        """Look whether the file has changed, at most once a second, and take a settled change up."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        state = file_state(self.path)
        if state == self._state:
            return
        if state != self._pending[0]:
            self._pending = (state, now)
        self._take_up(state, now - self._pending[1])

    def _take_up(self, state: FileState, unchanged_for: float) -> None:
        if unchanged_for < SETTLED_SECONDS:
            return
        try:
            read = _read(self.path, self.of_banned)
        except OSError as err:
            self._keep(state, "can't be read (%s)" % err.strerror)
            return
        if not read.names and not self.of_banned:
            self._keep(state, "holds no name")
        elif read.finished or unchanged_for >= UNFINISHED_SECONDS:
            log.info("DN list %s: %d names (%d before)", self.path, len(read.names), len(self._names))
            self._names, self._state = read.names, state

    def _keep(self, state: FileState, trouble: str) -> None:
        if state != self._warned:
            self._warned = state
            log.error(
                "DN LIST %s %s; the last good list of %d names stays in force.",
                self.path,
                trouble,
                len(self._names),
            )

    def _load_first(self) -> None:
        self._state = file_state(self.path)
        try:
            read = _read(self.path, self.of_banned)
        except OSError as err:
            # A list that there is, but not for us, must not count as none: it may be of who is banned.
            if self.of_banned and isinstance(err, FileNotFoundError) and not os.path.islink(self.path):
                return
            raise ConfigError("Cannot read the DN file %s: %s" % (self.path, err.strerror)) from err
        if not read.names and not self.of_banned:
            raise ConfigError(
                "No valid DN in %s: no message could be accepted. "
                "Write one name a line, like /C=UK/O=Org/CN=host" % self.path
            )
        self._names = read.names


def _read(path: str, of_banned: bool) -> _Read:
    # Some editors begin a file with a mark of its encoding, which is no part of its first name.
    with open(path, encoding="utf-8-sig", errors="replace") as stream:
        text = stream.read()
    names: List[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        forms = readings(line)
        if len(forms) == 1 or of_banned:
            names += forms
        if line and not line.startswith("#") and len(forms) != 1:
            _warn("%s line %d" % (path, number), line[:100], forms, of_banned)
    return _Read(frozenset(names), text.endswith("\n"))


def _warn(where: str, line: str, forms: List[str], of_banned: bool) -> None:
    if forms:
        effect = "it bans both" if of_banned else "it lets nobody in"
        log.warning(
            "%s may mean %s: %s. Write the one that is meant: %s", where, " or ".join(forms), effect, line
        )
    else:
        effect = "it bans nobody" if of_banned else "it lets nobody in"
        log.warning("%s is no DN (like /C=UK/O=Org/CN=host): %s: %s", where, effect, line)
