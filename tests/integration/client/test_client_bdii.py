"""Benchmarks from a BDII: a real slapd with a site's GLUE 1.3 objects, and days on which there is none."""

import socket
import sys
from types import SimpleNamespace

import pytest

from apel.client.bdii import Bdii, BdiiUnavailable, published_benchmarks
from apel.client.benchmarks import Benchmark
from apel.commands import checking
from apelcommon.checks import OK, WARNING, Check
from servers.process import ServerMissing
from servers.slapd import Slapd

SITE = "TEST-SITE"


def entry(dn, **attributes):
    lines = ["dn: " + dn]
    for name, values in attributes.items():
        lines += ["%s: %s" % (name.replace("_", "-"), value) for value in values]
    return "\n".join(lines) + "\n\n"


def glue(base):
    """Two compute elements that publish a benchmark, two behind a cluster that does, and one without."""
    ce = "GlueCEUniqueID=%s," + base
    sub = "GlueSubClusterUniqueID=c,GlueClusterUniqueID=c.example.org," + base
    return "".join(
        [
            entry(base, objectClass=["Mds"], mds_vo_name=[SITE]),
            entry(
                ce % "ce1",
                objectClass=["GlueCE"],
                GlueCEUniqueID=["ce1"],
                GlueCECapability=["Share=atlas:50", "CPUScalingReferenceSI00=2500"],
            ),
            entry(
                ce % "ce2",
                objectClass=["GlueCE"],
                GlueCEUniqueID=["ce2"],
                GlueCECapability=["CPUScalingReferenceSI00=fast"],
            ),
            entry(
                ce % "ce3",
                objectClass=["GlueCE"],
                GlueCEUniqueID=["ce3"],
                GlueForeignKey=["GlueClusterUniqueID=c.example.org"],
            ),
            entry(
                "GlueClusterUniqueID=c.example.org," + base,
                objectClass=["GlueCluster"],
                GlueClusterUniqueID=["c.example.org"],
                GlueClusterName=["c.example.org"],
                GlueForeignKey=["GlueSiteUniqueID=" + SITE, "GlueCEUniqueID=ce1", "GlueCEUniqueID=ce4"],
            ),
            entry(
                sub,
                objectClass=["GlueSubCluster"],
                GlueSubClusterUniqueID=["c"],
                GlueChunkKey=["GlueClusterUniqueID=c.example.org"],
                GlueHostBenchmarkSI00=["3000"],
            ),
        ]
    )


ROOT = entry("o=grid", objectClass=["organization"], o=["grid"])
LOCAL = entry("mds-vo-name=local,o=grid", objectClass=["Mds"], mds_vo_name=["local"])


@pytest.fixture(scope="module", params=["top-level", "site"])
def bdii(request):
    pytest.importorskip("ldap", reason="python-ldap is not installed: BDII look-ups are not tested")
    base = "mds-vo-name=%s,o=grid" % SITE
    top = "mds-vo-name=%s,mds-vo-name=local,o=grid" % SITE
    try:
        server = Slapd(ROOT + (LOCAL + glue(top) if request.param == "top-level" else glue(base)))
    except ServerMissing as err:
        pytest.fail(str(err), pytrace=False)
    try:
        server.start()
        yield Bdii(server.host, server.port, 5.0)
    finally:
        server.close()


def test_elements_and_clusters_give_their_benchmarks(bdii, caplog):
    """What a compute element says itself comes first; one without is named."""
    found = published_benchmarks(bdii, SITE)
    assert sorted(found) == [
        Benchmark("ce1", "si2k", 2500.0),
        Benchmark("ce3", "si2k", 3000.0),
        Benchmark("ce4", "si2k", 3000.0),
    ]
    assert "'fast', which is no number" in caplog.text
    assert "no benchmark for ce2" in caplog.text


def said(bdii, site):
    specs = SimpleNamespace(ldap_host=bdii.host, ldap_port=bdii.port, ldap_timeout=5.0, site_name=site)
    return checking.bdii(specs)


def test_check_of_the_configuration_asks_the_bdii(bdii, monkeypatch):
    """A run without it only warns, so the check does."""
    text = "%s:%d has 3 benchmarks of %s" % (bdii.host, bdii.port, SITE)
    assert said(bdii, SITE) == Check(OK, "BDII", text)
    assert said(bdii, "OTHER").outcome == WARNING
    monkeypatch.setitem(sys.modules, "ldap", None)
    found = said(bdii, SITE)
    assert found.outcome == WARNING and "install the package python3-ldap" in found.text


def test_site_that_is_not_published(bdii):
    """C12."""
    with pytest.raises(BdiiUnavailable, match=r"the site NO\*SITE\)\(x=y is not published"):
        published_benchmarks(bdii, "NO*SITE)(x=y")


def test_bdii_down_is_one_error_that_says_so():
    """C12."""
    pytest.importorskip("ldap")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(BdiiUnavailable, match="ldap://127.0.0.1:%d: Can't contact LDAP server" % port):
            published_benchmarks(Bdii("127.0.0.1", port, 2.0), SITE)


def test_bdii_that_says_nothing_is_given_up():
    """C12: it takes the connection, and never answers."""
    pytest.importorskip("ldap")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        with pytest.raises(BdiiUnavailable, match="no answer in time"):
            published_benchmarks(Bdii("127.0.0.1", silent.getsockname()[1], 0.5), SITE)


def test_python_ldap_absent_says_what_to_install(monkeypatch):
    """C12: it is imported only here, and its absence is no crash."""
    monkeypatch.setitem(sys.modules, "ldap", None)
    with pytest.raises(BdiiUnavailable, match="python3-ldap"):
        published_benchmarks(Bdii("127.0.0.1", 1), SITE)
