"""Cloud and storage publishing: by site and service, judged by when records last changed."""

import csv
import io
import json
from typing import Any, Dict, Iterator, List

import pytest
from pubcentre import NOW, Content, one_host

from apel import times
from apel.commands import apelpubsync
from apel.db import open_database
from apel.db.central_tables import IP_RECORDS
from apel.db.store import store
from apel.pubsync.model import Thresholds
from apel.pubsync.records import KINDS, Part, publication_of, read_parts
from apel.records import PublicIpRecord
from apel.times import DAY, utc_text
from servers.databases import BACKENDS, fresh_database, sqlite_settings

HOSTILE = "<script>alert(1)</script>"


CLOUD_COLUMNS = (
    "UpdateTime", "RecordCreateTime", "VMUUID", "SiteID", "CloudComputeServiceID", "GlobalUserNameID", "VOID",
    "VOGroupID", "VORoleID", "MeasurementTime", "MeasurementMonth", "MeasurementYear", "BenchmarkType",
    "Benchmark", "CloudType", "PublisherDNID",
)  # fmt: skip
STORAGE_COLUMNS = (
    "RecordId", "CreateTime", "StorageSystemID", "SiteID", "StorageShareID", "StorageMediaID",
    "StorageClassID", "UserIdentityID", "GroupID", "SubGroupID", "RoleID", "StartTime", "EndTime",
    "ResourceCapacityUsed",
    "UpdateTime", "PublisherDNID",
)  # fmt: skip


def id_of(db: Any, table: str, name: str = "x") -> int:
    """The id of a name in a lookup table."""
    return int(db.ids(table, [name])[name])


def put_machines(db: Any, site: str, service: str, ages: List[int], software: str = "OpenStack") -> None:
    """A machine for each age, in days, of its only record."""
    dn = id_of(db, "DNs")
    ids = [id_of(db, "Sites", site), id_of(db, "CloudComputeServices", service), dn]
    ids += [id_of(db, table) for table in ("VOs", "VOGroups", "VORoles")]
    rows = []
    for number, days in enumerate(ages):
        when = utc_text(NOW - days * DAY)
        uuid = "%s-%s-%d" % (site, service, number)
        rows.append((when, when, uuid, *ids, when, int(when[5:7]), int(when[:4]), "None", 0, software, dn))
    db.run(lambda tx: tx.insert("CloudRecords", CLOUD_COLUMNS, rows))


def put_storage(db: Any, site: str, system: str, ages: List[int]) -> None:
    """A storage record for each age, in days."""
    ids = [id_of(db, "StorageSystems", system), id_of(db, "Sites", site)]
    ids += [
        id_of(db, table) for table in ("StorageShares", "StorageMedia", "StorageClasses", "UserIdentities")
    ]
    ids += [id_of(db, table) for table in ("Groups", "SubGroups", "Roles")]
    rows = []
    for number, days in enumerate(ages):
        when = utc_text(NOW - days * DAY)
        record = "%s-%s-%d" % (site, system, number)
        rows.append((record, when, *ids, when, when, 1, when, id_of(db, "DNs")))
    db.run(lambda tx: tx.insert("StarRecords", STORAGE_COLUMNS, rows))


def put_addresses(db: Any, site: str, service: str, ages: List[int]) -> None:
    """A measurement of IP addresses for each age, in days."""
    records = [
        PublicIpRecord.of(
            MeasurementTime=NOW - days * DAY,
            SiteName=site,
            CloudComputeService=service,
            CloudType="OpenStack",
            IPVersion=4,
            IPCount=3,
        )
        for days in ages
    ]
    store(db, IP_RECORDS, records, "update", {"PublisherDN": "x"})
    for record in records:
        stamp = utc_text(record.MeasurementTime)
        db.run(
            lambda tx, stamp=stamp: tx.execute(
                "UPDATE IPRecords SET UpdateTime = %s WHERE MeasurementTime = %s", (stamp, stamp)
            )
        )


FILL = {"cloud": put_machines, "storage": put_storage, "ip": put_addresses}
SERVICES = list(FILL)


@pytest.fixture(params=BACKENDS)
def databases(request: Any, tmp_path: Any) -> Iterator[Dict[str, Any]]:
    """An empty database of each kind, on each back end in turn."""
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    for cloud in fresh_database("cloud", tmp_path, server):
        for storage in fresh_database("storage", tmp_path, server):
            for addresses in fresh_database("ip", tmp_path, server):
                yield {"cloud": cloud, "storage": storage, "ip": addresses}


@pytest.mark.parametrize("kind", SERVICES)
def test_each_service_is_judged_by_its_newest_record(databases: Dict[str, Any], kind: str) -> None:
    db = databases[kind]
    FILL[kind](db, "FRESH", "a", [0, 1, 40])
    FILL[kind](db, "FRESH", "b", [400])
    FILL[kind](db, "LATE", "a", [8, 9])
    FILL[kind](db, "SILENT", "a", [35])
    parts = read_parts(db, KINDS[kind], NOW, Thresholds())
    assert [(part.site, part.part, part.publication.status) for part in parts] == [
        ("FRESH", "a", "OK"),
        ("FRESH", "b", "ERROR"),
        ("LATE", "a", "WARNING"),
        ("SILENT", "a", "ERROR"),
    ]
    assert (parts[0].counts, parts[0].newest) == ({(2026, 11): 2, (2026, 10): 1}, (2026, 11))
    assert parts[1].publication.closed
    fresh = read_parts(db, KINDS[kind], NOW, Thresholds(), "FRESH")
    assert fresh == parts[:2] and publication_of(fresh, NOW, Thresholds()).status == "OK"
    assert read_parts(db, KINDS[kind], NOW, Thresholds(), "fresh") == []


def test_months_of_records_whose_ids_never_change_stay(databases: Dict[str, Any]) -> None:
    """Their last version is of this month; those of the months before are kept beside it."""
    db = databases["storage"]
    put_storage(db, "SITE", "ceph", [0])
    columns = ", ".join(name for name in STORAGE_COLUMNS if name not in ("UpdateTime", "EndTime"))
    for end in ("2026-09-30 23:00:00", "2026-10-15 00:00:00"):
        copy = "INSERT INTO StarHistory (EndTime, Day, %s) SELECT '%s', '%s', %s FROM StarRecords"
        db.run(lambda tx, end=end, copy=copy: tx.execute(copy % (columns, end, end[:10], columns)))
    (part,) = read_parts(db, KINDS["storage"], NOW, Thresholds())
    assert part.counts == {(2026, 9): 1, (2026, 10): 1, (2026, 11): 1}
    assert part.publication.status == "OK"


@pytest.fixture
def folder(tmp_path: Any, monkeypatch: Any) -> Any:
    """A centre with all these kinds in one SQLite file."""
    monkeypatch.setattr(times, "now", lambda: NOW)
    for schema in ("server", *SERVICES):
        db = open_database(sqlite_settings(tmp_path / "db.sqlite"), schema)
        if schema == "server":
            content = Content()
            one_host(content, "FRESH")
            content.store(db)
        else:
            FILL[schema](db, "FRESH", HOSTILE, [0, 1])
            FILL[schema](db, "SILENT", "service", [40])
        db.close()
    (tmp_path / "db.cfg").write_text("[db]\nbackend = sqlite\nname = %s\n" % (tmp_path / "db.sqlite"))
    return tmp_path


def run(folder: Any, *words: str, kinds: bool = True) -> int:
    db = folder / "db.cfg"
    others = "".join("%s_db = %s\n" % (kind, db) for kind in SERVICES) if kinds else ""
    (folder / "pubsync.cfg").write_text(
        "[pubsync]\ndir = %s\n%s[metrics]\ntextfile = %s\n[logging]\nlogfile =\nconsole = false\n"
        % (folder / "pages", others, folder / "apel.prom")
    )
    return apelpubsync.main(["-c", str(folder / "pubsync.cfg"), "-d", str(db), *words])


@pytest.mark.parametrize("kind", SERVICES)
def test_cloud_and_storage_have_pages_and_probes(folder: Any, capsys: Any, kind: str) -> None:
    assert run(folder) == 0
    page = folder / "pages/publishing" / kind
    shown = (page / "index.html").read_text()
    assert HOSTILE not in shown and "&lt;script&gt;" in shown
    document = json.loads((page / "index.json").read_text())
    assert document["kind"] == kind
    assert [(part["site"], part["status"]) for part in document["parts"]] == [
        ("FRESH", "OK"),
        ("SILENT", "ERROR"),
    ]
    assert document["parts"][0]["counts"] == [{"month": "2026-11", "count": 2}]
    rows = list(csv.DictReader(io.StringIO((page / "index.csv").read_text())))
    assert [(row["site"], row["count"]) for row in rows] == [("FRESH", "2"), ("SILENT", "1")]
    title = 'href="../%s/index.html"' % kind
    assert title in (folder / "pages/publishing/index.html").read_text().replace("../publishing", "..")
    name = "apel_pubsync_%s_last_change_timestamp_seconds" % kind
    assert '%s{program="apelpubsync",site="FRESH"} %d' % (name, NOW) in (folder / "apel.prom").read_text()
    capsys.readouterr()
    assert run(folder, "--check", kind, "--site", "SILENT") == 2
    assert capsys.readouterr().out.startswith("ERROR [ last published 40 days ago: 2026-10-17 ]")
    assert run(folder, "--check", kind, "--site", "FRESH") == 0
    assert run(folder, "--check", kind, "--site", "NOWHERE") == 3
    capsys.readouterr()
    assert run(folder, "--csv", kind) == 0
    assert capsys.readouterr().out == (page / "index.csv").read_text()


def test_the_check_of_the_configuration_tries_every_database(
    folder: Any, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.undo()  # it compares clocks
    assert run(folder, "--check-config") == 0
    printed = capsys.readouterr().out
    assert all("schema %s version" % one in printed for one in ("server", *SERVICES))
    assert run(folder, "--check-config", kinds=False) == 0
    assert "schema cloud" not in capsys.readouterr().out
    (folder / "db.sqlite").unlink()
    assert run(folder, "--check-config") == 0
    assert capsys.readouterr().out.count("will be made by the first run") == 1 + len(SERVICES)


def test_what_is_not_configured_has_no_page(folder: Any, capsys: Any) -> None:
    assert run(folder) == 0
    assert run(folder, kinds=False) == 0
    assert not (folder / "pages/publishing/cloud").exists()
    assert "cloud" not in (folder / "pages/publishing/index.html").read_text().lower()
    assert run(folder, "--csv", "cloud", kinds=False) == 2
    assert run(folder, "--check", "storage", "--site", "FRESH", kinds=False) == 3


def parts_of(months: Dict[Any, int]) -> Part:
    return Part("SITE", "part", publication_of([], NOW, Thresholds()), months, "")


def test_nothing_at_all_is_unknown() -> None:
    assert publication_of([], NOW, Thresholds()).status == "UNKNOWN"
    assert parts_of({(2026, 1): 3, (2025, 12): 4}).newest == (2026, 1)
