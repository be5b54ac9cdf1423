"""What an upgrade has done so far, in the database itself: so an interruption may come at any moment."""

import json
from typing import Any, Callable, Dict, List, NamedTuple, Optional, TypeVar

from apel.db import Database
from apel.db.backend import Backend
from apel.db.schema import UPGRADE_TABLE

T = TypeVar("T")

#: Old and new ids of names that were kept twice.
IDS_TABLE = "SchemaUpgradeIds"

#: Strict, but dates of zeros, which old databases hold, may be read and compared.
SQL_MODE = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'"

MAKE = (
    """CREATE TABLE IF NOT EXISTS %s (
    Step VARCHAR(191) NOT NULL PRIMARY KEY,
    Done INT NOT NULL,
    Detail LONGTEXT
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4"""
    % UPGRADE_TABLE,
    """CREATE TABLE IF NOT EXISTS %s (
    LookupTable VARCHAR(64) NOT NULL,
    OldId INT NOT NULL,
    NewId INT NOT NULL,
    PRIMARY KEY (LookupTable, OldId)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4"""
    % IDS_TABLE,
)


class Entry(NamedTuple):
    """A step: whether it is done, and what it has to remember (plain JSON)."""

    done: bool
    detail: Any


class Journal:
    """The steps of an upgrade and the transactions in which they are done."""

    def __init__(self, backend: Backend, schema: str) -> None:
        self.db = Database(backend, schema, lambda *_: None)
        # Nothing is unloaded until the upgrade is complete, and some statements read all of a table.
        self.db.longest_seconds = None

    def run(self, work: Callable[[Any], T]) -> T:
        """`work(tx)` in one transaction, repeated as Database.run does."""

        def with_mode(tx: Any) -> T:
            tx.execute(SQL_MODE)
            return work(tx)

        return self.db.run(with_mode)

    def execute(self, sql: str) -> int:
        """One statement in a transaction of its own; text of the database's own, so % stands for itself."""
        return int(self.run(lambda tx: tx.execute(sql.replace("%", "%%"))))

    def rows(self, sql: str, *params: Any) -> List[Any]:
        """The rows of a query."""
        return self.run(lambda tx: tx.rows(sql, params))

    def tables(self) -> List[str]:
        """The names of all tables here (views are none)."""
        return [name for (name,) in self.rows(_NAMES % "BASE TABLE")]

    def views(self) -> List[str]:
        """The names of all views here."""
        return [name for (name,) in self.rows(_NAMES % "VIEW")]

    # -- entries --------------------------------------------------------------------------------

    def open(self) -> None:
        """Make the journal's tables."""
        for statement in MAKE:
            self.execute(statement)

    def entries(self) -> Dict[str, Entry]:
        """All that is noted; nothing where no upgrade was ever begun."""
        if UPGRADE_TABLE not in self.tables():
            return {}
        found = self.rows("SELECT Step, Done, Detail FROM %s" % UPGRADE_TABLE)
        return {step: Entry(bool(done), json.loads(detail or "null")) for step, done, detail in found}

    def entry(self, step: str) -> Optional[Entry]:
        """One step's entry, or None."""
        return self.entries().get(step)

    def detail(self, step: str) -> Any:
        """What a step remembers, or None."""
        entry = self.entry(step)
        return entry.detail if entry else None

    def is_done(self, step: str) -> bool:
        """Whether a step was completed."""
        entry = self.entry(step)
        return entry is not None and entry.done

    def note(self, step: str, detail: Any = None, done: bool = True) -> None:
        """Remember a step, in a transaction of its own."""
        self.run(lambda tx: note(tx, step, detail, done))


_NAMES = (
    "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_type = '%s' ORDER BY table_name"
)


def note(tx: Any, step: str, detail: Any = None, done: bool = True) -> None:
    """Remember a step in a transaction that does more."""
    row = (step, int(done), json.dumps(detail))
    tx.insert(UPGRADE_TABLE, ("Step", "Done", "Detail"), [row], conflict="update")


def begin_step(tx: Any, step: str) -> None:
    """Make a step's row, if it isn't there."""
    tx.insert(UPGRADE_TABLE, ("Step", "Done", "Detail"), [(step, 0, "null")], conflict="ignore")


def locked_detail(tx: Any, step: str) -> Any:
    """What a step remembers, its row locked until the transaction ends: of two upgrades one waits here."""
    found = tx.value("SELECT Detail FROM %s WHERE Step = %%s FOR UPDATE" % UPGRADE_TABLE, (step,))
    return json.loads(found or "null")
