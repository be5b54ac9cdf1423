"""A site for apelcollect: a directory of logs, configurations, a clock, and commands that are made up."""

import json
import os
import shutil
import stat
import time

import pytest

from apel import times
from apel.commands import apelcollect


class Place:
    """The site; `now` is its clock."""

    def __init__(self, folder):
        self.folder = folder
        self.logs = folder / "logs"
        self.commands = folder / "commands"
        self.logs.mkdir()
        self.commands.mkdir()
        self.now = times.epoch_from_text("2026-11-22 00:10:00")

    def config(self, parser=(), **options):
        """Write collect.cfg, and the parser.cfg that it names; both as {option: value} of their section."""
        batch = {"enabled": "true", "type": "SLURM", "dir": self.logs, "filename_prefix": "slurm_acc"}
        sections = [("db", {"name": "apelclient"}), ("site_info", {"site_name": "S", "lrms_server": "m"})]
        sections.append(("blah", {"enabled": "false"}))
        written = self._write("parser.cfg", [*sections, ("batch", dict(batch, **dict(parser)))])
        log = {"logfile": self.folder / "collect.log", "console": "false"}
        collect = dict({"parser_config": written}, **options)
        return self._write("collect.cfg", [("collect", collect), ("logging", log)])

    def _write(self, name, sections):
        path = self.folder / name
        lines = []
        for section, options in sections:
            lines += ["[%s]" % section] + [
                "%s = %s" % item for item in options.items() if item[1] is not None
            ]
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    def command(self, name, script):
        """Make a command of that name; the shell script also notes its arguments and environment."""
        path = self.commands / name
        noted = self.folder / "asked"
        note = 'echo "$TZ $SLURM_TIME_FORMAT $*" >> %s\n' % noted
        path.write_text("#!/bin/sh\n" + note + script)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def prints(self, name, text):
        """Make a command that prints this."""
        output = self.folder / "output"
        output.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        self.command(name, "cat %s\n" % output)

    @property
    def asked(self):
        """What the commands were asked, a line each time."""
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def run(self, *words):
        """Run apelcollect; its exit status."""
        return apelcollect.main([*words, "-c", str(self.folder / "collect.cfg")])

    @property
    def files(self):
        """The names of the logs."""
        return sorted(path.name for path in self.logs.iterdir() if not path.name.startswith("."))

    @property
    def hidden(self):
        """The names of the other files there."""
        return sorted(path.name for path in self.logs.iterdir() if path.name.startswith("."))

    def text(self):
        """The only log's content."""
        (name,) = self.files
        return (self.logs / name).read_bytes().decode("utf-8")

    def until(self, prefix="slurm_acc"):
        """Before which moment all is collected, as text; None before the first run."""
        path = self.logs / (".apelcollect.%s.json" % prefix)
        return times.utc_text(json.loads(path.read_text())["collected_until"]) if path.exists() else None

    def log(self):
        """What the collector logged."""
        return (self.folder / "collect.log").read_text()

    def at(self, text):
        """Set the clock."""
        self.now = times.epoch_from_text(text)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A site in a time zone that must make no difference, with a PATH that has made up commands first."""
    found = Place(tmp_path)
    shell = os.path.dirname(shutil.which("cat"))
    monkeypatch.setenv("PATH", "%s%s%s%s/bin" % (found.commands, os.pathsep, shell, os.pathsep))
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    monkeypatch.setattr(times, "now", lambda: found.now)
    found.config()
    yield found
    monkeypatch.undo()
    time.tzset()
