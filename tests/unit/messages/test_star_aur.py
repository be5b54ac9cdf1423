"""Storage records (StAR) and monthly sums (AUR) in XML: what is read, what is written, what is refused."""

import tracemalloc

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from strategies import NOW

from apel.errors import RecordError
from apel.messages import XML_WRITERS, aur, decode, encode, star
from apel.records import NormalisedSummaryRecord, StorageRecord, SummaryRecord

STAR, AUR = "messages/star.xml", "messages/aur.xml"
FORMATS = {
    "storage star": StorageRecord,
    "summary aur": SummaryRecord,
    "normalised summary aur": NormalisedSummaryRecord,
}


def only(text):
    """The only record of a message."""
    message = decode(text, now=NOW)
    assert message.rejected == []
    (record,) = message.records
    return record


def refusal(text):
    """The reason of the only record of a message."""
    message = decode(text, now=NOW)
    assert message.records == []
    (rejected,) = message.rejected
    return str(rejected.error)


def whole(text):
    """The reason why a message is refused as a whole."""
    with pytest.raises(RecordError) as caught:
        decode(text, now=NOW)
    return str(caught.value)


def test_storage_record(sample):
    assert only(sample(STAR)) == StorageRecord.of(
        RecordId="se.north.example-atlas-20250308",
        CreateTime=1741392300,
        StorageSystem="se.north.example",
        Site="EXAMPLE-NORTH",
        StorageShare="ATLASDATADISK",
        StorageMedia="disk",
        StorageClass="replicated",
        FileCount=4200,
        DirectoryPath="/dpm/north.example/home/atlas",
        Group="atlas",
        SubGroup="/atlas/uk",
        Role="production",
        StartTime=1741305600,
        EndTime=1741392000,
        ResourceCapacityUsed=987654321000,
        LogicalCapacityUsed=493827160500,
        ResourceCapacityAllocated=2000000000000,
        GroupAttributes=(("authority", "/O=Example/CN=voms.example"),),
    )


def test_storage_of_caso(sample):
    record = only(sample("messages/caso_storage.xml"))
    assert (record.CreateTime, record.StartTime, record.EndTime) == (1741392300, 1741305600, 1741392000)
    assert record.Group == "/vo.example.org/Role=NULL/Capability=NULL" and record.GroupAttributes is None


def test_of_group_attributes_with_one_type_the_last_counts(sample):
    more = '<sr:GroupAttribute sr:attributeType="authority">other</sr:GroupAttribute><sr:GroupAttribute/>'
    record = only(sample(STAR).replace("</sr:SubjectIdentity>", more + "</sr:SubjectIdentity>"))
    assert record.GroupAttributes == (("authority", "other"), ("unnamed", None))


@pytest.mark.parametrize(
    "old, new, reason",
    [
        (' sr:recordId="se.north.example-atlas-20250308"', "", "RecordId: mandatory"),
        (
            "<sr:StorageSystem>se.north.example</sr:StorageSystem>",
            "<sr:StorageSystem/>",
            "StorageSystem: mand",
        ),
        ("2025-03-08T00:00:00Z", "yesterday", "EndTime: Invalid time 'yesterday'"),
        ("987654321000", "-1", "ResourceCapacityUsed: -1 is less than 0"),
        ("4200", "4.2e3", "FileCount: Invalid int value"),
        ("ATLASDATADISK", "x" * 256, "StorageShare: 256 characters"),
    ],
)
def test_bad_storage_records_are_refused_with_their_reason(sample, old, new, reason):
    """D2."""
    assert reason in refusal(sample(STAR).replace(old, new))


def test_bad_storage_record_is_refused_alone(sample):
    """D3: its text can be put right and loaded."""
    head, record, tail = sample(STAR).partition("<sr:StorageUsageRecord>")
    one = record + tail.replace("</sr:StorageUsageRecords>", "")
    bad = one.replace("987654321000", "none of it")
    message = decode(head + one + bad + "</sr:StorageUsageRecords>", now=NOW)
    assert len(message.records) == 1
    (rejected,) = message.rejected
    assert rejected.number == 2
    assert only(rejected.text.replace("none of it", "987654321000")) == message.records[0]


def test_normalised_summary(sample):
    assert only(sample(AUR)) == NormalisedSummaryRecord.of(
        Site="EXAMPLE-SOUTH",
        Month=3,
        Year=2025,
        GlobalUserName="/DC=org/DC=example/O=People/CN=Ada Researcher",
        VO="lhcb",
        VOGroup="/lhcb",
        VORole="Role=pilot",
        SubmitHost="arc.south.example",
        Infrastructure="grid",
        NodeCount=1,
        Processors=8,
        EarliestEndTime=1741312800,
        LatestEndTime=1742860800,
        WallDuration=7200,
        CpuDuration=50400,
        NormalisedWallDuration=81000,
        NormalisedCpuDuration=567000,
        NumberOfJobs=2,
    )


def test_summary(sample):
    record = only(sample("messages/aur_summary.xml"))
    assert type(record) is SummaryRecord
    assert (record.ServiceLevelType, record.ServiceLevel, record.VORole) == (
        "HEPscore23",
        11.25,
        "Role=pilot",
    )
    assert (record.WallDuration, record.CpuDuration, record.NodeCount) == (7200, 50400, 0)


def test_sums_of_both_kinds_in_one_document(sample):
    """D3: those of the other kind than the first are kept, as a document that loads."""
    benchmark = '<aur:ServiceLevel urf:type="HEPSPEC">1.5</aur:ServiceLevel>'
    other = "<aur:SummaryRecord><aur:Site>S</aur:Site><aur:Month>3</aur:Month><aur:Year>2025</aur:Year>"
    other += "<aur:WallDuration>PT1S</aur:WallDuration><aur:CpuDuration>PT1S</aur:CpuDuration>"
    other += benchmark + "<aur:NumberOfJobs>1</aur:NumberOfJobs></aur:SummaryRecord>"
    message = decode(sample(AUR).replace("</aur:SummaryRecords>", other + "</aur:SummaryRecords>"), now=NOW)
    assert message.format == "normalised summary aur" and len(message.records) == 1
    (rejected,) = message.rejected
    assert str(rejected.error) == "a summary aur in a document that began with a normalised summary aur"
    assert only(rejected.text).ServiceLevel == 1.5


@pytest.mark.parametrize(
    "old, new, reason",
    [
        ("<aur:Month>3</aur:Month>", "<aur:Month>13</aur:Month>", "Month: 13 is more than 12"),
        ("PT7200S", "7200", "WallDuration: Invalid duration '7200'"),
        ("<aur:NumberOfJobs>2</aur:NumberOfJobs>", "", "NumberOfJobs: mandatory"),
        ("2025-03-25T00:00:00Z", "2025-04-25T00:00:00Z", "LatestEndTime"),
    ],
)
def test_bad_sums_are_refused_with_their_reason(sample, old, new, reason):
    """D2."""
    assert reason in refusal(sample(AUR).replace(old, new))


@pytest.mark.parametrize("path", [STAR, AUR])
def test_entities_are_refused_at_once(sample, path):
    """D11: neither bombs nor external ones."""
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    assert "DOCTYPE" in whole(sample(path).replace("?>", "?>" + bomb, 1))


@pytest.mark.parametrize("root", ['<StorageUsageRecords xmlns="%s">' % star.NAMESPACE, aur.FRAME.head])
@pytest.mark.parametrize(
    "more, told", [("<", "not well-formed"), ("<a>", "more than 32 deep"), ("x", "no element")]
)
def test_a_hundred_megabytes_are_rejected_at_once(root, more, told):
    """D11: within a few megabytes of memory beside the message itself."""
    text = root + more * (100000000 // len(more))
    tracemalloc.start()
    try:
        assert told in whole(text)
        assert tracemalloc.get_traced_memory()[1] < 8000000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_document_without_records_is_refused(name):
    """D2."""
    frame = XML_WRITERS[name].frame
    assert "File does not contain" in whole(frame.document([]))


def written_as(name):
    """Records that their format can hold."""
    fits = strategies.records(FORMATS[name], any_benchmark=True).filter(
        lambda record: (
            not any(isinstance(value, str) and {"\ufffe", "\uffff"} & set(value) for value in record)
        )
    )
    absent = {"normalised summary aur": {"ServiceLevelType": None}}.get(name, {})
    return fits.map(lambda record: record.replace(**absent))


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_what_is_written_is_read(name):
    @given(records=st.lists(written_as(name), min_size=1, max_size=3))
    def check(records):
        message = decode(encode(records, name, True, now=NOW), now=NOW)
        assert message.format == name and message.rejected == []
        assert message.records == records

    check()


def test_group_attributes_are_written(sample):
    record = only(sample(STAR)).replace(GroupAttributes=(('a<"&', "b<%s>"), ("c", None)))
    assert only(encode([record], "storage star", now=NOW)) == record


@pytest.mark.parametrize("path", [STAR, AUR])
def test_documents_can_be_joined(sample, path):
    from apel.messages import join

    message = decode(sample(path), now=NOW)
    one = encode(message.records, message.format, now=NOW)
    assert decode(join([one, one], message.format), now=NOW).records == message.records * 2
