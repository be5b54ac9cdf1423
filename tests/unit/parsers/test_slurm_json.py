"""sacct --json: a job on one line or on many, in the forms of several versions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apel.errors import ParseError, RecordError
from apel.parsers import Failed, ParserOptions, Skipped, SlurmParser
from apel.parsers.accelerators import NO_GPUS
from apel.records import EventRecord

JOB = {
    "account": "project7",
    "allocation_nodes": 2,
    "array": {"job_id": 0, "task_id": {"set": False, "infinite": False, "number": 0}},
    "group": "gridgrp",
    "het": {"job_id": 0, "job_offset": {"set": False, "infinite": False, "number": 0}},
    "job_id": 48211,
    "name": "{ a | name, }",
    "nodes": "wn[11-12]",
    "partition": "grid",
    "qos": "normal",
    "state": {"current": ["COMPLETED"], "reason": "None"},
    "steps": [
        {"tres": {"consumed": {"max": [{"type": "mem", "name": "", "id": 2, "count": 1073741824}]}}},
        {"tres": {"consumed": {"max": [{"type": "mem", "count": 5}, {"type": "vmem", "count": 4096}]}}},
    ],
    "time": {
        "elapsed": 9005,
        "end": 1741347005,
        "start": 1741338000,
        "total": {"seconds": 345609, "microseconds": 700000},
    },
    "tres": {
        "allocated": [
            {"type": "cpu", "name": "", "id": 1, "count": 40},
            {"type": "mem", "name": "", "id": 2, "count": 16000},
            {"type": "node", "name": "", "id": 4, "count": 2},
            {"type": "gres", "name": "gpu", "id": 1001, "count": 2},
            {"type": "gres", "name": "gpu:a100", "id": 1002, "count": 2},
        ]
    },
    "user": "grid004",
}
GPU = {"type": "gres", "name": "gpu", "id": 1001}
EXPECTED = EventRecord.of(
    Site="s",
    JobName="48211",
    LocalUserID="grid004",
    LocalUserGroup="gridgrp",
    WallDuration=9005,
    CpuDuration=345610,
    StartTime=1741338000,
    StopTime=1741347005,
    Infrastructure="APEL-CREAM-SLURM",
    MachineName="m",
    Queue="grid",
    MemoryReal=1048576,
    MemoryVirtual=4,
    Processors=40,
    NodeCount=2,
    GPUs=2,
    Accelerators=((0, "wn11", "a100", "GPU", 2, 9005, None),),
)


def document(*jobs):
    """As sacct prints it."""
    meta = {
        "plugin": {"type": "openapi/slurmdbd"},
        "command": ["sacct", "--json"],
        "Slurm": {"version": [24, 5]},
    }
    return json.dumps({"jobs": list(jobs), "meta": meta, "errors": [], "warnings": [{"a": 1}]}, indent=2)


def records(slurm, text):
    outcomes = slurm.parse_lines(text.split("\n"))
    assert len(outcomes) == len(text.split("\n"))
    assert not [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    return [outcome for outcome in outcomes if isinstance(outcome, EventRecord)]


def one(slurm, **changes):
    return slurm.parse(json.dumps(dict(JOB, **changes)))


def test_object_on_one_line(slurm):
    """As `jq -c .jobs[]` prints it."""
    assert one(slurm) == EXPECTED
    assert EXPECTED.check() == EXPECTED
    assert one(slurm, name="|" * 14) == EXPECTED


def test_document_as_it_is_printed(slurm):
    text = document(JOB, dict(JOB, job_id=2), dict(JOB, job_id=3))
    found = records(slurm, text)
    assert [record.JobName for record in found] == ["48211", "2", "3"]
    assert found[0] == EXPECTED
    assert [record.JobName for record in records(slurm, text.replace("  ", "\t"))] == ["48211", "2", "3"]


def test_log_is_cut_between_objects(slurm):
    """A block of the file ends before the line that begins an object."""
    lines = document(JOB, JOB).split("\n")
    begins = [number for number, line in enumerate(lines) if not slurm.continues(line)]
    assert begins == [0, 2, 2 + lines[3:].index("    {") + 1, *begins[3:]]
    found = slurm.parse_lines(lines[: begins[2]]) + slurm.parse_lines(lines[begins[2] :])
    assert len([outcome for outcome in found if isinstance(outcome, EventRecord)]) == 2


@pytest.mark.parametrize(
    "changes, name",
    [
        ({"array": {"job_id": 7, "task_id": {"set": True, "infinite": False, "number": 0}}}, "7_0"),
        ({"array": {"job_id": 7, "task_id": 4}}, "7_4"),
        ({"array": {"job_id": 7, "task_id": None}}, "48211"),
        ({"het": {"job_id": 9, "job_offset": {"set": True, "infinite": False, "number": 1}}}, "9+1"),
        ({"job_id": {"set": True, "infinite": False, "number": 5}}, "5"),
    ],
)
def test_arrays_and_heterogeneous_jobs(slurm, changes, name):
    """P12."""
    assert one(slurm, **changes).JobName == name


@pytest.mark.parametrize("state", ["COMPLETED", {"current": "TIMEOUT"}, {"current": ["FAILED", "REQUEUED"]}])
def test_states(slurm, state):
    """P9."""
    state = state if isinstance(state, dict) else {"current": state}
    assert one(slurm, state=state) == EXPECTED


def test_jobs_that_are_not_accounted(slurm):
    """P9."""
    assert one(slurm, state={"current": ["RUNNING"]}) == Skipped("state RUNNING: not ended")
    pending = dict(JOB["time"], start=0)
    assert one(slurm, state={"current": ["CANCELLED"]}, time=pending) == Skipped("never started")
    with pytest.raises(ParseError, match="unknown state"):
        one(slurm, state={})


def test_what_may_be_missing(slurm):
    """P10, P11."""
    time = {name: value for name, value in JOB["time"].items() if name != "total"}
    record = one(slurm, steps=None, time=time, group=None, user=None, partition="")
    assert (record.MemoryReal, record.CpuDuration) == (None, 9005 * 40)
    assert (record.LocalUserID, record.LocalUserGroup, record.Queue) == (None, "project7", None)


def test_job_without_gpus(slurm):
    allocated = [item for item in JOB["tres"]["allocated"] if item["type"] != "gres"]
    assert one(slurm, tres={"allocated": allocated}).GPUs is None


@pytest.mark.parametrize("count", [4294967294, 2**63])
def test_no_value_is_no_number_of_gpus(slurm, count):
    """SLURM's NO_VAL; no job is lost by it."""
    allocated = [*JOB["tres"]["allocated"][:3], dict(GPU, count=count)]
    assert one(slurm, tres={"allocated": allocated}).GPUs is None
    assert slurm.doubts == {NO_GPUS: 1}


@pytest.mark.parametrize("text", ['{"job_id": 1', "{" * 5000 + "1", '    {"job_id": 1}}'])
def test_damaged_object(slurm, text):
    with pytest.raises(ParseError):
        slurm.parse(text)


def test_object_is_whole_with_its_last_brace(slurm):
    """P4: until then it waits."""
    lines = document(JOB).split("\n")
    job = lines[lines.index("    {") : lines.index("    }") + 1]
    assert not any(slurm.is_whole(job[:count]) for count in range(1, len(job)))
    assert slurm.is_whole(job)
    assert slurm.is_whole(lines[:1])


def test_object_that_does_not_end(slurm):
    """P4: said once."""
    lines = document(JOB).split("\n")[:20]
    outcomes = slurm.parse_lines(lines)
    assert len(outcomes) == 20
    assert [outcome for outcome in outcomes if isinstance(outcome, Failed)] == [
        Failed("an object that is not JSON")
    ]


@pytest.mark.parametrize(
    "text",
    ['"timestamp=2025-03-07 08:58:40" "userDN=/CN=a"', '"JOB_FINISH" "10.1" 1 2', "rubbish", '"a" "b"'],
)
def test_other_logs_are_not_taken_for_json(slurm, text):
    """They fail, as ever, and the file is found to be of another kind."""
    with pytest.raises(ParseError, match="fewer than 15 fields"):
        slurm.parse(text)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["number", "set", "current", "count", "type", "seconds"]), inner),
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(JOB)), VALUES))
def test_any_values_give_a_record_or_a_reason(changes):
    slurm = SlurmParser(ParserOptions("s", "m"))
    try:
        record = one(slurm, **changes)
    except (ParseError, RecordError) as err:
        assert str(err).isprintable()
    else:
        assert isinstance(record, Skipped) or record.check() == record
