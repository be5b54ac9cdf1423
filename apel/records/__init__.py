"""What a record is: each field declared once, with its rules; no I/O."""

from apel.records.accelerators import AcceleratorRecord, AcceleratorSummaryRecord
from apel.records.base import Record
from apel.records.cloud import CloudRecord, CloudSummaryRecord
from apel.records.fields import Field, Value
from apel.records.jobs import JobRecord
from apel.records.publicips import PublicIpRecord, PublicIpSummaryRecord
from apel.records.site import BlahdRecord, EventRecord, ProcessedFile
from apel.records.storage import StorageRecord
from apel.records.summaries import NormalisedSummaryRecord, SummaryRecord, SyncRecord

__all__ = [
    "AcceleratorRecord",
    "AcceleratorSummaryRecord",
    "BlahdRecord",
    "CloudRecord",
    "CloudSummaryRecord",
    "EventRecord",
    "Field",
    "JobRecord",
    "NormalisedSummaryRecord",
    "ProcessedFile",
    "PublicIpRecord",
    "PublicIpSummaryRecord",
    "Record",
    "StorageRecord",
    "SummaryRecord",
    "SyncRecord",
    "Value",
]
