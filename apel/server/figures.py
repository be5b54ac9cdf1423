"""How the loader is: figures for Prometheus, a health file for other monitors, a word for systemd."""

import json
import logging
import os
import time
from typing import Any, Dict, Optional

from apel import __version__, times
from apel.server.loader import Queues
from apel.server.replay import received
from apel.server.verdicts import Outcome
from apelcommon.daemon import notify
from apelcommon.files import write_atomically
from apelcommon.metrics import Metrics

log = logging.getLogger(__name__)

OK, WAITING, ENDED = "ok", "waiting", "ended"
SECONDS_BETWEEN_FILES = 10.0
SECONDS_BETWEEN_COUNTS = 60.0


class Health:
    """A file of one JSON object: `state` (ok, waiting, ended), `since`, `reason`, `time`, and what was done.

    It is written when the state changes, and every ten seconds: an old `time` means that the loader hangs, or
    is gone. An empty path is no file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._state = ("", "")
        self._since = ""
        self._next = 0.0

    def tell(self, state: str, reason: str, done: Dict[str, int]) -> None:
        """The state now. It never raises: the work matters more."""
        now = time.monotonic()
        changed = (state, reason) != self._state
        if changed:
            self._state, self._since = (state, reason), _now()
            notify("STATUS=%s" % (reason.splitlines() or [state])[0])
        if self.path and (changed or now >= self._next):
            self._next = now + SECONDS_BETWEEN_FILES
            self._write(done)

    def again(self, done: Dict[str, int]) -> None:
        """The state is what it was."""
        if self._since:
            self.tell(*self._state, done)

    def _write(self, done: Dict[str, int]) -> None:
        state, reason = self._state
        found: Dict[str, Any] = {
            "program": "apeldbloader",
            "version": __version__,
            "pid": os.getpid(),
            "state": state,
            "reason": reason,
            "since": self._since,
            "time": _now(),
        }
        found.update(done)
        try:
            write_atomically(self.path, (json.dumps(found, indent=2) + "\n").encode("utf-8"))
        except OSError as err:
            log.warning("[loader] health_file: cannot write %s: %s", self.path, err.strerror or err)


class Figures:
    """What a running loader tells of itself. Messages and records are counted since its start."""

    def __init__(self, metrics: Metrics, health: Health) -> None:
        self.done = {"messages": 0, "records": 0, "rejected": 0}
        self.renew(metrics, health)

    def renew(self, metrics: Metrics, health: Health) -> None:
        """Go on with other files: the configuration was read again."""
        self.metrics = metrics
        self.health = health
        self._next_count = 0.0
        self._messages = metrics.counter("apel_loader_messages_total", "Messages dealt with.")
        self._records = metrics.counter("apel_loader_records_total", "Records in these messages.")
        self._troubles = metrics.counter("apel_loader_troubles_total", "Times that loading had to wait.")
        self._up = metrics.gauge(
            "apel_loader_up", "1 while messages can be loaded, 0 while the loader waits."
        )
        self._waiting = metrics.gauge("apel_loader_queue_messages", "Messages in a queue.")
        self._resting = metrics.gauge("apel_loader_resting_messages", "Messages with trouble of their own.")
        self._oldest = metrics.gauge("apel_loader_oldest_message_seconds", "Age of the oldest in incoming.")
        self._last = metrics.gauge("apel_loader_last_message_timestamp_seconds", "When one was last loaded.")
        self._troubles.add(0)

    def message(self, outcome: Outcome) -> None:
        """A message was dealt with."""
        result = "stored" if not outcome.reason else "partly rejected" if outcome.stored else "rejected"
        self._messages.add(type=outcome.format, result=result)
        for what, count in (("stored", outcome.stored), ("rejected", outcome.rejected)):
            if count:
                self._records.add(count, type=outcome.format, result=what)
        if outcome.stored:
            self._last.set(time.time())
        self.done["messages"] += 1
        self.done["records"] += outcome.stored
        self.done["rejected"] += outcome.rejected
        self._tell(OK, "")

    def rest(self, queues: Optional[Queues], resting: int) -> None:
        """A look into the queue has ended well."""
        self._resting.set(resting)
        if queues is not None:
            self._count(queues)
        self._tell(OK, "")

    def trouble(self, reason: str) -> None:
        """Database or queue can't be used; all waits."""
        self._troubles.add()
        self._tell(WAITING, reason)

    def beat(self) -> None:
        """Nothing has changed, but the loader is alive."""
        self.metrics.write_now_and_then()
        self.health.again(self.done)

    def ended(self) -> None:
        """The loader ends."""
        self._up.set(0)
        self.metrics.write()
        self.health.tell(ENDED, "", self.done)

    def _tell(self, state: str, reason: str) -> None:
        self._up.set(state == OK)
        self.metrics.write_now_and_then()
        self.health.tell(state, reason, self.done)

    def _count(self, queues: Queues) -> None:
        """Now and then, since the queues may be large."""
        if not self.metrics.path or time.monotonic() < self._next_count:
            return
        self._next_count = time.monotonic() + SECONDS_BETWEEN_COUNTS
        oldest = next(iter(queues.incoming.ids()), None)
        self._oldest.set(max(0.0, time.time() - received(oldest)) if oldest else 0)
        for name in ("incoming", "reject"):
            self._waiting.set(getattr(queues, name).count(), queue=name)


def _now() -> str:
    return times.utc_text(times.now()).replace(" ", "T") + "Z"
