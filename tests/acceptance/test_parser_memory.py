"""apelparser's memory does not grow with its logs: many jobs, none like another, and lines that fail.

APEL_TEST_LOG_BYTES=5000000000 in the environment makes logs of that size (in TMPDIR, one at a time).
"""

import os
import subprocess
import sys

import pytest

from apel.samples import FORMATS, SampleOptions, sample_jobs

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LARGE = int(os.environ.get("APEL_TEST_LOG_BYTES", "30000000"))
SMALL = 2000000
MOST_KB = 150 * 1024
#: How much more a large log may take than a small one: what is remembered of names has its bounds.
MORE_KB = 32 * 1024
#: Digits that stand nowhere else in a log.
MARK = "777777"
TYPES = {"slurm": "SLURM", "pbs": "PBS", "sge": "SGE", "lsf": "LSF", "htcondor": "HTCondor"}
CONFIG = """
[db]
backend = sqlite
name = {folder}/client.db
[site_info]
site_name = TEST-SITE
lrms_server = batch.example.org
[blah]
enabled = false
[batch]
enabled = true
type = {type}
parallel = true
scale_host_factor = false
dir = {folder}/logs
filename_prefix = log
[parser]
lockfile = {folder}/lock
[logging]
logfile = {folder}/parser.log
console = false
"""


def block(system):
    """5000 jobs of different users and durations, each 50th line broken; MARK is in every id."""
    lines = []
    for number, job in enumerate(sample_jobs(SampleOptions(system, jobs=5000))):
        job["lrms"] = job["lrms"].replace(str(job["id"]), "%s%04d" % (MARK, number))
        job.update(user="somebody%d" % number, id=int("%s%04d" % (MARK, number)))
        job.update(wall=job["wall"] + number, cpu=job["cpu"] + 2 * number)
        line = FORMATS[system](job)
        lines.append(line[: number % len(line)] if number % 50 == 49 else line)
    return "\n".join(lines).encode() + b"\n"


def write_log(path, system, size):
    """At least `size` bytes, in which no two jobs and users have one name; the number of lines."""
    one = block(system)
    number = written = 0
    with open(path, "wb") as stream:
        while written < size:
            other = one.replace(MARK.encode(), b"%06d" % (100000 + number))
            written += stream.write(other.replace(b"somebody", b"u%d-" % number))
            number += 1
    return 5000 * number


def parse(folder, system, *words):
    """A run of the command over the log: (its most memory in kB, the closing report)."""
    path = os.path.join(str(folder), "parser.cfg")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(CONFIG.format(folder=folder, type=TYPES[system]))
    command = [sys.executable, os.path.join(ROOT, "bin", "apelparser"), "-c", path, *words]
    # A process of its own tells the most of its only child; rusage of this one would count all others.
    measure = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2); "
    measure += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    out = subprocess.check_output(
        [sys.executable, "-c", measure, *command],
        stderr=subprocess.DEVNULL,
        env=dict(os.environ, PYTHONPATH=ROOT, TZ="UTC"),
    )
    with open(os.path.join(str(folder), "parser.log"), encoding="utf-8") as stream:
        return int(out), stream.read()


@pytest.mark.parametrize("system", sorted(FORMATS))
def test_memory_is_flat(tmp_path, system):
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "log"
    used = []
    for size in (SMALL, LARGE):
        count = write_log(str(log), system, size)
        kilobytes, report = parse(tmp_path, system, "--dry-run")
        assert int(report.rsplit(" records stored", 1)[0].rsplit(" ", 1)[1]) >= count * 49 // 50
        used.append(kilobytes)
        log.unlink()
    print("%s: %d MB of %d bytes, %d MB of %d" % (system, used[0] // 1024, SMALL, used[1] // 1024, LARGE))
    assert max(used) < MOST_KB
    assert used[1] - used[0] < MORE_KB


def test_memory_of_storing(tmp_path):
    """Lines that fail are kept, too."""
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "log"
    count = write_log(str(log), "slurm", LARGE)
    kilobytes, report = parse(tmp_path, "slurm")
    assert int(report.rsplit(" records stored", 1)[0].rsplit(" ", 1)[1]) >= count * 49 // 50
    log.unlink()
    print("storing: %d MB of %d bytes" % (kilobytes // 1024, LARGE))
    assert kilobytes < MOST_KB
