"""CAR to records: a table of where each field stands; the rules are those of jobs in text."""

from typing import Dict, List, Optional, Tuple

from apel.errors import RecordError
from apel.messages import car
from apel.messages.formats import FORMATS
from apel.messages.xml_reading import Path, Raw, Variant, XmlFormat
from apel.messages.xmlinput import Element
from apel.records.fields import is_number

#: Of several elements that would do, the first counts. Everything else in a record is passed over.
PATHS = (
    Path("Site", "Site"),
    Path("SubmitHost", "SubmitHost"),
    Path("MachineName", "MachineName"),
    Path("Queue", "Queue"),
    Path("LocalJobId", "LocalJobId"),
    Path("LocalUserId", "LocalUserId"),
    Path("GlobalUserName", "GlobalUserName"),
    Path("FQAN", "GroupAttribute", kind="FQAN"),
    Path("VO", "Group"),
    # The incumbent writes (as ARC does) one spelling, and reads the other.
    Path("VOGroup", "GroupAttribute", kind="vo-group"),
    Path("VOGroup", "GroupAttribute", kind="group"),
    Path("VORole", "GroupAttribute", kind="vo-role"),
    Path("VORole", "GroupAttribute", kind="role"),
    Path("WallDuration", "WallDuration"),
    Path("Processors", "Processors"),
    Path("NodeCount", "NodeCount"),
    Path("StartTime", "StartTime"),
    Path("EndTime", "EndTime"),
    Path("InfrastructureDescription", "Infrastructure", attribute="description"),
    Path("InfrastructureType", "Infrastructure", attribute="type"),
    Path("ServiceLevelType", "ServiceLevel", attribute="type"),
    Path("ServiceLevel", "ServiceLevel"),
)


def _cpu_of_all(cpu: List[Tuple[Optional[str], str]]) -> Optional[str]:
    """ARC sends three: all, user, system."""
    whole = [text for usage, text in cpu if usage == "all"]
    if len(whole) > 1:
        raise RecordError("CpuDuration", "more than one has usageType 'all'")
    return whole[0] if whole else cpu[0][1] if cpu else None


def _several(levels: List[Tuple[Optional[str], str]]) -> Dict[str, Tuple[str, str]]:
    """Type and value of several benchmarks, of each type the first; those that can't be read are left out."""
    found: Dict[str, Tuple[str, str]] = {}
    for kind, text in levels:
        if kind and kind.isprintable() and not set(kind) & set(",:{}") and is_number(text.strip()):
            found.setdefault(kind.strip().lower(), (kind.strip(), text.strip()))
    return found


class CarFormat(XmlFormat):
    """Jobs."""

    namespaces = attributes = (car.NAMESPACE,)
    record = "UsageRecord"
    paths = PATHS
    variants = (Variant(car.NAME, FORMATS["job v0.3"]), Variant(car.NAME, FORMATS["job v0.4"]))
    frame = car.FRAME
    nothing = "File does not contain car records!"
    durations = ("WallDuration", "CpuDuration")
    times = ("StartTime", "EndTime")
    also = ("CpuDuration",)

    def finish(self, raw: Raw, elements: List[Element]) -> None:
        cpu = [
            (self.attribute(attributes, "usageType"), text)
            for name, attributes, text in elements
            if name.endswith(" CpuDuration")
        ]
        raw["CpuDuration"] = _cpu_of_all(cpu)
        levels = [
            (self.attribute(attributes, "type"), text)
            for name, attributes, text in elements
            if name.endswith(" ServiceLevel")
        ]
        several = _several(levels) if len(levels) > 1 else {}
        if len(several) > 1:
            raw["ServiceLevelType"] = None
            raw["ServiceLevel"] = raw["Benchmarks"] = "{%s}" % ", ".join(map(": ".join, several.values()))

    def choose(self, raw: Raw) -> int:
        """A job with several benchmarks is as one in text that names them all."""
        return int("Benchmarks" in raw)


CAR = CarFormat()
