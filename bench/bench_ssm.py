"""Messages of 600 kB to and from a broker, signed, verified and synced: beside the transport alone.

The broker works on the same machine and often takes longer than we do, so two rates are told: by the clock,
and by the processor time of our own process, which is what one core could do.
"""

import contextlib
import multiprocessing
import os
import pathlib
import shutil
import sys
import tempfile
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple

from bench.common import Rate, report
from ssm.credentials import Credentials, load_credentials
from ssm.options import RECEIVER, SENDER
from ssm.receiver import Receiver
from ssm.transport import Transport, open_transport
from ssm.trust import TrustStore

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))
from servers.activemq import ActiveMQ
from servers.ams import AmsServer
from servers.pki import PKI

SIZE, COUNT, REPEAT = 600000, 100, 2
AIM = 100
RECORD = b"Site: EXAMPLE-NORTH\nLocalJobId: 7731204\nWallDuration: 3600\nCpuDuration: 3500\n%%\n"


class Bench:
    """One way for messages, with a topic or queue of the name `bench`."""

    def __init__(self, pki: PKI, folder: str, protocol: str, options: Any) -> None:
        certificate, key = pki.issue("bench.example.org")
        self.own: Credentials = load_credentials(certificate, key)
        self.trust = TrustStore(pki.ca_dir)
        self.folder = folder
        self.protocol = protocol
        self.options = {
            "broker.host": "localhost",
            "certificates.certificate": certificate,
            "certificates.key": key,
            "certificates.capath": pki.ca_dir,
            "messaging.destination": "bench",
            **options,
        }
        self.text = (RECORD * (SIZE // len(RECORD) + 1))[:SIZE]
        self.signed = self.own.signer().sign(self.text)
        self.receiver = Receiver(os.path.join(folder, "spool"), self.trust, frozenset([self.own.name]))

    @contextlib.contextmanager
    def line(self, table: Any, role: str) -> Iterator[Transport]:
        transport = open_transport(
            self.protocol, table.defaults({role + ".protocol": self.protocol, **self.options})
        )
        transport.connect()
        try:
            yield transport
        finally:
            transport.close()

    def send(self, seal: Callable[[], bytes]) -> None:
        with self.line(SENDER, "sender") as transport:
            waiting: List[str] = []
            for number in range(COUNT):
                transport.send("%d" % number, seal())
                waiting.append("%d" % number)
                while len(waiting) >= 16 or (waiting and number == COUNT - 1):
                    for identifier in transport.confirmed(10):
                        waiting.remove(identifier)

    def receive(self, take: Callable[[Any], None]) -> None:
        with self.line(RECEIVER, "receiver") as transport:
            for _ in range(COUNT):
                delivery = transport.receive(20)
                if delivery is None:
                    raise SystemExit("the broker gave fewer messages than it took")
                take(delivery)
                transport.acknowledge(delivery)

    def run(self, name: str) -> None:
        """Send and receive, alone and with all that belongs to it."""
        signer = self.own.signer()
        steps: Dict[str, Tuple[Callable[[], None], Callable[[], None]]] = {
            "sign, send": (
                lambda: self.send(lambda: self.signed),
                lambda: self.send(lambda: signer.sign(self.text)),
            ),
            "receive, verify, sync": (
                lambda: self.receive(lambda delivery: None),
                lambda: self.receive(self.receiver.take),
            ),
        }
        measured: Dict[str, List[Both]] = {}
        for _ in range(REPEAT):
            for which in (0, 1):
                for what, works in steps.items():
                    measured.setdefault("%s %d" % (what, which), []).append(timed(works[which]))
        if self.receiver.result() != (REPEAT * COUNT, 0):
            raise SystemExit("what arrives is not what was sent")
        for what in steps:
            alone, whole = (best(measured["%s %d" % (what, which)]) for which in (0, 1))
            report("%s, %s" % (name, what), whole.clock, "transport alone", alone.clock)
            report("… on one core", whole.core, "transport alone", alone.core, AIM)


class Both(NamedTuple):
    """A rate by the clock, and by the processor time of this process."""

    clock: Rate
    core: Rate


def timed(work: Callable[[], None]) -> Both:
    began, used = time.perf_counter(), time.process_time()
    work()
    return Both(Rate(COUNT, time.perf_counter() - began), Rate(COUNT, time.process_time() - used))


def best(rates: List[Both]) -> Both:
    return Both(*(max(each, key=lambda rate: rate.per_second) for each in zip(*rates)))


def serve_ams(server: AmsServer, ready: Any) -> None:
    server.start()
    ready.set()
    multiprocessing.Event().wait()


def over_ams(pki: PKI, folder: str) -> None:
    """The server in a process of its own, as in life."""
    server = AmsServer(pki)
    server.make("bench")
    ready = multiprocessing.Event()
    process = multiprocessing.Process(target=serve_ams, args=(server, ready), daemon=True)
    process.start()
    try:
        ready.wait(20)
        on_one_core()
        options = {
            "broker.port": server.port,
            "broker.authn_port": server.authn_port,
            "messaging.token": "secret",
        }
        Bench(pki, os.path.join(folder, "ams"), "AMS", options).run("AMS")
    finally:
        process.terminate()
        process.join()


def over_stomp(pki: PKI, folder: str) -> None:
    server = ActiveMQ(pki)
    try:
        server.start()
        on_one_core()
        options = {"broker.port": server.tls_port}
        Bench(pki, os.path.join(folder, "stomp"), "STOMP", options).run("STOMP")
    finally:
        server.close()


def on_one_core() -> None:
    """This process on one core; servers that were started before keep theirs."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main() -> None:
    folder = tempfile.mkdtemp(prefix="bench-ssm-")
    cores = os.sched_getaffinity(0)
    try:
        pki = PKI(os.path.join(folder, "pki"))
        over_ams(pki, folder)
        os.sched_setaffinity(0, cores)
        over_stomp(pki, folder)
    finally:
        os.sched_setaffinity(0, cores)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
