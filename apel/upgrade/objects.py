"""Views, stored routines and triggers: written down before they go, so that they can come back."""

from typing import Any, Dict, List, NamedTuple, Sequence

from apel.db import Unusable
from apel.upgrade.journal import Journal
from apelcommon.errors import ServiceError

_LOOKUPS = (
    "Site", "DN", "SubmitHost", "MachineName", "Queue", "VO", "VORole", "VOGroup", "CloudComputeService",
    "StorageSystem", "StorageShare", "StorageMedia", "StorageClass", "UserIdentity", "Group", "SubGroup",
    "Role",
)  # fmt: skip

#: The routines of the incumbent's schemas; an admin's own stay.
ROUTINES = frozenset(
    [name + "Lookup" for name in _LOOKUPS]
    + [
        "CleanProcessedFiles",
        "CopyNormalisedSummaries",
        "CreateCloudSummaries",
        "InsertBlahdRecord",
        "InsertEventRecord",
        "InsertGroupAttribute",
        "InsertStarRecord",
        "JoinJobRecords",
        "LocalJobs",
        "NormaliseSummaries",
        "ReplaceCloudRecord",
        "ReplaceCloudSummaryRecord",
        "ReplaceEventRecord",
        "ReplaceGroupAttribute",
        "ReplaceJobRecord",
        "ReplaceNormalisedSummary",
        "ReplaceProcessedFile",
        "ReplaceStarRecord",
        "ReplaceSummary",
        "ReplaceSyncRecord",
        "SpecLookup",
        "SpecUpdate",
        "SummariseJobs",
        "SummariseVMs",
        "UpdateTimestamp",
    ]
)


class Saved(NamedTuple):
    """The statement that makes an object again; '' where the server doesn't show it to this account."""

    kind: str
    name: str
    sql: str


def saved(row: Sequence[Any]) -> Saved:
    """As it was written down."""
    return Saved(*row)


def own_routines(journal: Journal) -> List[Saved]:
    """The incumbent's stored routines that are here."""
    query = (
        "SELECT routine_type, routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()"
        " ORDER BY routine_name"
    )
    return [
        Saved(kind, name, _shown(journal, "SHOW CREATE %s `%s`" % (kind, name), 2))
        for kind, name in journal.rows(query)
        if name in ROUTINES
    ]


def triggers(journal: Journal, tables: Sequence[str]) -> List[Saved]:
    """The triggers of some tables; all of them are somebody's own."""
    query = (
        "SELECT event_object_table, trigger_name FROM information_schema.triggers"
        " WHERE trigger_schema = DATABASE() ORDER BY action_order"
    )
    return [
        Saved("TRIGGER", name, _shown(journal, "SHOW CREATE TRIGGER `%s`" % name, 2))
        for table, name in journal.rows(query)
        if table in tables
    ]


def views(journal: Journal, names: Sequence[str]) -> List[Saved]:
    """Those of some views that are here."""
    return [
        Saved("VIEW", name, _shown(journal, "SHOW CREATE VIEW `%s`" % name, 1))
        for name in journal.views()
        if name in names
    ]


def _shown(journal: Journal, sql: str, column: int) -> str:
    return journal.rows(sql)[0][column] or ""


def drop(journal: Journal, objects: Sequence[Saved]) -> None:
    """Remove what is still there of them."""
    for each in objects:
        journal.execute("DROP %s IF EXISTS `%s`" % (each.kind, each.name))


def make_again(journal: Journal, objects: Sequence[Saved]) -> List[str]:
    """Make them as they were; those that could not be made, each with the reason."""
    failed = []
    for each in objects:
        journal.execute("DROP %s IF EXISTS `%s`" % (each.kind, each.name))
        try:
            if not each.sql:
                raise Unusable("the server had not shown its text to this account")
            journal.execute(each.sql)
        except ServiceError as err:
            failed.append("%s %s could not be made again: %s" % (each.kind.lower(), each.name, err))
    return failed


def broken_views(journal: Journal, known: Sequence[str]) -> Dict[str, str]:
    """Views beside `known` that can't be read (any more), each with the reason."""
    broken = {}
    for name in journal.views():
        if name not in known:
            try:
                journal.rows("SELECT 1 FROM `%s` LIMIT 0" % name.replace("%", "%%"))
            except ServiceError as err:
                broken[name] = str(err)
    return broken
