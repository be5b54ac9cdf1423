"""v0.4 messages that name several benchmarks: the preferred one counts, and none is lost."""

import pytest
from strategies import NOW

from apel.errors import RecordError
from apel.messages import decode, encode


def only(text):
    """The only record of a message."""
    message = decode(text, now=NOW)
    assert message.rejected == []
    (record,) = message.records
    return record


def refusal(text):
    """The reason of the only record of a message."""
    message = decode(text, now=NOW)
    assert message.records == []
    (rejected,) = message.rejected
    return str(rejected.error)


def test_all_benchmarks_of_a_job_are_kept_and_written(sample):
    text = sample("messages/job_v0.4.txt")
    record = only(text)
    assert (record.ServiceLevelType, record.ServiceLevel) == ("HEPscore23", 11.25)
    assert record.Benchmarks == (("hepspec", 10.2), ("HEPscore23", 11.25))
    assert encode([record], "job v0.4", now=NOW) == text


def test_a_single_benchmark_stands_in_the_record_alone(sample):
    assert only(sample("messages/summary_v0.4.txt")).Benchmarks is None


def test_all_durations_of_a_normalised_summary_are_kept_and_written(sample):
    text = sample("messages/normalised_summary_v0.4.txt")
    record = only(text)
    assert (record.ServiceLevelType, record.NormalisedWallDuration) == ("HEPscore23", 81000)
    assert record.Benchmarks == (("HEPscore23", 81000, 567000), ("HEPSPEC", 79200, 554400))
    assert encode([record], "normalised summary v0.4", now=NOW) == text


def test_a_benchmark_of_one_duration_only_is_kept(sample):
    text = sample("messages/normalised_summary_v0.4.txt").replace(", HEPSPEC: 554400", ", si2k: 7.9")
    record = only(text)
    assert record.Benchmarks == (("HEPscore23", 81000, 567000), ("HEPSPEC", 79200, None), ("si2k", None, 7))
    assert only(encode([record], "normalised summary v0.4", now=NOW)) == record


def test_preferred_is_the_first_of_the_list_whatever_the_order_and_case(sample):
    text = sample("messages/job_v0.4.txt")
    for braces in ("{si2k: 1, other: 9, HEPSPEC: 2}", "HepSpec: 2, SI2K: 1"):
        record = only(text.replace("{hepspec: 10.2, HEPscore23: 11.25}", braces))
        assert (record.ServiceLevelType.lower(), record.ServiceLevel) == ("hepspec", 2.0)
    assert (
        only(text.replace("{hepspec: 10.2, HEPscore23: 11.25}", "{hepspec: 1, HEPSPEC: 2}")).Benchmarks
        is None
    )


def test_a_type_that_follows_the_benchmarks_leaves_no_doubt(sample):
    """A literal ServiceLevelType that comes later counts; then the others are of no use."""
    record = only(sample("messages/job_v0.4.txt").replace("%%", "ServiceLevelType: Si2k\n%%"))
    assert (record.ServiceLevelType, record.ServiceLevel, record.Benchmarks) == ("Si2k", 11.25, None)


@pytest.mark.parametrize(
    "wall, cpu, reason",
    [
        ("{HEPSPEC: 1}", "{si2k: 1}", "Mixture of benchmark types detected"),
        ("{}", "{si2k: 1}", "Expecting dictionary-like value"),
        ("81000", "{si2k: 1}", "Expecting dictionary-like value"),
        ("{a: 1}", "{a: 1}", "No valid benchmark type found"),
        ("{si2k: 1, si2k: 2}", "{si2k: 1}", "Duplicate keys found"),
        ("{si2k: -1}", "{si2k: 1}", "less than 0"),
        ("{si2k: 1e300}", "{si2k: 1}", "Invalid int value"),
        ("{si2k: 1e999}", "{si2k: 1}", "not a finite number"),
        ("{si2k: 1, a: 1e999}", "{si2k: 1}", "not a finite number"),
        ("{si2k: 1, %s: 1}" % ("a" * 51), "{si2k: 1}", "51 characters, at most 50 allowed"),
    ],
)
def test_bad_durations_are_refused_with_their_reason(sample, wall, cpu, reason):
    """D2."""
    text = sample("messages/normalised_summary_v0.4.txt")
    text = text.replace("{HEPscore23: 81000, HEPSPEC: 79200}", wall)
    assert reason in refusal(text.replace("{HEPscore23: 567000, HEPSPEC: 554400}", cpu))


def test_more_benchmarks_than_anybody_has_are_refused(sample):
    """D2."""
    many = ", ".join("b%d: 1" % number for number in range(200))
    text = sample("messages/job_v0.4.txt").replace("hepspec: 10.2", many)
    assert "at most 100 allowed" in refusal(text)


def test_an_old_normalised_summary_has_no_type(sample):
    text = sample("messages/normalised_summary_v0.3.txt")
    record = only(text)
    assert (record.ServiceLevelType, record.NormalisedCpuDuration, record.Infrastructure) == (
        None,
        567000,
        "grid",
    )
    assert encode([record], "normalised summary v0.3", now=NOW) == text
    assert only(text.replace("%%", "ServiceLevelType: HEPSPEC\n%%")).ServiceLevelType == "HEPSPEC"
    assert "NormalisedWallDuration: {HEPSPEC: 81000}\n" in encode(
        [record], "normalised summary v0.4", now=NOW
    )


def test_a_type_that_nobody_reads_is_not_written(sample):
    record = only(sample("messages/normalised_summary_v0.3.txt")).replace(ServiceLevelType="wattage")
    with pytest.raises(RecordError, match="No valid benchmark type"):
        encode([record], "normalised summary v0.4", now=NOW)
