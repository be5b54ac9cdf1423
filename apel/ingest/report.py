"""What became of every line and file of a parser run: stored, known, skipped, rejected, or left."""

from collections import Counter
from typing import Dict, Iterable, List, Mapping, NamedTuple, Tuple

from apel.ingest.ledger import RejectedLine

#: Different reasons counted on their own; garbage in a log could make any number.
MOST_REASONS = 100
OTHER_REASONS = "other reasons"


class Failures(NamedTuple):
    """How many lines failed for one reason, and where the first of them stands."""

    lines: int
    first: str


class ParseReport:
    """The counts of one run over one kind of log."""

    def __init__(self, name: str, doubts: Dict[str, int]) -> None:
        self.name = name
        self.stored = 0
        self.known = 0
        self.retried = 0
        self.dropped = 0
        self.skipped: Dict[str, int] = Counter()
        self.doubts = doubts
        self.rejected: Dict[str, Failures] = {}
        self.files_read = 0
        self.files_unchanged = 0
        self.files_unfinished = 0
        self.failed_files: List[str] = []

    @property
    def failed(self) -> bool:
        """Whether the run counts as failed: a file or folder could not be read."""
        return bool(self.failed_files)

    def skip(self, reason: str) -> None:
        """Count a line with nothing to account."""
        self.skipped[_bounded(reason, self.skipped)] += 1

    def reject(self, lines: Iterable[RejectedLine]) -> None:
        """Count lines that failed."""
        for line in lines:
            reason = _bounded(line.reason, self.rejected)
            before = self.rejected.get(reason, Failures(0, "%s line %d" % (line.path, line.number)))
            self.rejected[reason] = before._replace(lines=before.lines + 1)

    @property
    def rejected_lines(self) -> int:
        """How many lines failed."""
        return sum(failures.lines for failures in self.rejected.values())

    def summary(self) -> List[str]:
        """The closing report, a line each for what there is to say."""
        lines = [
            "%s: %d records stored, %d already known; %d lines skipped, %d rejected"
            % (self.name, self.stored, self.known, sum(self.skipped.values()), self.rejected_lines),
            "%s: %d files read, %d unchanged, %d failed"
            % (self.name, self.files_read, self.files_unchanged, len(self.failed_files)),
        ]
        lines += ["skipped %d: %s" % (count, reason) for reason, count in _by_count(self.skipped)]
        lines += ["doubtful %d: %s" % (count, reason) for reason, count in _by_count(self.doubts)]
        counts = {reason: failures.lines for reason, failures in self.rejected.items()}
        for reason, count in _by_count(counts):
            lines.append("rejected %d: %s (first: %s)" % (count, reason, self.rejected[reason].first))
        if self.retried:
            lines.append("%d lines that had been rejected were tried again" % self.retried)
        if self.dropped:
            lines.append(
                "%d rejected lines were not kept, as too many are: they are only in their logs" % self.dropped
            )
        if self.files_unfinished:
            lines.append(
                "%d files end in half a line or record, left for the next run" % self.files_unfinished
            )
        lines += ["failed: %s" % problem for problem in self.failed_files]
        return lines


def _by_count(counts: Mapping[str, int]) -> List[Tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _bounded(reason: str, counted: Mapping[str, object]) -> str:
    """The reason, or a common one where too many differ."""
    return reason if reason in counted or len(counted) < MOST_REASONS else OTHER_REASONS
