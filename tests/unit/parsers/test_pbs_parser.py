"""Lines of Torque and PBS Pro: the sample, and their bad days."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apel.errors import ParseError, RecordError
from apel.parsers import Failed, ParserOptions, PbsParser, Skipped
from apel.parsers.accelerators import NO_GPUS, UNREAD
from apel.parsers.pbs import attributes, wanted
from apel.parsers.pbsplaces import exec_hosts, exec_vnodes, gpus_of, selected
from apel.records import EventRecord

HEAD = "03/07/2025 11:30:05;E;90117.pbs.example;"
VALUES = {
    "user": "cms003",
    "group": "cms",
    "jobname": "cream_31",
    "queue": "long",
    "ctime": "1741300000",
    "start": "1741305600",
    "owner": "cms003@ce02.example",
    "exec_host": "wn07/0-3",
    "session": "9911",
    "end": "1741314605",
    "Exit_status": "0",
    "resources_used.cput": "09:40:00",
    "resources_used.mem": "3145728kb",
    "resources_used.vmem": "5242880kb",
    "resources_used.walltime": "02:30:05",
}


@pytest.fixture
def pbs(options):
    return PbsParser(options._replace(parallel=True))


def line(head=HEAD, **changes):
    """The sample with values changed (mem= for resources_used.mem); one that is None is left out."""
    values = dict(VALUES)
    for key, value in changes.items():
        values["resources_used." + key if "resources_used." + key in VALUES else key] = value
    return head + " ".join("%s=%s" % item for item in values.items() if item[1] is not None)


def test_sample(pbs):
    assert pbs.parse(line()) == EventRecord.of(
        Site="s",
        JobName="90117.pbs.example",
        LocalUserID="cms003",
        LocalUserGroup="cms",
        WallDuration=9005,
        CpuDuration=34800,
        StartTime=1741305600,
        StopTime=1741314605,
        Infrastructure="APEL-CREAM-PBS",
        MachineName="m",
        Queue="long",
        MemoryReal=3145728,
        MemoryVirtual=5242880,
        Processors=4,
        NodeCount=1,
    )
    assert pbs.doubts == {}


def test_not_parallel_counts_no_cores_and_needs_no_hosts(options):
    record = PbsParser(options).parse(line(exec_host=None))
    assert (record.Processors, record.NodeCount) == (0, 0)


@pytest.mark.parametrize(
    "text, kilobytes",
    [
        ("2031040kb", 2031040),
        ("2gb", 2097152),
        ("100mb", 102400),
        ("4096b", 4),
        ("2048b", 2),
        ("0b", 0),
        ("10mb", 10240),
        ("10GB", 10485760),
        ("1tb", 2**30),
        ("4096", 4),
        ("1.5gb", 1572864),
        ("128kw", 1024),
        (None, None),
        ("lots", None),
        ("-1kb", None),
        ("b", None),
    ],
)
def test_memory_in_every_unit(pbs, text, kilobytes):
    """P15."""
    record = pbs.parse(line(mem=text, vmem=text))
    assert (record.MemoryReal, record.MemoryVirtual) == (kilobytes, kilobytes)


def test_unknown_memory_is_counted(pbs):
    """P15: absence is nothing special, an unknown unit is."""
    pbs.parse(line(mem=None))
    assert pbs.doubts == {}
    pbs.parse(line(mem="7xb"))
    assert pbs.doubts == {"memory of unknown form, recorded without it": 1}


@pytest.mark.parametrize(
    "text, seconds",
    [("02:30:05", 9005), ("9005", 9005), ("400:00:00", 1440000), ("30:05", 1805), ("0:00:01", 1), ("0", 0)],
)
def test_times_in_seconds_or_hours(pbs, text, seconds):
    """P16: each by itself, as Torque 5.1 mixes them."""
    assert pbs.parse(line(walltime=text)).WallDuration == seconds
    assert pbs.parse(line(cput=text)).CpuDuration == seconds


@pytest.mark.parametrize("text", ["-1", "-00:00:10", "1:02:03:04", "x", "", "1:2:x", "٣x:00:00", "9" * 20])
def test_no_times(pbs, text):
    with pytest.raises(ParseError, match="of unknown form"):
        pbs.parse(line(walltime=text))
    with pytest.raises(ParseError, match="of unknown form"):
        pbs.parse(line(cput=text))


@pytest.mark.parametrize(
    "hosts, nodes, cores",
    [
        ("n1/0+n1/1+n2/0", 2, 3),
        ("n1/0-3", 1, 4),
        ("n1/0-1,5,11", 1, 4),
        ("n1/0*4", 1, 4),
        ("n1/0*4+n2/0*4", 2, 8),
        ("n1", 1, 1),
        ("wn-01/3+wn-02", 2, 2),
        ("(n1:ncpus=4:mem=2gb)", 1, 4),
        ("+".join("n%d/%d" % (number // 8, number % 8) for number in range(64)), 8, 64),
    ],
)
def test_cores_and_nodes(pbs, hosts, nodes, cores):
    """P16."""
    record = pbs.parse(line(exec_host=hosts, cput="1"))
    assert (record.NodeCount, record.Processors) == (nodes, cores)
    assert pbs.doubts == {}


@pytest.mark.parametrize(
    "hosts, vnodes, nodes, cores",
    [
        ("n1/0*4", "(n1:ncpus=4:mem=1gb)", 1, 4),
        ("n1/0*4+n2/0*2", "(n1[0]:ncpus=2+n1[1]:ncpus=2)+(n2:ncpus=2)", 2, 6),
        ("n1/0*4", "(n1:mem=1gb)", 1, 4),
        (None, "(n1[0]:ncpus=2+n1[1]:ncpus=2)+(n2:ncpus=2)", 2, 6),
    ],
)
def test_cores_of_vnodes(pbs, hosts, vnodes, nodes, cores):
    """P16."""
    record = pbs.parse(line(exec_host=hosts, exec_vnode=vnodes))
    assert (record.NodeCount, record.Processors) == (nodes, cores)


@pytest.mark.parametrize(
    "asked, nodes, cores",
    [
        ({"resources_used.ncpus": "4"}, 0, 4),
        ({"Resource_List.ncpus": "8", "Resource_List.nodect": "2"}, 2, 8),
        ({"total_execution_slots": "5", "unique_node_count": "3"}, 3, 5),
        ({"Resource_List.select": "2:ncpus=4:mem=1gb+1:mem=2gb+ncpus=3"}, 0, 12),
        ({"Resource_List.select": "two"}, 0, 1),
        ({"Resource_List.select": "1:ncpus=x"}, 0, 0),
        ({"Resource_List.nodes": "2:ppn=4+n7:ppn=2", "Resource_List.ncpus": "1"}, 0, 10),
        ({"Resource_List.nodes": "1", "Resource_List.ncpus": "4"}, 0, 4),
        ({"Resource_List.procs": "16"}, 0, 16),
        ({}, 0, 0),
    ],
)
@pytest.mark.parametrize("hosts", [None, "n1/3-0", "n1/x", "/0", ""])
def test_no_hosts_take_what_was_asked_for(pbs, hosts, asked, nodes, cores):
    """P16: never a lost job."""
    record = pbs.parse(line(exec_host=hosts, cput="1", **asked))
    assert (record.NodeCount, record.Processors) == (nodes, cores)
    assert sum(pbs.doubts.values()) == 1


@pytest.mark.parametrize(
    "text, name",
    [
        ('account="a b" queue=grid', "grid"),
        ('account="a; b=c" queue=grid', "grid"),
        ("account=it's me queue=grid", "grid"),
        ("account=two words queue=grid", "grid"),
        ('comment="two words; and more" queue=grid', "grid"),
        ("comment='she said \"so\"' queue=grid", "grid"),
        ('queue="two words"', "two words"),
        ('queue="grid"', "grid"),
        ("queue=", None),
        ('account="open queue=grid', "grid"),
        ("jobname=a;b queue=grid", "grid"),
    ],
)
def test_blanks_semicolons_and_quotes_in_values(pbs, text, name):
    """P16."""
    record = pbs.parse(line(jobname=None, queue=None) + " " + text)
    assert record.Queue == name
    assert (record.JobName, record.WallDuration) == ("90117.pbs.example", 9005)


def quoted(value):
    """As PBS Pro quotes what has blanks."""
    mark = "'" if '"' in value else '"'
    return mark + value + mark if " " in value or '"' in value or value[:1] == "'" else value


@given(
    values=st.lists(st.text("ab =;+/'", max_size=8) | st.text('ab ="', max_size=5), min_size=6, max_size=6)
)
@example(values=["a b", "c d", "", " end=7", "x", 'say "queue=c"'])
def test_quick_look_sees_what_is_there(values):
    """P16: also in lines of an unusual form, and with whatever in the values that nobody wants."""
    keys = ["user", "group", "jobname", "comment", "queue", "account"]
    pairs = [(key, value.replace("'", "") if '"' in value else value) for key, value in zip(keys, values)]
    text = " ".join("%s=%s" % (key, quoted(value)) for key, value in [*pairs, ("end", "8")])
    assert attributes(text) == dict(pairs, end="8")
    found = wanted(text)
    for key in ("user", "group", "queue", "end"):
        assert found[key] == attributes(text)[key]


def test_quick_look_falls_back():
    """No value is missed for the form of a line: tabs, words without quotes, user and group elsewhere."""
    for text in ("user=a\tgroup=b c=d\tend=8", "user=a group=b c d=e end=8", "end=8 group=b user=a"):
        assert wanted(text) == attributes(text)
        assert wanted(text)["end"] == "8"


def test_wanted_values_in_quotes():
    """P16: quotes around values that are wanted are taken off; those around others hide what is in them."""
    text = 'user="a b" group=g queue="long one" start=7 project="x start=9 end=9" end="8"'
    assert wanted(text) == attributes(text)
    assert [wanted(text)[key] for key in ("user", "queue", "start", "end")] == ["a b", "long one", "7", "8"]
    plain = 'user=a group=g project="x start=9 end=9" start=7 end=8'
    assert wanted(plain) == {"user": "a", "group": "g", "start": "7", "end": "8"}


def test_no_name_of_a_job_makes_another_user():
    """Torque doesn't quote: of several users and groups the first counts, as these stand first in a line."""
    values = attributes("user=a group=b account=x user=root group=wheel end=7 end=8")
    assert (values["user"], values["group"], values["end"]) == ("a", "b", "8")


@pytest.mark.parametrize("start", [None, "0"])
def test_job_that_never_started_is_skipped(pbs, start):
    """P16."""
    assert pbs.parse(line(start=start, exec_host=None, walltime=None)) == Skipped("never started")


def test_line_that_is_cut_is_no_job_that_never_started(pbs):
    """P4: a full disk cuts a line anywhere; wherever that is, its job is not passed over."""
    whole = line()
    for end in range(whole.index("user="), whole.index(" end=") + 6):
        with pytest.raises(ParseError):
            pbs.parse(whole[:end])


def test_times_that_the_mother_superior_lost(pbs):
    """P16: the job is kept, what is missing is counted."""
    record = pbs.parse(line(walltime=None, cput=None, mem=None, vmem=None))
    assert (record.WallDuration, record.CpuDuration, record.MemoryReal) == (9005, 0, None)
    assert pbs.doubts == {
        "no wall time, end - start taken for it": 1,
        "no CPU time, recorded as 0": 1,
    }


@pytest.mark.parametrize("kind", list("QSDABCTLKkUuMN"))
@pytest.mark.parametrize("rest", [";7.pbs;queue=q", ";7.pbs;", ";7.pbs"])
def test_other_records_are_skipped_by_name(pbs, kind, rest):
    """P16: also with fewer parts than an end of a job has."""
    skipped = pbs.parse("03/07/2025 11:30:05;" + kind + rest)
    assert skipped == Skipped("record type %s: not the end of a run" % kind)


def test_run_of_a_requeued_job_is_an_event(pbs):
    """P16: PBS Pro writes its usage into an R record; Torque's R record has none."""
    record = pbs.parse(line(HEAD.replace(";E;", ";R;"), run_count="1"))
    assert (record.WallDuration, record.StopTime) == (9005, 1741314605)
    assert isinstance(pbs.parse("03/07/2025 11:30:05;R;90117.pbs.example;"), Skipped)


@pytest.mark.parametrize("job", ["123[4].pbs", "123-4.pbs", "123.pbs.example.org"])
def test_ids_stay_as_they_are(pbs, job):
    """P16: job arrays."""
    assert pbs.parse(line("d;E;%s;" % job)).JobName == job


def test_array_as_a_whole_is_no_job(pbs):
    """P16: or its usage would count twice."""
    assert isinstance(pbs.parse(line("d;E;123[].pbs;")), Skipped)


@pytest.mark.parametrize(
    "key, text, gpus",
    [
        ("exec_vnode", "(n1:ncpus=4:ngpus=1+n2:ncpus=2)+(n3:ncpus=1:ngpus=2)", 3),
        ("exec_gpus", "n1-gpu/0+n1-gpu/1", 2),
        ("exec_gpus", "n1-gpu/0-9999999999", UNREAD),
        ("Resource_List.ngpus", "4", 4),
        ("Resource_List.ngpus", "many", UNREAD),
        ("Resource_List.ngpus", "1000000", UNREAD),
        ("exec_vnode", "(n1:ncpus=4:ngpus=2147483647+n2:ncpus=2:ngpus=1)", UNREAD),
        ("jobname", "gpu", None),
    ],
)
def test_gpus(pbs, key, text, gpus):
    assert gpus_of({key: text}) == gpus
    assert pbs.parse(line(**{key: text})).GPUs == (None if gpus == UNREAD else gpus)
    assert pbs.doubts == ({NO_GPUS: 1} if gpus == UNREAD else {})


@pytest.mark.parametrize(
    "values, cards",
    [
        ({"exec_vnode": "(n1[0]:ncpus=4:ngpus=1+n1[1]:ngpus=1)+(n2:ncpus=2)"}, [("n1", 2)]),
        ({"exec_vnode": "(n1:ncpus=4:ngpus=1)+(n3:ncpus=1:ngpus=2)"}, [("n1", 1), ("n3", 2)]),
        ({"exec_vnode": "(n1:ncpus=4:ngpus=0)"}, []),
        ({"exec_gpus": "n1-gpu/0+n1-gpu/1+n2-gpu/0-3"}, [("n1", 2), ("n2", 4)]),
        ({"exec_gpus": "n1-gpu/0,2"}, [("n1", 2)]),
        ({"exec_host": "wn07/0*4", "Resource_List.ngpus": "2"}, [("wn07", 2)]),
        ({"exec_vnode": "(v1[0]:ncpus=4)", "Resource_List.ngpus": "2"}, [("v1", 2)]),
        ({"resources_used.ngpus": "1", "Resource_List.ngpus": "2"}, [("wn07", 1)]),
        ({"Resource_List.nodes": "2:ppn=4:gpus=1+wn9:gpus=3"}, [("wn07", 5)]),
        ({"Resource_List.nodes": "2:ppn=4", "jobname": "gpus"}, []),
        ({"exec_host": None, "Resource_List.ngpus": "1"}, [(None, 1)]),
    ],
)
def test_accelerators_by_host(pbs, values, cards):
    record = pbs.parse(line(**values))
    expected = tuple((place, host, None, "GPU", many, 9005, None) for place, (host, many) in enumerate(cards))
    assert record.Accelerators == (expected or None)
    assert (record.GPUs or 0) == sum(count for _, count in cards)
    assert record.check() == record


@pytest.mark.parametrize(
    "text, reason",
    [
        (line(end=None), "end is missing"),
        (line(end="1741305599"), "end is before start"),
        (line(end="9999999999"), "out of range"),
        (line(start="yesterday"), "start is no epoch"),
        (line("d;E;;"), "no job id"),
        ("d;E;1", "without attributes"),
        ("d;E;1;word user=x", "before the first name"),
        ("rubbish", "not of the form"),
        ("a;bc;d;e", "not of the form"),
        ("a;;d;e", "not of the form"),
        ("a;é;d;e", "not of the form"),
    ],
)
def test_lines_that_fail_say_why(pbs, text, reason):
    with pytest.raises(ParseError, match=reason):
        pbs.parse(text)


def test_too_long_names_are_refused(pbs):
    """P22."""
    with pytest.raises(RecordError):
        pbs.parse(line(user="u" * 300))


def test_numbers_beyond_every_column_are_refused(pbs):
    """P22."""
    with pytest.raises(RecordError):
        pbs.parse(line(exec_host="n1/0-999999999999999999*99"))


def test_one_bad_line_among_good_ones(pbs):
    """P7."""
    outcomes = pbs.parse_lines([line(), "rubbish", "", line()])
    assert [type(outcome) for outcome in outcomes] == [EventRecord, Failed, Skipped, EventRecord]


@given(
    start=st.integers(1, 4 * 10**9),
    wall=st.integers(0, 10**7),
    cpu=st.integers(0, 10**8),
    form=st.sampled_from(["%02d:%02d:%02d", "seconds"]),
    hosts=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 63)), min_size=1, max_size=40, unique=True),
)
@settings(deadline=None, max_examples=50)
def test_any_job_comes_back(start, wall, cpu, form, hosts):
    """Wall is end - start where the log says so; cores and nodes are those of the hosts."""

    def shown(seconds):
        return (
            str(seconds) if form == "seconds" else form % (seconds // 3600, seconds // 60 % 60, seconds % 60)
        )

    place = "+".join("n-%d/%d" % slot for slot in hosts)
    changes = {"start": start, "end": start + wall, "walltime": shown(wall), "cput": shown(cpu)}
    record = PbsParser(ParserOptions("s", "m", parallel=True)).parse(line(exec_host=place, **changes))
    assert record.WallDuration == record.StopTime - record.StartTime == wall
    assert (record.CpuDuration, record.Processors) == (cpu, len(hosts))
    assert record.NodeCount == len({host for host, _ in hosts})


@pytest.mark.parametrize("cput, doubts", [("54030", 0), ("54031", 1)])
def test_much_cpu_time_is_kept_and_counted(pbs, cput, doubts):
    assert pbs.parse(line(cput=cput)).CpuDuration == int(cput)
    assert sum(pbs.doubts.values()) == doubts


WORDS = st.text(st.characters(blacklist_characters="\"'", blacklist_categories=["Cs"]), max_size=8)
NAMES = st.text(st.sampled_from("abcDE_.0"), min_size=1, max_size=12)


@given(st.dictionaries(NAMES, st.tuples(WORDS, st.sampled_from("\"'"), st.booleans()), max_size=30))
@settings(deadline=None, max_examples=100)
def test_any_values_come_back(given_values):
    """P16: in quotes of either kind, which those with blanks have to have."""
    items = []
    for key, (value, quote, always) in given_values.items():
        bare = not always and value == "".join(value.split())
        items.append("%s=%s" % (key, value if bare else quote + value + quote))
    assert attributes(" ".join(items)) == {key: value for key, (value, _, _) in given_values.items()}


def test_places():
    assert exec_hosts("a/0+b/0-1*2") == (2, 5)
    assert exec_vnodes("(a:ncpus=1)+(a:mem=1kb)") == (1, 1)
    assert selected("4", "ncpus") == 4
