"""Sums that may stand twice since a database was upgraded: under a name as it is sent, and as it was folded.

The incumbent's databases took names that differ in case, accents or trailing blanks for one, and kept the
spelling that came first. What a site sends again of a month after the upgrade stands under its own spelling,
so that what came before it stays beside it, and is counted as well. Nobody can tell whether two such names
are meant to be one; but who they are is a short list.
"""

import unicodedata
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from apel import times
from apel.db import Database

#: What a site sends again reaches back so many months at most.
MONTHS = 3

#: Columns of keys that are names, each with the table of these.
NAMES = {
    "SiteID": "Sites",
    "GlobalUserNameID": "DNs",
    "VOID": "VOs",
    "VOGroupID": "VOGroups",
    "VORoleID": "VORoles",
    "SubmitHostId": "SubmitHosts",
}
WHO = tuple(NAMES)
#: Table -> the other columns of its key.
TABLES = {
    "Summaries": (
        *("InfrastructureType", "InfrastructureDescription", "ServiceLevelType", "ServiceLevel"),
        *("NodeCount", "Processors"),
    ),
    "NormalisedSummaries": (
        *("Infrastructure", "InfrastructureDescription", "ServiceLevelType", "NodeCount", "Processors"),
    ),
    "SyncRecords": (),
}


class Twins(NamedTuple):
    """Rows of a table and month that are alike but for the spelling of names, the one written last at last.

    spellings: of each row, the names in which they differ. jobs, changed: of each row, how many jobs it
    holds, and when it was written ('YYYY-MM-DD hh:mm:ss', UTC).
    """

    table: str
    site: str
    year: int
    month: int
    spellings: List[str]
    jobs: List[int]
    changed: List[str]

    def __str__(self) -> str:
        rows = zip(self.spellings, self.jobs, self.changed)
        said = "; ".join("%s: %d jobs, written %s" % row for row in rows)
        return "%s, %s %04d-%02d: %s" % (self.table, self.site, self.year, self.month, said)


def folded(name: str) -> str:
    """A name as the usual collations compare it: without case, accents and trailing blanks."""
    plain = unicodedata.normalize("NFD", name.rstrip(" "))
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


def find_twins(db: Database) -> List[Twins]:
    """Twins among what came in the last months, in order of table, site and month."""
    names = {table: dict(db.run(_names(table))) for table in sorted(set(NAMES.values()))}
    several = {table: _several(ids) for table, ids in names.items()}
    if not any(several.values()):
        return []
    year, month = times.month_of(times.now())
    first = year * 12 + month - MONTHS
    found = []
    for table, others in TABLES.items():
        columns = [name for name in WHO if table != "SyncRecords" or name in ("SiteID", "SubmitHostId")]
        groups: Dict[Tuple[Any, ...], List[Tuple[Any, ...]]] = {}
        for row in db.run(_rows(table, [*columns, *others], columns, several, first)):
            ids, rest = row[: len(columns)], row[len(columns) : -2]
            key = [several[NAMES[name]].get(value, value) for name, value in zip(columns, ids)]
            groups.setdefault((*key, *rest), []).append(row)
        found += [_twins(table, columns, rows, names) for rows in groups.values() if len(rows) > 1]
    return sorted(found)


def _names(table: str) -> Any:
    return lambda tx: tx.rows("SELECT id, name FROM `%s`" % table)


def _several(names: Dict[int, str]) -> Dict[int, str]:
    """The ids of names that another name folds to as well, each with what it folds to."""
    by_fold: Dict[str, List[int]] = {}
    for number, name in names.items():
        by_fold.setdefault(folded(name), []).append(number)
    return {number: fold for fold, ids in by_fold.items() if len(ids) > 1 for number in ids}


def _rows(
    table: str, columns: Sequence[str], names: Sequence[str], several: Dict[str, Dict[int, str]], first: int
) -> Any:
    """All rows since a month (counted from the year 0) that hold a name with another spelling."""
    held = [(name, sorted(several[NAMES[name]])) for name in names if several[NAMES[name]]]
    parts = ["%s IN (%s)" % (name, ", ".join(map(str, ids))) for name, ids in held]
    selected = ", ".join([*columns, "Year", "Month", "NumberOfJobs", "CAST(UpdateTime AS CHAR)"])
    query = "SELECT %s FROM %s WHERE Year * 12 + Month >= %%s AND NumberOfJobs > 0 AND (%s)"
    return lambda tx: tx.rows(query % (selected, table, " OR ".join(parts)), (first,)) if parts else []


def _twins(
    table: str, columns: Sequence[str], rows: List[Tuple[Any, ...]], names: Dict[str, Dict[int, str]]
) -> Twins:
    rows = sorted(rows, key=lambda row: str(row[-1]))
    differ = [place for place in range(len(columns)) if len({row[place] for row in rows}) > 1]
    spellings = [
        ", ".join(
            "%s %r" % (NAMES[columns[place]], names[NAMES[columns[place]]][row[place]]) for place in differ
        )
        for row in rows
    ]
    year, month = rows[-1][-4:-2]
    site = names["Sites"][rows[-1][columns.index("SiteID")]]
    jobs, changed = [int(row[-2]) for row in rows], [str(row[-1]) for row in rows]
    return Twins(table, site, int(year), int(month), spellings, jobs, changed)
