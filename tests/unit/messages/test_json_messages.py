"""Messages in JSON: accelerators and public IP addresses, as they are read, refused and written."""

import json
import random

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from strategies import NOW
from wreckage import survives, wreck

from apel.errors import RecordError
from apel.messages import JSON_FORMATS, decode, encode, join
from apel.records import AcceleratorRecord, PublicIpRecord

ACCELERATOR = {
    "MeasurementMonth": 3,
    "MeasurementYear": 2025,
    "AssociatedRecordType": "cloud",
    "AssociatedRecord": "0b8f4b0e-2f3c-4f0e-9b55-5a1f2a7c9d01",
    "GlobalUserName": "9d2f@egi.example",
    "FQAN": "/vo.example.org/Role=member/Capability=NULL",
    "SiteName": "EXAMPLE-CLOUD",
    "Count": 0.5,
    "Cores": 64,
    "AvailableDuration": 2678400,
    "ActiveDuration": 2678400,
    "Type": "GPU",
    "Model": "VendorA-ModelB",
}
SUMMARY = {
    "Month": 3,
    "Year": 2025,
    "AssociatedRecordType": "job",
    "SiteName": "EXAMPLE-NORTH",
    "Count": 2,
    "AvailableDuration": 7200,
    "Type": "GPU",
    "NumberOfRecords": 3,
}
# As cASO sends it: with a uuid, without what it doesn't know.
IP = {
    "uuid": "3c5b2a9e-88e1-4f11-9d41-b1f1f0a6a001",
    "MeasurementTime": 1741305600,
    "SiteName": "EXAMPLE-CLOUD",
    "CloudComputeService": None,
    "CloudType": "caso/5.3.0 (OpenStack)",
    "LocalGroup": "f1d4f1",
    "FQAN": "vo.example.org",
    "IPVersion": 4,
    "IPCount": 7,
}
IP_SUMMARY = {
    **{key: IP[key] for key in ("SiteName", "CloudType", "LocalGroup", "FQAN", "IPVersion")},
    **{"Month": 3, "Year": 2025, "LastIPCount": 7, "AverageIPCount": 6.5, "MaximumIPCount": 9},
    **{"EarliestMeasurementTime": 1741305600, "LatestMeasurementTime": 1741392000, "NumberOfMeasurements": 2},
}
GOOD = {
    "accelerator v0.1": ACCELERATOR,
    "accelerator summary v0.1": SUMMARY,
    "public ip v0.2": IP,
    "public ip summary v0.1": IP_SUMMARY,
}


def body(*records, name="accelerator v0.1", **frame):
    """The message of records, its frame changed; a frame's member that is None isn't there."""
    members = {
        "Type": JSON_FORMATS[name].type,
        "Version": JSON_FORMATS[name].versions[0],
        "UsageRecords": records,
    }
    members.update(frame)
    return json.dumps({key: value for key, value in members.items() if value is not None})


def error_of(text):
    with pytest.raises(RecordError) as caught:
        decode(text, now=NOW)
    assert str(caught.value).isprintable()
    return str(caught.value)


def reason_for(name="accelerator v0.1", **changes):
    """Why the good record with these changes is refused."""
    message = decode(body(dict(GOOD[name], **changes), name=name), now=NOW)
    assert message.records == [] and len(message.rejected) == 1
    return str(message.rejected[0].error)


def only(text):
    message = decode(text, now=NOW)
    assert not message.rejected
    (record,) = message.records
    return record


def test_an_accelerator_record():
    record = only(body(ACCELERATOR))
    assert isinstance(record, AcceleratorRecord)
    assert {**ACCELERATOR, **record.as_dict()} == {
        **ACCELERATOR,
        **{"VO": "vo.example.org", "VOGroup": "/vo.example.org", "VORole": "Role=member"},
        **{"BenchmarkType": None, "Benchmark": None},
    }


def test_an_ip_record_of_caso():
    record = only(body(IP, name="public ip v0.2", Version="0.2"))
    assert isinstance(record, PublicIpRecord)
    assert (record.VO, record.LocalUser, record.GlobalUserName, record.IPCount) == (
        "vo.example.org",
        None,
        None,
        7,
    )


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("accelerator v0.1", {"Type": "APEL-Accelerator-message"}),
        ("accelerator v0.1", {"Type": " apel gpu MESSAGE"}),
        ("accelerator v0.1", {"Version": "v0.1"}),
        ("accelerator v0.1", {"Version": 0.1}),
        ("accelerator v0.1", {"Comment": {"deep": [1, {"er": None}]}}),
        ("accelerator summary v0.1", {"Type": "APEL-Accelerator-Summary-message"}),
        ("public ip v0.2", {"Version": "0.2"}),
        ("public ip v0.2", {"Type": "APEL public ip message"}),
    ],
)
def test_variants_of_the_frame_that_are_accepted(name, frame):
    assert decode(body(GOOD[name], name=name, **frame), now=NOW).format == name


def test_members_stand_in_any_order_and_spacing():
    text = ' {\r\n"UsageRecords"\t:[ %s ,\n%s]\n, "Version":"0.1","Type":"APEL-accelerator-message"\n} '
    message = decode(text % (json.dumps(ACCELERATOR), json.dumps(ACCELERATOR, indent=4)), now=NOW)
    assert len(message.records) == 2 and message.records[0] == message.records[1]


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"Cores": 64.0}, "Cores", 64),
        ({"Count": 2}, "Count", 2.0),
        ({"Cores": None}, "Cores", None),
        ({"ActiveDuration": None}, "ActiveDuration", None),
        ({"FQAN": "None"}, "FQAN", None),
        ({"FQAN": None}, "VO", None),
        ({"GlobalUserName": None}, "GlobalUserName", None),
        ({"Type": "gpu"}, "Type", "GPU"),
        ({"AssociatedRecordType": "JOB"}, "AssociatedRecordType", "job"),
        ({"CloudType": "x", "CloudComputeService": "y", "uuid": 1}, "Model", "VendorA-ModelB"),
        ({"Model": "Z\u00fcrich"}, "Model", "Z\u00fcrich"),
        ({"BenchmarkType": "x", "Benchmark": 1.5}, "Benchmark", 1.5),
    ],
)
def test_values_that_are_accepted(changes, field, value):
    got = getattr(only(body(dict(ACCELERATOR, **changes))), field)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Malformed JSON: Expecting property name"),
        ('{"Type"}', "Malformed JSON: Expecting ':'"),
        ("{} x", "Malformed JSON: Extra data"),
        ('{"a": 1,}', "Malformed JSON: Expecting property name"),
        ('{"UsageRecords": [{},]}', "Malformed JSON: Expecting value"),
        ('{"a": "\n"}', "Malformed JSON: Invalid control character"),
        ('{"a": ' + "[" * 100000, "Malformed JSON: it is nested too deeply"),
        ('{"a": ' + '{"a":' * 100000, "Malformed JSON: it is nested too deeply"),
        ("{}", "Type of JSON message not provided."),
        (body(ACCELERATOR, Type=None), "Type of JSON message not provided."),
        (body(ACCELERATOR, Type=["x"]), "Unsupported JSON message type: ['x']"),
        (body(ACCELERATOR, Type="APEL-fun\n\ud800"), "Unsupported JSON message type: APEL-fun"),
        (body(ACCELERATOR, Version="0.2"), "APEL-accelerator-message schema: Version '0.2' is not 0.1"),
        (body(ACCELERATOR, Version=None), "Version None is not 0.1"),
        (body(ACCELERATOR, Version=True), "Version True is not 0.1"),
        (body(), "UsageRecords holds 0 records, from 1 to 1000 are allowed"),
        (body(*[ACCELERATOR] * 1001), "UsageRecords holds 1001 records"),
        (body(UsageRecords=None), "UsageRecords is no list, or absent"),
        (body(UsageRecords=ACCELERATOR), "UsageRecords is no list, or absent"),
        ('{"Type": "x", "Type": "APEL-accelerator-message"}', "Duplicate key: Type"),
    ],
)  # fmt: skip
def test_whole_messages_that_are_refused(text, reason):
    """D2, D3"""
    assert reason in error_of(text)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Colour": 1}, "Unknown field: Colour"),
        ({"VO": "x"}, "Unknown field: VO"),
        ({"Count": None}, "Count: mandatory, and absent"),
        ({"Count": "1"}, "Count: Invalid float value"),
        ({"Count": -0.5}, "Count: -0.5 is less than 0"),
        ({"Count": float("nan")}, "Count: nan is not a finite number"),
        ({"Count": 10**400}, "Count: inf is not a finite number"),
        ({"Count": True}, "Count: Invalid float value True"),
        ({"Cores": 1.5}, "Cores: Invalid int value 1.5"),
        ({"Cores": float("inf")}, "Cores: Invalid int value inf"),
        ({"Cores": float("nan")}, "Cores: Invalid int value nan"),
        ({"Cores": "64"}, "Cores: Invalid int value '64'"),
        ({"Cores": 10**25}, "Cores: 10000000000000000000000000 is more than"),
        ({"AvailableDuration": -1}, "AvailableDuration: -1 is less than 0"),
        ({"MeasurementMonth": 13}, "MeasurementMonth: 13 is more than 12"),
        ({"MeasurementYear": 1999}, "MeasurementYear: 1999 is less than 2000"),
        ({"MeasurementYear": 2106}, "MeasurementYear: 2106 is more than 2105"),
        ({"MeasurementMonth": 12, "MeasurementYear": 2105}, None),
        ({"Type": "TPU"}, "Type: 'TPU' is not one of GPU, FPGA, Other"),
        ({"Type": None}, "Type: mandatory, and absent"),
        ({"AssociatedRecordType": "vm"}, "AssociatedRecordType: 'vm' is not one of cloud, job"),
        ({"SiteName": " "}, "SiteName: mandatory, and absent"),
        ({"SiteName": {"a": 1}}, "SiteName: a dict where text belongs"),
        ({"SiteName": "a\nb"}, "SiteName: control character"),
        ({"SiteName": "\ud800"}, "SiteName: control character"),
        ({"Model": "x" * 256}, "Model: 256 characters"),
        ({"Benchmark": 1e300}, "Benchmark: 1e+300 is more than"),
    ],
)
def test_records_that_are_refused(changes, reason):
    """D2, D3: the others of the message are not touched, and what is refused can be replayed."""
    bad = dict(ACCELERATOR, **changes)
    text = body(ACCELERATOR, bad, ACCELERATOR)
    if reason is None:
        now = decode(text, now=NOW - 40 * 86400)
        assert "is in the future" in str(now.rejected[0].error)
        return
    message = decode(text, now=NOW)
    assert len(message.records) == 2
    (rejected,) = message.rejected
    assert rejected.number == 2 and reason in str(rejected.error)
    (again,) = decode(rejected.text, now=NOW).rejected
    assert (again.number, str(again.error)) == (1, str(rejected.error))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"IPVersion": 5}, "IPVersion: 5 is neither 4 nor 6"),
        ({"IPCount": -1}, "IPCount: -1 is less than 0"),
        ({"MeasurementTime": None}, "MeasurementTime: mandatory, and absent"),
        ({"MeasurementTime": NOW + 10 * 86400}, "MeasurementTime"),
    ],
)
def test_ip_records_that_are_refused(changes, reason):
    assert reason in reason_for("public ip v0.2", **changes)


def test_what_is_no_record_is_refused_by_itself():
    text = body(ACCELERATOR).replace("[", '[3, null, [1], {"Count": 1, "Type": 2, "Count": 1}, ')
    message = decode(text, now=NOW)
    assert len(message.records) == 1
    assert [str(one.error) for one in message.rejected] == [
        "a int where a record belongs",
        "a NoneType where a record belongs",
        "a list where a record belongs",
        "Duplicate key: Count",
    ]


def test_rejected_records_are_joined_as_they_were_sent():
    text = body(ACCELERATOR).replace("[", '[{ "Count" : 1.50, "Count": 1 }, {\n"x": "\\ud800"}, ')
    message = decode(text, now=NOW)
    joined = join([one.text for one in message.rejected], message.format)
    assert '{ "Count" : 1.50, "Count": 1 },\n{\n"x": "\\ud800"}\n' in joined
    assert [str(one.error) for one in decode(joined, now=NOW).rejected] == [
        str(one.error) for one in message.rejected
    ]


def test_nested_values_of_any_depth_are_refused():
    """D2: also of a depth that can be read, and is then shown in a reason."""
    for depth in [*range(1, 1100, 50), 5000]:
        deep = "[" * depth + "]" * depth
        for key in ("Type", "Version"):
            frame = {"Type": "APEL-accelerator-message", "Version": "0.1", key: "DEEP"}
            assert error_of(json.dumps(frame).replace('"DEEP"', deep))
        text = body(ACCELERATOR, ACCELERATOR)
        for sent in ('"EXAMPLE-CLOUD"', "0.5", "64", "2678400"):
            survives(text.replace(sent, deep, 1))


def test_very_many_digits_take_no_time():
    """A number of a million digits would take the interpreter minutes, or fail it."""
    text = body(ACCELERATOR).replace("2678400", "9" * 1000000)
    assert "Invalid int value inf" in str(decode(text, now=NOW).rejected[0].error)


def test_what_is_written_has_what_other_receivers_demand():
    record = AcceleratorRecord.of(
        MeasurementMonth=3,
        MeasurementYear=2025,
        AssociatedRecordType="job",
        AssociatedRecord="4711",
        SiteName="EXAMPLE-NORTH",
        Count=2,
        AvailableDuration=3600,
        Type="GPU",
    )
    written = json.loads(encode([record], "accelerator v0.1", now=NOW))
    assert written == {
        "Type": "APEL-accelerator-message",
        "Version": "0.1",
        "UsageRecords": [
            {
                "MeasurementMonth": 3,
                "MeasurementYear": 2025,
                "AssociatedRecordType": "job",
                "AssociatedRecord": "4711",
                "FQAN": "None",
                "SiteName": "EXAMPLE-NORTH",
                "Count": 2,
                "AvailableDuration": 3600,
                "Type": "GPU",
                "Model": "None",
            }
        ],
    }


def test_only_as_many_records_are_written_as_may_be_read():
    record = only(body(ACCELERATOR))
    encode([record] * 1000, "accelerator v0.1", now=NOW)
    for count in (0, 1001):
        with pytest.raises(RecordError, match="from 1 to 1000"):
            encode([record] * count, "accelerator v0.1", now=NOW)
    with pytest.raises(RecordError, match="a AcceleratorRecord can't stand in 'APEL Public IP message'"):
        encode([record], "public ip v0.2", now=NOW)
    bad = record.replace(Count=-1.0)
    with pytest.raises(RecordError) as caught:
        encode([record, bad], "accelerator v0.1", now=NOW)
    assert caught.value.number == 2


@pytest.mark.parametrize("name", sorted(JSON_FORMATS))
def test_decoding_what_was_encoded_gives_the_same_records(name):
    @given(records=st.lists(strategies.records(JSON_FORMATS[name].record_class), min_size=1, max_size=4))
    def check(records):
        text = encode(records, name, now=NOW)
        message = decode(text, now=NOW)
        assert message.rejected == [] and message.format == name
        assert message.records == records
        assert [list(map(type, one)) for one in message.records] == [list(map(type, one)) for one in records]
        assert encode(message.records, name, now=NOW) == text

    check()


@pytest.mark.parametrize("name", sorted(JSON_FORMATS))
def test_wrecked_messages_never_raise_anything_but_record_errors(name):
    """D2, D3"""
    text = body(*[GOOD[name]] * 3, name=name)
    chance = random.Random(name)
    outcomes = [survives(wreck(text, chance)) for _ in range(600)]
    assert any(outcome and outcome.records for outcome in outcomes)
    assert any(outcome and outcome.rejected for outcome in outcomes)
    assert any(outcome is None for outcome in outcomes)


@given(text=st.text(alphabet='{}[]",: \n0.e-\\uTypeVersionUsageRecords'))
def test_any_text_in_braces_never_raises_anything_but_record_errors(text):
    """D2"""
    survives("{" + text)
    survives('{"Type": "APEL-accelerator-message", "Version": "0.1", "UsageRecords": [' + text)
