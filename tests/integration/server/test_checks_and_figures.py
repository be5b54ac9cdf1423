"""--check-config and [metrics] of the centre's smaller commands: apelreport, apelreplay, apeldb."""

import os
from typing import Any, Iterator

import pytest
from centre import SIGNER, Installation, job, message

from apel.commands import apeldb, apelreplay, apelreport
from servers.databases import sqlite_settings


class Files(Installation):
    """A centre whose configuration files have [metrics]."""

    def __init__(self, folder: Any, name: str) -> None:
        super().__init__(folder, {"backend": "sqlite", "name": name})
        self.prom = folder / "apel.prom"
        for path in (self.db_cfg, self.loader_cfg):
            with open(path, "a", encoding="utf-8") as stream:
                stream.write("\n[metrics]\ntextfile = %s\n" % self.prom)

    def figures(self, program: str) -> Any:
        """The lines of one program, without times."""
        lines = self.prom.read_text().splitlines() if self.prom.exists() else []
        mine = [line for line in lines if 'program="%s"' % program in line]
        return sorted(line.rpartition(" ")[0] for line in mine)


@pytest.fixture
def files(tmp_path: Any) -> Iterator[Files]:
    """A centre on SQLite."""
    found = Files(tmp_path, sqlite_settings(tmp_path / "server.db").name)
    yield found
    found.close()


RUN = ("apel_last_run_timestamp_seconds", "apel_last_success_timestamp_seconds", "apel_run_seconds")


def test_report_can_be_checked_and_writes_when_it_ran(files: Files, capsys: Any) -> None:
    files.centre.load(message([job()]))
    assert files.report("--check-config") == 0
    said = capsys.readouterr().out
    assert "ok       database: SQLite database" in said and "Everything is in order." in said
    assert files.figures("apelreport") == []
    assert files.report() == 0
    assert files.figures("apelreport") == ['%s{program="apelreport"}' % name for name in RUN]
    bad = files.write("bad.cfg", "[db]\nbackend = sqlite\nname = /none/x.db\n")
    assert apelreport.main(["-d", bad, "--check-config"]) == 1
    assert "failed   database" in capsys.readouterr().out


def test_failed_report_is_a_run_that_did_not_end_well(files: Files, capsys: Any) -> None:
    text = "[db]\nbackend = sqlite\nname = /none/x.db\n[metrics]\ntextfile = %s\n" % files.prom
    assert apelreport.main(["-d", files.write("bad.cfg", text)]) != 0
    assert files.figures("apelreport") == [
        '%s{program="apelreport"}' % name for name in RUN if "success" not in name
    ]


def test_replay_can_be_checked_and_counts_what_it_put_back(files: Files, capsys: Any) -> None:
    replay = ["-c", files.loader_cfg]
    files.centre.reject.add(
        {"body": message([job()]), "signer": SIGNER, "empaid": "1/2", "error": "Parsing unsuccessful: why"}
    )
    assert apelreplay.main([*replay, "--check-config"]) == 0
    assert (
        "ok       queue: %s" % os.path.join(str(files.folder), "spool", "reject") in capsys.readouterr().out
    )
    assert apelreplay.main([*replay, "--list"]) == 0
    assert files.figures("apelreplay") == []
    assert apelreplay.main([*replay, "--all"]) == 0
    text = files.prom.read_text()
    assert 'apel_replay_messages_total{program="apelreplay",queue="reject"} 1' in text
    assert set(RUN) <= {line.partition("{")[0] for line in files.figures("apelreplay")}


def test_database_command_can_be_checked_and_writes_what_was_done(files: Files, capsys: Any) -> None:
    """Its figures are of an action, so that a cron job of `partitions` is not taken for one of `archive`."""
    database = ["-c", files.db_cfg, "--schema", "server"]
    files.centre.load(message([job()]))
    assert apeldb.main(["--check-config", *database]) == 0
    assert "schema server version" in capsys.readouterr().out
    assert apeldb.main(["init", "--dry-run", *database]) == 0
    assert files.figures("apeldb") == []
    assert apeldb.main(["check", *database]) == 0
    assert files.figures("apeldb") == ['%s{action="check",program="apeldb"}' % name for name in RUN]
    files.centre.execute("DROP VIEW VSumCPU")
    before = files.prom.read_text().splitlines()
    assert apeldb.main(["check", *database]) == 1
    well = [line for line in before if line.startswith(RUN[1] + "{")]
    assert well and set(well) <= set(files.prom.read_text().splitlines())


def test_database_command_without_action_says_what_there_is(files: Files, capsys: Any) -> None:
    assert apeldb.main(["-c", files.db_cfg]) == 2
    assert "What is to be done? Give one of init, check" in capsys.readouterr().err
