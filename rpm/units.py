"""Makes systemd units fit a release: what its systemd doesn't know is left out or said in its words."""

import re
from typing import Dict, List, Tuple

#: The version of systemd that brought a directive, where that is later than EL7's 219 (from its manual).
SINCE: Dict[str, int] = {
    "AmbientCapabilities": 229,
    "LockPersonality": 235,
    "ProtectClock": 245,
    "ProtectControlGroups": 232,
    "ProtectHostname": 242,
    "ProtectKernelLogs": 244,
    "ProtectKernelModules": 232,
    "ProtectKernelTunables": 232,
    "ProtectProc": 247,
    "RandomizedDelaySec": 229,
    "ReadWritePaths": 231,
    "RemoveIPC": 232,
    "RestrictNamespaces": 233,
    "RestrictRealtime": 231,
    "RestrictSUIDSGID": 242,
    "StartLimitIntervalSec": 230,
    "SystemCallFilter": 239,  # older, but not its groups of calls
}
#: (directive, its value) that came later than the directive → what to say before.
INSTEAD: Dict[Tuple[str, str], Tuple[int, str]] = {
    ("ProtectSystem", "strict"): (232, "ProtectSystem=full"),
}
#: A directive → the one that did much of the same before.
FORMER = {"RandomizedDelaySec": "AccuracySec"}
#: What `ProtectSystem=full` shuts; all else may be written without a word.
SHUT = ("/boot", "/etc", "/usr")
LINE = re.compile(r"([A-Za-z]+)=(.*)$")


def adapt(text: str, systemd: int) -> str:
    """The text of a unit for a version of systemd."""
    lines: List[str] = []
    for line in text.splitlines():
        found = LINE.match(line)
        lines += [line] if found is None else _adapted(line, found.group(1), found.group(2), systemd)
    return "\n".join(lines) + "\n"


def _adapted(line: str, name: str, value: str, systemd: int) -> List[str]:
    if systemd < SINCE.get(name, 0):
        if name == "ReadWritePaths":
            return _read_write_directories(value)
        return ["%s=%s" % (FORMER[name], value)] if name in FORMER else []
    since, words = INSTEAD.get((name, value), (0, line))
    return [words if systemd < since else line]


def _read_write_directories(paths: str) -> List[str]:
    """ReadWritePaths by its former name: only what would be shut, for old kernels rename no mounted file."""
    shut = [path for path in paths.split() if path.lstrip("-").startswith(SHUT)]
    return ["ReadWriteDirectories=%s" % " ".join(shut)] if shut else []
