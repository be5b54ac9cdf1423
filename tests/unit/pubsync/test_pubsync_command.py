"""The command apelpubsync: what it prints, its exit statuses, its figures, and its server."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any, Iterator
from unittest import mock

import pytest
from pubcentre import NOW, Content, back, one_host, text

from apel import times
from apel.commands import apelpubsync
from apel.db import open_database
from apelcommon.files import Lock
from servers.databases import sqlite_settings

CONFIG = """\
[pubsync]
dir = {folder}/pages
url = https://accounting.example.org
{extra}
[metrics]
textfile = {folder}/apel.prom
[logging]
logfile = {folder}/log
console = false
"""


class Command:
    """The command with its files in a folder, and a centre of two sites, one with a gap and a silent host."""

    def __init__(self, folder: Any) -> None:
        self.folder = folder
        content = Content()
        one_host(content, "SOUND")
        host = one_host(content, "GAP", [1])
        content.publish("GAP", host, back(1), 9000)
        content.count("GAP", host, back(1), 10000)
        content.agree("GAP", "quiet.gap", back(2), 50)
        db = open_database(sqlite_settings(folder / "db.sqlite"), "server")
        content.store(db)
        db.close()
        self.write("db.cfg", "[db]\nbackend = sqlite\nname = %s\n" % (folder / "db.sqlite"))
        self.configure("")

    def write(self, name: str, words: str) -> None:
        (self.folder / name).write_text(words)

    def configure(self, extra: str) -> None:
        self.write("pubsync.cfg", CONFIG.format(folder=self.folder, extra=extra))

    def words(self, *arguments: str) -> Any:
        return ["-c", str(self.folder / "pubsync.cfg"), "-d", str(self.folder / "db.cfg"), *arguments]

    def run(self, *arguments: str) -> int:
        return apelpubsync.main(self.words(*arguments))


@pytest.fixture
def command(tmp_path: Any, monkeypatch: Any) -> Command:
    monkeypatch.setattr(times, "now", lambda: NOW)
    return Command(tmp_path)


def test_a_build_writes_pages_figures_and_a_line_in_the_log(command: Command) -> None:
    assert command.run() == 0
    assert (command.folder / "pages/publishing/grid/GAP/index.html").exists()
    assert "Pages of 2 sites are up to date: " in (command.folder / "log").read_text()
    figures = (command.folder / "apel.prom").read_text()
    for line in (
        'apel_pubsync_sites{program="apelpubsync",status="ERROR"} 1',
        'apel_pubsync_months_differing{program="apelpubsync",site="GAP"} 1',
        'apel_pubsync_missing_jobs{program="apelpubsync",site="GAP"} 1000',
        'apel_pubsync_surplus_jobs{program="apelpubsync",site="GAP"} 0',
        'apel_pubsync_status{check="sync",program="apelpubsync",site="GAP"} 3',
        'apel_pubsync_status{check="pub",program="apelpubsync",site="SOUND"} 1',
        'apel_pubsync_last_job_end_timestamp_seconds{program="apelpubsync",site="SOUND"} %d' % (NOW - 3600),
    ):
        assert line in figures
    assert "apel_last_success_timestamp_seconds" in figures


def test_json_and_csv_are_printed_and_nothing_is_written(command: Command, capsys: Any) -> None:
    assert command.run("--json") == 0
    assert [one["site"] for one in json.loads(capsys.readouterr().out)["sites"]] == ["GAP", "SOUND"]
    assert command.run("--json", "--site", "GAP") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["differences"][0]["month"] == text(1)
    assert command.run("--csv", "sync", "--site", "GAP") == 0
    assert capsys.readouterr().out.count("\nGAP,") == 36
    assert command.run("--csv", "pub") == 0
    assert "GAP,quiet.gap,ERROR" in capsys.readouterr().out
    assert sorted(os.listdir(str(command.folder))) == ["db.cfg", "db.sqlite", "pubsync.cfg"]


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["pub", "--site", "SOUND"], 0, "OK [ last published 0 days ago: 2026-11-26 ] | age_days=0.04;7;31"),
        (["pub", "--site", "GAP", "--submit-host", "quiet.gap"], 2, "ERROR [ last published 56 days ago"),
        (["sync", "--site", "SOUND"], 0, "OK [ the counts of all months since 2024-12 agree ]"),
        (["sync", "--site", "GAP"], 2, "apelclient republish --month %s ]" % text(1)),
        (["sync", "--site", "NOWHERE"], 3, "UNKNOWN [ the centre knows no such site ]"),
        (["pub", "--site", "GAP", "--submit-host", "x"], 3, "UNKNOWN"),
        (["pub"], 3, "UNKNOWN [ --check needs --site ]"),
        (["sync", "--site", "GAP", "--submit-host", "x"], 3, "UNKNOWN"),
    ],
)
def test_probes_answer_in_one_line(
    command: Command, capsys: Any, arguments: Any, code: int, words: str
) -> None:
    assert command.run("--check", *arguments) == code
    printed = capsys.readouterr()
    assert words in printed.out and printed.out.count("\n") == 1 and not printed.err


def test_a_probe_that_can_not_ask_is_unknown(command: Command, capsys: Any) -> None:
    """2 would be an alarm about the site, and 75 is nothing that Nagios knows."""
    command.write("db.cfg", "[db]\nbackend = sqlite\nname = %s/no/such/db\n" % command.folder)
    assert command.run("--check", "pub", "--site", "GAP") == 3
    command.write("db.cfg", "[db]\nbackend = oracle\n")
    assert command.run("--check", "pub", "--site", "GAP") == 3
    assert capsys.readouterr().out.count("UNKNOWN [ ") == 2
    command.write("db.cfg", "[db]\nbackend = sqlite\nname = %s\n" % (command.folder / "db.sqlite"))
    with mock.patch("apel.commands.apelpubsync.read_figures", side_effect=KeyError("surprise")):
        assert command.run("--check", "pub", "--site", "GAP") == 3
    assert "UNKNOWN [ internal error: KeyError" in capsys.readouterr().out
    assert command.run("--check", "nothing", "--site", "GAP") == 3
    assert command.run("--check=pub", "--no-such-option") == 3
    assert command.run("--no-such-option") == 2


def test_thresholds_come_from_the_configuration(command: Command, capsys: Any) -> None:
    command.configure("warning_days = 60\nerror_days = 90\ndifference_percent = 11\n")
    assert command.run("--check", "sync", "--site", "GAP") == 0
    assert command.run("--check", "pub", "--site", "GAP", "--submit-host", "quiet.gap") == 0
    assert "age_days=56.54;60;90" in capsys.readouterr().out
    command.configure("sync_months = 1\n")
    assert command.run("--check", "sync", "--site", "GAP") == 0


@pytest.mark.parametrize(
    "arguments, extra, words",
    [
        (["--site", "GAP"], "", "--site needs --json, --csv or --check"),
        (["--submit-host", "x"], "", "--submit-host needs --check pub"),
        (["--json", "--csv", "pub"], "", "not allowed with"),
        ([], "warning_days = 40", "error_days is less than warning_days"),
        ([], "difference_percent = 0", "difference_percent must be more than 0"),
        ([], "month_pages = -1", "month_pages must not be negative"),
        ([], "waning_days = 3", "did you mean warning_days?"),
    ],
)
def test_what_makes_no_sense_is_refused(
    command: Command, capsys: Any, arguments: Any, extra: str, words: str
) -> None:
    command.configure(extra)
    assert command.run(*arguments) == 2
    assert words in capsys.readouterr().err
    assert not (command.folder / "pages").exists()


def test_an_unknown_site_is_a_failure_of_json(command: Command, capsys: Any) -> None:
    assert command.run("--json", "--site", "gap") == 1
    assert "knows no site gap" in capsys.readouterr().err


def test_two_builds_at_a_time_do_not_meet(command: Command, capsys: Any) -> None:
    command.run()
    with Lock(str(command.folder / "pages/.apelpubsync.lock")):
        assert command.run() == 1
    assert "already running" in capsys.readouterr().err
    assert command.run() == 0


def test_a_folder_that_can_not_be_written_is_tried_later(command: Command, capsys: Any) -> None:
    (command.folder / "pages").mkdir()
    (command.folder / "pages/publishing").write_text("a file")
    assert command.run() == 75
    assert "can't be written below" in capsys.readouterr().err


@pytest.fixture
def served(command: Command) -> Iterator[str]:
    """The address of the pages, from a process of its own that SIGTERM ends."""
    code = "import sys; from apel.commands.apelpubsync import main; sys.exit(main(%r))" % (
        command.words("--serve", "0"),
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, universal_newlines=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("The pages are at http://127.0.0.1:")
        yield line.split()[4]
        process.send_signal(signal.SIGTERM)
        assert process.wait(180) == 0
    finally:
        process.kill()
        process.communicate()


def test_pages_are_served_with_a_strict_policy(served: str) -> None:
    for path in ("", "grid/GAP", "gridsync/GAP/%s/" % text(1), "assets/pubsync.js"):
        with urllib.request.urlopen(served + path) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for path in ("assets/", "grid/NOWHERE/", "../../log", "%2e%2e/%2e%2e/log", "..%2f..%2flog"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(served + path)
        assert refused.value.code == 404
        refused.value.close()
