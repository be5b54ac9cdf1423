"""What a running loader tells of itself: figures, a health file, and systemd."""

import json
import os
import socket
from typing import Any, Dict, Iterator, List

import pytest
from centre import Installation, job, jobs, message

from apel.commands import apeldbloader
from apel.commands.apeldbloader import Service
from apelcommon.daemon import Stop, run_steps
from apelcommon.errors import Transient
from servers.databases import sqlite_settings


@pytest.fixture
def files(tmp_path: Any) -> Iterator[Installation]:
    """A centre on SQLite whose loader writes figures and a health file."""
    settings = sqlite_settings(tmp_path / "server.db")
    found = Installation(tmp_path, {"backend": "sqlite", "name": settings.name})
    with open(found.loader_cfg, "a", encoding="utf-8") as stream:
        stream.write("[metrics]\ntextfile = %s\n" % (tmp_path / "prom"))
    text = (tmp_path / "loader.cfg").read_text()
    found.write(
        "loader.cfg", text.replace("[loader]\n", "[loader]\nhealth_file = %s\n" % (tmp_path / "health"))
    )
    yield found
    found.close()


def service(files: Installation) -> Service:
    """The loader as the daemon runs it."""
    command = apeldbloader.LoaderCommand()
    return Service(command, command.parser().parse_args(["-c", files.loader_cfg, "-d", files.db_cfg]))


def health(files: Installation) -> Dict[str, Any]:
    """What the health file says."""
    return dict(json.loads((files.folder / "health").read_text()))


def test_figures_of_messages_and_queues(files: Installation) -> None:
    bad = message([job()]).replace("LocalJobId: 1001", "LocalJobId: None")
    mixed = message(jobs(3)).replace("LocalJobId: 1\n", "LocalJobId: None\n")
    for body in (message(jobs(5)), mixed, bad):
        files.centre.deliver(body)
    assert files.load("--once") == 0
    text = (files.folder / "prom").read_text()
    labels = 'loader="pid",program="apeldbloader"'
    for line in (
        'apel_loader_messages_total{%s,result="stored",type="job v0.3"} 1' % labels,
        'apel_loader_messages_total{%s,result="partly rejected",type="job v0.3"} 1' % labels,
        'apel_loader_messages_total{%s,result="rejected",type="job v0.3"} 1' % labels,
        'apel_loader_records_total{%s,result="stored",type="job v0.3"} 7' % labels,
        'apel_loader_records_total{%s,result="rejected",type="job v0.3"} 2' % labels,
        'apel_loader_queue_messages{%s,queue="reject"} 2' % labels,
        'apel_loader_queue_messages{%s,queue="incoming"} 0' % labels,
        "apel_loader_up{%s} 0" % labels,
        "apel_loader_troubles_total{%s} 0" % labels,
    ):
        assert line in text.splitlines()
    told = health(files)
    assert (told["state"], told["messages"], told["records"], told["rejected"]) == ("ended", 3, 7, 2)
    assert told["pid"] == os.getpid()


def test_the_health_file_says_what_the_loader_waits_for(files: Installation, monkeypatch: Any) -> None:
    """D1: and since when; it goes back to ok."""
    running = service(files)
    loader = running.open()
    step = loader.step
    running.step()
    monkeypatch.setattr(
        loader, "step", lambda stop: (_ for _ in ()).throw(Transient("The database is away."))
    )
    with pytest.raises(Transient):
        running.step()
    told = health(files)
    assert (told["state"], told["reason"]) == ("waiting", "The database is away.")
    since = told["since"]
    monkeypatch.setattr("apel.server.figures._now", lambda: "later")
    running.figures.health._next = 0.0
    running.figures.beat()
    assert (health(files)["since"], health(files)["time"]) == (since, "later")
    monkeypatch.setattr(loader, "step", step)
    running.step()
    assert health(files)["state"] == "ok"
    running.figures.ended()
    assert "apel_loader_troubles_total" in (files.folder / "prom").read_text()
    running.close()


def test_a_health_file_that_cant_be_written_stops_nothing(files: Installation, caplog: Any) -> None:
    text = (files.folder / "loader.cfg").read_text()
    files.write("loader.cfg", text.replace("/health\n", "/no/such/folder\n"))
    files.centre.deliver(message(jobs(5)))
    assert files.load("--once") == 0
    assert files.centre.count("JobRecords") == 5
    assert "health_file: cannot write" in files.log()


@pytest.fixture
def systemd(monkeypatch: Any) -> Iterator[List[str]]:
    """What systemd would hear."""
    heard: List[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0apel-test-%d" % os.getpid())
        channel.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", "@apel-test-%d" % os.getpid())
        monkeypatch.setenv("WATCHDOG_USEC", "100000")

        def read() -> List[str]:
            while True:
                try:
                    heard.append(channel.recv(4096).decode())
                except BlockingIOError:
                    return heard

        yield read  # type: ignore[misc]


def test_systemd_hears_from_a_loader_that_waits_for_long(systemd: Any) -> None:
    """D1: or else its watchdog would kill a loader whose database is down."""
    stop = Stop()
    beats: List[int] = []

    def step() -> None:
        raise Transient("The database is away.")

    def beat() -> None:
        beats.append(1)
        if len(beats) == 5:
            stop.set()

    run_steps(step, 60, stop, beat)
    heard = systemd()
    assert heard[0] == "READY=1" and heard[-1] == "STOPPING=1"
    assert heard.count("WATCHDOG=1") == 5


def test_systemd_hears_the_state(files: Installation, systemd: Any) -> None:
    running = service(files)
    running.step()
    running.figures.trouble("The database is away.")
    heard = systemd()
    assert "STATUS=ok" in heard and "STATUS=The database is away." in heard
    running.close()


def test_a_second_loader_has_figures_of_its_own(files: Installation) -> None:
    """Two loaders on one queue may share a text file."""
    files.load("--once")
    text = (files.folder / "loader.cfg").read_text()
    pid = "pidfile = %s" % files.pidfile
    files.write("loader.cfg", text.replace(pid, pid + "-two.pid"))
    files.load("--once")
    text = (files.folder / "prom").read_text()
    assert 'apel_loader_up{loader="pid",program="apeldbloader"} 0' in text
    assert 'apel_loader_up{loader="pid-two",program="apeldbloader"} 0' in text
