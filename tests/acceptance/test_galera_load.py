"""Three loaders on three nodes of a cluster that are killed, frozen and cut off store what was sent to them.

200 000 records in 2 000 messages; APEL_TEST_GALERA_PER_MESSAGE=1000 makes it two million.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import pytest
from centre import Centre, Installation, jobs, message, summary, wait_for

from apel.db import Database, open_database
from apel.db.schema import initialise
from apel.records import SyncRecord
from apel.server.summarise import Summariser
from servers.databases import mariadb_settings
from servers.galera import Cluster, Node
from servers.mariadb import MariaDB
from servers.process import private_folder

MESSAGES = 2000
PER_MESSAGE = int(os.environ.get("APEL_TEST_GALERA_PER_MESSAGE", "100"))
SITES = 20
#: Of so many messages of a site one corrects the one before it, and one each is of sums and of counts.
TURN = 10
VIEWS = ("VJobRecords", "VSummaries", "VSyncRecords", "VSuperSummaries", "VNormalisedSuperSummaries")
PUBLISHERS = (
    "SELECT name, COUNT(*) FROM JobRecords JOIN DNs ON id = PublisherDNID GROUP BY name ORDER BY name"
)
NAMES = ("Sites", "DNs", "SubmitHosts", "MachineNames", "Queues", "VOs", "VOGroups", "VORoles")


@pytest.fixture
def spool() -> Iterator[str]:
    """A directory for queues, where syncing costs nothing."""
    folder = private_folder("spool")
    yield folder
    shutil.rmtree(folder)


def element(number: int) -> Tuple[str, str]:
    """Body and signer of a message: in turn of each site, jobs, corrections, sums and counts."""
    site, turn = number % SITES, number // SITES
    name = "SITE-%02d" % site
    if turn % TURN == 8:
        records = [
            summary(Site=name, VO="vo%d" % vo, WallDuration=turn, NumberOfJobs=turn + 1) for vo in range(20)
        ]
        body = message(records, "summary v0.2")
    elif turn % TURN == 9:
        counts = [
            SyncRecord.of(Site=name, SubmitHost="ce", NumberOfJobs=turn, Month=month, Year=2025)
            for month in range(1, 13)
        ]
        body = message(counts, "sync v0.1")
    else:
        corrected = turn - 1 if turn % TURN == 1 else turn
        body = message(jobs(PER_MESSAGE, Site=name, Queue="q%d" % corrected, WallDuration=turn))
        body = body.replace("LocalJobId: ", "LocalJobId: %d." % corrected)
    return body, "/DC=org/DC=example/CN=%s" % name.lower()


def deliver(centre: Centre, numbers: Sequence[int]) -> None:
    """Put messages into the queue."""
    for number in numbers:
        body, signer = element(number)
        centre.deliver(body, signer=signer)


# -- what happens to the nodes ----------------------------------------------------------------------------


def killed(node: Node) -> Callable[[], None]:
    """kill -9; what brings it back."""
    node.kill()
    return node.start


def cut_off(node: Node) -> Callable[[], None]:
    """No way to the others, but clients still reach it."""
    node.isolate()

    def bring_back() -> None:
        wait_for(lambda: not node.is_primary())
        node.rejoin()

    return bring_back


def frozen(node: Node) -> Callable[[], None]:
    """It keeps its connections and says nothing."""
    node.freeze()

    def bring_back() -> None:
        time.sleep(5)
        node.thaw()

    return bring_back


def all_killed(node: Node) -> Callable[[], None]:
    """No node is left; they find each other again when all are up."""
    node.cluster.kill()
    return node.cluster.start_again


DAYS: Sequence[Tuple[Callable[[Node], Callable[[], None]], int]] = (
    (killed, 0),
    (cut_off, 1),
    (frozen, 2),
    (all_killed, 0),
    (killed, 1),
)


@contextlib.contextmanager
def held_up(processes: Sequence["subprocess.Popen[bytes]"]) -> Iterator[None]:
    """Processes do nothing meanwhile."""
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    yield
    for process in processes:
        process.send_signal(signal.SIGCONT)


def load_on_bad_days(
    centre: Centre, cluster: Cluster, processes: Sequence["subprocess.Popen[bytes]"]
) -> None:
    """Deliver a part of the messages before each bad day, which comes as soon as some of them are loaded."""
    share = MESSAGES // len(DAYS) + 1
    in_the_middle = []
    for number, (day, place) in enumerate(DAYS):
        with held_up(processes):
            deliver(centre, range(number * share, min(MESSAGES, (number + 1) * share)))
            waiting = centre.incoming.count()
        wait_for(lambda before=waiting: centre.incoming.count() < before - 20, poll=0.01)  # type: ignore[misc]
        bring_back = day(cluster.nodes[place])
        in_the_middle += [day.__name__] if centre.incoming.count() else []
        bring_back()
        for node in cluster.nodes:
            wait_for(node.ready)
    wait_for(lambda: centre.incoming.count() == 0, 600)
    # Each of them, unless this process stood still while the loaders went on.
    assert len(in_the_middle) >= 3, "all was loaded before most of the bad days"


# -- what is compared -------------------------------------------------------------------------------------


def picture(db: Database) -> Dict[str, Any]:
    """Of every view its rows, as a count and a sum of checksums without UpdateTime; publishers; names."""

    def read(tx: Any) -> Dict[str, Any]:
        found = {view: tx.row(_checksum(tx, view)) for view in VIEWS}
        found["publishers"] = tx.rows(PUBLISHERS)
        found.update({table: tx.rows("SELECT name FROM %s ORDER BY name" % table) for table in NAMES})
        found["marks"] = tx.value("SELECT COUNT(*) FROM ChangedMonths")
        return found

    return db.run(read)


def _checksum(tx: Any, view: str) -> str:
    columns = [row[0] for row in tx.rows("SHOW COLUMNS FROM %s" % view) if row[0] != "UpdateTime"]
    text = "CONCAT_WS('|', %s)" % ", ".join("IFNULL(%s, 'NULL')" % column for column in columns)
    return "SELECT COUNT(*), SUM(CAST(CONV(LEFT(MD5(%s), 14), 16, 10) AS UNSIGNED)) FROM %s" % (text, view)


def loaded_by_one(mariadb: MariaDB, folder: str) -> Dict[str, Any]:
    """What one loader makes of the same messages, in order, on one server."""
    settings = mariadb_settings(mariadb, mariadb.new_database("single"))
    with open_database(settings, "server") as db:
        initialise(db.backend, "server")
        centre = Centre(folder, db)
        deliver(centre, range(MESSAGES))
        loader = centre.loader()
        assert loader.step() == MESSAGES
        assert loader.tally.rejected == 0
        Summariser(db).run()
        return picture(db)


def loaders(cluster: Cluster, database: str, folder: Any, spool: str) -> List[Installation]:
    """Three centres with one queue and one database; each has another node first in its list."""
    os.mkdir(spool)
    made = []
    for number in range(3):
        here = folder / ("loader%d" % number)
        here.mkdir()
        (here / "spool").symlink_to(spool)
        settings = vars(cluster.settings(database, number))
        options = dict(settings, hostname=", ".join(settings["hostname"]), port=str(settings["port"]))
        made.append(Installation(here, options))
    return made


def test_three_loaders_while_nodes_die(galera: Cluster, mariadb: MariaDB, tmp_path: Any, spool: str) -> None:
    """D18, D1: no record is lost, doubled or refused, no loader ends, and every node holds the same."""
    database = galera.nodes[0].new_database("load")
    initialise(open_database(galera.settings(database), "server").backend, "server")
    made = loaders(galera, database, tmp_path, os.path.join(spool, "cluster"))
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(each.running_loader()) for each in made]
        load_on_bad_days(made[0].centre, galera, processes)
        assert [process.poll() for process in processes] == [None] * 3
        for process in processes:
            process.terminate()
        assert [process.wait(180) for process in processes] == [0] * 3
    assert made[0].centre.rejected() == []
    for each in made:
        assert "Traceback" not in each.log()
        each.close()
    with open_database(galera.settings(database, 1), "server") as db:
        Summariser(db).run()
    expected = loaded_by_one(mariadb, os.path.join(spool, "single"))
    assert expected["VJobRecords"][0] == MESSAGES * 7 // 10 * PER_MESSAGE
    for number in range(3):
        settings = galera.settings(database, number)
        settings.hostname = settings.hostname[:1]
        with open_database(settings, "server") as db:
            found = picture(db)
        for what, value in expected.items():
            assert found[what] == value, "%s on node %d" % (what, number)
