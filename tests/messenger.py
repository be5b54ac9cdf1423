"""Both ends of the messenger on one queue of a real broker, as tests of several kinds use them."""

import itertools
import os
import subprocess
import sys
import time
from unittest import mock

from apelcommon.daemon import Stop
from servers.pki import slash_dn
from ssm.dnlist import DnList
from ssm.options import RECEIVER, SENDER
from ssm.queues import INCOMING, REJECT, MessageQueue, OutgoingQueue
from ssm.receiver import Received, receive
from ssm.sender import send_queue

numbers = itertools.count(1)
#: Seconds to wait for what is sure to come: only a failure ever waits so long.
PATIENCE = 180.0


class Ends:
    """A sender and a receiver on one queue of a broker, each with a folder of its own."""

    protocol = "STOMP"

    def __init__(self, broker, pki, folder):
        self.broker, self.pki, self.folder = broker, pki, folder
        self.host = "host%d.example.org" % next(numbers)
        self.certificate, self.key = pki.issue(self.host)
        self.destination = "/queue/test.%d.%d" % (os.getpid(), next(numbers))
        self.outgoing = OutgoingQueue(os.path.join(folder, "outgoing"))
        self.base = os.path.join(folder, "centre")
        self.dns = os.path.join(folder, "dns")
        with open(self.dns, "w") as stream:
            stream.write(slash_dn(self.certificate) + "\n")

    def options(self, **changes):
        options = {
            "broker.host": self.broker.host,
            "broker.port": getattr(self.broker, "tls_port", None),
            "broker.connect_timeout": 60.0,
            "certificates.certificate": self.certificate,
            "certificates.key": self.key,
            "certificates.capath": self.pki.ca_dir,
            "messaging.destination": self.destination,
        }
        options.update({name.replace("__", "."): value for name, value in changes.items()})
        return options

    def sender(self, **changes):
        changes.setdefault("messaging__receipt_timeout", 60.0)
        options = self.options(messaging__path=self.outgoing.path, sender__protocol=self.protocol, **changes)
        return SENDER.defaults(options)

    def receiver(self, **changes):
        options = self.options(messaging__path=self.base, receiver__protocol=self.protocol, **changes)
        return RECEIVER.defaults(options)

    def send(self, **changes):
        return send_queue(self.sender(**changes))

    def send_from(self, queue, **changes):
        """Send from a queue object of the test's own."""
        with mock.patch("ssm.sender.open_outgoing", lambda path, kind: queue):
            return self.send(**changes)

    def receive(self, idle=1.0, texts=(), rejected=0, **changes):
        """Receive until nothing comes any more; and, of a broker that is slow, until these have come."""
        done = Received(0, 0)
        end = time.monotonic() + PATIENCE
        while True:
            run = receive(self.receiver(**changes), self.names(), Stop(), idle)
            done = Received(done.accepted + run.accepted, done.rejected + run.rejected)
            have = {message["body"] for message in self.arrived()}
            if (have >= set(texts) and done.rejected >= rejected) or time.monotonic() > end:
                return done

    def names(self):
        """Whose messages are accepted."""
        return DnList(self.dns)

    def fill(self, count, size=200):
        texts = ["message %d of %d é\n%s" % (next(numbers), count, "x" * size) for _ in range(count)]
        for text in texts:
            self.outgoing.add(text)
        return texts

    def arrived(self):
        queue = MessageQueue(os.path.join(self.base, "incoming"), INCOMING)
        return [queue.get(element) for element in queue.ids()]

    def rejected(self):
        queue = MessageQueue(os.path.join(self.base, "reject"), REJECT)
        return [queue.get(element) for element in queue.ids()]

    def write_receiver_config(self, **changes):
        options = self.options(messaging__path=self.base, **changes)
        return self._write_config("receiver", {"receiver.protocol": self.protocol, **options})

    def write_sender_config(self, **changes):
        options = self.options(messaging__path=self.outgoing.path, **changes)
        return self._write_config("sender", {"sender.protocol": self.protocol, **options})

    def _write_config(self, name, options):
        path = os.path.join(self.folder, name + ".cfg")
        options = {**options, "logging.logfile": os.path.join(self.folder, name + ".log")}
        sections = {}
        for key, value in options.items():
            section, option = key.split(".")
            sections.setdefault(section, []).append("%s = %s\n" % (option, value))
        with open(path, "w") as stream:
            for section, lines in sections.items():
                stream.write("[%s]\n%s" % (section, "".join(lines)))
        return path

    def start_receiver(self, before=""):
        command = (
            before + "import sys; from ssm.commands.ssmreceive import main; sys.exit(main(sys.argv[1:]))"
        )
        words = [sys.executable, "-W", "ignore", "-c", command]
        return subprocess.Popen([*words, "-c", self.write_receiver_config(), "-d", self.dns])


def eventually(ready, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(0.05)
    return bool(ready())


class AmsEnds(Ends):
    """The same on a topic of an AMS and the subscription to it, with a token for the certificate."""

    protocol = "AMS"

    def __init__(self, server, pki, folder):
        super().__init__(server, pki, folder)
        self.destination = "topic%d" % next(numbers)
        server.make(self.destination)
        server.allow(self.host)

    def options(self, **changes):
        options = {
            "broker.port": self.broker.port,
            "broker.authn_port": self.broker.authn_port,
            **{name.replace("__", "."): value for name, value in changes.items()},
        }
        return {**super().options(), **options}


def kinds(server, kind):
    """The statuses that an AMS has answered calls of a kind with."""
    return [status for call, status in server.calls if call == kind]


def bodies(ends):
    """What has arrived."""
    return [message["body"] for message in ends.arrived()]
