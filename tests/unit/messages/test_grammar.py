"""The freedom a sender has: headers, spacing, order, words for absence, benchmarks, FQANs."""

import pytest
from strategies import NOW

from apel.errors import RecordError
from apel.messages import decode

SYNC = "APEL-sync-message: v0.1\nSite: X\nSubmitHost: ce01\nNumberOfJobs: 1\nMonth: 3\nYear: 2025"
JOB = """Site: EXAMPLE-NORTH
LocalJobId: 991
WallDuration: 3600
CpuDuration: 3400
StartTime: 1741305600
EndTime: 1741309200
"""
SUMMARY = """Site: X
Month: 3
Year: 2025
ServiceLevel: {}
NodeCount: 1
Processors: 1
WallDuration: 1
CpuDuration: 1
NumberOfJobs: 1
"""


def load(text):
    message = decode(text, now=NOW)
    assert message.rejected == []
    return message


def job(lines="", version="v0.3"):
    """The only record of a job message with these lines added."""
    (record,) = load(f"APEL-individual-job-message: {version}\n{JOB}{lines}%%\n").records
    return record


@pytest.mark.parametrize(
    "header, name",
    [
        ("APEL-individual-job-message: v0.3", "job v0.3"),
        ("APEL-individual-job-message: v0.2", "job v0.3"),
        ("APEL-individual-job-message:v0.1", "job v0.3"),
        (" APEL-individual-job-message :", "job v0.3"),
        ("APEL-individual-job-message: : v0.4 ", "job v0.4"),
        ("APEL-individual-job-message:v0.4", "job v0.4"),
        ("APEL-summary-job-message: v0.2 ", "summary v0.2"),
        ("APEL-summary-job-message: v0.4", "summary v0.4"),
        ("APEL-sync-message: v0.1", "sync v0.1"),
        ("APEL-sync-message: v7", "sync v0.1"),
    ],
)
def test_headers(header, name):
    """Jobs and sync by their type, summaries by the whole header. A header alone has no records."""
    message = load(header)
    assert (message.format, message.records) == (name, [])


@pytest.mark.parametrize(
    "header",
    [
        "APEL-summary-job-message:v0.2",
        "APEL-summary-job-message:  v0.2",
        "APEL-summary-job-message: V0.2",
        "apel-sync-message: v0.1",
    ],
)
def test_headers_that_are_not_exact_enough(header):
    with pytest.raises(Exception, match="not recognised"):
        decode(header)


@pytest.mark.parametrize("end", ["", "\n", "\n%%", "\n%%\n", "\n%%\n%%\n\n  %%  \n", "\r\n%%\r\n"])
def test_the_last_separator_may_be_missing_and_empty_records_are_skipped(end):
    assert len(load(SYNC + end).records) == 1
    assert len(load("\n\n" + SYNC.replace("\n", "\n%%\n", 1) + end).records) == 1


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends(newline):
    """Any, also around the separator."""
    text = (SYNC + "\n%%\n" + SYNC.partition("\n")[2] + "\n%%\n").replace("\n", newline)
    assert [record.Site for record in load(text).records] == ["X", "X"]


def test_byte_order_mark_is_passed_over():
    """Some editors and libraries write it; XML may begin with it."""
    assert load("\ufeff" + SYNC).records == load(SYNC).records
    with pytest.raises(RecordError, match="File does not contain"):
        decode('\ufeff<UsageRecords xmlns="http://eu-emi.eu/namespaces/2012/11/computerecord"/>')


def test_spacing_of_lines():
    text = SYNC.replace("Site: X", "  Site :X:Y ").replace("Month: 3", "Month:\t3")
    assert load(text).records[0][:4] == ("X:Y", "ce01", 1, 3)


def test_the_last_of_a_repeated_key_counts():
    assert load(SYNC + "\nSite: Y").records[0].Site == "Y"


@pytest.mark.parametrize("word", ["None", "null", "NULL", "none", ""])
def test_words_for_absence(word):
    record = job(f"Queue: {word}\nProcessors: {word}\nVO: {word}\nServiceLevel: {word}\n")
    assert (record.Queue, record.Processors, record.VO) == (None, None, None)


@pytest.mark.parametrize("value", ["7", "+7", "007", " 7 "])
def test_integers(value):
    assert job(f"Processors: {value}\n").Processors == 7


@pytest.mark.parametrize(
    "raw, value", [("10", 10.0), ("10.", 10.0), (".5", 0.5), ("1e3", 1000.0), ("+1.5E-1", 0.15)]
)
def test_floats(raw, value):
    record = job(f"ServiceLevelType: hepspec\nServiceLevel: {raw}\n")
    assert (record.ServiceLevel, type(record.ServiceLevel)) == (value, float)


@pytest.mark.parametrize(
    "raw", ["1741312800", "+1741312800", "2025-03-07T02:00:00Z", "2025-03-07T03:00:00+01:00"]
)
def test_times(raw):
    text = "APEL-summary-job-message: v0.2\n" + SUMMARY.format("1.0") + f"EarliestEndTime: {raw}\n"
    assert load(text).records[0].EarliestEndTime == 1741312800


def test_the_epoch_itself_is_a_time():
    text = "APEL-individual-job-message: v0.3\n" + JOB.replace("1741305600", "0")
    assert load(text).records[0].StartTime == 0


@pytest.mark.parametrize("version", ["v0.3", "v0.4"])
def test_keys_that_are_ignored(version):
    level = "ServiceLevel: {hepspec: 1}\n" if version == "v0.4" else ""
    record = job(f"SubmitHostType: LRMS\nUpdateTime: yesterday\n{level}", version)
    assert record.LocalJobId == "991"


def test_the_fqan_overrides_the_vo_fields():
    record = job("FQAN: /cms/uscms/Role=pilot;/cms\nVO: atlas\nVOGroup: /atlas\nVORole: None\n")
    assert (record.VO, record.VOGroup, record.VORole) == ("cms", "/cms/uscms", "Role=pilot")


def test_without_an_fqan_the_vo_fields_stay():
    record = job("FQAN: None\nVO: atlas\nVOGroup: /atlas\nVORole: Role=x\n")
    assert (record.VO, record.VOGroup, record.VORole) == ("atlas", "/atlas", "Role=x")


@pytest.mark.parametrize("lines", ["", "ServiceLevelType: None\nServiceLevel: None\n"])
def test_a_job_without_a_benchmark_loads_as_custom(lines):
    """KAPEL's individual jobs have none; the incumbent means to load them so, and refuses them by mistake."""
    record = job(lines)
    assert (record.ServiceLevelType, record.ServiceLevel) == ("custom", 1.0)


@pytest.mark.parametrize(
    "level, kind, value",
    [
        ("{hepspec: 10.2, HEPscore23: 11.25}", "HEPscore23", 11.25),
        ("{si2k: 2500,HEPSPEC:10}", "HEPSPEC", 10.0),
        ("hepscore23 : 11", "hepscore23", 11.0),
        ("{ Other: 5 , Si2k: 2500 }", "Si2k", 2500.0),
        ("{hepspec: 10, HEPSPEC: 11}", "HEPSPEC", 11.0),
        ("{custom: 1}", "custom", 1.0),
        ("{custom: 1, si2k: 250}", "si2k", 250.0),
    ],
)
def test_benchmarks_of_v04(level, kind, value):
    """The sender's spelling stays, where the incumbent makes it lower case."""
    record = job(f"ServiceLevel: {level}\n", "v0.4")
    assert (record.ServiceLevelType, record.ServiceLevel) == (kind, value)
    (summary,) = load("APEL-summary-job-message: v0.4\n" + SUMMARY.format(level)).records
    assert (summary.ServiceLevelType, summary.ServiceLevel) == (kind, value)


def test_a_literal_type_line_in_v04_counts_if_it_comes_later():
    pair = "ServiceLevel: {hepspec: 10}\n"
    assert job(f"ServiceLevelType: Si2k\n{pair}", "v0.4").ServiceLevelType == "hepspec"
    assert job(f"{pair}ServiceLevelType: Si2k\n", "v0.4").ServiceLevelType == "Si2k"
    assert job(f"{pair}ServiceLevelType: None\n", "v0.4").ServiceLevelType == "hepspec"


def test_a_summary_may_lack_its_benchmark_type():
    (record,) = load("APEL-summary-job-message: v0.2\n" + SUMMARY.format("3.5")).records
    assert (record.ServiceLevelType, record.ServiceLevel) == (None, 3.5)


def test_kapel_summary():
    """Type si2k, value 250 times the benchmark."""
    text = "APEL-summary-job-message: v0.2\n" + SUMMARY.format("2500.0") + "ServiceLevelType: si2k\n"
    assert load(text).records[0].ServiceLevelType == "si2k"


def test_arc_summary():
    """Without a VO its lines are absent; with a VO but no FQAN the role is Role=NULL."""
    first = SUMMARY.format("{HEPscore23: 11.25}")
    second = "VO: atlas\nVOGroup: /atlas\nVORole: Role=NULL\n" + first
    records = load(f"APEL-summary-job-message: v0.4\n{first}\n%%\n{second}\n%%\n").records
    assert [(record.VO, record.VORole) for record in records] == [(None, None), ("atlas", "Role=NULL")]
