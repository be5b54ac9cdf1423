"""From the batch system to events: apelcollect, then apelparser; no job lost, none counted twice."""

import glob
import os
import random
import sys

import pytest

from apel import times
from apel.commands import apelcollect
from apel.parsers import HTCondorParser, ParserOptions, SlurmParser
from apel.records import EventRecord

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data", "corpus")
OPTIONS = ParserOptions("TEST-SITE", "batch.grid.example.org")
EVENTS = (
    "SELECT JobName, WallDuration, CpuDuration, StartTime, EndTime, MemoryReal, MemoryVirtual, "
    "Processors, GPUs FROM EventRecords ORDER BY JobName"
)
DAY = 86400

#: Answers like sacct from lines of `end known_from line`: by the end of jobs, times as the environment asks,
#: memory on the line of the step, and nothing of a job that the database doesn't know yet.
SACCT = """
import calendar, os, sys, time
moment = lambda text: calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))
assert os.environ["TZ"] == "UTC" and os.environ["SLURM_TIME_FORMAT"] == "%s"
words = sys.argv[1:]
since, until = (moment(words[words.index(name) + 1]) for name in ("-S", "-E"))
names = next(word for word in words if word.startswith("--format=")).partition("=")[2].split(",")
print("|".join(names))
for row in open(DATA):
    end, known, line = row.rstrip("\\n").split(" ", 2)
    if since <= int(end) <= until and int(known) <= int(open(CLOCK).read()):
        tres = "billing=8,cpu=8,gres/gpu:a100=2,mem=16G,node=1"
        fields = line.split("|")
        fields[4], fields[5] = str(moment(fields[4])), end
        print("|".join(fields[:12] + ["", "", fields[14], tres]))
        print("|".join([fields[0] + ".batch", "batch", "", ""] + fields[4:8] + [""] + fields[9:] + [tres]))
"""

#: Likewise for condor_history; a job is in the history when it leaves the queue.
HISTORY = """
import json, re, sys
words = sys.argv[1:]
constraint = words[words.index("-constraint") + 1]
since, until = (int(number) for number in re.findall(r"EnteredCurrentStatus .= ([0-9]+)", constraint))
names = "GlobalJobId Owner RemoteWallClockTime RemoteUserCpu RemoteSysCpu JobStartDate".split()
names += "EnteredCurrentStatus ResidentSetSize_RAW ImageSize_RAW RequestCpus".split()
assert set(names) <= set(words[words.index("-attributes") + 1].split(","))
shown = []
for row in open(DATA):
    end, known, line = row.rstrip("\\n").split(" ", 2)
    if since <= int(end) <= until and int(known) <= int(open(CLOCK).read()):
        values = [int(text) if text.isdigit() else text for text in line.split("|")[:10]]
        shown.append(json.dumps(dict(zip(names, values)), indent=2))
print("[\\n" + "\\n,\\n".join(shown) + "\\n]")
"""


class Batch:
    """A batch system that is played: its corpus, its clock, its command."""

    def __init__(self, folder, system, parser, command, script):
        self.folder = folder
        self.lines = []
        for path in sorted(glob.glob(os.path.join(CORPUS, system + "-400", "batch", "*"))):
            with open(path, encoding="utf-8") as stream:
                self.lines += stream.read().splitlines()
        outcomes = [(parser(OPTIONS).parse(line), line) for line in self.lines]
        self.jobs = [(record, line) for record, line in outcomes if isinstance(record, EventRecord)]
        self.command = folder / command
        self.script = "#!%s\nDATA = %r\nCLOCK = %r\n%s" % (sys.executable, self.data, self.clock, script)
        self.works()

    @property
    def data(self):
        return str(self.folder / "data")

    @property
    def clock(self):
        return str(self.folder / "clock")

    def known_late(self, most_seconds):
        """Write the data: each job is known some time after its end, by chance."""
        chance = random.Random(7)
        with open(self.data, "w", encoding="utf-8") as stream:
            for record, line in self.jobs:
                known = record.StopTime + int(chance.random() ** 3 * most_seconds)
                stream.write("%d %d %s\n" % (record.StopTime, known, line))

    def works(self, script=None):
        """Make the command one that works; or another one."""
        self.command.write_text(script or self.script)
        self.command.chmod(0o755)

    def events(self, gpus=None):
        """The rows that the database shall have."""
        return sorted(
            (
                *(job.JobName, job.WallDuration, job.CpuDuration),
                *(times.utc_text(job.StartTime), times.utc_text(job.StopTime)),
                *(job.MemoryReal, job.MemoryVirtual, job.Processors, gpus),
            )
            for job, _ in self.jobs
        )


@pytest.fixture
def nights(site, tmp_path, monkeypatch):
    """nights(batch, system): a run each night, some of which fail, and one of the parser; its events."""

    def runs(batch, system):
        config = tmp_path / "collect.cfg"
        config.write_text(
            "[collect]\nparser_config = %s\n%s = %s\n[logging]\nlogfile =\nconsole = false\n"
            % (site.path("parser.cfg"), batch.command.name, batch.command)
        )
        first = min(job.StopTime for job, _ in batch.jobs)
        last = max(job.StopTime for job, _ in batch.jobs)
        chance = random.Random(1)
        for night, midnight in enumerate(range(first - first % DAY, last + 13 * DAY, DAY)):
            now = midnight + chance.choice([0, 0, 1, 299, 300, 301, 4000])
            monkeypatch.setattr(times, "now", lambda now=now: now)
            with open(batch.clock, "w") as stream:
                stream.write(str(now))
            fails = night % 5 in (2, 3)
            batch.works("#!/bin/sh\nprintf '1000001|job'; kill -9 $$\n" if fails else None)
            assert apelcollect.main([system, "-c", str(config)]) == (75 if fails else 0)
            if night % 9 == 0:
                assert site.command(zone="America/New_York")[0] == 0
        assert site.command(zone="America/New_York")[0] == 0
        return [(*row[:3], str(row[3]), str(row[4]), *row[5:]) for row in site.rows(EVENTS)]

    return runs


def test_slurm_from_night_to_night(site, nights, tmp_path):
    """Jobs that end at midnight, that slurmdbd learns of hours later, in nights when sacct dies half-way."""
    batch = Batch(tmp_path, "slurm", SlurmParser, "sacct", SACCT)
    batch.known_late(23 * 3600)
    site.config(batch__filename_prefix="slurm_acc", blah__enabled="false")
    assert nights(batch, "slurm") == batch.events(gpus=2)
    assert len(batch.jobs) == 400
    assert site.rows("SELECT COUNT(*) FROM RejectedLines") == [(0,)]


def test_htcondor_from_night_to_night(site, nights, tmp_path):
    """Jobs that stay in the queue for up to ten days after their end."""
    batch = Batch(tmp_path, "htcondor", HTCondorParser, "condor_history", HISTORY)
    batch.known_late(10 * DAY)
    site.config(batch__type="HTCondor", batch__filename_prefix="accounting", blah__enabled="false")
    assert nights(batch, "htcondor") == batch.events()
    assert len(batch.jobs) == 400
    assert site.rows("SELECT COUNT(*) FROM RejectedLines") == [(0,)]
