"""HEPscore23 is the first choice, then HEPSPEC, then si2k, wherever one of several benchmarks is taken."""

import itertools

import pytest
from strategies import NOW

from apel.client.benchmarks import (
    PREFERENCE,
    Benchmark,
    Period,
    all_valid_at,
    benchmark_type,
    manual_benchmark,
)
from apel.client.choice import Event, GridRecord, Rules, decide
from apel.client.glue import Glue1, Glue2, published
from apel.client.options import TABLE
from apel.client.run import advice_for, beside_manual
from apel.messages import decode, encode
from apel.records.rules import BENCHMARK_TYPES

LEVELS = {"HEPscore23": 11.25, "HEPSPEC": 10.2, "si2k": 2500.0}
EVERY_ORDER = list(itertools.permutations(LEVELS.items()))


def test_site_and_messages_prefer_the_same():
    assert PREFERENCE == ("HEPscore23", "HEPSPEC", "si2k")
    assert [name.lower() for name in PREFERENCE] == list(BENCHMARK_TYPES)


@pytest.mark.parametrize("order", EVERY_ORDER)
def test_joiner(order):
    """And the others follow in order of preference, whatever came first."""
    history = [Period("1970-01-01 00:00:00", None, name, value) for name, value in order]
    event = Event(1, "1", "2026-03-10 12:00:00", "2026-03-10 11:00:00", 1, None)
    found = decide(event, [GridRecord(7, "2026-03-10 10:00:00", 1)], Rules({(1, 7): history}, False, {}))
    assert [period.type for period in found.benchmarks] == list(PREFERENCE)
    assert found.benchmark.type == "HEPscore23"
    assert all_valid_at(history[:2], event.end)[0].type == min(dict(order[:2]), key=PREFERENCE.index)


@pytest.mark.parametrize("order", EVERY_ORDER)
@pytest.mark.parametrize("name", ["job_v0.4.txt", "summary_v0.4.txt", "normalised_summary_v0.4.txt"])
def test_text_messages(sample, name, order):
    text = sample("messages/" + name)
    braces = "{%s}" % ", ".join("%s: %s" % pair for pair in order)
    lines = [line.partition("{")[0] + braces if "{" in line else line for line in text.splitlines()]
    message = decode("\n".join(lines), now=NOW)
    (record,) = message.records
    assert record.ServiceLevelType == "HEPscore23"
    assert {one[0] for one in record.Benchmarks} == set(LEVELS)


@pytest.mark.parametrize("order", EVERY_ORDER)
def test_usage_records(sample, order):
    """CAR may have several elements of that name; all are kept, as of a job in text."""
    level = '<urf:ServiceLevel urf:type="%s">%s</urf:ServiceLevel>'
    one = level % ("HEPscore23", 11.25)
    text = sample("messages/car.xml")
    assert text.count(one) == 1
    many = "".join(level % pair for pair in (*order, ("HEPSCORE23", 1.0), ("wattage", "much")))
    (record,) = [r for r in decode(text.replace(one, many), now=NOW).records if r.Benchmarks]
    assert (record.ServiceLevelType, record.ServiceLevel) == ("HEPscore23", 11.25)
    assert record.Benchmarks == tuple(order)
    assert "ServiceLevel: {%s}" % ", ".join("%s: %s" % pair for pair in order) in encode([record], "job v0.4")
    assert level % ("HEPscore23", 11.25) in encode([record], "job car")


def test_usage_record_with_braces_for_a_number_is_refused(sample):
    """D2: braces are a form of text messages."""
    one = '<urf:ServiceLevel urf:type="HEPscore23">11.25</urf:ServiceLevel>'
    bad = "<urf:ServiceLevel>{HEPscore23: 11.25}</urf:ServiceLevel>"
    message = decode(sample("messages/car.xml").replace(one, bad), now=NOW)
    assert any("ServiceLevel" in str(rejected.error) for rejected in message.rejected)


def test_bdii():
    """It gives all there is; which counts, the joiner decides. None of it wins over what is set by hand."""
    info = ["CPUScalingReferenceSI00=2500", "CPUScalingReferenceHEP-SPEC06=10.2"]
    ce = (
        "dn",
        {"glueceuniqueid": ["ce"], "gluececapability": [*info, "CPUScalingReferenceHEPscore23=11.25"]},
    )
    found = published(Glue1([ce], [], []), Glue2([], [], [], []), [])
    assert {one.type: one.value for one in found} == LEVELS
    by_hand = [Benchmark("ce", "HEPSPEC", 9.0)]
    assert [one.type for one in beside_manual(found, by_hand)] == ["si2k"]


def test_configuration():
    """Names in any case; samples and advice name HEPscore23."""
    assert manual_benchmark("ce,hepSCORE23,1").type == benchmark_type("HEPSCORE23") == "HEPscore23"
    sample = TABLE.sample()
    assert "#spec_type = HEPscore23" in sample.replace("# ", "#")
    assert "-batch,HEPscore23,12.5" in sample
    settings = TABLE.defaults({"db.name": "x", "spec_updater.manual_spec#": []})
    settings.path = "client.cfg"
    for line in advice_for({"ce": 1}, {"batch": 1}, settings):
        assert "HEPscore23" in line
