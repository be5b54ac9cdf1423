"""Transactions, bulk writes, lookup ids and streams, alike on every back end."""

import threading
from typing import Any, List

import pytest

from apel.db import Conflict, RowRefused, Unusable
from apelcommon.errors import Permanent, Transient

SYNC = ("SiteID", "SubmitHostID", "NumberOfJobs", "Month", "Year", "PublisherDNID")


def counts(db: Any) -> List[Any]:
    return list(db.run(lambda tx: tx.rows("SELECT SiteID, NumberOfJobs FROM SyncRecords ORDER BY 1")))


def insert(db: Any, rows: Any, conflict: str = "error") -> Any:
    return db.run(lambda tx: tx.insert("SyncRecords", SYNC, rows, conflict))


def sync_row(site: int, jobs: Any) -> Any:
    return (site, 1, jobs, 3, 2025, 1)


def test_nothing_remains_of_work_that_fails(server_db: Any) -> None:
    def work(tx: Any) -> None:
        tx.insert("SyncRecords", SYNC, [sync_row(1, 1)])
        raise KeyError("a mistake")

    with pytest.raises(KeyError):
        server_db.run(work)
    assert counts(server_db) == []
    insert(server_db, [sync_row(1, 2)])
    assert counts(server_db) == [(1, 2)]


def test_interrupted_work_leaves_nothing_and_a_usable_database(server_db: Any) -> None:
    def work(tx: Any) -> None:
        tx.insert("SyncRecords", SYNC, [sync_row(1, 1)])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        server_db.run(work)
    assert counts(server_db) == []


def test_the_whole_of_the_work_is_repeated_on_a_conflict(server_db: Any) -> None:
    """D1: half of a transaction that another one broke must not stay, nor be left out."""
    tries: List[int] = []

    def work(tx: Any) -> str:
        tx.insert("SyncRecords", SYNC, [sync_row(1, len(tries))])
        tries.append(1)
        if len(tries) < 3:
            raise Conflict("deadlock")
        return "done"

    assert server_db.run(work) == "done"
    assert counts(server_db) == [(1, 2)]


def test_out_of_tries_is_transient(server_db: Any) -> None:
    def work(tx: Any) -> None:
        raise Conflict("again and again")

    with pytest.raises(Transient, match="again and again"):
        server_db.run(work, tries=3)


def test_a_transaction_inside_another_is_a_mistake(server_db: Any) -> None:
    with pytest.raises(RuntimeError):
        server_db.run(lambda tx: server_db.ids("Sites", ["new"]))


def test_conflict_error_ignore_and_update(server_db: Any) -> None:
    assert insert(server_db, [sync_row(1, 1), sync_row(2, 2)]) == 2
    with pytest.raises(RowRefused):
        insert(server_db, [sync_row(3, 3), sync_row(1, 9)])
    assert counts(server_db) == [(1, 1), (2, 2)]
    assert insert(server_db, [sync_row(3, 3), sync_row(1, 9)], "ignore") == 1
    assert counts(server_db) == [(1, 1), (2, 2), (3, 3)]
    assert insert(server_db, [sync_row(4, 4), sync_row(1, 9)], "update") == 2
    assert counts(server_db) == [(1, 9), (2, 2), (3, 3), (4, 4)]
    with pytest.raises(ValueError, match="conflict"):
        insert(server_db, [sync_row(1, 1)], "replace")


def test_ignore_does_not_ignore_what_is_wrong_with_a_row(server_db: Any) -> None:
    with pytest.raises(RowRefused):
        insert(server_db, [sync_row(1, 1), (None, 1, 1, 3, 2025, 1)], "ignore")
    assert counts(server_db) == []


def test_update_time_moves_when_a_value_changes_and_only_then(server_db: Any) -> None:
    old = "2020-01-01 00:00:00"
    time = "SELECT UpdateTime FROM SyncRecords"
    insert(server_db, [sync_row(1, 1)])
    server_db.run(lambda tx: tx.execute("UPDATE SyncRecords SET UpdateTime = %s", (old,)))
    insert(server_db, [sync_row(1, 1)], "update")
    assert server_db.run(lambda tx: tx.value(time)) == old
    insert(server_db, [sync_row(1, 2)], "update")
    now = server_db.run(
        lambda tx: tx.row("SELECT %s, UpdateTime FROM SyncRecords" % server_db.sql.epoch("CURRENT_TIMESTAMP"))
    )
    changed = server_db.run(
        lambda tx: tx.value("SELECT %s FROM SyncRecords" % server_db.sql.epoch("UpdateTime"))
    )
    assert 0 <= now[0] - changed < 60
    assert now[1] > old


def test_inserted_text_comes_back_as_it_was(server_db: Any) -> None:
    names = [
        "it's",
        'a "quote"',
        "back\\slash",
        "\\'",
        "%s %% %(a)s",
        "line\nbreak\r\t\x1a",
        "nul\0",
        "日本",
        "😀",
        ";--",
        "' OR 1=1",
    ]
    ids = server_db.ids("DNs", names)
    assert len(set(ids.values())) == len(names)
    found = dict(server_db.run(lambda tx: tx.rows("SELECT name, id FROM DNs")))
    assert found == ids
    for name in names:
        assert (
            server_db.run(lambda tx, name=name: tx.value("SELECT id FROM DNs WHERE name = %s", (name,)))
            == ids[name]
        )


def test_values_are_numbers_text_or_none(server_db: Any) -> None:
    insert(server_db, [sync_row(1, 2**40), sync_row(2, None)])
    expected = [(1, 2**40), (2, None)]
    assert counts(server_db) == expected
    total = server_db.run(
        lambda tx: tx.row("SELECT SUM(NumberOfJobs), 7.5, 'x', MAX(UpdateTime) FROM SyncRecords")
    )
    assert total[:3] == (2**40, 7.5, "x")
    assert [type(value) for value in total] == [int, float, str, str]
    assert server_db.run(lambda tx: tx.value("SELECT '100%%'")) == "100%"


def test_an_insert_of_many_rows_and_of_none(server_db: Any) -> None:
    assert insert(server_db, []) == 0
    assert insert(server_db, (sync_row(number, number) for number in range(2345))) == 2345
    assert counts(server_db)[-1] == (2344, 2344)


def test_bad_sql_is_permanent_and_a_missing_table_is_for_an_operator(server_db: Any) -> None:
    with pytest.raises(Permanent):
        server_db.run(lambda tx: tx.rows("SELEC 1"))
    with pytest.raises(Unusable, match="NoSuchTable"):
        server_db.run(lambda tx: tx.rows("SELECT 1 FROM NoSuchTable"))


def test_refused_values(server_db: Any) -> None:
    for bad in ("x" * 256, "\udcff"):
        with pytest.raises(RowRefused):
            server_db.ids("DNs", ["good", bad])
    with pytest.raises(RowRefused):
        insert(server_db, [(1, 1, 2**64, 3, 2025, 1)])
    with pytest.raises(ValueError, match="lookup"):
        server_db.ids("SyncRecords", ["x"])


# -- lookup ids -----------------------------------------------------------------------------------


def test_names_that_differ_in_case_accents_or_trailing_blanks_are_kept_apart(
    server_db: Any, another: Any
) -> None:
    """D5: none of them is another's."""
    names = ["Atlas", "atlas", "ATLAS", "atläs", "atlas ", "atlas  ", " atlas", "atlas\t", "ﬀ", "ff"]
    ids = server_db.ids("VOs", names)
    assert len(set(ids.values())) == len(names)
    assert another(server_db).ids("VOs", names) == ids


def test_no_name_is_the_name_none(server_db: Any) -> None:
    ids = server_db.ids("VOs", [None, "None", "none"])
    assert ids[None] == ids["None"] != ids["none"]


def test_two_loaders_meet_new_names_at_once(server_db: Any, another: Any) -> None:
    """D4: one row for each name, and both loaders get its id."""
    names = ["name %d" % number for number in range(300)]
    dbs = [another(server_db) for _ in range(4)]
    start = threading.Barrier(len(dbs))
    found: List[Any] = []

    def load(db: Any, wanted: List[str]) -> None:
        start.wait()
        for first in range(0, len(wanted), 30):
            db.ids("DNs", wanted[first : first + 30])
        found.append(db.ids("DNs", names))
        db.close()

    threads = [
        threading.Thread(target=load, args=(db, names[:: 1 - 2 * (place % 2)]))
        for place, db in enumerate(dbs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(dbs)
    assert all(ids == found[0] for ids in found)
    assert server_db.run(lambda tx: tx.value("SELECT COUNT(*) FROM DNs")) == len(names)


def test_ids_are_remembered_within_bounds(server_db: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("apel.db.lookups.MOST_REMEMBERED", 10)
    ids = server_db.ids("DNs", map(str, range(8)))
    ids.update(server_db.ids("DNs", map(str, range(5, 12))))
    assert server_db.ids("DNs", map(str, range(12))) == ids


def test_ids_are_looked_up_again_on_a_new_connection(server_db: Any) -> None:
    """D18: after a fail-over or a restore they may be others."""
    (before,) = server_db.ids("DNs", ["a"]).values()
    server_db.run(lambda tx: tx.execute("UPDATE DNs SET id = id + 100"))
    server_db.close()
    assert server_db.ids("DNs", ["a", "b"])["a"] == before + 100


# -- streams --------------------------------------------------------------------------------------


def test_a_stream_is_one_moment_whatever_is_written_meanwhile(server_db: Any) -> None:
    insert(server_db, [sync_row(number, number) for number in range(5000)])
    stream = server_db.stream("SELECT SiteID FROM SyncRecords ORDER BY SiteID")
    assert next(stream) == (0,)
    insert(server_db, [sync_row(number, number) for number in range(5000, 5010)])
    server_db.run(lambda tx: tx.execute("DELETE FROM SyncRecords WHERE SiteID = 4999"))
    assert [site for (site,) in stream] == list(range(1, 5000))


def test_a_stream_may_be_left_early(server_db: Any) -> None:
    insert(server_db, [sync_row(number, number) for number in range(5000)])
    for stream in (
        server_db.stream("SELECT * FROM SyncRecords"),
        server_db.stream_text("SyncRecords", ["SiteID"]),
    ):
        next(stream)
        stream.close()
    assert len(counts(server_db)) == 5000


def test_a_stream_of_text_has_times_as_epoch_seconds(server_db: Any) -> None:
    insert(server_db, [sync_row(1, None), sync_row(2, 5)])
    server_db.run(lambda tx: tx.execute("UPDATE SyncRecords SET UpdateTime = '2025-03-01 00:00:00'"))
    columns = ["SiteID", "UpdateTime", "NumberOfJobs", "NULL", "'a''%%'"]
    rows = server_db.stream_text(
        "SyncRecords", columns, "SiteID > %s AND Year = %s", (0, 2025), "SiteID DESC"
    )
    assert [tuple(row) for row in rows] == [
        ("2", "1740787200", "5", None, "a'%"),
        ("1", "1740787200", None, None, "a'%"),
    ]


def test_a_stream_of_what_is_not_there_says_so(server_db: Any) -> None:
    for stream in (server_db.stream("SELECT 1 FROM Nowhere"), server_db.stream_text("Nowhere", ["a"])):
        with pytest.raises(Unusable, match="Nowhere"):
            list(stream)


# -- SQL that differs -----------------------------------------------------------------------------


def test_epoch_of_any_time_up_to_2105(server_db: Any) -> None:
    times = {"1970-01-01 00:00:00": 0, "2025-03-01 00:00:00": 1740787200, "2105-12-31 23:59:59": 4291747199}
    for text, epoch in times.items():
        query = "SELECT %s" % server_db.sql.epoch("CAST('%s' AS CHAR)" % text)
        assert server_db.run(lambda tx, query=query: tx.value(query)) == epoch


def test_upsert_select_and_update_from(server_db: Any) -> None:
    insert(server_db, [sync_row(1, 10), sync_row(2, 20)])
    key = ("SiteID", "SubmitHostID", "Month", "Year")
    select = "SELECT SiteID + 1, SubmitHostID, NumberOfJobs + %s, Month, Year, 1 FROM SyncRecords"
    upsert = server_db.sql.upsert_select("SyncRecords", SYNC, key, select)
    server_db.run(lambda tx: tx.execute(upsert, (5,)))
    assert counts(server_db) == [(1, 10), (2, 15), (3, 25)]
    marks = [(1, 0, 0, 111), (3, 0, 0, 333)]
    server_db.run(lambda tx: tx.insert("ChangedMonths", ("SiteID", "Year", "Month", "Mark"), marks))
    server_db.run(lambda tx: tx.execute("UPDATE SyncRecords SET Year = 0, Month = 0"))
    update = server_db.sql.update_from("SyncRecords", "ChangedMonths", ("SiteID", "Year"), ("Month",))
    server_db.run(lambda tx: tx.execute("UPDATE SyncRecords SET Month = 7"))
    server_db.run(lambda tx: tx.execute(update))
    months = server_db.run(lambda tx: tx.rows("SELECT SiteID, Month FROM SyncRecords ORDER BY SiteID"))
    assert months == [(1, 0), (2, 7), (3, 0)]


def test_on_a_cluster_only_what_writes_may_not_take_long(server_db: Any, monkeypatch: Any) -> None:
    """The unloader relies on that for rows. Counting a large table changes none, and may take an hour."""
    monkeypatch.setattr(type(server_db.backend), "unseen_seconds", 900)
    server_db.longest_seconds = -1.0
    assert counts(server_db) == []
    for work in (
        lambda tx: tx.insert("SyncRecords", SYNC, [sync_row(1, 1)]),
        lambda tx: tx.execute("DELETE FROM SyncRecords"),
    ):
        with pytest.raises(Conflict, match="took more than"):
            server_db.run(work, tries=1)
    assert counts(server_db) == []
