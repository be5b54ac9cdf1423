"""What a fuzzer feeds the parsers, and what must become of it: an input is a few lines of a log."""

import os
from typing import Dict, List, NamedTuple, Tuple, Type

from apel.parsers import (
    BlahParser,
    Failed,
    HTCondorParser,
    LsfParser,
    Parser,
    ParserOptions,
    PbsParser,
    SGEParser,
    Skipped,
    SlurmParser,
)

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data")
OPTIONS = ParserOptions("s", "m", parallel=True, scale_host_factor=True, host_factors={"wn21": (1.5, 2.0)})

#: No reason is longer: they are to be counted, and to be read.
LONGEST_REASON = 200


class Form(NamedTuple):
    """A kind of input: its parser, the logs to begin with, and the first line of a file of that kind.

    most_lines: libFuzzer likes to put in line ends; more of them than these would only make blank lines.
    """

    parser: Type[Parser]
    logs: Tuple[str, ...]
    first_line: str = ""
    most_lines: int = 3


HEADER = (
    "JobID|JobIDRaw|State|QOS|Account|User|Start|End|ElapsedRaw|TotalCPU|AllocTRES|JobName|MaxRSS|Partition|"
)

FORMS: Dict[str, Form] = {
    "slurm-columns": Form(SlurmParser, ("slurm/17.11-hook", "slurm/20.11-totalcpu")),
    "slurm-header": Form(SlurmParser, ("slurm/22.05-header",), HEADER),
    "slurm-json": Form(SlurmParser, ("slurm/23.11-json", "slurm/24.05-jsonl"), most_lines=40),
    "pbs-torque": Form(PbsParser, ("pbs/torque-2.5", "pbs/torque-5.1", "pbs/torque-6.1")),
    "pbs-pro": Form(PbsParser, ("pbs/pbspro-13", "pbs/openpbs-20")),
    "sge": Form(SGEParser, ("sge/6.1", "sge/6.2u5", "sge/8.1-soge", "sge/8.6-univa")),
    "sge-json": Form(SGEParser, ("sge/9.0-ocs",)),
    "lsf": Form(LsfParser, ("lsf/5.1", "lsf/7.0", "lsf/9.1", "lsf/10.1"), most_lines=6),
    "htcondor-columns": Form(
        HTCondorParser,
        ("htcondor/8.8-format", "htcondor/9.0-af", "htcondor/10-scaled", "htcondor/ce-6"),
    ),
    "htcondor-json": Form(HTCondorParser, ("htcondor/23-json", "htcondor/23-jsonl"), most_lines=20),
    "blah": Form(BlahParser, ("blah/cream-1.16", "blah/arc-6", "blah/htcondor-ce-5", "htcondor/ce-6")),
}


def seeds(form: Form) -> List[bytes]:
    """What the logs of a form have: each line that is a record, each object on many lines."""
    found = []
    for folder in form.logs:
        for name in sorted(os.listdir(os.path.join(DATA, folder))):
            if name in ("expected.json", "events.tsv") or _is_blah(name) != (form.parser is BlahParser):
                continue
            with open(os.path.join(DATA, folder, name), "rb") as stream:
                found += _records(form.parser(OPTIONS), stream.read().splitlines())
    return found


def _is_blah(name: str) -> bool:
    return name.startswith("blah")


def _records(parser: Parser, lines: List[bytes]) -> List[bytes]:
    """The lines, those that continue a record with its first."""
    records: List[bytes] = []
    for line in lines:
        if records and parser.continues(line.decode("utf-8")):
            records[-1] += b"\n" + line
        else:
            records.append(line)
    return records


def text_of(data: bytes) -> str:
    """As log files are decoded: any byte stands for something."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def check(form: Form, parser: Parser, data: bytes) -> Tuple[int, ...]:
    """(records, skipped, failed) among the lines. AssertionError, or what a parser lets out, is a find."""
    lines = text_of(data).split("\n", form.most_lines - 1)
    lines[-1] = lines[-1].replace("\n", " ")
    parser.begin(form.first_line)
    outcomes = parser.parse_lines(lines)
    assert len(outcomes) == len(lines)
    kinds = [0, 0, 0]
    for outcome in outcomes:
        if isinstance(outcome, (Skipped, Failed)):
            assert 0 < len(outcome.reason) <= LONGEST_REASON and outcome.reason.isprintable(), outcome
            kinds[2 if isinstance(outcome, Failed) else 1] += 1
        else:
            assert isinstance(outcome, parser.record_class), outcome
            assert outcome.check() == outcome
            kinds[0] += 1
    assert all(count > 0 for count in parser.doubts.values())
    assert isinstance(parser.is_whole(lines), bool)
    assert [type(parser.continues(line)) for line in lines] == [bool] * len(lines)
    return tuple(kinds)
