"""What an upgrade will do, about how long it takes, and what stands in its way: read, nothing changed."""

from typing import Any, Dict, List, NamedTuple, Optional

from apel.db.backend import Backend, session
from apel.db.schema import VERSION_TABLE, VERSIONS, versions
from apel.upgrade import objects
from apel.upgrade.journal import Journal
from apel.upgrade.tables import NEW, OLD, Blueprint, Shape, shape_of

#: The step that holds the plan from the first run to the last.
BEGUN = "begun"

#: What a modest server copies and compares; many do several times as much.
ROWS_PER_SECOND = 15000

#: By which the incumbent's databases are told.
LANDMARKS = {
    "client": "EventRecords",
    "server": "HybridSuperSummaries",
    "cloud": "CloudRecords",
    "storage": "StarRecords",
    "accelerator": "AcceleratorSummaries",
    "ip": "IPRecords",
}


class TablePlan(NamedTuple):
    """A table to be made anew: its rows and bytes (the server's estimate), what changes, names kept twice."""

    table: str
    rows: int
    size: int
    changes: List[str]
    duplicates: int


class Plan(NamedTuple):
    """All of it. `foreign`: the database is the incumbent's; `begun`: an upgrade was interrupted."""

    needed: bool
    foreign: bool
    begun: bool
    version: int
    there: List[str]
    tables: List[TablePlan]
    routines: List[str]
    triggers: List[str]
    obstacles: List[str]

    @property
    def rows(self) -> int:
        """Rows to be copied, about."""
        return sum(table.rows for table in self.tables)

    @property
    def size(self) -> int:
        """Bytes needed beside those in use, about."""
        return sum(table.size for table in self.tables)

    @property
    def seconds(self) -> int:
        """How long it takes, about."""
        return len(self.tables) + self.rows // ROWS_PER_SECOND

    def as_json(self) -> Dict[str, Any]:
        """What the later runs need."""
        return {
            "tables": [table.table for table in self.tables],
            "there": self.there,
            "foreign": self.foreign,
            "version": self.version,
            "rows": self.rows,
        }


def make_plan(backend: Backend, journal: Journal, blueprint: Blueprint, schema: str) -> Plan:
    """The plan for a database, as it is now."""
    there = journal.tables()
    with session(backend) as connection:
        have = versions(backend, connection) if VERSION_TABLE in there else {}
    entries = journal.entries()
    begun = bool(entries) and "finished" not in entries
    version = have.get(schema, 0)
    needed = begun or version != VERSIONS[schema]
    shapes = {name: shape_of(journal, name) for name in blueprint.shapes if name in there}
    different = [
        name for name, shape in shapes.items() if shape.definition != blueprint.shapes[name].definition
    ]
    if not needed:
        different = []
    return Plan(
        needed=needed,
        foreign=not have and VERSION_TABLE not in there,
        begun=begun,
        version=version,
        there=sorted(shapes),
        tables=[_table(journal, name, shapes[name], blueprint.shapes[name]) for name in different],
        routines=[each.name for each in objects.own_routines(journal)] if needed else [],
        triggers=[each.name for each in objects.triggers(journal, different)],
        obstacles=_obstacles(journal, blueprint, schema, have, shapes, begun) if needed else [],
    )


def _table(journal: Journal, name: str, old: Shape, new: Shape) -> TablePlan:
    query = (
        "SELECT COALESCE(table_rows, 0), COALESCE(data_length + index_length, 0)"
        " FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s"
    )
    rows, size = journal.rows(query, name)[0]
    duplicates = 0
    if old.is_lookup:
        count = "SELECT COUNT(*) - COUNT(DISTINCT CAST(COALESCE(name, 'None') AS BINARY)) FROM `%s`" % name
        duplicates = int(journal.rows(count)[0][0])
    return TablePlan(name, int(rows), int(size), _changes(old, new), duplicates)


def _changes(old: Shape, new: Shape) -> List[str]:
    changes = []
    for column in new.columns:
        before = old.column(column.name)
        if before is None:
            changes.append("%s %s is new" % (column.name, column.type))
        elif before.type != column.type:
            changes.append("%s %s becomes %s" % (column.name, before.type, column.type))
    if old.key != new.key:
        changes.append("key (%s)" % ", ".join(new.key))
    return changes or ["indexes and collation"]


def _obstacles(
    journal: Journal,
    blueprint: Blueprint,
    schema: str,
    have: Dict[str, int],
    shapes: Dict[str, Shape],
    begun: bool,
) -> List[str]:
    found: List[Optional[str]] = [_wrong_schema(schema, have, shapes)]
    if begun:
        # The old tables were looked at when it was begun; some have gone to their places since.
        return [problem for problem in found if problem]
    there = journal.tables()
    for name, shape in shapes.items():
        wanted = blueprint.shapes[name]
        for column in shape.columns:
            if wanted.column(column.name) is None:
                found.append(
                    "%s has a column that is not ours, %s, which would be lost: move it elsewhere and drop it"
                    % (name, column.name)
                )
        if not shape.key:
            found.append("%s has no primary key" % name)
        leftover = [each for each in (NEW % name, OLD % name) if each in there]
        if leftover:
            found.append(
                "there is a table %s, of an earlier upgrade perhaps: `apeldb upgrade --drop-old` removes"
                " those, or rename it" % leftover[0]
            )
    return [problem for problem in found if problem]


def _wrong_schema(schema: str, have: Dict[str, int], shapes: Dict[str, Shape]) -> Optional[str]:
    if have and schema not in have:
        return "this is a %s database, not a %s database" % (" and ".join(sorted(have)), schema)
    if schema in have and have[schema] > VERSIONS[schema]:
        return "the database has version %d of the schema, this software only knows %d" % (
            have[schema],
            VERSIONS[schema],
        )
    if not have and LANDMARKS[schema] not in shapes:
        return "there is no table %s here, so this is no %s database that could be upgraded" % (
            LANDMARKS[schema],
            schema,
        )
    return None
