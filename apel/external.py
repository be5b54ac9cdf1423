"""Running a command of a batch system or of storage: its whole output, or an error that says what happened.

Which these are: those of apel/collect/sources.py and apel/star/sources.py, and QHOST below.
"""

import contextlib
import logging
import os
import signal
import subprocess
from typing import List, Mapping, NamedTuple

from apelcommon.errors import Transient

log = logging.getLogger(__name__)

MOST_SHOWN = 300
#: How long a command that was killed may take to end.
PATIENCE_SECONDS = 5.0

#: Grid Engine: the attributes of all hosts.
QHOST = ["qhost", "-F", "-xml"]


class TimedOut(Transient):
    """A command that took too long, and was stopped."""


class Output(NamedTuple):
    """What a command that ended well printed, and what it complained of."""

    data: bytes
    complaint: str


def output_of(words: List[str], environment: Mapping[str, str], timeout_seconds: float) -> Output:
    """Run a command to its end, with `environment` over our own.

    Raises Transient if it isn't there, can't be run, fails, or takes too long (then it is killed, with all
    that it has started).
    """
    name = words[0]
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, **environment),
            start_new_session=True,
        )
    except FileNotFoundError:
        raise Transient("%s: command not found (PATH, or its option)" % name) from None
    except OSError as err:
        raise Transient("%s can't be run: %s" % (name, err.strerror)) from err
    try:
        data, complaint = process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        _stop(process)
        raise TimedOut("%s did not end within %g seconds and was stopped" % (name, timeout_seconds)) from None
    except BaseException:
        _stop(process)
        raise
    said = _shown(complaint)
    if process.returncode:
        raise Transient(
            "%s failed with %s: %s" % (name, _how(process.returncode), said or "(it said nothing)")
        )
    return Output(data, said)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Kill a command with all that it has started. One that waits for a dead file server may live on."""
    _kill(process)
    for stream in filter(None, (process.stdout, process.stderr)):
        stream.close()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        log.warning("Process %d can't be killed: it waits for the system, and is left alone", process.pid)
        process.returncode = -signal.SIGKILL  # we wait for it no more


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _how(status: int) -> str:
    return "status %d" % status if status > 0 else "signal %d" % -status


def _shown(complaint: bytes) -> str:
    """The beginning of what stands on standard error, on one line."""
    text = " ".join(complaint.decode("utf-8", "replace").split())
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"
