"""The list of accepted signers: read, re-read, and kept when its file goes bad."""

import itertools
import logging
import os

import pytest

import ssm.dnlist
from apelcommon.errors import ConfigError
from ssm.dnlist import DnList

A, B = "/C=UK/O=Grid/CN=a.example.org", "/C=UK/O=Grid/CN=b.example.org"


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set forward."""

    class Clock:
        now = 1000.0

    clock = Clock()
    monkeypatch.setattr(ssm.dnlist.time, "monotonic", lambda: clock.now)
    return clock


ages = itertools.count(1)


def write(path, text):
    path.write_bytes(text.encode("utf-8"))
    os.utime(str(path), (next(ages),) * 2)


def settle(names, clock, seconds=4):
    for _ in range(seconds):
        clock.now += 1.01
        names.refresh()


def test_names_are_read(tmp_path, caplog):
    path = tmp_path / "dns"
    write(path, "# comment\n\n  %s  \nhost.example.org\n%s/emailAddress=a@b\r\n/CN=Zoë\n" % (A, B))
    names = DnList(str(path))
    assert len(names) == 3
    assert A in names
    assert B + "/emailAddress=a@b" in names
    assert "/CN=Zo\\xC3\\xAB" in names
    assert B not in names
    assert A.lower() not in names
    assert "line 4 is no DN" in caplog.text


def test_names_with_commas_are_the_same_names(tmp_path):
    """S15: RFC 2253 versus slash form: one form in the end."""
    path = tmp_path / "dns"
    write(path, "CN=a.example.org,O=Grid,C=UK\nC = UK, O = Grid, CN = b.example.org\n")
    names = DnList(str(path))
    assert A in names
    assert B in names


def test_list_that_may_be_empty(tmp_path, clock):
    """S12: nobody is banned until somebody is; a list that goes leaves the last one in force."""
    path = tmp_path / "banned"
    names = DnList(str(path), of_banned=True)
    assert A not in names
    write(path, A + "\n")
    settle(names, clock)
    assert A in names
    path.unlink()
    settle(names, clock, 60)
    assert A in names
    write(path, "# nobody\n")
    settle(names, clock)
    assert A not in names
    assert len(DnList(str(path), of_banned=True)) == 0
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="Cannot read"):
        DnList(str(path), of_banned=True)


def test_list_that_is_out_of_reach_is_not_an_empty_one(tmp_path):
    """S12: a link into a file system that is not mounted, or a file in a folder that is not ours to enter."""
    os.symlink(str(tmp_path / "unmounted" / "banned"), str(tmp_path / "banned"))
    with pytest.raises(ConfigError, match="Cannot read"):
        DnList(str(tmp_path / "banned"), of_banned=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="Cannot read"):
        DnList(str(tmp_path / "file" / "banned"), of_banned=True)


@pytest.mark.parametrize("text", ["", "# nothing\n", "host.example.org\n"])
def test_list_without_a_name_does_not_start(tmp_path, text):
    path = tmp_path / "dns"
    write(path, text)
    with pytest.raises(ConfigError, match="No valid DN"):
        DnList(str(path))
    with pytest.raises(ConfigError, match="Cannot read"):
        DnList(str(tmp_path / "none"))


def test_new_list_is_taken_up_within_seconds(tmp_path, clock):
    """S11: a new file is taken up within seconds."""
    path = tmp_path / "dns"
    write(path, A + "\n")
    names = DnList(str(path))
    write(path, B + "\n")
    settle(names, clock)
    assert B in names
    assert A not in names


@pytest.mark.parametrize("trouble", ["empty", "gone", "comments", "a directory"])
def test_bad_list_leaves_the_last_good_one_in_force(tmp_path, clock, caplog, trouble):
    """S11: empty or gone while the receiver runs: the last good list stays, with a loud warning, once."""
    path = tmp_path / "dns"
    write(path, A + "\n")
    names = DnList(str(path))
    path.unlink()
    if trouble == "a directory":
        path.mkdir()
    elif trouble != "gone":
        write(path, "" if trouble == "empty" else "# moved\n")
    settle(names, clock, 60)
    assert A in names
    loud = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(loud) == 1
    assert "last good list of 1 names stays in force" in loud[0].getMessage()
    if trouble == "a directory":
        path.rmdir()
    write(path, B + "\n")
    settle(names, clock)
    assert B in names


def test_half_written_list_is_not_taken_up(tmp_path, clock):
    """S11: while it is being written it changes; when its writer stalls, its last line has no end."""
    path = tmp_path / "dns"
    write(path, "%s\n%s\n" % (A, B))
    names = DnList(str(path))
    for end in range(len(A) + 1, len(A) + 10):
        write(path, ("%s\n%s\n" % (A, B))[:end])
        settle(names, clock, 1)
        assert B in names
    settle(names, clock, 10)
    assert B in names, "no line end: perhaps not whole"
    write(path, "%s\n%s\n%s\n" % (A, B, "/CN=c"))
    settle(names, clock)
    assert "/CN=c" in names


def test_list_without_a_last_line_end_is_taken_up_after_a_while(tmp_path, clock):
    path = tmp_path / "dns"
    write(path, A)
    names = DnList(str(path))
    write(path, B)
    settle(names, clock, 40)
    assert B in names
