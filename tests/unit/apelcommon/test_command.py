"""The frame of commands: exit statuses, and what the operator is told."""

import io
import json
import logging
import os
import re
import subprocess
import sys

import pytest

from apelcommon import logs
from apelcommon.command import Command, main
from apelcommon.config import LOGGING, OptionTable
from apelcommon.errors import ConfigError, Permanent, ServiceError, Transient


class Example(Command):
    name = "example"
    version_text = "Example 1"
    description = "An example."
    example = "example -c /etc/example.cfg"
    table = OptionTable("example", LOGGING(""))
    default_config = "/etc/example.cfg"
    outcome = 0

    def run(self, args):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        if args.config != self.default_config:
            self.settings(args)
            logging.getLogger("example").info("working")
        return self.outcome


def run(outcome, argv=()):
    command = Example()
    command.outcome = outcome
    return main(command, list(argv))


@pytest.mark.parametrize(
    "outcome, status",
    [
        (0, 0),
        (ServiceError("failed"), 1),
        (Permanent("refused"), 1),
        (ConfigError(["a", "b"]), 2),
        (Transient("later"), 75),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("oops"), 1),
    ],
)
def test_exit_status_tells_what_happened(outcome, status, capsys):
    assert run(outcome) == status
    if status:
        assert capsys.readouterr().err.startswith("example: ")


def test_every_problem_is_said_on_stderr(capsys):
    run(ConfigError(["first", "second"]))
    assert capsys.readouterr().err == "example: first\nexample: second\n"


def test_unexpected_error_is_logged_with_its_trace(capsys, caplog):
    assert run(ZeroDivisionError("oops")) == 1
    assert "Unhandled exception raised!" in caplog.text and "Traceback" in caplog.text
    assert "internal error: ZeroDivisionError: oops" in capsys.readouterr().err


def test_reader_that_goes_away_is_no_internal_error():
    """`apelreport | head` ends quietly."""
    code = "import sys; sys.path[:0] = %r\nfrom apelcommon.command import *\n" % [p for p in sys.path if p]
    code += (
        "class Many(Command):\n    name = 'many'\n"
        "    def run(self, args):\n        [print('x' * 1000) for _ in range(10000)]\n        return 0\n"
        "sys.exit(main(Many(), []))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


def test_version_and_help_exit_with_zero(capsys):
    assert run(0, ["--version"]) == 0
    assert run(0, ["--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Example 1\n") and "Example: example -c" in out


def test_unknown_argument_is_usage(capsys):
    assert run(0, ["--nonsense"]) == 2
    assert "--nonsense" in capsys.readouterr().err


def test_log_goes_to_file_and_console(tmp_path, capsys):
    log_file = tmp_path / "example.log"
    config = tmp_path / "example.cfg"
    config.write_text("[logging]\nlogfile = %s\nconsole = true\n" % log_file)
    try:
        assert run(0, ["-c", str(config), "-l", "old.cfg"]) == 0
    finally:
        logs.close()
    assert " - example - INFO - working\n" in log_file.read_text()
    assert "Separate logging config file option has been deprecated." in log_file.read_text()
    assert "working" in capsys.readouterr().out


def test_log_line_can_not_be_forged(tmp_path):
    """A message's id, or a name in a stranger's certificate, may hold line ends and terminal commands."""
    log_file = tmp_path / "example.log"
    logs.set_up(OptionTable("example", LOGGING(str(log_file), False)).defaults().logging)
    logging.getLogger("example").info(
        "id %s stored", "5f\n2026-01-01 00:00:00,000 - example - INFO - a\rb\x1b[2J"
    )
    logs.close()
    first, second = log_file.read_text().splitlines()
    assert first.endswith("INFO - id 5f")
    assert second == "    2026-01-01 00:00:00,000 - example - INFO - a\\x0db\\x1b[2J stored"


def test_log_survives_rotation(tmp_path):
    """A log that is renamed away is opened anew: no line is lost, and no signal is needed."""
    log_file = tmp_path / "example.log"
    logs.set_up(OptionTable("example", LOGGING(str(log_file), False)).defaults().logging)
    try:
        logging.getLogger("example").info("before")
        log_file.rename(tmp_path / "example.log.1")
        logging.getLogger("example").info("after")
    finally:
        logs.close()
    assert "before" in (tmp_path / "example.log.1").read_text()
    assert "after" in log_file.read_text()


def test_log_file_that_cannot_be_written_is_a_config_error(tmp_path, capsys):
    config = tmp_path / "example.cfg"
    config.write_text("[logging]\nlogfile = %s/none/example.log\n" % tmp_path)
    assert run(0, ["-c", str(config)]) == 2
    assert "[logging] logfile: cannot write" in capsys.readouterr().err


def test_log_file_of_another_user_names_that_user(tmp_path, monkeypatch):
    """Run by hand as root, then by a timer as the user apel."""
    log_file = tmp_path / "example.log"
    log_file.write_text("")

    def refused(path, **_):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(logs, "LogFile", refused)
    with pytest.raises(
        ConfigError, match=r"\(Permission denied\): it is %s's; run this as" % log_file.owner()
    ):
        logs.set_up(OptionTable("example", LOGGING(str(log_file), False)).parse("").logging)


def test_full_disk_costs_lines_of_the_log_and_no_work(capsys):
    """Told once, not with a trace for each line."""
    logs.set_up(OptionTable("example", LOGGING("/dev/full", False)).parse("").logging)
    try:
        logging.error("one")
        logging.error("two")
    finally:
        logs.close()
    told = "Cannot log to /dev/full: No space left on device. Lines of the log are lost until that is mended."
    assert capsys.readouterr().err == told + "\n"


def test_name_that_the_log_has_no_bytes_for_is_shown(tmp_path, capsys, monkeypatch):
    """A file whose name is Latin-1, and standard output as cron gives it to old Pythons."""
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", out)
    path = tmp_path / "x.log"
    logs.set_up(OptionTable("example", LOGGING(str(path), True)).parse("").logging)
    try:
        logging.error("%s of Zo\u00eb", os.fsdecode(b"m\xe9ssage"))
    finally:
        logs.close()
    assert path.read_text(encoding="utf-8").endswith(" - m\\udce9ssage of Zo\u00eb\n")
    assert out.buffer.getvalue().endswith(b" - m\\udce9ssage of Zo\\xeb\n")
    assert capsys.readouterr().err == ""


def test_what_standard_output_has_no_bytes_for_is_shown():
    """Under LANG=C, as cron has it: Python 3.6 prints ASCII then, and ended the program for an accent."""
    script = """
import os, sys
from apelcommon.command import Command, main

class Printing(Command):
    name = "printing"
    description = "Zo\u00eb's."

    def run(self, args):
        print(os.fsdecode(b"m\\xe9ssage"), "of Zo\u00eb")
        return 0

main(Printing(), [])
sys.exit(main(Printing(), ["--help"]))
"""
    settings = dict(os.environ, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    done = subprocess.run(
        [sys.executable, "-c", script.encode("ascii", "backslashreplace").decode("ascii")],
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"m\\udce9ssage of Zo\\xeb\n" in done.stdout and b"Zo\\xeb's." in done.stdout


def test_rotation_into_a_folder_that_is_gone_stops_no_daemon(tmp_path, capsys):
    """Whoever had something to log went on with an error of the log; it is told again the next time."""
    folder = tmp_path / "log"
    folder.mkdir()
    logs.set_up(OptionTable("example", LOGGING(str(folder / "x.log"), False)).parse("").logging)
    try:
        for _ in range(2):
            folder.rename(tmp_path / "gone")
            logging.error("lost")
            logging.error("lost, too")
            (tmp_path / "gone").rename(folder)
            logging.error("kept")
    finally:
        logs.close()
    assert [line.split(" - ")[-1] for line in (folder / "x.log").read_text().splitlines()] == ["kept"] * 2
    assert capsys.readouterr().err.count("Cannot log to") == 2


def test_log_as_json_has_stable_words_beside_the_message(tmp_path):
    """Whatever strangers put into it: a line is an object, and `event` is the same for all of its kind."""
    log_file = tmp_path / "example.log"
    settings = (
        OptionTable("example", LOGGING(str(log_file), False)).parse("[logging]\nformat = JSON\n").logging
    )
    settings.logfile, settings.console = str(log_file), False
    logs.set_up(settings)
    try:
        logging.getLogger("example").warning("id %s stored", '5f\n"x": 1')
        try:
            raise ValueError("why")
        except ValueError:
            logging.getLogger("example").error("it failed", exc_info=True)
    finally:
        logs.close()
    first, second = [json.loads(line) for line in log_file.read_text().splitlines()]
    assert re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", first.pop("time"))
    assert first.pop("process") == os.getpid()
    assert first == {
        "logger": "example",
        "level": "WARNING",
        "message": 'id 5f\n"x": 1 stored',
        "event": "id %s stored",
    }
    assert "ValueError: why" in second["trace"]
