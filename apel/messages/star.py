"""StAR, the Storage Accounting Record in XML: where its fields stand, read and written."""

from typing import Dict, List, Sequence

from apel.messages.formats import EXACT, TextFormat
from apel.messages.xml_reading import Path, Raw, Variant, XmlFormat
from apel.messages.xml_writing import ABSENT, Frame, Part, XmlWriter, escaped, filled, in_utc, texts_of
from apel.messages.xmlinput import Element
from apel.records import Record, StorageRecord

NAME = "storage star"
NAMESPACE = "http://eu-emi.eu/namespaces/2011/02/storagerecord"
FRAME = Frame(
    '<?xml version="1.0" ?>\n<sr:StorageUsageRecords xmlns:sr="%s">\n' % NAMESPACE,
    "</sr:StorageUsageRecords>\n",
)

#: The types of group attributes that are fields.
SUBGROUP, ROLE = "subgroup", "role"
#: The type of an attribute without one.
UNNAMED = "unnamed"
SAME_NAME = (
    *("StorageSystem", "Site", "StorageShare", "StorageMedia", "StorageClass", "FileCount", "DirectoryPath"),
    *("LocalUser", "LocalGroup", "UserIdentity", "Group"),
    *("StartTime", "EndTime"),
    *("ResourceCapacityUsed", "LogicalCapacityUsed", "ResourceCapacityAllocated"),
)
PATHS = (
    Path("RecordId", "RecordIdentity", attribute="recordId"),
    Path("CreateTime", "RecordIdentity", attribute="createTime"),
    Path("SubGroup", "GroupAttribute", kind=SUBGROUP),
    Path("Role", "GroupAttribute", kind=ROLE),
    *(Path(name, name) for name in SAME_NAME),
)


class StarFormat(XmlFormat):
    """Storage records."""

    namespaces = attributes = (NAMESPACE,)
    record = "StorageUsageRecord"
    paths = PATHS
    variants = (Variant(NAME, TextFormat("", StorageRecord, EXACT)),)
    frame = FRAME
    nothing = "File does not contain StAR records!"
    told_by = "attributeType"
    times = ("CreateTime", "StartTime", "EndTime")

    def finish(self, raw: Raw, elements: List[Element]) -> None:
        """The other group attributes: of several with one type the last counts."""
        others: Dict[str, str] = {}
        for name, attributes, text in elements:
            kind = (self.attribute(attributes, "attributeType") or "").strip() or UNNAMED
            if name.endswith(" GroupAttribute") and kind not in (SUBGROUP, ROLE):
                others[kind] = text
        raw["GroupAttributes"] = tuple(others.items())


STAR = StarFormat()


def _element(name: str) -> Part:
    return Part("<sr:%s>%%s</sr:%s>" % (name, name), name, ABSENT)


_ATTRIBUTE = '<sr:GroupAttribute sr:attributeType="%s">%s</sr:GroupAttribute>'


def _attribute(kind: str, column: str) -> Part:
    return Part(_ATTRIBUTE % (kind, "%s"), column, ABSENT)


PARTS = (
    Part('<sr:StorageUsageRecord><sr:RecordIdentity sr:createTime="%s" ', "CreateTime"),
    Part('sr:recordId="%s"/>', "RecordId"),
    *map(_element, SAME_NAME[:7]),
    Part("<sr:SubjectIdentity>"),
    *map(_element, SAME_NAME[7:11]),
    _attribute(SUBGROUP, "SubGroup"),
    _attribute(ROLE, "Role"),
    Part("%s", "attributes"),
    Part("</sr:SubjectIdentity>"),
    *map(_element, SAME_NAME[11:]),
    Part("</sr:StorageUsageRecord>\n"),
)


def write_records(records: Sequence[Record], with_description: bool, now: int) -> List[str]:
    """Each record as text, checked again. Raises RecordError if any breaks a rule.

    The other parameters are those of all writers.
    """
    columns = texts_of(records)
    for name in ("CreateTime", "StartTime", "EndTime"):
        columns[name] = in_utc(columns[name])
    columns["attributes"] = list(map(_attributes, records))
    return filled(PARTS, columns)


def _attributes(record: Record) -> str:
    pairs = StorageRecord.fields[-1].clean(record[-1])
    if pairs is None:
        return ""
    assert isinstance(pairs, tuple)
    kinds = escaped("GroupAttributes", [kind for kind, _ in pairs])
    values = escaped("GroupAttributes", [value or "" for _, value in pairs])
    return "".join(
        _attribute(kind.replace("%", "%%"), "").markup % value for kind, value in zip(kinds, values)
    )


WRITER = XmlWriter(StorageRecord, FRAME, write_records)
