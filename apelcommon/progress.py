"""How far long work has come: a bar on a terminal, a log line now and then elsewhere."""

import logging
import sys
import time
from typing import Any, Optional

from tqdm import tqdm

log = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 60.0


class Progress:
    """Counts work done: `with Progress('Parsing', total, 'B') as progress: progress.advance(n)`."""

    def __init__(self, label: str, total: Optional[int] = None, unit: str = "records") -> None:
        self.label = label
        self.total = total
        self.unit = unit
        self.done = 0
        self._next_log = time.monotonic() + LOG_EVERY_SECONDS
        self._bar: Optional[Any] = None

    def __enter__(self) -> "Progress":
        if sys.stderr is not None and sys.stderr.isatty():
            self._bar = tqdm(desc=self.label, total=self.total, unit=self.unit, unit_scale=True, leave=False)
        return self

    def advance(self, count: int) -> None:
        """Say that `count` more units are done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() >= self._next_log:
            self._next_log = time.monotonic() + LOG_EVERY_SECONDS
            log.info("%s: %d of %s %s done", self.label, self.done, self.total or "?", self.unit)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
