"""SGE and HTCondor: the incumbent's records from the golden corpus, and its truth."""

import filecmp
import glob
import os

import pytest

from apel.parsers import BATCH_PARSERS, ParserOptions
from apel.samples import SampleOptions, write_samples
from apel.times import utc_text

DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data")
OPTIONS = ParserOptions("TEST-SITE", "batch.grid.example.org", parallel=True)
TYPES = {name.lower(): name for name in BATCH_PARSERS}
SYSTEMS = [system for system in ("sge", "htcondor") if system in TYPES]
SAME = ["Site", "MachineName", "WallDuration", "CpuDuration", "Processors", "NodeCount"]


def outcomes(parser, folder, pattern="*"):
    found = []
    for path in sorted(glob.glob(os.path.join(folder, pattern))):
        if not path.endswith("expected.json"):
            with open(path, encoding="utf-8") as stream:
                found += parser.parse_lines(stream.read().splitlines())
    return found


def corpus(system, kind, parser=None):
    parser = parser or BATCH_PARSERS[TYPES[system]](OPTIONS)
    return outcomes(parser, os.path.join(DATA, "corpus", system + "-400", kind))


def golden(system):
    """The incumbent's job records by LocalJobId."""
    with open(os.path.join(DATA, "golden", system, "VJobRecords.tsv"), encoding="utf-8") as stream:
        names, *rows = (line.rstrip("\n").split("\t") for line in stream)
    return {row[names.index("LocalJobId")]: dict(zip(names, row)) for row in rows}


def as_text(value):
    return "NULL" if value is None else str(value)


def of_sge(event, job):
    """Its README: the incumbent has no queue, an integral for memory, and bytes in a column of kB."""
    assert event.Queue in ("grid", "long", "short", "multicore")
    assert event.MemoryReal is None
    assert event.MemoryVirtual * 1024 == int(job["MemoryVirtual"])
    assert event.LocalUserID.startswith(event.LocalUserGroup[:5])


def of_htcondor(event, job):
    assert (event.Queue, job["Queue"], event.LocalUserGroup) == (None, "None", None)
    assert as_text(event.MemoryReal) == job["MemoryReal"]
    assert as_text(event.MemoryVirtual) == job["MemoryVirtual"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_events_are_the_incumbents(system):
    events, jobs = corpus(system, "batch"), golden(system)
    assert len(events) == len(jobs) == 400
    for event in events:
        job = jobs[event.JobName]
        assert (utc_text(event.StartTime), utc_text(event.StopTime)) == (job["StartTime"], job["EndTime"])
        assert event.LocalUserID == job["LocalUserId"]
        assert event.Infrastructure == job["InfrastructureDescription"]
        for name in SAME:
            assert as_text(getattr(event, name)) == job[name]
        {"sge": of_sge, "htcondor": of_htcondor}[system](event, job)


@pytest.mark.parametrize("system", SYSTEMS)
def test_samples_are_those_of_the_corpus(system, tmp_path):
    """So what the golden data say holds for the logs of the quick start, too."""
    write_samples(str(tmp_path), SampleOptions(system, jobs=400, users=40, days=40, seed=7, grid=0.9))
    for kind in ("batch", "blah"):
        compared = filecmp.dircmp(str(tmp_path / kind), os.path.join(DATA, "corpus", system + "-400", kind))
        assert compared.common_files
        assert not compared.diff_files + compared.left_only + compared.right_only


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", ["Europe/London", "America/St_Johns"])
def test_same_on_every_host(system, name, zone):
    """P21: these logs hold moments, not local times; the corpus covers the autumn change of both zones."""
    zone("UTC")
    events = corpus(system, "batch")
    zone(name)
    assert corpus(system, "batch") == events
