"""SIGTERM while others don't answer: daemons end within seconds, with status 0, and nothing is lost."""

import signal
import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, Iterator

import pytest
from centre import Installation, job, message, wait_for
from messenger import AmsEnds, Ends

from servers.ams import AmsServer
from servers.databases import fresh_database
from servers.proxy import Proxy

#: Less than the two minutes for which a loader waits for an answer; a quarter of an hour all others.
PATIENCE = 100


class Centre:
    """A centre that reaches its database through a line which may be spoilt."""

    def __init__(self, folder: Any, mariadb: Any, database: str) -> None:
        self.line = Proxy(mariadb.port)
        self.direct = Installation(folder, mariadb.options_for(database))
        text = (folder / "db.cfg").read_text()
        spoilt = text.replace("port = %s" % mariadb.port, "port = %s" % self.line.port)
        assert spoilt != text
        self.db_cfg = self.direct.write("line.cfg", spoilt)

    def start(self, program: str, *words: str) -> "subprocess.Popen[bytes]":
        code = "import sys; from apel.commands.%s import main; sys.exit(main(sys.argv[1:]))" % program
        return subprocess.Popen([sys.executable, "-c", code, "-d", self.db_cfg, *words])

    def close(self) -> None:
        self.line.close()
        self.direct.close()


@pytest.fixture
def centre(tmp_path: Any, mariadb: Any) -> Iterator[Centre]:
    for db in fresh_database("server", tmp_path, mariadb):
        made = Centre(tmp_path, mariadb, db.backend.database)  # type: ignore[attr-defined]
        yield made
        made.close()


def ends_well(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


def test_loader_is_told_to_end_while_its_database_is_mute(centre: Centre) -> None:
    """D1: in the middle of a transaction, over a line on which nothing comes any more."""
    queue = centre.direct.centre.incoming
    with centre.start("apeldbloader", "-c", centre.direct.loader_cfg) as process:
        try:
            centre.direct.centre.deliver(message([job(LocalJobId="1")]))
            wait_for(lambda: queue.count() == 0)
            centre.line.freeze()
            name = centre.direct.centre.deliver(message([job(LocalJobId="2")]))
            wait_for(lambda: not queue.lock(name) or queue.unlock(name))
            ends_well(process)
        finally:
            process.kill()
    centre.line.thaw()
    assert centre.direct.load("--once") == 0
    jobs = centre.direct.centre.rows("SELECT LocalJobId FROM JobRecords ORDER BY 1")
    assert jobs == [("1",), ("2",)] and centre.direct.centre.rejected() == []


@pytest.mark.parametrize("trouble", ["mute", "gone"])
def test_loader_is_told_to_end_while_it_can_not_connect(centre: Centre, trouble: str) -> None:
    """D1: nobody listens, or somebody who says nothing."""
    centre.direct.centre.deliver(message([job()]))
    if trouble == "mute":
        centre.line.freeze()
    else:
        centre.line.close()
    with centre.start("apeldbloader", "-c", centre.direct.loader_cfg) as process:
        try:
            wait_for(centre.direct.pidfile.exists)
            wait_for(lambda: trouble == "gone" or centre.line.accepted)
            ends_well(process)
        finally:
            process.kill()
    assert centre.direct.centre.incoming.count() == 1


def test_unloader_is_told_to_end_while_its_database_is_mute(centre: Centre, tmp_path: Any) -> None:
    """D1, C10: what it had not finished is sent by the next one."""
    centre.direct.centre.load(message([job()]))
    text = "[unloader]\ndir_location = %s\nrun_interval = 1\n[logging]\nlogfile = %s\nconsole = false\n"
    config = centre.direct.write("unloader.cfg", text % (tmp_path / "spool", tmp_path / "unloader.log"))
    with centre.start("apeldbunloader", "-c", config, "--daemon") as process:
        try:
            wait_for(lambda: (tmp_path / "unloader.log").exists())
            wait_for(lambda: "1 messages with 1 records" in (tmp_path / "unloader.log").read_text())
            centre.line.freeze()
            centre.direct.centre.load(message([job(LocalJobId="late")]))
            seen = centre.line.accepted
            wait_for(lambda: centre.line.accepted > seen)
            ends_well(process)
        finally:
            process.kill()
    assert "has ended" in (tmp_path / "unloader.log").read_text()


def test_receiver_is_told_to_end_while_ams_is_mute(pki: Any, tmp_path: Any) -> None:
    """S8: what it would have pulled comes again."""
    server = AmsServer(pki)
    server.start()
    ends = AmsEnds(server, pki, str(tmp_path))
    server.fault("pull", seconds=120)
    receiver = ends.start_receiver()
    try:
        wait_for(lambda: not server.faults)
        texts = ends.fill(1)
        ends.send()
        ends_well(receiver)
        assert ends.receive(idle=0.3, texts=texts) == (1, 0)
        assert [message["body"] for message in ends.arrived()] == texts
    finally:
        receiver.kill()
        receiver.wait()
        server.close()


def test_receiver_is_told_to_end_while_its_broker_is_mute(pki: Any, tmp_path: Any) -> None:
    """S8: somebody takes the connection and says nothing, no TLS, no STOMP; all tries take three minutes."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(20)
        broker = SimpleNamespace(host="127.0.0.1", port=0, tls_port=mute.getsockname()[1])
        ends = Ends(broker, pki, str(tmp_path))
        receiver = ends.start_receiver()
        try:
            mute.settimeout(180)
            line, _ = mute.accept()
            receiver.send_signal(signal.SIGTERM)
            assert receiver.wait(PATIENCE) == 0
            line.close()
        finally:
            receiver.kill()
            receiver.wait()
