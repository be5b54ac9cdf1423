"""Benchmarks that a site's compute elements publish in its information system (BDII: GLUE over LDAP).

python-ldap is imported only when a look-up is made, and whatever goes wrong there is one error,
BdiiUnavailable: a run goes on with the benchmarks it has.
"""

from types import ModuleType
from typing import Any, Iterable, List, NamedTuple, Optional, Sequence

from apel.client.benchmarks import Benchmark
from apel.client.glue import Entries, Glue1, Glue2, lower_case, published

SECONDS = 20.0
#: The site's entry in a top-level BDII, and in the site's own: GLUE 1.3, and GLUE 2.
BASES_1 = ("mds-vo-name=%s,mds-vo-name=local,o=grid", "mds-vo-name=%s,o=grid")
BASES_2 = ("GLUE2DomainID=%s,GLUE2GroupID=grid,o=glue", "GLUE2DomainID=%s,o=glue")


class BdiiUnavailable(Exception):
    """The look-up can't be made now; the text says why."""


class Bdii(NamedTuple):
    """Where to ask. `seconds` bounds each wait for the server."""

    host: str
    port: int
    seconds: float = SECONDS


def published_benchmarks(bdii: Bdii, site: str, known: Iterable[str] = ()) -> List[Benchmark]:
    """What the site publishes, in GLUE 1.3, GLUE 2 or both. Raises BdiiUnavailable, whatever half was found.

    known: names of compute elements, of which GLUE 2 may only have the host.
    """
    ldap = _ldap()
    try:
        connection = _connect(ldap, bdii)
        try:
            return _look_up(_Search(ldap, connection, bdii.seconds), site, known)
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

    def site(self, patterns: Sequence[str], site: str) -> Optional[str]:
        """The base of the site that exists; None if there is none."""
        for pattern in patterns:
            base = pattern % self.ldap.dn.escape_dn_chars(site)
            try:
                self._search(base, self.ldap.SCOPE_BASE, "(objectClass=*)", ["1.1"])
                return base
            except self.ldap.NO_SUCH_OBJECT:
                continue
        return None

    def entries(self, base: Optional[str], kind: str, *attributes: str) -> Entries:
        """(DN, values) of the entries of an object class; none where there is no base."""
        if base is None:
            return []
        condition = "(objectClass=%s)" % kind
        return lower_case(self._search(base, self.ldap.SCOPE_SUBTREE, condition, list(attributes)))

    def _search(self, base: str, scope: int, condition: str, attributes: List[str]) -> List[Any]:
        return list(self.connection.search_ext_s(base, scope, condition, attributes, timeout=self.seconds))


def _look_up(search: _Search, site: str, known: Iterable[str]) -> List[Benchmark]:
    one, two = search.site(BASES_1, site), search.site(BASES_2, site)
    if one is None and two is None:
        raise BdiiUnavailable("the site %s is not published there" % site)
    environment = ("GLUE2ExecutionEnvironmentTotalInstances", "GLUE2ExecutionEnvironmentLogicalCPUs")
    first = Glue1(
        search.entries(one, "GlueCE", "GlueCECapability", "GlueCEUniqueID", "GlueForeignKey"),
        search.entries(one, "GlueCluster", "GlueClusterName", "GlueClusterUniqueID", "GlueForeignKey"),
        search.entries(
            one,
            "GlueSubCluster",
            *("GlueChunkKey", "GlueHostBenchmarkSI00", "GlueHostProcessorOtherDescription"),
            "GlueSubClusterLogicalCPUs",
        ),
    )
    second = Glue2(
        search.entries(
            two,
            "GLUE2Benchmark",
            *("GLUE2BenchmarkType", "GLUE2BenchmarkValue", "GLUE2BenchmarkExecutionEnvironmentForeignKey"),
        ),
        search.entries(
            two, "GLUE2ExecutionEnvironment", "GLUE2ResourceID", "GLUE2EntityOtherInfo", *environment
        ),
        search.entries(two, "GLUE2ComputingShare", "GLUE2EntityOtherInfo"),
        search.entries(two, "GLUE2ComputingEndpoint", "GLUE2EndpointURL"),
    )
    return published(first, second, known)
