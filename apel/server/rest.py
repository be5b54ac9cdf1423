"""Messages with trouble of their own rest for growing times: they hold up no others, nor flood the log."""

import logging
import time
from typing import Dict, Set, Tuple

from apelcommon.backoff import Backoff

log = logging.getLogger(__name__)

FIRST_SECONDS, MOST_SECONDS = 5.0, 600.0


class Rest:
    """Names of messages, each with the time until which it rests."""

    def __init__(self) -> None:
        self._until: Dict[str, Tuple[float, Backoff]] = {}

    def __len__(self) -> int:
        return len(self._until)

    def is_over(self, name: str) -> bool:
        """Whether a message needn't rest (any longer)."""
        return name not in self._until or time.monotonic() >= self._until[name][0]

    def begin(self, name: str, reason: str) -> None:
        """Let a message rest, longer each time, and say why."""
        _, backoff = self._until.get(name, (0.0, Backoff(FIRST_SECONDS, MOST_SECONDS)))
        wait = backoff.next()
        self._until[name] = time.monotonic() + wait, backoff
        log.warning("Message %s: deferred: %s Trying again in %.0f seconds.", name, reason, wait)

    def keep(self, names: Set[str]) -> None:
        """Forget all others: another loader has dealt with them."""
        for name in self._until.keys() - names:
            del self._until[name]

    def __contains__(self, name: str) -> bool:
        return name in self._until

    def end(self, name: str) -> None:
        """The message is dealt with."""
        self._until.pop(name, None)
