"""What holds for the parser of every batch system, on hosts in every time zone."""

import contextlib
import glob
import json
import os
import time
from collections import defaultdict

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apel.parsers import BATCH_PARSERS, BlahParser, ParserOptions
from apel.records import EventRecord
from apel.samples import FORMATS, GPU_FORMATS, SampleOptions, blah_line, sample_jobs, write_samples
from apel.times import month_of, utc_text

DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data")
OPTIONS = ParserOptions("TEST-SITE", "batch.grid.example.org", parallel=True)
PARSERS = {name.lower(): parser for name, parser in BATCH_PARSERS.items()}
SYSTEMS = sorted(FORMATS)
ZONES = ["UTC", "Europe/London", "America/St_Johns"]
COUNTED_IF_PARALLEL = {"pbs", "sge", "lsf"}
#: When the clocks of these zones changed, in spring and in autumn: London, St John's.
CHANGES = [1774746000, 1772947800, 1792890000, 1793507400]
DAYS = 252


def golden(system):
    """The incumbent's job records by LocalJobId."""
    with open(os.path.join(DATA, "golden", system, "VJobRecords.tsv"), encoding="utf-8") as stream:
        names, *rows = (line.rstrip("\n").split("\t") for line in stream)
    return {row[names.index("LocalJobId")]: dict(zip(names, row)) for row in rows}


def corpus(system, parser, kind="batch"):
    records = []
    for path in sorted(glob.glob(os.path.join(DATA, "corpus", system + "-400", kind, "*"))):
        with open(path, encoding="utf-8") as stream:
            records += parser.parse_lines(stream.read().splitlines())
    return records


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("system", SYSTEMS)
def test_golden_with_and_without_cores(system, parallel, zone):
    """The incumbent's figures; cores and nodes are 0 where they are not asked for, but for two systems."""
    zone("UTC")
    jobs = golden(system)
    events = corpus(system, PARSERS[system](OPTIONS._replace(parallel=parallel)))
    assert len(events) == len(jobs) == 400
    counted = parallel or system not in COUNTED_IF_PARALLEL
    for event in events:
        job = jobs[event.JobName]
        for name in ("WallDuration", "CpuDuration"):
            assert str(getattr(event, name)) == job[name]
        assert (utc_text(event.StartTime), utc_text(event.StopTime)) == (job["StartTime"], job["EndTime"])
        for name in ("Processors", "NodeCount"):
            assert str(getattr(event, name)) == (job[name] if counted else "0")


@contextlib.contextmanager
def in_zone(name):
    """As the fixture `zone`, for each example anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


def local_text(epoch):
    """As sacct prints a time: of the host's zone, and without it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(epoch))


def line_of(system, job):
    """The job's line as a batch system on this host writes it. SLURM alone writes local times."""
    line = FORMATS[system](job)
    if system != "slurm":
        return line
    fields = line.split("|")
    fields[4:6] = local_text(job["start"]), local_text(job["end"])
    return "|".join(fields)


def parsed(system, jobs):
    return PARSERS[system](OPTIONS).parse_lines([line_of(system, job) for job in jobs])


def samples(system):
    """Jobs from before the clocks are put forward to after they are put back."""
    return list(sample_jobs(SampleOptions(system, jobs=2000, days=DAYS, end="2026-11-10", seed=3)))


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("system", SYSTEMS)
def test_totals_are_the_truth_in_every_zone(system, name, zone):
    """P14, P21: by month and VO, over both changes of the clocks; and every moment is the true one."""
    zone(name)
    jobs = samples(system)
    grid = BlahParser(OPTIONS).parse_lines([blah_line(job) for job in jobs])
    vo_of = {record.LrmsId: record.VO for record in grid}
    truth, totals = defaultdict(lambda: [0, 0, 0]), defaultdict(lambda: [0, 0, 0])
    for job, event, record in zip(jobs, parsed(system, jobs), grid):
        assert (event.StartTime, event.StopTime) == (job["start"], job["end"])
        assert record.TimeStamp == job["start"] - 60
        for sums, key, counts in (
            (truth, (*month_of(job["end"]), job["vo"]), (1, job["wall"], job["cpu"])),
            (
                totals,
                (*month_of(event.StopTime), vo_of[event.JobName]),
                (1, event.WallDuration, event.CpuDuration),
            ),
        ):
            sums[key] = [one + other for one, other in zip(sums[key], counts)]
    assert totals == truth
    assert len(truth) > 60


@pytest.mark.parametrize("system", sorted(GPU_FORMATS))
def test_time_of_gpus_is_the_truth_and_all_else_is_as_without_them(system, zone, tmp_path):
    zone("UTC")
    plain = SampleOptions(system, jobs=600, days=40, seed=5)
    truth = write_samples(str(tmp_path), plain._replace(gpus=0.3))
    jobs = {job["lrms"]: job for job in sample_jobs(plain)}
    parser, found = PARSERS[system](OPTIONS), defaultdict(int)
    for path in sorted(tmp_path.glob("batch/*")):
        for event in parser.parse_lines(path.read_text().splitlines()):
            if isinstance(event, EventRecord):
                job = jobs.pop(event.JobName)
                assert (event.WallDuration, event.CpuDuration) == (job["wall"], job["cpu"])
                month = "%d-%02d %s" % (*month_of(event.StopTime), job["vo"])
                for _, _, model, kind, number, seconds, _ in event.Accelerators or ():
                    assert (kind, number) == ("GPU", event.GPUs)
                    assert model in (None, job["model"])
                    found[month] += number * seconds
    assert not jobs
    assert found == {month: sums["gpu"] for month, sums in truth.items() if sums["gpu"]}
    assert len(found) > 10


def test_samples_reach_over_both_changes_of_the_clocks():
    jobs = samples("pbs")
    for change in CHANGES:
        assert any(job["start"] < change < job["end"] for job in jobs)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("system", SYSTEMS)
@given(
    end=st.sampled_from(CHANGES).flatmap(lambda change: st.integers(change - 90000, change + 90000)),
    wall=st.integers(1, 200000),
)
@example(end=1792890000 + 600, wall=1200)
@example(end=1793507400 + 3599, wall=3600)
def test_wall_time_is_from_start_to_end(system, name, end, wall):
    """P14: around every change of the clocks."""
    with in_zone(name):
        job = dict(next(sample_jobs(SampleOptions(system, jobs=1))), start=end - wall, end=end, wall=wall)
        (event,) = parsed(system, [job])
    assert event.WallDuration == wall == event.StopTime - event.StartTime
    if wall > 7200:
        assert event.StopTime == end


def test_zones_differ():
    """Were they not installed, all of these tests would pass in UTC."""
    offsets = []
    for name in ZONES:
        with in_zone(name):
            offsets.append(time.localtime(1780000000).tm_gmtoff)
    assert offsets == [0, 3600, -9000]


@pytest.mark.parametrize("system", SYSTEMS)
def test_totals_of_the_corpus_are_its_truth(system, zone):
    zone("UTC")
    vo_of = {record.LrmsId: record.VO for record in corpus(system, BlahParser(OPTIONS), "blah")}
    totals = defaultdict(lambda: {"jobs": 0, "wall": 0, "cpu": 0})
    for event in corpus(system, PARSERS[system](OPTIONS)):
        if event.JobName in vo_of:
            total = totals["%d-%02d %s" % (*month_of(event.StopTime), vo_of[event.JobName])]
            total["jobs"] += 1
            total["wall"] += event.WallDuration
            total["cpu"] += event.CpuDuration
    with open(os.path.join(DATA, "corpus", system + "-400", "truth.json"), encoding="utf-8") as stream:
        assert totals == json.load(stream)["by_month_vo"]
