"""Turns an older database, the incumbent's or one of ours, into today's schema, in place.

Each table that differs gets a new one beside it, which is filled in chunks; then all change places in one
statement. So the old data stay as they are until everything has been compared, the new tables are what
`apeldb init` makes, and the way back is a renaming. No table is locked and no big one altered: a cluster
goes on.

MariaDB and MySQL can't undo changes of tables. Therefore the work is a list of steps, each of which may be
repeated, and the journal (apel/upgrade/journal.py) says which are done.
"""

import logging
from functools import partial
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

from apel.db import Unusable
from apel.db.backend import Backend, session
from apel.db.schema import UPGRADE_TABLE, VERSION_TABLE, expected, write_version
from apel.upgrade import objects
from apel.upgrade.carry import CARRIED, carry_over
from apel.upgrade.columns import fold
from apel.upgrade.copying import TableCopy, copy_step, fill_lookup
from apel.upgrade.journal import IDS_TABLE, Journal, note
from apel.upgrade.plan import BEGUN, Plan, make_plan
from apel.upgrade.tables import NEW, OLD, Blueprint, Shape, partitions, shape_of
from apel.upgrade.totals import Totals, differences, kept_rows, query_for, totals
from apelcommon.errors import ServiceError
from apelcommon.progress import Progress

log = logging.getLogger(__name__)

SAVED, CHECKED, SWAPPED, FINISHED, GOING_BACK = "saved", "checked", "swapped", "finished", "going back"


class TableReport(NamedTuple):
    """A table: rows before and after, and rows of equal keys that became one."""

    table: str
    before: int
    after: int
    folded: int


class Changed(ServiceError):
    """Somebody has written to the old tables while they were being copied."""


class Upgrade:
    """One upgrade of one database; `run` goes on where an earlier one was interrupted."""

    def __init__(self, backend: Backend, schema: str) -> None:
        self.backend = backend
        self.schema = schema
        self.journal = Journal(backend, schema)
        self.blueprint = Blueprint(backend, self.journal, schema)

    def plan(self) -> Plan:
        """What there is to do; nothing is changed."""
        return make_plan(self.backend, self.journal, self.blueprint, self.schema)

    def run(self) -> None:
        """Do what is left to do. Raises Unusable for what an admin must do first, Changed, Transient."""
        if self.journal.is_done(GOING_BACK):
            raise Unusable("A way back was begun: run `apeldb upgrade --roll-back` again.")
        plan = self.plan()
        if plan.obstacles:
            raise Unusable("Nothing was changed: " + "; ".join(plan.obstacles))
        if not plan.needed:
            return
        self._begin(plan)
        self._work = self.journal.detail(BEGUN)
        self._step(SAVED, self._save)
        if not self.journal.is_done(CHECKED):
            self._fill()
        self._step(SWAPPED, self._swap)
        self._complete()

    def _begin(self, plan: Plan) -> None:
        if not plan.begun:
            self._forget_journal()
        self.journal.open()
        if not self.journal.is_done(BEGUN):
            self.journal.note(BEGUN, plan.as_json())

    def _step(self, name: str, work: Callable[[], Any]) -> None:
        if not self.journal.is_done(name):
            self.journal.note(name, work())

    # -- what must not be lost ------------------------------------------------------------------

    def _save(self) -> Dict[str, List[objects.Saved]]:
        return {
            "views": objects.views(self.journal, list(expected(self.schema)[1])),
            "routines": objects.own_routines(self.journal),
            "triggers": objects.triggers(self.journal, self._tables()),
        }

    def _saved(self, what: str) -> List[objects.Saved]:
        return [objects.saved(row) for row in self.journal.detail(SAVED)[what]]

    def _tables(self) -> List[str]:
        return list(self._work["tables"])

    # -- new tables beside the old ----------------------------------------------------------------

    def _fill(self) -> None:
        shapes = {table: shape_of(self.journal, table) for table in self._tables()}
        for table in self._tables():
            if not self.journal.is_done(copy_step(table)):
                self._make_new(table)
        lookups = [table for table in self._tables() if shapes[table].is_lookup]
        for table in lookups:
            self._step(copy_step(table), partial(self._fill_lookup, table))
        merged = [table for table in lookups if self.journal.detail(copy_step(table))["merged"]]
        others = [table for table in self._tables() if table not in lookups]
        with Progress("Copying", self._work["rows"], "rows") as progress:
            for table in others:
                new = self.blueprint.shapes[table]
                TableCopy(self.journal, table, shapes[table], new, merged).run(progress.advance)
        try:
            self._step(CHECKED, lambda: self._check(others, shapes, merged))
        except Changed:
            # The rows that came may have brought new names.
            for table in lookups:
                self._forget_copy(table)
            raise

    def _make_new(self, table: str) -> None:
        self.journal.execute(self.blueprint.create(table, NEW % table))
        clause = self.journal.run(lambda tx: partitions(tx, table))
        if clause and not self.journal.run(lambda tx: partitions(tx, NEW % table)):
            self.journal.execute("ALTER TABLE `%s` %s" % (NEW % table, clause))

    def _fill_lookup(self, table: str) -> Dict[str, int]:
        rows, merged = self.journal.run(lambda tx: fill_lookup(tx, table))
        return {"rows": rows, "merged": merged}

    # -- whether all is there -----------------------------------------------------------------------

    def _check(
        self, tables: Sequence[str], shapes: Dict[str, Shape], merged: Sequence[str]
    ) -> Dict[str, Any]:
        """Compare each old table with its new one; the totals of both in all, by table."""
        report: Dict[str, Any] = {}
        for table in tables:
            report[table] = self._compare(table, shapes[table], merged)
        return report

    def _compare(self, table: str, old: Shape, merged: Sequence[str]) -> Dict[str, Any]:
        new = self.blueprint.shapes[table]
        query = query_for(old, new)
        sites = "Sites" if "Sites" in self._tables() else ""
        before = totals(self.journal, table, query, sites or "Sites")
        after = totals(self.journal, NEW % table, query, NEW % sites if sites else "Sites")
        folded = _sum(before)[0] - _sum(after)[0]
        expected_now = before
        if folded and fold(table, old.names).adds:
            # Sums that became one: nothing but the number of rows may differ.
            expected_now = {group: [rows[0], *sums[1:]] for (group, sums), rows in _paired(before, after)}
        elif folded:
            source = kept_rows(table, old, new, merged)
            expected_now = totals(self.journal, table, query, sites or "Sites", source)
        wrong = differences(expected_now, after, query)
        if wrong:
            self._forget_copy(table)
            raise Changed(
                "%s was written to while it was copied (%s). Nothing has been replaced; stop parser, client"
                " and loader, and run the upgrade again: this table will be copied anew."
                % (table, "; ".join(wrong))
            )
        return {
            "before": _sum(before)[0],
            "after": _sum(after)[0],
            "groups": len(after),
            "sums": dict(zip(query.sums, _sum(after)[1:])),
            "sums before": dict(zip(query.sums, _sum(before)[1:])),
        }

    def _forget_copy(self, table: str) -> None:
        """Let the next run copy the table again."""
        self.journal.run(
            lambda tx: tx.execute("DELETE FROM %s WHERE Step = %%s" % UPGRADE_TABLE, (copy_step(table),))
        )
        self.journal.execute("DROP TABLE IF EXISTS `%s`" % (NEW % table))

    # -- the new ones take their places ---------------------------------------------------------------

    def _swap(self) -> None:
        there = set(self.journal.tables())
        moves = [
            "`{0}` TO `{1}`, `{2}` TO `{0}`".format(table, OLD % table, NEW % table)
            for table in self._tables()
            if NEW % table in there and table in there
        ]
        # A server that died in the middle of the statement below may have moved a table away and no more.
        moves += [
            "`{1}` TO `{0}`".format(table, NEW % table)
            for table in self._tables()
            if NEW % table in there and table not in there
        ]
        if moves:
            objects.drop(self.journal, self._saved("triggers"))
            self.journal.execute("RENAME TABLE " + ", ".join(moves))

    def _complete(self) -> None:
        self._step("late writers", self._find_late_writers)
        self._step("routines", lambda: objects.drop(self.journal, self._saved("routines")))
        self._step("views", self._make_rest)
        self._step("triggers", lambda: objects.make_again(self.journal, self._saved("triggers")))
        if self._work["foreign"] and not self.journal.is_done(CARRIED):
            carry_over(self.journal, self.schema)
        self._step("broken views", lambda: objects.broken_views(self.journal, list(expected(self.schema)[1])))
        with session(self.backend) as connection:
            self.backend.begin(connection)
            write_version(self.backend, connection, self.schema)
            self.backend.commit(connection)
        self._step(FINISHED, lambda: None)

    def _find_late_writers(self) -> None:
        """Between the comparison and the renaming somebody may have written; from then on nobody could."""
        for table, noted in self.journal.detail(CHECKED).items():
            rows = int(self.journal.rows("SELECT COUNT(*) FROM `%s`" % (OLD % table))[0][0])
            if rows != noted["before"]:
                raise Changed(
                    "%s: a program wrote to it in the last moment (%d rows, %d were compared). Stop all"
                    " programs, go back with `apeldb upgrade --roll-back`, and begin again."
                    % (table, rows, noted["before"])
                )

    def _make_rest(self) -> None:
        with session(self.backend) as connection:
            self.backend.make_schema(connection, self.schema)

    # -- afterwards -------------------------------------------------------------------------------------

    def report(self) -> List[TableReport]:
        """What became of each table."""
        lines = []
        for step, entry in sorted(self.journal.entries().items()):
            if step.startswith("copy:") and entry.detail and "merged" in entry.detail:
                rows, merged = entry.detail["rows"], entry.detail["merged"]
                lines.append(TableReport(step[len("copy:") :], rows, rows - merged, merged))
        for table, noted in sorted((self.journal.detail(CHECKED) or {}).items()):
            before, after = noted["before"], noted["after"]
            lines.append(TableReport(table, before, after, before - after))
        return lines

    def differences(self) -> List[str]:
        """In what the tables differ from those that `apeldb init` makes, as the server writes them down."""
        there = self.journal.tables()
        wrong = []
        for table, wanted in sorted(self.blueprint.shapes.items()):
            if table not in there:
                wrong.append("%s is missing" % table)
                continue
            found = shape_of(self.journal, table)
            if found.definition != wanted.definition:
                wrong.append("%s is not as it should be: %s" % (table, _first_difference(found, wanted)))
        return wrong

    def roll_back(self) -> List[str]:
        """Put the old tables, views, routines and triggers back in place; what could not be made again.

        What was stored since the upgrade is lost with the new tables. May be repeated.
        """
        saved, work = self.journal.detail(SAVED), self.journal.detail(BEGUN)
        if saved is None:
            raise Unusable("There is no upgrade here that could be undone.")
        self.journal.run(self._note_going_back)
        self._put_back(work["tables"])
        kept = {each.name for each in map(objects.saved, saved["views"])}
        new_views = [name for name in expected(self.schema)[1] if name not in kept]
        objects.drop(self.journal, [objects.Saved("VIEW", name, "") for name in new_views])
        failed: List[str] = []
        for what in ("routines", "views", "triggers"):
            failed += objects.make_again(self.journal, [objects.saved(row) for row in saved[what]])
        self._drop_new(work)
        self._forget_journal()
        return failed

    def _note_going_back(self, tx: Any) -> None:
        tx.execute("DELETE FROM %s WHERE Step = 'finished'" % UPGRADE_TABLE)
        note(tx, GOING_BACK)

    def _put_back(self, tables: Sequence[str]) -> None:
        there = set(self.journal.tables())
        moves = []
        for table in tables:
            if OLD % table in there:
                if table in there:
                    moves.append("`%s` TO `%s`" % (table, NEW % table))
                moves.append("`%s` TO `%s`" % (OLD % table, table))
        if moves:
            self.journal.execute("RENAME TABLE " + ", ".join(moves))

    def _drop_new(self, work: Dict[str, Any]) -> None:
        if VERSION_TABLE in work["there"]:
            later = "DELETE FROM %s WHERE SchemaName = %%s AND Version > %%s" % VERSION_TABLE
            self.journal.run(lambda tx: tx.execute(later, (self.schema, work["version"])))
        added = [table for table in self.blueprint.shapes if table not in work["there"]]
        for table in [NEW % table for table in work["tables"]] + added:
            self.journal.execute("DROP TABLE IF EXISTS `%s`" % table)

    def _forget_journal(self) -> None:
        for table in (IDS_TABLE, UPGRADE_TABLE):
            self.journal.execute("DROP TABLE IF EXISTS `%s`" % table)

    def drop_old(self) -> List[str]:
        """Remove the old tables and the journal, after which there is no way back; the names of what went."""
        if not self.journal.entries():
            return []
        if not self.journal.is_done(FINISHED):
            raise Unusable("The upgrade is not complete: run `apeldb upgrade` first.")
        there = self.journal.tables()
        gone = [name for name in (OLD % table for table in self.blueprint.shapes) if name in there]
        for name in gone:
            self.journal.execute("DROP TABLE IF EXISTS `%s`" % name)
        self._forget_journal()
        return gone


def _sum(found: Dict[Tuple[Any, ...], List[int]]) -> List[int]:
    columns = list(zip(*found.values()))
    return [sum(column) for column in columns] if columns else [0] * 10


def _paired(before: Totals, after: Totals) -> List[Tuple[Tuple[Any, List[int]], List[int]]]:
    """Each of the totals before, with those after of the same site and month."""
    return [((group, sums), after.get(group, sums)) for group, sums in before.items()]


def _first_difference(found: Shape, wanted: Shape) -> str:
    mine, ours = found.definition.split("\n"), wanted.definition.split("\n")
    lacks = [line.strip(" ,") for line in ours if line not in mine]
    has = [line.strip(" ,") for line in mine if line not in ours]
    return "has %s, should have %s" % ("; ".join(has) or "nothing more", "; ".join(lacks) or "nothing more")
