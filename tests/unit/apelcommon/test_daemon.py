"""Pid files, locks, signals and the loop of steps: what happens after a crash, and beside a twin."""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from apelcommon.backoff import Backoff
from apelcommon.daemon import Hangup, PidFile, Stop, is_running, notify, run_steps, stop_signals
from apelcommon.errors import ServiceError, Transient
from apelcommon.files import Lock, lock_path, write_atomically


@pytest.fixture
def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def live_process():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    process.stdin.close()


def test_pidfile_of_a_dead_process_is_taken_over(tmp_path, dead_pid, caplog):
    """D17: a stale pid file after a crash."""
    path = tmp_path / "loader.pid"
    path.write_text("%d\n" % dead_pid)
    with PidFile(str(path)):
        assert path.read_text() == "%d\n" % os.getpid()
    assert "which is gone; taking it over" in caplog.text
    assert not path.exists()


def test_pidfile_of_a_live_process_is_respected(tmp_path, live_process):
    """D17: a pid file of a live process."""
    path = tmp_path / "loader.pid"
    path.write_text("%d\n" % live_process.pid)
    with pytest.raises(ServiceError, match="Already running: process %d" % live_process.pid), PidFile(
        str(path)
    ):
        pytest.fail("entered beside a live process")
    assert path.read_text() == "%d\n" % live_process.pid


@pytest.mark.parametrize("garbage", ["", "hello", "-1", "12 34", "\x00\xff", "0", "\xc2\xb2", "9" * 30])
def test_pidfile_with_garbage_is_taken_over_with_a_warning(tmp_path, garbage, caplog):
    """D17: garbage in the pid file."""
    path = tmp_path / "loader.pid"
    path.write_bytes(garbage.encode("latin-1"))
    with PidFile(str(path)):
        assert path.read_text() == "%d\n" % os.getpid()
    assert "taking it over" in caplog.text


def test_pidfile_with_our_own_id_is_stale(tmp_path):
    """D17: in a container every start has the same process id."""
    path = tmp_path / "loader.pid"
    path.write_text("%d\n" % os.getpid())
    with PidFile(str(path)):
        assert path.exists()
    assert not path.exists()


def test_pidfile_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ServiceError, match="Cannot write the pid file .*none"), PidFile(
        str(tmp_path / "none" / "x")
    ):
        pytest.fail("entered without a pid file")


def test_lock_held_by_a_live_process_ends_the_second_run(tmp_path):
    """P6: two cron runs overlap."""
    path = str(tmp_path / "parser.lock")
    code = (
        "import sys; from apelcommon.files import Lock\nwith Lock(%r): print('held', flush=True); input()"
        % path
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ServiceError, match="process %d holds" % holder.pid), Lock(path, "apelparser"):
            pytest.fail("entered beside the holder")
    finally:
        holder.kill()
        holder.communicate()
    with Lock(path, "apelparser"):  # P6: the lock of a killed process is taken over
        assert open_text(path) == "%d\n" % os.getpid()


def test_a_lock_leaves_no_file(tmp_path):
    path = str(tmp_path / "parser.lock")
    for _ in range(2):
        with Lock(path):
            assert os.path.exists(path)
        assert os.listdir(str(tmp_path)) == []


def test_a_lock_on_a_file_that_its_holder_removed_is_none(tmp_path, monkeypatch):
    """P6: the holder ends between our opening the file and our locking it, and a third run begins."""
    path, real, taken = str(tmp_path / "parser.lock"), fcntl.flock, []

    def flock(stream, how):
        if not taken:
            taken.append(1)
            os.unlink(path)
        real(stream, how)

    monkeypatch.setattr("apelcommon.files.fcntl.flock", flock)
    with Lock(path, "apelparser"), pytest.raises(ServiceError, match="already running"), Lock(
        path, "apelparser"
    ):
        pytest.fail("entered beside the holder")
    assert taken and not os.path.exists(path)


def open_text(path):
    with open(path) as stream:
        return stream.read()


def test_usual_lock_is_the_same_from_cron_and_from_a_shell(tmp_path, monkeypatch):
    """P6: whatever TMPDIR says, and another one for another database."""
    first = lock_path("apelparser", "db1", "apelclient")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert lock_path("apelparser", "db1", "apelclient") == first
    assert lock_path("apelparser", "db2", "apelclient") != first
    assert os.path.basename(first).startswith("apelparser-%d-" % os.getuid())


def test_lock_holds_on_a_full_disk(tmp_path, monkeypatch):
    """/run may be full of what others leave there: the number in the file is for people only."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    path = str(tmp_path / "lock")
    with Lock(path), pytest.raises(ServiceError, match="already running"), Lock(path):
        pass


def test_lock_in_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ServiceError, match="Cannot open the lock file"), Lock(str(tmp_path / "no" / "lock")):
        pytest.fail("entered without a lock")


def test_sigterm_stops_and_sighup_reloads():
    calls = []
    with stop_signals(reload=lambda: calls.append("reload")) as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert calls == ["reload"] and not stop.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(60)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_steps_go_on_after_transient_trouble(monkeypatch, caplog):
    monkeypatch.setattr("apelcommon.backoff.random.uniform", lambda low, high: 0.0)
    stop, calls = Stop(), []

    def step():
        calls.append(1)
        if len(calls) < 3:
            raise Transient("The database is away.")
        stop.set()

    run_steps(step, 0.0, stop)
    assert len(calls) == 3
    assert "The database is away. Trying again in" in caplog.text


def test_steps_end_on_anything_else():
    def step():
        raise ServiceError("broken")

    with pytest.raises(ServiceError, match="broken"):
        run_steps(step, 0.0, Stop())


def test_systemd_is_told(tmp_path, monkeypatch):
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address)
        channel.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify("READY=1")
        assert channel.recv(100) == b"READY=1"


def test_notify_without_systemd_does_nothing(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert notify("READY=1") is None


@pytest.mark.parametrize(("ask", "told"), [("set", [b"STOPPING=1"]), ("interrupt", [])])
def test_systemd_is_not_told_of_an_end_that_is_none(tmp_path, monkeypatch, ask, told):
    """At a SIGHUP the work begins anew: who had said that it was stopping would be killed for going on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        stop = Stop()
        run_steps(getattr(stop, ask), 0.0, stop)
        heard = []
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(channel.recv(100))
    assert [each for each in heard if each != b"WATCHDOG=1"] == [b"READY=1", *told]


def test_is_running_knows_the_dead(dead_pid, live_process):
    assert not is_running(dead_pid)
    assert is_running(live_process.pid)
    assert is_running(os.getpid())


def test_stop_wakes_a_waiter_at_once():
    stop = Stop()
    threading.Timer(0.05, stop.set).start()
    assert stop.wait(30)


def test_signal_at_any_point_ends_the_wait():
    """Within the wait itself, too, or what another signal does: a daemon that hangs there is killed."""
    came = []

    def signals(*_):
        came.append(1)
        stop.interrupt()

    def wait_and_resume():
        sys.setprofile(signals)
        try:
            ended.extend([stop.wait(0.01), stop.wait(60), stop.resume(), stop.wait(60)])
            stop.set()
            ended.append(stop.resume())
        finally:
            sys.setprofile(None)

    stop, ended = Stop(), []
    thread = threading.Thread(target=wait_and_resume, daemon=True)
    thread.start()
    thread.join(120)
    assert ended == [True, True, True, True, False] and len(came) > 10
    assert stop.is_set() and stop.is_for_good()


def test_stop_that_is_resumed_waits_again():
    stop = Stop()
    stop.interrupt()
    assert stop.wait(5) and stop.is_set()
    assert stop.resume() and not stop.is_set() and not stop.wait(0.01) and not stop.wait(-1)
    threads = [threading.Thread(target=stop.wait, args=(60,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    stop.interrupt()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "all who wait are woken"


def test_no_hangup_is_forgotten(monkeypatch):
    """One that comes while the one before is taken: its configuration may be another one."""
    hangup, stop = Hangup(), Stop()
    hangup.stop = stop
    hangup.came()
    resume = stop.resume
    monkeypatch.setattr(stop, "resume", lambda: hangup.came() or resume())
    assert hangup.resumes() and stop.is_set(), "the work ends at once, to begin once more"
    monkeypatch.undo()
    assert hangup.resumes() and not stop.is_set()
    assert not hangup.resumes(), "none came"
    hangup.came()
    stop.set()
    assert not hangup.resumes() and stop.is_set()


def test_backoff_grows_to_its_cap_and_starts_again():
    backoff = Backoff(1.0, 8.0)
    waits = [backoff.next() for _ in range(6)]
    assert all(0.75 * base <= wait <= 1.25 * base for wait, base in zip(waits, [1, 2, 4, 8, 8, 8]))
    backoff.reset()
    assert backoff.next() <= 1.25


def test_write_atomically_replaces_the_whole_file(tmp_path):
    path = tmp_path / "dns"
    path.write_text("old")
    write_atomically(str(path), b"new", 0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(str(tmp_path)) == ["dns"]


def test_write_atomically_leaves_no_rubbish_when_it_fails(tmp_path, monkeypatch):
    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("apelcommon.files.os.fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(str(tmp_path / "dns"), b"new")
    assert os.listdir(str(tmp_path)) == []
