"""The logs of the golden corpus give the incumbent's records."""

import glob
import os

import pytest

from apel.parsers import BlahParser, ParserOptions, SlurmParser
from apel.times import utc_text

DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data")
SAME = [
    "Site",
    "MachineName",
    "Queue",
    "WallDuration",
    "CpuDuration",
    "Processors",
    "NodeCount",
    "MemoryReal",
]
OPTIONS = ParserOptions("TEST-SITE", "batch.grid.example.org")


def parse(parser, kind):
    records = []
    for path in sorted(glob.glob(os.path.join(DATA, "corpus", "slurm-400", kind, "*"))):
        with open(path, encoding="utf-8") as stream:
            records += parser.parse_lines(stream.read().splitlines())
    return records


@pytest.fixture
def golden():
    """The incumbent's job records by LocalJobId."""
    with open(os.path.join(DATA, "golden", "slurm", "VJobRecords.tsv"), encoding="utf-8") as stream:
        names, *rows = (line.rstrip("\n").split("\t") for line in stream)
    return {row[names.index("LocalJobId")]: dict(zip(names, row)) for row in rows}


def as_text(value):
    return "NULL" if value is None else str(value)


def test_events_are_the_incumbents(golden, zone):
    zone("UTC")
    events = parse(SlurmParser(OPTIONS), "batch")
    assert len(events) == len(golden) == 400
    for event in events:
        job = golden[event.JobName]
        assert utc_text(event.StartTime) == job["StartTime"]
        assert utc_text(event.StopTime) == job["EndTime"]
        assert event.LocalUserID == job["LocalUserId"]
        assert event.Infrastructure == job["InfrastructureDescription"]
        for name in SAME:
            assert as_text(getattr(event, name)) == job[name]


def test_grid_records_are_the_incumbents(golden):
    records = parse(BlahParser(OPTIONS), "blah")
    grid = {name: job for name, job in golden.items() if job["InfrastructureType"] == "grid"}
    assert {record.LrmsId for record in records} >= set(grid)
    for record in records:
        job = grid.get(record.LrmsId)
        if job is not None:
            assert job["SubmitHost"] == record.CE
            for name in ("GlobalUserName", "FQAN", "VO", "VOGroup", "VORole"):
                assert getattr(record, name) == job[name]
