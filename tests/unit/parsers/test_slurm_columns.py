"""sacct with a header: a site's own columns, and GPUs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apel.errors import ParseError, RecordError
from apel.parsers import ParserOptions, Skipped, SlurmParser
from apel.parsers.accelerators import NO_GPUS
from apel.parsers.slurmcolumns import gpus, tres
from apel.records import EventRecord

USUAL = "JobID|JobName|User|Group|Start|End|Elapsed|TotalCPU|"
USUAL += "Partition|NCPUS|NNodes|NodeList|MaxRSS|MaxVMSize|State"
SAMPLE = {
    "JobID": "48211",
    "JobName": "cream_77",
    "User": "grid004",
    "Group": "gridgrp",
    "Account": "project7",
    "QOS": "normal",
    "Start": "2025-03-07T09:00:00",
    "End": "2025-03-07T11:30:05",
    "Elapsed": "02:30:05",
    "ElapsedRaw": "9005",
    "TotalCPU": "4-00:00:10",
    "CPUTimeRAW": "360200",
    "CPUTime": "4-04:03:20",
    "Partition": "grid",
    "NCPUS": "40",
    "AllocCPUS": "40",
    "NNodes": "2",
    "NodeList": "wn[11-12]",
    "MaxRSS": "",
    "MaxVMSize": "",
    "AllocTRES": "billing=40,cpu=40,gres/gpu:a100=2,gres/gpu=2,mem=16G,node=2",
    "State": "COMPLETED",
}
NEW = (
    "JobIDRaw|JobID|State|QOS|Account|User|Start|End|ElapsedRaw|CPUTimeRAW|AllocTRES|JobName|MaxRSS|Partition"
)


def line(columns, **changes):
    fields = dict(SAMPLE, JobIDRaw="48211", **changes)
    return "|".join(fields[name] if name else "" for name in columns.split("|"))


def parsed(slurm, columns, **changes):
    assert slurm.parse(columns) == Skipped("header line")
    return slurm.parse(line(columns, **changes))


def test_usual_columns_with_their_header(slurm):
    """The same as without."""
    plain = slurm.parse(line(USUAL))
    assert parsed(slurm, USUAL) == plain
    assert plain.GPUs is None


def test_columns_of_a_sites_own(slurm):
    usual = slurm.parse(line(USUAL))
    record = parsed(slurm, NEW)
    cards = ((0, None, "a100", "GPU", 2, 9005, None),)
    assert record == usual.replace(LocalUserGroup="project7", CpuDuration=360200, GPUs=2, Accelerators=cards)
    assert record.check() == record


@pytest.mark.parametrize("columns", [NEW + "|", USUAL + "|"])
def test_bar_at_the_end_of_every_line(slurm, columns):
    """`sacct -p`."""
    assert isinstance(parsed(slurm, columns), EventRecord)


def test_names_in_any_case(slurm):
    assert isinstance(parsed(slurm, USUAL), EventRecord)
    slurm.begin(NEW.upper())
    assert slurm.parse(line(NEW)).GPUs == 2


@pytest.mark.parametrize("name", ["a|b", "|", "||", "x|COMPLETED|", "jobid|state"])
def test_bars_in_a_jobs_name(slurm, name):
    """P13: wherever the column stands, and whatever is empty at the end."""
    for columns in (NEW, "JobName|" + NEW.replace("|JobName", ""), NEW.replace("|JobName", "") + "|JobName"):
        record = parsed(slurm, columns, JobName=name, Partition="")
        assert (record.JobName, record.Queue, record.GPUs) == ("48211", None, 2)


def test_job_that_is_named_like_a_header_changes_nothing(slurm):
    """A user's words name no columns."""
    for name in ("jobid|state", "|".join(NEW.split("|")[:6])):
        before = slurm.parse(line(USUAL))
        assert slurm.parse(line(USUAL, JobName=name)) == before
        assert slurm.parse(line(USUAL)) == before


def test_second_header_in_a_file(slurm):
    """Files of several days, one after the other."""
    assert parsed(slurm, USUAL).GPUs is None
    assert parsed(slurm, NEW).GPUs == 2
    assert parsed(slurm, USUAL).GPUs is None


def test_next_file_has_no_header(slurm):
    slurm.begin(NEW)
    slurm.begin(line(USUAL))
    assert slurm.parse(line(USUAL)).JobName == "48211"


def test_file_is_read_on_from_the_middle(slurm):
    """P3: the header is at its beginning."""
    slurm.begin(NEW)
    assert slurm.parse(line(NEW)).GPUs == 2


@pytest.mark.parametrize("missing", ["JobIDRaw|JobID", "State", "Start", "End", "ElapsedRaw"])
def test_header_without_a_needed_column(slurm, missing):
    """Each line says what is missing; a header without id or state is none."""
    columns = "|".join(name for name in NEW.split("|") if name not in missing.split("|"))
    slurm.begin(columns)
    with pytest.raises(ParseError):
        slurm.parse(line(columns))


def test_header_without_counts(slurm):
    """Neither CPUs nor nodes, and no AllocTRES to say them."""
    slurm.begin(NEW.replace("|AllocTRES", ""))
    with pytest.raises(ParseError, match="the header names no column for ncpus, nnodes"):
        slurm.parse(line(NEW.replace("|AllocTRES", "")))


@pytest.mark.parametrize("text", ["48211|x", line(NEW) + "|1|2"])
def test_line_with_other_columns_than_the_header(slurm, text):
    slurm.begin(NEW.replace("|JobName", ""))
    with pytest.raises(ParseError, match="columns than the header names"):
        slurm.parse(text)


def test_no_cpu_time_at_all(slurm):
    """P11."""
    columns = NEW.replace("|CPUTimeRAW", "")
    assert parsed(slurm, columns).CpuDuration == 9005 * 40
    assert slurm.doubts == {"no CPU time, wall time x CPUs taken for it": 1}


def test_step_completes_its_job(slurm):
    """P12."""
    slurm.begin(NEW)
    step = line(NEW, JobID="48211.batch", MaxRSS="1G", User="", AllocTRES="cpu=20,mem=8G,node=1")
    assert slurm.continues(step)
    assert not slurm.continues(line(NEW, JobName="a.b"))
    job, outcome = slurm.parse_lines([line(NEW), step])
    assert (job.MemoryReal, job.GPUs, job.Processors) == (1048576, 2, 40)
    assert outcome.reason == "job step"


@pytest.mark.parametrize(
    "text, count",
    [
        ("", None),
        ("cpu=4,mem=1G,node=1", None),
        ("cpu=4,gres/gpu=2,node=1", 2),
        ("cpu=4,gres/gpu:a100=2,gres/gpu:v100=1,node=1", 3),
        ("gres/gpu:a100=2,gres/gpu=2", 2),
        ("gres/gpumem=5,gres/shard=3,cpu=1", None),
        ("gpu:2", 2),
        ("gpu:tesla:2,lustre:1", 2),
        ("gres/gpu=0", 0),
    ],
)
def test_gpus(text, count):
    assert gpus(tres(text)) == count


def test_slurm_job_has_its_host_and_wall_time(slurm):
    columns = NEW + "|NodeList"
    slurm.parse(columns)
    record = slurm.parse(line(columns))
    assert record.Accelerators == ((0, "wn11", "a100", "GPU", 2, 9005, None),)
    assert slurm.parse(line(columns, AllocTRES="cpu=4,node=1,mem=2G")).Accelerators is None


@pytest.mark.parametrize("text", ["gres/gpu=two", "gres/gpu=-1", "gres/gpu=", "gres/gpu=99999999"])
def test_gpus_of_unknown_form_lose_no_job(slurm, text):
    """The job is recorded without their number, and counted."""
    record = parsed(slurm, NEW, AllocTRES="cpu=40,node=2," + text)
    assert (record.JobName, record.GPUs, record.Accelerators) == ("48211", None, None)
    assert slurm.doubts == {NO_GPUS: 1}


WORDS = st.sampled_from([*SAMPLE.values(), *SAMPLE, "", "x", "9" * 30, "-1", "gpu:", "=", "\x00", "a.b"])


@given(st.lists(st.sampled_from(list(SAMPLE)), min_size=1, max_size=20), st.lists(WORDS, max_size=22))
def test_any_header_and_any_line(columns, fields):
    """A record, or a counted reason."""
    slurm = SlurmParser(ParserOptions("s", "m"))
    slurm.begin("|".join(columns))
    for text in ("|".join(fields), line("|".join(columns))):
        try:
            record = slurm.parse(text)
        except (ParseError, RecordError) as err:
            assert str(err).isprintable()
        else:
            assert isinstance(record, Skipped) or record.check() == record
