"""PBS: where a job ran, on how many cores and with how many GPUs, of the values of its accounting line."""

import re
from contextlib import suppress
from functools import lru_cache
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from apel.parsers import units
from apel.parsers.accelerators import GPU, UNREAD, Cards, known_name, possible

#: What follows the first host in exec_vnode or exec_host.
_FIRST_HOST = re.compile(r"[/:+\[]")

#: GPUs of each vnode in '(n1:ncpus=4:ngpus=1)+(n2:ngpus=2)'.
_NGPUS = re.compile(r":ngpus=([^:+)]*)")

#: GPUs of each node in '2:ppn=4:gpus=1+n7:gpus=2' (Torque).
_GPUS_OF_NODE = re.compile(r":gpus=([0-9]+)")

Values = Dict[str, str]


class Place(NamedTuple):
    """Distinct hosts, and cores over all of them; 0 is for unknown."""

    nodes: int
    cores: int


@lru_cache(maxsize=4096)
def slots(text: str) -> int:
    """Cores of what follows a host's name: '3', '0-3', '0-1,5,11' or (PBS Pro) '0*4'. Raises ValueError."""
    numbers, star, factor = text.partition("*")
    count = 0
    for part in numbers.split(","):
        first, dash, last = part.partition("-")
        begin, end = units.whole(first), units.whole(last if dash else first)
        if end < begin:
            raise ValueError("a range that ends before it begins")
        count += end - begin + 1
    return count * units.whole(factor) if star else count


def exec_hosts(text: str) -> Place:
    """'n1/0-3+n2/0*4+n3' -> nodes and cores; a host without a slash is one core. Raises ValueError."""
    if "(" in text or ":ncpus=" in text:
        return exec_vnodes(text)
    hosts: Set[str] = set()
    cores = 0
    for slot in text.split("+"):
        host, slash, numbers = slot.partition("/")
        if not host:
            raise ValueError("no host")
        hosts.add(host)
        cores += slots(numbers) if slash else 1
    return Place(len(hosts), cores)


def exec_vnodes(text: str) -> Place:
    """'(n1[0]:ncpus=4:mem=2gb+n1[1]:ncpus=2)+(n2:ncpus=1)' -> its hosts and CPUs. Raises ValueError.

    The vnodes n1[0] and n1[1] are parts of the host n1.
    """
    hosts: Set[str] = set()
    cores = 0
    for chunk in text.replace("(", "").replace(")", "").split("+"):
        vnode, *resources = chunk.split(":")
        if not vnode:
            raise ValueError("no vnode")
        hosts.add(vnode.partition("[")[0])
        cores += _resource(resources, "ncpus") or 0
    return Place(len(hosts), cores)


def selected(text: str, resource: str) -> int:
    """Cores of '2:ncpus=4:mem=1gb+1:ncpus=1' (-l select) or '2:ppn=4+n7:ppn=2' (-l nodes); or ValueError."""
    cores = 0
    for chunk in text.split("+"):
        first, *others = chunk.split(":")
        count, resources = (units.whole(first), others) if first.isdecimal() else (1, [first, *others])
        each = _resource(resources, resource)
        cores += count * (1 if each is None else each)
    return cores


def asked_for(values: Values) -> Place:
    """What a job's attributes other than its hosts tell of nodes and cores: given, or else asked for."""
    nodes = _first(values, "unique_node_count", "Resource_List.nodect")
    given = _first(values, "resources_used.ncpus", "total_execution_slots")
    return Place(nodes, given or max(_asked_cores(values)))


def _asked_cores(values: Values) -> Iterator[int]:
    yield _first(values, "Resource_List.ncpus")
    yield _first(values, "Resource_List.procs")
    for key, resource in (("Resource_List.select", "ncpus"), ("Resource_List.nodes", "ppn")):
        if key in values:
            with suppress(ValueError):  # a form that we don't know says nothing
                yield selected(values[key], resource)


def gpus_of(values: Values) -> Optional[int]:
    """GPUs that the job was given or, if that isn't told, asked for; None where the log doesn't say.

    UNREAD for a form that we don't know, or more than any job has.
    """
    try:
        given = _NGPUS.findall(values.get("exec_vnode", ""))
        if given or "exec_gpus" in values:
            found = map(units.count, given) if given else (n for _, n in _exec_gpus(values["exec_gpus"]))
            return possible(sum(found))
        for key in ("resources_used.ngpus", "Resource_List.ngpus"):
            if key in values:
                return possible(units.count(values[key]))
        return _gpus_of_nodes(values.get("Resource_List.nodes", ""))
    except ValueError:
        return UNREAD


def _exec_gpus(text: str) -> List[Tuple[str, int]]:
    """'n1-gpu/0+n1-gpu/1-2' -> hosts, each with a number of GPUs. Raises ValueError."""
    found = []
    for item in text.split("+"):
        host, gpu, numbers = item.rpartition("-gpu/")
        found.append((host, slots(numbers)) if gpu else (item.partition("/")[0], 1))
    return found


def _gpus_of_nodes(text: str) -> Optional[int]:
    """GPUs of Torque's -l nodes, '2:ppn=4:gpus=1+n7:gpus=2'; None where it names none. Raises ValueError."""
    if ":gpus=" not in text:
        return None
    total = 0
    for chunk in text.split("+"):
        found, nodes = _GPUS_OF_NODE.search(chunk), chunk.partition(":")[0]
        if found:
            total += (units.count(nodes) if nodes.isdecimal() else 1) * units.count(found.group(1))
    return possible(total)


def cards_of(values: Values, gpus: int) -> List[Cards]:
    """A job's GPUs by host, where the log tells them by host; or else all on the first."""
    with suppress(ValueError):
        by_host: Dict[str, int] = {}
        for host, number in _gpu_hosts(values):
            by_host[host] = by_host.get(host, 0) + number
        if sum(by_host.values()) == gpus:
            return [Cards(known_name(host), None, GPU, number) for host, number in by_host.items()]
    hosts = values.get("exec_vnode", values.get("exec_host", "")).strip("(")
    return [Cards(known_name(_FIRST_HOST.split(hosts, 1)[0]), None, GPU, gpus)]


def _gpu_hosts(values: Values) -> Iterator[Tuple[str, int]]:
    """Hosts with GPUs in exec_vnode, or else in exec_gpus. Raises ValueError."""
    vnodes = values.get("exec_vnode", "")
    if ":ngpus=" in vnodes:
        for chunk in vnodes.replace("(", "").replace(")", "").split("+"):
            vnode, *resources = chunk.split(":")
            yield vnode.partition("[")[0], _resource(resources, "ngpus") or 0
    elif "exec_gpus" in values:
        yield from _exec_gpus(values["exec_gpus"])


def _resource(resources: List[str], wanted: str) -> Optional[int]:
    for resource in resources:
        key, _, value = resource.partition("=")
        if key == wanted:
            return units.count(value)
    return None


def _first(values: Values, *names: str) -> int:
    for key in names:
        text = values.get(key, "")
        if text.isdecimal() and len(text) < 10:
            return int(text)
    return 0
