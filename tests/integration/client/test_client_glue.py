"""A BDII in GLUE 2, and in both GLUEs: a real slapd with a site's objects, and what becomes of them."""

import pytest
from gridsite import SITE, epoch, event, grid, settings_with

from apel import times
from apel.client import run
from apel.client.bdii import Bdii, BdiiUnavailable, published_benchmarks
from apel.client.benchmarks import Benchmark
from servers.process import ServerMissing
from servers.slapd import Slapd

CE = "%s:9619/%s-condor"
CONDOR, ARC, CREAM = "ce1.example.org", "arc.example.org", "cream.example.org:8443/cream-pbs-long"


def entry(dn, *classes, **attributes):
    lines = ["dn: " + dn, *("objectClass: " + name for name in classes)]
    for name, values in attributes.items():
        many = values if isinstance(values, list) else [values]
        lines += ["%s: %s" % (name.replace("_", "-"), value) for value in many]
    return "\n".join(lines) + "\n\n"


def glue2(name, below, **attributes):
    """An entry of a GLUE 2 class, named by its first attribute."""
    named = {"GLUE2" + key: value for key, value in attributes.items()}
    key = next(iter(named))
    return entry("%s=%s,%s" % (key, named[key], below), "GLUE2" + name, **named)


def service(base, name, machines=(), url="", shares=()):
    """A computing service: its kinds of machines as (instances, CPUs of each, benchmarks by type)."""
    dn = "GLUE2ServiceID=%s,%s" % (name, base)
    found = [glue2("Service", base, ServiceID=name)]
    for number, (instances, cpus, benchmarks) in enumerate(machines):
        counts = {"ExecutionEnvironmentTotalInstances": instances, "ExecutionEnvironmentLogicalCPUs": cpus}
        counts = {key: value for key, value in counts.items() if value is not None}
        resource = "%s-%d" % (name, number)
        found.append(glue2("ExecutionEnvironment", dn, ResourceID=resource, **counts))
        below = "GLUE2ResourceID=%s,%s" % (resource, dn)
        for kind, value in benchmarks.items():
            values = {"BenchmarkType": kind, "BenchmarkValue": value}
            key = {"BenchmarkExecutionEnvironmentForeignKey": resource}
            found.append(glue2("Benchmark", below, BenchmarkID=resource + kind, **values, **key))
    if url:
        found.append(glue2("ComputingEndpoint", dn, EndpointID=name, EndpointURL=url))
    for number, info in enumerate(shares):
        found.append(glue2("ComputingShare", dn, ShareID="s%d" % number, EntityOtherInfo=info))
    return "".join(found)


def site_in_glue2(top):
    group = "GLUE2GroupID=grid,o=glue"
    base = "GLUE2DomainID=%s,%s" % (SITE, group if top else "o=glue")
    cream = ["CREAMCEId=" + CREAM, "InfoProviderName=x"]
    return "".join(
        [
            entry("o=glue", "organization", o="glue"),
            entry(group, "GLUE2Group", GLUE2GroupID="grid") if top else "",
            entry(base, "GLUE2Domain", GLUE2DomainID=SITE),
            # 10 x 64 cores of 12 and 20 x 16 of 9: the mean is 11.
            service(
                base,
                "condor",
                [
                    (10, 64, {"HEPscore23": "12", "hep-spec06": "12.3", "specfp2000": "1"}),
                    (20, 16, {"HEPscore23": "9.0", "hep-spec06": "9.3"}),
                ],
                url="https://CE1.example.org:9619/",
                shares=[["CPUScalingReferenceSI00=999"]],  # of no use beside benchmarks
            ),
            # Nothing says how many there are.
            service(
                base,
                "arc",
                [(None, None, {"specint2000": "2500"}), (None, 0, {"specint2000": "3000"})],
                url=ARC,
            ),
            service(base, "cream", [(1, 8, {"HEP-SPEC06": "fast"})], shares=[cream]),
            service(base, "old", shares=[["CREAMCEId=old-ce", "CPUScalingReferenceSI00=1500"]]),
        ]
    )


def site_in_glue1():
    """CREAM's compute element in GLUE 1.3 as well: HEPSPEC of two sub-clusters, si2k of its own."""
    base = "mds-vo-name=%s,o=grid" % SITE
    cluster = "GlueClusterUniqueID=c,%s" % base
    hosts = [
        ("a", "90", "Cores=4, Benchmark=10.00-HEP-SPEC06"),
        ("b", "30", "Cores=8,Benchmark=14-HEP-SPEC06"),
    ]
    return "".join(
        [
            entry("o=grid", "organization", o="grid"),
            entry(base, "Mds", mds_vo_name=SITE),
            entry(
                "GlueCEUniqueID=%s,%s" % (CREAM.replace(",", "\\,"), base),
                "GlueCE",
                GlueCEUniqueID=CREAM,
                GlueCECapability="CPUScalingReferenceSI00=2600",
            ),
            entry(
                cluster,
                "GlueCluster",
                GlueClusterUniqueID="c",
                GlueForeignKey="GlueCEUniqueID=" + CREAM,
            ),
            *(
                entry(
                    "GlueSubClusterUniqueID=%s,%s" % (name, cluster),
                    "GlueSubCluster",
                    GlueSubClusterUniqueID=name,
                    GlueChunkKey="GlueClusterUniqueID=c",
                    GlueSubClusterLogicalCPUs=cores,
                    GlueHostProcessorOtherDescription=text,
                    GlueHostBenchmarkSI00="2000",
                )
                for name, cores, text in hosts
            ),
        ]
    )


@pytest.fixture(scope="module", params=["top-level", "site"])
def bdii(request):
    pytest.importorskip("ldap", reason="python-ldap is not installed: BDII look-ups are not tested")
    try:
        server = Slapd(site_in_glue1(), site_in_glue2(request.param == "top-level"))
    except ServerMissing as err:
        pytest.fail(str(err), pytrace=False)
    try:
        server.start()
        yield Bdii(server.host, server.port, 5.0)
    finally:
        server.close()


KNOWN = [CE % (CONDOR, CONDOR), "ce1.example.org:9619/other", ARC, "elsewhere.example.org:9619/x"]
CONDORS = [(ce, kind, value) for ce in KNOWN[:2] for kind, value in (("HEPscore23", 11.0), ("HEPSPEC", 11.3))]


def test_both_glues_give_all_benchmarks(bdii, caplog):
    """Means are weighted by cores; of an element in both, each type comes from GLUE 1.3 if it has it."""
    found = published_benchmarks(bdii, SITE, KNOWN)
    assert sorted(found) == sorted(
        [
            *(Benchmark(*one) for one in CONDORS),
            Benchmark(ARC, "si2k", 2750.0),
            Benchmark(CREAM, "HEPSPEC", 11.0),
            Benchmark(CREAM, "si2k", 2600.0),
            Benchmark("old-ce", "si2k", 1500.0),
        ]
    )
    assert "'fast', which is no number" in caplog.text


def test_host_that_no_job_came_from_has_no_element_yet(bdii):
    """GLUE 2 may know the host of an element alone, while benchmarks are kept by the names in BLAH logs."""
    assert {benchmark.ce for benchmark in published_benchmarks(bdii, SITE)} == {CREAM, "old-ce"}


def test_site_in_neither_glue(bdii):
    """C12."""
    with pytest.raises(BdiiUnavailable, match="the site NOWHERE is not published"):
        published_benchmarks(bdii, "NOWHERE", KNOWN)


def test_history_follows_the_bdii_and_outlives_it(bdii, site, monkeypatch, caplog):
    """C12: HEPscore23 is the first choice, all are kept; and a BDII that is down leaves the old values."""
    ce = CE % (CONDOR, CONDOR)
    site.put(event("1", "2026-03-20 00:00:00"), grid("1", ce=ce))
    options = {"enabled": True, "site_name": SITE, "ldap_host": bdii.host, "ldap_port": bdii.port}
    values = {"spec_updater__" + name: value for name, value in options.items()}
    monkeypatch.setattr(times, "now", lambda: epoch("2026-03-01 00:00:00"))
    run.update_benchmarks(site.db, settings_with(**values))
    before = sorted(site.rows("SELECT CE, ServiceLevelType, ServiceLevel, StopTime FROM VSpecRecords"))
    assert (ce, "HEPscore23", 11.0, None) in before
    caplog.clear()
    monkeypatch.setattr(times, "now", lambda: epoch("2026-03-10 00:00:00"))
    run.update_benchmarks(site.db, settings_with(**dict(values, spec_updater__ldap_port=1)))
    assert "No benchmarks from the BDII, so those known stay in force" in caplog.text
    assert (
        sorted(site.rows("SELECT CE, ServiceLevelType, ServiceLevel, StopTime FROM VSpecRecords")) == before
    )
    site.join()
    assert site.jobs()["1"].ServiceLevelType == "HEPscore23"
    kept = site.rows("SELECT BenchmarkType, Benchmark FROM JobBenchmarks ORDER BY LOWER(BenchmarkType)")
    assert kept == [("HEPscore23", 11.0), ("HEPSPEC", 11.3)]
