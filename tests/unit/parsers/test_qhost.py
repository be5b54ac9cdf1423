"""Grid Engine's host factors: from a file, or from the command once, and never a reason to stop."""

import logging
import os
import stat

import pytest

from apel.ingest import qhost
from apelcommon.errors import ServiceError

SAMPLE = os.path.join(os.path.dirname(__file__), "..", "..", "data", "sge", "qhost.xml")
FACTORS = {
    "wn01.north.example": (1.25, 1.1),
    "wn02.north.example": (0.8, 1.0),
    "wn03.north.example": (1.0, 1.0),
}


@pytest.fixture
def command(tmp_path, monkeypatch):
    """command(script): makes it the only qhost on PATH."""

    def make(script):
        path = tmp_path / "qhost"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    monkeypatch.setenv("PATH", "%s%s/usr/bin:/bin" % (tmp_path, os.pathsep))
    return make


def test_factors_of_a_file(caplog):
    """Hosts without factors are left out; an impossible factor is 1, and a warning."""
    assert qhost.host_factors(SAMPLE) == FACTORS
    assert [record.getMessage() for record in caplog.records] == [
        "qhost: cputmult of host wn03.north.example is '0.000000', not a factor: 1 is taken",
        "qhost: wallmult of host wn03.north.example is 'fast', not a factor: 1 is taken",
    ]


def test_factors_of_the_command(command):
    command('test "$*" = "-F -xml" && cat %s' % SAMPLE)
    assert qhost.host_factors() == FACTORS


@pytest.mark.parametrize(
    "script, words",
    [
        ("exit 3", "status 3"),
        ("exec sleep 60", "did not end within 0.3 seconds"),
        ("echo error: commlib error", "no XML"),
        ("echo '<html/>'", "not the output of qhost"),
        (None, "command not found"),
    ],
)
def test_command_that_fails_scales_nothing(command, caplog, monkeypatch, script, words):
    if script == "exec sleep 60":
        monkeypatch.setattr(qhost, "TIMEOUT_SECONDS", 0.3)
    if script is not None:
        command(script)
    with caplog.at_level(logging.WARNING):
        assert qhost.host_factors() == {}
    (record,) = caplog.records
    assert words in record.getMessage()
    assert "no host is scaled" in record.getMessage()


@pytest.mark.parametrize("text", [None, "", "<qhost>", "<a/>"])
def test_file_that_was_named_must_be_there_and_right(tmp_path, text):
    """Unscaled times would be stored for good."""
    path = tmp_path / "qhost.xml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ServiceError, match="qhost_file"):
        qhost.host_factors(str(path))


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "1e9", ""])
def test_impossible_factors(text):
    xml = "<qhost><host name='n'><resourcevalue name='wallmult'>%s</resourcevalue></host></qhost>" % text
    assert qhost.parsed(xml.encode()) == {"n": (1.0, 1.0)}
