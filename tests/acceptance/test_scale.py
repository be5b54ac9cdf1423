"""A million jobs through the centre: every sum is right, and no program's memory grows with them.

APEL_TEST_SCALE_RECORDS=10000000 makes it ten million (an hour, 8 GB in the folder of MariaDB).
"""

import contextlib
import os
import shutil
from typing import Any, Iterator, List

import pytest
from centre import Centre, Installation, job, message, wait_for
from scale import PER_MESSAGE, SITES, Measured, deliveries, run_python, truth

from apel.db.schema import initialise
from servers.mariadb import MariaDB
from servers.process import private_folder

MESSAGES = int(os.environ.get("APEL_TEST_SCALE_RECORDS", "1000000")) // PER_MESSAGE
MOST_MEBIBYTES = 150
WAITING_AT_MOST = 60
SUMS = (
    "SELECT Site, VO, SUM(NumberOfJobs), SUM(WallDuration), SUM(CpuDuration) FROM VSuperSummaries"
    " GROUP BY Site, VO"
)
STAMPS = (
    "SELECT Site, Month, COUNT(*), CAST(MAX(UpdateTime) AS CHAR) FROM VSuperSummaries GROUP BY Site, Month"
)
UNLOAD = """
import sys
from apel.commands.server_config import DB_TABLE
from apel.db import open_database
from apel.unloader import Unloader
from apel.views import Selection

class Spool:
    records = 0
    def add(self, text):
        self.records += text.count("LocalJobId: ")

spool = Spool()
with open_database(DB_TABLE.read(sys.argv[1]).db, "server") as db:
    Unloader(db, spool, Selection(interval="latest", local_jobs=True)).unload("VJobRecords")
with open(sys.argv[2], "w") as stream:
    stream.write(str(spool.records))
"""


@pytest.fixture(scope="module")
def large() -> Iterator[MariaDB]:
    """A server with some memory."""
    server = MariaDB(options=["--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M"])
    server.start()
    yield server
    server.close()


@pytest.fixture
def centre(large: MariaDB, tmp_path: Any) -> Iterator[Installation]:
    """A centre whose queues are in memory."""
    spool = private_folder("scale")
    (tmp_path / "spool").symlink_to(spool)
    found = Installation(tmp_path, large.options_for(large.new_database("scale")))
    initialise(found.db.backend, "server")
    yield found
    found.close()
    shutil.rmtree(spool)


def load_all(files: Installation) -> List[float]:
    """Two loaders load all messages, delivered as they go; the most memory that each held, in MiB."""
    second = files.write(
        "loader2.cfg",
        (files.folder / "loader.cfg").read_text().replace("%s\n" % files.pidfile, "%s2\n" % files.pidfile),
    )
    loaders = [Measured(files.loader_command(*words)[2]) for words in ((), ("-c", second))]
    processes = [loader.process for loader in loaders]
    with contextlib.ExitStack() as stack:
        for process in processes:
            stack.callback(process.kill)
        for number, delivery in enumerate(deliveries(MESSAGES)):
            files.centre.deliver(delivery.body, signer=delivery.signer)
            if number % 20 == 0:
                wait_for(lambda: files.centre.incoming.count() < WAITING_AT_MOST, 900)
        wait_for(lambda: files.centre.incoming.count() == 0, 900)
        assert [process.poll() for process in processes] == [None, None]
        for process in processes:
            process.terminate()
        ended = [loader.finish() for loader in loaders]
    assert [ran.status for ran in ended] == [0, 0]
    return [ran.mebibytes for ran in ended]


def summarise(files: Installation) -> float:
    """Run apelsummariser in a process of its own; the most memory it held, in MiB."""
    code = "import sys; from apel.commands.apelsummariser import main; sys.exit(main(sys.argv[1:]))"
    ran = run_python(code, ["-d", files.db_cfg, "-c", files.summariser_cfg])
    assert ran.status == 0
    return ran.mebibytes


def unload(files: Installation) -> Any:
    """Unload the jobs that are new; how many they were, and the most memory held, in MiB."""
    counted = files.folder / "unloaded"
    ran = run_python(UNLOAD, [files.db_cfg, str(counted)])
    assert ran.status == 0
    return int(counted.read_text()), ran.mebibytes


def sums(centre: Centre) -> Any:
    """What the sums say, as truth() has it."""
    return {(site, vo): (int(jobs), int(wall), int(cpu)) for site, vo, jobs, wall, cpu in centre.rows(SUMS)}


def test_a_million_jobs(centre: Installation) -> None:
    """All are stored, summed and unloaded once, in flat memory; then only what changes is worked on."""
    memory = load_all(centre)
    assert centre.centre.rejected() == []
    assert centre.centre.count("JobRecords") == MESSAGES * PER_MESSAGE
    memory.append(summarise(centre))
    assert sums(centre.centre) == truth(MESSAGES)
    count, held = unload(centre)
    assert count == MESSAGES * PER_MESSAGE
    memory.append(held)

    before = centre.centre.rows(STAMPS)
    memory.append(summarise(centre))
    assert centre.centre.rows(STAMPS) == before
    centre.centre.load(message([job(Site="SCALE-03", LocalJobId="new")]))
    centre.centre.execute("UPDATE HybridSuperSummaries SET UpdateTime = '2025-01-01 00:00:00'")
    memory.append(summarise(centre))
    made = [row[:2] for row in centre.centre.rows(STAMPS) if row[3] > "2025-01-02"]
    assert made == [("SCALE-03", 3)]
    count, held = unload(centre)
    assert 1 <= count <= 2 * PER_MESSAGE  # the new one, and those of the second of the last unload
    memory.append(held)
    assert min(memory) > 10
    assert max(memory) < MOST_MEBIBYTES, memory
    assert len(sums(centre.centre)) == SITES * 5
