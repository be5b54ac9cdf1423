"""Lines as each version of SLURM, SGE, HTCondor and each writer of BLAH logs writes them.

tests/data/<system>/<version>/ has a log, and beside it in expected.json the outcome of every line.
"""

import glob
import json
import os

import pytest

from apel.parsers import BATCH_PARSERS, BlahParser, ParserOptions
from apel.records import Record

DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data")
OPTIONS = ParserOptions("TEST-SITE", "batch.grid.example.org", parallel=True)
PARSERS = {name.lower(): parser for name, parser in BATCH_PARSERS.items()}
PARSERS["blah"] = BlahParser
DIALECTS = [
    os.path.relpath(os.path.dirname(path), DATA)
    for path in sorted(glob.glob(os.path.join(DATA, "*", "*", "expected.json")))
]


def test_every_dialect_has_its_test():
    assert len(DIALECTS) == 21


def outcomes(parser, folder, pattern):
    found = []
    for path in sorted(glob.glob(os.path.join(DATA, folder, pattern))):
        if not path.endswith("expected.json"):
            with open(path, encoding="utf-8") as stream:
                found += parser.parse_lines(stream.read().splitlines())
    return found


def as_expected(outcome):
    """An outcome as expected.json has it; what all records share is left out."""
    if not isinstance(outcome, Record):
        return "%s: %s" % (type(outcome).__name__, outcome.reason)
    assert outcome.check() == outcome
    shared = ("Site", "MachineName", "Infrastructure", "Processed", "ValidFrom", "ValidUntil")
    found = {key: value for key, value in outcome.as_dict().items() if value is not None}
    found = {key: value for key, value in found.items() if key not in shared}
    if "Accelerators" in found:
        found["Accelerators"] = [list(cards) for cards in found["Accelerators"]]
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialect(dialect, zone):
    zone("UTC")
    system = dialect.split(os.sep)[0]
    found = []
    if system != "blah":
        parser = PARSERS[system](OPTIONS)
        found += [as_expected(outcome) for outcome in outcomes(parser, dialect, "[!b]*")]
        found += [as_expected(outcome) for outcome in outcomes(parser, dialect, "batch-*")]
    found += [as_expected(outcome) for outcome in outcomes(BlahParser(OPTIONS), dialect, "blah*")]
    with open(os.path.join(DATA, dialect, "expected.json"), encoding="utf-8") as stream:
        expected = json.load(stream)
    assert found == expected
