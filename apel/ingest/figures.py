"""The figures of a parser run, for monitoring."""

from typing import Iterable

from apel.ingest.report import ParseReport
from apelcommon.metrics import Metrics


def set_figures(metrics: Metrics, reports: Iterable[ParseReport]) -> None:
    """What the reports count, by kind of log."""
    records = metrics.counter("apel_parser_records_total", "Records that were stored.")
    known = metrics.counter("apel_parser_known_records_total", "Records that were there already.")
    skipped = metrics.counter("apel_parser_skipped_lines_total", "Lines with nothing to account.")
    rejected = metrics.counter("apel_parser_rejected_lines_total", "Lines that could not be parsed.")
    failed = metrics.gauge("apel_parser_failed_files", "Files and folders that could not be read.")
    for report in reports:
        records.add(report.stored, log=report.name)
        known.add(report.known, log=report.name)
        skipped.add(sum(report.skipped.values()), log=report.name)
        rejected.add(report.rejected_lines, log=report.name)
        failed.set(len(report.failed_files), log=report.name)
