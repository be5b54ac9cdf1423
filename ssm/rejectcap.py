"""Keeps the reject queue from filling the disk: messages go, and are counted.

What is too old goes first. If the rest is too much, what nobody can be held to (not verified, banned) goes
before messages whose signer was not listed, and those before what was rejected when it was loaded: a flood of
rubbish drives out little that can be replayed. Among equals the oldest goes first.

What is too old is told by the clock, and a clock that is wrong must not empty the queue. So nothing goes for
its age unless the clock has gone on without a jump for a day: when it was looked at last stands in a file
beside the messages, and a step back, or of more than two days, begins a new day.
"""

import contextlib
import logging
import os
import time
from typing import Iterator, List, Tuple

from apelcommon.files import write_atomically
from ssm.queues import MessageQueue
from ssm.reasons import worth_of

log = logging.getLogger("ssmreceive")

MEGABYTE = 1000000
SECONDS_BETWEEN_LOOKS = 600.0
DAY_SECONDS = 86400.0
Sized = Tuple[str, int]  # an element, and its bytes
#: "since last": when the clock has jumped for the last time, and when it was looked at last (epoch seconds).
CLOCK_FILE = "clock"
STEADY_SECONDS, JUMP_SECONDS = DAY_SECONDS, 2 * DAY_SECONDS
ROOM_LEFT = 0.9  # so much of the limit is kept: not every message is to cost a walk through the queue


class RejectCap:
    """The limits of [reject]: `max_mb` for all its messages together, `max_days` for each; 0 is none."""

    def __init__(self, queue: MessageQueue, max_mb: int, max_days: int) -> None:
        self.queue = queue
        self.most = max_mb * MEGABYTE
        self.seconds = max_days * DAY_SECONDS
        self.removed = 0
        self._bytes = 0
        self._next_look = 0.0

    def added(self, size: int) -> int:
        """A message of so many bytes came to the queue; how many others had to go for it. It never raises."""
        self._bytes += size
        if not self.most or self._bytes <= self.most:
            return 0
        try:
            return self.look()
        except OSError as err:
            log.warning("The reject queue can't be looked through: %s", err)
            return 0

    def look_now_and_then(self) -> int:
        """Look through the queue every ten minutes; how many messages were removed."""
        if not (self.most or self.seconds) or time.monotonic() < self._next_look:
            return 0
        return self.look()

    def look(self) -> int:
        """Look through the queue, and remove what is too old or too much; how many messages were removed."""
        self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
        found = list(self._sizes())
        self._bytes = sum(size for _, size in found)
        removed = 0
        for element, size in self._too_much(found):
            if self._remove(element):
                self._bytes -= size
                removed += 1
        if removed:
            log.error(
                "%d messages in %s were too old or too much, and were removed: [reject] max_mb, max_days.",
                removed,
                self.queue.path,
            )
        self.removed += removed
        return removed

    def _too_much(self, found: List[Sized]) -> Iterator[Sized]:
        """What is to be removed, in this order, for as long as `_bytes` doesn't sink to what is allowed."""
        too_old = time.time() - self.seconds if self.seconds and self._clock_is_steady() else 0.0
        over = self.most and self._bytes > self.most
        rest = []
        for element, size in found:
            if self.queue.made(element) < too_old:
                yield element, size
            else:
                rest.append((element, size))
        if not over:
            return
        for element, size in sorted(rest, key=self._worth):
            if self._bytes <= self.most * ROOM_LEFT:
                return
            yield element, size

    def _clock_is_steady(self) -> bool:
        """Whether the clock has gone on for a day; its time is noted."""
        now, path = time.time(), os.path.join(self.queue.path, CLOCK_FILE)
        since = last = 0.0
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as stream:
            since, last = map(float, stream.read().split())
        if not 0.0 <= since <= last <= now <= last + JUMP_SECONDS:
            log.info("%s: what is too old is left for a day, in case the clock is wrong", self.queue.path)
            since = now
        try:
            # Lost in a crash, a new day begins.
            write_atomically(path, ("%d %d\n" % (since, now)).encode("ascii"), durable=False)
        except OSError as err:
            log.warning("%s can't be written: %s; nothing goes for its age.", path, err)
            return False
        return now - since >= STEADY_SECONDS

    def _worth(self, message: Sized) -> int:
        return worth_of(self.queue.value(message[0], "error") or "")

    def _remove(self, element: str) -> bool:
        """Remove a message, unless another process has it, or the system keeps us from it."""
        try:
            if not self.queue.lock(element):
                return False
            try:
                self.queue.remove(element)
            except OSError:
                self.queue.unlock(element)
                raise
        except OSError as err:
            log.warning("%s/%s can't be removed: %s", self.queue.path, element, err)
            return False
        return True

    def _sizes(self) -> Iterator[Sized]:
        """(element, bytes) of all in the queue, oldest first."""
        for element in self.queue.ids():
            folder = os.path.join(self.queue.path, element)
            size = 0
            with contextlib.suppress(OSError):  # gone meanwhile, or no message
                for name in os.listdir(folder):
                    size += os.lstat(os.path.join(folder, name)).st_size
            yield element, size
