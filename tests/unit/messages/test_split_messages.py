"""Messages that are cut because they are too large for a broker: all records arrive, as they were."""

import json

import pytest
from central_records import normalised, storage
from centre import jobs, summary

from apel.messages import decode, encode
from apel.records import AcceleratorRecord
from ssm.splitting import halves

MANY = 7


def accelerators():
    return [
        AcceleratorRecord.of(
            MeasurementMonth=3,
            MeasurementYear=2025,
            AssociatedRecordType="cloud",
            AssociatedRecord="vm-%d" % number,
            GlobalUserName="/CN=Ada \u00c9",
            SiteName="EXAMPLE-NORTH",
            Count=1.5,
            AvailableDuration=1000 + number,
            Type="GPU",
        )
        for number in range(MANY)
    ]


FORMS = {
    "job v0.3": lambda: jobs(MANY, GlobalUserName="/CN=Ada \u00c9 <&> ]]>"),
    "job car": lambda: jobs(MANY, GlobalUserName="/CN=Ada \u00c9 <&> ]]>"),
    "storage star": lambda: [storage(RecordId=str(number)) for number in range(MANY)],
    "summary aur": lambda: [summary(VO="vo%d" % number) for number in range(MANY)],
    "normalised summary aur": lambda: [normalised(VO="vo%d" % number) for number in range(MANY)],
    "accelerator v0.1": accelerators,
}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_halves_of_a_message_hold_all_of_its_records(form):
    """S10: in the order they had, down to the last one, which can't be cut."""
    text = encode(FORMS[form](), form)
    whole = decode(text)
    todo, records, parts = [text.encode("utf-8")], [], 0
    while todo:
        part = todo.pop()
        two = halves(part)
        if two is not None:
            todo += two[::-1]
            continue
        found = decode(part.decode("utf-8"))
        assert found.rejected == [] and found.format == whole.format
        records += found.records
        parts += 1
    assert parts == MANY
    assert records == whole.records


def test_numbers_of_json_stay_what_they_are():
    text = '{"Type": "x", "A": [{"n": 0.1, "m": 12345678901234567890}, {"n": 1e-7, "s": "\u00e9\\n"}]}'
    first, second = (json.loads(half.decode("utf-8")) for half in halves(text.encode("utf-8")))
    assert first["A"] + second["A"] == json.loads(text)["A"]
    assert first["Type"] == second["Type"] == "x"
