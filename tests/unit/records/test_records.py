"""Records: declared once, immutable, checked."""

import copy
import pickle
from decimal import Decimal

import pytest
import strategies
from hypothesis import given
from strategies import NOW

import apel.records
from apel.errors import RecordError
from apel.records import (
    BlahdRecord,
    EventRecord,
    JobRecord,
    ProcessedFile,
    SummaryRecord,
    SyncRecord,
)
from apel.records.fields import MOST_INTEGER
from apel.times import END_OF_TIME

CLASSES = [EventRecord, BlahdRecord, ProcessedFile, JobRecord, SummaryRecord, SyncRecord]

JOB = {
    "Site": "EXAMPLE-NORTH",
    "LocalJobId": "991",
    "WallDuration": 3600,
    "CpuDuration": 3400,
    "StartTime": 1741305600,
    "EndTime": 1741309200,
}
SUMMARY = {
    "Site": "EXAMPLE-NORTH",
    "Month": 3,
    "Year": 2025,
    "ServiceLevelType": "HEPSPEC",
    "ServiceLevel": 10.2,
    "NodeCount": 1,
    "Processors": 4,
    "EarliestEndTime": 1741312800,
    "LatestEndTime": 1742860800,
    "WallDuration": 72000,
    "CpuDuration": 261000,
    "NumberOfJobs": 10,
}
SYNC = {"Site": "EXAMPLE-NORTH", "NumberOfJobs": 7, "Month": 3, "Year": 2025}


def refusal(record_class, values, **changes):
    """The error that these values, changed so, are refused with."""
    with pytest.raises(RecordError) as caught:
        record_class.of(**dict(values, **changes))
    return caught.value


@pytest.mark.parametrize("record_class", CLASSES)
def test_any_record_that_keeps_the_rules_passes_its_check_unchanged(record_class):
    @given(strategies.records(record_class))
    def check(record):
        assert record.check(NOW) == record
        assert record.replace(**record.as_dict()) == record
        assert tuple(getattr(record, name) for name in record_class.names) == tuple(record)

    check()


def test_fields_stand_in_the_order_they_are_declared():
    assert SyncRecord.names == ("Site", "SubmitHost", "NumberOfJobs", "Month", "Year")
    assert [field.name for field in SyncRecord.fields] == list(SyncRecord.names)


def test_a_record_is_no_bigger_than_its_tuple_and_can_not_be_changed():
    record = SyncRecord.of(**SYNC)
    assert not hasattr(record, "__dict__")
    with pytest.raises(AttributeError):
        record.Site = "ELSEWHERE"
    with pytest.raises(AttributeError):
        record.Other = 1


def test_a_record_can_be_copied_and_pickled():
    record = SyncRecord.of(**SYNC)
    for again in (copy.copy(record), copy.deepcopy(record), pickle.loads(pickle.dumps(record))):
        assert again == record and type(again) is SyncRecord


def test_repr_shows_names_and_values():
    assert repr(SyncRecord.of(**SYNC)) == (
        "SyncRecord(Site='EXAMPLE-NORTH', SubmitHost=None, NumberOfJobs=7, Month=3, Year=2025)"
    )


def test_replace_leaves_the_record_alone():
    record = JobRecord.of(**JOB)
    other = record.replace(GlobalUserName="withheld")
    assert (record.GlobalUserName, other.GlobalUserName) == (None, "withheld")


def test_unknown_names_are_refused():
    assert str(refusal(SyncRecord, SYNC, Colour="blue")) == "Unknown field: Colour"
    with pytest.raises(RecordError, match="Unknown field: Colour"):
        SyncRecord.of(**SYNC).replace(Colour="blue")


def test_a_tuple_of_the_wrong_length_is_refused():
    with pytest.raises(RecordError, match="2 values for 5 fields"):
        SyncRecord.make(("EXAMPLE-NORTH", None)).check()


def test_the_public_names_are_there():
    assert all(hasattr(apel.records, name) for name in apel.records.__all__)


@pytest.mark.parametrize("word", ["None", "null", "", "  ", "NULL", "nOnE"])
def test_words_for_absence_are_none(word):
    record = JobRecord.of(Queue=word, **JOB)
    assert record.Queue is None
    assert refusal(JobRecord, JOB, Site=word).field == "Site"


def test_text_is_trimmed():
    assert JobRecord.of(Queue="  long ", **JOB).Queue == "long"


@pytest.mark.parametrize("name", list(JOB))
def test_mandatory_fields(name):
    error = refusal(JobRecord, JOB, **{name: None})
    assert (error.field, error.reason) == (name, "mandatory, and absent")


@pytest.mark.parametrize(
    "character", ["\x00", "\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\ud800"], ids=ascii
)
def test_control_characters_in_text_are_refused(character):
    """D2: NUL bytes, line ends and escape sequences never get into a record."""
    error = refusal(JobRecord, JOB, GlobalUserName=f"Ada{character}Researcher")
    assert error.field == "GlobalUserName" and "control character" in error.reason
    assert str(error).isprintable()


def test_separator_in_text_is_refused():
    """D2: %% inside a value."""
    error = refusal(JobRecord, JOB, GlobalUserName="Ada %% Researcher")
    assert str(error) == "GlobalUserName: '%%', the separator of records, in the value"


def test_text_beyond_ascii_is_kept():
    assert (
        JobRecord.of(GlobalUserName="/CN=Ådä Řesearcher 研究", **JOB).GlobalUserName
        == "/CN=Ådä Řesearcher 研究"
    )


def test_long_values_are_kept_whole():
    """P22: a job name of 60 characters and a user of 20 are nothing special."""
    event = EventRecord.of(
        Site="EXAMPLE-NORTH",
        JobName="j" * 255,
        LocalUserID="u" * 255,
        LocalUserGroup="g" * 255,
        WallDuration=2**40,
        CpuDuration=2**45,
        StartTime=0,
        StopTime=1,
        MachineName="m",
    )
    assert (len(event.JobName), len(event.LocalUserID), event.CpuDuration) == (255, 255, 2**45)


@pytest.mark.parametrize("name, most", [("Site", 255), ("InfrastructureType", 20), ("ServiceLevelType", 50)])
def test_text_longer_than_its_column_is_refused(name, most):
    """P22: refused with its reason, never cut."""
    error = refusal(JobRecord, JOB, **{name: "x" * (most + 1)})
    assert (error.field, error.reason) == (name, f"{most + 1} characters, at most {most} allowed")


@pytest.mark.parametrize(
    "value", ["12", 1.5, True, [], Decimal("1.5"), Decimal("Infinity"), Decimal("sNaN"), float("nan")]
)
def test_integers_are_whole(value):
    assert "Invalid int value" in refusal(JobRecord, JOB, WallDuration=value).reason


def test_a_whole_decimal_of_the_database_is_an_integer():
    record = JobRecord.of(**dict(JOB, WallDuration=Decimal("7")))
    assert type(record.WallDuration) is int


def test_integers_have_63_bits():
    assert JobRecord.of(MemoryReal=MOST_INTEGER, **JOB).MemoryReal == MOST_INTEGER
    assert refusal(JobRecord, JOB, MemoryReal=MOST_INTEGER + 1).field == "MemoryReal"


@pytest.mark.parametrize("name", ["WallDuration", "CpuDuration", "Processors", "NodeCount", "MemoryReal"])
def test_negative_numbers_are_refused(name):
    """D2: negatives."""
    assert str(refusal(JobRecord, JOB, **{name: -1})) == f"{name}: -1 is less than 0"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, "11", True, -0.5, 1e7])
def test_infinite_and_impossible_benchmarks_are_refused(value):
    """D2: infinities."""
    assert refusal(JobRecord, JOB, ServiceLevelType="HEPSPEC", ServiceLevel=value).field == "ServiceLevel"


def test_a_benchmark_may_be_decimal_and_zero_has_no_sign():
    assert JobRecord.of(ServiceLevelType="hepspec", ServiceLevel=Decimal("9.5"), **JOB).ServiceLevel == 9.5
    assert str(JobRecord.of(ServiceLevelType="hepspec", ServiceLevel=-0.0, **JOB).ServiceLevel) == "0.0"


@pytest.mark.parametrize("value", [-1, END_OF_TIME, 10**30])
def test_times_outside_the_epoch_are_refused(value):
    """D2: bad dates."""
    assert refusal(JobRecord, JOB, StartTime=value).field == "StartTime"


def test_a_job_can_not_end_before_it_starts():
    assert refusal(JobRecord, JOB, StartTime=1741309201).field == "EndTime"
    assert JobRecord.of(**dict(JOB, StartTime=1741309200)).StartTime == 1741309200


def test_a_job_can_not_end_in_the_future(monkeypatch):
    """A sender's clock may be two days ahead, no more; the clock is one function."""
    end = JOB["EndTime"]
    record = JobRecord.of(**JOB)
    assert record.check(now=end - 2 * 86400) == record
    with pytest.raises(RecordError, match="more than 2 days in the future"):
        record.check(now=end - 2 * 86400 - 1)
    monkeypatch.setattr("apel.times.now", lambda: 0)
    assert refusal(JobRecord, JOB).field == "EndTime"


@pytest.mark.parametrize("kind, level", [("HEPSPEC", None), (None, 10.0)])
def test_a_benchmark_has_type_and_value_or_neither(kind, level):
    assert "benchmark" in refusal(JobRecord, JOB, ServiceLevelType=kind, ServiceLevel=level).reason


@pytest.mark.parametrize("kind", ["si2k", "Si2k", "HEPSPEC", "hepscore23", "HEPscore23"])
def test_benchmark_types_of_jobs_in_any_case(kind):
    assert JobRecord.of(ServiceLevelType=kind, ServiceLevel=10.0, **JOB).ServiceLevelType == kind


@pytest.mark.parametrize("kind", ["HEPSPEC06", "HEP-SPEC06", "SpecInt2000", "custom"])
def test_other_benchmark_types_of_jobs_are_refused(kind):
    error = refusal(JobRecord, JOB, ServiceLevelType=kind, ServiceLevel=10.0)
    assert error.reason == f"ScalingFactorUnit {kind} not valid."


def test_custom_with_value_1_says_that_there_is_no_benchmark():
    assert JobRecord.of(ServiceLevelType="custom", ServiceLevel=1.0, **JOB).ServiceLevel == 1.0


@pytest.mark.parametrize("month, year", [(0, 2025), (13, 2025), (3, 0), (3, 10000), (None, 2025)])
def test_a_summary_has_a_real_month(month, year):
    assert refusal(SummaryRecord, SUMMARY, Month=month, Year=year).field in ("Month", "Year")


def test_end_times_of_a_summary_lie_in_its_month_both_ends_included():
    first, last = 1740787200, 1743465600
    assert SummaryRecord.of(**dict(SUMMARY, EarliestEndTime=first, LatestEndTime=last)).LatestEndTime == last
    assert refusal(SummaryRecord, SUMMARY, EarliestEndTime=first - 1).field == "EarliestEndTime"
    assert refusal(SummaryRecord, SUMMARY, LatestEndTime=last + 1).field == "LatestEndTime"


def test_end_times_of_a_summary_are_in_order_and_may_be_absent():
    assert refusal(SummaryRecord, SUMMARY, EarliestEndTime=1742860801).field == "EarliestEndTime"
    assert SummaryRecord.of(**dict(SUMMARY, EarliestEndTime=None)).EarliestEndTime is None
    assert SummaryRecord.of(**dict(SUMMARY, LatestEndTime=None)).LatestEndTime is None


def test_a_summary_of_a_month_to_come_is_refused():
    record = SummaryRecord.of(**SUMMARY)
    assert record.check(now=1740787200) == record
    with pytest.raises(RecordError, match="2025-03 is in the future"):
        record.check(now=1740787199)


@pytest.mark.parametrize("name", ["WallDuration", "CpuDuration", "NumberOfJobs", "Processors", "NodeCount"])
def test_a_summary_is_never_negative(name):
    """D2: negatives."""
    assert refusal(SummaryRecord, SUMMARY, **{name: -1}).field == name


@pytest.mark.parametrize("kind", [None, "custom", "HEP-SPEC06"])
def test_the_benchmark_type_of_a_summary_is_any_text(kind):
    assert SummaryRecord.of(**dict(SUMMARY, ServiceLevelType=kind)).ServiceLevelType == kind


@pytest.mark.parametrize("changes", [{"Month": 13}, {"Month": 0}, {"NumberOfJobs": -1}, {"Year": 25}])
def test_sync_counts_are_of_a_real_month_and_not_negative(changes):
    """D2: the incumbent stores month 13 and negative counts."""
    assert refusal(SyncRecord, SYNC, **changes).field in changes


def test_an_event_can_not_stop_before_it_starts():
    event = {"Site": "S", "JobName": "1", "WallDuration": 1, "CpuDuration": 1, "MachineName": "m"}
    assert refusal(EventRecord, event, StartTime=2, StopTime=1).field == "StopTime"


@pytest.mark.parametrize("field", ["NodeCount", "Processors"])
@pytest.mark.parametrize(("record_class", "values"), [(JobRecord, JOB), (SummaryRecord, SUMMARY)])
def test_no_value_of_32_bits_is_no_count(record_class, values, field):
    """P22, D8: SLURM's 4294967294 means that it doesn't know; no table of sums holds it."""
    error = refusal(record_class, values, **{field: 4294967294})
    assert (error.field, error.reason) == (field, "4294967294 is more than 2147483647")
