"""Bad messages and bad records: each refused with its true reason, and nothing else with it."""

import pytest
from strategies import NOW

from apel.errors import RecordError
from apel.messages import decode

SYNC = "APEL-sync-message: v0.1\nSite: {}\nSubmitHost: ce01\nNumberOfJobs: {}\nMonth: {}\nYear: 2025\n%%\n"


def reason(text):
    """Why the only record of a message is refused."""
    message = decode(text, now=NOW)
    assert message.records == []
    ((number, _, error),) = message.rejected
    assert number == 1
    return str(error)


def whole(text):
    """Why a message is refused as a whole."""
    with pytest.raises(RecordError) as caught:
        decode(text, now=NOW)
    assert caught.value.field == ""
    return str(caught.value)


@pytest.fixture
def job(sample):
    """A function: the first job of the sample with some lines changed (None: left out)."""

    def make(version="v0.3", **changes):
        _, *lines = sample("messages/job_v0.3.txt").partition("%%")[0].strip().split("\n")
        values = dict(line.split(": ", 1) for line in lines)
        values.update(changes)
        body = "\n".join(f"{key}: {value}" for key, value in values.items() if value is not None)
        return f"APEL-individual-job-message: {version}\n{body}\n%%\n"

    return make


@pytest.mark.parametrize("text", ["", " \n\t\r\n "])
def test_empty_body(text):
    """D2"""
    assert whole(text) == "The message is empty."


def test_unknown_header():
    """D2"""
    assert whole("APEL-storage-message: v0.1\nSite: X\n") == (
        "Message type APEL-storage-message: v0.1 not recognised."
    )


@pytest.mark.parametrize("version", ["v0.1", "v0.5", "0.2", ""])
def test_unknown_version(version):
    """D2"""
    assert "not recognised." in whole(f"APEL-summary-job-message: {version}\nSite: X\n")


def test_header_without_a_colon():
    """D2"""
    assert whole("Nonsense\nSite: X\n%%") == "Message header is incorrect: Nonsense"


def test_binary_rubbish():
    """D2: the error is printable whatever comes."""
    assert whole("\x00\x01\x1b[2J" * 100).isprintable()
    assert whole("a\x00:b").isprintable()


def test_v04_job_without_service_level(job):
    """D2: the incumbent's loader dies of it."""
    assert reason(job("v0.4", ServiceLevel=None, ServiceLevelType=None)) == (
        "ServiceLevel: mandatory, and absent"
    )


@pytest.mark.parametrize("key", ["GlobalUserName", "Site", "LocalJobId"])
def test_separator_inside_a_value(job, key):
    """D2: the incumbent splits there, and blames a line that was never sent."""
    assert reason(job(**{key: "Ada %% Researcher"})) == (
        f"{key}: '%%', the separator of records, in the value"
    )


def test_separator_inside_a_number(job):
    """D2"""
    assert reason(job(WallDuration="72%%00")) == "WallDuration: Invalid int value '72%%00'"


def test_a_line_without_a_colon(job):
    """D2"""
    text = job().replace("Queue: long", "Queue long")
    assert reason(text) == "a line without a colon: 'Queue long'"


def test_a_blank_line_inside_a_record(job):
    text = job().replace("Queue:", "\nQueue:")
    assert reason(text) == "a line without a colon: ''"


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "1741305600.5",
        "-1",
        "4291747200",
        "9" * 5000,
        "2025-02-30T00:00:00Z",
        "2025-03-07",
        "1e9",
        "NaN",
    ],
)
def test_bad_dates(job, value):
    """D2"""
    assert reason(job(StartTime=value)).startswith("StartTime: ")


def test_a_job_that_ends_before_it_starts(job):
    """D2"""
    assert reason(job(EndTime="1741305599")) == "EndTime: 1741305599 is before StartTime 1741305600"


def test_a_job_of_the_day_after_tomorrow(job):
    """D2"""
    message = decode(job(), now=1741312800 - 2 * 86400 - 1)
    assert "more than 2 days in the future" in str(message.rejected[0].error)


@pytest.mark.parametrize("value", ["inf", "-Infinity", "nan", "1e999", "9" * 100])
@pytest.mark.parametrize("version", ["v0.3", "v0.4"])
def test_infinities(job, version, value):
    """D2"""
    level = value if version == "v0.3" else "{hepspec: %s}" % value
    assert reason(job(version, ServiceLevel=level, ServiceLevelType="hepspec")).startswith("ServiceLevel: ")


@pytest.mark.parametrize("key", ["WallDuration", "CpuDuration", "Processors", "NodeCount", "MemoryVirtual"])
def test_negatives(job, key):
    """D2"""
    assert reason(job(**{key: "-5"})) == f"{key}: -5 is less than 0"


def test_nul_bytes(job):
    """D2"""
    assert reason(job(GlobalUserName="Ada\x00Researcher")) == (
        "GlobalUserName: control character '\\x00' in the value"
    )


@pytest.mark.parametrize("value", ["2.5", "1e3", "1_000", "0x10", "٣", "+", "- 5", "1 000", "9" * 20])
def test_integers_are_a_sign_and_digits(job, value):
    assert reason(job(WallDuration=value)).startswith("WallDuration: Invalid int value")


def test_integers_of_more_than_63_bits(job):
    assert reason(job(MemoryReal=str(2**63))).startswith("MemoryReal: 9223372036854775808 is more than")


@pytest.mark.parametrize("key", ["Colour", "site", "SITE", "Month", ""])
def test_unknown_keys_are_named(job, key):
    assert reason(job(**{key: "7"})) == f"Unknown field: {key}"


def test_update_time_in_a_sync_record_is_unknown():
    text = SYNC.format("X", 1, 3).replace("Year", "UpdateTime: 1741305600\nYear")
    assert reason(text) == "Unknown field: UpdateTime"


def test_an_fqan_in_a_summary_is_unknown(sample):
    assert reason(sample("messages/summary_v0.2.txt").replace("VO: ", "FQAN: /atlas\nVO: ")) == (
        "Unknown field: FQAN"
    )


@pytest.mark.parametrize("key", ["Site", "LocalJobId", "WallDuration", "CpuDuration", "StartTime", "EndTime"])
@pytest.mark.parametrize("value", [None, "None", "null", ""])
def test_mandatory_fields_of_jobs(job, key, value):
    assert reason(job(**{key: value})) == f"{key}: mandatory, and absent"


@pytest.mark.parametrize("key", ["NodeCount", "Processors", "ServiceLevel", "NumberOfJobs", "Month", "Site"])
@pytest.mark.parametrize("version", ["v0.2", "v0.4"])
def test_mandatory_fields_of_summaries(sample, version, key):
    lines = sample(f"messages/summary_{version}.txt").split("\n")
    text = "\n".join(line for line in lines if not line.startswith(f"{key}:"))
    assert reason(text) == f"{key}: mandatory, and absent"


@pytest.mark.parametrize("month", ["13", "0", "-1"])
def test_a_month_that_is_none(month):
    """D2: the incumbent stores it."""
    assert reason(SYNC.format("X", 1, month)).startswith("Month: ")


def test_one_bad_record_among_a_thousand_is_refused_alone():
    """D3: and the text it is kept with is a message that can be sent again once it is put right."""
    header, record = SYNC.split("\n", 1)
    text = (
        header + "\n" + "".join(record.format(f"SITE-{n}", n if n != 417 else "many", 3) for n in range(1000))
    )
    message = decode(text, now=NOW)
    assert [record.NumberOfJobs for record in message.records] == [n for n in range(1000) if n != 417]
    ((number, alone, error),) = message.rejected
    assert (number, error.field) == (418, "NumberOfJobs")
    assert error.reason == "Invalid int value 'many'"
    assert decode(alone.replace("many", "417"), now=NOW).records[0].Site == "SITE-417"


def test_bad_records_of_every_kind_are_told_apart():
    """D3: bad grammar, bad values and broken rules, with good records in odd form between them."""
    records = [
        "Site: A\nNumberOfJobs: 1\nMonth: 1\nYear: 2025",
        "Site: B\nNumberOfJobs: x\nMonth: 1\nYear: 2025",
        "Year: 2025\nMonth:1\n NumberOfJobs :2\nSite: C",
        "nonsense",
        "Site: E\nNumberOfJobs: 1\nMonth: 13\nYear: 2025",
        "Year: 2025\nMonth: 14\nNumberOfJobs: 2\nSite: F",
        "Site: G\nNumberOfJobs: 1\nMonth: 1\nYear: 2025",
    ]
    message = decode("APEL-sync-message: v0.1\n" + "\n%%\n".join(records), now=NOW)
    assert [record.Site for record in message.records] == ["A", "C", "G"]
    assert [(rejected.number, rejected.error.field) for rejected in message.rejected] == [
        (2, "NumberOfJobs"),
        (4, ""),
        (5, "Month"),
        (6, "Month"),
    ]


def test_the_header_as_sent_stays_with_a_rejected_record(job):
    message = decode(job("v0.1", Site="None"), now=NOW)
    assert message.rejected[0].text.startswith("APEL-individual-job-message: v0.1\nSite: None\n")


@pytest.mark.parametrize(
    "level, told",
    [
        ("11.25", "Expecting dictionary-like value"),
        ("{}", "Expecting dictionary-like value"),
        ("None", "Expecting dictionary-like value"),
        ("{hepspec: }", "Expecting dictionary-like value"),
        ("{hepspec: ten}", "Expecting dictionary-like value"),
        ("{hepspec: 1: 2}", "Expecting dictionary-like value"),
        ("{hepspec 10}", "Expecting dictionary-like value"),
        ("{hepspec: 10,}", "Expecting dictionary-like value"),
        ("{hepspec: 10, hepspec: 11}", "Duplicate keys found in"),
        ("{HEPSPEC06: 10}", "No valid benchmark type found"),
        ("{custom: 2}", "No valid benchmark type found"),
    ],
)
def test_bad_benchmarks_of_v04(job, level, told):
    assert reason(job("v0.4", ServiceLevel=level, ServiceLevelType=None)).startswith(f"ServiceLevel: {told}")


@pytest.mark.parametrize("missing", ["ServiceLevel", "ServiceLevelType"])
def test_half_a_benchmark(job, missing):
    assert reason(job(**{missing: None})).startswith("ServiceLevel: a benchmark ")


@pytest.mark.parametrize("kind", ["HEPSPEC06", "HEP-SPEC06", "SpecInt2000", "custom"])
def test_benchmark_types_that_are_none(job, kind):
    assert reason(job(ServiceLevelType=kind)) == f"ServiceLevelType: ScalingFactorUnit {kind} not valid."


def test_reason_is_printable_whatever_the_benchmark_is_called(job):
    """D2: a soft hyphen may stand in a name, and is not to be seen."""
    told = reason(job(ServiceLevelType="Si\xad2k"))
    assert told == "ServiceLevelType: ScalingFactorUnit Si\\xad2k not valid." and told.isprintable()
