"""Lines of Grid Engine's accounting file: the sample, and every bad day that its flavours have had."""

import json

import pytest

from apel.errors import ParseError, RecordError
from apel.parsers import Failed, Skipped
from apel.parsers.sge import SGEParser
from apel.records import EventRecord

SAMPLE = (
    "grid.q:wn21.example:cms:cms003:cream_31:90117:sge:0:1741300000:1741305600:1741314605:0:0:9005:100.5:20.1:"
    "1048576.0:0:0:0:0:10:0:0:0:0:0:0:0:5:6:NONE:defaultdepartment:smp:4:0:34800.25:5120.5:1.2:"
    "-u cms003 -q grid.q:0.0:NONE:5368709120.0:0:0"
)
#: What Univa and Altair append: job_class, qdel_info, maxrss, maxpss, submit_host, cwd, submit_cmd.
UNIVA = ":NONE:NONE:3221225472:3000000000:ce02.example:/home/cms003:qsub -q grid.q run.sh"
PLACES = {"job_name": 4, "job_number": 5, "account": 6, "submission_time": 8, "start_time": 9, "end_time": 10}
PLACES.update(ru_wallclock=13, ru_maxrss=16, slots=34, task_number=35, cpu=36, category=39, pe_taskid=41)
PLACES.update(hostname=1, group=2, owner=3, qname=0, failed=11, maxvmem=42)
START = 1741305600


@pytest.fixture
def sge(options):
    return SGEParser(options._replace(parallel=True))


def line(tail="", **changes):
    """The sample line with some fields changed, and a tail."""
    fields = SAMPLE.split(":")
    for field, text in changes.items():
        fields[PLACES[field]] = text
    return ":".join(fields) + tail


def expected(**changes):
    values = {
        "Site": "s",
        "JobName": "90117",
        "LocalUserID": "cms003",
        "LocalUserGroup": "cms",
        "WallDuration": 9005,
        "CpuDuration": 34800,
        "StartTime": START,
        "StopTime": START + 9005,
        "Infrastructure": "APEL-CREAM-SGE",
        "MachineName": "m",
        "Queue": "grid.q",
        "MemoryReal": 1048576,
        "MemoryVirtual": 5242880,
        "Processors": 4,
        "NodeCount": 0,
    }
    values.update(changes)
    return EventRecord.of(**values)


def test_sample(sge):
    """P18: the queue is recorded; memory is in kB, and no integral over time."""
    assert sge.parse(SAMPLE) == expected()
    assert not sge.doubts


def test_not_parallel(options):
    assert SGEParser(options).parse(SAMPLE) == expected(Processors=0)


def test_records_are_as_if_checked(sge):
    record = sge.parse(SAMPLE)
    assert record.check() == record


@pytest.mark.parametrize(
    "text", ["# Version: 8.1.9", "#", "  # DO NOT MODIFY THIS FILE MANUALLY!", "#:" * 60]
)
def test_comments_are_no_failures(sge, text):
    """P18."""
    assert sge.parse(text) == Skipped("comment")


@pytest.mark.parametrize("text", ["", "   "])
def test_blank_lines(sge, text):
    assert sge.parse(text) == Skipped("blank line")


@pytest.mark.parametrize("tail", ["", UNIVA])
@pytest.mark.parametrize("category", ["-l h_rt=10", "a:b", ":", "-l h_rt=1:00:00 -v X=1:2:3:NONE:0.0:5", ""])
@pytest.mark.parametrize(
    "job_name", ["a:b", ":", "12:34", "1:2:3:4:5:6", "0:1741300000:1741305600", "run.sh"]
)
def test_colons_in_names(sge, job_name, category, tail):
    """P18: fields are counted from both ends, whatever is appended."""
    record = sge.parse(line(tail, job_name=job_name, category=category))
    assert record == expected(MemoryReal=3145728 if tail else 1048576)


def test_old_files_without_reservation(sge):
    """GE 6.0 and 6.1 had 43 fields."""
    assert sge.parse(":".join(SAMPLE.split(":")[:43])) == expected()
    assert sge.parse(":".join(line(job_name="a:b").split(":")[:44])) == expected()


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("suffix, later", [("000", 0), ("499", 0), ("500", 1), ("000000", 0)])
def test_milliseconds_are_known_by_their_size(options, told, suffix, later):
    """P18: whether or not ge_ms_timestamps says so; microseconds as well."""
    parser = SGEParser(options._replace(parallel=True, ge_ms_timestamps=told))
    text = line(start_time=str(START) + suffix, end_time=str(START + 9005) + suffix)
    assert parser.parse(text) == expected(StartTime=START + later, StopTime=START + 9005 + later)


def test_seconds_although_milliseconds_were_told(options):
    """P18: the older lines of a site that went over to Univa; never a time in 1970."""
    parser = SGEParser(options._replace(parallel=True, ge_ms_timestamps=True))
    assert parser.parse(SAMPLE) == expected()


@pytest.mark.parametrize(
    "text, seconds", [("34800", 34800), ("34800.5", 34801), ("3.48e4", 34800), ("0.000000", 0), ("0.49", 0)]
)
def test_cpu_with_decimals(sge, text, seconds):
    """P18."""
    assert sge.parse(line(cpu=text)).CpuDuration == seconds


@pytest.mark.parametrize(
    "rss, vmem, real, virtual",
    [
        ("0", "0", None, None),
        ("2048", "2097152", 2048, 2048),
        ("2048.000000", "0.000000", 2048, None),
        ("1.5e6", "1024.0", 1500000, 1),
    ],
)
def test_memory_units(sge, rss, vmem, real, virtual):
    """P18: ru_maxrss in kB, maxvmem in bytes; zero was not measured."""
    record = sge.parse(line(ru_maxrss=rss, maxvmem=vmem))
    assert (record.MemoryReal, record.MemoryVirtual) == (real, virtual)


def test_memory_of_unknown_form_is_counted(sge):
    """P10."""
    assert sge.parse(line(ru_maxrss="-1")).MemoryReal is None
    assert sge.parse(line(maxvmem="much")).MemoryVirtual is None
    assert sge.doubts == {"memory of unknown form, recorded without it": 2}


@pytest.mark.parametrize("task, job", [("0", "90117"), ("1", "90117.1"), ("100000", "90117.100000")])
def test_tasks_of_array_jobs_are_kept_apart(sge, task, job):
    """Two of them may end in the same second."""
    assert sge.parse(line(task_number=task)).JobName == job


@pytest.mark.parametrize(
    "changes",
    [
        {"start_time": "0", "end_time": "0", "ru_wallclock": "0"},
        {"start_time": "0", "ru_wallclock": "0.000"},
        {"end_time": "0", "ru_wallclock": "0", "failed": "1"},
    ],
)
def test_jobs_that_never_started(sge, changes):
    assert sge.parse(line(**changes)) == Skipped("never started")


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"end_time": "1741305599"}, "end_time is before start_time"),
        ({"start_time": "0"}, "ru_wallclock without start_time or end_time"),
        ({"start_time": "-1"}, "start_time is not a time"),
        ({"end_time": "9" * 19}, "end_time is not a time"),
        ({"end_time": "9" * 11}, "out of range"),
        ({"ru_wallclock": "-1"}, "ru_wallclock is not a number of seconds"),
        ({"ru_wallclock": ""}, "ru_wallclock is not a number of seconds"),
        ({"cpu": "-0.5"}, "cpu is not a number of seconds"),
        ({"cpu": "nan"}, "cpu is not a number of seconds"),
        ({"cpu": "1e400"}, "cpu is not a number of seconds"),
        ({"slots": "four"}, "slots is of unknown form"),
        ({"slots": "2147483648"}, "slots is of unknown form"),
        ({"task_number": "undefined"}, "task_number is of unknown form"),
        ({"job_number": ""}, "not those of accounting"),
        ({"job_number": "", "job_name": "a:b"}, "not those of accounting"),
    ],
)
def test_lines_that_fail_say_why(sge, changes, reason):
    with pytest.raises(ParseError, match=reason):
        sge.parse(line(**changes))


def test_short_and_endless_lines(sge):
    assert sge.parse_lines(["a:b", ":" * 42, ":" * 60000, "0:" * 30000]) == [
        Failed("fewer than 43 fields"),
        *[Failed("the fields are not those of accounting(5)")] * 3,
    ]


def test_failed_jobs_used_what_they_used(sge):
    assert sge.parse(line(failed="100")) == expected()


def test_implausible_values_are_kept_and_counted(sge):
    sge.parse(line(cpu="54031"))
    sge.parse(line(ru_wallclock="9007"))
    assert sge.doubts == {
        "suspicious: CPU time is more than 1.5 x wall time x slots": 1,
        "suspicious: ru_wallclock is longer than end_time - start_time": 1,
    }


def test_wide_values_are_whole(sge):
    """P22."""
    record = sge.parse(line(owner="u" * 100, cpu="99999999999.5", job_number="9" * 60))
    assert (record.CpuDuration, len(record.LocalUserID), len(record.JobName)) == (100000000000, 100, 60)


@pytest.mark.parametrize("changes", [{"job_number": "1" * 300}, {"owner": "a\x00b"}, {"cpu": "9e18"}])
def test_values_no_column_can_hold(options, changes):
    """P22, P7: refused by name, not by the database."""
    with pytest.raises(RecordError):
        SGEParser(options._replace(host_factors={"wn21.example": (1000.0, 1.0)})).parse(line(**changes))


# -- host factors -------------------------------------------------------------------------------


def test_host_factors(options):
    """Of the host that ran the job alone, truncated; times stay what they are."""
    factors = {"wn21.example": (1.25, 0.5), "wn22.example": (3.0, 3.0)}
    parser = SGEParser(options._replace(parallel=True, host_factors=factors))
    assert parser.parse(SAMPLE) == expected(CpuDuration=43500, WallDuration=4502)
    assert parser.parse(line(hostname="wn22.example")) == expected(CpuDuration=104400, WallDuration=27015)
    assert parser.parse(line(hostname="wn23.example")) == expected()
    assert not parser.doubts


# -- slave tasks --------------------------------------------------------------------------------

SLAVE = line(submission_time="0", pe_taskid="1.wn22", cpu="100.4", hostname="wn22.example")
UNCLAIMED = "CPU time of slave tasks whose job was not read in the same run"


def test_slave_tasks_are_no_jobs_but_their_cpu_time_counts(sge):
    """Tight integration with accounting_summary=false: a line for each task, before that of the job."""
    other = line(job_number="90118", cpu="5")
    *skipped, stranger, job = sge.parse_lines([SLAVE, SLAVE, other, SAMPLE])
    assert {outcome.reason for outcome in skipped} == {"slave task, its CPU time is its job's"}
    assert stranger.CpuDuration == 5
    assert job == expected(CpuDuration=35000)
    assert not sge.doubts


def test_slave_tasks_after_their_job(sge):
    job, _ = sge.parse_lines([SAMPLE, SLAVE])
    assert job == expected(CpuDuration=34900)
    assert not sge.doubts


def test_slave_tasks_in_an_earlier_block(sge):
    sge.parse_lines([SLAVE, SLAVE])
    assert sge.doubts == {UNCLAIMED: 2}
    assert sge.parse_lines([SAMPLE]) == [expected(CpuDuration=35000)]
    assert sge.doubts == {}
    assert sge.parse_lines([SAMPLE]) == [expected()]


def test_slave_tasks_of_an_array_task(sge):
    """The task of the array that they belong to, and no other."""
    slave = line(pe_taskid="1.wn22", cpu="100", task_number="2")
    _, one, two = sge.parse_lines([slave, line(task_number="1"), line(task_number="2")])
    assert (one.CpuDuration, two.CpuDuration) == (34800, 34900)


@pytest.mark.parametrize("order", [1, -1])
def test_slave_tasks_that_no_column_can_hold(sge, order):
    """P7: the job's line fails, and nothing else."""
    lines = [line(pe_taskid="1.wn22", cpu="9e18"), line(pe_taskid="2.wn22", cpu="9e18"), SAMPLE][::order]
    outcomes = sge.parse_lines([*lines, line(job_number="2")])
    assert [type(outcome).__name__ for outcome in outcomes[:3]] == ["Slave", "Slave", "Failed"][::order]
    assert outcomes[3] == expected(JobName="2")


def test_slave_tasks_without_end(sge, monkeypatch):
    """No log fills the memory; what is forgotten stays counted."""
    monkeypatch.setattr("apel.parsers.sge.MOST_WAITING", 10)
    sge.parse_lines([line(pe_taskid="1.wn22", job_number=str(number)) for number in range(100)])
    assert len(sge._slaves) == 10
    assert sge.doubts == {UNCLAIMED: 100}


# -- OCS 9 --------------------------------------------------------------------------------------


def ocs(**changes):
    """A job of accounting.jsonl: times in microseconds, usage in containers."""
    found = {
        "job_number": 90117, "task_number": 0,
        "start_time": START * 10**6, "end_time": (START + 9005) * 10**6,
        "owner": "cms003", "group": "cms", "account": "sge", "qname": "grid.q", "hostname": "wn21.example",
        "slots": 4, "job_name": "a:b", "failed": 0, "exit_status": 0,
        "usage": {
            "rusage": {"ru_wallclock": 9005, "ru_utime": 100.5, "ru_maxrss": 1048576},
            "usage": {"wallclock": 9006.5, "cpu": 34800.25, "mem": 5120.5, "maxvmem": 5368709120},
        },
    }  # fmt: skip
    found.update(changes)
    return json.dumps(found)


def test_ocs_json(sge):
    assert sge.parse(ocs()) == expected()
    assert sge.parse(ocs(start_time=0, end_time=0, usage={})) == Skipped("never started")
    assert sge.parse(ocs(task_number=3, maxrss=1024)) == expected(JobName="90117.3", MemoryReal=1)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("{", "not a JSON object"),
        ('{"start_time": 1}', "job_number is of unknown form"),
        (ocs(end_time="x"), "end_time is not a time"),
        ('{"a":' * 2000, "not a JSON object"),
    ],
)
def test_ocs_json_that_fails(sge, text, reason):
    with pytest.raises(ParseError, match=reason):
        sge.parse(text)
