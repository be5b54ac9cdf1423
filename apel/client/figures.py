"""The figures of a client run, for monitoring."""

from apel.client.accelerators import Tally
from apel.client.run import Done
from apel.unloader import Unloaded
from apelcommon.metrics import Metrics


def set_figures(metrics: Metrics, done: Done) -> None:
    """What was joined and summed up, and what waits."""
    metrics.counter("apel_client_months_total", "Months that were summed.").add(done.months)
    joined = done.joined
    if joined is None:
        return
    jobs = metrics.counter("apel_client_joined_jobs_total", "Jobs that were joined.")
    jobs.add(joined.grid, type="grid")
    jobs.add(joined.local, type="local")
    without_vo = metrics.counter("apel_client_jobs_without_vo_total", "Grid jobs joined without a VO.")
    without_vo.add(sum(joined.without_vo.values()))
    _set_accelerators(metrics, joined.accelerators)
    waiting = metrics.gauge("apel_client_waiting_jobs", "Jobs that wait, by what they wait for.")
    waiting.set(joined.without_grid_record, reason="grid record")
    without = [*joined.without_benchmark.values(), *joined.without_local_benchmark.values()]
    waiting.set(sum(without), reason="benchmark")


def _set_accelerators(metrics: Metrics, made: Tally) -> None:
    metrics.counter("apel_client_accelerators_total", "Accelerator records of joined jobs.").add(made.records)
    name = "apel_client_accelerators_without_rule_total"
    without = metrics.counter(name, "Jobs whose accelerators need a rule in [accelerators].")
    without.add(sum(made.unknown.values()), reason="unknown model")
    without.add(sum(made.shares.values()), reason="shares")


def add_unloaded(metrics: Metrics, done: Unloaded) -> None:
    """What was written for the centre."""
    metrics.counter("apel_client_messages_total", "Messages written to the spool.").add(done.messages)
    metrics.counter("apel_client_records_total", "Records in these messages.").add(done.records)
    metrics.counter("apel_client_invalid_records_total", "Records that break a rule.").add(done.invalid)
