"""The incumbent's own results from a corpus of logs: our joins, sums and messages must equal them."""

import glob
import os

import pytest
from gridsite import settings_with

from apel.client.benchmarks import manual_benchmark
from apel.client.run import prepare, unload
from apel.messages import decode
from apel.parsers import (
    BlahParser,
    HTCondorParser,
    LsfParser,
    ParserOptions,
    PbsParser,
    SGEParser,
    SlurmParser,
)
from apel.records import BlahdRecord, EventRecord, JobRecord

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "data")
PARSERS = {
    "slurm": lambda options: SlurmParser(options, lambda time: 0),
    "pbs": PbsParser,
    "lsf": LsfParser,
    "htcondor": HTCondorParser,
    "sge": SGEParser,
}
#: Where the incumbent is wrong: the queue is in these logs, too, and Grid Engine's memory has other units.
UNLIKE = {"pbs": ("Queue",), "sge": ("Queue", "MemoryReal", "MemoryVirtual")}
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


def lines(system, kind):
    for path in sorted(glob.glob(os.path.join(DATA, "corpus", system + "-400", kind, "*"))):
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


def fill(site, system):
    """The site with the logs of a corpus joined and summed up."""
    options = ParserOptions("TEST-SITE", BATCH, parallel=True)
    for kind, parser in (("batch", PARSERS[system](options)), ("blah", BlahParser(options))):
        records = parser.parse_lines(list(lines(system, kind)))
        site.put(*[record for record in records if isinstance(record, (EventRecord, BlahdRecord))])
    done = prepare(site.db, configured())
    assert (done.joined.grid, done.joined.local) == (355, 45), done
    return site


def table(system, name):
    with open(os.path.join(DATA, "golden", system, name + ".tsv"), encoding="utf-8") as stream:
        head, *rows = [tuple(line.split("\t")) for line in stream.read().splitlines()]
    return head, sorted(rows)


def shown(value):
    """A value as the incumbent's tables have it."""
    if value is None:
        return "NULL"
    return "%.3f" % value if isinstance(value, float) else str(value)


@pytest.mark.parametrize("view", ["VJobRecords", "VSuperSummaries"])
@pytest.mark.parametrize("system", sorted(PARSERS))
def test_views_equal_the_golden(site, system, view):
    head, rows = table(system, view)
    found = fill(site, system).rows("SELECT %s FROM %s" % (", ".join(head), view))
    texts = []
    for row in found:
        values = dict(zip(head, row))
        if system in UNLIKE and "Queue" in head:
            assert values["Queue"] in ("grid", "long", "short", "multicore")
        values["ServiceLevel"] = "%.3f" % values["ServiceLevel"]
        texts.append(tuple(map(shown, values.values())))
    places = [place for place, name in enumerate(head) if name not in UNLIKE.get(system, ())]
    assert chosen(texts, places) == chosen(rows, places)


def chosen(rows, places):
    return sorted(tuple(row[place] for place in places) for row in rows)


@pytest.mark.parametrize(
    "system, folder, changes",
    [
        *((system, "messages", {}) for system in sorted(PARSERS)),
        ("slurm", "messages_v04", {"unloader__dict_benchmark_type": True}),
        ("slurm", "messages_summaries", {"unloader__send_summaries": True}),
        (
            "slurm",
            "messages_summaries_v04",
            {"unloader__send_summaries": True, "unloader__dict_benchmark_type": True},
        ),
    ],
)
def test_messages_equal_the_golden(site, queue, system, folder, changes):
    """As parsed records, in any order; and each in a message of the same format."""
    fill(site, system).execute("UPDATE JobRecords SET UpdateTime = '2026-05-01 00:00:00'")
    assert unload(site.db, configured(**changes), queue).invalid == 0
    golden = []
    for path in sorted(glob.glob(os.path.join(DATA, "golden", system, folder, "*.txt"))):
        with open(path, encoding="utf-8") as stream:
            golden.append(decode(stream.read()))
    unlike = UNLIKE.get(system, ())
    assert by_format(queue.messages(), unlike) == by_format(golden, unlike)


def test_usage_records_equal_the_golden(site, queue):
    """send_ur: jobs as CAR, equal to the incumbent's own; sync counts stay text."""
    fill(site, "slurm")
    assert unload(site.db, configured(unloader__send_ur=True), queue).invalid == 0
    golden = []
    for path in sorted(glob.glob(os.path.join(DATA, "golden", "slurm", "messages_car", "*.txt"))):
        with open(path, encoding="utf-8") as stream:
            golden.append(decode(stream.read()))
    found = by_format(queue.messages(), ())
    assert found == by_format(golden, ())
    assert {name: len(records) for name, records in found.items()} == {"job car": 400, "sync v0.1": 10}


def by_format(messages, unlike):
    found = {}
    for message in messages:
        assert not message.rejected
        for record in message.records:
            if isinstance(record, JobRecord):
                record = record.replace(**dict.fromkeys(unlike))
            found.setdefault(message.format, []).append(repr(record))
    return {name: sorted(records) for name, records in found.items()}
