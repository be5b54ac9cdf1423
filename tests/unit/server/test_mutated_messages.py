"""Thousands of damaged messages through one loader: each is stored, or rejected with a reason."""

import random
import shutil
from typing import Any, Iterator, List

import pytest
from central_records import (
    accelerators,
    cloud,
    gpu,
    gpu_sum,
    ips,
    measured,
    measured_sum,
    normalised,
    star,
    storage,
    vm,
)
from centre import Centre, job, jobs, message, summary, sync
from mutations import mutated

from apel.commands.server_config import DB_TABLE
from apel.db import Database, open_database
from apel.db.backend import statements
from apel.db.central_tables import CLOUD_SUMMARIES
from apel.db.schema import CENTRE
from apel.server.kinds import TABLES
from apelcommon.resources import schema_path
from servers.process import private_folder

COUNT = 3000


def bodies() -> List[str]:
    """Good messages of all kinds, damaged, the same ones in every run."""
    chance = random.Random(20250301)
    good = [
        message(jobs(2)),
        message([job()], "job v0.4"),
        message(jobs(2), "job car"),
        message([summary()], "summary v0.2"),
        message([summary()], "summary v0.4"),
        message([normalised()], "normalised summary v0.4"),
        message([normalised()], "normalised summary aur"),
        sync(3),
        cloud(vm("2025-03-31", 5)),
        star(storage()),
        accelerators(gpu(), gpu(AssociatedRecord="2")),
        message([gpu_sum()], "accelerator summary v0.1"),
        ips(measured("2025-03-02", 3), measured("2025-03-03", 4)),
        message([measured_sum()], "public ip summary v0.1"),
    ]
    return [mutated(chance.choice(good), chance) for _ in range(COUNT)]


def with_all_tables(db: Database) -> None:
    """Make the tables of the centre's other schemas in a database that is in memory: there it has no path."""
    for schema in sorted(CENTRE - {"server"}):
        with open(schema_path("sqlite", schema), encoding="utf-8") as stream:
            script = list(statements(stream.read()))
        row = (schema, 1, "test")
        db.run(lambda tx, script=script: [tx.execute(one) for one in script])
        db.run(lambda tx, row=row: tx.insert("SchemaVersion", ("SchemaName", "Version", "Software"), [row]))


@pytest.fixture
def centre(monkeypatch: Any) -> Iterator[Centre]:
    """A centre in memory, database and queues: it isn't the disk that is tested."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    settings = DB_TABLE.defaults({"db.backend": "sqlite", "db.name": ":memory:"})
    folder = private_folder("centre")
    with open_database(settings.db, schema="server") as db:
        with_all_tables(db)
        yield Centre(folder, db)
    shutil.rmtree(folder)


def test_mutated_messages_never_end_the_loader(centre: Centre) -> None:
    """D2: nothing that is sent ends the process; every message is accounted for, each reason is one line."""
    for body in bodies():
        centre.deliver(body)
    loader = centre.loader()
    assert loader.step() == COUNT
    assert centre.incoming.count() == 0
    rejected = centre.rejected()
    assert loader.tally.messages == COUNT and loader.tally.stored > 0
    assert len(rejected) == loader.tally.refused + loader.tally.partly_refused
    for element in rejected:
        assert element["error"].startswith("Parsing unsuccessful: ")
        assert element["error"].isprintable() and len(element["error"]) < 2000, element["error"]
        assert "internal error" not in element["error"]
    assert all(centre.count(table.name) for table in TABLES.values() if table is not CLOUD_SUMMARIES)
    centre.summarise()
