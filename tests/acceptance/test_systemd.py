"""The units as a real systemd runs them: ready, alive, reloaded, hung, stopped, wrongly configured."""

import os
import shutil
import sys
from typing import Any, Iterator

import pytest
from centre import Centre, jobs, message, wait_for

import servers.systemd
from apel.db import open_database
from servers.databases import sqlite_settings
from servers.systemd import Impossible, Systemd

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNITS = os.path.join(ROOT, "rpm", "systemd")
#: What stands in place of what only an installation has: the command, its user, and the places it writes to.
#: The interpreter may be in somebody's home. All else is as it is shipped, the sandbox, too.
HERE = """[Service]
ExecStart=
ExecStart={command}
WorkingDirectory={root}
User=root
Group=root
ProtectHome=no
ReadWritePaths={folder}
WatchdogSec=8
RestartSec=1
StandardOutput=append:{folder}/out
StandardError=append:{folder}/out
"""

LOADER = """[loader]
msgpath = {folder}/spool
pidfile =
interval = 0.5
[logging]
logfile =
console = true
"""
RECEIVER = """[receiver]
protocol = DIRECTORY
[messaging]
destination = {folder}/hand-over
path = {folder}/spool
[logging]
logfile =
console = true
"""


@pytest.fixture(scope="module")
def systemd() -> Iterator[Systemd]:
    try:
        made = Systemd()
        made.start()
    except (Impossible, PermissionError) as err:
        pytest.skip("a systemd of our own can't run here: %s" % err)
    yield made
    made.close()


class Unit:
    """A unit of ours and its files."""

    def __init__(self, systemd: Systemd, name: str) -> None:
        self.systemd, self.name = systemd, name + ".service"
        self.folder = os.path.join(systemd.folder, name)
        os.mkdir(self.folder)
        shutil.copy(os.path.join(UNITS, self.name), systemd.units)

    def runs(self, module: str, *arguments: str) -> None:
        code = "import sys; from %s import main; sys.exit(main(sys.argv[1:]))" % module
        words = " ".join('"%s"' % word for word in (sys.executable, "-c", code, *arguments))
        self.systemd.write(
            self.name + ".d/here.conf", HERE.format(command=words, root=ROOT, folder=self.folder)
        )
        assert self.systemd.control("daemon-reload") == 0

    def write(self, name: str, text: str) -> str:
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text.format(folder=self.folder))
        return path

    def said(self) -> str:
        with open(os.path.join(self.folder, "out"), encoding="utf-8") as stream:
            return stream.read()

    def start(self) -> int:
        return self.systemd.control("start", self.name)

    def show(self) -> Any:
        return self.systemd.show(self.name)


def test_nothing_is_left_where_systemd_lacks_a_unit(monkeypatch: Any) -> None:
    """As one of another version may."""
    monkeypatch.setattr(servers.systemd, "TARGETS", ("basic", "nonesuch"))
    before = os.listdir("/var/lib")
    with pytest.raises((Impossible, PermissionError)):
        Systemd()
    assert [name for name in set(os.listdir("/var/lib")) - set(before) if str(os.getpid()) in name] == []


def test_loader_is_ready_alive_reloaded_hung_and_stopped(systemd: Systemd) -> None:
    """Type=notify and the watchdog: a loader that hangs is started again, one that waits is not."""
    unit = Unit(systemd, "apeldbloader")
    db_cfg = unit.write("db.cfg", "[db]\nbackend = sqlite\nname = {folder}/db\n")
    loader_cfg = unit.write("loader.cfg", LOADER)
    unit.runs("apel.commands.apeldbloader", "-d", db_cfg, "-c", loader_cfg)
    assert unit.start() == 0
    found = unit.show()
    assert (found["ActiveState"], found["Type"], found["NRestarts"]) == ("active", "notify", "0")
    centre = Centre(
        os.path.join(unit.folder, "spool"), open_database(sqlite_settings(unit.folder + "/db"), "server")
    )
    centre.deliver(message(jobs(3)))
    wait_for(lambda: centre.incoming.count() == 0)
    assert centre.count("JobRecords") == 3
    beats = {unit.show()["WatchdogTimestamp"]}
    wait_for(lambda: beats.add(unit.show()["WatchdogTimestamp"]) or len(beats) > 2)
    assert unit.show()["NRestarts"] == "0"
    assert systemd.control("reload", unit.name) == 0
    wait_for(lambda: "were read again" in unit.said())
    unit.systemd.signal(unit.name, "STOP")
    wait_for(lambda: unit.show()["NRestarts"] != "0" and unit.show()["ActiveState"] == "active")
    assert systemd.control("stop", unit.name) == 0
    assert unit.show()["Result"] == "success" and "has ended" in unit.said().splitlines()[-1]
    unit.write("loader.cfg", LOADER.replace("0.5", "often"))
    assert unit.start() != 0
    found = unit.show()
    assert (found["ActiveState"], found["ExecMainStatus"], found["NRestarts"]) == ("failed", "2", "0")
    centre.db.close()


def test_receiver_is_ready_reloaded_hung_and_stopped(systemd: Systemd, pki: Any) -> None:
    """Within its sandbox it takes messages from a directory."""
    unit = Unit(systemd, "ssmreceive")
    certificate, key = (shutil.copy(path, unit.folder) for path in pki.issue("host.example.org"))
    shutil.copytree(pki.ca_dir, unit.folder + "/ca")
    names = unit.write("dns", "/O=Example/CN=host.example.org\n")
    own = "[certificates]\ncertificate = %s\nkey = %s\ncapath = {folder}/ca\n" % (certificate, key)
    config = unit.write("receiver.cfg", RECEIVER + own)
    os.mkdir(unit.folder + "/hand-over")
    unit.runs("ssm.commands.ssmreceive", "-c", config, "-d", names)
    assert unit.start() == 0
    with open(unit.folder + "/hand-over/0-0.message", "w", encoding="utf-8") as stream:
        stream.write("id\nrubbish")
    wait_for(lambda: "rejected (reject/" in unit.said())
    # As logrotate does every week: one that then says it was stopping would be killed minutes later.
    assert systemd.control("reload", unit.name) == 0
    wait_for(lambda: "Configuration read again." in unit.said())
    with open(unit.folder + "/hand-over/0-1.message", "w", encoding="utf-8") as stream:
        stream.write("id\nrubbish")
    wait_for(lambda: unit.said().count("rejected (reject/") == 2)
    assert unit.show()["ActiveState"] == "active"
    unit.systemd.signal(unit.name, "STOP")
    wait_for(lambda: unit.show()["NRestarts"] != "0" and unit.show()["ActiveState"] == "active")
    assert systemd.control("stop", unit.name) == 0
    assert unit.show()["Result"] == "success"
