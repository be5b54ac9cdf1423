"""CAR, the Compute Accounting Record in XML: what it is made of, and how jobs are written in it.

It is a profile of the Usage Record of the Open Grid Forum. Written are the elements of the incumbent, in its
order; what comes from outside is read by car_reading.py.
"""

from typing import Dict, List, Sequence

from apel.messages.xml_writing import (
    ABSENT,
    ABSENT_OR_ZERO,
    Frame,
    Part,
    XmlWriter,
    each_pair,
    filled,
    in_utc,
    texts_of,
)
from apel.records import JobRecord, Record
from apel.records.rules import NO_BENCHMARK
from apel.times import utc_text

NAME = "job car"
NAMESPACE = "http://eu-emi.eu/namespaces/2012/11/computerecord"

FRAME = Frame(
    '<?xml version="1.0" ?>\n'
    '<urf:UsageRecords xmlns:urf="%s" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="%s car_v1.2.xsd">\n' % (NAMESPACE, NAMESPACE),
    "</urf:UsageRecords>\n",
)

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


def write_records(records: Sequence[Record], with_description: bool, now: int) -> List[str]:
    """Each record as text, checked again. Raises RecordError if any breaks a rule.

    with_description: also InfrastructureDescription, which the incumbent reads and doesn't write.
    """
    columns = _columns(records, with_description, now)
    for record in records:
        record.check_rules(now)
    return filled(PARTS, columns)


def _columns(records: Sequence[Record], with_description: bool, now: int) -> Dict[str, Sequence[str]]:
    """The texts of all fields, and of what is made of several, as they may stand in XML."""
    columns = texts_of(records)
    ends = [utc_text(int(text)) for text in columns["EndTime"]]
    columns["identity"] = list(map(_identity, columns["MachineName"], columns["LocalJobId"], ends))
    columns["created"] = [utc_text(now).replace(" ", "T")] * len(records)
    columns["EndTime"] = [end.replace(" ", "T") + "Z" for end in ends]
    columns["StartTime"] = in_utc(columns["StartTime"])
    descriptions = columns["InfrastructureDescription"] if with_description else ["None"] * len(records)
    columns["infrastructure"] = each_pair(_infrastructure, columns["InfrastructureType"], descriptions)
    columns["benchmark"] = each_pair(_benchmark, columns["ServiceLevelType"], columns["ServiceLevel"])
    return columns


def _identity(machine: str, job: str, end: str) -> str:
    return f"{machine} {job} {end}"


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


WRITER = XmlWriter(JobRecord, FRAME, write_records)
