"""What the tests of parser runs share: logs in a folder, a site database on each back end, the command."""

import os
import shutil
import subprocess
import sys
import time

import pytest

from apel.ingest import DatabaseLedger, Source, run
from apel.logfiles import Choice
from apel.parsers import BlahParser, ParserOptions, SlurmParser

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
CORPUS = os.path.join(ROOT, "tests", "data", "corpus", "slurm-400")
HOST = "batch.grid.example.org"
OPTIONS = ParserOptions("TEST-SITE", HOST)


@pytest.fixture
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Site:
    """Logs in a folder, and runs of the parser over them."""

    def __init__(self, folder, db):
        self.folder = folder
        self.db = db
        for kind in ("batch", "blah"):
            os.makedirs(self.path(kind))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, data, mode="wb"):
        path = self.path("batch", name)
        with open(path, mode) as stream:
            stream.write(data.encode() if isinstance(data, str) else data)
        return path

    def copy_corpus(self):
        for kind in ("batch", "blah"):
            shutil.rmtree(self.path(kind))
            shutil.copytree(os.path.join(CORPUS, kind), self.path(kind))

    def parse(self, parser=SlurmParser, kind="batch", reparse=False, **choice):
        """One run over one kind of log: its report."""
        source = Source(kind, Choice(self.path(kind), **choice), parser(OPTIONS), reparse)
        (report,) = run([source], DatabaseLedger(self.db, HOST), HOST)
        return report

    def parse_all(self):
        return self.parse(), self.parse(BlahParser, "blah")

    def rows(self, sql, *params):
        return self.db.run(lambda tx: tx.rows(sql, params))

    def jobs(self):
        return [name for (name,) in self.rows("SELECT JobName FROM EventRecords ORDER BY JobName, EndTime")]

    def config(self, **changes):
        """Write parser.cfg for this site's folder and database; changes: section__option=value."""
        backend = self.db.backend
        database = {"backend": backend.name}
        if backend.name == "sqlite":
            database["name"] = backend.path
        else:
            server = backend.servers[0]
            database.update(hostname=server.name, port=server.port, name=backend.database)
            database.update(username=backend.user, password=backend._password)
        sections = {
            "db": database,
            "site_info": {"site_name": "TEST-SITE", "lrms_server": HOST},
            "blah": {"enabled": "true", "dir": self.path("blah"), "filename_prefix": "", "subdirs": "false"},
            "batch": {
                "enabled": "true",
                "type": "SLURM",
                "dir": self.path("batch"),
                "filename_prefix": "",
                "subdirs": "false",
            },
            "parser": {"lockfile": self.path("lock")},
            "logging": {"logfile": self.path("parser.log"), "level": "INFO", "console": "false"},
        }
        for key, value in changes.items():
            section, option = key.split("__")
            sections[section][option] = value
        lines = []
        for section, options in sections.items():
            lines += ["[%s]" % section, *("%s = %s" % item for item in options.items())]
        path = self.path("parser.cfg")
        with open(path, "w") as stream:
            stream.write("\n".join(lines) + "\n")
        return path

    def start(self, *arguments, zone="UTC"):
        """Start the command on the configuration of this site."""
        command = [sys.executable, os.path.join(ROOT, "bin", "apelparser"), "-c", self.path("parser.cfg")]
        environment = dict(os.environ, TZ=zone, PYTHONPATH=ROOT)
        return subprocess.Popen(
            command + list(arguments),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    def command(self, *arguments, zone="UTC"):
        """Run the command to its end: (exit status, standard output, standard error)."""
        process = self.start(*arguments, zone=zone)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err


@pytest.fixture
def site(tmp_path, client_db, utc):
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(str(folder), client_db)
