"""Good records of the kinds that only the centre has, and messages of them."""

import pathlib
from typing import Any, Dict, Optional

from centre import END, message

from apel.messages import decode
from apel.records import (
    AcceleratorRecord,
    AcceleratorSummaryRecord,
    CloudRecord,
    NormalisedSummaryRecord,
    PublicIpRecord,
    PublicIpSummaryRecord,
    StorageRecord,
)
from apel.times import epoch_from_text

SAMPLES = pathlib.Path(__file__).parent / "data" / "messages"

VM: Dict[str, Any] = {
    "VMUUID": "vm",
    "SiteName": "EXAMPLE-CLOUD",
    "CloudComputeService": "https://keystone.example:5000/v3",
    "FQAN": "/vo.example/Role=member",
    "Status": "started",
    "CpuCount": 2.0,
    "ImageId": "image",
    "BenchmarkType": "HEPscore23",
    "Benchmark": 12.5,
}
NORMALISED: Dict[str, Any] = {
    "Site": "EXAMPLE-AUDITOR",
    "Month": 3,
    "Year": 2025,
    "VO": "cms",
    "SubmitHost": "auditor.example",
    "Infrastructure": "grid",
    "ServiceLevelType": "HEPscore23",
    "NodeCount": 1,
    "Processors": 8,
    "EarliestEndTime": END + 100,
    "LatestEndTime": END + 200,
    "WallDuration": 100,
    "CpuDuration": 800,
    "NormalisedWallDuration": 1125,
    "NormalisedCpuDuration": 9000,
    "NumberOfJobs": 3,
}
GPU: Dict[str, Any] = {
    "MeasurementMonth": 3,
    "MeasurementYear": 2025,
    "AssociatedRecordType": "job",
    "AssociatedRecord": "1001",
    "GlobalUserName": "/CN=Ada",
    "FQAN": "/vo.example/Role=member",
    "SiteName": "EXAMPLE-NORTH",
    "Count": 2.0,
    "AvailableDuration": 3600,
    "Type": "GPU",
    "Model": "VendorA-ModelB",
}
GPU_SUM: Dict[str, Any] = {
    **{name: value for name, value in GPU.items() if name not in ("AssociatedRecord",)},
    **{"Month": 3, "Year": 2025, "NumberOfRecords": 5},
}
del GPU_SUM["MeasurementMonth"], GPU_SUM["MeasurementYear"]
MEASURED: Dict[str, Any] = {
    "SiteName": "EXAMPLE-CLOUD",
    "CloudComputeService": "https://keystone.example:5000/v3",
    "CloudType": "caso/5.3.0 (OpenStack)",
    "LocalUser": "u1",
    "LocalGroup": "g1",
    "GlobalUserName": "/CN=Ada",
    "FQAN": "/vo.example/Role=member",
    "IPVersion": 4,
}


def at(text: str) -> int:
    """Epoch seconds of a day or a time."""
    return epoch_from_text(text if " " in text else text + " 00:00:00")


def vm(made: Optional[str] = None, wall: Optional[int] = None, **changes: Any) -> CloudRecord:
    """A record of a machine with two CPUs, made on that day."""
    values = dict(VM, WallDuration=wall, CpuDuration=None if wall is None else 2 * wall)
    values["RecordCreateTime"] = made and at(made)
    values.update(changes)
    return CloudRecord.of(**values)


def cloud(*records: CloudRecord) -> str:
    """A message of machines."""
    return message(records, "cloud v0.4")


def normalised(**changes: Any) -> NormalisedSummaryRecord:
    """A good normalised summary, but for the changes."""
    return NormalisedSummaryRecord.of(**dict(NORMALISED, **changes))


def storage(**changes: Any) -> StorageRecord:
    """The sample storage record, but for the changes."""
    (found,) = decode((SAMPLES / "star.xml").read_text(encoding="utf-8")).records
    return found.replace(**changes).check()  # type: ignore[return-value]


def snapshot(time: str, used: int, name: str = "", **changes: Any) -> StorageRecord:
    """What a storage system says at a time of the ten minutes before."""
    end = at(time)
    plain: Dict[str, Any] = dict.fromkeys(("SubGroup", "Role", "GroupAttributes", "LogicalCapacityUsed"))
    plain.update(ResourceCapacityAllocated=None, FileCount=None, ResourceCapacityUsed=used)
    plain.update(RecordId="%s %s" % (time, name), CreateTime=end, StartTime=end - 600, EndTime=end)
    return storage(**dict(plain, **changes))


def star(*records: StorageRecord) -> str:
    """A message of storage records."""
    return message(records, "storage star")


def gpu(**changes: Any) -> AcceleratorRecord:
    """A job that had two GPUs for an hour, but for the changes."""
    return AcceleratorRecord.of(**dict(GPU, **changes))


def gpu_sum(**changes: Any) -> AcceleratorSummaryRecord:
    """A sum of five such jobs, but for the changes."""
    return AcceleratorSummaryRecord.of(**dict(GPU_SUM, AvailableDuration=18000, **changes))


def accelerators(*records: AcceleratorRecord) -> str:
    """A message of accelerators."""
    return message(records, "accelerator v0.1")


def measured(day: str, count: int, **changes: Any) -> PublicIpRecord:
    """How many addresses a user had on a day."""
    return PublicIpRecord.of(**dict(MEASURED, MeasurementTime=at(day), IPCount=count, **changes))


def measured_sum(**changes: Any) -> PublicIpSummaryRecord:
    """A sum of such measurements."""
    values = dict(MEASURED, Month=3, Year=2025, LastIPCount=4, AverageIPCount=2.5, MaximumIPCount=5)
    values.update(EarliestMeasurementTime=END, LatestMeasurementTime=END + 100, NumberOfMeasurements=3)
    return PublicIpSummaryRecord.of(**dict(values, **changes))


def ips(*records: PublicIpRecord) -> str:
    """A message of public IP addresses."""
    return message(records, "public ip v0.2")
