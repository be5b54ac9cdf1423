"""Records of lsb.acct: those that end a job, and their bad days."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apel.errors import ParseError, RecordError
from apel.parsers import Failed, LsfParser, ParserOptions, Skipped
from apel.parsers.accelerators import NO_GPUS
from apel.parsers.lsf import places
from apel.records import EventRecord

USAGE = "0 0 -1 0 0 927804 87722 0 0 0 -1 0 0 0 0 0 -1"
START, STOP = 1741305600, 1741314605


@pytest.fixture
def lsf(options):
    return LsfParser(options._replace(parallel=True))


@pytest.fixture
def scaling(options):
    return LsfParser(options._replace(scale_host_factor=True))


def quoted(*texts):
    return " ".join('"%s"' % text.replace('"', '""') for text in texts)


def line(**changes):
    """A JOB_FINISH record with some fields changed."""
    v = {
        "event": "JOB_FINISH", "job": 90117, "start": START, "stop": STOP, "user": "cms003", "queue": "long",
        "res": "", "asked": [], "hosts": ["wn07"] * 3 + ["wn08"], "status": 64, "factor": "2.5",
        "name": "cream", "command": "run.sh", "utime": "34000.25", "stime": "799.75", "index": 0,
        "real": 3145728, "virtual": 5242880, "end": ' "" "" "" "" 0',
    }  # fmt: skip
    assert not changes.keys() - v.keys()
    v.update(changes)
    return " ".join([
        '%s "9.1" %s %s 283 33554482 4 1741300000 0 0 %s'
        % (quoted(v["event"]), v["stop"], v["job"], v["start"]),
        quoted(v["user"], v["queue"], v["res"], "", "", "ce02", "work", "", "/o ut", "/err", "1741300000.1"),
        " ".join([str(len(v["asked"])), quoted(*v["asked"])]).strip(),
        " ".join([str(len(v["hosts"])), quoted(*v["hosts"])]).strip(),
        "%s %s %s" % (v["status"], v["factor"], quoted(v["name"], v["command"])),
        '%s %s %s "" "default" 0 4 "" "" %s %s %s' % (
            v["utime"], v["stime"], USAGE, v["index"], v["real"], v["virtual"]) + v["end"],
    ])  # fmt: skip


EVENT = EventRecord.of(
    Site="s",
    JobName="90117",
    LocalUserID="cms003",
    WallDuration=9005,
    CpuDuration=34800,
    StartTime=START,
    StopTime=STOP,
    Infrastructure="APEL-CREAM-LSF",
    MachineName="m",
    Queue="long",
    MemoryReal=3145728,
    MemoryVirtual=5242880,
    Processors=4,
    NodeCount=2,
)


def test_job(lsf):
    assert lsf.parse(line()) == EVENT
    assert lsf.doubts == {}


def test_not_parallel_counts_no_cores(options):
    assert LsfParser(options).parse(line()) == EVENT.replace(Processors=0, NodeCount=0)


@pytest.mark.parametrize("asked", [[], ["wn07"], ["wn07", "wn08", "4*x"]])
@pytest.mark.parametrize("end", ["", ' "" "" "" "" 0 "" 0 "" -1 "/cms" "" "" "" -1 "" ""'])
@pytest.mark.parametrize("status", [64, 32])
def test_places_of_fields_follow_the_asked_hosts(lsf, asked, end, status):
    assert lsf.parse(line(asked=asked, end=end, status=status)) == EVENT


@pytest.mark.parametrize("field", ["res", "name", "command"])
@pytest.mark.parametrize(
    "text", ['"', '""', ' " ', 'a "b" c', '"b"', 'x""', "1 2 3", 'select[type=="any"]', 'a" "b', "\\"]
)
def test_doubled_quotes(lsf, field, text):
    """P17: they are part of the string, wherever they stand in it."""
    assert lsf.parse(line(**{field: text})) == EVENT


def test_doubled_quotes_in_what_is_kept(lsf):
    """P17."""
    assert lsf.parse(line(user='a "b"', queue='"q"')) == EVENT.replace(LocalUserID='a "b"', Queue='"q"')


@pytest.mark.parametrize("hosts", [["wn07"], []])
def test_job_killed_while_pending_is_skipped(lsf, hosts):
    """P17: never a wall time since 1970."""
    assert lsf.parse(line(start=0, hosts=hosts, utime="-1.0", stime="-1.0")) == Skipped("never started")


@pytest.mark.parametrize(
    "utime, stime, cpu",
    [("-1.000000", "-1.000000", 0), ("-1", "2.6", 3), ("100.0", "-1", 100)],
)
def test_cpu_time_that_is_unavailable(lsf, utime, stime, cpu):
    """P17: the job is kept, and counted."""
    assert lsf.parse(line(utime=utime, stime=stime)).CpuDuration == cpu
    assert lsf.doubts == {"CPU time unavailable (-1), recorded as 0": 1}


def test_negative_memory(lsf):
    """P17."""
    record = lsf.parse(line(real=-1, virtual="-1"))
    assert (record.MemoryReal, record.MemoryVirtual) == (0, 0)


@pytest.mark.parametrize("text", ["?", "9" * 24, "9" * 19])
def test_memory_of_unknown_form_never_loses_the_job(lsf, text):
    assert lsf.parse(line(real=text)).MemoryReal is None
    assert lsf.doubts == {"memory of unknown form, recorded without it": 1}


def test_record_without_memory(lsf):
    """LSF before 5.1 ends it after the time event."""
    short = line(end="").rsplit('"', 1)[0] + '"'
    assert lsf.parse(short) == EVENT.replace(MemoryReal=None, MemoryVirtual=None)


def test_short_event_file(lsf):
    """P17: LSF_HPC_EXTENSIONS=SHORT_EVENTFILE."""
    record = lsf.parse(line(hosts=["16*hostA", "hostB", "4*hostC"]))
    assert (record.Processors, record.NodeCount) == (21, 3)
    assert places(["16*hostA"]) == (16, 1)
    assert places(["*x", "²*y"]) == (2, 2)


def test_jobs_of_an_array_have_names_of_their_own(lsf):
    """Two that end in the same second are two jobs."""
    assert lsf.parse(line(index=17)).JobName == "90117[17]"


def test_host_factor(scaling):
    assert (lambda r: (r.WallDuration, r.CpuDuration))(scaling.parse(line())) == (22512, 87000)


def test_host_factor_is_not_applied_unless_asked_for(lsf):
    assert lsf.parse(line(factor="0.0")) == EVENT


@pytest.mark.parametrize("factor", ["0.0", "-1.0", "nan"])
def test_host_factor_must_be_above_0(scaling, factor):
    with pytest.raises(ParseError):
        scaling.parse(line(factor=factor))


@pytest.mark.parametrize("event", ["JOB_RESIZE", "EVENT_ADRSV_FINISH", "JOB_FINISH2", "GPU_STATUS"])
def test_other_events_are_skipped_by_name(lsf, event):
    skipped = lsf.parse('"%s" "10.1" 1741314605 7 "x"' % event)
    assert skipped == Skipped("event %s: not the end of a job" % event)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("rubbish", "no string"),
        (line() + ' "', "unpaired quote"),
        ('"job" 1', "no event"),
        ('"A B" 1', "no event"),
        (line(stop=START - 1), "before start"),
        (line(stop="99999999999"), "event time is no epoch"),
        (line(start="-5"), "start time is no epoch"),
        (line(job="x"), "job id is no number"),
        (line(index="-1"), "array index"),
        (line(utime="x"), "no number"),
        (line(utime="1e5"), "no number"),
        (line(utime="inf"), "no number"),
        ('"JOB_FINISH" "9.1" 1741314605', "fields are missing"),
        (line().replace(" 4 " + quoted("wn07"), " 400 " + quoted("wn07")), "fields are missing"),
        (line().replace(" 4 " + quoted("wn07"), " x " + quoted("wn07")), "fields are missing"),
    ],
)
def test_records_that_fail_say_why(lsf, text, reason):
    with pytest.raises(ParseError, match=reason):
        lsf.parse(text)


@pytest.mark.parametrize("utime, doubts", [("54030.0", 0), ("54031.0", 1)])
def test_much_cpu_time_is_kept_and_counted(lsf, utime, doubts):
    assert lsf.parse(line(utime=utime, stime="0.0")).CpuDuration == float(utime)
    assert sum(lsf.doubts.values()) == doubts


def test_blank_line(lsf):
    assert lsf.parse("  ") == Skipped("blank line")


def test_numbers_beyond_every_column_are_refused(lsf):
    """P22."""
    with pytest.raises(RecordError):
        lsf.parse(line(utime="9" * 25))


def test_line_ends_inside_of_a_string(lsf):
    """P17: the record is put together again; the lines around it are what they are."""
    broken = line(command='#!/bin/sh\necho "a\n\nb"\n"" exit').split("\n")
    outcomes = lsf.parse_lines([line(), *broken, line(job=2), "rubbish"])
    assert outcomes[:2] == [EVENT, EVENT]
    assert outcomes[2:6] == [Skipped("continues the record on the line before")] * 4
    assert outcomes[6] == EVENT.replace(JobName="2")
    assert isinstance(outcomes[7], Failed)


def test_quote_that_is_never_closed_costs_one_record(lsf):
    """P7: not those after it."""
    outcomes = lsf.parse_lines([line() + ' "', "rest", line(), line()])
    assert [type(outcome) for outcome in outcomes] == [Failed, Failed, EventRecord, EventRecord]


def test_record_is_whole_when_no_string_is_open(lsf):
    """P4."""
    lines = line(command='#!/bin/sh\necho "a\n\nb"\n"" exit').split("\n")
    assert [lsf.is_whole(lines[:count]) for count in range(1, len(lines) + 1)] == [False] * 4 + [True]


def test_lines_of_one_record_are_read_together(lsf):
    assert not lsf.continues(line())
    assert lsf.continues('echo "hello"')
    assert lsf.continues("")


@given(
    start=st.integers(1, 4 * 10**9),
    wall=st.integers(0, 10**7),
    cpu=st.integers(0, 10**9),
    command=st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30),
    hosts=st.lists(st.sampled_from(["a", "b-1", "c.d"]), max_size=20),
)
@settings(deadline=None, max_examples=50)
def test_any_job_comes_back(start, wall, cpu, command, hosts):
    """Wall is end - start; cores and nodes are those of the hosts; no command shifts a field."""
    parser = LsfParser(ParserOptions("s", "m", parallel=True))
    changes = {"start": start, "stop": start + wall, "utime": "%d.0" % cpu, "stime": "0.000000"}
    record = parser.parse(line(command=command, hosts=hosts, **changes))
    assert record.WallDuration == record.StopTime - record.StartTime == wall
    assert (record.CpuDuration, record.Processors) == (cpu, len(hosts))
    assert record.NodeCount == len(set(hosts))


def effective(text):
    """The end of a record of LSF 10.1, with the resource requirement in force."""
    return (
        ' "" "" "" "" 0 "" 0 "" -1 "" "" "" "" -1 "" "" 5136 "" 1741300000 "" "" 0 0 -1 0 "%s" "" -1' % text
    )


@pytest.mark.parametrize(
    "requirement, cards",
    [
        ("select[ngpus>0] order[gpu_maxfactor] rusage[ngpus_physical=2.00]", [("wn07", 2), ("wn08", 2)]),
        ("rusage[mem=100,ngpus_physical=1]", [("wn07", 1), ("wn08", 1)]),
        ("rusage[ngpus_physical=1/task]", [("wn07", 3), ("wn08", 1)]),
        ("rusage[ngpus_physical=1:gmodel=TeslaV100]", [("wn07", 1), ("wn08", 1)]),
        ("select[ngpus>0]", []),
        ("rusage[ngpus_physical=0]", []),
    ],
)
def test_accelerators_by_host(lsf, requirement, cards):
    model = "TeslaV100" if "gmodel" in requirement else None
    rows = [(host, model, "GPU", count, 9005, None) for host, count in cards]
    expected = tuple((place, *row) for place, row in enumerate(rows))
    for record in (
        lsf.parse(line(res=requirement)),
        lsf.parse(line(end=effective("select[type == any] " + requirement))),
    ):
        assert record.Accelerators == (expected or None)
        assert (record.GPUs or 0) == sum(count for _, count in cards)
        assert record.check() == record
    assert not lsf.doubts


@pytest.mark.parametrize(
    "requirement",
    [
        "1*{rusage[ngpus_physical=2]} + 4*{rusage[ngpus_physical=1]}",
        "rusage[ngpus_physical=2] || rusage[mem=1]",
        "rusage[ngpus_physical=1.5]",
        "rusage[ngpus_physical=2/jobgroup]",
        "rusage[ngpus_physical=600000/task]",
    ],
)
def test_requirement_of_unknown_form_is_counted_and_loses_no_job(lsf, requirement):
    record = lsf.parse(line(res=requirement))
    assert (record.GPUs, record.Accelerators) == (None, None)
    assert lsf.doubts == {NO_GPUS: 1}


def test_gpus_of_hosts_in_their_short_form(lsf):
    """LSF_HPC_EXTENSIONS=SHORT_EVENTFILE."""
    record = lsf.parse(line(res="rusage[ngpus_physical=1/task]", hosts=["3*wn07", "wn08"]))
    assert [card[1:5] for card in record.Accelerators] == [
        ("wn07", None, "GPU", 3),
        ("wn08", None, "GPU", 1),
    ]


def test_users_words_are_no_requirement(lsf):
    """A command, a job's name or its description may say anything."""
    text = "bsub -R rusage[ngpus_physical=8] x"
    record = lsf.parse(line(command=text, name=text, end=effective(text)))
    assert (record.GPUs, record.Accelerators) == (None, None)


def test_gpu_time_is_not_scaled(options):
    scaling = LsfParser(options._replace(scale_host_factor=True))
    record = scaling.parse(line(res="rusage[ngpus_physical=1]"))
    assert record.WallDuration == int(9005 * 2.5)
    assert record.Accelerators[0][5] == 9005
