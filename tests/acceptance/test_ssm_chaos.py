"""S6 to S9 all at once: 2 000 messages, and everything between their queue and `incoming` fails now and then.

Brokers restart or are killed, lines are cut, frozen, delayed and half-closed, senders and receivers are
killed, the disk is full. Beside the processes that are killed run others that are not: these must never end
by themselves. APEL_TEST_CHAOS_MESSAGES and APEL_TEST_CHAOS_SEED change how many messages there are, and what
happens when.
"""

import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest
from messenger import AmsEnds, Ends, eventually

from servers.activemq import ActiveMQ
from servers.ams import AmsServer
from servers.proxy import Proxy
from servers.rabbitmq import RabbitMQ

COUNT = int(os.environ.get("APEL_TEST_CHAOS_MESSAGES", "2000"))
SEED = int(os.environ.get("APEL_TEST_CHAOS_SEED", "20261127"))
PATIENCE = 600.0
DISK_MB = 96
RUN = "import sys; from ssm.commands.%s import main; sys.exit(main(sys.argv[1:]))"


class Disk:
    """A small file system in memory for what the centre stores; without root, a folder that is never full."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="apel-chaos-")
        mount = ["mount", "-t", "tmpfs", "-o", "size=%dm" % DISK_MB, "tmpfs", self.path]
        done = subprocess.run(mount, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.is_small = done.returncode == 0

    def fill(self):
        """Leave no room at all; unbuffered: what a buffer still holds would fail again when it is closed."""
        with open(os.path.join(self.path, "filler"), "wb", buffering=0) as stream:
            try:
                while stream.write(b"x" * 65536):
                    pass
            except OSError as err:
                assert err.errno == errno.ENOSPC

    def free(self):
        """Give the room back."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.path, "filler"))

    def close(self):
        if self.is_small:
            subprocess.run(["umount", "-l", self.path], check=True)
        shutil.rmtree(self.path, ignore_errors=True)


class Process:
    """ssmsend or ssmreceive, running for ever."""

    def __init__(self, module, folder, *words):
        self.command = [sys.executable, "-W", "ignore", "-c", RUN % module, *words]
        self.output = os.path.join(folder, "%s-%d.out" % (module, random.randrange(10**9)))
        self.start()

    def start(self):
        with open(self.output, "ab") as stream:
            self.process = subprocess.Popen(self.command, stdout=stream, stderr=stream)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        """Ask it to end; its exit status, or None if it had ended by itself."""
        if self.process.poll() is not None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(180)
        finally:
            self.kill()

    def said(self):
        with open(self.output, errors="replace") as stream:
            return "".join(stream.readlines()[-5:])


class Chaos:
    """One broker, a line to it, and at each end a process that is killed now and then, and one that isn't."""

    def __init__(self, broker, ends, proxy, disk):
        self.broker, self.ends, self.proxy, self.disk = broker, ends, proxy, disk
        self.ends.base = os.path.join(disk.path, "centre")
        way = {"broker__port": proxy.port, "broker__connect_timeout": 5.0, "broker__heart_beat": 1.0}
        sender = ends.write_sender_config(daemon__interval=1.0, messaging__receipt_timeout=5.0, **way)
        receiver = ends.write_receiver_config(**way)
        sending = ("ssmsend", ends.folder, "-c", sender, "--daemon")
        receiving = ("ssmreceive", ends.folder, "-c", receiver, "-d", ends.dns)
        self.steady = [Process(*sending), Process(*receiving)]
        self.victims = [Process(*sending), Process(*receiving)]
        self.random = random.Random(SEED)

    def actions(self):
        """What happens, in an order by chance."""
        found = [
            self.proxy.cut,
            self.proxy.cut,
            self.proxy.half_close,
            self.freeze,
            self.delay,
            lambda: self.kill(0),
            lambda: self.kill(1),
            lambda: self.kill(1),
            self.more_trouble,
        ]
        found += [self.full_disk] if self.disk.is_small else []
        found = [self.restart, self.crash, *found, *found]
        self.random.shuffle(found)
        return found

    def restart(self):
        self.broker.stop()
        time.sleep(1.0)
        self.broker.start()

    def crash(self):
        (getattr(self.broker, "kill", None) or self.broker.stop)()
        self.broker.start()

    def freeze(self):
        self.proxy.freeze()
        time.sleep(3.0)
        self.proxy.thaw()

    def delay(self):
        self.proxy.delay = 0.05
        time.sleep(2.0)
        self.proxy.delay = 0.0

    def full_disk(self):
        self.disk.fill()
        time.sleep(3.0)
        self.disk.free()

    def kill(self, which):
        self.victims[which].kill()
        time.sleep(self.random.random())
        self.victims[which].start()

    def more_trouble(self):
        """What only AMS can do: errors, and answers that are lost after the deed."""
        if isinstance(self.broker, AmsServer):
            for call in ("publish", "pull", "acknowledge"):
                for fault in (
                    {"code": 503},
                    {"code": 429},
                    {"code": 500, "after": True},
                    {"raw": b"", "after": True},
                ):
                    self.broker.fault(call, **fault)
            self.broker.expire_tokens()

    def bodies(self):
        return {message["body"] for message in self.ends.arrived()}

    def logs(self):
        """The ends of all logs, for a message."""
        found = [process.said() for process in self.steady]
        for name in ("sender.log", "receiver.log"):
            with open(os.path.join(self.ends.folder, name), errors="replace") as stream:
                found.append("".join(stream.readlines()[-30:]))
        return "\n".join(found)

    def close(self):
        for process in self.steady + self.victims:
            process.kill()


def start_activemq(pki):
    server = ActiveMQ(pki)
    server.start()
    return server, server.tls_port, Ends


def start_rabbitmq(pki):
    server = RabbitMQ(pki)
    server.start()
    return server, server.tls_port, Ends


def start_ams(pki):
    server = AmsServer(pki)
    server.start()
    return server, server.port, AmsEnds


@pytest.fixture
def disk():
    made = Disk()
    yield made
    made.close()


@pytest.fixture(
    params=[
        pytest.param(start_activemq, marks=pytest.mark.server),
        pytest.param(start_rabbitmq, marks=pytest.mark.server),
        start_ams,
    ],
    ids=["activemq", "rabbitmq", "ams"],
)
def chaos(request, pki, disk, tmp_path):
    with contextlib.ExitStack() as stack:
        broker, port, kind = request.param(pki)
        stack.callback(broker.close)
        proxy = Proxy(port)
        stack.callback(proxy.close)
        ends = kind(broker, pki, str(tmp_path))
        if isinstance(broker, RabbitMQ):
            broker.allow(ends.host)
        made = Chaos(broker, ends, proxy, disk)
        stack.callback(made.close)
        yield made


def test_everything_fails_and_every_message_arrives_whole(chaos):
    """S6 to S9: at least once, none lost, and nobody ended who was not killed."""
    actions = chaos.actions()
    texts = []
    share = COUNT // len(actions) + 1
    for action in actions:
        texts += chaos.ends.fill(min(share, COUNT - len(texts)), size=random.randrange(100, 3000))
        action()
        time.sleep(0.3)
    assert len(texts) == COUNT
    wanted = set(texts)
    arrived = eventually(lambda: chaos.ends.outgoing.count() == 0 and wanted <= chaos.bodies(), PATIENCE)
    missing, waiting = len(wanted - chaos.bodies()), chaos.ends.outgoing.count()
    assert arrived, "%d are missing, %d wait; %s" % (missing, waiting, chaos.logs())
    assert chaos.bodies() == wanted, "nothing else, and nothing half"
    assert chaos.ends.rejected() == []
    assert not os.path.exists(os.path.join(chaos.ends.outgoing.path, "failed"))
    assert [process.end() for process in chaos.steady] == [0, 0], chaos.logs()
