"""How many public IP addresses a user of a cloud held at a time; and what that was over a month."""

from typing import Any

from apel.errors import OfTheFuture, RecordError
from apel.records.base import Record
from apel.records.fields import MOST_COUNT, integer, number, text, timestamp
from apel.records.rules import FUTURE_ALLOWED, month_has_begun
from apel.records.summaries import YEARS

VERSIONS = (4, 6)


def version_is_known(record: Any, now: int) -> None:
    if record.IPVersion not in VERSIONS:
        raise RecordError("IPVersion", f"{record.IPVersion} is neither 4 nor 6")


def measured_already(record: Any, now: int) -> None:
    if record.MeasurementTime > now + FUTURE_ALLOWED:
        raise OfTheFuture("MeasurementTime", f"{record.MeasurementTime} is more than 2 days in the future")


def measurements_are_in_order(record: Any, now: int) -> None:
    earliest, latest = record.EarliestMeasurementTime, record.LatestMeasurementTime
    if earliest > latest:
        raise RecordError("EarliestMeasurementTime", f"{earliest} is after LatestMeasurementTime {latest}")


class PublicIpRecord(Record):
    """The addresses of one version that a user held at MeasurementTime: a level, which is never added up."""

    __slots__ = ()

    MeasurementTime = timestamp(required=True)
    SiteName = text(required=True)
    CloudComputeService = text()
    CloudType = text()
    LocalUser = text()
    LocalGroup = text()
    GlobalUserName = text()
    FQAN = text()
    VO = text()
    VOGroup = text()
    VORole = text()
    IPVersion = integer(required=True)
    IPCount = integer(required=True, between=(0, MOST_COUNT))

    rules = (version_is_known, measured_already)


class PublicIpSummaryRecord(Record):
    """The measurements of one month that agree in all of their names.

    LastIPCount is that of the last measurement, at LatestMeasurementTime; AverageIPCount the mean over the
    measurements; MaximumIPCount the most there was in any. Of no measurements: a sum that is no more.
    """

    __slots__ = ()

    Month = integer(required=True, between=(1, 12))
    Year = integer(required=True, between=YEARS)
    SiteName = text(required=True)
    CloudComputeService = text()
    CloudType = text()
    LocalUser = text()
    LocalGroup = text()
    GlobalUserName = text()
    FQAN = text()
    VO = text()
    VOGroup = text()
    VORole = text()
    IPVersion = integer(required=True)
    LastIPCount = integer(required=True, between=(0, MOST_COUNT))
    AverageIPCount = number(required=True, between=(0.0, float(MOST_COUNT)))
    MaximumIPCount = integer(required=True, between=(0, MOST_COUNT))
    EarliestMeasurementTime = timestamp(required=True)
    LatestMeasurementTime = timestamp(required=True)
    NumberOfMeasurements = integer(required=True, between=(0, MOST_COUNT))

    rules = (version_is_known, month_has_begun, measurements_are_in_order)
