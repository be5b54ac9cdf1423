"""AUR, the Aggregated Usage Record in XML: monthly sums, normalised or not, read and written."""

from typing import Dict, List, Sequence

from apel.messages import car
from apel.messages.formats import FORMATS
from apel.messages.xml_reading import Path, Raw, Variant, XmlFormat
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
from apel.messages.xmlinput import Element
from apel.records import NormalisedSummaryRecord, Record, SummaryRecord

SUMMARY, NORMALISED = "summary aur", "normalised summary aur"
NAMESPACE = "http://eu-emi.eu/namespaces/2012/11/aggregatedcomputerecord"
FRAME = Frame(
    '<?xml version="1.0" ?>\n<aur:SummaryRecords xmlns:aur="%s" xmlns:urf="%s">\n'
    % (NAMESPACE, car.NAMESPACE),
    "</aur:SummaryRecords>\n",
)

SAME_NAME = (
    *("Site", "Month", "Year", "GlobalUserName", "SubmitHost", "EarliestEndTime", "LatestEndTime"),
    *("WallDuration", "CpuDuration", "NormalisedWallDuration", "NormalisedCpuDuration"),
    *("NumberOfJobs", "NodeCount", "Processors", "ServiceLevel"),
)
PATHS = (
    *(Path(name, name) for name in SAME_NAME),
    Path("VO", "Group"),
    # The incumbent reads and writes different spellings of the role; the specification has the latter.
    Path("VOGroup", "GroupAttribute", kind="vo-group"),
    Path("VOGroup", "GroupAttribute", kind="group"),
    Path("VORole", "GroupAttribute", kind="vo-role"),
    Path("VORole", "GroupAttribute", kind="role"),
    # One name in summaries, another in normalised ones.
    Path("InfrastructureType", "Infrastructure", attribute="type"),
    Path("Infrastructure", "Infrastructure", attribute="type"),
    Path("InfrastructureDescription", "Infrastructure", attribute="description"),
    Path("ServiceLevelType", "ServiceLevel", attribute="type"),
)
TIMES = ("EarliestEndTime", "LatestEndTime")


class AurFormat(XmlFormat):
    """Monthly sums."""

    namespaces = (NAMESPACE, car.NAMESPACE)
    attributes = (car.NAMESPACE, NAMESPACE)
    record = "SummaryRecord"
    paths = PATHS
    variants = (
        Variant(NORMALISED, FORMATS["normalised summary v0.3"]),
        Variant(SUMMARY, FORMATS["summary v0.2"]),
    )
    frame = FRAME
    nothing = "File does not contain AUR records!"
    durations = ("WallDuration", "CpuDuration", "NormalisedWallDuration", "NormalisedCpuDuration")
    times = TIMES

    def finish(self, raw: Raw, elements: List[Element]) -> None:
        """No nodes, no processors: that is how zero of them is written."""
        for name in ("NodeCount", "Processors"):
            raw.setdefault(name, "0")

    def choose(self, raw: Raw) -> int:
        """A record with a normalised duration is a normalised summary."""
        return 0 if raw.get("NormalisedWallDuration") or raw.get("NormalisedCpuDuration") else 1


AUR = AurFormat()


def _element(name: str) -> Part:
    return Part("<aur:%s>%%s</aur:%s>" % (name, name), name, ABSENT)


def _seconds(name: str) -> Part:
    return Part("<aur:%s>PT%%sS</aur:%s>" % (name, name), name)


def _count(name: str) -> Part:
    return _element(name)._replace(unless=ABSENT_OR_ZERO)


HEAD = (
    Part("<aur:SummaryRecord><aur:Site>%s</aur:Site>", "Site"),
    Part("<aur:Month>%s</aur:Month>", "Month"),
    Part("<aur:Year>%s</aur:Year><aur:UserIdentity>", "Year"),
    Part('<urf:GlobalUserName urf:type="opensslCompat">%s</urf:GlobalUserName>', "GlobalUserName", ABSENT),
    Part("<urf:Group>%s</urf:Group>", "VO", ABSENT),
    Part('<urf:GroupAttribute urf:type="vo-group">%s</urf:GroupAttribute>', "VOGroup", ABSENT),
    Part('<urf:GroupAttribute urf:type="vo-role">%s</urf:GroupAttribute>', "VORole", ABSENT),
    Part("</aur:UserIdentity>"),
    _element("SubmitHost"),
    Part("%s", "infrastructure"),
    _element("EarliestEndTime"),
    _element("LatestEndTime"),
    _seconds("WallDuration"),
    _seconds("CpuDuration"),
)
END = Part("</aur:SummaryRecord>\n")
PARTS = (
    *HEAD,
    Part("%s", "benchmark"),
    _element("NumberOfJobs"),
    _count("NodeCount"),
    _count("Processors"),
    END,
)
NORMALISED_PARTS = (
    *HEAD,
    _seconds("NormalisedWallDuration"),
    _seconds("NormalisedCpuDuration"),
    _element("NumberOfJobs"),
    _count("Processors"),
    _count("NodeCount"),
    END,
)


def write_summaries(records: Sequence[Record], with_description: bool, now: int) -> List[str]:
    """Each summary as text, checked again. Raises RecordError if any breaks a rule."""
    columns = _columns(records, "InfrastructureType", with_description, now)
    columns["benchmark"] = each_pair(_benchmark, columns["ServiceLevelType"], columns["ServiceLevel"])
    return filled(PARTS, columns)


def write_normalised(records: Sequence[Record], with_description: bool, now: int) -> List[str]:
    """The same for normalised summaries."""
    return filled(NORMALISED_PARTS, _columns(records, "Infrastructure", with_description, now))


def _columns(
    records: Sequence[Record], infrastructure: str, with_description: bool, now: int
) -> Dict[str, Sequence[str]]:
    columns = texts_of(records)
    for record in records:
        record.check_rules(now)
    for name in TIMES:
        columns[name] = in_utc(columns[name])
    descriptions = columns["InfrastructureDescription"] if with_description else ["None"] * len(records)
    columns["infrastructure"] = each_pair(_infrastructure, columns[infrastructure], descriptions)
    return columns


def _infrastructure(kind: str, description: str) -> str:
    attributes = [("type", kind), ("description", description)]
    written = "".join(f' urf:{name}="{text}"' for name, text in attributes if text not in ABSENT)
    return f"<aur:Infrastructure{written}/>" if written else ""


def _benchmark(kind: str, value: str) -> str:
    attribute = "" if kind in ABSENT else f' urf:type="{kind}"'
    return f"<aur:ServiceLevel{attribute}>{value}</aur:ServiceLevel>"


WRITERS = {
    SUMMARY: XmlWriter(SummaryRecord, FRAME, write_summaries),
    NORMALISED: XmlWriter(NormalisedSummaryRecord, FRAME, write_normalised),
}
