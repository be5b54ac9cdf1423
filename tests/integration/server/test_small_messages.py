"""Small messages are stored together, and what becomes of each is what became of it alone."""

import contextlib
import errno
import itertools
from typing import Any, Callable, Iterator, List

import pytest
from central_records import cloud, snapshot, star, vm
from centre import MARCH, SIGNER, Centre, Installation, job, jobs, message, refuse_13_cores, summary, sync

from apel.db.errors import Conflict, Lost, Unusable
from apel.db.schema import initialise
from apel.server import deliveries
from apel.server.closed import CLOSED
from apel.server.retention import COLUMNS
from apel.server.site_rights import ENFORCE, SiteRights
from apelcommon.daemon import Stop
from apelcommon.errors import Transient
from ssm.dn import canonical
from ssm.errors import StorageError

OTHER = "/DC=org/DC=example/CN=other"
COUNT = 16


def one_job(name: Any, **changes: Any) -> str:
    """A message of one job."""
    return message([job(LocalJobId=str(name), **changes)])


def walls(centre: Centre) -> List[Any]:
    """All jobs with their wall times."""
    return centre.rows("SELECT LocalJobId, WallDuration FROM JobRecords ORDER BY 1")


@pytest.fixture(autouse=True)
def _nothing_synced(monkeypatch: Any) -> None:
    """It isn't the disk that is tested."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def commits(centre: Centre, monkeypatch: Any) -> List[int]:
    """One for each transaction that is committed."""
    done: List[int] = []
    commit = centre.db.backend.commit

    def counting(connection: Any) -> None:
        commit(connection)
        done.append(1)

    monkeypatch.setattr(centre.db.backend, "commit", counting)
    return done


@contextlib.contextmanager
def broken(queue: Any, method: str, fails: Callable[[Any], bool], err: Exception) -> Iterator[None]:
    """A method of a queue raises for some arguments."""
    works = getattr(queue, method)

    def failing(given: Any) -> Any:
        if fails(given):
            raise err
        return works(given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, method, failing)
        yield


# -- together -----------------------------------------------------------------------------------------------


def test_small_messages_are_one_transaction_of_few_statements(centre: Centre, commits: List[int]) -> None:
    """Of several signers, formats and kinds: each publisher, outcome and line of the log as alone."""
    centre.load(one_job("first"), message([summary()], "summary v0.2"), sync(1))
    for number in range(COUNT):
        centre.deliver(one_job(number), signer=(SIGNER, OTHER)[number % 2])
        centre.deliver(message([summary(VO="vo%d" % number)], "summary v0.4"))
        centre.deliver(sync(number, 1 + number % 12))
    centre.load()  # new names are made in transactions of their own
    assert centre.incoming.count() == 0
    for number in range(COUNT):
        centre.deliver(one_job(number, WallDuration=number), signer=(SIGNER, OTHER)[number % 2])
        centre.deliver(message([summary(VO="vo%d" % number, NumberOfJobs=number)], "summary v0.4"))
    told: List[Any] = []
    loader = centre.loader()
    loader.tell = told.append
    commits.clear()
    answers = centre.db.backend.answers
    assert loader.step() == 2 * COUNT
    # The other ones: the row that all writers lock is made sure of, and names are looked up if forgotten.
    assert 1 <= len(commits) <= 3
    assert centre.db.backend.answers - answers < COUNT
    assert walls(centre)[-1] == ("first", 3600)
    query = "SELECT COUNT(*) FROM JobRecords JOIN DNs ON DNs.id = PublisherDNID WHERE DNs.name = %s"
    assert centre.rows(query, [OTHER]) == [(COUNT // 2,)]
    assert centre.rows("SELECT NumberOfJobs FROM Summaries WHERE NumberOfJobs = 15") == [(15,)]
    assert [outcome[:3] for outcome in told] == [("job v0.3", 1, 0), ("summary v0.4", 1, 0)] * COUNT
    assert (loader.tally.messages, loader.tally.stored) == (2 * COUNT, 2 * COUNT)


def test_of_small_messages_each_has_its_line_in_the_log(centre: Centre, caplog: Any) -> None:
    caplog.set_level("INFO", logger="apel.server.loader")
    names = [centre.deliver(body) for body in (one_job(1), "rubbish", sync(5), "APEL-sync-message: v0.1\n")]
    centre.load()
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(",")[0] for line in lines] == ["Message " + name for name in names]
    ends = ["job v0.3: 1 records stored", "incorrect: rubbish", "sync v0.1: 1 records stored"]
    assert [line.endswith(end) for line, end in zip(lines, ends)] == [True] * 3
    assert "sync v0.1: 0 records stored" in lines[3]


def test_large_messages_go_alone(centre: Centre, commits: List[int], monkeypatch: Any) -> None:
    monkeypatch.setattr(deliveries, "SMALL_CHARACTERS", 2000)
    centre.load(one_job("names"))
    for number in range(3):
        centre.deliver(one_job("a%d" % number))
        centre.deliver(message(jobs(10, MachineName="large")))
        centre.deliver(one_job("b%d" % number))
    commits.clear()
    assert centre.loader().step() == 9
    assert 7 <= len(commits) <= 10  # 4 groups, 3 large ones, and what is looked up
    assert centre.count("JobRecords") == 17


def test_of_two_small_messages_the_later_one_stays(centre: Centre) -> None:
    """D6: a correction right behind what it corrects, as its benchmarks are, and back again."""
    for wall in (1, 2, 3, 2):
        levels = (("HEPscore23", 10.0), ("si2k", 1.0 * wall))
        centre.deliver(message([job(LocalJobId="x", WallDuration=wall, Benchmarks=levels)], "job v0.4"))
        centre.deliver(one_job("y", WallDuration=10 * wall), signer=OTHER)
    centre.load()
    assert walls(centre) == [("x", 2), ("y", 20)]
    assert centre.rows("SELECT BenchmarkType, Benchmark FROM JobBenchmarks ORDER BY 1") == [
        ("HEPscore23", 10.0),
        ("si2k", 2.0),
    ]


def test_the_newest_version_stays_whatever_the_order(centre: Centre) -> None:
    """D6: machines and storage are told by the time of their making, and what that replaces is kept."""
    for schema in ("cloud", "storage"):
        initialise(centre.db.backend, schema)
    centre.load(
        cloud(vm("2025-03-02", 20)),
        star(snapshot("2025-03-05 12:00:00", 5, RecordId="same")),
        cloud(vm("2025-03-01", 10)),
        star(snapshot("2025-03-04 12:00:00", 4, RecordId="same")),
        cloud(vm("2025-03-03", 30)),
        star(snapshot("2025-03-06 12:00:00", 6, RecordId="same")),
    )
    assert centre.rows("SELECT WallDuration FROM CloudRecords ORDER BY 1")[-1] == (30,)
    assert centre.rows("SELECT ResourceCapacityUsed FROM StarRecords") == [(6,)]
    assert centre.rows("SELECT ResourceCapacityUsed FROM StarHistory ORDER BY 1") == [(4,), (5,)]


# -- refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strict", [False, True])
def test_what_the_database_refuses_is_refused_alone(centre: Centre, strict: bool) -> None:
    """D3: of many small messages only the bad record; in strict mode, its message."""
    refuse_13_cores(centre.db)
    for number in range(20):
        good, bad = job(LocalJobId="g%d" % number), job(LocalJobId="b%d" % number, Processors=13)
        centre.deliver(message([good, bad] if number in (7, 19) else [good]), empaid=str(number))
    loader = centre.loader(strict=strict)
    assert loader.step() == 20
    rejected = centre.rejected()
    assert [element["empaid"] for element in rejected] == ["7", "19"]
    assert all("unlucky" in element["error"] for element in rejected)
    assert centre.count("JobRecords") == (18 if strict else 20)
    assert (loader.tally.stored, loader.tally.rejected) == ((18, 4) if strict else (20, 2))
    assert (loader.tally.partly_refused, loader.tally.refused) == ((0, 2) if strict else (2, 0))


def test_jobs_of_closed_months_are_refused_alone(centre: Centre) -> None:
    """Small messages around them are stored, and other months of the same message."""
    april = 32 * 86400
    ids = centre.db.ids("Sites", ["EXAMPLE-NORTH"])
    row = (ids["EXAMPLE-NORTH"], *MARCH, CLOSED, 1, "2025-05-01 00:00:00", 0)
    centre.db.run(lambda tx: tx.insert("ClosedMonths", COLUMNS, [row]))
    later = job(LocalJobId="later", StartTime=job().StartTime + april, EndTime=job().EndTime + april)
    centre.load(
        one_job("a", Site="OTHER"), one_job("b"), message([job(), later]), one_job("c", Site="OTHER"), sync(3)
    )
    assert centre.rows("SELECT LocalJobId FROM JobRecords ORDER BY 1") == [("a",), ("c",), ("later",)]
    assert centre.count("SyncRecords") == 1
    assert [element["error"].count("archived") for element in centre.rejected()] == [1, 1]


def test_site_rights_hold_for_each_small_message(centre: Centre, tmp_path: Any) -> None:
    """D13: and a signer can't replace the storage record of another that came just before."""
    initialise(centre.db.backend, "storage")
    (tmp_path / "map").write_text("NORTH %s\nSOUTH %s\n" % (SIGNER, OTHER))
    noon = "2025-03-01 12:00:00"
    bodies = [
        (star(snapshot(noon, 1, Site="NORTH", RecordId="r")), SIGNER),
        (star(snapshot(noon, 2, Site="SOUTH", RecordId="r")), OTHER),
        (one_job(1, Site="NORTH"), SIGNER),
        (one_job(2, Site="NORTH"), OTHER),
        (one_job(3, Site="SOUTH"), OTHER),
    ]
    for body, signer in bodies:
        centre.deliver(body, signer=signer)
    centre.load(rights=SiteRights(str(tmp_path / "map"), ENFORCE, canonical))
    assert centre.rows("SELECT ResourceCapacityUsed FROM StarRecords") == [(1,)]
    assert centre.rows("SELECT LocalJobId FROM JobRecords ORDER BY 1") == [("1",), ("3",)]
    assert [element["signer"] for element in centre.rejected()] == [OTHER, OTHER]


def test_a_small_message_without_tables_is_refused_alone(centre: Centre) -> None:
    """Of a schema that this database doesn't have."""
    centre.load(one_job(1), cloud(vm("2025-03-01", 1)), one_job(2))
    assert centre.count("JobRecords") == 2
    (rejected,) = centre.rejected()
    assert "There are no cloud tables" in rejected["error"]


def test_a_mistake_of_ours_with_one_small_message_stops_no_other(centre: Centre, monkeypatch: Any) -> None:
    """It rests, with a trace in the log; no content is to blame."""
    from apel.server import storing

    months_of = storing.months_of

    def failing(found: Any) -> Any:
        if any(record.LocalJobId == "3" for record in found.records):
            raise ZeroDivisionError("a mistake of ours")
        return months_of(found)

    monkeypatch.setattr(storing, "months_of", failing)
    for number in range(8):
        centre.deliver(one_job(number))
    loader = centre.loader()
    assert loader.step() == 7 and loader.resting == 1
    assert centre.count("JobRecords") == 7 and centre.reject.count() == 0


# -- trouble ------------------------------------------------------------------------------------------------


def test_conflict_repeats_the_whole_transaction_of_small_messages(centre: Centre, monkeypatch: Any) -> None:
    """D18: as a cluster refuses a commit: nothing of it is there, all of it is stored by the next try."""
    centre.load(one_job("names"))
    commit, failures = centre.db.backend.commit, iter([1, 1])

    def refusing(connection: Any) -> None:
        if centre.db.backend.answers > before and next(failures, 0):
            raise Conflict("certification failed")
        commit(connection)

    for number in range(5):
        centre.deliver(one_job(number))
    before = centre.db.backend.answers
    monkeypatch.setattr(centre.db.backend, "commit", refusing)
    assert centre.loader().step() == 5
    assert next(failures, None) is None
    assert centre.count("JobRecords") == 6 and centre.incoming.count() == 0


def test_small_messages_too_many_for_a_cluster_are_stored_as_it_takes_them(
    centre: Centre, monkeypatch: Any
) -> None:
    """D18: a write set that is larger than is allowed doesn't pass: each message alone is not."""
    centre.load(one_job("names"))
    insert = centre.db.backend.insert

    def limited(connection: Any, table: str, columns: Any, rows: Any, conflict: str) -> int:
        if table == "JobRecords" and len(rows) > 3:
            raise Unusable("wsrep_max_ws_rows exceeded")
        return insert(connection, table, columns, rows, conflict)

    for number in range(10):
        centre.deliver(one_job(number))
    loader = centre.loader()
    with monkeypatch.context() as patch:
        patch.setattr(centre.db.backend, "insert", limited)
        assert loader.step() == 10
        centre.deliver(message(jobs(4)))
        with pytest.raises(Transient, match="exceeded"):
            loader.step()
    assert centre.count("JobRecords") == 11 and centre.incoming.count() == 1


def test_rubbish_is_rejected_while_the_database_is_gone(centre: Centre, monkeypatch: Any) -> None:
    """Nothing of it is to be stored."""
    centre.deliver("rubbish")
    with monkeypatch.context() as patch:
        patch.setattr(centre.db.backend, "connect", None)
        assert centre.loader().step() == 1
    assert centre.reject.count() == 1


def test_database_gone_keeps_all_small_messages(centre: Centre, monkeypatch: Any, caplog: Any) -> None:
    """D1: they stay, none is left locked, and the log has one line, not one for each."""
    centre.load(one_job("names"))
    for number in range(5):
        centre.deliver(one_job(number))
    loader = centre.loader()

    def lost(*_: Any) -> Any:
        raise Lost("gone")

    with monkeypatch.context() as patch:
        patch.setattr(centre.db, "run", lost)
        with pytest.raises(Transient, match="gone"):
            loader.step()
    assert centre.incoming.count() == 5 and centre.reject.count() == 0
    assert not any(map(centre.incoming.is_locked, centre.incoming.ids()))
    assert [record.getMessage() for record in caplog.records if "deferred" in record.getMessage()] == [
        "Message %s, and 4 after it: deferred: gone" % next(iter(centre.incoming.ids()))
    ]
    assert loader.step() == 5 and centre.count("JobRecords") == 6


def test_lost_connection_amid_small_messages(installation: Installation, mariadb: Any) -> None:
    """D1: killed by the server in the middle of their transaction: all of it is done again, on a new one."""
    centre, killed = installation.centre, []  # type: ignore[var-annotated]
    insert = type(centre.db.backend).insert

    def killing(backend: Any, connection: Any, table: str, *given: Any) -> int:
        if table == "SyncRecords" and not killed:
            killed.append(connection.thread_id())
            mariadb.rows("", "KILL %d" % killed[0])
        return int(insert(backend, connection, table, *given))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(centre.db.backend), "insert", killing)
        loader = centre.load(one_job(1), sync(1), one_job(2), sync(2, 4))
    assert killed and loader.tally.messages == 4
    assert [centre.count(table) for table in ("JobRecords", "SyncRecords")] == [2, 2]


def test_stopping_loads_the_small_messages_in_hand(centre: Centre, monkeypatch: Any) -> None:
    """SIGTERM while they are read: those that are in hand are loaded, the others not touched."""
    stop, decode, calls = Stop(), deliveries.decode, itertools.count(1)

    def stopping(text: str) -> Any:
        if next(calls) == 3:
            stop.set()
        return decode(text)

    monkeypatch.setattr(deliveries, "decode", stopping)
    for number in range(6):
        centre.deliver(one_job(number))
    assert centre.loader().step(stop) == 3
    assert centre.count("JobRecords") == centre.incoming.count() == 3
    assert not any(map(centre.incoming.is_locked, centre.incoming.ids()))


def test_those_in_hand_are_loaded_before_a_full_disk_is_told(centre: Centre) -> None:
    """D1 for the disk: the third can't be locked; loading the first two makes room."""
    names = [centre.deliver(one_job(number)) for number in range(4)]
    loader = centre.loader()
    full = OSError(errno.ENOSPC, "No space left on device")
    failing = broken(centre.incoming, "lock", lambda name: name == names[2], full)
    with failing, pytest.raises(Transient, match="No space left"):
        loader.step()
    assert list(centre.incoming.ids()) == names[2:]
    assert loader.step() == 2


def test_another_loaders_message_in_the_middle(centre: Centre) -> None:
    """Its signer's later ones wait, and the others are stored together."""
    names = [centre.deliver(one_job(number), signer=(SIGNER, OTHER)[number % 2]) for number in range(6)]
    another = centre._queue("incoming", dict(centre.incoming.schema))
    assert another.lock(names[2])
    loader = centre.loader()
    assert loader.step() == 4
    assert [name for name, _ in walls(centre)] == ["0", "1", "3", "5"]
    another.unlock(names[2])
    assert loader.step() == 2


# -- stored, and still there --------------------------------------------------------------------------------


BAD_SECTOR = OSError(errno.EIO, "Input/output error")
NO_SPACE = StorageError("Cannot add to the queue: No space left on device")


def deliver_versions(centre: Centre) -> List[str]:
    """Three versions of a job, the first with a bad record beside it; and a job of another signer's."""
    bad = message([job(LocalJobId="x", WallDuration=1), job(LocalJobId="bad")])
    first = centre.deliver(bad.replace("LocalJobId: bad", "LocalJobId: None"))
    return [
        first,
        centre.deliver(one_job("y"), signer=OTHER),
        centre.deliver(one_job("x", WallDuration=2)),
        centre.deliver(one_job("x", WallDuration=3)),
    ]


@contextlib.contextmanager
def in_trouble(centre: Centre, trouble: str, first: str) -> Iterator[None]:
    """The first message can't be removed, or its bad record not be put into `reject`."""
    if trouble == "remove":
        with broken(centre.incoming, "remove", lambda name: name == first, BAD_SECTOR):
            yield
    else:
        with broken(centre.reject, "add", lambda _: True, NO_SPACE):
            yield


@pytest.mark.parametrize("trouble", ["remove", "reject"])
def test_later_ones_of_its_signer_stay_with_a_stored_one_that_must(
    centre: Centre, monkeypatch: Any, trouble: str
) -> None:
    """D6: they were stored with it, and a loader after us stores it again: so it finds them behind it."""
    names = deliver_versions(centre)
    loader = centre.loader()
    with in_trouble(centre, trouble, names[0]):
        assert loader.step() == 1 and loader.resting == 1
        assert loader.step() == 0
    assert walls(centre) == [("x", 3), ("y", 3600)]
    assert list(centre.incoming.ids()) == [names[0], *names[2:]]
    assert not any(map(centre.incoming.is_locked, centre.incoming.ids()))
    assert loader.tally.messages == 1
    centre.deliver(one_job("x", WallDuration=4))
    centre.deliver(one_job("z"), signer=OTHER)
    assert loader.step() == 1, "its signer's wait while it rests, and no others"
    monkeypatch.setattr(loader.unfinished.rest, "is_over", lambda name: True)
    assert loader.step() == 4
    assert walls(centre) == [("x", 4), ("y", 3600), ("z", 3600)]
    assert (loader.tally.messages, loader.tally.stored, loader.tally.rejected) == (6, 6, 1)
    assert centre.incoming.count() == 0 and centre.reject.count() == 1


@pytest.mark.parametrize("trouble", ["remove", "reject"])
@pytest.mark.parametrize("together", [1, 100])
def test_restart_after_a_full_disk_undoes_no_correction(
    centre: Centre, monkeypatch: Any, trouble: str, together: int
) -> None:
    """D6, D7: a loader dies with a message stored that is still there; the next one stores it once more."""
    monkeypatch.setattr(deliveries, "MOST_MESSAGES", together)
    names = deliver_versions(centre)
    with in_trouble(centre, trouble, names[0]):
        assert centre.loader().step() == 1
        assert centre.loader().step() == 0
    loader = centre.loader()
    assert loader.step() == 3
    assert walls(centre) == [("x", 3), ("y", 3600)]
    assert centre.incoming.count() == 0 and centre.reject.count() == 1


def test_another_loader_takes_only_the_first_of_those_that_must_stay(centre: Centre) -> None:
    """D6: it stores that once more, and ends; the corrections after it, stored before, are so again."""
    names = deliver_versions(centre)
    names.append(centre.deliver(one_job("z"), signer=OTHER))
    loader = centre.loader()
    full = OSError(errno.ENOSPC, "No space left on device")
    failing = broken(centre.incoming, "lock", lambda name: name == names[-1], full)
    with in_trouble(centre, "remove", names[0]), failing, pytest.raises(Transient, match="No space left"):
        loader.step()
    another = centre._queue("incoming", dict(centre.incoming.schema))
    assert all(map(another.lock, names[2:]))
    assert centre.loader().step() == 1
    assert walls(centre) == [("x", 1), ("y", 3600)]
    for name in names[2:]:
        another.unlock(name)
    assert loader.step() == 3
    assert walls(centre) == [("x", 3), ("y", 3600), ("z", 3600)]


@pytest.mark.parametrize("method", ["get", "lock"])
def test_a_stored_message_that_is_out_of_reach_holds_up_its_signer(
    centre: Centre, monkeypatch: Any, method: str
) -> None:
    """D6: it couldn't be removed, and then not even be read; but perhaps by the next loader."""
    names = deliver_versions(centre)
    loader = centre.loader()
    with in_trouble(centre, "remove", names[0]):
        loader.step()
    monkeypatch.setattr(loader.unfinished.rest, "is_over", lambda name: True)
    denied = PermissionError(errno.EACCES, "Permission denied")
    with broken(centre.incoming, method, lambda name: name == names[0], denied):
        assert loader.step() == 0
    assert list(centre.incoming.ids()) == [names[0], *names[2:]]
    assert loader.step() == 3
    assert walls(centre) == [("x", 3), ("y", 3600)]


def test_a_refused_message_that_must_stay_holds_up_nobody(centre: Centre) -> None:
    """Nothing of it is stored."""
    centre.deliver("rubbish")
    centre.deliver(one_job(1))
    loader = centre.loader()
    with broken(centre.reject, "add", lambda _: True, NO_SPACE):
        assert loader.step() == 1
    assert centre.count("JobRecords") == 1 and loader.resting == 1
