"""Messages with trouble of their own rest for growing times: they hold up no others, nor flood the log."""

import logging
import time
from typing import Dict, Set, Tuple

from apel.server.verdicts import Verdict
from apelcommon.backoff import Backoff

log = logging.getLogger(__name__)

FIRST_SECONDS, MOST_SECONDS = 5.0, 600.0


class Rest:
    """Names of messages, each with the time until which it rests."""

    def __init__(self) -> None:
        self._until: Dict[str, Tuple[float, Backoff]] = {}
        self._seen: Set[str] = set()

    def __len__(self) -> int:
        return len(self._until)

    def knows(self, name: str) -> bool:
        """Whether a message rests, or is to be tried again."""
        return name in self._until

    def is_over(self, name: str) -> bool:
        """Whether a message needn't rest (any longer)."""
        if name not in self._until:
            return True
        self._seen.add(name)
        return time.monotonic() >= self._until[name][0]

    def begin(self, name: str, reason: str) -> None:
        """Let a message rest, longer each time, and say why."""
        _, backoff = self._until.get(name, (0.0, Backoff(FIRST_SECONDS, MOST_SECONDS)))
        wait = backoff.next()
        self._until[name] = time.monotonic() + wait, backoff
        self._seen.add(name)
        log.warning("Message %s: deferred: %s Trying again in %.0f seconds.", name, reason, wait)

    def end_pass(self) -> None:
        """Forget the messages that were not asked about in this pass: another loader has them, or had."""
        for name in self._until.keys() - self._seen:
            del self._until[name]
        self._seen.clear()

    def end(self, name: str) -> None:
        """The message is dealt with."""
        self._until.pop(name, None)


class Unfinished:
    """What a loader knows of messages that it could not finish, by their names: a new one may go on with it.

    committed: the verdicts on those that are stored. rejected: the names of those whose bad records are in
    `reject` already.
    """

    def __init__(self) -> None:
        self.rest = Rest()
        self.committed: Dict[str, Verdict] = {}
        self.rejected: Set[str] = set()

    def end(self, name: str) -> None:
        """The message is dealt with."""
        self.rejected.discard(name)
        self.committed.pop(name, None)
        self.rest.end(name)

    def end_pass(self) -> None:
        """Forget the messages that other loaders have, or had."""
        self.rest.end_pass()
        for name in [name for name in self.committed if not self.rest.knows(name)]:
            del self.committed[name]
