"""sacct lines: the samples, and every bad day that SLURM has had."""

import pytest

from apel.errors import ParseError, RecordError
from apel.parsers import Failed, Skipped, SlurmParser
from apel.records import EventRecord

NAMES = ["JobID", "JobName", "User", "Group", "Start", "End", "Elapsed", "CPU", "Partition"]
NAMES += ["NCPUS", "NNodes", "NodeList", "MaxRSS", "MaxVMSize", "State"]
ENDED = ["COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "CANCELLED", "CANCELLED by 1234"]
ENDED += ["OUT_OF_MEMORY", "DEADLINE"]
UNFINISHED = ["PENDING", "RUNNING", "SUSPENDED", "REQUEUED", "RESIZING", "COMPLETING", "BOOT_FAIL"]
UNFINISHED += ["REVOKED", "CONFIGURING", "STOPPED", "SIGNALING", "STAGE_OUT", "SPECIAL_EXIT"]
UNFINISHED += ["REQUEUE_HOLD", "REQUEUE_FED"]
SAMPLE = (
    "48211|cream_77|grid004|gridgrp|2025-03-07T09:00:00|2025-03-07T11:30:05|02:30:05|4-00:00:10|grid|40|2|"
    "wn[11-12]|||COMPLETED"
)
STEP = (
    "48211.batch|batch|||2025-03-07T09:00:00|2025-03-07T11:30:05|02:30:05|180200||20|1|wn11|1.50G|2097152K|"
    "COMPLETED"
)
START = 1741338000


def line(**changes):
    """The sample line with some fields changed."""
    fields = dict(zip(NAMES, SAMPLE.split("|")))
    assert not changes.keys() - fields.keys()
    fields.update(changes)
    return "|".join(fields.values())


def test_sample_job(slurm):
    assert slurm.parse(SAMPLE) == EventRecord.of(
        Site="s",
        JobName="48211",
        LocalUserID="grid004",
        LocalUserGroup="gridgrp",
        WallDuration=9005,
        CpuDuration=345610,
        StartTime=START,
        StopTime=START + 9005,
        Infrastructure="APEL-CREAM-SLURM",
        MachineName="m",
        Queue="grid",
        Processors=40,
        NodeCount=2,
    )


def test_records_are_as_if_checked(slurm):
    record = slurm.parse(line(MaxRSS="1K", MaxVMSize="2K"))
    assert record.check() == record


@pytest.mark.parametrize("state", ENDED)
def test_ended_states_are_accounted(slurm, state):
    """P9: a job that ended used its resources, however it ended."""
    assert slurm.parse(line(State=state)).JobName == "48211"


@pytest.mark.parametrize("state", UNFINISHED)
def test_unfinished_states_are_skipped_by_name(slurm, state):
    """P9."""
    skipped = slurm.parse(line(State=state, End="Unknown"))
    assert isinstance(skipped, Skipped)
    assert state in skipped.reason


def test_unknown_state_is_kept_for_a_newer_version(slurm):
    """P9, P8: a state that a later SLURM may bring fails by name, so that the line can be replayed."""
    with pytest.raises(ParseError, match="unknown state EXPLODED"):
        slurm.parse(line(State="EXPLODED"))


@pytest.mark.parametrize("state", ["CANCELLED+", "completed", "OUT_OF_ME+"])
def test_truncated_states_are_skipped(slurm, state):
    """P9."""
    assert slurm.parse(line(State=state)) == Skipped("state cut short or in lower case")


@pytest.mark.parametrize("start", ["Unknown", "None", ""])
def test_job_cancelled_before_start(slurm, start):
    """P9: nothing used, nothing accounted."""
    assert slurm.parse(line(State="CANCELLED by 0", Start=start)) == Skipped("never started")


def test_job_cancelled_at_its_start(slurm):
    """P9."""
    cancelled = line(State="CANCELLED by 0", Elapsed="00:00:00", End="2025-03-07T09:00:00")
    assert slurm.parse(cancelled) == Skipped("cancelled before it ran")


@pytest.mark.parametrize(
    "text, kilobytes",
    [("0", 0), ("", None), ("4096", 4), ("1.5G", 1572864), ("16?", None), ("512M", 524288), ("7X", None)],
)
def test_memory_never_loses_the_job(slurm, text, kilobytes):
    """P10."""
    record = slurm.parse(line(MaxRSS=text, MaxVMSize=text))
    assert (record.MemoryReal, record.MemoryVirtual) == (kilobytes, kilobytes)


def test_unknown_memory_is_counted(slurm):
    """P10."""
    slurm.parse(line(MaxRSS="16?"))
    assert slurm.doubts == {"memory of unknown form, recorded without it": 1}


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("02:03:04.5", 7385),
        ("1-02:03:04.500", 93785),
        ("00:03.250", 3),
        ("02:03:04", 7384),
        ("1-02:03:04", 93784),
        ("345610", 345610),
    ],
)
def test_all_forms_of_cpu_time(slurm, text, seconds):
    """P11."""
    assert slurm.parse(line(CPU=text)).CpuDuration == seconds


def test_empty_cpu_time_falls_back(slurm):
    """P11: what CPUTimeRAW would have said, and counted."""
    assert slurm.parse(line(CPU="")).CpuDuration == 9005 * 40
    assert slurm.doubts == {"no CPU time, wall time x CPUs taken for it": 1}


@pytest.mark.parametrize("cpu, doubts", [("540300", 0), ("540301", 1)])
def test_much_cpu_time_is_kept_and_counted(slurm, cpu, doubts):
    assert slurm.parse(line(CPU=cpu)).CpuDuration == int(cpu)
    assert sum(slurm.doubts.values()) == doubts
    assert all(reason.startswith("suspicious: CPU time") for reason in slurm.doubts)


@pytest.mark.parametrize("job", ["48211.batch", "48211.extern", "48211.0", "48211.interactive"])
def test_steps_are_never_jobs(slurm, job):
    """P12."""
    assert slurm.parse(line(JobID=job)) == Skipped("job step")


@pytest.mark.parametrize("job", ["123_4", "123+0", "123"])
def test_array_and_het_ids_stand_as_they_are(slurm, job):
    """P12."""
    assert slurm.parse(line(JobID=job)).JobName == job


def test_step_memory_completes_its_job(slurm):
    """P12: the job's line has none; the largest of its steps is taken."""
    other = STEP.replace("48211.batch", "48211.0").replace("1.50G", "1.25G")
    stranger = STEP.replace("48211.", "48212.").replace("1.50G", "9G")
    job, *steps = slurm.parse_lines([SAMPLE, STEP, other, stranger])
    assert (job.MemoryReal, job.MemoryVirtual) == (1572864, 2097152)
    assert steps == [Skipped("job step")] * 3


def test_step_without_its_job_is_only_skipped(slurm):
    """P12."""
    assert slurm.parse_lines([STEP]) == [Skipped("job step")]


def test_steps_continue_their_job(slurm):
    assert slurm.continues(STEP)
    assert not slurm.continues(SAMPLE)


@pytest.mark.parametrize("name", ["a|b", "|", "a|b|c|d", "||||||||||||||||"])
def test_bars_in_a_job_name(slurm, name):
    """P13."""
    assert slurm.parse(line(JobName=name)) == slurm.parse(SAMPLE)


def test_trailing_bar_of_sacct_p(slurm):
    """P13."""
    assert slurm.parse(SAMPLE + "|") == slurm.parse(SAMPLE)


@pytest.mark.parametrize(
    "start, end",
    [
        ("1741338000", "1741347005"),
        ("2025-03-07T09:00:00Z", "2025-03-07T11:30:05Z"),
        ("2025-03-07T10:00:00+01:00", "2025-03-07T06:30:05-0500"),
        ("2025-03-07T09:00:00", "1741347005"),
    ],
)
def test_epoch_and_zoned_times(slurm, zone, start, end):
    """P14: such times are the same on every host."""
    record = slurm.parse(line(Start=start, End=end))
    assert (record.StartTime, record.StopTime) == (START, START + 9005)


@pytest.mark.parametrize(
    "name, winter, summer",
    [
        ("UTC", 0, 0),
        ("Europe/London", 0, -3600),
        ("America/St_Johns", 12600, 9000),
    ],
)
def test_local_times_on_other_hosts(options, zone, name, winter, summer):
    zone(name)
    parser = SlurmParser(options)
    july = line(Start="2025-07-07T09:00:00", End="2025-07-07T11:30:05")
    assert parser.parse(SAMPLE).StartTime == START + winter
    assert parser.parse(july).StartTime == START + 122 * 86400 + summer


@pytest.mark.parametrize(
    "name, day, midnight_utc",
    [("Europe/London", "2025-10-26", 1761433200), ("America/St_Johns", "2025-11-02", 1762050600)],
)
@pytest.mark.parametrize(
    "start, end, elapsed, began",
    [
        ("01:50:00", "01:10:00", 1200, 110),  # began in summer time, ended in winter time
        ("01:10:00", "01:50:00", 2400, 70),  # both ambiguous: the first hour
        ("01:10:00", "01:50:00", 6000, 70),
        ("00:30:00", "01:30:00", 3600, 30),
        ("00:30:00", "01:30:00", 7200, 30),
        ("01:30:00", "03:30:00", 7200, 150),
        ("01:30:00", "03:30:00", 10800, 90),
        ("00:30:00", "03:30:00", 14400, 30),
    ],
)
def test_autumn_hour(options, zone, name, day, midnight_utc, start, end, elapsed, began):
    """P14: the job's elapsed time decides which of two moments a local time means."""
    zone(name)
    text = line(
        Start="%sT%s" % (day, start),
        End="%sT%s" % (day, end),
        Elapsed="%02d:%02d:00" % (elapsed // 3600, elapsed % 3600 // 60),
    )
    record = SlurmParser(options).parse(text)
    assert record.StartTime == midnight_utc + began * 60
    assert record.StopTime - record.StartTime == elapsed


def test_spring_gap_loses_no_job(options, zone):
    """P14: a time that the clocks jumped over still gives a record."""
    zone("Europe/London")
    text = line(Start="2025-03-30T00:30:00", End="2025-03-30T01:30:00", Elapsed="01:00:00")
    record = SlurmParser(options).parse(text)
    assert record.StopTime - record.StartTime == 3600


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"Start": "2025-03-07T11:30:06"}, "End is before Start"),
        ({"End": "Unknown"}, "End is not a time"),
        ({"Start": "yesterday"}, "Start is not a time"),
        ({"JobID": ""}, "JobID is no number"),
        ({"Elapsed": "INVALID"}, "Elapsed is of unknown form"),
        ({"Elapsed": ""}, "Elapsed is empty"),
        ({"NCPUS": ""}, "NCPUS is empty"),
        ({"NNodes": "-1"}, "NNodes is of unknown form"),
        ({"NCPUS": "4294967294"}, "NCPUS is of unknown form"),
        ({"NNodes": "2147483648"}, "NNodes is of unknown form"),
        ({"CPU": "-5"}, "CPU time is of unknown form"),
        ({"Start": "0001-01-01T00:00:00"}, "out of range"),
    ],
)
def test_lines_that_fail_say_why(slurm, changes, reason):
    with pytest.raises(ParseError, match=reason):
        slurm.parse(line(**changes))


def test_short_lines(slurm):
    assert slurm.parse_lines(["a|b", "", "  "]) == [
        Failed("fewer than 15 fields"),
        Skipped("blank line"),
        Skipped("blank line"),
    ]


def test_header_line_of_sacct_without_n(slurm):
    assert slurm.parse("|".join(NAMES)) == Skipped("header line")


def test_wide_values_are_whole(slurm):
    """P22."""
    record = slurm.parse(
        line(JobID="1" * 200, User="u" * 100, NCPUS="100000", Elapsed="999-00:00:00", CPU="")
    )
    assert (len(record.JobName), len(record.LocalUserID)) == (200, 100)
    assert record.CpuDuration == 999 * 86400 * 100000 > 2**31


@pytest.mark.parametrize("changes", [{"JobID": "1" * 300}, {"User": "a\x00b"}, {"CPU": "9" * 30}])
def test_values_no_column_can_hold(slurm, changes):
    """P22, P7: refused by name, not by the database."""
    with pytest.raises(RecordError):
        slurm.parse(line(**changes))


def test_null_words_are_no_names(slurm):
    record = slurm.parse(line(User="None", Group="", Partition=""))
    assert (record.LocalUserID, record.LocalUserGroup, record.Queue) == (None, None, None)
