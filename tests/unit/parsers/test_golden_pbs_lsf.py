"""The PBS and LSF logs of the golden corpus give the incumbent's records, and their totals the truth."""

import filecmp
import glob
import os

import pytest

from apel.parsers import LsfParser, ParserOptions, PbsParser
from apel.samples import SampleOptions, write_samples
from apel.times import utc_text

DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data")
PARSERS = {"pbs": PbsParser, "lsf": LsfParser}
SAME = ["Site", "MachineName", "WallDuration", "CpuDuration", "Processors", "NodeCount"]
SAME += ["MemoryReal", "MemoryVirtual"]
OPTIONS = ParserOptions("TEST-SITE", "batch.grid.example.org", parallel=True)


def parse(system, parser, kind="batch"):
    outcomes = []
    for path in sorted(glob.glob(os.path.join(DATA, "corpus", system + "-400", kind, "*"))):
        with open(path, encoding="utf-8") as stream:
            outcomes += parser.parse_lines(stream.read().splitlines())
    assert all(isinstance(outcome, parser.record_class) for outcome in outcomes)
    return outcomes


@pytest.fixture(params=sorted(PARSERS))
def system(request):
    return request.param


@pytest.fixture
def golden(system):
    """The incumbent's job records by LocalJobId."""
    with open(os.path.join(DATA, "golden", system, "VJobRecords.tsv"), encoding="utf-8") as stream:
        names, *rows = (line.rstrip("\n").split("\t") for line in stream)
    return {row[names.index("LocalJobId")]: dict(zip(names, row)) for row in rows}


@pytest.fixture
def logged(system):
    """Queues of the jobs, as their lines have them (the incumbent records none for PBS)."""
    queues = {}
    for path in glob.glob(os.path.join(DATA, "corpus", "pbs-400", "batch", "*")):
        with open(path, encoding="utf-8") as stream:
            for line in stream:
                queues[line.split(";")[2].split(".")[0]] = line.split(" queue=")[1].split()[0]
    return queues


@pytest.mark.parametrize("name", ["UTC", "Europe/London", "America/St_Johns"])
def test_events_are_the_incumbents(system, golden, logged, zone, name):
    zone(name)
    events = parse(system, PARSERS[system](OPTIONS))
    assert len(events) == len(golden) == 400
    for event in events:
        job = golden[event.JobName]
        assert [str(getattr(event, name)) for name in SAME] == [job[name] for name in SAME]
        assert utc_text(event.StartTime) == job["StartTime"]
        assert utc_text(event.StopTime) == job["EndTime"]
        assert event.LocalUserID == job["LocalUserId"]
        assert event.Infrastructure == job["InfrastructureDescription"]
        assert event.Queue == (logged[event.JobName.split(".")[0]] if system == "pbs" else job["Queue"])


def test_not_parallel_gives_the_same_without_cores(system):
    counted = parse(system, PARSERS[system](OPTIONS))
    uncounted = parse(system, PARSERS[system](OPTIONS._replace(parallel=False)))
    assert uncounted == [event.replace(Processors=0, NodeCount=0) for event in counted]


def test_samples_are_those_of_the_corpus(system, tmp_path):
    """So what the golden data say holds for the logs of the quick start, too."""
    write_samples(str(tmp_path), SampleOptions(system, jobs=400, users=40, days=40, seed=7, grid=0.9))
    for kind in ("batch", "blah"):
        compared = filecmp.dircmp(str(tmp_path / kind), os.path.join(DATA, "corpus", system + "-400", kind))
        assert compared.common_files
        assert not compared.diff_files + compared.left_only + compared.right_only
