"""Keeps the reject queue from filling the disk: its oldest messages go, and are counted."""

import contextlib
import logging
import os
import time
from typing import Iterator, Tuple

from ssm.queues import MessageQueue

log = logging.getLogger("ssmreceive")

MEGABYTE = 1000000
SECONDS_BETWEEN_LOOKS = 600.0
DAY_SECONDS = 86400.0
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
        enough = int(self.most * ROOM_LEFT) if self.most and self._bytes > self.most else self._bytes
        too_old = time.time() - self.seconds if self.seconds else 0.0
        removed = 0
        for element, size in found:
            if self._bytes <= enough and self.queue.made(element) >= too_old:
                break
            if self._remove(element):
                self._bytes -= size
                removed += 1
        if removed:
            log.error(
                "%d of the oldest messages in %s were removed: [reject] max_mb, max_days.",
                removed,
                self.queue.path,
            )
        self.removed += removed
        return removed

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

    def _sizes(self) -> Iterator[Tuple[str, int]]:
        """(element, bytes) of all in the queue, oldest first."""
        for element in self.queue.ids():
            folder = os.path.join(self.queue.path, element)
            size = 0
            with contextlib.suppress(OSError):  # gone meanwhile, or no message
                for name in os.listdir(folder):
                    size += os.lstat(os.path.join(folder, name)).st_size
            yield element, size
