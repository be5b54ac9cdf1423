"""Random queues of small messages: stored together they leave the tables, and get the verdicts, as alone."""

import random
import re
from functools import partial
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

import pytest
from central_records import accelerators, cloud, gpu, ips, measured, normalised, snapshot, star, vm
from centre import END, MARCH, SIGNER, Centre, job, message, refuse_13_cores, summary, sync
from mutations import mutated

from apel.db import Database
from apel.db.database import Transaction
from apel.db.lookups import TABLES as LOOKUPS
from apel.db.schema import CENTRE, initialise
from apel.server import deliveries
from apel.server.closed import CLOSED
from apel.server.retention import COLUMNS
from apel.server.site_rights import ENFORCE, SiteRights
from servers.databases import fresh_database
from ssm.dn import canonical

COUNT = 70
SIGNERS = [SIGNER, "/DC=org/DC=example/CN=other", "/CN=" + "x" * 300]
SITES = ["EXAMPLE-NORTH", "EXAMPLE-SOUTH", "EXAMPLE-WEST"]
#: What two loads of the same can't have in common.
BESIDE = {"UpdateTime", "Mark"}


class Sent(NamedTuple):
    """A message, and who signed it."""

    body: str
    signer: str


def some_jobs(chance: random.Random) -> List[Any]:
    """One to three of few jobs, in one of their versions: some with cores that the database refuses."""
    return [
        job(
            Site=chance.choice(SITES),
            LocalJobId=str(chance.randrange(6)),
            WallDuration=chance.randrange(1, 9),
            Processors=chance.choice([1, 2, 4] * 4 + [13]),
            Queue="q%d" % chance.randrange(3),
            StartTime=END + 100,
            EndTime=END + chance.choice([7200, 40 * 86400]),
            Benchmarks=chance.choice([None, (("HEPscore23", 10.0), ("si2k", chance.randrange(3) + 1.0))]),
        )
        for _ in range(chance.randrange(1, 4))
    ]


def body(chance: random.Random) -> str:
    """A message of any kind whose records meet those of others; some are damaged."""
    day = "2025-03-%02d" % chance.randrange(1, 6)
    site, wall = chance.choice(SITES), chance.randrange(1, 99)
    make = chance.choice(
        [
            lambda: message(some_jobs(chance), "job v0.4"),
            lambda: message([one.replace(Benchmarks=None) for one in some_jobs(chance)]),
            lambda: message([summary(Site=site, WallDuration=wall)], "summary v0.2"),
            lambda: message([normalised(Site=site, WallDuration=wall)], "normalised summary v0.4"),
            lambda: sync(wall),
            lambda: cloud(vm(day, wall, SiteName=site)),
            lambda: star(snapshot(day + " 12:00:00", wall, Site=site, RecordId="same", GroupAttributes=None)),
            lambda: accelerators(gpu(SiteName=site, AvailableDuration=wall)),
            lambda: ips(measured(day, wall, SiteName=site)),
            lambda: "APEL-sync-message: v0.1\n",
        ]
    )
    text = make()
    return mutated(text, chance) if chance.random() < 0.2 else text


def queue(seed: int) -> List[Sent]:
    """The same messages in every run."""
    chance = random.Random(seed)
    return [Sent(body(chance), chance.choices(SIGNERS, [10, 10, 1])[0]) for _ in range(COUNT)]


def prepared(db: Database) -> None:
    """All tables of a centre; a month that is closed; and cores that are refused."""
    for schema in sorted(CENTRE - {"server"}):
        initialise(db.backend, schema)
    north = db.ids("Sites", [SITES[0]])[SITES[0]]
    row = (north, *MARCH, CLOSED, 1, "2025-06-01 00:00:00", 0)
    db.run(lambda tx: tx.insert("ClosedMonths", COLUMNS, [row]))
    refuse_13_cores(db)


def rows_of(db: Database, query: str) -> List[Any]:
    """The rows of a query."""
    return db.run(lambda tx: tx.rows(query))


def contents(db: Database) -> Dict[str, List[str]]:
    """The rows of all tables that messages fill, sorted; of marks, which there are."""
    found = {}
    for table, columns in relations(db).items():
        kept = ", ".join(name for name in columns if name not in BESIDE)
        distinct = "DISTINCT " if "Mark" in columns else ""
        rows = rows_of(db, "SELECT %s%s FROM `%s`" % (distinct, kept, table))
        found[table] = sorted(map(str, rows))
    return found


def relations(db: Database) -> Dict[str, List[str]]:
    """Tables and their columns, without views and what says how the database was made."""
    views = {"sqlite": "SELECT name FROM sqlite_master WHERE type = 'view'"}.get(
        db.backend.name, "SELECT table_name FROM information_schema.views WHERE table_schema = DATABASE()"
    )
    apart = {row[0] for row in rows_of(db, views)} | {"SchemaVersion"}
    connection = db.backend.connect()
    try:
        return {
            name: columns for name, columns in db.backend.relations(connection).items() if name not in apart
        }
    finally:
        connection.close()


def with_names_of(db: Database, other: Database) -> None:
    """Give names the ids that they have in another database."""
    for table in LOOKUPS:
        name = "`%s`" % table
        rows = rows_of(other, "SELECT id, name FROM " + name)
        db.run(partial(Transaction.insert, table=name, columns=("id", "name"), rows=rows, conflict="ignore"))


def load(
    folder: Any, db: Database, messages: List[Sent], strict: bool, rights: Optional[SiteRights]
) -> List[str]:
    """Load messages; the outcome of each, and what was rejected, in order, as text."""
    centre, outcomes = Centre(folder, db), []  # type: ignore[var-annotated]
    for number, sent in enumerate(messages):
        centre.deliver(sent.body, signer=sent.signer, empaid=str(number))
    loader = centre.loader(strict=strict, rights=rights)
    loader.tell = outcomes.append
    assert loader.step() == COUNT and centre.incoming.count() == 0
    # The server's own words name the database.
    return [re.sub("server_[0-9]+", "server", str(found)) for found in (outcomes, centre.rejected())]


@pytest.fixture
def two(request: Any, tmp_path: Any) -> Iterator[List[Database]]:
    """Two empty databases of a centre."""
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    for first in fresh_database("server", folders[0], server):
        for second in fresh_database("server", folders[1], server):
            prepared(first)
            prepared(second)
            yield [first, second]


SQLITE, MARIADB = "sqlite", pytest.param("mariadb", 1, False, False, marks=pytest.mark.server)


@pytest.mark.parametrize(
    "two, seed, strict, enforced",
    [(SQLITE, 2, False, False), (SQLITE, 3, True, False), (SQLITE, 4, False, True), MARIADB],
    indirect=["two"],
)
def test_random_queues_are_loaded_together_as_alone(
    two: List[Database], seed: int, strict: bool, enforced: bool, tmp_path: Any, monkeypatch: Any
) -> None:
    """D2, D3, D6: table by table, message by message, whatever of it is refused."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    (tmp_path / "map").write_text("".join("%s %s\n" % (site, SIGNERS[0]) for site in SITES[:2]) + "X /CN=x\n")
    rights = SiteRights(str(tmp_path / "map"), ENFORCE, canonical) if enforced else None
    messages = queue(seed)
    with monkeypatch.context() as patch:
        patch.setattr(deliveries, "MOST_MESSAGES", 1)
        alone = load(tmp_path / "spool1", two[0], messages, strict, rights)
    with_names_of(two[1], two[0])
    together = load(tmp_path / "spool2", two[1], messages, strict, rights)
    assert together[0] == alone[0]
    assert together[1] == alone[1]
    expected = contents(two[0])
    assert contents(two[1]) == expected
    filled = [
        name for name in ("JobBenchmarks", "SyncRecords", "CloudRecords", "StarHistory") if expected[name]
    ]
    assert enforced or len(filled) == 4
    assert "archived" in alone[1] and ("may not send" if enforced else "unlucky") in alone[1]
