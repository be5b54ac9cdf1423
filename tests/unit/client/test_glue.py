"""What a BDII says is not ours: whatever it is, a look-up gives benchmarks that may be stored, or none."""

from hypothesis import given
from hypothesis import strategies as st

from apel.client.benchmarks import MOST, PREFERENCE
from apel.client.glue import Glue1, Glue2, means, published

ODD = st.sampled_from(
    [
        *(
            "",
            "=",
            "²",
            "-1",
            "nan",
            "1e999",
            "0",
            "10.5",
            "https://[x",
            "://",
            "CPUScalingReferenceSI00=",
            "a=b",
        ),
        *(
            "CPUScalingReferenceSI00=2500",
            "CPUScalingReference-=1",
            "Benchmark=1-HS06,Benchmark=--HS06",
            "hep-spec06",
        ),
        *(
            "GlueCEUniqueID=ce",
            "GlueClusterUniqueID=c",
            "CREAMCEId=",
            "CREAMCEId=ce",
            "ce",
            "c",
            "99999999999999999999",
        ),
    ]
)
NAMES = (
    *("glueceuniqueid", "gluececapability", "glueforeignkey", "glueclustername", "glueclusteruniqueid"),
    *(
        "gluechunkkey",
        "gluehostbenchmarksi00",
        "gluehostprocessorotherdescription",
        "gluesubclusterlogicalcpus",
    ),
    *("glue2benchmarktype", "glue2benchmarkvalue", "glue2benchmarkexecutionenvironmentforeignkey"),
    *(
        "glue2resourceid",
        "glue2entityotherinfo",
        "glue2executionenvironmenttotalinstances",
        "glue2endpointurl",
    ),
)
TEXTS = st.one_of(ODD, st.text(max_size=8))
ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["", "GLUE2ServiceID=s,o=glue", "x=y,glue2serviceid=a\\,b,o=glue"]),
        st.dictionaries(st.sampled_from(NAMES), st.lists(TEXTS, max_size=3), max_size=6),
    ),
    max_size=4,
)


@given(ENTRIES, ENTRIES, ENTRIES, ENTRIES, ENTRIES, ENTRIES, ENTRIES)
def test_nothing_in_a_bdii_ends_a_run(elements, clusters, hosts, benchmarks, environments, shares, endpoints):
    """C12: and what comes of it can be stored."""
    first = Glue1(elements, clusters, hosts)
    second = Glue2(benchmarks, environments, shares, endpoints)
    for one in published(first, second, ["ce", "ce.example.org:9619/x"]):
        assert one.ce and one.type in PREFERENCE and 0 < one.value <= MOST


def test_of_nothing_there_is_no_mean():
    assert list(means([])) == []
