"""Whatever is written is read back the same, and nothing that is sent can make the reader fall over."""

import random

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from strategies import NOW
from wreckage import survives, wreck

from apel.messages import FORMATS, decode, encode
from apel.records import SummaryRecord


def some_records(name):
    """Lists of records that fit a format."""
    record_class = FORMATS[name].record_class
    any_benchmark = record_class is SummaryRecord and not FORMATS[name].dict_benchmark
    absent = {"ServiceLevelType": None} if name == "normalised summary v0.3" else {}
    records = strategies.records(record_class, any_benchmark)
    return st.lists(records.map(lambda record: record.replace(**absent)), max_size=4)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_decoding_what_was_encoded_gives_the_same_records(name):
    @given(records=some_records(name))
    def check(records):
        text = encode(records, name, include_infrastructure_description=True, now=NOW)
        message = decode(text, now=NOW)
        assert (message.format, message.record_class) == (name, FORMATS[name].record_class)
        assert message.records == records
        assert message.rejected == []
        assert all(type(record) is message.record_class for record in message.records)
        assert encode(message.records, name, True, now=NOW) == text

    check()


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_order_and_spacing_of_lines_make_no_difference(name):
    """The usual form is read by another path than all others: both must agree."""

    @given(records=some_records(name), seed=st.integers(0, 2**32))
    def check(records, seed):
        shuffle = random.Random(seed)
        header, *lines = encode(records, name, True, now=NOW).split("\n")
        chunks = "\n".join(lines).split("%%\n")
        odd = []
        for chunk in chunks[:-1]:
            pairs = [line.partition(":")[::2] for line in chunk.strip("\n").split("\n")]
            shuffle.shuffle(pairs)
            odd.append("\r\n".join(f"  {key}\t:{value.strip()}  " for key, value in pairs) + "\r\n")
        message = decode(header + "\r\n\r\n" + " %%\t\r\n".join(odd), now=NOW)
        assert message.records == records and message.rejected == []

    check()


@pytest.mark.parametrize("name", ["job_v0.3", "job_v0.4", "summary_v0.2", "summary_v0.4", "sync_v0.1"])
def test_wrecked_messages_never_raise_anything_but_record_errors(name, sample):
    """D2, D3: a rejected record put in a message of its own is rejected again, for the same reason."""
    text = sample(f"messages/{name}.txt")
    chance = random.Random(name)
    outcomes = [survives(wreck(text, chance)) for _ in range(1200)]
    assert any(outcome and outcome.records for outcome in outcomes)
    assert any(outcome and outcome.rejected for outcome in outcomes)
    assert any(outcome is None for outcome in outcomes)


@given(text=st.text())
def test_any_text_never_raises_anything_but_record_errors(text):
    """D2"""
    survives(text)
    survives("APEL-sync-message: v0.1\n" + text)


@given(body=st.text(alphabet="%\n :aSiteMonth01"))
def test_separators_anywhere(body):
    """D2"""
    survives("APEL-sync-message: v0.1\n" + body)
