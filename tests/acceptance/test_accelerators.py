"""Logs with GPUs and FPGAs, by a site and signed messages to the centre: hours equal a hand-made truth."""

import json
import os

import pytest

from apel.demo import LogFiles, embedded_deployment

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "accelerators")
BENCHMARKS = {
    "ce0%d.grid.example.org:9619/ce0%d.grid.example.org-batch" % (number, number): "HEPscore23,10.0"
    for number in (1, 2)
}
RULES = {
    "rule1": "host=gpu-v*,model=NVIDIA V100",
    "rule2": "name=*a100*,model=NVIDIA A100",
    "rule3": "name=t4,model=NVIDIA T4",
    "rule4": "name=shard,model=NVIDIA T4,share=0.25",
    "rule5": "name=u250,model=Alveo U250",
}


@pytest.fixture
def deployment(tmp_path):
    made = embedded_deployment(str(tmp_path))
    made.write_centre()
    with open(made.path("centre/accelerator-db.cfg"), "w", encoding="utf-8") as stream:
        stream.write("[db]\nbackend = sqlite\nname = %s\ntype = accelerator\n" % made.centre_db["name"])
    for schema in ("server", "accelerator"):
        made.run("apeldb", "init", "--schema", schema)
    return made


def truth():
    with open(os.path.join(DATA, "truth.json"), encoding="utf-8") as stream:
        return json.load(stream)["by_month_vo_type_model"]


def configure(deployment, system, rules):
    logs = LogFiles(system, os.path.join(DATA, system), os.path.join(DATA, "blah"))
    deployment.machine_name = "%s.grid.example.org" % system
    deployment.write_site(logs, BENCHMARKS, unloader={"accelerators": "true"}, accelerators=rules)


def parse(deployment):
    """A site with two batch systems, of which each has its parser."""
    for system in ("slurm", "htcondor"):
        configure(deployment, system, RULES)
        deployment.run("apelparser")


def publish(deployment, *options):
    deployment.run("apelclient", *options)
    deployment.run("ssmsend")
    deployment.run("ssmreceive", "--once")


def summarise(deployment):
    """The centre's database has the tables of jobs and those of accelerators."""
    deployment.run("apeldbloader", "--once")
    deployment.run("apelsummariser", "-d", deployment.path("centre/accelerator-db.cfg"))


SUMS = """
SELECT Year, Month, VO, Type, Model,
       SUM(Count * AvailableDuration) / 3600.0, SUM(Count * ActiveDuration) / 3600.0
FROM VAcceleratorSummaries WHERE SiteName = %s AND AssociatedRecordType = 'job'
GROUP BY Year, Month, VO, Type, Model
"""


def hours(deployment):
    """Hours of cards at the centre by month, VO, type and model; what has none is not told."""
    with deployment.central_database() as db:
        rows = db.run(lambda tx: tx.rows(SUMS, (deployment.site_name,)))
    return {
        "%d-%02d %s %s %s" % row[:5]: {"hours": float(row[5]), "active_hours": float(row[6])}
        for row in rows
        if row[5]
    }


def test_hours_at_the_centre_equal_the_truth(deployment):
    """SLURM and HTCondor: models of the log, of rules and unknown ones, shares, and time of use."""
    parse(deployment)
    publish(deployment)
    summarise(deployment)
    assert hours(deployment) == truth()
    with deployment.central_database() as db:
        assert db.run(lambda tx: tx.value("SELECT COUNT(*) FROM AcceleratorRecords")) == 8
        assert db.run(lambda tx: tx.value("SELECT COUNT(*) FROM JobRecords")) == 9


def test_model_that_is_named_later_is_counted_once_at_the_centre(deployment):
    """The centre has the record of the unknown model by then."""
    parse(deployment)
    publish(deployment)
    configure(deployment, "htcondor", dict(RULES, rule6="host=gpu-h01*,model=NVIDIA T4"))
    publish(deployment, "--rejoin", "2026-11")
    summarise(deployment)
    expected = truth()
    expected["2026-11 cms GPU NVIDIA T4"] = expected.pop("2026-11 cms GPU unknown")
    assert hours(deployment) == expected
