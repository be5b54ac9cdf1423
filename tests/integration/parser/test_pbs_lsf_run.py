"""The command apelparser on logs of PBS and LSF, with their options from the file."""

import os

import pytest

from apel.logfiles import BLOCK
from apel.parsers import LsfParser

DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data")
WANTED = "SELECT JobName, WallDuration, CpuDuration, Processors, NodeCount FROM EventRecords ORDER BY JobName"


def read(*names):
    with open(os.path.join(DATA, *names), encoding="utf-8") as stream:
        return stream.read()


@pytest.mark.parametrize("parallel, cores", [("true", (4, 1)), ("false", (0, 0))])
def test_pbs_with_and_without_cores(site, parallel, cores):
    """P16."""
    site.write("20250307", read("pbs", "torque-6.1", "20250307"))
    site.config(batch__type="pbs", batch__parallel=parallel)
    assert site.command() == (0, "", "")
    assert site.rows(WANTED)[0] == ("90117.pbs.example", 9005, 34800, *cores)


def test_requeued_run_is_stored_beside_the_last(site):
    """P16: they have one job id, and end at different times."""
    site.write("20230515", read("pbs", "openpbs-20", "20230515"))
    site.config(batch__type="PBS", batch__parallel="true")
    assert site.command() == (0, "", "")
    assert site.jobs() == ["77.pbs", "77.pbs", "79.pbs"]
    assert "doubtful 1: exec_host missing" in read(site.path("parser.log"))


@pytest.mark.parametrize("scale, times", [("true", (18000, 16552)), ("false", (7200, 6621))])
def test_lsf_with_and_without_host_factor(site, scale, times):
    """P17."""
    site.write("lsb.acct", read("lsf", "5.1", "lsb.acct"))
    site.config(batch__type="LSF", batch__parallel="true", batch__scale_host_factor=scale)
    assert site.command() == (0, "", "")
    assert site.rows(WANTED) == [("101", *times, 1, 1)]
    assert "skipped 1: never started" in read(site.path("parser.log"))


@pytest.mark.parametrize("given", [{}, {"batch__scale_host_factor": "false"}])
def test_lsf_without_a_word_on_host_factors(site, given):
    """Wall and CPU time depend on it, so nobody shall overlook it."""
    site.write("lsb.acct", read("lsf", "5.1", "lsb.acct"))
    site.config(batch__type="LSF", batch__parallel="true", **given)
    assert site.command() == (0, "", "")
    assert site.rows(WANTED) == [("101", 7200, 6621, 1, 1)]
    assert ("scale_host_factor is absent" in read(site.path("parser.log"))) == (not given)


def test_record_on_several_lines_that_is_being_written_waits(site):
    """P4: cut anywhere, its lines are left for the run that finds the rest."""
    lines = read("lsf", "9.1", "lsb.acct").splitlines(keepends=True)
    first, record = lines[0], "".join(lines[2:])
    for number, cut in enumerate(range(20, len(record), 97)):
        name = "lsb.acct.%d" % number
        both = [text.replace(" 90118 ", " %d " % (1000 + number)) for text in (record[:cut], record[cut:])]
        site.write(name, first + both[0])
        report = site.parse(LsfParser)
        assert (report.rejected_lines, report.files_unfinished) == (0, 1)
        site.write(name, both[1], "ab")
        report = site.parse(LsfParser)
        assert (report.stored, report.rejected_lines, report.files_unfinished) == (1, 0, 0)


def test_broken_last_record_holds_up_none_after_it(site):
    """P4, P7: it waits as long as it is the last, and then is rejected."""
    lines = read("lsf", "9.1", "lsb.acct").splitlines(keepends=True)
    site.write("lsb.acct", lines[0] + lines[2])
    for _ in range(2):
        assert site.parse(LsfParser).rejected_lines == 0
    site.write("lsb.acct", lines[1], "ab")
    report = site.parse(LsfParser)
    assert (report.rejected_lines, report.files_unfinished) == (1, 0)
    assert list(report.rejected) == ["an unpaired quote"]


def test_broken_last_record_of_a_finished_file_is_rejected(site):
    """P4: nobody will ever end it."""
    lines = read("lsf", "9.1", "lsb.acct").splitlines(keepends=True)
    path = site.write("lsb.acct", lines[0] + lines[2])
    assert site.parse(LsfParser).rejected_lines == 0
    os.utime(path, (1e9, 1e9))
    assert site.parse(LsfParser).rejected_lines == 1


def test_record_on_several_lines_is_whole_in_every_block(site):
    """P17: wherever the parser's blocks of the file end."""
    record = "".join(read("lsf", "9.1", "lsb.acct").splitlines(keepends=True)[2:])
    count = 2 * BLOCK // len(record) + 10
    site.write("lsb.acct", "".join(record.replace(" 90118 ", " %d " % number) for number in range(count)))
    report = site.parse(LsfParser)
    assert (report.stored, report.rejected_lines) == (count, 0)
    assert report.skipped == {"continues the record on the line before": 3 * count}
