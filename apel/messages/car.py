"""CAR, the Compute Accounting Record in XML: what it is made of, and how jobs are written in it.

It is a profile of the Usage Record of the Open Grid Forum. Written are the elements of the incumbent, in its
order; what comes from outside is read by car_reading.py.
"""

import re
from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple
from xml.sax.saxutils import escape

from apel.errors import RecordError
from apel.messages.columns import each_once, write_column
from apel.records import JobRecord, Record
from apel.records.rules import NO_BENCHMARK
from apel.times import utc_text

NAME = "job car"
NAMESPACE = "http://eu-emi.eu/namespaces/2012/11/computerecord"

HEAD = (
    '<?xml version="1.0" ?>\n'
    '<urf:UsageRecords xmlns:urf="%s" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="%s car_v1.2.xsd">\n' % (NAMESPACE, NAMESPACE)
)
TAIL = "</urf:UsageRecords>\n"

#: Texts of values that have no element.
ABSENT = ("None",)
ABSENT_OR_ZERO = ("None", "0")


class Part(NamedTuple):
    """A piece of a record: markup with %s for one of the columns (see _columns), or without.

    It isn't written for the texts in `unless`.
    """

    markup: str
    column: str = ""
    unless: Tuple[str, ...] = ()


PARTS = (
    Part('<urf:UsageRecord><urf:RecordIdentity urf:createTime="%s" ', "created"),
    Part('urf:recordId="%s"/>', "identity"),
    Part("<urf:JobIdentity><urf:LocalJobId>%s</urf:LocalJobId></urf:JobIdentity>", "LocalJobId"),
    Part("<urf:UserIdentity>"),
    Part(
        '<urf:GlobalUserName urf:type="opensslCompat">%s</urf:GlobalUserName>',
        "GlobalUserName",
        ABSENT,
    ),
    Part("<urf:Group>%s</urf:Group>", "VO", ABSENT),
    Part('<urf:GroupAttribute urf:type="FQAN">%s</urf:GroupAttribute>', "FQAN", ABSENT),
    Part('<urf:GroupAttribute urf:type="vo-group">%s</urf:GroupAttribute>', "VOGroup", ABSENT),
    Part('<urf:GroupAttribute urf:type="vo-role">%s</urf:GroupAttribute>', "VORole", ABSENT),
    Part("<urf:LocalUserId>%s</urf:LocalUserId>", "LocalUserId", ABSENT),
    Part("</urf:UserIdentity><urf:Status>completed</urf:Status>"),
    Part("%s", "infrastructure"),
    Part("<urf:WallDuration>PT%sS</urf:WallDuration>", "WallDuration"),
    Part('<urf:CpuDuration urf:usageType="all">PT%sS</urf:CpuDuration>', "CpuDuration"),
    Part("%s", "benchmark"),
    Part(
        '<urf:Memory urf:type="Physical" urf:storageUnit="KB">%s</urf:Memory>', "MemoryReal", ABSENT_OR_ZERO
    ),
    Part(
        '<urf:Memory urf:type="Shared" urf:storageUnit="KB">%s</urf:Memory>', "MemoryVirtual", ABSENT_OR_ZERO
    ),
    Part("<urf:NodeCount>%s</urf:NodeCount>", "NodeCount", ABSENT_OR_ZERO),
    Part("<urf:Processors>%s</urf:Processors>", "Processors", ABSENT_OR_ZERO),
    Part("<urf:EndTime>%s</urf:EndTime>", "EndTime"),
    Part("<urf:StartTime>%s</urf:StartTime>", "StartTime"),
    Part("<urf:MachineName>%s</urf:MachineName>", "MachineName", ABSENT),
    Part("<urf:SubmitHost>%s</urf:SubmitHost>", "SubmitHost", ABSENT),
    Part("<urf:Queue>%s</urf:Queue>", "Queue"),
    Part("<urf:Site>%s</urf:Site></urf:UsageRecord>\n", "Site"),
)

_SPECIAL = re.compile('[&<>"\ufffe\uffff]')
_NO_XML = re.compile("[\ufffe\uffff]")


def document(records: Sequence[str]) -> str:
    """The document of records, each as text that ends in a newline."""
    return HEAD + "".join(records) + TAIL


def joined(documents: Sequence[str]) -> str:
    """The records of documents that `document` has made, in one."""
    return document([one[len(HEAD) : -len(TAIL)] for one in documents])


def write_records(records: Sequence[Record], with_description: bool, now: int) -> List[str]:
    """Each record as text, checked again. Raises RecordError if any breaks a rule.

    with_description: also InfrastructureDescription, which the incumbent reads and doesn't write.
    """
    columns = _columns(records, with_description, now)
    for record in records:
        record.check_rules(now)
    template = "".join("%s" if part.unless else part.markup for part in PARTS)
    filled = [_filled(part, columns[part.column]) for part in PARTS if part.column]
    return [template % row for row in zip(*filled)]


def _filled(part: Part, texts: Sequence[str]) -> Sequence[str]:
    """What stands in the template for a part, for every record."""
    if not part.unless:
        return texts
    return each_once(lambda text: "" if text in part.unless else part.markup % text, texts)


def _columns(records: Sequence[Record], with_description: bool, now: int) -> Dict[str, Sequence[str]]:
    """The texts of all fields, and of what is made of several, as they may stand in XML."""
    fields = JobRecord.fields
    columns: Dict[str, Sequence[str]] = {
        field.name: _escaped(field.name, write_column(field, values))
        for field, values in zip(fields, zip(*records))
    }
    ends = [utc_text(int(text)) for text in columns["EndTime"]]
    columns["identity"] = list(map(_identity, columns["MachineName"], columns["LocalJobId"], ends))
    columns["created"] = [utc_text(now).replace(" ", "T")] * len(records)
    columns["EndTime"] = [end.replace(" ", "T") + "Z" for end in ends]
    columns["StartTime"] = [utc_text(int(text)).replace(" ", "T") + "Z" for text in columns["StartTime"]]
    descriptions = columns["InfrastructureDescription"] if with_description else ["None"] * len(records)
    columns["infrastructure"] = _each_pair(_infrastructure, columns["InfrastructureType"], descriptions)
    columns["benchmark"] = _each_pair(_benchmark, columns["ServiceLevelType"], columns["ServiceLevel"])
    return columns


def _escaped(name: str, texts: Sequence[str]) -> Sequence[str]:
    if not _SPECIAL.search("\n".join(texts)):
        return texts
    for text in texts:
        found = _NO_XML.search(text)
        if found:
            raise RecordError(name, f"U+{ord(found.group()):04X}, which can't stand in XML, in the value")
    return each_once(lambda text: escape(text, {'"': "&quot;"}), texts)


def _identity(machine: str, job: str, end: str) -> str:
    return f"{machine} {job} {end}"


def _each_pair(make: Callable[[str, str], str], *columns: Sequence[str]) -> List[str]:
    return each_once(lambda pair: make(*pair), list(zip(*columns)))


def _infrastructure(kind: str, description: str) -> str:
    attributes = [("type", kind), ("description", description)]
    written = "".join(f' urf:{name}="{text}"' for name, text in attributes if text not in ABSENT)
    return f"<urf:Infrastructure{written}/>" if written else ""


def _benchmark(kind: str, value: str) -> str:
    """The incumbent refuses the word `custom` in CAR, and takes a job without a benchmark for one of it."""
    custom, one = NO_BENCHMARK
    if kind in ABSENT or (kind.lower() == custom and float(value) == one):
        return ""
    return f'<urf:ServiceLevel urf:type="{kind}">{value}</urf:ServiceLevel>'
