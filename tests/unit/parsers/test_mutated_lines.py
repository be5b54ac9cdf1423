"""Whatever stands in a log: a record, Skipped, ParseError or RecordError, and nothing else."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apel.errors import ParseError, RecordError
from apel.parsers import (
    BlahParser,
    Failed,
    HTCondorParser,
    LsfParser,
    ParserOptions,
    PbsParser,
    SGEParser,
    Skipped,
    SlurmParser,
)

SLURM = (
    "48211|cream_77|grid004|gridgrp|2025-03-07T09:00:00|2025-03-07T11:30:05|02:30:05|4-00:00:10|grid|40|2|"
    "wn[11-12]|1.5G|16?|COMPLETED"
)
BLAH = (
    '"timestamp=2025-03-07 08:58:40" "userDN=/CN=Ada \\"R\\"" "userFQAN=/atlas/Role=production" '
    '"ceID=ce02" "jobID=5511" "lrmsID=90117" "localUser=cms003"'
)
HTCONDOR = "ce#5512.0#17413|lhcb02|5400|20100|300|1741305600|1741311000|2097152|4194304|4|1.25|"
HTCONDOR_JSON = (
    '{"GlobalJobId": "ce#1.0#2", "Owner": "a", "JobStatus": 4, "RemoteWallClockTime": 5400.0, '
    '"RemoteUserCpu": 20.5, "RemoteSysCpu": 0.0, "JobStartDate": 1741305600, '
    '"EnteredCurrentStatus": 1741311000, '
    '"ImageSize_RAW": 4194304, "RequestCpus": 4, "RequestGPUs": 1, "AssignedGPUs": "CUDA0,CUDA1", '
    '"GPUsAverageUsage": 0.5, "CUDADeviceName": "T4", "LastRemoteHost": "slot1@wn7", "NumJobStarts": 1}'
)
PBS = (
    '03/07/2025 11:30:05;E;9[1].pbs;user=cms003 group="a b" jobname=x;y queue=long start=1741305600 '
    "exec_host=wn07/0-3,5+wn08/1*2 exec_vnode=(n1:ncpus=4:ngpus=1+n2:ncpus=2) end=1741314605 "
    "resources_used.cput=09:40:00 resources_used.mem=3gb resources_used.walltime=9005"
)
LSF = (
    '"JOB_FINISH" "9.1" 1741314605 7 28 33 4 1741300000 0 0 1741305600 "cms003" "long" "a ""b""" "" "" "" "" '
    '"" "" "" "" 1 "wn07" 2 "4*wn07" "wn08" 64 2.5 "" "run" 3.25 -1 0 0 -1 0 0 9 8 0 0 0 -1 0 0 0 0 0 -1 "" '
    '"" 0 4 "" "" 3 3145728 -1 "" ""'
)
SGE = (
    "grid.q:wn21:cms:cms003:a:b:90117:sge:0:1741300000:1741305600:1741314605:0:0:9005:100.5:20.1:1048576.0:0:0:"
    "0:0:10:0:0:0:0:0:0:0:5:6:NONE:department:smp:4:0:34800.25:5120.5:1.2:-q grid.q:0.0:NONE:5368709120.0:0:0"
)
ORIGINALS = [
    (PbsParser, PBS),
    (PbsParser, PBS.replace("exec_vnode", "exec_gpus=n1-gpu/0-2 Resource_List.nodes=2:gpus=1+n7:gpus=2 x")),
    (LsfParser, LSF),
    (LsfParser, LSF.replace('"a ""b"""', '"select[a] rusage[ngpus_physical=2.00/task:gmodel=T4]"')),
    (SlurmParser, SLURM),
    (BlahParser, BLAH),
    (HTCondorParser, HTCONDOR),
    (HTCondorParser, HTCONDOR_JSON),
    (SGEParser, SGE),
    (SGEParser, SGE.replace("1741305600", "1741305600000") + ":NONE:NONE:1024:0:ce02:/home:qsub -N a:b"),
]
PIECES = ["|", '"', " ", "=", "\\", ":", "-", "0", "9" * 20, "Unknown", "\x00", "\udc80", "%%", "٣", "²", "K"]


@st.composite
def mutated(draw, original):
    """The line with up to five pieces cut out, put in or doubled."""
    text = original
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        piece = draw(st.one_of(st.sampled_from(PIECES), st.text(max_size=4), st.just(text[start:end] * 2)))
        text = text[:start] + piece + text[end:]
    return text


def outcome(parser, text):
    try:
        return parser.parse(text)
    except (ParseError, RecordError) as err:
        assert str(err).isprintable()
        return err


@pytest.mark.parametrize("parser_class, original", ORIGINALS)
@given(data=st.data())
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_lines(parser_class, original, data):
    parser = parser_class(ParserOptions("s", "m", parallel=True, scale_host_factor=True))
    result = outcome(parser, data.draw(mutated(original)))
    if isinstance(result, parser.record_class):
        assert result.check() == result
    else:
        assert isinstance(result, (Skipped, ParseError, RecordError))


@pytest.mark.parametrize("parser_class, original", ORIGINALS)
@given(data=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_blocks_of_mutated_lines(parser_class, original, data):
    """One outcome for each line, also where lines complete each other."""
    parser = parser_class(ParserOptions("s", "m", parallel=True))
    some = st.one_of(mutated(original), st.just(original), st.sampled_from(["{", "}", ' "a": 1', "["]))
    for lines in data.draw(st.lists(st.lists(some, max_size=4), max_size=2)):
        outcomes = parser.parse_lines(lines)
        assert len(outcomes) == len(lines)
        for result in outcomes:
            if isinstance(result, parser.record_class):
                assert result.check() == result
            else:
                assert isinstance(result, (Skipped, Failed))


@pytest.mark.parametrize(
    "parser_class", [SlurmParser, BlahParser, HTCondorParser, PbsParser, LsfParser, SGEParser]
)
@given(text=st.text(max_size=200))
@example(text="|" * 14)
@example(text="\ud800")
@example(text="x;E;1;x")
@example(text='"' * 200)
@settings(deadline=None, max_examples=100)
def test_any_text(parser_class, text):
    result = outcome(parser_class(ParserOptions("s", "m")), text)
    assert isinstance(result, (Skipped, ParseError, RecordError))
