"""Hundreds of thousands of damaged messages of every kind: each is stored, or rejected with its reason.

As many as APEL_TEST_MUTATIONS says, 300 000 if nothing does; half of them in each of two processes.
"""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
from typing import Any, Dict, Iterator, List

import pytest
from mutations import mutated

from apel.commands.server_config import DB_TABLE
from apel.db import open_database
from apel.db.schema import CENTRE, initialise
from apel.messages import decode
from apel.server.kinds import TABLES
from apel.server.loader import Loader, Queues
from servers.process import private_folder

HERE = pathlib.Path(__file__)
SAMPLES = HERE.parents[1] / "data" / "messages"
COUNT = int(os.environ.get("APEL_TEST_MUTATIONS", "300000"))
PROCESSES = 2
AT_A_TIME = 500
NOW = 1795000000  # 2026-11-18: after all samples, on every day
CODE = """
import json, logging, sys
logging.disable(logging.CRITICAL)
from test_mutated_flood import flood
print(json.dumps(flood(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
"""


class Memory:
    """A queue that is not on disk; it isn't the disk that is tested."""

    def __init__(self) -> None:
        self.elements: Dict[str, Dict[str, str]] = {}
        self.number = 0

    def ids(self) -> Iterator[str]:
        return iter(list(self.elements))

    def lock(self, name: str) -> bool:
        return name in self.elements

    def unlock(self, name: str) -> None:
        pass

    def get(self, name: str) -> Dict[str, str]:
        return self.elements[name]

    def value(self, name: str, key: str) -> str:
        return self.elements[name].get(key, "")

    def add(self, element: Dict[str, str]) -> str:
        self.number += 1
        name = "%08x/%014x" % (self.number >> 14, self.number)
        self.elements[name] = element
        return name

    def remove(self, name: str) -> None:
        del self.elements[name]

    def purge(self) -> None:
        pass

    def count(self) -> int:
        return len(self.elements)


def flood(path: str, seed: int, count: int) -> Dict[str, Any]:
    """Load damaged messages into a new database; what became of them."""
    settings = DB_TABLE.defaults({"db.backend": "sqlite", "db.name": path})
    chance = random.Random(seed)
    good = [sample.read_text(encoding="utf-8") for sample in sorted(SAMPLES.iterdir())]
    incoming, reject = Memory(), Memory()
    with open_database(settings.db, schema="server") as db:
        for schema in sorted(CENTRE):
            initialise(db.backend, schema)
        loader = Loader(db, Queues(incoming, reject))
        wrong: List[str] = []
        for start in range(0, count, AT_A_TIME):
            for _ in range(min(AT_A_TIME, count - start)):
                body = mutated(chance.choice(good), chance)
                incoming.add({"body": body, "signer": "/CN=sender", "empaid": "1"})
            loader.step()
            wrong += [element["error"] for element in reject.elements.values() if not _is_told(element)]
            reject.elements.clear()
        tables = sorted({table.name for table in TABLES.values()})
        rows = {
            name: db.run(lambda tx, name=name: tx.value("SELECT COUNT(*) FROM " + name)) for name in tables
        }
    tally = loader.tally
    return {
        "left": incoming.count(),
        "resting": loader.resting,
        "messages": tally.messages,
        "stored": tally.stored,
        "refused": tally.refused,
        "partly": tally.partly_refused,
        "rejected": reject.number,
        "wrong": wrong[:10],
        "rows": rows,
        "process": os.getpid(),
    }


def _is_told(element: Dict[str, str]) -> bool:
    error = element["error"]
    prefix = "Parsing unsuccessful: "
    return (
        error.startswith(prefix)
        and len(prefix) < len(error) < 2000
        and error.isprintable()
        and "internal error" not in error
        and bool(element["body"] or "empty" in error)
    )


def test_samples_are_good_before_they_are_damaged() -> None:
    """Or else the flood would only show that bad messages are rejected."""
    for sample in SAMPLES.iterdir():
        assert decode(sample.read_text(encoding="utf-8"), now=NOW).records, sample


@pytest.fixture
def folder() -> Iterator[str]:
    """In memory, where there is such a place."""
    made = private_folder("flood")
    yield made
    shutil.rmtree(made)


def test_flood_of_mutated_messages(folder: str) -> None:
    """D2, D3, D11: the process that began is the one that ends, and every message is accounted for."""
    share = COUNT // PROCESSES
    paths = os.pathsep.join([str(HERE.parent), str(HERE.parents[1]), str(HERE.parents[2])])
    running = [
        subprocess.Popen(
            [sys.executable, "-c", CODE, os.path.join(folder, "%d.db" % seed), str(seed), str(share)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, PYTHONPATH=paths),
        )
        for seed in range(PROCESSES)
    ]
    for process in running:
        out, errors = process.communicate()
        assert process.returncode == 0, errors.decode()[-2000:]
        told = json.loads(out)
        assert told["process"] == process.pid
        assert (told["messages"], told["left"], told["resting"], told["wrong"]) == (share, 0, 0, [])
        assert told["rejected"] == told["refused"] + told["partly"]
        assert 0 < told["refused"] < share and told["partly"] > 0 and told["stored"] > 0
        assert all(told["rows"].values()), told["rows"]
