"""What --check-config says, and its exit status."""

from types import SimpleNamespace
from typing import Any

from apelcommon import checks
from apelcommon.checks import FAILED, OK, WARNING, Check
from apelcommon.errors import ConfigError, Transient


def failing(error: Exception) -> Any:
    def work() -> str:
        raise error

    return work


def test_an_attempt_is_what_came_of_it() -> None:
    assert checks.attempt("x", lambda: "fine") == Check(OK, "x", "fine")
    assert checks.attempt("x", failing(Transient("away"))) == Check(FAILED, "x", "away")
    assert checks.attempt("x", failing(ConfigError(["a", "b"]))) == Check(FAILED, "x", "a; b")


def test_only_failures_make_the_exit_status_1() -> None:
    good, doubtful, bad = Check(OK, "a", "b"), Check(WARNING, "a", "b"), Check(FAILED, "a", "b")
    assert checks.exit_status([good, doubtful]) == 0
    assert checks.exit_status([good, bad]) == 1
    assert checks.as_lines([good])[-1] == "Everything is in order."
    assert checks.as_lines([good, doubtful, bad])[-1] == "1 of 3 checks failed, 1 warnings."
    assert checks.as_json([bad]) == [{"outcome": FAILED, "subject": "a", "text": "b"}]


def test_a_spool_that_is_or_can_be_made(tmp_path: Any) -> None:
    assert checks.writable("spool", str(tmp_path)).outcome == OK
    later = checks.writable("spool", str(tmp_path / "a" / "b"))
    assert later.outcome == OK and "will be made" in later.text


def test_a_spool_that_is_a_file_or_full(tmp_path: Any, monkeypatch: Any) -> None:
    """C10: known before a run fails for it."""
    (tmp_path / "file").write_text("")
    assert "is no directory" in checks.writable("spool", str(tmp_path / "file")).text
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda path: SimpleNamespace(free=5000000))
    assert checks.writable("spool", str(tmp_path)) == Check(
        WARNING, "spool", "%s has only 5 MB left" % tmp_path
    )


def test_a_spool_that_this_user_cant_write(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(checks.os, "access", lambda path, mode: False)
    assert "can't be written by user id" in checks.writable("spool", str(tmp_path)).text
    assert "can't be read by user id" in checks.readable("logs", str(tmp_path)).text


def test_a_command_that_is_not_found() -> None:
    assert checks.executable("command", "sh").outcome == OK
    assert checks.executable("command", "/no/sacct") == Check(
        FAILED, "command", "/no/sacct is not found: give its path"
    )


def test_a_folder_of_logs_that_is_not_there(tmp_path: Any) -> None:
    assert checks.readable("logs", str(tmp_path)) == Check(OK, "logs", str(tmp_path))
    assert checks.readable("logs", str(tmp_path / "no")).outcome == FAILED


def naming(logfile: Any, textfile: Any = "") -> Any:
    return SimpleNamespace(
        logging=SimpleNamespace(logfile=str(logfile)), metrics=SimpleNamespace(textfile=str(textfile))
    )


def test_a_log_that_root_wrote_by_hand_is_known_before_the_first_night(
    tmp_path: Any, monkeypatch: Any
) -> None:
    path = tmp_path / "client.log"
    assert checks.log(naming("")) == []
    assert [each.outcome for each in checks.log(naming(path))] == [OK]
    path.write_text("")
    assert checks.log(naming(path)) == [Check(OK, "log", str(path))]
    monkeypatch.setattr(checks.os, "access", lambda path, mode: False)
    (found,) = checks.log(naming(path))
    assert found.outcome == FAILED and found.text.endswith(": it is %s's" % path.owner())


def test_a_log_that_has_no_folder(tmp_path: Any) -> None:
    """No run makes one: each would end at once, with what --check-config has to say."""
    (missing,) = checks.log(naming(tmp_path / "no" / "client.log"))
    assert missing == Check(FAILED, "log", "there is no directory %s: make it" % (tmp_path / "no"))
    assert [each.outcome for each in checks.log(naming(tmp_path))] == [FAILED]


def test_figures_that_have_no_folder(tmp_path: Any) -> None:
    assert checks.figures(naming("")) == []
    assert [each.outcome for each in checks.figures(naming("", tmp_path / "x.prom"))] == [OK]
    assert [each.outcome for each in checks.figures(naming("", tmp_path / "no" / "x.prom"))] == [WARNING]


def test_a_password_that_everybody_may_read(tmp_path: Any) -> None:
    """Files of older packages were so: sender.cfg with its token."""
    path = tmp_path / "db.cfg"
    path.write_text("")
    path.chmod(0o644)
    settings = SimpleNamespace(path=str(path), db=SimpleNamespace(password="secret"))
    assert [each.outcome for each in checks.secrets(settings)] == [WARNING]
    path.chmod(0o640)
    assert checks.secrets(settings) == []
    path.chmod(0o644)
    assert checks.secrets(SimpleNamespace(path=str(path), db=SimpleNamespace(password=""))) == []
    token = SimpleNamespace(path=str(path), messaging=SimpleNamespace(token="x"))
    assert [each.outcome for each in checks.secrets(token)] == [WARNING]
