"""Waiting times between tries that grow, are capped, and never march in step."""

import random


class Backoff:
    """Seconds to wait before the next try: doubled each time up to `most`, with jitter of ±25 %."""

    def __init__(self, first: float = 1.0, most: float = 60.0) -> None:
        self.first = first
        self.most = most
        self._step = first

    def next(self) -> float:
        """The next waiting time, in seconds."""
        wait = self._step * random.uniform(0.75, 1.25)
        self._step = min(self.most, self._step * 2)
        return wait

    def reset(self) -> None:
        """Begin again after a success."""
        self._step = self.first
