"""Lines as each version of a batch system writes them, with the events that they are beside them.

tests/data/SYSTEM/VERSION/ has a log, and in events.tsv what each of its lines becomes: the fields of COLUMNS
with - for None, or the words skipped and why.
"""

import glob
import os

import pytest

from apel.parsers import LsfParser, ParserOptions, PbsParser, Skipped

DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data")
PARSERS = {"pbs": PbsParser, "lsf": LsfParser}
FOLDERS = [
    os.path.relpath(path, DATA)
    for system in PARSERS
    for path in sorted(glob.glob(os.path.join(DATA, system, "*")))
]
COLUMNS = ["JobName", "LocalUserID", "LocalUserGroup", "Queue", "WallDuration", "CpuDuration"]
COLUMNS += ["StartTime", "StopTime", "MemoryReal", "MemoryVirtual", "Processors", "NodeCount", "GPUs"]


def parse(folder):
    """(parser, outcomes) of the log in a folder."""
    system = folder.split(os.sep)[0]
    parser = PARSERS[system](ParserOptions("s", "m", parallel=True))
    (path,) = [path for path in glob.glob(os.path.join(DATA, folder, "*")) if not path.endswith(".tsv")]
    with open(path, encoding="utf-8") as stream:
        return parser, parser.parse_lines(stream.read().splitlines())


def row(outcome):
    if isinstance(outcome, Skipped):
        return ["skipped", outcome.reason]
    assert isinstance(outcome, tuple), outcome
    return ["-" if value is None else str(value) for value in (getattr(outcome, name) for name in COLUMNS)]


def expected(folder):
    with open(os.path.join(DATA, folder, "events.tsv"), encoding="utf-8") as stream:
        return [line.rstrip("\n").split("\t") for line in stream]


@pytest.mark.parametrize("folder", FOLDERS)
def test_dialects(folder):
    """P15, P16, P17."""
    _, outcomes = parse(folder)
    assert [row(outcome) for outcome in outcomes] == expected(folder)


@pytest.mark.parametrize("name", ["UTC", "Europe/London", "America/St_Johns"])
@pytest.mark.parametrize("folder", FOLDERS)
def test_same_on_every_host(folder, name, zone):
    zone(name)
    assert [row(outcome) for outcome in parse(folder)[1]] == expected(folder)


@pytest.mark.parametrize("folder", FOLDERS)
def test_records_are_as_if_checked(folder):
    parser, outcomes = parse(folder)
    for outcome in outcomes:
        if isinstance(outcome, parser.record_class):
            assert outcome.check() == outcome
            assert (outcome.Site, outcome.MachineName) == ("s", "m")
