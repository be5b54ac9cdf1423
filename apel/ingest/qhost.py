"""Grid Engine's host factors: what `qhost -F -xml` says of each host's cputmult and wallmult."""

import logging
from typing import Dict, Optional, Tuple
from xml.etree import ElementTree

from apel.external import QHOST, output_of
from apelcommon.errors import ServiceError, Transient

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 60

#: Host -> the factors of its CPU time and of its wall time.
HostFactors = Dict[str, Tuple[float, float]]

#: No host is so much faster than another; a larger factor is a slip.
MOST_FACTOR = 1000.0

CPU, WALL = "cputmult", "wallmult"


def host_factors(path: str = "") -> HostFactors:
    """The factors as they are now, or those in a file that `qhost -F -xml` printed at another time.

    If the command fails, nothing is scaled, and a warning says so. Raises ServiceError if the file can't
    be read: whoever names one relies on it.
    """
    if path:
        return from_file(path)
    try:
        return parsed(output_of(QHOST, {}, TIMEOUT_SECONDS).data)
    except (Transient, ValueError) as err:
        log.warning("%s: %s; no host is scaled", " ".join(QHOST), err)
        return {}


def from_file(path: str) -> HostFactors:
    """The factors in a file. Raises ServiceError."""
    try:
        with open(path, "rb") as stream:
            return parsed(stream.read())
    except (OSError, ValueError) as err:
        raise ServiceError("[batch] qhost_file %s: %s" % (path, err)) from err


def parsed(output: bytes) -> HostFactors:
    """The factors in the output of `qhost -F -xml`. Raises ValueError if it isn't that.

    A host that has neither attribute is left out. A factor that isn't a number above 0 and at most 1000
    counts as 1, with a warning.
    """
    try:
        root = ElementTree.fromstring(output)
    except ElementTree.ParseError as err:
        raise ValueError("no XML: %s" % err) from err
    if root.tag != "qhost":
        raise ValueError("not the output of qhost -F -xml")
    factors: HostFactors = {}
    for host in root.iter("host"):
        found = {value.get("name"): value.text or "" for value in host.iter("resourcevalue")}
        if CPU in found or WALL in found:
            name = host.get("name", "")
            factors[name] = (_factor(name, CPU, found.get(CPU)), _factor(name, WALL, found.get(WALL)))
    return factors


def _factor(host: str, attribute: str, text: Optional[str]) -> float:
    if text is None:
        return 1.0
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 0 < value <= MOST_FACTOR:
        return value
    log.warning("qhost: %s of host %s is %r, not a factor: 1 is taken", attribute, host, text)
    return 1.0
