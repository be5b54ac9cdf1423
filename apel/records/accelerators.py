"""Accelerators (GPUs, FPGAs) that a virtual machine or a job had in a month; and the monthly sums of them."""

from typing import Any

from apel.errors import OfTheFuture
from apel.records.base import Record
from apel.records.fields import MOST_COUNT, integer, number, one_of, text
from apel.records.jobs import MOST_BENCHMARK
from apel.records.rules import month_has_begun
from apel.records.summaries import YEARS
from apel.times import month_bounds

#: What a record may belong to.
CLOUD, JOB = "cloud", "job"
TYPES = ("GPU", "FPGA", "Other")
#: Of records, as the draft has it.
FIRST_YEAR = 2000
#: Counts are kept to six decimals: a seventh of a card is 0.142857.
MOST_ACCELERATORS = 999999.999999


def measurement_month_has_begun(record: Any, now: int) -> None:
    if month_bounds(record.MeasurementYear, record.MeasurementMonth)[0] > now:
        month = f"{record.MeasurementYear}-{record.MeasurementMonth:02d}"
        raise OfTheFuture("MeasurementMonth", f"{month} is in the future")


class AcceleratorRecord(Record):
    """The accelerators of one model that a virtual machine or a job had in one month.

    AssociatedRecord is the VMUUID of a virtual machine, or what names a job within its site. Count is how
    many accelerators it had, a part of a shared one as a fraction; Cores those of all of them.
    AvailableDuration is how many seconds it had them in the month, ActiveDuration for how many of these they
    were used; if that is absent, for all of them.
    """

    __slots__ = ()

    MeasurementMonth = integer(required=True, between=(1, 12))
    MeasurementYear = integer(required=True, between=(FIRST_YEAR, YEARS[1]))
    AssociatedRecordType = one_of(CLOUD, JOB)
    AssociatedRecord = text(required=True)
    GlobalUserName = text()
    FQAN = text()
    VO = text()
    VOGroup = text()
    VORole = text()
    SiteName = text(required=True)
    Count = number(required=True, between=(0.0, MOST_ACCELERATORS))
    Cores = integer(between=(0, MOST_COUNT))
    AvailableDuration = integer(required=True, ge=0)
    ActiveDuration = integer(ge=0)
    BenchmarkType = text(max_length=50)
    Benchmark = number(between=(0.0, MOST_BENCHMARK))
    Type = one_of(*TYPES)
    Model = text()

    rules = (measurement_month_has_begun,)


class AcceleratorSummaryRecord(Record):
    """The accelerator records of one month that agree in all of their names, in Count, Cores and benchmark.

    Durations are sums over the records, so Count times a duration is in accelerator-seconds. Cores is 0 or
    absent where it isn't known.
    """

    __slots__ = ()

    Month = integer(required=True, between=(1, 12))
    Year = integer(required=True, between=YEARS)
    AssociatedRecordType = one_of(CLOUD, JOB)
    GlobalUserName = text()
    FQAN = text()
    VO = text()
    VOGroup = text()
    VORole = text()
    SiteName = text(required=True)
    Count = number(required=True, between=(0.0, MOST_ACCELERATORS))
    Cores = integer(between=(0, MOST_COUNT))
    AvailableDuration = integer(required=True, ge=0)
    ActiveDuration = integer(ge=0)
    BenchmarkType = text(max_length=50)
    Benchmark = number(between=(0.0, MOST_BENCHMARK))
    Type = one_of(*TYPES, "Accelerator")
    Model = text()
    NumberOfRecords = integer(required=True, ge=0)

    rules = (month_has_begun,)
