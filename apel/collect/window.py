"""Periods of time: which one a run collects, and how far everything is known to be collected after it."""

from typing import Iterator, NamedTuple, Optional

from apel.times import utc_text


class Window(NamedTuple):
    """The jobs that ended from `since` to `until`, in epoch seconds."""

    since: int
    until: int

    def pieces(self, seconds: int) -> Iterator["Window"]:
        """The window in parts of at most that length, the oldest first."""
        for since in range(self.since, self.until, seconds):
            yield Window(since, min(since + seconds, self.until))

    def as_text(self) -> str:
        """For people."""
        return "%s to %s UTC" % (utc_text(self.since), utc_text(self.until))


class Rule(NamedTuple):
    """How windows are made; all in seconds."""

    first: int
    overlap: int
    settle: int

    def window(
        self, now: int, known: Optional[int], since: Optional[int] = None, until: Optional[int] = None
    ) -> Window:
        """What a run at `now` collects, if the last one collected what had ended before `known`.

        A `known` in the future, from when the clock was wrong, is none: nobody knows when that run was.
        """
        end = now - self.settle if until is None else until
        if since is not None:
            return Window(since, end)
        if known is None or known > now:
            back = self.first if known is None else max(self.first, self.overlap)
            return Window(max(0, end - back), end)
        return Window(max(0, min(known, end) - self.overlap), end)


def known_after(window: Window, known: Optional[int], now: int) -> Optional[int]:
    """Before which moment all jobs are collected, once the jobs of `window` are.

    A window behind a gap proves nothing of the gap, and one of earlier days nothing new: `known` stays.
    """
    until = min(window.until, now)
    if known is None or known > now:
        return until
    return max(known, until) if window.since <= known else known
