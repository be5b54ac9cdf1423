"""The closing report: every line has a reason, and garbage can't make it endless."""

import pytest

from apel.ingest import report as module
from apel.ingest.ledger import RejectedLine
from apel.ingest.report import ParseReport


@pytest.fixture
def report():
    return ParseReport("batch", {})


def rejected(number, reason):
    return RejectedLine("hash", number, "/log", "text", reason)


def test_reasons_are_counted_and_the_first_is_named(report):
    """P7."""
    report.reject([rejected(3, "odd"), rejected(5, "odd"), rejected(9, "even")])
    report.skip("job step")
    lines = report.summary()
    assert lines[0] == "batch: 0 records stored, 0 already known; 1 lines skipped, 3 rejected"
    assert lines[2:] == [
        "skipped 1: job step",
        "rejected 2: odd (first: /log line 3)",
        "rejected 1: even (first: /log line 9)",
    ]


def test_garbage_makes_no_endless_report(report):
    for number in range(3 * module.MOST_REASONS):
        report.skip("reason %d" % number)
        report.reject([rejected(number, "reason %d" % number)])
    assert len(report.summary()) < 2 * module.MOST_REASONS + 10
    assert report.rejected_lines == 3 * module.MOST_REASONS
    assert report.skipped["other reasons"] == 2 * module.MOST_REASONS


def test_doubts_and_failed_files_are_told(report):
    report.doubts["no memory"] = 2
    report.failed_files.append("/x: gone")
    report.retried = 4
    report.files_unfinished = 1
    assert report.failed
    assert report.summary()[2:] == [
        "doubtful 2: no memory",
        "4 lines that had been rejected were tried again",
        "1 files end in half a line or record, left for the next run",
        "failed: /x: gone",
    ]
