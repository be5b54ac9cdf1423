"""Each parser is fed 200 000 mutated inputs and more by a fuzzer that looks for new paths through its code.

APEL_TEST_FUZZ_INPUTS=N in the environment takes N inputs for each parser, and other ones in each run.
"""

import importlib.util
import json
import os
import random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from fuzz.forms import FORMS, seeds

SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fuzz", "fuzz_parsers.py")
INPUTS = int(os.environ.get("APEL_TEST_FUZZ_INPUTS", "200000"))
SEED = random.randrange(1, 2**31) if "APEL_TEST_FUZZ_INPUTS" in os.environ else 1
MOST_SECONDS = 1800


class Run:
    """A run of the fuzzer over one form of log."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.corpus = folder / "corpus"
        self.seeds = seeds(FORMS[name])
        forms = [form for form in FORMS.values() if form.parser is FORMS[name].parser]
        self.inputs = -(-INPUTS // len(forms))

    def fuzz(self):
        """Run it; afterwards its exit status, all it said, and what became of the inputs."""
        self.corpus.mkdir(parents=True)
        for number, seed in enumerate(self.seeds):
            (self.corpus / ("seed-%d" % number)).write_bytes(seed)
        statistics = self.folder / "statistics"
        words = ["-runs=%d" % self.inputs, "-seed=%d" % SEED, "-mutate_depth=2", "-max_len=4096"]
        words += ["-artifact_prefix=%s/" % self.folder, str(self.corpus)]
        done = subprocess.run(
            [sys.executable, SCRIPT, self.name, str(statistics), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # The order of sets would lead it other ways in each run.
            env=dict(os.environ, TZ="Europe/London", PYTHONHASHSEED="0"),
            timeout=MOST_SECONDS,
        )
        self.status, self.said = done.returncode, done.stdout.decode("utf-8", "replace")
        self.counts = json.loads(statistics.read_text()) if statistics.exists() else {}
        return self

    def finds(self):
        """The inputs that broke a rule, and what it said of them."""
        found = [path.read_bytes() for path in self.folder.glob("crash-*")]
        return "%s: %r\n%s" % (self.name, found, self.said[-3000:])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """By form; two at a time, since the fuzzer uses one core."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("no atheris here (the extra `fuzz`: CPython 3.11 to 3.13 on x86_64)")
    folder = tmp_path_factory.mktemp("fuzz")
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(Run.fuzz, [Run(name, folder / name) for name in FORMS]))
    return {run.name: run for run in done}


@pytest.mark.parametrize("name", sorted(FORMS))
def test_any_log_gives_records_or_counted_reasons(runs, name):
    run = runs[name]
    assert run.status == 0, run.finds()
    assert run.counts["inputs"] == run.inputs
    # Neither all rubbish nor all unchanged; and guided: it kept inputs that led somewhere new.
    assert min(run.counts["records"], run.counts["failed"]) > run.inputs // 1000, run.counts
    kept = re.search(r"#%d\s+DONE .* corp: (\d+)/" % run.inputs, run.said)
    assert kept and int(kept.group(1)) > 2 * len(run.seeds), run.said[-1000:]


def test_every_parser_is_fuzzed():
    assert {form.parser.type_name for form in FORMS.values()} == {
        "SLURM", "PBS", "SGE", "LSF", "HTCondor", "BLAH",
    }  # fmt: skip
