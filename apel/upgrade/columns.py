"""How an old row becomes one of ours: an expression for each column, and which of two rows wins."""

from typing import List, NamedTuple, Sequence, Tuple

from apel.upgrade.journal import IDS_TABLE
from apel.upgrade.tables import Column, Shape

#: Which table has the names of an id.
LOOKUPS = {
    "SiteID": "Sites",
    "GlobalUserNameID": "DNs",
    "PublisherDNID": "DNs",
    "VOID": "VOs",
    "VOGroupID": "VOGroups",
    "VORoleID": "VORoles",
    "SubmitHostID": "SubmitHosts",
    "SubmitHostId": "SubmitHosts",
    "CEID": "SubmitHosts",
    "MachineNameID": "MachineNames",
    "QueueID": "Queues",
    "CloudComputeServiceID": "CloudComputeServices",
    "FQANID": "FQANs",
    "StorageSystemID": "StorageSystems",
    "StorageShareID": "StorageShares",
    "StorageMediaID": "StorageMedia",
    "StorageClassID": "StorageClasses",
    "UserIdentityID": "UserIdentities",
    "GroupID": "Groups",
    "SubGroupID": "SubGroups",
    "RoleID": "Roles",
}

#: The default of columns that are part of a key and may be unknown.
NONE = "None"

#: In the place of a date of zeros where there must be one. `o` is the old row.
FALLBACKS = {
    ("BlahdRecords", "TimeStamp"): "o.ValidFrom + INTERVAL 1 DAY",
    ("EventRecords", "StartTime"): "o.EndTime - INTERVAL o.WallDuration SECOND",
    ("JobRecords", "StartTime"): "o.EndTime - INTERVAL o.WallDuration SECOND",
}
FIRST_DATE, FIRST_STAMP = "'1970-01-01 00:00:00'", "'1970-01-01 00:00:01'"


#: A part of a user's name that is `issuer subject`, of a token; NULL for others.
_OF_TOKEN = (
    "(SELECT {0} FROM DNs d WHERE d.id = o.GlobalUserNameID"
    " AND SUBSTR(d.name, 1, 8) = 'https://' AND INSTR(d.name, ' ') > 9)"
)

#: What there is to say of a column that old tables don't have; the DN with this id is made by carry_over.
#: Those of JobRecords are the same SQL for every database.
FILLS = {
    ("JobRecords", "TokenIssuer"): _OF_TOKEN.format("SUBSTR(d.name, 1, INSTR(d.name, ' ') - 1)"),
    ("JobRecords", "TokenSubject"): _OF_TOKEN.format("SUBSTR(d.name, INSTR(d.name, ' ') + 1)"),
    ("StarRecords", "UpdateTime"): "GREATEST(COALESCE(%s, {0}), {0})".format(FIRST_STAMP)
    % "IF(DAYOFMONTH(o.CreateTime) = 0, NULL, o.CreateTime)",
    ("StarRecords", "PublisherDNID"): "1",
}


#: The incumbent's joiner has looked at all grid records and never noted it. Its table has no machine names.
PROCESSED = ("BlahdRecords", "Processed")


class Fold(NamedTuple):
    """Which of two rows with one key stays: the one read later where `wins` is true, or else the other.

    `last`: the columns that the condition looks at, which therefore change last. {t} is the new table.
    `adds`: neither; they are sums of different jobs, and become one sum.
    """

    wins: str
    last: Tuple[str, ...] = ()
    adds: bool = False


LATER = Fold("VALUES(UpdateTime) >= {t}.UpdateTime", ("UpdateTime",))
FIRST = Fold("0")
ADDED = Fold("0", adds=True)
FOLDS = {
    # The job that came furthest, and the value in force.
    "EventRecords": Fold("VALUES(Status) > {t}.Status", ("Status",)),
    "SpecRecords": Fold("VALUES(StopTime) IS NULL AND {t}.StopTime IS NOT NULL", ("StopTime",)),
    "HybridSuperSummaries": ADDED,
    "SuperSummaries": ADDED,
    "CloudSummaries": ADDED,
}

#: What is added up, as far as a table has it.
SUMMED = (
    "NumberOfJobs",
    "WallDuration",
    "CpuDuration",
    "NormalisedWallDuration",
    "NormalisedCpuDuration",
    "NumberOfVMs",
    "NetworkInbound",
    "NetworkOutbound",
    "Memory",
    "Disk",
    "ResourceCapacityUsed",
)


def fold(table: str, names: Sequence[str]) -> Fold:
    """The rule of a table; where there is no other, the row written last stays, or the first one met."""
    return FOLDS.get(table) or (LATER if "UpdateTime" in names else FIRST)


class Mapping(NamedTuple):
    """The new columns that old rows can fill, an expression for each, and the joins they need."""

    columns: List[str]
    expressions: List[str]
    joins: List[str]


def mapping(table: str, old: Shape, new: Shape, merged: Sequence[str]) -> Mapping:
    """merged: the lookup tables in which names have lost some of their ids. Old rows are called `o`."""
    found = Mapping([], [], [])
    for column in new.columns:
        source = old.column(column.name)
        if source is None:
            if (table, column.name) in FILLS:
                found.columns.append(column.name)
                found.expressions.append(FILLS[table, column.name])
            continue
        lookup = LOOKUPS.get(column.name)
        if (table, column.name) == PROCESSED and old.column("MachineNameID") is None:
            expression = "1"
        elif lookup in merged and not source.is_text:
            alias = "i%d" % len(found.joins)
            found.joins.append(
                "LEFT JOIN {ids} {i} ON {i}.LookupTable = '{lookup}' AND {i}.OldId = o.`{name}`".format(
                    ids=IDS_TABLE, i=alias, lookup=lookup, name=source.name
                )
            )
            expression = "COALESCE(%s.NewId, o.`%s`)" % (alias, source.name)
        else:
            expression = _expression(table, source, column)
        found.columns.append(column.name)
        found.expressions.append(expression)
    return found


def _expression(table: str, old: Column, new: Column) -> str:
    value = "o.`%s`" % old.name
    if old.is_time:
        value = "IF(DAYOFMONTH({0}) = 0 OR MONTH({0}) = 0, NULL, {0})".format(value)
    elif is_clipped(old, new):
        # An absurd number of an old table, which would be refused.
        value = "IF({0} < 0, {1}, {0})".format(value, "NULL" if new.null else "0")
    elif new.is_text and not new.null and new.default == NONE:
        # An empty key column is how the server stored what was absent, where it was not strict.
        value = "NULLIF(%s, '')" % value
    if new.null:
        return value
    if not (old.null or value.startswith(("IF(DAY", "NULLIF"))):
        return value
    return "COALESCE(%s)" % ", ".join([value, *_substitutes(table, new)])


def is_clipped(old: Column, new: Column) -> bool:
    """Whether numbers below zero could be kept and now can't."""
    return new.type.endswith("unsigned") and not old.type.endswith("unsigned")


def _substitutes(table: str, new: Column) -> List[str]:
    if new.is_time:
        fallback = FALLBACKS.get((table, new.name))
        first = FIRST_STAMP if new.type.startswith("timestamp") else FIRST_DATE
        return ["IF(DAYOFMONTH({0}) > 0, {0}, NULL)".format(fallback), first] if fallback else [first]
    if new.is_text:
        return ["'%s'" % (new.default or "")]
    return ["0"]


def on_duplicate(table: str, target: str, columns: Sequence[str]) -> str:
    """The end of an INSERT into `target` that keeps the row which the table's rule wants."""
    rule = fold(table, columns)
    if rule.adds:
        changes = [change for change in (_added(target, name) for name in columns) if change]
        return "ON DUPLICATE KEY UPDATE " + ", ".join(changes)
    ordered = [name for name in columns if name not in rule.last] + list(rule.last)
    wins = rule.wins.format(t="`%s`" % target)
    changes = [
        "`{t}`.`{c}` = IF({w}, VALUES(`{c}`), `{t}`.`{c}`)".format(t=target, c=c, w=wins) for c in ordered
    ]
    return "ON DUPLICATE KEY UPDATE " + ", ".join(changes)


#: NULL says nothing, so the other value stands.
EXTREME = "`{t}`.`{c}` = %s(COALESCE(`{t}`.`{c}`, VALUES(`{c}`)), COALESCE(VALUES(`{c}`), `{t}`.`{c}`))"


def _added(target: str, name: str) -> str:
    if name in SUMMED:
        template = "`{t}`.`{c}` = COALESCE(`{t}`.`{c}`, 0) + COALESCE(VALUES(`{c}`), 0)"
    elif name.startswith("Earliest"):
        template = EXTREME % "LEAST"
    elif name.startswith("Latest") or name == "UpdateTime":
        template = EXTREME % "GREATEST"
    else:
        return ""
    return template.format(t=target, c=name)
