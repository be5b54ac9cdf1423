"""The incumbent's own results from a corpus of logs: our joins, sums and messages must equal them."""

import glob
import os

import pytest
from gridsite import settings_with

from apel.client.benchmarks import manual_benchmark
from apel.client.run import prepare, unload
from apel.messages import decode
from apel.parsers.base import ParserOptions
from apel.parsers.blah import BlahParser
from apel.parsers.slurm import SlurmParser
from apel.records import BlahdRecord, EventRecord

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "data")
CORPUS, GOLDEN = os.path.join(DATA, "corpus", "slurm-400"), os.path.join(DATA, "golden", "slurm")
BATCH = "batch.grid.example.org"
BENCHMARKS = ("HEPscore23,12.5", "HEPscore23,11.0", "HEPSPEC,10.0", "HEPSPEC,9.5")
OPTIONS = {
    "spec_updater__enabled": False,
    "spec_updater__site_name": "TEST-SITE",
    "spec_updater__lrms_server": BATCH,
    "spec_updater__spec_type": "HEPSPEC",
    "spec_updater__spec_value": 9.5,
    "joiner__local_jobs": True,
    "unloader__interval": "all",
}


def lines(kind):
    for path in sorted(glob.glob(os.path.join(CORPUS, kind, "*"))):
        with open(path, encoding="utf-8") as stream:
            yield from stream.read().splitlines()


def configured(**changes):
    manual = [
        ("manual_spec%d" % number, manual_benchmark("%s,%s" % (element(number), benchmark)))
        for number, benchmark in enumerate(BENCHMARKS, 1)
    ]
    return settings_with(spec_updater__manual_spec=manual, **dict(OPTIONS, **changes))


def element(number):
    return "ce0{0}.grid.example.org:9619/ce0{0}.grid.example.org-batch".format(number)


@pytest.fixture
def filled(site):
    """The site with the corpus joined and summed up."""
    options = ParserOptions("TEST-SITE", BATCH, parallel=True)
    for kind, parser in (("batch", SlurmParser(options, lambda time: 0)), ("blah", BlahParser(options))):
        records = parser.parse_lines(list(lines(kind)))
        site.put(*[record for record in records if isinstance(record, (EventRecord, BlahdRecord))])
    done = prepare(site.db, configured())
    assert (done.joined.grid, done.joined.local) == (355, 45), done
    return site


def table(name):
    with open(os.path.join(GOLDEN, name + ".tsv"), encoding="utf-8") as stream:
        head, *rows = [tuple(line.split("\t")) for line in stream.read().splitlines()]
    return head, sorted(rows)


def shown(value):
    """A value as the incumbent's tables have it."""
    if value is None:
        return "NULL"
    return "%.3f" % value if isinstance(value, float) else str(value)


@pytest.mark.parametrize("view", ["VJobRecords", "VSuperSummaries"])
def test_views_equal_the_golden(filled, view):
    head, rows = table(view)
    level = head.index("ServiceLevel")
    found = filled.rows("SELECT %s FROM %s" % (", ".join(head), view))
    texts = [
        tuple("%.3f" % value if place == level else shown(value) for place, value in enumerate(row))
        for row in found
    ]
    assert sorted(texts) == rows


@pytest.mark.parametrize(
    "folder, changes",
    [
        ("messages", {}),
        ("messages_v04", {"unloader__dict_benchmark_type": True}),
        ("messages_summaries", {"unloader__send_summaries": True}),
        (
            "messages_summaries_v04",
            {"unloader__send_summaries": True, "unloader__dict_benchmark_type": True},
        ),
    ],
)
def test_messages_equal_the_golden(filled, queue, folder, changes):
    """As parsed records, in any order; and each in a message of the same format."""
    filled.execute("UPDATE JobRecords SET UpdateTime = '2026-05-01 00:00:00'")
    assert unload(filled.db, configured(**changes), queue).invalid == 0
    golden = []
    for path in sorted(glob.glob(os.path.join(GOLDEN, folder, "*.txt"))):
        with open(path, encoding="utf-8") as stream:
            golden.append(decode(stream.read()))
    assert by_format(queue.messages()) == by_format(golden)


def by_format(messages):
    found = {}
    for message in messages:
        assert not message.rejected
        found.setdefault(message.format, []).extend(map(repr, message.records))
    return {name: sorted(records) for name, records in found.items()}
