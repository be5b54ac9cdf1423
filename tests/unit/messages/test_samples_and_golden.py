"""Real messages: a sample of each format, and what the incumbent made of a month of SLURM jobs."""

import pytest
from strategies import NOW

from apel.messages import decode, encode
from apel.records import JobRecord, SummaryRecord, SyncRecord


def load(text):
    message = decode(text, now=NOW)
    assert message.rejected == []
    return message


def test_job_v03(sample):
    message = load(sample("messages/job_v0.3.txt"))
    assert message.format == "job v0.3"
    assert message.records == [
        JobRecord.of(
            Site="EXAMPLE-NORTH",
            SubmitHost="ce01.north.example:9619/ce01.north.example-condor",
            MachineName="pbs.north.example",
            Queue="long",
            LocalJobId="7731204.pbs.north.example",
            LocalUserId="atlasprd",
            GlobalUserName="/DC=org/DC=example/O=People/CN=Ada Researcher",
            FQAN="/atlas/Role=production/Capability=NULL",
            VO="atlas",
            VOGroup="/atlas",
            VORole="Role=production",
            WallDuration=7200,
            CpuDuration=26100,
            Processors=4,
            NodeCount=1,
            StartTime=1741305600,
            EndTime=1741312800,
            InfrastructureDescription="APEL-CREAM-PBS",
            InfrastructureType="grid",
            MemoryReal=3145728,
            MemoryVirtual=5242880,
            ServiceLevelType="HEPscore23",
            ServiceLevel=11.25,
        ),
        JobRecord.of(
            Site="EXAMPLE-NORTH",
            MachineName="pbs.north.example",
            LocalJobId="7731210.pbs.north.example",
            LocalUserId="physics12",
            VO="physics",
            WallDuration=60,
            CpuDuration=58,
            Processors=1,
            NodeCount=1,
            StartTime=1741312000,
            EndTime=1741312060,
            InfrastructureDescription="APEL-CREAM-PBS",
            InfrastructureType="local",
            ServiceLevelType="Si2k",
            ServiceLevel=2812.5,
        ),
    ]


def test_job_v04_takes_the_preferred_benchmark(sample):
    (record,) = load(sample("messages/job_v0.4.txt")).records
    assert (record.ServiceLevelType, record.ServiceLevel) == ("HEPscore23", 11.25)
    assert (record.VO, record.VOGroup, record.VORole) == ("cms", "/cms", None)
    assert (record.LocalJobId, record.MemoryReal, record.MemoryVirtual) == ("991", 1048576, None)
    assert record.GlobalUserName == "https://cms-auth.example/ 5d1f-user"


def test_summary_v02(sample):
    (record,) = load(sample("messages/summary_v0.2.txt")).records
    assert record == SummaryRecord.of(
        Site="EXAMPLE-NORTH",
        Month=3,
        Year=2025,
        GlobalUserName="/DC=org/DC=example/O=People/CN=Ada Researcher",
        VO="atlas",
        VOGroup="/atlas",
        VORole="Role=production",
        SubmitHost="ce01.north.example:9619/ce01.north.example-condor",
        InfrastructureType="grid",
        ServiceLevelType="HEPSPEC",
        ServiceLevel=10.2,
        NodeCount=1,
        Processors=4,
        EarliestEndTime=1741312800,
        LatestEndTime=1742860800,
        WallDuration=72000,
        CpuDuration=261000,
        NumberOfJobs=10,
    )


def test_summary_v04(sample):
    (record,) = load(sample("messages/summary_v0.4.txt")).records
    assert (record.ServiceLevelType, record.ServiceLevel) == ("HEPscore23", 11.25)
    assert (record.InfrastructureDescription, record.VO) == ("APEL-CREAM-SLURM", "cms")
    assert (record.WallDuration, record.CpuDuration, record.NumberOfJobs) == (3600, 3400, 1)


def test_sync_v01(sample):
    assert load(sample("messages/sync_v0.1.txt")).records == [
        SyncRecord.of(
            Site="EXAMPLE-NORTH",
            SubmitHost=f"{host}:9619/{host}-condor",
            NumberOfJobs=jobs,
            Month=3,
            Year=2025,
        )
        for host, jobs in [("ce01.north.example", 184223), ("ce02.north.example", 1177)]
    ]


@pytest.mark.parametrize(
    "path, name, count",
    [
        ("messages/1", "job v0.3", 400),
        ("messages_v04/1", "job v0.4", 400),
        ("messages_summaries/1", "summary v0.2", 185),
        ("messages_summaries_v04/1", "summary v0.4", 185),
        ("messages/2", "sync v0.1", 10),
    ],
)
def test_golden_messages_are_read_and_written_byte_for_byte(sample, path, name, count):
    text = sample(f"golden/slurm/{path}.txt")
    message = load(text)
    assert (message.format, len(message.records)) == (name, count)
    assert encode(message.records, name, now=NOW) == text
    assert load(encode(message.records, name, now=NOW)).records == message.records


def test_golden_jobs_agree_between_versions(sample):
    old, new = (load(sample(f"golden/slurm/{path}/1.txt")).records for path in ("messages", "messages_v04"))
    assert old == new
