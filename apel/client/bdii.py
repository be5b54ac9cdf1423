"""Benchmarks that a site's compute elements publish in its information system (BDII, GLUE 1.3 over LDAP).

python-ldap is imported only when a look-up is made, and whatever goes wrong there is one error,
BdiiUnavailable: a run goes on with the benchmarks it has.
"""

import logging
from types import ModuleType
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

from apel.client.benchmarks import Benchmark, benchmark_value

log = logging.getLogger(__name__)

SECONDS = 20.0
TYPE = "si2k"
CAPABILITY = "CPUScalingReferenceSI00="
CE_KEY = "GlueCEUniqueID="
#: The site's entry in a top-level BDII, and in the site's own.
BASES = ("mds-vo-name=%s,mds-vo-name=local,o=grid", "mds-vo-name=%s,o=grid")

#: Attribute name in lower case -> values.
Entry = Dict[str, List[str]]


class BdiiUnavailable(Exception):
    """The look-up can't be made now; the text says why."""


class Bdii(NamedTuple):
    """Where to ask. `seconds` bounds each wait for the server."""

    host: str
    port: int
    seconds: float = SECONDS


def published_benchmarks(bdii: Bdii, site: str) -> List[Benchmark]:
    """What the site publishes, one si2k benchmark for each compute element. Raises BdiiUnavailable."""
    ldap = _ldap()
    try:
        connection = _connect(ldap, bdii)
        try:
            return _look_up(_Search(ldap, connection, bdii.seconds), site)
        finally:
            connection.unbind_s()
    except ldap.LDAPError as err:
        words = "no answer in time" if isinstance(err, ldap.TIMEOUT) else _said(err)
        raise BdiiUnavailable("ldap://%s:%d: %s" % (bdii.host, bdii.port, words)) from err


def _ldap() -> Any:
    try:
        import ldap
    except ImportError as err:
        raise BdiiUnavailable(
            "python-ldap can't be imported (%s); install the package python3-ldap, "
            "or set [spec_updater] enabled = false and give manual_spec1 and so on" % err
        ) from err
    return ldap


def _connect(ldap: ModuleType, bdii: Bdii) -> Any:
    connection = ldap.initialize("ldap://%s:%d" % (bdii.host, bdii.port))
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, bdii.seconds)
    connection.set_option(ldap.OPT_TIMEOUT, bdii.seconds)
    connection.set_option(ldap.OPT_REFERRALS, 0)
    connection.simple_bind_s()
    return connection


def _said(err: Exception) -> str:
    words = err.args[0] if err.args else ""
    if isinstance(words, dict):
        return ": ".join(str(words[key]) for key in ("desc", "info") if words.get(key))
    return str(words) or type(err).__name__


class _Search:
    """Sub-tree searches below the site's entry."""

    def __init__(self, ldap: Any, connection: Any, seconds: float) -> None:
        self.ldap = ldap
        self.connection = connection
        self.seconds = seconds
        self.base = ""

    def find_site(self, site: str) -> None:
        """Choose the base that exists. Raises BdiiUnavailable if there is none."""
        for pattern in BASES:
            self.base = pattern % self.ldap.dn.escape_dn_chars(site)
            try:
                self._search(self.ldap.SCOPE_BASE, "(objectClass=*)", ["1.1"])
                return
            except self.ldap.NO_SUCH_OBJECT:
                continue
        raise BdiiUnavailable("the site %s is not published there" % site)

    def entries(self, condition: str, attributes: Sequence[str]) -> List[Tuple[str, Entry]]:
        """(DN, values) of the entries that match."""
        found = self._search(self.ldap.SCOPE_SUBTREE, condition, list(attributes))
        return [(dn, _decoded(values)) for dn, values in found if dn is not None]

    def _search(self, scope: int, condition: str, attributes: List[str]) -> List[Any]:
        return list(
            self.connection.search_ext_s(self.base, scope, condition, attributes, timeout=self.seconds)
        )

    def clusters(self, name: str) -> List[Tuple[str, Entry]]:
        """The cluster's entries."""
        import ldap.filter

        name = ldap.filter.escape_filter_chars(name)
        return self.entries(
            "(|(GlueClusterName=%s)(GlueClusterUniqueID=%s))" % (name, name), ["GlueForeignKey"]
        )


def _decoded(values: Dict[str, List[bytes]]) -> Entry:
    return {
        name.lower(): [value.decode("utf-8", "replace") for value in many] for name, many in values.items()
    }


def _look_up(search: _Search, site: str) -> List[Benchmark]:
    search.find_site(site)
    elements = search.entries(
        "(objectClass=GlueCE)", ["GlueCECapability", "GlueCEUniqueID", "GlueForeignKey"]
    )
    found = {benchmark.ce: benchmark for benchmark in from_elements(elements)}
    clusters = search.entries("(objectClass=GlueSubCluster)", ["GlueChunkKey", "GlueHostBenchmarkSI00"])
    for cluster, value in from_subclusters(clusters):
        for ce in _elements_of(cluster, search.clusters(cluster), elements):
            found.setdefault(ce, Benchmark(ce, TYPE, value))
    for dn, entry in elements:
        for ce in entry.get("glueceuniqueid", []):
            if ce not in found:
                log.error("The BDII has no benchmark for %s (%s)", ce, dn)
    return list(found.values())


def from_elements(entries: Iterable[Tuple[str, Entry]]) -> Iterator[Benchmark]:
    """The benchmarks that compute elements publish as a capability."""
    for dn, entry in entries:
        ids = entry.get("glueceuniqueid", [])
        if not ids:
            log.error("A compute element without GlueCEUniqueID in the BDII: %s", dn)
            continue
        for capability in entry.get("gluececapability", []):
            if capability.startswith(CAPABILITY):
                for value in _values(dn, capability[len(CAPABILITY) :]):
                    yield Benchmark(ids[0], TYPE, value)


def from_subclusters(entries: Iterable[Tuple[str, Entry]]) -> Iterator[Tuple[str, float]]:
    """(cluster, benchmark of its hosts)."""
    for dn, entry in entries:
        keys, benchmarks = entry.get("gluechunkkey", []), entry.get("gluehostbenchmarksi00", [])
        if not (keys and benchmarks):
            log.error("A sub-cluster without GlueChunkKey or GlueHostBenchmarkSI00 in the BDII: %s", dn)
            continue
        for value in _values(dn, benchmarks[0]):
            yield keys[0].partition("=")[2], value


def _elements_of(
    cluster: str, clusters: Iterable[Tuple[str, Entry]], elements: Iterable[Tuple[str, Entry]]
) -> Iterator[str]:
    """Compute elements in front of a cluster: the keys of either may name the other."""
    for _, entry in clusters:
        for key in entry.get("glueforeignkey", []):
            if key.startswith(CE_KEY):
                yield key[len(CE_KEY) :]
    for _, entry in elements:
        if "GlueClusterUniqueID=%s" % cluster in entry.get("glueforeignkey", []):
            yield from entry.get("glueceuniqueid", [])


def _values(dn: str, text: str) -> Iterator[float]:
    try:
        yield benchmark_value(text.strip())
    except ValueError as err:
        log.error("The benchmark of %s in the BDII %s", dn, err)
