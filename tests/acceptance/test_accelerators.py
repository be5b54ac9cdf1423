"""Logs with GPUs and FPGAs, by a site and signed messages to the centre: hours equal a hand-made truth."""

import glob
import json
import os
from collections import defaultdict

import pytest

from apel.demo import LogFiles, embedded_deployment
from apel.messages import decode

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
    return made


def truth():
    with open(os.path.join(DATA, "truth.json"), encoding="utf-8") as stream:
        return json.load(stream)["by_month_vo_type_model"]


def parse_and_publish(deployment, rules):
    """A site with two batch systems, of which each has its parser."""
    for system in ("slurm", "htcondor"):
        deployment.machine_name = "%s.grid.example.org" % system
        logs = LogFiles(system, os.path.join(DATA, system), os.path.join(DATA, "blah"))
        deployment.write_site(logs, BENCHMARKS, unloader={"accelerators": "true"}, accelerators=rules)
        deployment.run("apelparser")
    publish(deployment)


def publish(deployment):
    deployment.run("apelclient")
    deployment.run("ssmsend")
    deployment.run("ssmreceive", "--once")


def hours(records):
    """Hours of cards by month, VO, type and model."""
    sums = defaultdict(lambda: {"hours": 0.0, "active_hours": 0.0})
    for record in records:
        month = "%d-%02d" % (record.MeasurementYear, record.MeasurementMonth)
        total = sums[" ".join([month, record.VO, record.Type, record.Model])]
        used = record.AvailableDuration if record.ActiveDuration is None else record.ActiveDuration
        total["hours"] += record.Count * record.AvailableDuration / 3600
        total["active_hours"] += record.Count * used / 3600
    return dict(sums)


def received(deployment):
    """The records of all accelerator messages that the centre has taken and not loaded."""
    records = []
    for path in sorted(glob.glob(deployment.path("centre/spool/incoming/*/*/body"))):
        with open(path, encoding="utf-8") as stream:
            message = decode(stream.read())
        if message.format == "accelerator v0.1":
            assert not message.rejected
            records += message.records
    return records


def test_hours_that_the_centre_is_told_equal_the_truth(deployment):
    """SLURM and HTCondor: models of the log, of rules and unknown ones, shares, and time of use."""
    parse_and_publish(deployment, RULES)
    assert hours(received(deployment)) == truth()
    publish(deployment)
    assert len(received(deployment)) == 8
