"""Brings a SQLite file of an earlier version to today's schema: all in one transaction, or nothing."""

import re
from typing import Any, Dict, List

from apel.db import Unusable
from apel.db.backend import Backend, session
from apel.db.schema import VERSION_TABLE, VERSIONS, expected, versions, write_version
from apel.upgrade.columns import FILLS
from apel.upgrade.tables import NEW

_CREATE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?\"?(\w+)\"?\s*(\(.*)", re.DOTALL)


def is_old(backend: Backend, schema: str) -> bool:
    """Whether the file holds an earlier version of the schema. Raises Unusable for something else."""
    if not backend.exists():
        return False
    with session(backend) as connection:
        if VERSION_TABLE not in backend.relations(connection):
            raise Unusable("%s holds no schema of ours, so there is nothing to upgrade." % backend)
        have = versions(backend, connection)
    if schema not in have:
        raise Unusable(
            "%s is a %s database, not a %s database." % (backend, " and ".join(sorted(have)), schema)
        )
    if have[schema] > VERSIONS[schema]:
        raise Unusable("%s has version %d of the schema: install newer software." % (backend, have[schema]))
    return have[schema] < VERSIONS[schema]


def upgrade_file(backend: Backend, schema: str) -> List[str]:
    """Make again the tables that differ; their names. Raises Unusable, having changed nothing."""
    with session(backend) as connection:
        backend.begin(connection)
        try:
            made = _rebuild(backend, connection, schema)
            backend.make_schema(connection, schema)
            write_version(backend, connection, schema)
        except BaseException:
            backend.rollback(connection)
            raise
        backend.commit(connection)
    return made


def _rebuild(backend: Backend, connection: Any, schema: str) -> List[str]:
    for view in expected(schema)[1]:
        backend.execute(connection, "DROP VIEW IF EXISTS %s" % view, ())
    found = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
    bodies = _bodies(sql for _, sql in backend.execute(connection, found, ()).fetchall() if sql)
    wanted = _bodies(backend.schema_statements(connection, schema))
    different = [table for table in wanted if table in bodies and bodies[table] != wanted[table]]
    for table in different:
        _make_again(backend, connection, table, wanted[table])
    return different


def _bodies(statements: Any) -> Dict[str, str]:
    """What follows the name in each CREATE TABLE."""
    found = (_CREATE.match(statement) for statement in statements)
    return {match.group(1): match.group(2) for match in found if match}


def _make_again(backend: Backend, connection: Any, table: str, body: str) -> None:
    target = NEW % table
    backend.execute(connection, "CREATE TABLE %s %s" % (target, body.replace("%", "%%")), ())
    relations = backend.relations(connection)
    lost = [name for name in relations[table] if name not in relations[target]]
    if lost:
        raise Unusable("%s has a column that is not ours, %s, which would be lost." % (table, lost[0]))
    filled = [name for name in relations[target] if (table, name) in FILLS and name not in relations[table]]
    names = ", ".join([*relations[table], *filled])
    values = ", ".join([*relations[table], *(FILLS[table, name] for name in filled)])
    backend.execute(
        connection, "INSERT INTO %s (%s) SELECT %s FROM %s o" % (target, names, values, table), ()
    )
    backend.execute(connection, "DROP TABLE %s" % table, ())
    backend.execute(connection, "ALTER TABLE %s RENAME TO %s" % (target, table), ())
