"""Whether an upgrade has lost anything: rows, jobs and seconds by site and month, before and after."""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from apel.upgrade.columns import SUMMED, fold, is_clipped, mapping
from apel.upgrade.journal import Journal
from apel.upgrade.tables import Shape

#: What the sums are told apart by, as far as a table has it: pairs of columns for year and month.
MONTHS = (("EndYear", "EndMonth"), ("Year", "Month"), ("MeasurementYear", "MeasurementMonth"))

#: (site, year, month) -> rows, then each of the sums.
Totals = Dict[Tuple[Any, ...], List[int]]


class Query(NamedTuple):
    """What is asked of a table: columns of sums, and of groups; `clipped`: negative numbers count as 0."""

    sums: List[str]
    month: Optional[Tuple[str, str]]
    site: bool
    clipped: List[str]


def query_for(old: Shape, new: Shape) -> Query:
    """What both an old and a new table can tell."""
    pairs = [(column, new.column(column.name)) for column in old.columns]
    both = [column.name for column, other in pairs if other is not None]
    clipped = [column.name for column, other in pairs if other is not None and is_clipped(column, other)]
    month = next((pair for pair in MONTHS if set(pair) <= set(both)), None)
    return Query([name for name in SUMMED if name in both], month, "SiteID" in both, clipped)


def totals(journal: Journal, table: str, query: Query, sites: str, source: str = "") -> Totals:
    """The totals of a table, by the names in the table `sites`; `source` is read in the table's place."""
    groups = ["CAST(s.name AS BINARY)"] if query.site else []
    groups += ["t.`%s`" % name for name in query.month or ()]
    sums = ["COUNT(*)"] + ["COALESCE(SUM(%s), 0)" % _summed(name, query) for name in query.sums]
    text = "SELECT %s FROM %s t" % (", ".join([*groups, *sums]), source or "`%s`" % table)
    if query.site:
        text += " LEFT JOIN `%s` s ON s.id = t.SiteID" % sites
    if groups:
        text += " GROUP BY " + ", ".join(groups)
    found = journal.rows(text.replace("%", "%%"))
    width = len(groups)
    return {tuple(row[:width]): [int(value) for value in row[width:]] for row in found}


def _summed(name: str, query: Query) -> str:
    return ("IF(t.`{0}` < 0, 0, t.`{0}`)" if name in query.clipped else "t.`{0}`").format(name)


def kept_rows(table: str, old: Shape, new: Shape, merged: Sequence[str]) -> str:
    """The old rows that an upgrade keeps, chosen by the server's window functions, not by the copy's rule.

    Rows whose new keys are equal are in order of the rule, and the first of them stays.
    """
    columns = mapping(table, old, new, merged)
    by_name = dict(zip(columns.columns, columns.expressions))
    key = ", ".join(_compared(by_name[name], new, name) for name in new.key if name in by_name)
    place = ", ".join("o.`%s`" % name for name in old.key)
    backwards = ", ".join("o.`%s` DESC" % name for name in old.key)
    rule = fold(table, columns.columns)
    order = {
        "UpdateTime": "o.UpdateTime DESC, " + backwards,
        "Status": "o.Status DESC, " + place,
        "StopTime": "o.StopTime IS NULL DESC, " + place,
        "": place,
    }[rule.last[0] if rule.last else ""]
    names = ["o.`%s`" % name for name in old.names]
    return (
        "(SELECT k.* FROM (SELECT %s, ROW_NUMBER() OVER (PARTITION BY %s ORDER BY %s) AS Place"
        " FROM `%s` o %s) k"
        % (
            ", ".join(names),
            key,
            order,
            table,
            " ".join(columns.joins),
        )
        + " WHERE k.Place = 1)"
    )


def _compared(expression: str, new: Shape, name: str) -> str:
    """Names are told apart byte by byte, but those of benchmarks in small letters."""
    column = new.column(name)
    if column is None or not column.is_text:
        return expression
    text = "CONVERT(%s USING utf8mb4)" % expression
    return "LOWER(%s)" % text if name == "ServiceLevelType" else "CAST(%s AS BINARY)" % text


def differences(before: Totals, after: Totals, query: Query) -> List[str]:
    """What has changed, in words; at most a few lines."""
    lines = []
    for group in sorted(before.keys() | after.keys(), key=repr):
        old, new = before.get(group), after.get(group)
        if old != new:
            lines.append("%s: %s before, %s after" % (_group(group), old, new))
    more = len(lines) - MOST_LINES
    names = "rows, " + ", ".join(query.sums)
    return [line + " (%s)" % names for line in lines[:MOST_LINES]] + (
        ["and %d more" % more] if more > 0 else []
    )


MOST_LINES = 10


def _group(group: Tuple[Any, ...]) -> str:
    parts = [part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part) for part in group]
    return " ".join(parts) or "in all"
