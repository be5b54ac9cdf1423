"""Names and their ids: found many at a time, remembered, and made by whoever meets them first."""

from functools import partial
from typing import TYPE_CHECKING, Dict, Iterable, Optional, Sequence, Set

from apel.db.errors import Conflict
from apelcommon.errors import Permanent

if TYPE_CHECKING:
    from apel.db.database import Database, Transaction

#: The tables whose ids `Database.ids` gives.
TABLES = (
    *("Sites", "DNs", "SubmitHosts", "MachineNames", "Queues", "VOs", "VOGroups", "VORoles"),
    *("CloudComputeServices", "FQANs"),
    *("StorageSystems", "StorageShares", "StorageMedia", "StorageClasses"),
    *("UserIdentities", "Groups", "SubGroups", "Roles"),
)

#: The name that stands for none.
NONE = "None"

MOST_REMEMBERED = 200000


def known_site(db: "Database", name: str) -> int:
    """The id of a site that an operator has named. Raises Permanent if there is none."""
    found = db.run(lambda tx: tx.value("SELECT id FROM Sites WHERE name = %s", (name,)))
    if found is None:
        raise Permanent("No site %s in this database; names are compared letter by letter." % name)
    return int(found)


class Lookups:
    """The names seen so far. Rows of lookup tables never change: ids stay true while a connection lasts."""

    def __init__(self, db: "Database") -> None:
        self._db = db
        self._known: Dict[str, Dict[str, int]] = {}

    def forget(self) -> None:
        """Look everything up again: after a fail-over or a restore, ids may be others."""
        self._known.clear()

    def ids(self, table: str, names: Iterable[Optional[str]]) -> Dict[Optional[str], int]:
        """See Database.ids."""
        if table not in TABLES:
            raise ValueError("%s is no lookup table" % table)
        wanted = set(names)
        texts = {NONE if name is None else name for name in wanted}
        known = self._known.setdefault(table, {})
        while texts - known.keys():
            if len(known) + len(texts) > MOST_REMEMBERED:
                known.clear()
            missing = texts - known.keys()
            found_now = self._db.on_one_connection(partial(self._find_or_make, table, missing))
            # Another one, if a new connection had to be made meanwhile.
            known = self._known.setdefault(table, {})
            known.update(found_now)
        found: Dict[Optional[str], int] = {text: known[text] for text in texts}
        if None in wanted:
            found[None] = known[NONE]
        return found

    def _find_or_make(self, table: str, names: Set[str]) -> Dict[str, int]:
        # In order, so that two writers with the same new names don't lock them crosswise.
        ordered = sorted(names)
        found = self._db.run(lambda tx: _select(tx, table, ordered))
        new = [name for name in ordered if name not in found]
        if new:
            found.update(self._db.run(lambda tx: _make(tx, table, new)))
        return found


def _make(tx: "Transaction", table: str, names: Sequence[str]) -> Dict[str, int]:
    tx.insert(_quoted(table), ("name",), [(name,) for name in names], conflict="ignore")
    found = _select(tx, table, names)
    if len(found) != len(names):
        raise Conflict("a new name in %s is not to be seen yet" % table)
    return found


def _select(tx: "Transaction", table: str, names: Sequence[str]) -> Dict[str, int]:
    query = "SELECT name, id FROM %s WHERE name IN" % _quoted(table)
    return {name: int(number) for name, number in tx.rows_among(query, names)}


def _quoted(table: str) -> str:
    """Groups is a word of MySQL 8."""
    return "`%s`" % table
