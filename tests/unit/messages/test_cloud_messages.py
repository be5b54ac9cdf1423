"""Virtual machines in text: cASO's ways, times of 0, and what is refused."""

import pytest
from strategies import NOW

from apel.messages import decode, encode

CASO, CLOUD, SUMS = "messages/caso_cloud.txt", "messages/cloud_v0.4.txt", "messages/cloud_summary_v0.4.txt"


def load(text):
    """The records of a message in which nothing is wrong."""
    message = decode(text, now=NOW)
    assert message.rejected == []
    return message.records


def refusal(text):
    """The reason of the only record of a message."""
    message = decode(text, now=NOW)
    assert message.records == []
    (rejected,) = message.rejected
    return str(rejected.error)


def test_sorted_keys_absent_keys_and_no_last_separator(sample):
    """As cASO writes them."""
    text = sample(CASO)
    assert not text.rstrip().endswith("%%")
    running, ended = load(text)
    assert (running.VMUUID, running.WallDuration, running.CpuDuration) == ("5f9a7c9e-caso-1", 1, 1)
    assert (running.VO, running.VOGroup, running.VORole) == ("vo.example.org", "/vo.example.org", "Role=NULL")
    assert (ended.CloudComputeService, ended.FQAN, ended.VO, ended.CpuCount) == (None, None, None, 0.5)
    assert (ended.Status, ended.EndTime, ended.RecordCreateTime) == ("completed", 1743379200, None)


def test_time_of_zero_is_none(sample):
    """D16: in whichever form the record comes."""
    assert load(sample(CASO))[0].EndTime is None
    (record,) = load(sample(CLOUD).replace("EndTime: None", "EndTime: 0"))
    assert record.EndTime is None
    assert "EndTime" not in encode([record], "cloud v0.4", now=NOW)


def test_the_fqan_alone_says_the_vo(sample):
    """Lines of that name are accepted, and never used."""
    lines = "VO: other\nVOGroup: /other\nVORole: Role=other\n"
    text = sample(CLOUD).replace("%%", lines + "%%")
    assert load(text)[0].VO == "vo.example.org"
    without = text.replace("FQAN: /vo.example.org/Role=member/Capability=NULL\n", "")
    assert load(without)[0][8:12] == (None, None, None, None)
    assert "VO: " not in encode(load(text), "cloud v0.4", now=NOW)


def test_cpus_are_whole_on_request(sample):
    (record,) = load(sample(CLOUD))
    told = []
    for cpus in (0.0, 0.25, 1.0, 7.9, None):
        text = encode([record.replace(CpuCount=cpus)], "cloud v0.4", now=NOW, whole_cpu_count=True)
        told.append(text.partition("CpuCount: ")[2].partition("\n")[0])
    assert told == ["0", "1", "1", "7", "None"]
    (sums,) = load(sample(SUMS))
    assert "CpuCount: 4.0\n" in encode([sums], "cloud summary v0.4", now=NOW, whole_cpu_count=True)


@pytest.mark.parametrize(
    "path, old, new, reason",
    [
        (CLOUD, "WallDuration: 2678400", "WallDuration: -1", "WallDuration: -1 is less than 0"),
        (CLOUD, "CpuCount: 4.0", "CpuCount: inf", "CpuCount: Invalid float value 'inf'"),
        (CLOUD, "NetworkInbound: 12", "NetworkInbound: 1.5", "NetworkInbound: Invalid int value '1.5'"),
        (CLOUD, "VMUUID: 0b8f4b0e-2f3c-4f0e-9b55-5a1f2a7c9d01", "VMUUID: None", "VMUUID: mandatory"),
        (CLOUD, "Memory: 8192", "Colour: blue", "Unknown field: Colour"),
        (SUMS, "Month: 3", "Month: 13", "Month: 13 is more than 12"),
        (SUMS, "Benchmark: 9.8", "Benchmark: None", "Benchmark: mandatory, and absent"),
        (SUMS, "NumberOfVMs: 1", "NumberOfVMs: -1", "NumberOfVMs: -1 is less than 0"),
    ],
)
def test_bad_machines_and_sums_are_refused_with_their_reason(sample, path, old, new, reason):
    """D2: the incumbent checks nothing."""
    text = sample(path)
    assert old in text
    assert reason in refusal(text.replace(old, new))
