"""What every private server needs: a folder, a port, another user than root, a start, an end."""

import fcntl
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from typing import List, Optional, Sequence, Set

STOP_SECONDS = 120.0
START_SECONDS = 240.0
# Below the ephemeral range, so that no outgoing connection takes the port of a server that is down.
PORTS = range(20000, 32000)


class ServerMissing(Exception):
    """A server's program is not installed; the text says which package brings it."""


class ServerFailed(Exception):
    """A server did not start or stop; the text ends with the end of its log."""


def find_program(names: Sequence[str], package: str) -> str:
    """The path of the first program found. Raises ServerMissing naming the package to install."""
    where = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/libexec"])
    for name in names:
        path = shutil.which(name, path=where)
        if path:
            return path
    raise ServerMissing(
        "%s is not installed: install %s (./runtests does that as root), or set APEL_TESTS_WITHOUT_SERVERS=1 "
        "to leave out the tests that need a real server." % (" or ".join(names), package)
    )


class _Taken:
    """The ports that test runs of this user have taken, here and beside us, whether or not they are in use.

    A server may be down when another one asks for a port. Each run locks a byte of a common file for each
    port it takes; its end unlocks them.
    """

    def __init__(self) -> None:
        self._ports: Set[int] = set()
        path = os.path.join(tempfile.gettempdir(), "apel-test-ports-%d" % os.getuid())
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def take(self, port: int) -> bool:
        """Take a port; whether it was free to take."""
        if port in self._ports:
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
        self._ports.add(port)
        return True


_taken = _Taken()


def free_port() -> int:
    """A TCP port on the loopback interface that nothing listens on now, and no other test was given."""
    for _ in range(1000):
        port = random.choice(PORTS)
        if not _taken.take(port):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFailed("No free port between %d and %d" % (PORTS[0], PORTS[-1]))


def private_folder(prefix: str) -> str:
    """A new folder for a server's files, in memory where there is room: fsync costs nothing there."""
    for base in ("/dev/shm", None):
        if base is None or (os.access(base, os.W_OK) and shutil.disk_usage(base).free > 2**30):
            break
    _sweep(base or tempfile.gettempdir())
    folder = tempfile.mkdtemp(prefix="apel-test-%d-%s-" % (os.getpid(), prefix), dir=base)
    os.chmod(folder, 0o755)
    return folder


def _sweep(base: str) -> None:
    """Remove what killed test runs left: their folders carry the process id, and the process is gone."""
    for name in os.listdir(base):
        match = re.match(r"apel-test-(\d+)-", name)
        if match and not os.path.exists("/proc/%s" % match.group(1)):
            shutil.rmtree(os.path.join(base, name), ignore_errors=True)


def lend(path: str, user: str) -> None:
    """Give a folder and all in it to the user a server runs as (root only; others keep theirs)."""
    if os.getuid() != 0:
        return
    for folder, _, files in os.walk(path):
        for name in [folder] + [os.path.join(folder, name) for name in files]:
            shutil.chown(name, known_user(user))


class Server:
    """One server process. Sub-classes give `command()`, `ready()`, `log_file` and `runs_as`."""

    runs_as = ""
    log_file = ""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._process: Optional["subprocess.Popen[bytes]"] = None

    def command(self) -> List[str]:
        """The program and its arguments, in the foreground."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether the server answers."""
        raise NotImplementedError

    @property
    def pid(self) -> Optional[int]:
        """The id of the running process, or None."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if running and self._process else None

    def start(self) -> None:
        """Start and wait until it answers. Raises ServerFailed with the end of its log.

        Call it from a thread that lives on: the server is killed when the thread that started it ends.
        """
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the process, and do not wait."""
        assert self.pid is None, "already running"
        with open(self.log_file, "ab") as log:
            self._process = subprocess.Popen(
                as_user(self.runs_as) + self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until it answers. Raises ServerFailed with the end of its log."""
        end = time.monotonic() + START_SECONDS
        while not self.ready():
            if self.pid is None or time.monotonic() > end:
                self.kill()
                raise ServerFailed("%s did not start:\n%s" % (type(self).__name__, self.log_tail()))
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in the orderly way; nothing happens if it isn't running."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: what a crash of the machine leaves, but for the page cache."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as err:
            process.kill()
            process.wait()
            raise ServerFailed("%s did not stop:\n%s" % (type(self).__name__, self.log_tail())) from err

    def log_tail(self) -> str:
        """The last lines of the log, for a message."""
        with open(self.log_file, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-30:])


def as_user(user: str) -> List[str]:
    """The words before a command that must not run as root, and must not outlive the test run."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return []
    words = [setpriv]
    if b"--pdeathsig" in subprocess.run([setpriv, "--help"], stdout=subprocess.PIPE, check=True).stdout:
        words += ["--pdeathsig", "KILL"]
    if os.getuid() == 0:
        user = known_user(user)
        words += ["--reuid", user, "--regid", _main_group(user), "--clear-groups"]
    return words if len(words) > 1 else []


def known_user(user: str) -> str:
    """The user a package made for its server, or nobody where the server was installed by hand."""
    return user if user in {entry.pw_name for entry in pwd.getpwall()} else "nobody"


def _main_group(user: str) -> str:
    done = subprocess.run(["id", "-g", user], stdout=subprocess.PIPE, check=True, universal_newlines=True)
    return done.stdout.strip()
