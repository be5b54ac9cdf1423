"""A finished job as a site reports it to the centre."""

from typing import Any

from apel.records.base import Record
from apel.records.fields import MOST_COUNT, integer, number, text, timestamp, tuples
from apel.records.rules import (
    benchmark_is_known,
    benchmark_is_whole,
    job_ends_after_it_starts,
    job_has_ended,
)

#: DECIMAL(10,3) in every schema.
MOST_BENCHMARK = 9999999.999


def benchmarks() -> Any:
    """All benchmarks of a v0.4 record that names several, as (type, value); ServiceLevel is one of them."""
    return tuples(text(required=True, max_length=50), number(required=True))


class JobRecord(Record):
    """One job: durations in seconds (CPU over all cores), memory in kB."""

    __slots__ = ()

    Site = text(required=True)
    SubmitHost = text()
    MachineName = text()
    Queue = text()
    LocalJobId = text(required=True)
    LocalUserId = text()
    GlobalUserName = text()
    FQAN = text()
    VO = text()
    VOGroup = text()
    VORole = text()
    WallDuration = integer(required=True, ge=0)
    CpuDuration = integer(required=True, ge=0)
    Processors = integer(between=(0, MOST_COUNT))
    NodeCount = integer(between=(0, MOST_COUNT))
    StartTime = timestamp(required=True)
    EndTime = timestamp(required=True)
    InfrastructureDescription = text(max_length=100)
    InfrastructureType = text(max_length=20)
    MemoryReal = integer(ge=0)
    MemoryVirtual = integer(ge=0)
    ServiceLevelType = text(max_length=50)
    ServiceLevel = number(between=(0.0, MOST_BENCHMARK))
    Benchmarks = benchmarks()

    rules = (job_ends_after_it_starts, job_has_ended, benchmark_is_whole, benchmark_is_known)
