"""What GLUE 1.3 and GLUE 2 entries say of benchmarks: from attributes to (compute element, type, value).

Benchmarks are of one core. Where several kinds of machines stand behind a compute element, their mean is
taken, weighted by their cores where these are published.

GLUE 1.3: GlueCECapability `CPUScalingReferenceSI00=2500` of a compute element; GlueHostBenchmarkSI00 and
GlueHostProcessorOtherDescription `Cores=8, Benchmark=10.2-HEP-SPEC06` of the sub-clusters behind it. GLUE 2:
GLUE2Benchmark of an execution environment, or GLUE2EntityOtherInfo `CPUScalingReferenceSI00=2500`, of a
computing service, whose shares (`CREAMCEId=…`) or endpoints (their host) tell which compute elements these
are.
"""

import logging
import re
from collections import defaultdict
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple
from urllib.parse import urlsplit

from apel.client.benchmarks import Benchmark, benchmark_value
from apel.records.fields import MOST_NAME

log = logging.getLogger(__name__)

#: Attribute name in lower case -> values; with the DN.
Entry = Dict[str, List[str]]
Entries = Sequence[Tuple[str, Entry]]

#: How benchmarks are called there, in small letters and without hyphens.
TYPES = {
    "si00": "si2k",
    "specint2000": "si2k",
    "si2k": "si2k",
    "hepspec06": "HEPSPEC",
    "hepspec": "HEPSPEC",
    "hs06": "HEPSPEC",
    "hepscore23": "HEPscore23",
    "hs23": "HEPscore23",
}
#: GLUE 1.3 keys of a compute element and of a cluster; GLUE 2's words for the former.
CE_KEY, CLUSTER_KEY = "GlueCEUniqueID=", "GlueClusterUniqueID="
SHARE_KEYS = ("CREAMCEId=", CE_KEY)

_SCALING = re.compile(r"CPUScalingReference([\w-]+)=(.*)")
_DESCRIBED = re.compile(r"Benchmark\s*=\s*([^,\s-]+)-([\w-]+)")
_SERVICE = re.compile(r"(?:^|,)\s*GLUE2ServiceID=((?:\\.|[^,\\])+)", re.IGNORECASE)


class Measured(NamedTuple):
    """A benchmark of something (`of`: a compute element, cluster or service), and of how many cores."""

    of: str
    type: str
    value: float
    cores: float


class Glue1(NamedTuple):
    """The entries of a site in GLUE 1.3: GlueCE, GlueCluster, GlueSubCluster."""

    elements: Entries
    clusters: Entries
    subclusters: Entries


class Glue2(NamedTuple):
    """The entries of a site in GLUE 2, by what follows `GLUE2` in their classes."""

    benchmarks: Entries
    environments: Entries
    shares: Entries
    endpoints: Entries


def published(first: Glue1, second: Glue2, known: Iterable[str]) -> List[Benchmark]:
    """The benchmarks of each compute element. known: names of some, of which GLUE 2 may only have the host.

    Of an element and type, what it says itself comes first, then its GLUE 1.3 cluster, then GLUE 2.
    """
    found: Dict[Tuple[str, str], Benchmark] = {}
    clusters = from_subclusters(first.subclusters)
    names = {ce for _, entry in first.elements for ce in entry.get("glueceuniqueid", [])}
    in_front = elements_of_clusters(first)
    names.update(*in_front.values())
    services = from_services(second)
    of_service = elements_of_services(second, names.union(known))
    names.update(*of_service.values())
    sources = [from_elements(first.elements), _spread(clusters, in_front), _spread(services, of_service)]
    for source in sources:
        for one in means(source):
            found.setdefault((one.ce, one.type), one)
    for ce in sorted(names - {ce for ce, _ in found} - (set(known) - _in_glue1(first))):
        log.error("The BDII has no benchmark for %s", ce)
    return sorted(one for one in found.values() if one.ce and len(one.ce) <= MOST_NAME)


def _in_glue1(first: Glue1) -> Set[str]:
    return {ce for _, entry in first.elements for ce in entry.get("glueceuniqueid", [])}


def means(measured: Iterable[Measured]) -> Iterator[Benchmark]:
    """One benchmark of each type for each compute element, weighted by cores."""
    groups: Dict[Tuple[str, str], List[Measured]] = defaultdict(list)
    for one in measured:
        groups[one.of, one.type].append(one)
    for (ce, kind), some in groups.items():
        cores = sum(one.cores for one in some)
        yield Benchmark(ce, kind, round(sum(one.value * one.cores for one in some) / cores, 3))


def _spread(measured: Iterable[Measured], elements: Dict[str, Set[str]]) -> Iterator[Measured]:
    """What was measured of clusters or services, for each compute element in front of them."""
    for one in measured:
        for ce in elements.get(one.of.lower(), ()):
            yield one._replace(of=ce)


# -- GLUE 1.3 ----------------------------------------------------------------------------------------


def from_elements(entries: Entries) -> Iterator[Measured]:
    """The benchmarks that compute elements publish as a capability."""
    for dn, entry in entries:
        ids = entry.get("glueceuniqueid", [])
        if not ids:
            log.error("A compute element without GlueCEUniqueID in the BDII: %s", dn)
            continue
        # Of several the first counts: they are no machines that could be averaged.
        yield from _first_of_each(_scaling(dn, ids[0], entry.get("gluececapability", []), 1.0))


def from_subclusters(entries: Entries) -> Iterator[Measured]:
    """The benchmarks of the hosts of each cluster."""
    for dn, entry in entries:
        keys = [key for key in entry.get("gluechunkkey", []) if "=" in key]
        found = list(_of_hosts(dn, keys[0].partition("=")[2], entry)) if keys else []
        if not found:
            log.error("A sub-cluster without GlueChunkKey, or without a benchmark, in the BDII: %s", dn)
        yield from found


def _of_hosts(dn: str, cluster: str, entry: Entry) -> Iterator[Measured]:
    cores = _count(entry, "gluesubclusterlogicalcpus") or 1.0
    for text in entry.get("gluehostbenchmarksi00", [])[:1]:
        yield from _measured(dn, cluster, "si00", text, cores)
    for description in entry.get("gluehostprocessorotherdescription", []):
        for value, name in _DESCRIBED.findall(description):
            yield from _measured(dn, cluster, name, value, cores)


def elements_of_clusters(glue: Glue1) -> Dict[str, Set[str]]:
    """The compute elements in front of each cluster (in small letters): either may name the other."""
    found: Dict[str, Set[str]] = defaultdict(set)
    for _, entry in glue.clusters:
        elements = _after(CE_KEY, entry.get("glueforeignkey", []))
        for name in (*entry.get("glueclustername", []), *entry.get("glueclusteruniqueid", [])):
            found[name.lower()].update(elements)
    for _, entry in glue.elements:
        for name in _after(CLUSTER_KEY, entry.get("glueforeignkey", [])):
            found[name.lower()].update(entry.get("glueceuniqueid", []))
    return found


# -- GLUE 2 ------------------------------------------------------------------------------------------


def from_services(glue: Glue2) -> Iterator[Measured]:
    """The benchmarks of each computing service, by its id."""
    cores = {}
    for dn, entry in glue.environments:
        count = _cores(entry)
        for name in entry.get("glue2resourceid", []):
            cores[_service(dn), name.lower()] = count
    for dn, entry in glue.benchmarks:
        service = _service(dn)
        environments = entry.get("glue2benchmarkexecutionenvironmentforeignkey", [])
        count = sum(cores.get((service, name.lower()), 0.0) for name in environments) or 1.0
        for name in entry.get("glue2benchmarktype", [])[:1]:
            for value in entry.get("glue2benchmarkvalue", [])[:1]:
                yield from _measured(dn, service, name, value, count)
    said = {_service(dn) for dn, _ in glue.benchmarks}
    for dn, entry in (*glue.environments, *glue.shares):
        # A fall-back: the other information of an environment repeats what its benchmarks say.
        if _service(dn) not in said:
            yield from _scaling(dn, _service(dn), entry.get("glue2entityotherinfo", []), _cores(entry))


def elements_of_services(glue: Glue2, known: Iterable[str]) -> Dict[str, Set[str]]:
    """The compute elements of each service: those that its shares name, and those on its endpoints' hosts."""
    found: Dict[str, Set[str]] = defaultdict(set)
    for dn, entry in glue.shares:
        for key in SHARE_KEYS:
            found[_service(dn)].update(_after(key, entry.get("glue2entityotherinfo", [])))
    by_host: Dict[str, Set[str]] = defaultdict(set)
    for name in known:
        by_host[_host(name)].add(name)
    for dn, entry in glue.endpoints:
        named = found[_service(dn)]
        for url in entry.get("glue2endpointurl", []):
            named.update(by_host.get(_host(url), ()))
    return found


def _service(dn: str) -> str:
    match = _SERVICE.search(dn)
    return match.group(1).lower() if match else ""


def _cores(entry: Entry) -> float:
    instances = _count(entry, "glue2executionenvironmenttotalinstances") or 1.0
    return instances * (_count(entry, "glue2executionenvironmentlogicalcpus") or 1.0)


def _host(text: str) -> str:
    """The host of a URL, of host:port or of a compute element's name, in small letters."""
    if "://" in text:
        try:
            return (urlsplit(text).hostname or "").lower()
        except ValueError:  # as of a bracket that isn't closed
            return ""
    return re.split("[:/]", text, maxsplit=1)[0].lower()


# -- values ------------------------------------------------------------------------------------------


def _scaling(dn: str, of: str, texts: Iterable[str], cores: float) -> Iterator[Measured]:
    for text in texts:
        match = _SCALING.match(text.strip())
        if match:
            yield from _measured(dn, of, match.group(1), match.group(2), cores)


def _first_of_each(measured: Iterable[Measured]) -> Iterator[Measured]:
    seen = set()
    for one in measured:
        if one.type not in seen:
            seen.add(one.type)
            yield one


def _measured(dn: str, of: str, name: str, text: str, cores: float) -> Iterator[Measured]:
    """A benchmark that we know, with a value that may be."""
    kind = TYPES.get(name.lower().replace("-", ""))
    if kind is None:
        return
    try:
        yield Measured(of, kind, benchmark_value(text.strip()), cores)
    except ValueError as err:
        log.error("The benchmark of %s in the BDII %s", dn, err)


def _count(entry: Entry, name: str) -> Optional[float]:
    texts = [text for text in entry.get(name, []) if text.strip().isdecimal()]
    return float(texts[0]) or None if texts else None


def _after(key: str, texts: Iterable[str]) -> List[str]:
    """What follows a key in those texts that begin with it."""
    return [text[len(key) :].strip() for text in texts if text.lower().startswith(key.lower())]


def lower_case(entries: Iterable[Any]) -> List[Tuple[str, Entry]]:
    """Entries as python-ldap gives them: attribute names in small letters, text for bytes."""
    return [
        (
            dn,
            {
                name.lower(): [value.decode("utf-8", "replace") for value in many]
                for name, many in values.items()
            },
        )
        for dn, values in entries
        if dn is not None
    ]
