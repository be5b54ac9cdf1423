"""An upgrade on a cluster whose node dies in the middle."""

from typing import Any

from awkward import awkward_client
from centre import wait_for
from olddatabases import rows_of_all

from apel.db import open_backend
from apel.upgrade.copying import TableCopy
from apel.upgrade.run import Upgrade


def test_a_node_dies_during_an_upgrade(galera: Any, monkeypatch: Any) -> None:
    """D18: the next node goes on with the chunk, and all nodes end with the same tables."""
    old = awkward_client(galera.nodes[0])
    work = Upgrade(open_backend(galera.settings(old.database)), "client")
    copy_chunk = TableCopy._copy_chunk
    died = []

    def die_once(copy: Any, tx: Any) -> int:
        rows = copy_chunk(copy, tx)
        if copy.table == "JobRecords" and not died:
            died.append(rows)
            galera.nodes[0].kill()
        return rows

    monkeypatch.setattr(TableCopy, "_copy_chunk", die_once)
    monkeypatch.setattr("apel.upgrade.copying.CHUNK", 20)
    try:
        work.run()
        assert died == [20]
        assert work.differences() == []
    finally:
        work.journal.db.close()
        galera.nodes[0].start()
    wait_for(galera.nodes[0].ready)
    there = [rows_of_all(_at(old, node)) for node in galera.nodes]
    assert there[0] == there[1] == there[2]
    assert len(there[0]["JobRecords"]) == 46
    old.close()


def _at(old: Any, node: Any) -> Any:
    """The same database, seen from another node."""
    twin = object.__new__(type(old))
    twin.server, twin.database = node, old.database
    return twin
