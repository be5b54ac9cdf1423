"""The options that say which rows are unloaded and where to, the same in client.cfg and unloader.cfg."""

from typing import Any, Iterator, List

from apelcommon.config import Option

INTERVALS = ("latest", "gap", "all")

DIR_LOCATION = Option(
    "unloader", "dir_location", "path", "/var/spool/apel/", "Messages go to the queue `outgoing` below it."
)
VOS: List[Option] = [
    Option("unloader", "include_vos", "words", [], "Only these VOs are sent.", sample="atlas,cms"),
    Option(
        "unloader",
        "exclude_vos",
        "words",
        [],
        "All but these are, unless include_vos is set.",
        sample="dteam",
    ),
]
GAP: List[Option] = [
    Option("unloader", "gap_start", "date", None, "Only for gap: its first day.", sample="2026-10-01"),
    Option("unloader", "gap_end", "date", None, "Only for gap: its last day.", sample="2026-10-31"),
]


def gap_problems(unloader: Any) -> Iterator[str]:
    """What is wrong with the gap in a section [unloader]."""
    if unloader.interval != "gap":
        return
    for name in ("gap_start", "gap_end"):
        if not getattr(unloader, name):
            yield "[unloader] %s is missing, and interval is gap" % name
    if unloader.gap_start and unloader.gap_end and unloader.gap_end < unloader.gap_start:
        yield "[unloader] gap_end %s is before gap_start %s" % (unloader.gap_end, unloader.gap_start)
