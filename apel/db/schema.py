"""The versions of our schemas: making one, and finding out what a database lacks."""

import logging
from typing import Any, Dict, List, Tuple

from apel.db.backend import Backend, session
from apel.db.errors import Unusable
from apelcommon import __version__

log = logging.getLogger(__name__)

#: The version of each schema that this software works with. Older ones, and the incumbent's, need an upgrade.
VERSIONS: Dict[str, int] = {
    "client": 2,
    "server": 2,
    "cloud": 2,
    "storage": 3,
    "accelerator": 1,
    "ip": 1,
}

#: Schemas that may be in one database: they have some tables in common, which are the same in all of them.
CENTRE = frozenset(["server", "cloud", "storage", "accelerator", "ip"])

VERSION_TABLE = "SchemaVersion"
#: The journal of an upgrade (apel/upgrade), there until the old tables are dropped.
UPGRADE_TABLE = "SchemaUpgrade"


def expected(schema: str) -> Tuple[Dict[str, List[str]], Dict[str, List[str]]]:
    """The tables and the views a schema has, each with its columns in order."""
    from apel.db.sqlite import blueprint

    return blueprint(schema)


def problems(backend: Backend, connection: Any, schema: str) -> List[str]:
    """What a database lacks, or has otherwise than the schema; empty if it may be used."""
    found = backend.relations(connection)
    wrong: List[str] = []
    tables, views = expected(schema)
    for name, columns in [*tables.items(), *views.items()]:
        if name not in found:
            wrong.append("%s is missing" % name)
        elif found[name] != columns:
            wrong += _differences(name, columns, found[name])
    version = versions(backend, connection).get(schema) if VERSION_TABLE in found else None
    if version is None:
        wrong.append("nothing says that schema %s was completed here" % schema)
    elif version != VERSIONS[schema]:
        wrong.append("schema %s has version %d, not %d" % (schema, version, VERSIONS[schema]))
    return wrong


def _differences(name: str, wanted: List[str], found: List[str]) -> List[str]:
    wrong = ["%s lacks column %s" % (name, column) for column in wanted if column not in found]
    wrong += ["%s has an unknown column %s" % (name, column) for column in found if column not in wanted]
    return wrong or ["the columns of %s stand in another order: %s" % (name, ", ".join(found))]


def versions(backend: Backend, connection: Any) -> Dict[str, int]:
    """The schemas this database holds, each with its version."""
    query = "SELECT SchemaName, MAX(Version) FROM %s GROUP BY SchemaName" % VERSION_TABLE
    return {name: int(version) for name, version in backend.execute(connection, query, ()).fetchall()}


def is_there(backend: Backend, connection: Any, schema: str) -> bool:
    """Whether the database holds this version of the schema. Raises Unusable if it holds something else."""
    found = backend.relations(connection)
    if upgrade_is_open(backend, connection, found):
        raise Unusable("An upgrade of %s was begun and is not complete: run `apeldb upgrade`." % backend)
    if VERSION_TABLE not in found:
        return False
    have = versions(backend, connection)
    if have and schema not in have and not CENTRE.issuperset([schema, *have]):
        raise Unusable(
            "This is a %s database, and the program needs a %s database: check [db] name."
            % (" and ".join(sorted(have)), schema)
        )
    if schema in have and have[schema] != VERSIONS[schema]:
        raise Unusable(
            "The database has version %d of schema %s, this software works with version %d: %s."
            % (have[schema], schema, VERSIONS[schema], _advice(have[schema], schema))
        )
    return schema in have


def _advice(version: int, schema: str) -> str:
    return "run `apeldb upgrade`" if version < VERSIONS[schema] else "install a newer one"


def upgrade_is_open(backend: Backend, connection: Any, found: Dict[str, List[str]]) -> bool:
    """Whether an upgrade was begun here and is not complete."""
    if UPGRADE_TABLE not in found:
        return False
    query = "SELECT COUNT(*) FROM %s WHERE Step = 'finished'" % UPGRADE_TABLE
    return not backend.execute(connection, query, ()).fetchone()[0]


def _foreign(backend: Backend, connection: Any, schema: str) -> List[str]:
    """What is in the way of making the schema: tables of its names that another software has made.

    Columns alone don't tell: the incumbent's tables have the same ones with other keys. But in a schema of
    ours the version table is made first.
    """
    found = backend.relations(connection)
    mine = {name: columns for name, columns in expected(schema)[0].items() if name in found}
    if mine and VERSION_TABLE not in found:
        return ["%s without a %s" % (", ".join(sorted(mine)), VERSION_TABLE)]
    wrong: List[str] = []
    for name, columns in mine.items():
        if found[name] != columns:
            wrong += _differences(name, columns, found[name])
    return wrong


def make(backend: Backend, connection: Any, schema: str) -> bool:
    """Make what is missing of a schema, in the open transaction; False if nothing was.

    May be repeated, and goes on where it was interrupted: the version row comes last. Raises Unusable, having
    changed nothing, where tables of another make have our names.
    """
    if is_there(backend, connection, schema) and not problems(backend, connection, schema):
        return False
    wrong = _foreign(backend, connection, schema)
    if wrong:
        raise Unusable(
            "Nothing was changed: there are tables of another version here (%s). Use an empty database, or"
            " upgrade this one with `apeldb upgrade`." % "; ".join(wrong)
        )
    backend.make_schema(connection, schema)
    write_version(backend, connection, schema)
    return True


def write_version(backend: Backend, connection: Any, schema: str) -> None:
    """Say that today's version of a schema is complete here."""
    row = (schema, VERSIONS[schema], __version__)
    backend.insert(connection, VERSION_TABLE, ("SchemaName", "Version", "Software"), [row], "ignore")


def _make_now(backend: Backend, connection: Any, schema: str) -> bool:
    backend.begin(connection)
    try:
        made = make(backend, connection, schema)
    except BaseException:
        backend.rollback(connection)
        raise
    backend.commit(connection)
    return made


def prepare(backend: Backend, connection: Any, schema: str) -> None:
    """What is done at the first connection: SQLite makes its schema, all others must have it."""
    if is_there(backend, connection, schema):
        return
    if not backend.makes_itself:
        raise Unusable(
            "%s has no %s schema%s: run `apeldb init --schema %s` with this configuration, or `apeldb"
            " upgrade` if it is one of APEL 2." % (backend, schema, _others(backend, connection), schema)
        )
    # Whoever is first makes it; others wait for its lock, and find it made.
    _make_now(backend, connection, schema)


def prepare_any(backend: Backend, connection: Any, schema: str) -> None:
    """The same for whom any schema of the centre will do where a server has not this one."""
    if backend.makes_itself or not _of_centre(backend, connection):
        prepare(backend, connection, schema)


def _of_centre(backend: Backend, connection: Any) -> List[str]:
    """The schemas of the centre that are here. Raises Unusable if one has another version than ours."""
    if VERSION_TABLE not in backend.relations(connection):
        return []
    found = CENTRE.intersection(versions(backend, connection))
    return [schema for schema in sorted(found) if is_there(backend, connection, schema)]


def _others(backend: Backend, connection: Any) -> str:
    """What the database holds instead, as an advice."""
    if VERSION_TABLE not in backend.relations(connection):
        return " yet"
    have = sorted(versions(backend, connection))
    return " (it has %s; [db] type says which is wanted)" % " and ".join(have) if have else " yet"


def initialise(backend: Backend, schema: str) -> bool:
    """Make what is missing of a schema; False if nothing was. See make."""
    with session(backend) as connection:
        return _make_now(backend, connection, schema)


def obstacles(backend: Backend, schema: str) -> List[str]:
    """Why initialise would refuse: tables of our names with other columns."""
    if not backend.exists():
        return []
    with session(backend) as connection:
        return _foreign(backend, connection, schema)


def check(backend: Backend, schema: str) -> List[str]:
    """What a database lacks, or has otherwise than the schema; empty if it may be used."""
    if not backend.exists():
        return ["%s does not exist" % backend]
    with session(backend) as connection:
        return problems(backend, connection, schema)
