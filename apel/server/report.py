"""Central totals for people: what the sites' jobs used, grouped as asked, as a table, JSON or CSV."""

import csv
import io
import json
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from apel.db import Database

SECONDS_PER_HOUR = 3600.0

#: What totals can be grouped by: the SQL of the group, and the table to join for its name.
GROUPS: Dict[str, Tuple[str, str]] = {
    "month": ("Year, Month", ""),
    "site": ("Sites.name", "JOIN Sites ON Sites.id = SiteID"),
    "vo": ("VOs.name", "JOIN VOs ON VOs.id = VOID"),
    "group": ("VOGroups.name", "JOIN VOGroups ON VOGroups.id = VOGroupID"),
    "role": ("VORoles.name", "JOIN VORoles ON VORoles.id = VORoleID"),
    "user": ("DNs.name", "JOIN DNs ON DNs.id = GlobalUserNameID"),
    "submithost": ("SubmitHosts.name", "JOIN SubmitHosts ON SubmitHosts.id = SubmitHostId"),
    "infrastructure": ("Infrastructure", ""),
}
BY = ("month", "site", "vo")

SUMS = (
    "SUM(NumberOfJobs), SUM(WallDuration),"
    " SUM(WallDuration * CASE WHEN Processors > 1 THEN Processors ELSE 1 END),"
    " SUM(CpuDuration), SUM(NormalisedWallDuration), SUM(NormalisedCpuDuration)"
)


class Filter(NamedTuple):
    """What to report on: a (year, month), a site, a VO; None is all."""

    month: Optional[Tuple[int, int]] = None
    site: Optional[str] = None
    vo: Optional[str] = None


class Usage(NamedTuple):
    """Totals of one group, in whole seconds.

    core_seconds is wall time times the cores of each job; the normalised figures are HS06 seconds, and
    like wall_seconds, normalised_wall_seconds does not count cores.
    """

    jobs: int = 0
    wall_seconds: int = 0
    core_seconds: int = 0
    cpu_seconds: int = 0
    normalised_wall_seconds: int = 0
    normalised_cpu_seconds: int = 0

    @property
    def efficiency(self) -> Optional[float]:
        """CPU time over core time (1.0: every core was busy all the time); None if there is no core time."""
        return self.cpu_seconds / self.core_seconds if self.core_seconds else None


class Row(NamedTuple):
    """The names of one group, in the order of the grouping, and its totals."""

    names: Tuple[str, ...]
    usage: Usage


def rows(db: Database, by: Sequence[str] = BY, only: Filter = Filter()) -> List[Row]:  # noqa: B008 - immutable
    """The totals of every group, sorted by its names. `by` holds keys of GROUPS."""
    sql, parameters = _query(by, only)
    found: List[Tuple[Any, ...]] = db.run(lambda tx: tx.rows(sql, parameters))
    return sorted(_row(by, values) for values in found)


def total(found: Iterable[Row]) -> Usage:
    """The sum over all groups."""
    columns = list(zip(*(row.usage for row in found)))
    return Usage(*map(sum, columns)) if columns else Usage()


def _query(by: Sequence[str], only: Filter) -> Tuple[str, List[Any]]:
    conditions = ["NumberOfJobs > 0"]
    parameters: List[Any] = []
    if only.month is not None:
        conditions.append("Year = %s AND Month = %s")
        parameters += only.month
    for group, name in (("site", only.site), ("vo", only.vo)):
        if name is not None:
            conditions.append("%s = %%s" % GROUPS[group][0])
            parameters.append(name)
    needed = [group for group in GROUPS if group in by or getattr(only, group, None) is not None]
    joins = " ".join(GROUPS[group][1] for group in needed)
    groups = ", ".join(GROUPS[group][0] for group in by)
    where = " WHERE " + " AND ".join(conditions)
    sql = f"SELECT {groups}, {SUMS} FROM HybridSuperSummaries {joins}{where} GROUP BY {groups}"
    return sql, parameters


def _row(by: Sequence[str], values: Sequence[Any]) -> Row:
    rest = list(values)
    names = []
    for group in by:
        if group == "month":
            names.append("%04d-%02d" % (rest.pop(0), rest.pop(0)))
        else:
            names.append(str(rest.pop(0)))
    return Row(tuple(names), Usage(*map(int, rest)))


HEADINGS = {"vo": "VO", "submithost": "Submit host"}
COLUMNS = ("Jobs", "Wall h", "Core h", "CPU h", "HS06 CPU h", "Efficiency")
EXPLANATION = """\
Jobs: jobs that ended in the month (UTC). Wall h: hours from start to end of the jobs. Core h: wall hours
times the cores of each job. CPU h: processor hours used. HS06 CPU h: CPU hours times the benchmark of the
machine (HS06 or HEPscore23 units), which makes sites comparable. Efficiency: CPU h / Core h."""
EMPTY = "There are no sums yet: load messages with apeldbloader, then run apelsummariser."
NOTHING_SELECTED = "No sums match what was asked for (names are compared letter by letter)."


def as_table(found: Sequence[Row], by: Sequence[str] = BY) -> str:
    """The rows as an aligned table with a total, and a line or two on what the columns mean."""
    headings = [HEADINGS.get(group, group.capitalize()) for group in by]
    lines = [(*headings, *COLUMNS)]
    lines += [(*row.names, *_figures(row.usage)) for row in found]
    lines.append((*(["Total"] + [""] * (len(by) - 1)), *_figures(total(found))))
    widths = [max(map(len, column)) for column in zip(*lines)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    text = [_line(line, widths, len(by)) for line in lines]
    body = [text[0], rule, *text[1:-1], rule, text[-1]]
    return "\n".join([*body, "", EXPLANATION, ""])


def _figures(usage: Usage) -> Tuple[str, ...]:
    seconds = (usage.wall_seconds, usage.core_seconds, usage.cpu_seconds, usage.normalised_cpu_seconds)
    hours = ["{:,.1f}".format(value / SECONDS_PER_HOUR) for value in seconds]
    share = "-" if usage.efficiency is None else "%.1f %%" % (100 * usage.efficiency)
    return ("{:,}".format(usage.jobs), *hours, share)


def _line(cells: Sequence[str], widths: Sequence[int], names: int) -> str:
    padded = [
        cell.ljust(width) if place < names else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths))
    ]
    return "  ".join(padded).rstrip()


def as_json(found: Sequence[Row], by: Sequence[str] = BY) -> str:
    """The rows and their total as JSON, in exact seconds."""
    document = {
        "by": list(by),
        "rows": [dict(zip(by, row.names), **_exact(row.usage)) for row in found],
        "total": _exact(total(found)),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _exact(usage: Usage) -> Dict[str, Any]:
    share = usage.efficiency
    return dict(usage._asdict(), efficiency=None if share is None else round(share, 4))


def as_csv(found: Sequence[Row], by: Sequence[str] = BY) -> str:
    """The rows as CSV with a heading, in exact seconds; no total."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*by, *Usage._fields])
    writer.writerows([*row.names, *row.usage] for row in found)
    return text.getvalue()
