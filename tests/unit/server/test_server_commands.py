"""The commands of the centre: options, exit statuses, pid files, what they print."""

import json
import os
import signal
import subprocess
import sys
from typing import Any, Iterator

import pytest
from centre import Installation, job, jobs, message, wait_for

from apel import __version__
from apel.commands import apeldbloader, apelreport, apelsummariser
from apel.commands.server_config import DB_TABLE
from apel.server.options import LOADER, SUMMARISER
from apelcommon.resources import sample_path
from ssm.errors import StorageError
from ssm.queues import MessageQueue


@pytest.fixture
def files(tmp_path: Any) -> Iterator[Installation]:
    files = Installation(tmp_path, {"backend": "sqlite", "name": str(tmp_path / "db.sqlite")})
    yield files
    files.close()


def test_once_loads_what_is_there_and_ends(files: Installation, capsys: Any) -> None:
    files.centre.deliver(message(jobs(3)))
    files.centre.deliver("rubbish")
    assert files.load("--once") == 0
    printed = capsys.readouterr().out
    assert "2 messages: 3 records stored, 0 rejected; 1 messages rejected whole." in printed
    assert files.centre.count("JobRecords") == 3
    assert not files.pidfile.exists()


def test_once_with_an_empty_queue_is_done(files: Installation, capsys: Any) -> None:
    assert files.load("--once") == 0
    assert "0 messages" in capsys.readouterr().out


def test_once_says_that_something_is_left(files: Installation, capsys: Any, monkeypatch: Any) -> None:
    """Exit 75: try again later."""
    files.centre.deliver("rubbish")

    def full(*_: Any) -> str:
        raise StorageError("No space left on device")

    monkeypatch.setattr("ssm.queues.MessageQueue.add", full)
    assert files.load("--once") == 75
    assert "1 messages could not be loaded and wait in the queue." in capsys.readouterr().err


def test_a_stale_pid_file_is_taken_over(files: Installation) -> None:
    """D17: of a process that is gone, and with garbage in it: taken over with a warning."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for text in ("%d\n" % gone.pid, "garbage\n", ""):
        files.pidfile.write_text(text)
        assert files.load("--once") == 0
        assert not files.pidfile.exists()
    assert files.log().count("taking it over") == 3


def test_the_pid_file_of_a_live_process_is_respected(files: Installation, capsys: Any) -> None:
    """D17: refused, said on standard error, and the other's file left alone."""
    for run in (lambda: files.load("--once"), lambda: files.summarise()):
        files.pidfile.write_text("%d\n" % os.getppid())
        assert run() == 1
        assert "Already running" in capsys.readouterr().err
        assert files.pidfile.read_text() == "%d\n" % os.getppid()


@pytest.mark.parametrize("words", [["--check-config"], ["--once"]])
def test_all_configuration_errors_are_listed_at_once(files: Installation, capsys: Any, words: Any) -> None:
    """C11 at the centre: exit 2, file, section and option of each."""
    with open(files.loader_cfg, "a") as stream:
        stream.write("levle = INFO\n[laoder]\n")
    assert files.load(*words) == 2
    error = capsys.readouterr().err
    assert "unknown option levle; did you mean level?" in error and "[laoder]" in error


@pytest.mark.parametrize("interval", ["0", "-1"])
def test_a_loader_without_a_pause_is_refused(files: Installation, capsys: Any, interval: str) -> None:
    """C11: it would look at the queue without end."""
    with open(files.loader_cfg) as stream:
        lines = [line for line in stream if not line.startswith("interval")]
    text = "".join(lines).replace("[loader]\n", "[loader]\ninterval = %s\n" % interval)
    with open(files.loader_cfg, "w") as stream:
        stream.write(text)
    assert files.load("--check-config") == 2
    assert "[loader] interval must be more than 0" in capsys.readouterr().err


def test_check_config_accepts_good_files(files: Installation, capsys: Any) -> None:
    assert files.load("--check-config") == 0
    assert files.summarise("--check-config") == 0
    assert capsys.readouterr().out.count("Everything is in order.") == 2


def test_hangup_reads_the_configuration_again(files: Installation) -> None:
    """Errors in the new files leave the old ones in force."""
    command = apeldbloader.LoaderCommand()
    args = command.parser().parse_args(["-d", files.db_cfg, "-c", files.loader_cfg])
    service = apeldbloader.Service(command, args)
    service.step()
    with open(files.loader_cfg) as stream:
        good = stream.read()
    with open(files.loader_cfg, "w") as stream:
        stream.write(good.replace("interval = 0.1", "interval = often"))
    service.reload()
    service.step()
    assert service.settings.loader.interval == 0.1 and not service.open().storing.strict
    with open(files.loader_cfg, "w") as stream:
        stream.write(good.replace("interval = 0.1", "interval = 0.2\nstrict = true"))
    service.reload()
    service.step()
    assert service.open().storing.strict
    service.close()
    assert "interval is taken up when the loader is started again" in files.log()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_configuration_read_again_while_a_stored_message_rests(
    files: Installation, monkeypatch: Any, elsewhere: bool
) -> None:
    """D6: the correction after it waits, and is not undone; but another database knows nothing of them."""
    name = files.centre.deliver(message([job(WallDuration=100), job(LocalJobId="other", WallDuration=1)]))
    files.centre.deliver(message([job(WallDuration=200)]))
    command = apeldbloader.LoaderCommand()
    args = command.parser().parse_args(["-c", files.loader_cfg, "-d", files.db_cfg])
    service = apeldbloader.Service(command, args)
    remove = MessageQueue.remove

    def failing(queue: Any, element: str) -> None:
        if element == name:
            raise OSError("Input/output error")
        remove(queue, element)

    monkeypatch.setattr("apel.server.rest.FIRST_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(MessageQueue, "remove", failing)
        assert service.step() == 0
    if elsewhere:
        files.write("db.cfg", "[db]\nbackend = sqlite\nname = %s\n" % (files.folder / "other.sqlite"))
    service.reload()
    assert service.step() == 2
    rows = service.open().db.run(lambda tx: tx.rows("SELECT WallDuration FROM VJobRecords ORDER BY 1"))
    assert rows == [(1,), (200,)]
    service.close()


def test_terminate_ends_the_daemon_and_removes_its_pid_file(files: Installation) -> None:
    files.centre.deliver(message(jobs(3)))
    with files.running_loader() as process:
        wait_for(lambda: files.centre.incoming.count() == 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(180) == 0
    assert not files.pidfile.exists() and "has ended" in files.log()


def test_a_hangup_signal_reaches_the_running_loader(files: Installation) -> None:
    with files.running_loader() as process:
        wait_for(lambda: files.pidfile.exists())
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: "read again" in files.log())
        files.centre.deliver(message(jobs(3)))
        wait_for(lambda: files.centre.incoming.count() == 0)
        assert process.poll() is None


def test_daemon_detaches_and_works_in_the_background(files: Installation) -> None:
    words = ["-d", files.db_cfg, "-c", files.loader_cfg, "--daemon"]
    code = "import sys; from apel.commands.apeldbloader import main; sys.exit(main(%r))" % (words,)
    files.centre.deliver(message(jobs(3)))
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
    wait_for(
        lambda: (
            files.pidfile.exists() and files.pidfile.read_text().strip() and not files.centre.incoming.count()
        )
    )
    pid = int(files.pidfile.read_text())
    assert pid != os.getpid()
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not files.pidfile.exists())


def test_the_summariser_says_how_long_it_took(files: Installation) -> None:
    files.centre.load(message(jobs(3)))
    assert files.summarise() == 0
    assert "Summarising completed in: " in files.log() and "made again: 1" in files.log()
    assert files.centre.count("HybridSuperSummaries") == 1
    assert not files.pidfile.exists()


def test_the_summariser_counts_its_months(files: Installation) -> None:
    files.centre.load(message(jobs(2)), message(jobs(2, Site="OTHER")))
    with open(files.summariser_cfg, "a", encoding="utf-8") as stream:
        stream.write("[metrics]\ntextfile = %s\n" % (files.folder / "prom"))
    assert files.summarise() == 0
    lines = (files.folder / "prom").read_text().splitlines()
    assert 'apel_summariser_months_total{program="apelsummariser"} 2' in lines
    assert 'apel_summariser_refused_months{program="apelsummariser"} 0' in lines


def test_dry_run_names_the_months_and_changes_nothing(files: Installation, capsys: Any) -> None:
    files.centre.load(message(jobs(3)))
    assert files.summarise("--dry-run") == 0
    assert "EXAMPLE-NORTH 2025-03" in capsys.readouterr().out
    assert files.centre.count("HybridSuperSummaries") == 0 and files.centre.count("ChangedMonths") == 1


def test_all_makes_every_month_again(files: Installation) -> None:
    files.centre.load(message(jobs(3)))
    files.summarise()
    files.centre.execute("UPDATE JobRecords SET WallDuration = 1")
    assert files.summarise() == 0
    assert files.centre.rows("SELECT WallDuration FROM HybridSuperSummaries") == [(10800,)]
    assert files.summarise("--all", "--site", "EXAMPLE-NORTH", "--month", "2025-03") == 0
    assert files.centre.rows("SELECT WallDuration FROM HybridSuperSummaries") == [(3,)]


def test_the_counts_are_compared_once_a_day_or_on_request(files: Installation) -> None:
    """D8: deletions by hand."""
    files.centre.load(message(jobs(3)))
    files.summarise()
    files.centre.execute("DELETE FROM JobRecords")
    files.summarise()
    assert files.centre.count("HybridSuperSummaries") == 1
    assert files.summarise("--verify") == 0
    assert files.centre.count("VSuperSummaries") == 0
    assert "EXAMPLE-NORTH 2025-03: its sources hold 0 jobs, its sums 3." in files.log()


def test_a_summariser_that_fails_leaves_no_pid_file(files: Installation, capsys: Any) -> None:
    """The incumbent left it when the database was down, and refused to run ever after."""
    folder = files.folder / "no" / "such"
    with open(files.db_cfg, "w") as stream:
        stream.write("[db]\nbackend = sqlite\nname = %s\n" % (folder / "db.sqlite"))
    assert files.summarise() in (1, 75)
    assert capsys.readouterr().err and not files.pidfile.exists()
    assert files.summarise("--site", "NOWHERE") in (1, 75) and not files.pidfile.exists()


def test_unknown_type_is_refused_as_configuration(files: Installation, capsys: Any) -> None:
    with open(files.db_cfg, "a") as stream:
        stream.write("type = cluod\n")
    assert files.summarise() == 2
    assert "[db] type is 'cluod', but must be one of cpu, cloud, storage" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["2026", "2026-13", "26-01", "october", "0000-01", "9999-12"])
def test_a_month_that_is_none_is_refused(files: Installation, capsys: Any, word: str) -> None:
    assert files.summarise("--month", word) == 2
    assert "is no month like 2026-10" in capsys.readouterr().err


def test_the_report_of_an_empty_database_says_what_to_do(files: Installation, capsys: Any) -> None:
    assert files.report() == 0
    assert "run apelsummariser" in capsys.readouterr().err


def test_the_report_is_printed_in_three_forms(files: Installation, capsys: Any) -> None:
    files.centre.load(message([job(), job(LocalJobId="2", Site="EXAMPLE-WEST")]))
    files.summarise()
    assert files.report("--by", "vo") == 0
    assert "atlas" in capsys.readouterr().out
    assert files.report("--json", "--site", "EXAMPLE-WEST", "--month", "2025-03", "--vo", "atlas") == 0
    assert json.loads(capsys.readouterr().out)["total"]["jobs"] == 1
    assert files.report("--site", "Example-West") == 0
    assert "letter by letter" in capsys.readouterr().err
    assert files.report("--csv") == 0
    assert capsys.readouterr().out.startswith("month,site,vo,jobs,wall_seconds,")


@pytest.mark.parametrize("words", [["--by", "planet"], ["--by", ""], ["--by", "vo,vo"], ["--json", "--csv"]])
def test_wrong_options_of_the_report_are_refused(files: Installation, words: Any, capsys: Any) -> None:
    assert files.report(*words) == 2


@pytest.mark.parametrize(
    "module, name, table",
    [
        (apeldbloader, "loader.cfg", LOADER),
        (apelsummariser, "summariser.cfg", SUMMARISER),
        (None, "db.cfg", DB_TABLE),
    ],
)
def test_the_samples_are_those_of_the_tables(module: Any, name: str, table: Any) -> None:
    with open(sample_path(name), encoding="utf-8") as stream:
        assert stream.read() == table.sample()


def test_versions(capsys: Any) -> None:
    for module in (apeldbloader, apelsummariser, apelreport):
        assert module.main(["--version"]) == 0
    printed = capsys.readouterr().out
    assert "Starting APEL dbloader %s\nAPEL summariser %s\n" % (__version__, __version__) in printed
