"""Monthly sums, and the counts that let a site check that its jobs arrived."""

from apel.records.base import Record
from apel.records.fields import MOST_COUNT, integer, number, text, timestamp, tuples
from apel.records.jobs import MOST_BENCHMARK, benchmarks
from apel.records.rules import end_times_are_in_order, end_times_are_in_the_month, month_has_begun

YEARS = (1970, 2105)


class SummaryRecord(Record):
    """The jobs of one month that agree in all of its names; durations in seconds.

    The benchmark type is any text, as in the incumbent: a summary is of jobs that are accepted already.
    """

    __slots__ = ()

    Site = text(required=True)
    Month = integer(required=True, between=(1, 12))
    Year = integer(required=True, between=YEARS)
    GlobalUserName = text()
    VO = text()
    VOGroup = text()
    VORole = text()
    SubmitHost = text()
    InfrastructureType = text(max_length=20)
    InfrastructureDescription = text(max_length=100)
    ServiceLevelType = text(max_length=50)
    ServiceLevel = number(required=True, between=(0.0, MOST_BENCHMARK))
    NodeCount = integer(required=True, between=(0, MOST_COUNT))
    Processors = integer(required=True, between=(0, MOST_COUNT))
    EarliestEndTime = timestamp()
    LatestEndTime = timestamp()
    WallDuration = integer(required=True, ge=0)
    CpuDuration = integer(required=True, ge=0)
    NumberOfJobs = integer(required=True, ge=0)
    Benchmarks = benchmarks()

    rules = (month_has_begun, end_times_are_in_the_month, end_times_are_in_order)


class NormalisedSummaryRecord(Record):
    """As SummaryRecord, with durations that the site has normalised: in HS06 seconds.

    ServiceLevelType says by which benchmark, where that is known. Benchmarks holds both durations by each
    benchmark of a v0.4 record that names several, as (type, wall, CPU).
    """

    __slots__ = ()

    Site = text(required=True)
    Month = integer(required=True, between=(1, 12))
    Year = integer(required=True, between=YEARS)
    GlobalUserName = text()
    VO = text()
    VOGroup = text()
    VORole = text()
    SubmitHost = text()
    Infrastructure = text(max_length=20)
    InfrastructureDescription = text(max_length=100)
    ServiceLevelType = text(max_length=50)
    NodeCount = integer(required=True, between=(0, MOST_COUNT))
    Processors = integer(required=True, between=(0, MOST_COUNT))
    EarliestEndTime = timestamp()
    LatestEndTime = timestamp()
    WallDuration = integer(required=True, ge=0)
    CpuDuration = integer(required=True, ge=0)
    NormalisedWallDuration = integer(required=True, ge=0)
    NormalisedCpuDuration = integer(required=True, ge=0)
    NumberOfJobs = integer(required=True, ge=0)
    Benchmarks = tuples(text(required=True, max_length=50), integer(ge=0), integer(ge=0))

    rules = (month_has_begun, end_times_are_in_the_month, end_times_are_in_order)


class SyncRecord(Record):
    """How many jobs of a month a site's own database holds for one submit host."""

    __slots__ = ()

    Site = text(required=True)
    SubmitHost = text()
    NumberOfJobs = integer(required=True, ge=0)
    Month = integer(required=True, between=(1, 12))
    Year = integer(required=True, between=YEARS)
