"""What is written, to the letter."""

from decimal import Decimal

import pytest
from strategies import NOW

from apel.errors import RecordError
from apel.messages import FORMATS, decode, encode
from apel.records import (
    CloudRecord,
    CloudSummaryRecord,
    JobRecord,
    NormalisedSummaryRecord,
    SummaryRecord,
    SyncRecord,
)

JOB = JobRecord.of(
    Site="EXAMPLE-NORTH",
    LocalJobId="991",
    WallDuration=3600,
    CpuDuration=3400,
    StartTime=1741305600,
    EndTime=1741309200,
    InfrastructureDescription="APEL-CREAM-SLURM",
    ServiceLevelType="HEPscore23",
    ServiceLevel=10,
)
SUMMARY = SummaryRecord.of(
    Site="X",
    Month=3,
    Year=2025,
    ServiceLevelType="hepspec",
    ServiceLevel=10.25,
    InfrastructureDescription="APEL-CREAM-SLURM",
    NodeCount=1,
    Processors=1,
    LatestEndTime=1742860800,
    WallDuration=1,
    CpuDuration=1,
    NumberOfJobs=1,
)
SYNC = SyncRecord.of(Site="X", NumberOfJobs=7, Month=3, Year=2025)


def test_layout():
    assert encode([SYNC, SYNC.replace(SubmitHost="ce01")], "sync v0.1") == (
        "APEL-sync-message: v0.1\n"
        "Site: X\nSubmitHost: None\nNumberOfJobs: 7\nMonth: 3\nYear: 2025\n%%\n"
        "Site: X\nSubmitHost: ce01\nNumberOfJobs: 7\nMonth: 3\nYear: 2025\n%%\n"
    )


def test_no_records_are_a_header():
    assert encode([], "sync v0.1") == "APEL-sync-message: v0.1\n"


def test_absent_values_of_a_job():
    lines = encode([JOB], "job v0.3").split("\n")
    assert lines[0] == "APEL-individual-job-message: v0.3"
    assert [line.partition(":")[0] for line in lines[1:-2]] == [
        field.name for field in JobRecord.fields if field.on_wire
    ]
    assert {"Queue: None", "MemoryReal: None", "ServiceLevelType: HEPscore23", "ServiceLevel: 10.0"} <= set(
        lines
    )


def test_v04_has_one_pair_and_no_type_line():
    text = encode([JOB], "job v0.4")
    assert text.endswith("MemoryVirtual: None\nServiceLevel: {HEPscore23: 10.0}\n%%\n")
    assert "ServiceLevelType" not in text


def test_absent_times_have_no_line():
    text = encode([SUMMARY], "summary v0.2")
    assert "EarliestEndTime" not in text and "LatestEndTime: 1742860800\n" in text


@pytest.mark.parametrize("name", ["summary v0.2", "summary v0.4"])
def test_the_infrastructure_description_of_a_summary_is_written_on_request(name):
    assert "InfrastructureDescription" not in encode([SUMMARY], name)
    assert "InfrastructureDescription: APEL-CREAM-SLURM\n" in encode([SUMMARY], name, True)
    assert "InfrastructureDescription: APEL-CREAM-SLURM\n" in encode([JOB], "job v0.3")


@pytest.mark.parametrize(
    "value, text",
    [(10, "10.0"), (11.25, "11.25"), (0.1, "0.1"), (Decimal("9.500"), "9.5"), (1e6, "1000000.0")],
)
def test_floats_are_as_short_as_can_be(value, text):
    record = SUMMARY.replace(ServiceLevel=value)
    assert f"ServiceLevel: {text}\n" in encode([record], "summary v0.2")
    assert f"ServiceLevel: {{hepspec: {text}}}\n" in encode([record], "summary v0.4")


def test_a_summary_without_a_benchmark_type_is_hepspec_in_v04():
    assert "ServiceLevel: {HEPSPEC: 10.25}\n" in encode(
        [SUMMARY.replace(ServiceLevelType=None)], "summary v0.4"
    )


@pytest.mark.parametrize("name", ["HEP-SPEC06", "custom"])
def test_a_benchmark_that_no_reader_accepts_is_not_written_in_v04(name):
    record = SUMMARY.replace(ServiceLevelType=name)
    assert f"ServiceLevelType: {name}\n" in encode([record], "summary v0.2")
    with pytest.raises(RecordError, match="No valid benchmark type found"):
        encode([record], "summary v0.4")


def test_a_job_without_a_benchmark_is_not_written_in_v04():
    record = JOB.replace(ServiceLevelType=None, ServiceLevel=None)
    assert "ServiceLevelType: None\nServiceLevel: None\n%%" in encode([record], "job v0.3")
    with pytest.raises(RecordError, match="without a benchmark"):
        encode([record], "job v0.4")


def test_a_job_marked_custom_is_read_back_in_both_versions():
    record = JOB.replace(ServiceLevelType="custom", ServiceLevel=1.0)
    for name in ("job v0.3", "job v0.4"):
        assert decode(encode([record], name)).records == [record]


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"Site": None}, "Site"),
        ({"GlobalUserName": "a%%b"}, "GlobalUserName"),
        ({"GlobalUserName": "a\nSite: b"}, "GlobalUserName"),
        ({"WallDuration": -1}, "WallDuration"),
        ({"WallDuration": "1"}, "WallDuration"),
        ({"EndTime": 1}, "EndTime"),
        ({"EndTime": None}, "EndTime"),
        ({"EndTime": "1741309200"}, "EndTime"),
        ({"ServiceLevel": None}, "ServiceLevel"),
        ({"ServiceLevel": float("inf")}, "ServiceLevel"),
    ],
)
def test_each_record_is_checked_again(changes, field):
    """A row of the database that breaks a rule is refused by number, not sent for the centre to refuse."""
    with pytest.raises(RecordError) as caught:
        encode([JOB, JOB, JOB.replace(**changes), JOB], "job v0.3")
    assert (caught.value.field, caught.value.number) == (field, 3)


def test_values_that_only_need_cleaning_are_cleaned():
    """Words for absence and decimals come from databases."""
    record = JOB.replace(Queue="None", VO=" atlas ", WallDuration=Decimal(3600), EndTime=1741309200)
    assert encode([record], "job v0.3") == encode([JOB.replace(VO="atlas")], "job v0.3")
    absent = JOB.replace(ServiceLevelType="None", ServiceLevel=None)
    assert "ServiceLevelType: None\n" in encode([absent], "job v0.3")


def test_a_record_of_another_class_is_refused():
    with pytest.raises(RecordError, match="a SyncRecord can't stand in 'APEL-individual-job-message: v0.3'"):
        encode([JOB, SYNC], "job v0.3")


def test_withheld_names_are_ordinary_text():
    text = encode([JOB.replace(GlobalUserName="withheld")], "job v0.4", now=NOW)
    assert decode(text, now=NOW).records[0].GlobalUserName == "withheld"


def test_formats_say_what_they_hold():
    assert {name: text_format.record_class for name, text_format in FORMATS.items()} == {
        "job v0.3": JobRecord,
        "job v0.4": JobRecord,
        "summary v0.2": SummaryRecord,
        "summary v0.4": SummaryRecord,
        "normalised summary v0.3": NormalisedSummaryRecord,
        "normalised summary v0.4": NormalisedSummaryRecord,
        "sync v0.1": SyncRecord,
        "cloud v0.4": CloudRecord,
        "cloud summary v0.4": CloudSummaryRecord,
    }
