"""`apel status`: what ran last, what waits and why; and the figures that the programs of a site write."""

import json
import os
import re
from typing import Any, Callable
from unittest import mock

import pytest
from gridsite import CE1, CE2, event, grid, new_site

from apel import times
from apel.commands import apel, apelclient, apelparser
from ssm.commands import ssmqueue, ssmsend
from ssm.filequeues import OutgoingQueue

CLIENT = """\
[db]
backend = sqlite
name = {folder}/client.db
[spec_updater]
enabled = false
site_name = TEST-SITE
manual_spec1 = {ce},HEPscore23,12
[unloader]
dir_location = {folder}/spool
[ssm]
enabled = false
[client]
lockfile = {folder}/lock
[metrics]
textfile = {folder}/apel.prom
[logging]
logfile =
console = false
"""
PARSER = """\
[db]
backend = sqlite
name = {folder}/client.db
[site_info]
site_name = TEST-SITE
lrms_server = batch.example.org
[blah]
enabled = false
dir =
subdirs = false
[batch]
enabled = true
type = SLURM
dir = {folder}/logs
filename_prefix = slurm
subdirs = false
[parser]
lockfile = {folder}/parser.lock
[metrics]
textfile = {folder}/apel.prom
[logging]
logfile =
console = false
"""
SENDER = """\
[sender]
protocol = DIRECTORY
[messaging]
path = {folder}/spool/outgoing
destination = {folder}/handed
[metrics]
textfile = {folder}/apel.prom
[logging]
logfile = {folder}/ssmsend.log
console = false
"""


class Host:
    """A site's programs and database in a folder."""

    def __init__(self, folder: Any, capsys: Any) -> None:
        self.folder = folder
        self._capsys = capsys
        for name, text in (("client.cfg", CLIENT), ("parser.cfg", PARSER)):
            (folder / name).write_text(text.format(folder=folder, ce=CE1))
        (folder / "logs").mkdir()
        self.site = new_site({"backend": "sqlite", "name": str(folder / "client.db")})

    def client(self) -> int:
        return apelclient.main(["-c", str(self.folder / "client.cfg")])

    def parser(self) -> int:
        return apelparser.main(["-c", str(self.folder / "parser.cfg")])

    def status(self, *words: str) -> Any:
        """The exit status, and what was printed."""
        where = ["-c", str(self.folder / "client.cfg"), "-s", str(self.folder / "none.cfg")]
        self._capsys.readouterr()
        status = apel.main(["status", *where, *words])
        return status, self._capsys.readouterr().out

    def figures(self) -> str:
        return str((self.folder / "apel.prom").read_text())


@pytest.fixture
def host(tmp_path: Any, capsys: Any) -> Any:
    made = Host(tmp_path, capsys)
    yield made
    made.site.db.close()


@pytest.fixture
def later(monkeypatch: Any) -> Callable[[float], None]:
    """Puts the clock forward by so many hours."""

    def put(hours: float) -> None:
        moment = times.now() + int(hours * 3600)
        monkeypatch.setattr(times, "now", lambda: moment)

    return put


def test_a_site_that_never_ran_is_critical(host: Host) -> None:
    code, said = host.status("--check")
    assert code == 2
    assert said.startswith("APEL CRITICAL - apelclient ended well never; apelparser ended well never |")
    code, said = host.status()
    assert code == 0
    assert (
        "parser   ended well never" in said and "critical apelclient ended well never\n   do:    read" in said
    )


def test_a_site_that_works_is_ok(host: Host) -> None:
    host.site.put(event("1"), grid("1"))
    assert (host.parser(), host.client()) == (0, 0)
    code, said = host.status("--check")
    assert code == 0
    assert said.startswith("APEL OK - apelclient ended well ")
    assert said.endswith("| waiting_jobs=0 messages=2 failed_messages=0 rejected_lines=0\n")
    code, said = host.status()
    assert "parser   ended well" in said and "(batch.example.org)" in said
    assert "sender   2 messages wait in" in said
    assert said.endswith("Everything is in order.\n")


def test_old_runs_and_old_messages_are_told(host: Host, later: Any) -> None:
    host.site.put(event("1"), grid("1"))
    assert (host.parser(), host.client()) == (0, 0)
    later(30)
    code, said = host.status("--check")
    assert code == 1
    assert "APEL WARNING - apelclient ended well 30 hours ago; apelparser of batch.example.org" in said
    assert "2 messages wait to be sent, the oldest written 30 hours ago" in said
    assert host.status("--check", "--warning-hours", "48")[0] == 0
    later(30)
    assert host.status("--check")[0] == 2


def test_what_waits_is_said_with_the_reason(host: Host) -> None:
    """C1."""
    host.site.put(event("1"), grid("1"), event("2"), grid("2", ce=CE2), event("3"))
    assert (host.parser(), host.client()) == (0, 0)
    host.site.put(event("4"))
    code, said = host.status()
    assert "waiting  1 jobs, the oldest ended" in said
    assert "apelclient has not run since they were parsed" in said
    assert "no grid record (BLAH log) of theirs was parsed" in said
    assert "   do:    see that apelparser reads the BLAH log" in said
    assert "warning  1 jobs wait: their compute element has no benchmark" in said
    code, said = host.status("--check")
    assert (code, "waiting_jobs=3" in said) == (1, True)


def test_a_failed_run_is_told_and_leaves_the_good_one(host: Host) -> None:
    assert (host.parser(), host.client()) == (0, 0)
    (host.folder / "logs" / "slurm.gz").write_bytes(b"\x1f\x8b\x08 no gzip")
    host.site.execute("UPDATE LastUpdated SET UpdateTime = '2026-01-01' WHERE Type LIKE 'apelparser ended%%'")
    assert host.parser() == 1
    assert "failed" in host.status("--warning-hours", "99999999", "--critical-hours", "99999999")[1]


def test_messages_put_aside_are_told(host: Host) -> None:
    assert (host.parser(), host.client()) == (0, 0)
    queue = OutgoingQueue(str(host.folder / "spool" / "outgoing"))
    name = queue.add("x")
    assert queue.lock(name)
    queue.put_aside(name, "too large")
    code, said = host.status("--check")
    assert code == 1
    assert "1 messages can't be sent, see" in said
    assert "   do:    read the .reason beside each; when that is cured: ssmqueue requeue" in host.status()[1]
    assert ssmqueue.main(["requeue", str(host.folder / "spool" / "outgoing"), "--all"]) == 0
    assert host.status("--check")[0] == 0


def test_last_success_of_the_sender_is_read_from_its_figures(host: Host) -> None:
    """As ssmsend writes them, be it from its own timer or as a part of apelclient."""
    assert (host.parser(), host.client()) == (0, 0)
    (host.folder / "none.cfg").write_text(SENDER.format(folder=host.folder))
    assert "sender   0 messages wait in" in host.status()[1]
    assert ssmsend.main(["-c", str(host.folder / "none.cfg")]) == 0
    assert re.search(
        "^sender   ended well [0-9]+ seconds ago; 0 messages wait", host.status()[1], re.MULTILINE
    )
    assert json.loads(host.status("--json")[1])["sender"]["well"] <= times.now()
    (host.folder / "apel.prom").write_text("damaged, or another's")
    assert "sender   0 messages wait in" in host.status()[1]


def test_json_has_all_of_it(host: Host) -> None:
    host.site.put(event("1"), grid("1"), event("3"))
    assert (host.parser(), host.client()) == (0, 0)
    code, said = host.status("--json")
    found = json.loads(said)
    assert (code, found["status"], found["problems"]) == (0, "OK", [])
    assert found["client"]["well"] <= times.now()
    assert found["waiting"][0]["jobs"] == 1
    assert found["waiting"][0]["do"]
    assert found["queue"]["messages"] == 2
    assert set(found["parser"]) == {"batch.example.org"}


def test_accelerators_are_counted_where_there_are_some(host: Host) -> None:
    host.site.put(event("1"), grid("1"))
    assert (host.parser(), host.client()) == (0, 0)
    assert "accelerators recorded" not in host.status()[1]
    host.site.put(event("2", Accelerators=((0, "n1", None, "GPU", 1, 3600, None),)), grid("2"))
    assert host.client() == 0
    line = "         1 accelerators recorded, 1 of unknown model, %d not sent\n"
    assert line % 1 in host.status()[1]
    path = host.folder / "client.cfg"
    path.write_text(path.read_text().replace("[unloader]", "[unloader]\naccelerators = true"))
    assert host.client() == 0
    assert line % 0 in host.status()[1]
    assert 'apel_client_accelerators_total{program="apelclient"} 1\n' in host.figures()
    unknown = 'apel_client_accelerators_without_rule_total{program="apelclient",reason="unknown model"} 1\n'
    assert unknown in host.figures()
    assert json.loads(host.status("--json")[1])["accelerators"] == {"records": 1, "unknown": 1, "unsent": 0}


def test_without_database_it_is_unknown(host: Host) -> None:
    (host.folder / "client.cfg").write_text("[db]\nname = x\n[joiner]\nenabled = perhaps\n")
    code, said = host.status("--check")
    assert code == 3
    assert said.startswith("APEL UNKNOWN - ")
    assert host.status()[0] == 2
    os.unlink(str(host.folder / "client.db"))
    (host.folder / "client.cfg").write_text(CLIENT.format(folder=host.folder, ce=CE1))
    code, said = host.status("--check")
    assert (code, "nothing has run here yet" in said) == (3, True)


def test_a_probe_that_fails_or_is_asked_wrongly_is_unknown(host: Host) -> None:
    """Nagios takes 1, the status of an unforeseen error, for a warning, and 2, argparse's, for an alarm."""
    assert host.status("--check", "--warning-hours", "many")[0] == 3
    assert host.status("--warning-hours", "many")[0] == 2
    with mock.patch("apel.commands.apel.site_status", side_effect=KeyError("surprise")):
        assert host.status("--check") == (3, "APEL UNKNOWN - internal error: KeyError: 'surprise'\n")
        assert host.status()[0] == 1


def test_parser_and_client_write_figures(host: Host) -> None:
    host.site.put(event("1"), grid("1"), event("3"))
    assert (host.parser(), host.client()) == (0, 0)
    figures = host.figures()
    for line in (
        'apel_client_joined_jobs_total{program="apelclient",type="grid"} 1',
        'apel_client_waiting_jobs{program="apelclient",reason="grid record"} 1',
        'apel_client_messages_total{program="apelclient"} 2',
        'apel_parser_records_total{log="batch",lrms_server="batch.example.org",program="apelparser"} 0',
        'apel_last_success_timestamp_seconds{program="apelclient"} ',
    ):
        assert line in figures


def test_run_without_database_has_figures_too(host: Host) -> None:
    """What fails at the first step is a run that ended, and not well."""
    host.site.db.close()
    (host.folder / "client.db").write_text("this is another's file, and no database " * 100)
    assert host.client() == 75
    figures = host.figures()
    assert 'apel_last_run_timestamp_seconds{program="apelclient"} ' in figures
    assert 'apel_last_success_timestamp_seconds{program="apelclient"}' not in figures


def test_lines_that_could_not_be_parsed_are_on_the_page(host: Host) -> None:
    (host.folder / "logs" / "slurm.log").write_text("garbage\n")
    assert (host.parser(), host.client()) == (0, 0)
    assert "1 lines could not be parsed and are kept (apelparser --status)" in host.status()[1]
    assert host.status("--check")[1].endswith("rejected_lines=1\n")


def test_configuration_can_be_checked(host: Host) -> None:
    """Nothing is told of the site then, and nothing judged."""
    assert (host.parser(), host.client()) == (0, 0)
    code, said = host.status("--check-config")
    assert code == 0 and "schema client version" in said and "ok       queue" in said
    assert "parser " not in said
    assert "metrics" not in said  # which only those who write figures need be able to
    (host.folder / "none.cfg").write_text(SENDER.format(folder=host.folder).replace("spool", "elsewhere"))
    code, said = host.status("--check-config")
    assert code == 1 and "failed   queue: there is no directory %s/elsewhere" % host.folder in said
