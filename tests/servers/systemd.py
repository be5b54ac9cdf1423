"""A real systemd, as process 1 of namespaces of its own, with nothing but the units that a test gives it."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from typing import Dict, Iterator, List, Optional

from servers.process import ServerFailed, ServerMissing, as_user

PROGRAM = "/lib/systemd/systemd"
SYSTEM_UNITS = "/lib/systemd/system"
#: What units are ordered by, or pull in, without saying so.
TARGETS = (
    "basic",
    "sysinit",
    "shutdown",
    "sockets",
    "timers",
    "paths",
    "slices",
    "network-online",
    "multi-user",
)
OURS = "tried.target"
START_SECONDS = 90.0
#: In the namespaces: a /run of its own, no units but ours, and control groups of our own branch.
BEGIN = """
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /lib/systemd/system-generators
mount -t tmpfs tmpfs /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec env -i container=other PATH=/usr/bin:/bin:/usr/sbin:/sbin SYSTEMD_UNIT_PATH={units} \
    {program} --system --unit={ours} --show-status=no --log-target=console
"""


class Impossible(Exception):
    """systemd can't be run here: not root, or without the right to namespaces or control groups."""


class Systemd:
    """Runs the unit files of a folder: `add` them, then use `control`."""

    def __init__(self) -> None:
        if not os.path.exists(PROGRAM):
            raise ServerMissing("systemd is not installed: install systemd")
        groups = _cgroup2()
        self.folder = tempfile.mkdtemp(prefix="apel-test-%d-systemd-" % os.getpid(), dir="/var/lib")
        self.units = os.path.join(self.folder, "units")
        self.log_file = os.path.join(self.folder, "log")
        self.branch = os.path.join(groups, os.path.basename(self.folder))
        self._process: "Optional[subprocess.Popen[bytes]]" = None
        os.mkdir(self.units)
        try:
            for name in TARGETS:
                shutil.copy(os.path.join(SYSTEM_UNITS, name + ".target"), self.units)
        except OSError as err:
            self.close()
            raise Impossible("this systemd lacks a target: %s" % err) from err
        self.write(OURS, "[Unit]\nDescription=What is tried\nAllowIsolate=yes\n")

    def write(self, name: str, text: str) -> None:
        """Write a unit file, or a part of one (`x.service.d/y.conf`)."""
        path = os.path.join(self.units, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)

    def start(self) -> None:
        """Start it. Raises Impossible if it doesn't come up."""
        try:
            os.mkdir(self.branch)
        except OSError as err:
            self.close()
            raise Impossible("there can be no control group of ours here: %s" % err) from err
        begin = BEGIN.format(units=self.units, program=PROGRAM, ours=OURS)
        join = (
            "echo $$ > %s/cgroup.procs && exec unshare --mount --pid --ipc --uts --cgroup --fork"
            % self.branch
        )
        words = ["sh", "-ec", join + ' --kill-child --mount-proc sh -ec "$0"', begin]
        with open(self.log_file, "wb") as log:
            self._process = subprocess.Popen(
                [*_dying_with_us(), *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        end = time.monotonic() + START_SECONDS
        while "active" not in self._try("is-active", OURS).split():
            if self._process.poll() is not None or time.monotonic() > end:
                with open(self.log_file, encoding="utf-8", errors="replace") as log_text:
                    said = log_text.read()[-2000:]
                self.close()
                raise Impossible("systemd does not run here: %s" % said)
            time.sleep(0.1)

    def _inside(self) -> List[str]:
        """The words before a command that is to run where systemd does."""
        assert self._process is not None
        children = "/proc/%d/task/%d/children" % (self._process.pid, self._process.pid)
        with open(children, encoding="ascii") as stream:
            first = stream.read().split()
        if not first:
            raise ServerFailed("systemd has ended")
        return ["nsenter", "-t", first[0], "-m", "-p", "-i", "-u", "-C", "--"]

    def _try(self, *words: str) -> str:
        with contextlib.suppress(OSError, ServerFailed):
            done = subprocess.run(
                [*self._inside(), "systemctl", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            return done.stdout.decode()
        return ""

    def control(self, *words: str) -> int:
        """systemctl; its exit status."""
        return subprocess.run([*self._inside(), "systemctl", *words], stderr=subprocess.DEVNULL).returncode

    def show(self, unit: str) -> Dict[str, str]:
        """The properties of a unit."""
        lines = self._try("show", unit).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)  # type: ignore[misc]

    def signal(self, unit: str, name: str) -> None:
        """Send a signal to the main process of a unit."""
        assert self.control("kill", "--kill-who=main", "--signal=" + name, unit) == 0

    def close(self) -> None:
        """End it, and all that it runs, and remove what it left."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for _ in range(100):
            if not _remove(self.branch):
                break
            time.sleep(0.05)
        shutil.rmtree(self.folder, ignore_errors=True)


def _cgroup2() -> str:
    """Our own group among those of version 2: whatever bounds us bounds what we start."""
    with open("/proc/self/cgroup", encoding="utf-8") as stream:
        ours = next((line.strip()[3:] for line in stream if line.startswith("0::")), "/")
    with open("/proc/mounts", encoding="utf-8") as stream:
        for line in stream:
            fields = line.split()
            path = fields[1] + ours.rstrip("/")
            if fields[2] == "cgroup2" and os.access(path, os.W_OK):
                return path
    raise Impossible("there are no control groups of version 2 here that are ours to write")


def _remove(branch: str) -> bool:
    """Remove a branch of control groups, from its ends; whether something is left."""
    for folder, _, _ in os.walk(branch, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return os.path.exists(branch)


def _dying_with_us() -> Iterator[str]:
    words = as_user("root")
    return iter(words[: words.index("--reuid")] if "--reuid" in words else words)
