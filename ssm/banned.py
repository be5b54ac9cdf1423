"""Signers whose messages are never taken, whatever else the lists say: a few are kept, a flood is not."""

import logging
import time
from collections import Counter
from typing import Counter as Counts

from ssm.dnlist import DnList

log = logging.getLogger("ssmreceive")

SECONDS_OF_CAP = 86400.0
SECONDS_BETWEEN_REPORTS = 60.0


class BannedSigners:
    """The names in a file like the DN list (which need not be there), and a cap on what is kept of them."""

    def __init__(self, path: str, most_kept: int) -> None:
        """`most_kept`: how many of their messages are kept in a day."""
        self.names = DnList(path, of_banned=True)
        self.most_kept = most_kept
        self.dropped = 0
        self._kept = 0
        self._day_ends = time.monotonic() + SECONDS_OF_CAP
        self._since_report: Counts[str] = Counter()
        self._next_report = 0.0

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def keeps(self, name: str) -> bool:
        """Whether a message of a banned signer is kept; one that isn't is counted, and reported in time."""
        now = time.monotonic()
        if now >= self._day_ends:
            self._kept, self._day_ends = 0, now + SECONDS_OF_CAP
        if self._kept < self.most_kept:
            self._kept += 1
            return True
        self.dropped += 1
        self._since_report[name] += 1
        if now >= self._next_report:
            self.report()
        return False

    def report(self) -> None:
        """Say in the log how many were dropped since this was last said."""
        self._next_report = time.monotonic() + SECONDS_BETWEEN_REPORTS
        for name, count in sorted(self._since_report.items()):
            log.warning(
                "%d messages of the banned signer %s dropped (%d of all in this run).",
                count,
                name,
                self.dropped,
            )
        self._since_report.clear()
