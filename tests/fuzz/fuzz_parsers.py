"""Feeds a parser what atheris makes of the logs of tests/data, guided by the paths that it takes.

`python tests/fuzz/fuzz_parsers.py FORM STATISTICS [options of libFuzzer] FOLDER…`; with a file in the place
of a folder, that input alone is run once more. tests/acceptance/test_fuzzed_parsers.py runs it.
"""

import json
import os
import sys
from collections import Counter
from typing import Dict, List

import atheris

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.dirname(TESTS), TESTS]

with atheris.instrument_imports(include=["apel.parsers", "apel.records", "apel.identity", "apel.times"]):
    from fuzz.forms import FORMS, OPTIONS, Form, check

#: As many inputs are read by one parser, as if they were in one log.
INPUTS_OF_A_PARSER = 100


class Fuzzing:
    """Counts what becomes of the inputs, and says so in a file after the last."""

    def __init__(self, form: Form, statistics: str, runs: int) -> None:
        self.form, self.path, self.runs = form, statistics, runs
        self.counts: Dict[str, int] = Counter()
        self.parser = form.parser(OPTIONS)

    def __call__(self, data: bytes) -> None:
        counts = self.counts
        if counts["inputs"] % INPUTS_OF_A_PARSER == 0:
            self.parser = self.form.parser(OPTIONS)
        records, skipped, failed = check(self.form, self.parser, data)
        counts["inputs"] += 1
        counts["lines"] += records + skipped + failed
        counts["records"] += records
        counts["skipped"] += skipped
        counts["failed"] += failed
        if counts["inputs"] == self.runs:
            with open(self.path, "w", encoding="utf-8") as stream:
                json.dump(counts, stream)


def main(argv: List[str]) -> None:
    """Fuzz until -runs inputs are done."""
    program, name, statistics, *words = argv
    (runs,) = [int(word[len("-runs=") :]) for word in words if word.startswith("-runs=")] or [0]
    atheris.Setup([program, *words], Fuzzing(FORMS[name], statistics, runs))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
