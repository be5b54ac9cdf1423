"""What a cluster of three nodes does to a transaction, and that nothing is lost, doubled or half done."""

import threading
import time
from typing import Any, Callable, Iterator, List

import pytest
from centre import SIGNER, Centre, jobs, message, wait_for

from apel.db import Database, Unusable, open_database
from apel.db.schema import initialise
from apel.db.store import store
from apel.db.tables import SERVER_JOBS
from apel.server.retention import Retention
from apel.server.summarise import Summariser
from apel.unloader import Receiver, Unloader
from apel.views import Selection
from apelcommon.errors import Transient
from servers.galera import Cluster

COUNT = "SELECT COUNT(*) FROM DNs"
INCREASE = "UPDATE SyncRecords SET NumberOfJobs = NumberOfJobs + 1 WHERE SiteID = %s"


@pytest.fixture
def database(galera: Cluster) -> Iterator[str]:
    """A central database; all nodes are in step at the beginning and at the end."""
    name = galera.nodes[0].new_database("server")
    initialise(open_database(galera.settings(name), "server").backend, "server")
    yield name
    for node in galera.nodes:
        wait_for(node.ready)
    galera.nodes[0].drop_database(name)


@pytest.fixture
def open_at(galera: Cluster, database: str) -> Iterator[Callable[[int], Database]]:
    """Opens the database with one node first in the list of hosts."""
    opened: List[Database] = []

    def open_there(first: int) -> Database:
        db = open_database(galera.settings(database, first), "server")
        db.first_wait = 0.05
        opened.append(db)
        return db

    yield open_there
    for db in opened:
        db.close()


def used(db: Database) -> str:
    """The address of the node a database is connected to."""
    backend: Any = db.backend
    return str(backend.servers[backend._current])


def test_nothing_that_galera_does_not_replicate(galera: Cluster) -> None:
    """Every table is InnoDB and has a primary key; the cluster may insist on it."""
    modes = "SET GLOBAL wsrep_mode = 'REQUIRED_PRIMARY_KEY,STRICT_REPLICATION'"
    before = [node.rows("", "SELECT @@GLOBAL.wsrep_mode")[0][0] for node in galera.nodes]
    for node in galera.nodes:
        node.rows("", modes)
    try:
        for schema in ("client", "server"):
            name = galera.nodes[0].new_database(schema)
            initialise(open_database(galera.settings(name), schema).backend, schema)
            bare = galera.nodes[1].rows(
                name,
                "SELECT table_name FROM information_schema.tables t WHERE table_schema = DATABASE()"
                " AND table_type = 'BASE TABLE' AND (engine <> 'InnoDB' OR NOT EXISTS (SELECT 1 FROM"
                " information_schema.statistics s WHERE s.table_schema = t.table_schema"
                " AND s.table_name = t.table_name AND s.index_name = 'PRIMARY'))",
            )
            assert bare == []
            galera.nodes[0].drop_database(name)
    finally:
        for node, mode in zip(galera.nodes, before):
            node.rows("", "SET GLOBAL wsrep_mode = %s", (mode,))


def test_a_node_dies_during_a_load(galera: Cluster, open_at: Any, tmp_path: Any) -> None:
    """D18: the next host takes over, the transaction is repeated, and the new node is kept."""
    db = open_at(0)
    centre = Centre(tmp_path, db)
    tries: List[int] = []

    def kill_once(tx: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            galera.nodes[0].kill()

    centre.load(message(jobs(10, Site="BEFORE")))
    stored = store(db, SERVER_JOBS, jobs(1000), "update", {"PublisherDN": SIGNER}, kill_once)
    assert (stored.count, stored.rejected, len(tries)) == (1000, [], 2)
    assert centre.count("JobRecords") == 1010
    taken_over = used(db)
    assert taken_over != galera.nodes[0].address
    galera.nodes[0].start()
    centre.load(message(jobs(10, Site="AFTER")))
    assert used(db) == taken_over
    assert Centre(tmp_path, open_at(0)).count("JobRecords") == 1020


def test_the_answer_to_a_commit_is_lost(galera: Cluster, open_at: Any, tmp_path: Any) -> None:
    """D18: nobody knows whether it was done; doing it again on another node changes nothing."""
    db = open_at(0)
    centre = Centre(tmp_path, db)
    # All names are known, so the next commit is that of the records.
    centre.load(message(jobs(1)))
    commit = db.backend.commit

    def commit_and_die(connection: Any) -> None:
        db.backend.commit = commit  # type: ignore[method-assign]
        commit(connection)
        galera.nodes[0].kill()
        connection.query("SELECT 1")

    db.backend.commit = commit_and_die  # type: ignore[method-assign]
    centre.load(message(jobs(500)))
    assert used(db) != galera.nodes[0].address
    assert centre.count("JobRecords") == 500
    assert centre.rejected() == []
    galera.nodes[0].start()


def test_a_node_without_quorum_is_left(galera: Cluster, open_at: Any) -> None:
    """D18: cut off in the middle of a transaction, the node answers 1047, 1180 or 1213; others take over."""
    db = open_at(0)
    node = galera.nodes[0]
    done: List[int] = []

    def work(tx: Any) -> None:
        tx.insert("DNs", ["name"], [("first",)], "ignore")
        if not done:
            node.isolate()
            done.append(1)
        tx.insert("DNs", ["name"], [("second",)], "ignore")

    try:
        db.run(work, tries=20)
        assert used(db) != node.address
        assert db.run(lambda tx: tx.value(COUNT)) == 2
        wait_for(lambda: not node.is_primary())
        assert open_at(0).run(lambda tx: tx.value(COUNT)) == 2
    finally:
        node.rejoin()
    wait_for(node.ready)
    assert node.rows(db.backend.database, COUNT) == [(2,)]  # type: ignore[attr-defined]


def test_a_frozen_node_is_given_up(galera: Cluster, database: str, open_at: Any) -> None:
    """D18: a node that says nothing at all costs a time-out, not the night."""
    settings = galera.settings(database)
    with open_database(settings, "server", read_seconds=2) as db:
        db.first_wait = 0.05
        assert db.run(lambda tx: tx.value(COUNT)) == 0
        galera.nodes[0].freeze()
        try:
            db.run(lambda tx: tx.insert("DNs", ["name"], [("x",)]), tries=20)
            assert used(db) != galera.nodes[0].address
        finally:
            galera.nodes[0].thaw()
    wait_for(galera.nodes[0].ready)
    assert open_at(0).run(lambda tx: tx.value(COUNT)) == 1


def test_conflicts_repeat_the_whole_transaction(open_at: Any) -> None:
    """1213 comes at COMMIT or at any statement before; never is half a transaction stored."""
    dbs = [open_at(number) for number in range(3)]
    row = {"SiteID": 1, "SubmitHostID": 1, "NumberOfJobs": 0, "Month": 1, "Year": 2025, "PublisherDNID": 1}
    for site in (1, 2):
        values = [tuple(dict(row, SiteID=site).values())]
        dbs[0].run(lambda tx: tx.insert("SyncRecords", list(row), values))  # noqa: B023 - run at once
    tries: List[int] = []

    def work(tx: Any) -> None:
        tries.append(1)
        tx.execute(INCREASE, (1,))
        tx.rows("SELECT 1")
        tx.execute(INCREASE, (2,))

    def writer(db: Database) -> None:
        for _ in range(60):
            db.run(work, tries=60)

    _at_once(lambda place: writer(dbs[place]), 3)
    assert dbs[0].run(lambda tx: tx.rows("SELECT NumberOfJobs FROM SyncRecords")) == [(180,), (180,)]
    assert len(tries) > 180  # or else there was no conflict, and nothing was shown


def test_new_names_met_on_three_nodes_at_once(open_at: Any) -> None:
    """D4: one row for each name and the same ids for all, though no lock reaches another node."""
    dbs = [open_at(number) for number in range(3)]
    found: List[Any] = [None] * 3

    def meet(place: int) -> None:
        found[place] = {}
        for first in range(0, 300, 30):
            names = ["name %d" % number for number in range(first, first + 30)]
            found[place].update(dbs[place].ids("DNs", names))

    _at_once(meet, 3)
    assert found[0] == found[1] == found[2]
    assert sorted(dbs[0].run(lambda tx: tx.rows("SELECT name, id FROM DNs"))) == sorted(found[0].items())


def test_what_one_node_has_committed_is_seen_on_the_others(galera: Cluster, open_at: Any) -> None:
    """A node may be behind: reads wait until it has caught up."""
    writer, reader = open_at(0), open_at(1)
    assert reader.run(lambda tx: tx.value(COUNT)) == 0
    holder = galera.nodes[1].connect()
    holder.query("FLUSH TABLES WITH READ LOCK")
    seen: List[int] = []
    try:
        writer.run(lambda tx: tx.insert("DNs", ["name"], [("new",)]))
        thread = threading.Thread(target=lambda: seen.append(reader.run(lambda tx: tx.value(COUNT))))
        thread.start()
        thread.join(0.5)
        assert seen == []
    finally:
        holder.close()
    thread.join(180)
    assert seen == [1]


def test_too_large_a_write_set_is_said_at_once(galera: Cluster, open_at: Any) -> None:
    """1180 for its size is nothing that another try cures."""
    db = open_at(0)
    tries: List[int] = []

    def work(tx: Any) -> None:
        tries.append(1)
        tx.insert("DNs", ["name"], [("name %d" % number,) for number in range(200)])

    db.run(lambda tx: tx.value(COUNT))
    galera.nodes[0].rows("", "SET GLOBAL wsrep_max_ws_rows = 100")
    try:
        with pytest.raises(Unusable):
            db.run(work)
    finally:
        galera.nodes[0].rows("", "SET GLOBAL wsrep_max_ws_rows = 0")
    assert len(tries) == 1
    db.run(work)
    assert open_at(1).run(lambda tx: tx.value(COUNT)) == 200


def test_a_message_larger_than_a_write_set_may_be(galera: Cluster, open_at: Any, tmp_path: Any) -> None:
    """It is stored in several transactions, none of which is larger than the cluster takes."""
    node = galera.nodes[0]
    before = node.rows("", "SELECT @@GLOBAL.wsrep_max_ws_size, @@GLOBAL.wsrep_max_ws_rows")[0]
    node.rows("", "SET GLOBAL wsrep_max_ws_size = 4194304, GLOBAL wsrep_max_ws_rows = 6000")
    try:
        centre = Centre(tmp_path, open_at(0))
        loader = centre.load(message(jobs(12000, FQAN="/atlas/" + "x" * 200)))
    finally:
        node.rows("", "SET GLOBAL wsrep_max_ws_size = %s, GLOBAL wsrep_max_ws_rows = %s", before)
    assert loader.tally.stored == 12000 and centre.incoming.count() == 0
    assert Centre(tmp_path, open_at(2)).count("JobRecords") == 12000


class Spool:
    """What an unloader has written; `meanwhile` is called after the first message of a run."""

    def __init__(self) -> None:
        self.texts: List[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def add(self, text: str) -> None:
        """Take a message."""
        self.texts.append(text)
        todo, self.meanwhile = self.meanwhile, lambda: None
        todo()

    def ids(self, since: int = 0) -> List[str]:
        """The ids of all jobs in the messages from that one on."""
        lines = "".join(self.texts[since:]).split("\n")
        return sorted(line.partition(": ")[2] for line in lines if line.startswith("LocalJobId: "))


def test_unloading_while_nodes_die(galera: Cluster, open_at: Any, tmp_path: Any) -> None:
    """D18, C6, C10: a node dies between two unloads, or in one: no job is missed, nor sent twice in vain."""
    centre, spool = Centre(tmp_path, open_at(0)), Spool()
    selection = Selection(interval="latest", local_jobs=True)
    unloader = Unloader(open_at(1), spool, selection, 500, receiver=Receiver("sent to the portal"))

    def pass_time(minutes: int, since_unload: int) -> None:
        """Jobs become older, and so does the last unload."""
        centre.execute("UPDATE JobRecords SET UpdateTime = UpdateTime - INTERVAL %s MINUTE", (minutes,))
        unloaded = (
            "UPDATE LastUpdated SET UpdateTime = UpdateTime - INTERVAL %s MINUTE WHERE Type LIKE 'sent%%'"
        )
        centre.execute(unloaded, (since_unload,))

    def load(copies: int, **changes: Any) -> List[str]:
        """Jobs come after the last unload, and longer ago than an unload of a cluster looks back."""
        pass_time(120, 60)
        body = message(jobs(1000, **changes))
        centre.load(*(body.replace("LocalJobId: ", "LocalJobId: %d." % copy) for copy in range(copies)))
        pass_time(30, 30)
        return sorted("%d.%d" % (copy, number) for copy in range(copies) for number in range(1000))

    def unload() -> List[str]:
        seen = len(spool.texts)
        unloader.unload("VJobRecords")
        return spool.ids(seen)

    expected = load(1)
    assert unload() == expected
    galera.nodes[1].kill()  # the one that it used
    expected = load(1, WallDuration=4000)
    assert unload() == expected
    galera.nodes[1].start()

    long_names = {name: "/" + name * 16 for name in ("FQAN", "GlobalUserName", "Queue")}
    expected = load(20, **long_names)  # more than waits on the way between server and client
    spool.meanwhile = galera.nodes[2].kill  # the one that it went to
    seen = len(spool.texts)
    with pytest.raises(Transient):
        unload()
    assert 0 < len(spool.ids(seen)) < 20000
    assert unload() == expected
    galera.nodes[2].start()
    assert unload() == []

    with open_database(galera.settings(galera.nodes[0].new_database("portal")), "server") as db:
        initialise(db.backend, "server")
        portal = Centre(tmp_path / "portal", db)
        portal.load(*spool.texts)
        assert portal.rejected() == []
        assert portal.picture()["VJobRecords"] == centre.picture()["VJobRecords"]


def test_two_summarisers_on_two_nodes(open_at: Any, tmp_path: Any) -> None:
    """The marks are claimed by whoever commits first; the sums are right, and there once."""
    dbs = [open_at(0), open_at(1)]
    centre = Centre(tmp_path, dbs[0])
    sites = ["SITE-%d" % number for number in range(12)]
    centre.load(*[message(jobs(50, Site=site)) for site in sites])
    done = [0, 0]

    def summarise(place: int) -> None:
        done[place] = Summariser(dbs[place]).run()

    _at_once(summarise, 2)
    sums = centre.rows("SELECT Site, NumberOfJobs FROM VSuperSummaries")
    assert sorted(sums) == [(site, 50) for site in sorted(sites)]
    assert sum(done) == len(sites)
    assert centre.count("ChangedMonths") == 0


def test_purging_on_one_node_and_summing_on_another(open_at: Any, tmp_path: Any) -> None:
    """Whichever comes first, the sums of purged months stay: both write the month's row, so one must wait."""
    dbs = [open_at(0), open_at(1)]
    centre = Centre(tmp_path, dbs[0])
    sites = ["SITE-%d" % number for number in range(12)]
    centre.load(*[message(jobs(50, Site=site)) for site in sites])
    centre.summarise()
    retention = Retention(dbs[0], (2025, 3), unloaded=False)
    retention.grace_seconds = 0
    assert len(retention.run().closed) == 12
    summariser = Summariser(dbs[1])
    summariser.mark(list(summariser.all_months())[:6])

    def work(place: int) -> None:
        if place:
            for _ in range(3):
                summariser.mark(summariser.all_months())
                summariser.run()
        else:
            for _ in range(5):
                retention.run()

    _at_once(work, 2)
    summariser.run()
    while retention.run().purged:
        pass
    assert centre.count("JobRecords") == 0
    assert sorted(centre.rows("SELECT Site, NumberOfJobs FROM VSuperSummaries")) == [
        (s, 50) for s in sorted(sites)
    ]


def test_rows_committed_late_on_another_node_are_unloaded(open_at: Any, tmp_path: Any) -> None:
    """C6: no lock reaches another node, and yet nothing is missed between two unloads."""
    writer, reader = open_at(0), open_at(1)
    sent: List[str] = []
    queue = type("Queue", (), {"add": lambda _, text: sent.append(text)})()

    def write_slowly(tx: Any) -> None:
        rows = SERVER_JOBS.rows(open_at(2), jobs(1, LocalJobId="late"), PublisherDN=SIGNER)
        tx.insert(SERVER_JOBS.name, SERVER_JOBS.columns, rows)
        time.sleep(2.5)
        Unloader(reader, queue, selection).unload("VJobRecords")

    selection = Selection(interval="latest")
    Centre(tmp_path, writer).load(message(jobs(1, LocalJobId="early")))
    writer.run(write_slowly)
    assert "early" in sent[0]
    assert "late" not in sent[0]
    Unloader(reader, queue, selection).unload("VJobRecords")
    assert "late" in "".join(sent[1:])


def _at_once(work: Callable[[int], None], count: int) -> None:
    """Run `work(0)`, `work(1)`, … in threads; what one raises is raised."""
    failures: List[BaseException] = []

    def guarded(place: int) -> None:
        try:
            work(place)
        except BaseException as err:
            failures.append(err)

    threads = [threading.Thread(target=guarded, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
