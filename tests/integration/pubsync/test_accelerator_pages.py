"""Accelerators in Pub/Sync: judged by when records last changed, with their hours by month."""

import csv
import io
import json
from typing import Any, Iterator, List

import pytest
from central_records import accelerators, gpu, gpu_sum
from centre import Centre, message
from pubcentre import NOW, Content, one_host

from apel import times
from apel.commands import apelpubsync
from apel.db import open_database
from apel.pubsync.model import Thresholds
from apel.pubsync.records import KINDS, read_parts
from apel.server.summarise import ACCELERATOR, Summariser
from apel.times import DAY, utc_text
from servers.databases import BACKENDS, fresh_database, sqlite_settings

HOUR = 3600


def fill(centre: Centre) -> None:
    """Two sites; of the first also FPGAs and machines, of the second sums alone, long ago."""
    october = {"MeasurementYear": 2026, "MeasurementMonth": 10}
    november = {"MeasurementYear": 2026, "MeasurementMonth": 11}
    centre.load(
        accelerators(
            gpu(AssociatedRecord="1", Count=2.0, AvailableDuration=3 * HOUR, **october),
            gpu(AssociatedRecord="2", Count=0.5, AvailableDuration=HOUR, Model="other", **october),
            gpu(AssociatedRecord="3", Count=1.0, AvailableDuration=1500 * HOUR, **november),
            gpu(AssociatedRecordType="cloud", AvailableDuration=HOUR, **november),
            gpu(Type="FPGA", AvailableDuration=HOUR, **november),
        ),
        message([gpu_sum(SiteName="SILENT")], "accelerator summary v0.1"),
    )
    assert centre.rejected() == []
    Summariser(centre.db, sums=ACCELERATOR).run()
    for table, where, days in (
        ("AcceleratorRecords", "1 = 1", 2),
        ("AcceleratorRecords", "AssociatedRecordType = 'cloud'", 9),
        ("AcceleratorSummaries", "1 = 1", 0),
        ("AcceleratorSummaries", "PublisherDNID <> 'summariser'", 40),
    ):
        changed = utc_text(NOW - days * DAY)
        centre.execute("UPDATE %s SET UpdateTime = '%s' WHERE %s" % (table, changed, where))


@pytest.fixture(params=BACKENDS)
def centre(request: Any, tmp_path: Any, monkeypatch: Any) -> Iterator[Centre]:
    """A centre with an accelerator database, on each back end in turn."""
    monkeypatch.setattr(times, "now", lambda: NOW)
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    for db in fresh_database("accelerator", tmp_path, server):
        yield Centre(tmp_path / "spool", db)


def test_origins_are_judged_apart_and_hours_are_count_times_time(centre: Centre) -> None:
    """What was summed up is not counted beside its records."""
    fill(centre)
    parts = read_parts(centre.db, KINDS["accelerator"], NOW, Thresholds())
    assert [(part.site, part.part, part.publication.status, part.counts) for part in parts] == [
        ("EXAMPLE-NORTH", "FPGA of jobs", "OK", {(2026, 11): 2.0}),
        ("EXAMPLE-NORTH", "GPU of jobs", "OK", {(2026, 10): 6.5, (2026, 11): 1500.0}),
        ("EXAMPLE-NORTH", "GPU of virtual machines", "WARNING", {(2026, 11): 2.0}),
        ("SILENT", "GPU of jobs", "ERROR", {(2025, 3): 10.0}),
    ]
    assert read_parts(centre.db, KINDS["accelerator"], NOW, Thresholds(), "SILENT") == parts[3:]


@pytest.fixture
def folder(tmp_path: Any, monkeypatch: Any) -> Any:
    """A centre with jobs and accelerators in one SQLite file."""
    monkeypatch.setattr(times, "now", lambda: NOW)
    for schema in ("server", "accelerator"):
        db = open_database(sqlite_settings(tmp_path / "db.sqlite"), schema)
        if schema == "server":
            content = Content()
            one_host(content, "EXAMPLE-NORTH")
            content.store(db)
        else:
            fill(Centre(tmp_path / "spool", db))
        db.close()
    (tmp_path / "db.cfg").write_text("[db]\nbackend = sqlite\nname = %s\n" % (tmp_path / "db.sqlite"))
    (tmp_path / "pubsync.cfg").write_text(
        "[pubsync]\ndir = %s\naccelerator_db = %s\n[metrics]\ntextfile = %s\n"
        "[logging]\nlogfile =\nconsole = false\n"
        % (tmp_path / "pages", tmp_path / "db.cfg", tmp_path / "apel.prom")
    )
    return tmp_path


def run(folder: Any, *words: str) -> int:
    arguments: List[str] = ["-c", str(folder / "pubsync.cfg"), "-d", str(folder / "db.cfg"), *words]
    return apelpubsync.main(arguments)


def test_accelerators_have_a_page_with_hours_by_month_and_a_probe(folder: Any, capsys: Any) -> None:
    assert run(folder) == 0
    page = folder / "pages/publishing/accelerator"
    shown = (page / "index.html").read_text()
    assert "<h2>Hours by month</h2>" in shown and ">1,500.0<" in shown and ">6.5<" in shown
    document = json.loads((page / "index.json").read_text())
    assert document["kind"] == "accelerator"
    assert [(part["site"], part["part"], part["status"]) for part in document["parts"]][1:] == [
        ("EXAMPLE-NORTH", "GPU of jobs", "OK"),
        ("EXAMPLE-NORTH", "GPU of virtual machines", "WARNING"),
        ("SILENT", "GPU of jobs", "ERROR"),
    ]
    assert document["parts"][1]["counts"] == [
        {"month": "2026-10", "count": 6.5},
        {"month": "2026-11", "count": 1500.0},
    ]
    rows = list(csv.DictReader(io.StringIO((page / "index.csv").read_text())))
    assert [row["count"] for row in rows] == ["2.0", "1500.0", "2.0", "10.0"]
    metric = 'apel_pubsync_accelerator_last_change_timestamp_seconds{program="apelpubsync",site="SILENT"} %d'
    assert metric % (NOW - 40 * DAY) in (folder / "apel.prom").read_text()
    capsys.readouterr()
    assert run(folder, "--check", "accelerator", "--site", "EXAMPLE-NORTH") == 0
    assert run(folder, "--check", "accelerator", "--site", "SILENT") == 2
    assert "last published 40 days ago" in capsys.readouterr().out
    assert run(folder, "--csv", "accelerator") == 0
    assert capsys.readouterr().out == (page / "index.csv").read_text()
