"""A virtual machine as its site reports it, again and again while it runs; and the monthly sums of them."""

from typing import Any, Optional

from apel.errors import OfTheFuture, RecordError
from apel.records.base import Record
from apel.records.fields import integer, number, text, time_or_zero, timestamp
from apel.records.jobs import MOST_BENCHMARK
from apel.records.rules import FUTURE_ALLOWED, month_has_begun
from apel.records.summaries import YEARS

#: The only status that means something to us: the machine is gone, and EndTime is when it was last there.
COMPLETED = "completed"
#: DECIMAL(10,3), as benchmarks.
MOST_CPUS = MOST_BENCHMARK


def measurement_time(record: Any) -> Optional[int]:
    """The time of which a record's cumulative figures are, which decides about its month; None: unknown."""
    if (record.Status or "").lower() == COMPLETED and record.EndTime is not None:
        return int(record.EndTime)
    if record.RecordCreateTime is not None:
        return int(record.RecordCreateTime)
    if record.StartTime is None:
        return None
    return int(record.StartTime + (record.SuspendDuration or 0) + (record.WallDuration or 0))


def creation_time(record: Any) -> Optional[int]:
    """When a record was made, as far as it says: of two about one machine and month the later one counts."""
    if record.RecordCreateTime is not None:
        return int(record.RecordCreateTime)
    return measurement_time(record)


def month_is_known(record: Any, now: int) -> None:
    """A record without any time is of no month."""
    time = measurement_time(record)
    if time is None:
        raise RecordError("RecordCreateTime", "absent, and so is StartTime: the month can't be known")
    if time > now + FUTURE_ALLOWED:
        raise OfTheFuture("RecordCreateTime", f"the figures are of {time}, more than 2 days in the future")


class CloudRecord(Record):
    """A virtual machine: durations in seconds and network traffic in GB, both since its start.

    Memory is in MB, Disk in GB. A time of 0 is none.
    """

    __slots__ = ()

    RecordCreateTime = time_or_zero()
    VMUUID = text(required=True)
    SiteName = text(required=True)
    CloudComputeService = text()
    MachineName = text()
    LocalUserId = text()
    LocalGroupId = text()
    GlobalUserName = text()
    FQAN = text()
    VO = text()
    VOGroup = text()
    VORole = text()
    Status = text()
    StartTime = time_or_zero()
    EndTime = time_or_zero()
    SuspendDuration = integer(ge=0)
    WallDuration = integer(ge=0)
    CpuDuration = integer(ge=0)
    CpuCount = number(between=(0.0, MOST_CPUS))
    NetworkType = text()
    NetworkInbound = integer(ge=0)
    NetworkOutbound = integer(ge=0)
    PublicIPCount = integer(ge=0)
    Memory = integer(ge=0)
    Disk = integer(ge=0)
    BenchmarkType = text(max_length=50)
    Benchmark = number(between=(0.0, MOST_BENCHMARK))
    StorageRecordId = text()
    ImageId = text()
    CloudType = text()

    rules = (month_is_known,)


class CloudSummaryRecord(Record):
    """The virtual machines of one month that agree in all of their names; units as in CloudRecord.

    Durations and traffic are those of the month alone; memory and disk are added up over the machines.
    """

    __slots__ = ()

    SiteName = text(required=True)
    CloudComputeService = text()
    Month = integer(required=True, between=(1, 12))
    Year = integer(required=True, between=YEARS)
    GlobalUserName = text()
    VO = text()
    VOGroup = text()
    VORole = text()
    Status = text()
    CloudType = text()
    ImageId = text()
    EarliestStartTime = timestamp()
    LatestStartTime = timestamp()
    WallDuration = integer(ge=0)
    CpuDuration = integer(ge=0)
    CpuCount = number(required=True, between=(0.0, MOST_CPUS))
    NetworkInbound = integer(ge=0)
    NetworkOutbound = integer(ge=0)
    Memory = integer(ge=0)
    Disk = integer(ge=0)
    BenchmarkType = text(max_length=50)
    Benchmark = number(required=True, between=(0.0, MOST_BENCHMARK))
    NumberOfVMs = integer(required=True, ge=0)

    rules = (month_has_begun,)
