"""Makes the levels of a site's storage by day and month again (storage_levels.py says what they are)."""

from typing import Any, Dict, List, Sequence, Set, Tuple

from apel.db.lookups import NONE
from apel.records.storage import months_spoken_for
from apel.server.storage_levels import Key, Level, Part, Snapshot, levels_by_day, month_level
from apel.summaries import SiteMonth, Statement
from apel.times import epoch_from_text, month_bounds, utc_text

DAYS, MONTHS, COUNTS = "StorageDaySummaries", "StorageMonthSummaries", "StorageMonths"
SOURCES = ("StarRecords", "StarHistory")

NAMES = (
    *("StorageSystemID", "StorageShareID", "StorageMediaID", "DirectoryPath"),
    *("GroupID", "SubGroupID", "RoleID"),
)
#: What a part is told by, and the lookup table of each that is an id.
ABOUT = {
    "StorageClassID": "StorageClasses",
    "LocalUser": "",
    "LocalGroup": "",
    "UserIdentityID": "UserIdentities",
}
TIMES = ("CreateTime", "StartTime", "EndTime")
FIGURES = ("FileCount", "ResourceCapacityUsed", "LogicalCapacityUsed", "ResourceCapacityAllocated")
LAST = tuple("Last" + name for name in FIGURES)
MONTH = ("SiteID", "Year", "Month")
DAY_KEY = (*MONTH, "StartTime", *NAMES)
DAY_COLUMNS = (*DAY_KEY, "EndTime", *FIGURES)
MONTH_KEY = (*MONTH, *NAMES)
MONTH_COLUMNS = (*MONTH_KEY, "StartTime", "EndTime", "Days", *FIGURES, *LAST)

Row = Tuple[Any, ...]

#: All that may speak for a month: site id, its first second, that of the next.
SNAPSHOTS = " UNION ALL ".join(
    "SELECT %s FROM %s WHERE SiteID = %%s AND EndTime >= %%s AND StartTime < %%s"
    % (", ".join((*NAMES, *ABOUT, *TIMES, *FIGURES)), table)
    for table in SOURCES
)
#: The records that are counted for a month are those that end in it; the text serves all dialects.
ENDING = (
    "SELECT SiteID, CAST(SUBSTR(EndTime, 1, 4) AS SIGNED) AS Year,"
    " CAST(SUBSTR(EndTime, 6, 2) AS SIGNED) AS Month"
)
SOURCE_COUNTS = tuple("%s, COUNT(*) FROM %s GROUP BY 1, 2, 3" % (ENDING, table) for table in SOURCES)
#: What was counted when the month was made; 0 if its days are no longer as many.
SUMMED_COUNT = """
SELECT StorageMonths.SiteID, StorageMonths.Year, StorageMonths.Month,
       CASE WHEN StorageMonths.Days = COALESCE(Made.Days, 0) THEN Records ELSE 0 END
FROM StorageMonths LEFT JOIN (
    SELECT SiteID, Year, Month, COUNT(*) AS Days FROM StorageDaySummaries GROUP BY SiteID, Year, Month
) AS Made ON Made.SiteID = StorageMonths.SiteID AND Made.Year = StorageMonths.Year
         AND Made.Month = StorageMonths.Month
"""
SPEAKING = " UNION ".join("SELECT SiteID, %s FROM %s" % (", ".join(TIMES), table) for table in SOURCES)


def all_months(tx: Any) -> Set[SiteMonth]:
    """Every month that was made, or of which a record speaks."""
    found = {SiteMonth(*row) for row in tx.rows("SELECT SiteID, Year, Month FROM " + COUNTS)}
    for site_id, *texts in tx.rows(SPEAKING):
        created, start, end = map(epoch_from_text, texts)
        found.update(SiteMonth(site_id, *month) for month in months_spoken_for(created, start, end))
    return found


def remake(tx: Any, month: SiteMonth) -> Sequence[Statement]:
    """Make a month again. Rows that stay what they were keep their UpdateTime: they are not sent again."""
    first, after = month_bounds(month.year, month.month)
    days: List[Row] = []
    months: List[Row] = []
    for key, parts in _snapshots(tx, month, first, after).items():
        levels = levels_by_day(parts, first, after)
        days += [(*month, utc_text(day), *key, *_ending(level)) for day, level in levels.items()]
        if levels:
            found = month_level(levels)
            ends = utc_text(found.end)
            months.append((*month, *key, utc_text(first), ends, found.days, *found.average, *found.last))
    _replace(tx, DAYS, month, DAY_KEY, DAY_COLUMNS, days)
    _replace(tx, MONTHS, month, MONTH_KEY, MONTH_COLUMNS, months)
    _count(tx, month, len(days))
    return []


def _ending(level: Level) -> Row:
    return (utc_text(level.end), *level.figures)


def _snapshots(tx: Any, month: SiteMonth, first: int, after: int) -> Dict[Key, Dict[Part, List[Snapshot]]]:
    """All that may speak for the month, by what it is about."""
    nothing = [_id_of_none(tx, table) if table else NONE for table in ABOUT.values()]
    bounds = [month.site_id, utc_text(first), utc_text(after)]
    names, about = len(NAMES), len(NAMES) + len(ABOUT)
    found: Dict[Key, Dict[Part, List[Snapshot]]] = {}
    for row in tx.rows(SNAPSHOTS, [*bounds, *bounds]):
        key = tuple(NONE if value is None else value for value in row[:names])
        part = tuple(
            None if value in (None, none) else value for value, none in zip(row[names:about], nothing)
        )
        created, start, end = map(epoch_from_text, row[about : about + 3])
        snapshot = Snapshot(created, start, end, row[about + 3 :])
        found.setdefault(key, {}).setdefault(part, []).append(snapshot)
    return found


def _id_of_none(tx: Any, table: str) -> Any:
    return tx.value("SELECT id FROM %s WHERE name = %%s" % table, (NONE,))


def _replace(
    tx: Any, table: str, month: SiteMonth, key: Sequence[str], columns: Sequence[str], rows: List[Row]
) -> None:
    """Make the rows of a month these."""
    in_month = "SiteID = %s AND Year = %s AND Month = %s"
    wanted = {row[: len(key)] for row in rows}
    of_row = " AND ".join("%s = %%s" % name for name in key)
    gone = [
        old
        for old in tx.rows("SELECT %s FROM %s WHERE %s" % (", ".join(key), table, in_month), month)
        if tuple(old) not in wanted
    ]
    for old in gone:
        tx.execute("DELETE FROM %s WHERE %s" % (table, of_row), old)
    # The unloader may add up those of a day: without the deleted ones they are other sums.
    touch = "UPDATE %s SET UpdateTime = CURRENT_TIMESTAMP WHERE StartTime = %%s AND %s" % (table, in_month)
    if "StartTime" in key:
        for start in sorted({old[key.index("StartTime")] for old in gone}):
            tx.execute(touch, (start, *month))
    tx.insert(table, columns, rows, "update")


def _count(tx: Any, month: SiteMonth, days: int) -> None:
    first, after = map(utc_text, month_bounds(month.year, month.month))
    ending = "SELECT COUNT(*) FROM %s WHERE SiteID = %%s AND EndTime >= %%s AND EndTime < %%s"
    records = sum(tx.value(ending % table, (month.site_id, first, after)) for table in SOURCES)
    if records or days:
        tx.insert(COUNTS, (*MONTH, "Records", "Days"), [(*month, records, days)], "update")
    else:
        tx.execute("DELETE FROM %s WHERE SiteID = %%s AND Year = %%s AND Month = %%s" % COUNTS, month)
