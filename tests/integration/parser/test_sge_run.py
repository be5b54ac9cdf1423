"""apelparser over Grid Engine's logs, with its hosts' factors from the command qhost or from a file."""

import os
import stat

import pytest

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data", "sge")
QHOST = os.path.abspath(os.path.join(DATA, "qhost.xml"))
DURATIONS = "SELECT JobName, WallDuration, CpuDuration FROM EventRecords ORDER BY JobName"
SCALED = [("6001", 9005, 27840), ("6002.1", 600, 472), ("6002.2", 600, 580), ("6003", 60, 48)]
PLAIN = [("6001", 9005, 34800), ("6002.1", 600, 591), ("6002.2", 600, 580), ("6003", 60, 60)]


@pytest.fixture
def sge_site(site, tmp_path, monkeypatch):
    """The site with a log of Grid Engine 6.2, and no command qhost but what the test makes."""
    with open(os.path.join(DATA, "6.2u5", "accounting")) as stream:
        site.write("accounting", stream.read())
    site.qhost = tmp_path / "commands" / "qhost"
    site.qhost.parent.mkdir()
    monkeypatch.setenv("PATH", str(site.qhost.parent) + os.pathsep + "/usr/bin:/bin")
    return site


def make_command(site, script):
    site.qhost.write_text("#!/bin/sh\n" + script)
    site.qhost.chmod(site.qhost.stat().st_mode | stat.S_IXUSR)


def parse(site, **changes):
    site.config(batch__type="SGE", blah__enabled="false", **changes)
    status, _, err = site.command()
    with open(site.path("parser.log")) as stream:
        return status, err, stream.read()


def test_factors_of_the_command(sge_site):
    """Asked once for the whole run."""
    make_command(sge_site, "echo x >> %s.calls; cat %s" % (sge_site.qhost, QHOST))
    assert parse(sge_site)[0] == 0
    assert sge_site.rows(DURATIONS) == SCALED
    with open("%s.calls" % sge_site.qhost) as stream:
        assert stream.read() == "x\n"


def test_factors_of_a_file(sge_site):
    make_command(sge_site, "exit 1")
    assert parse(sge_site, batch__qhost_file=QHOST)[0] == 0
    assert sge_site.rows(DURATIONS) == SCALED


def test_command_that_is_missing_stops_nothing(sge_site):
    status, _, log = parse(sge_site)
    assert status == 0
    assert "qhost: command not found (PATH, or its option); no host is scaled" in log
    assert "no host is scaled" in log
    assert sge_site.rows(DURATIONS) == PLAIN


def test_file_that_is_missing_stops_the_run(sge_site):
    """Unscaled times would stay in the database for good."""
    status, err, _ = parse(sge_site, batch__qhost_file="/no/such/file")
    assert status == 1
    assert "qhost_file /no/such/file" in err
    assert sge_site.rows(DURATIONS) == []


def test_growing_file_with_slave_tasks(sge_site):
    """P3: a slave task that a run has read is counted as doubtful; reading all again sets it right."""
    with open(os.path.join(DATA, "8.1-soge", "accounting")) as stream:
        lines = stream.readlines()
    sge_site.write("accounting", "".join(lines[:5]))
    assert "doubtful 1: CPU time of slave tasks whose job was not read in the same run" in parse(sge_site)[2]
    sge_site.write("accounting", "".join(lines[5:]), "ab")
    parse(sge_site)
    assert sge_site.rows(DURATIONS)[0] == ("7001", 3600, 14104)
    parse(sge_site, batch__reparse="true")
    assert sge_site.rows(DURATIONS) == [("7001", 3600, 28305), ("7002", 12, 2)]
