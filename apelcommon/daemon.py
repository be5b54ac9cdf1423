"""What a daemon needs beside its work: signals, a pid file, systemd, and a loop of steps."""

import contextlib
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import Any, Callable, Dict, Iterator, List, Optional

from apelcommon.backoff import Backoff
from apelcommon.errors import ServiceError, Transient

log = logging.getLogger(__name__)

#: Zero would be our own process group, and more digits no process of any kernel.
PROCESS_ID = re.compile(r"[1-9][0-9]{0,8}")

BEAT_SECONDS = 10.0
#: How long what is in hand may take after we were asked to end; then what waits for others is cut short.
GRACE_SECONDS = 3.0

Handler = Optional[Callable[[], None]]

#: What cuts short whatever waits for others just now; and who hears of signals.
_cuts: List[Callable[[], None]] = []
_heeded: List["Stop"] = []


class Stop:
    """Whether the process should end: set by SIGTERM or SIGINT, waited on between steps.

    Signals come at any point, also within what is done here, and what a threading.Event does at some points
    keeps its own set() waiting for ever. So there is a flag, and a lock that is free when the flag is set.
    """

    def __init__(self) -> None:
        self._set = False
        self._for_good = False
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def set(self) -> None:
        """Ask the work to end after the item in hand."""
        self._for_good = True
        self.interrupt()

    def interrupt(self) -> None:
        """Ask the work to end after the item in hand, and to begin anew."""
        self._set = True
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # somebody else has just done it
            self._asleep.release()

    def resume(self) -> bool:
        """After the work has ended: whether it is to begin anew, rather than to end for good."""
        self._set = False
        # What is asked from here on counts: the flag says so, even if the lock is taken after it.
        self._asleep.acquire(blocking=False)
        if self._for_good:
            self.interrupt()
        return not self._for_good

    def is_set(self) -> bool:
        """Whether the work should end."""
        return self._set

    def is_for_good(self) -> bool:
        """Whether the process should end, and not only begin anew."""
        return self._for_good

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake at once when asked to end; whether that was so."""
        if not self._set and self._asleep.acquire(timeout=max(0.0, seconds)):
            # For others who wait.
            self._wake()
        return self._set


class Hangup:
    """SIGHUP: end what runs, and begin again with the configuration as it is now."""

    def __init__(self) -> None:
        self.again = False
        self.stop: Optional[Stop] = None

    def came(self) -> None:
        """What is to be called when the signal comes."""
        self.again = True
        if self.stop is not None:
            self.stop.interrupt()

    def resumes(self) -> bool:
        """After the work has ended: whether one came, and the work is to begin anew, not to end for good."""
        again, self.again = self.again, False
        if not again or self.stop is None or not self.stop.resume():
            return False
        if self.again:
            # Another one came before the stop was taken back, and would be forgotten.
            self.stop.interrupt()
        return True


@contextlib.contextmanager
def stop_signals(reload: Handler = None) -> Iterator[Stop]:
    """SIGTERM and SIGINT set the Stop that is given; SIGHUP calls `reload`. Old handlers come back after."""
    stop = Stop()

    def on_stop(number: int, _frame: Optional[FrameType]) -> None:
        stop.set()
        signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS, GRACE_SECONDS)

    def on_grace_over(number: int, _frame: Optional[FrameType]) -> None:
        for cut in list(_cuts):
            cut()

    def on_hangup(number: int, _frame: Optional[FrameType]) -> None:
        if reload is not None:
            reload()

    wanted: Dict[int, Any] = {signal.SIGTERM: on_stop, signal.SIGINT: on_stop, signal.SIGHUP: on_hangup}
    wanted[signal.SIGALRM] = on_grace_over
    old = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    _heeded.append(stop)
    try:
        yield stop
    finally:
        _heeded.remove(stop)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in old.items():
            signal.signal(number, handler)


def asked_to_end() -> bool:
    """Whether a signal has asked this process to end: then nothing that may wait is tried once more."""
    return any(stop.is_for_good() for stop in _heeded)


@contextlib.contextmanager
def cut_short(cut: Callable[[], None]) -> Iterator[None]:
    """While others are waited for: `cut` is called when we are to end and have waited for some seconds more.

    It is called in the main thread, in the middle of whatever that does, every few seconds, and may raise.
    """
    _cuts.append(cut)
    try:
        yield
    finally:
        _cuts.remove(cut)


def pause(seconds: float) -> None:
    """Sleep, but not on when asked to end."""
    if _heeded:
        _heeded[-1].wait(seconds)
    else:
        time.sleep(seconds)


class PidFile:
    """A pid file as a context manager.

    One of a live process is respected (ServiceError), one left by a dead process or with garbage in
    it is taken over with a warning. An empty path means no pid file.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> "PidFile":
        if self.path:
            self._take_over()
            self._write()
        return self

    def _take_over(self) -> None:
        try:
            with open(self.path, encoding="utf-8", errors="replace") as stream:
                text = stream.read().strip()
        except FileNotFoundError:
            return
        except OSError as err:
            raise ServiceError("Cannot read the pid file %s: %s" % (self.path, err.strerror)) from err
        if not PROCESS_ID.fullmatch(text):
            log.warning("The pid file %s holds %r, no process id; taking it over.", self.path, text[:40])
        elif int(text) != os.getpid() and is_running(int(text)):
            raise ServiceError(
                "Already running: process %s holds %s. Stop it first; if that process is "
                "something else, remove the file." % (text, self.path)
            )
        else:
            log.warning("The pid file %s is of process %s, which is gone; taking it over.", self.path, text)
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def _write(self) -> None:
        try:
            with open(self.path, "x", encoding="utf-8") as stream:
                stream.write("%d\n" % os.getpid())
        except FileExistsError as err:
            raise ServiceError("Another process has just made the pid file %s." % self.path) from err
        except OSError as err:
            raise ServiceError("Cannot write the pid file %s: %s" % (self.path, err.strerror)) from err

    def __exit__(self, *_: object) -> None:
        if self.path:
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def is_running(pid: int) -> bool:
    """Whether a process with that id is alive (a zombie is not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True


def notify(message: str) -> None:
    """Tell systemd something (`READY=1`, `WATCHDOG=1`, `STATUS=…`), if it started us; else nothing."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(message.encode(), address)


def run_steps(
    step: Callable[[], Any], interval: float, stop: Stop, beat: Callable[[], Any] = lambda: None
) -> None:
    """Call `step` every `interval` seconds until asked to stop, and `beat` every ten seconds in between.

    A step that raises Transient is tried again with growing waits, for ever; anything else ends the loop.
    """
    backoff = Backoff(max(1.0, interval), 300.0)
    notify("READY=1")
    while not stop.is_set():
        wait = interval
        try:
            step()
            backoff.reset()
        except Transient as err:
            wait = backoff.next()
            log.warning("%s Trying again in %.0f seconds.", err, wait)
        wait_and_beat(stop, wait, beat)
    say_whether_it_ends(stop)


def say_whether_it_ends(stop: Any) -> None:
    """After the work has ended: tell systemd, but not where it is to begin anew.

    systemd takes a service at its word: one that went on would be killed when its time to stop is over.
    """
    if stop.is_for_good():
        notify("STOPPING=1")


def wait_and_beat(stop: Stop, seconds: float, beat: Callable[[], Any] = lambda: None) -> bool:
    """Wait, and let systemd know meanwhile that we do so on purpose; whether we were asked to end."""
    end = time.monotonic() + seconds
    while True:
        notify("WATCHDOG=1")
        beat()
        left = end - time.monotonic()
        if left <= 0 or stop.wait(min(left, _beat_seconds())):
            return stop.is_set()


def _beat_seconds() -> float:
    """Half of the time after which systemd takes us for dead."""
    given = os.environ.get("WATCHDOG_USEC", "")
    return min(BEAT_SECONDS, int(given) / 2e6) if given.isdigit() and int(given) else BEAT_SECONDS


def go_background() -> None:
    """Detach from the terminal: fork twice, new session, standard streams to /dev/null."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
