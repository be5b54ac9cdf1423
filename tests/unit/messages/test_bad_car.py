"""Bad XML: refused as a whole with its true reason, or record by record; never more than that."""

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import NOW

from apel.errors import RecordError
from apel.messages import decode, join

CAR = "http://eu-emi.eu/namespaces/2012/11/computerecord"
GOOD = """<x:UsageRecord><x:LocalJobId>%s</x:LocalJobId><x:Site>S</x:Site>
<x:WallDuration>PT2S</x:WallDuration><x:CpuDuration>PT1S</x:CpuDuration><x:StartTime>2025-03-07T00:00:00Z</x:StartTime>
<x:EndTime>2025-03-07T02:00:00Z</x:EndTime></x:UsageRecord>
"""
ROOT = '<x:UsageRecords xmlns:x="%s">\n%s</x:UsageRecords>'
BAD = GOOD.replace("PT2S", "PT-2S")
SPLINTERS = [
    *["<", ">", "/>", "</", "&", "&amp;", "&#0;", "&#xFFFE;", "&x;", "]]>", "<![CDATA[", "<!--", "-->", "--"],
    *[
        "<?xml version='1.0'?>",
        "<!DOCTYPE a>",
        "<x:Site>",
        "</x:Site>",
        "x:",
        "urf:",
        ' xmlns="y"',
        "xmlns:x",
    ],
    *['"', "'", "=", " ", "\n", "\r", "\x00", "\ufffe", "\ud800", "\U0001f600", "é", "None", "PT1H", "%%"],
    *[
        "P" * 99,
        "9" * 30,
        "<x:UsageRecord>",
        "</x:UsageRecord>",
        "2025-02-30T00:00:00Z",
        ' x:usageType="all"',
    ],
]


def whole(text):
    """Why a message is refused as a whole."""
    with pytest.raises(RecordError) as caught:
        decode(text, now=NOW)
    assert caught.value.field == "" and caught.value.reason.isprintable()
    return caught.value.reason


def reason(record):
    """Why a record is refused, between two good ones that are read."""
    message = decode(ROOT % (CAR, GOOD % 1 + record + GOOD % 3), now=NOW)
    assert [one.LocalJobId for one in message.records] == ["1", "3"]
    ((number, _, error),) = message.rejected
    assert number == 2
    return str(error)


@pytest.mark.parametrize(
    "namespace, told",
    [
        ("http://eu-emi.eu/namespaces/2012/11/aggregatedcomputerecord", "File does not contain AUR records!"),
        ("http://eu-emi.eu/namespaces/2011/02/storagerecord", "File does not contain StAR records!"),
        ("http://eu-emi.eu/namespaces/2011/02/another", "XML format not recognised."),
        ("http://eu-emi.eu/namespaces/2012/10/computerecord", "XML format not recognised."),
        ("http://schema.ogf.org/urf/2003/09/urf", "XML format not recognised."),
    ],
)
def test_other_namespaces(namespace, told):
    """It is the root element's that counts, whatever its name."""
    assert whole(ROOT % (namespace, GOOD % 1)).startswith(told)


def test_no_namespace():
    assert whole("<?xml version='1.0'?>\n<UsageRecords/>") == "XML format not recognised."


def test_no_records():
    assert whole(ROOT % (CAR, "")) == "File does not contain car records!"
    assert whole('<Site xmlns="%s">S</Site>' % CAR) == "File does not contain car records!"


@pytest.mark.parametrize("text", ["<", "<a", "<a>", "<a></b>", "<a/><a/>", "<x:a/>", "<a b=c/>", "<\x00>"])
def test_what_is_not_well_formed_is_refused_in_the_parsers_words(text):
    assert whole(text)


def test_a_message_that_breaks_off():
    text = ROOT % (CAR, GOOD % 1 + GOOD % 2)
    assert whole(text[:-40]).startswith(("no element found", "unclosed token"))


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE a [<!ENTITY % a SYSTEM "http://127.0.0.1/a.dtd"> %a;]>',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE a PUBLIC "-//A//B" "http://127.0.0.1/a.dtd">',
        "<!DOCTYPE a>",
    ],
)
def test_entity_bombs_and_external_entities(doctype):
    """D11: no document type at all."""
    text = '<?xml version="1.0"?>\n%s\n' % doctype + ROOT % (CAR, GOOD % "&b;")
    assert whole(text) == "XML with a document type (DOCTYPE) is not accepted"


OPEN = '<UsageRecords xmlns="%s">' % CAR
MEGABYTES_100 = 100000000


@pytest.mark.parametrize(
    "start, more, told",
    [
        ("", "<", "not well-formed"),
        (OPEN, "<a>", "elements more than 32 deep"),
        ("<", "a", "a tag or comment of more than"),
        (OPEN, "\n", "no element found"),
        (OPEN + "<!--", "x", "a tag or comment of more than"),
        (OPEN + '<a b="', "x", "a tag or comment of more than"),
        ("<!DOCTYPE a [", " ", "document type"),
    ],
)
def test_a_hundred_megabytes_are_rejected_at_once(start, more, told):
    """D11: within a few megabytes of memory beside the message itself."""
    text = start + more * (MEGABYTES_100 // len(more))
    tracemalloc.start()
    try:
        assert told in whole(text)
        assert tracemalloc.get_traced_memory()[1] < 8000000
    finally:
        tracemalloc.stop()


def test_many_names_and_large_namespaces():
    """D11: what a parser keeps of a document that it forgets."""
    assert "different names" in whole(OPEN + "".join("<a%d/>" % number for number in range(20000)))
    assert "characters of namespaces" in whole('<a xmlns="%s">' % ("x" * 3000))
    many = " ".join('xmlns:n%d="urn:%d"' % (number, number) for number in range(300))
    assert "characters of namespaces" in whole("<a %s>" % many)


def test_one_bad_record_among_a_thousand_is_refused_alone():
    """D3: and the text it is kept with is a document that can be sent again once it is put right."""
    records = "".join((BAD if number == 417 else GOOD) % number for number in range(1000))
    message = decode(ROOT % (CAR, records), now=NOW)
    assert [record.LocalJobId for record in message.records] == [str(n) for n in range(1000) if n != 417]
    ((number, alone, error),) = message.rejected
    assert (number, str(error)) == (418, "WallDuration: Invalid duration 'PT-2S'")
    (record,) = decode(alone.replace("PT-2S", "PT2S"), now=NOW).records
    assert (record.LocalJobId, record.WallDuration) == ("417", 2)


@pytest.mark.parametrize(
    "text",
    [
        '<UsageRecords xmlns="{0}" xmlns:a="{0}" xmlns:urf="b"><UsageRecord>{1}</UsageRecord></UsageRecords>',
        '<a:UsageRecords xmlns:a="{0}"><UsageRecord xmlns="{0}" b="&gt;>">{1}</UsageRecord></a:UsageRecords>',
        '<!-- \xe9\u20ac --><a:UsageRecord xmlns:a="{0}" xmlns="{0}">{1}</a:UsageRecord >',
        '<a:UsageRecords xmlns:a="{0}"><b xmlns="{0}"><UsageRecord\n>{1}</UsageRecord></b></a:UsageRecords>',
    ],
)
def test_the_text_of_a_rejected_record_has_its_namespaces(text):
    """Wherever they were declared; and characters of several bytes move nothing."""
    elements = "<Site>\xe9</Site><Infrastructure a:type='\u20acgrid'/><LocalJobId/>"
    ((_, alone, error),) = decode(text.format(CAR, elements), now=NOW).rejected
    ((_, again, same),) = decode(alone, now=NOW).rejected
    assert str(error) == str(same) == "LocalJobId: mandatory, and absent"
    assert elements in alone and elements in again
    assert len(decode(join([alone, again], "job car"), now=NOW).rejected) == 2


def test_an_empty_record():
    text = '<a:UsageRecords xmlns:a="%s"><a:UsageRecord b=">"/></a:UsageRecords>' % CAR
    ((_, alone, _),) = decode(text, now=NOW).rejected
    assert '\n<a:UsageRecord xmlns:a="%s" b=">"/>\n</urf:UsageRecords>' % CAR in alone


@pytest.mark.parametrize(
    "name", ["Site", "LocalJobId", "WallDuration", "CpuDuration", "StartTime", "EndTime"]
)
@pytest.mark.parametrize("how", ["", "None", "gone"])
def test_mandatory_fields(name, how):
    start, end = GOOD.index("<x:%s>" % name), GOOD.index("</x:%s>" % name)
    inner = start + len(name) + 4
    record = GOOD[:start] + GOOD[end + len(name) + 5 :] if how == "gone" else GOOD[:inner] + how + GOOD[end:]
    assert reason(record.replace("%s", "2")) == "%s: mandatory, and absent" % name


@pytest.mark.parametrize(
    "raw",
    ["P", "PT", "P1DT", "-PT2S", "PT-2S", "PT1.5H", "PT1.S", "2", "PT2s", "P1D2H", "PT1S1M", "PT" + "9" * 99],
)
def test_durations_that_are_none(raw):
    assert reason(GOOD.replace("PT2S", raw) % 2).startswith("WallDuration: Invalid duration '")


def test_a_duration_of_more_than_63_bits():
    assert reason(GOOD.replace("PT2S", "P999999999999999999D") % 2).startswith(
        "WallDuration: Invalid int value '86399"
    )


@pytest.mark.parametrize(
    "raw",
    [
        *["1741312800", "2025-03-07", "2025-02-30T02:00:00Z", "2025-03-07T24:00:00Z", "2025-03-07T02:00Z"],
        *["2025-03-07T02:00:00.Z", "2025-03-07T02:00:00+1", "2025-03-07T02:00:00 Z", "today", "9" * 5000],
    ],
)
def test_times_that_are_none(raw):
    assert reason(GOOD.replace("2025-03-07T02:00:00Z", raw) % 2).startswith("EndTime: Invalid time '")


@pytest.mark.parametrize(
    "extra, told",
    [
        ('<x:CpuDuration x:usageType="all">PT1S</x:CpuDuration>' * 2, "CpuDuration: more than one has"),
        ("<x:ServiceLevel>10</x:ServiceLevel>", "ServiceLevel: a benchmark value but no type"),
        ('<x:ServiceLevel x:type="HEPSPEC"/>', "ServiceLevel: a benchmark type but no value"),
        ('<x:ServiceLevel x:type="HEPSPEC06">10</x:ServiceLevel>', "ServiceLevelType: ScalingFactorUnit"),
        ('<x:ServiceLevel x:type="HEPSPEC">inf</x:ServiceLevel>', "ServiceLevel: Invalid float value"),
        ("<x:Processors>2.5</x:Processors>", "Processors: Invalid int value '2.5'"),
        ("<x:NodeCount>-1</x:NodeCount>", "NodeCount: -1 is less than 0"),
        ("<x:Queue>a\nb</x:Queue>", "Queue: control character '\\n' in the value"),
        ("<x:Queue>a%%b</x:Queue>", "Queue: '%%', the separator of records, in the value"),
        ("<x:Queue>" + "x" * 256 + "</x:Queue>", "Queue: 256 characters, at most 255 allowed"),
    ],
)
def test_bad_values(extra, told):
    record = GOOD.replace("%s", "2").replace("</x:UsageRecord>", extra + "</x:UsageRecord>")
    assert reason(record).startswith(told)


@given(seed=st.integers(0, 2**32), count=st.integers(1, 8))
def test_no_damage_makes_the_reader_fall_over(seed, count):
    """D11: only RecordError; and what is rejected by itself can be read again, with the same verdict."""
    chance = random.Random(seed)
    text = ROOT % (CAR, "".join(GOOD % number for number in range(3)))
    for _ in range(count):
        start = chance.randrange(len(text))
        end = start + chance.choice([0, 0, 1, 3, 30])
        text = text[:start] + chance.choice([*SPLINTERS, ""]) + text[end:]
    try:
        message = decode(text, now=NOW)
    except RecordError as err:
        assert str(err).isprintable()
        return
    for rejected in message.rejected:
        ((_, _, again),) = decode(rejected.text, now=NOW).rejected
        assert str(again) == str(rejected.error)
