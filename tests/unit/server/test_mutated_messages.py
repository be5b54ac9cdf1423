"""Thousands of damaged messages through one loader: each is stored, or rejected with a reason."""

import random
import shutil
from typing import Any, Iterator, List

import pytest
from centre import Centre, job, jobs, message, summary, sync

from apel.commands.server_config import DB_TABLE
from apel.db import open_database
from servers.process import private_folder

COUNT = 3000
PIECES = [
    "%%",
    "\n",
    "\n%%\n",
    ":",
    "\0",
    "\t",
    "\r\n",
    "None",
    "nan",
    "inf",
    "-1",
    "1e999",
    "9" * 30,
    "\u00e9",
    "\u2028",
    "\U0001f600",
    "'; DROP TABLE JobRecords; --",
    "\\",
    "x" * 300,
    "{",
    "<",
    "&a;",
    "<!DOCTYPE a>",
    "</urf:UsageRecord>",
    "Site: \n",
]


def mutated(body: str, chance: random.Random) -> str:
    """A message with some of its text replaced, doubled, cut out or cut off."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(body) + 1)
        end = min(len(body), start + chance.choice([0, 1, 2, 10, 50]))
        kind = chance.randrange(4)
        if kind == 0:
            body = body[:start] + chance.choice(PIECES) + body[end:]
        elif kind == 1:
            body = body[:start] + body[end:]
        elif kind == 2:
            body = body[:end] + body[start:]
        else:
            body = body[:start] + chr(chance.randrange(1, 0x2FF)) + body[start + 1 :]
        if chance.random() < 0.02:
            body = body[: chance.randrange(len(body) + 1)]
    return body


def bodies() -> List[str]:
    """Good messages of all kinds, damaged, the same ones in every run."""
    chance = random.Random(20250301)
    good = [
        message(jobs(2)),
        message([job()], "job v0.4"),
        message(jobs(2), "job car"),
        message([summary()], "summary v0.2"),
        message([summary()], "summary v0.4"),
        sync(3),
    ]
    return [mutated(chance.choice(good), chance) for _ in range(COUNT)]


@pytest.fixture
def centre(monkeypatch: Any) -> Iterator[Centre]:
    """A centre in memory, database and queues: it isn't the disk that is tested."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    settings = DB_TABLE.defaults({"db.backend": "sqlite", "db.name": ":memory:"})
    folder = private_folder("centre")
    with open_database(settings.db, schema="server") as db:
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
    assert (
        centre.count("JobRecords") > 0 and centre.count("Summaries") > 0 and centre.count("SyncRecords") > 0
    )
    centre.summarise()
