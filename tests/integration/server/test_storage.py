"""Storage records at the centre."""

import pathlib
from typing import Any, Iterator

import pytest
from central_records import star, storage
from centre import END, SIGNER, Centre, Installation
from golden import comparable, golden_view

from apel.commands import apeldbunloader
from apel.server.site_rights import ENFORCE, WARN, SiteRights
from servers.databases import BACKENDS, fresh_database
from ssm.dn import canonical

DATA = pathlib.Path(__file__).parents[2] / "data"
GOLDEN = DATA / "golden" / "storage"


@pytest.fixture(params=BACKENDS)
def centre(request: Any, tmp_path: Any) -> Iterator[Centre]:
    """A centre with a storage database, on each back end in turn."""
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    for db in fresh_database("storage", tmp_path, server):
        yield Centre(tmp_path / "spool", db)


def attributes(centre: Centre) -> Any:
    return centre.rows("SELECT AttributeType, AttributeValue FROM GroupAttributes ORDER BY 1")


@pytest.mark.parametrize("view", ["VStarRecords", "GroupAttributes"])
def test_golden_storage_views(centre: Centre, view: str) -> None:
    centre.load((GOLDEN / "messages" / "1.txt").read_text(encoding="utf-8"))
    assert centre.rejected() == []
    columns, expected = golden_view(GOLDEN / (view + ".tsv"))
    selected = ", ".join("`%s`" % name for name in columns)
    assert comparable(centre.rows("SELECT %s FROM %s" % (selected, view))) == comparable(expected)


def test_absent_names_are_one_row_and_the_signer_is_kept(centre: Centre) -> None:
    body = star(*(storage(RecordId=each, StorageShare=None, Site=None) for each in "abc"))
    centre.load(body)
    assert centre.rows("SELECT name FROM StorageShares") == [("None",)]
    query = "SELECT DISTINCT name FROM StarRecords JOIN DNs ON DNs.id = PublisherDNID"
    assert centre.rows(query) == [(SIGNER,)]


def test_same_storage_records_twice_or_out_of_order_give_the_same(centre: Centre) -> None:
    """D6: the record that was made later stays, with its attributes."""
    old = storage(FileCount=1, GroupAttributes=(("a", "old"), ("b", "old")))
    new = storage(FileCount=2, GroupAttributes=(("b", "new"), ("c", None)), CreateTime=old.CreateTime + 1)
    for order in ((old, new), (new, old), (new, new, old), (old, old, new)):
        for each in order:
            centre.load(star(each))
        assert centre.rows("SELECT FileCount FROM StarRecords") == [(2,)]
        assert attributes(centre) == [("b", "new"), ("c", None)]
        centre.execute("DELETE FROM StarRecords")
        centre.execute("DELETE FROM GroupAttributes")
    centre.load(star(new, old))
    assert centre.rows("SELECT FileCount FROM StarRecords") == [(2,)]
    assert attributes(centre) == [("b", "new"), ("c", None)]


def test_corrected_storage_record_replaces_its_attributes(centre: Centre) -> None:
    """D8."""
    centre.load(star(storage()), star(storage(GroupAttributes=None)))
    assert attributes(centre) == []


def test_names_of_storage_that_differ_in_case_are_kept_apart(centre: Centre) -> None:
    """D5."""
    names = ["disk", "Disk", "dïsk"]
    centre.load(star(*(storage(RecordId=each, StorageMedia=each) for each in names)))
    assert centre.rejected() == []
    assert sorted(name for (name,) in centre.rows("SELECT StorageMedia FROM VStarRecords")) == sorted(names)


def test_one_bad_storage_record_rejects_itself_alone(centre: Centre) -> None:
    """D3."""
    centre.load(star(storage(), storage(RecordId="bad")).replace("4200", "4.2", 1))
    (rejected,) = centre.rejected()
    assert "record 1: FileCount: Invalid int value" in rejected["error"]
    assert centre.rows("SELECT RecordId FROM StarRecords") == [("bad",)]


def test_large_counts_and_capacities_are_stored(centre: Centre) -> None:
    """P22: the incumbent has 32 bits for files."""
    centre.load(star(storage(FileCount=2**40, ResourceCapacityUsed=2**62)))
    assert centre.rows("SELECT FileCount, ResourceCapacityUsed FROM VStarRecords") == [(2**40, 2**62)]


def test_a_storage_record_of_another_site_is_not_replaced(centre: Centre, tmp_path: Any) -> None:
    """D13: its RecordId alone is its key, so who knows it could take the record away from its site."""
    (tmp_path / "dn-sites").write_text("NORTH %s\n" % SIGNER)
    theirs, ours, later, stolen = (
        star(storage(RecordId=name, Site=site, CreateTime=END + seconds))
        for name, site, seconds in [
            ("a", "OTHER", 0),
            ("b", "NORTH", 0),
            ("b", "NORTH", 60),
            ("a", "NORTH", 60),
        ]
    )
    query = "SELECT RecordId, Site FROM VStarRecords ORDER BY RecordId"
    for mode, site in ((ENFORCE, "OTHER"), (WARN, "NORTH")):
        rights = SiteRights(str(tmp_path / "dn-sites"), mode, canonical)
        centre.load(theirs)
        centre.load(ours, later, stolen, rights=rights)
        assert centre.rows(query) == [("a", site), ("b", "NORTH")]
    (rejected,) = centre.rejected()
    assert "RecordId: OTHER: %s may not send it" % SIGNER in rejected["error"]


@pytest.mark.server
def test_files_of_the_incumbent_do_not_say_what_the_database_is_about(mariadb: Any, tmp_path: Any) -> None:
    """Its db.cfg has a type for the summariser alone, which it has none of for storage."""
    for db in fresh_database("storage", tmp_path, mariadb):
        options = mariadb.options_for(db.backend.database)  # type: ignore[attr-defined]
        files = Installation(tmp_path, options)
        files.centre.deliver(star(storage()))
        assert files.load("--check-config") == files.load("--once") == 0
        unloader = "[unloader]\ndir_location = %s\ntable_name = VStarRecords\nsend_ur = true\n" % tmp_path
        config = files.write("unloader.cfg", unloader + "[logging]\nlogfile =\nconsole = false\n")
        assert apeldbunloader.main(["-d", files.db_cfg, "-c", config]) == 0
        assert len([path for path in (tmp_path / "outgoing").glob("*/*") if path.is_file()]) == 1
        files.close()
        assert Installation(tmp_path, dict(options, type="cpu")).load("--check-config") == 1
