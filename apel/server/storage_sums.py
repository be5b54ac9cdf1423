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
IN_MONTH = "SiteID = %s AND EndTime >= %s AND StartTime < %s"
READ = ", ".join((*NAMES, *ABOUT, *TIMES, "RecordId", *FIGURES))
#: A month is made in slices of so many records, since they take a kilobyte each: how many slices, which one.
RECORDS_AT_ONCE = 100000
IN_SLICE = "(StorageShareID + GroupID) %% %s = %s"
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
    bounds = (month.site_id, utc_text(first), utc_text(after))
    count = "SELECT COUNT(*) FROM %s WHERE " + IN_MONTH.replace("%s", "%%s")
    slices = 1 + sum(tx.value(count % table, bounds) for table in SOURCES) // RECORDS_AT_ONCE
    days = sum(_remake_slice(tx, month, (slices, each)) for each in range(slices))
    _count(tx, month, days)
    return []


def _remake_slice(tx: Any, month: SiteMonth, which: Tuple[int, int]) -> int:
    """Make the keys of a slice again; how many rows of days they have."""
    first, after = month_bounds(month.year, month.month)
    days: List[Row] = []
    months: List[Row] = []
    for key, parts in _snapshots(tx, (month.site_id, utc_text(first), utc_text(after), *which)).items():
        levels = levels_by_day(parts, first, after)
        days += [(*month, utc_text(day), *key, *_ending(level)) for day, level in levels.items()]
        if levels:
            found = month_level(levels)
            ends = utc_text(found.end)
            months.append((*month, *key, utc_text(first), ends, found.days, *found.average, *found.last))
    _replace(tx, DAYS, (*month, *which), DAY_KEY, DAY_COLUMNS, days)
    _replace(tx, MONTHS, (*month, *which), MONTH_KEY, MONTH_COLUMNS, months)
    return len(days)


def _ending(level: Level) -> Row:
    return (utc_text(level.end), *level.figures)


def _snapshots(tx: Any, where: Sequence[Any]) -> Dict[Key, Dict[Part, List[Snapshot]]]:
    """All that may speak for a month, by what it is about. where: the values of IN_MONTH and IN_SLICE."""
    nothing = [_id_of_none(tx, table) if table else NONE for table in ABOUT.values()]
    condition = "%s AND %s" % (IN_MONTH, IN_SLICE)
    query = " UNION ALL ".join("SELECT %s FROM %s WHERE %s" % (READ, table, condition) for table in SOURCES)
    names, about = len(NAMES), len(NAMES) + len(ABOUT)
    found: Dict[Key, Dict[Part, List[Snapshot]]] = {}
    rows = tx.rows(query, [*where, *where])
    while rows:
        row = rows.pop()
        key = tuple(NONE if value is None else value for value in row[:names])
        part = tuple(
            None if value in (None, none) else value for value, none in zip(row[names:about], nothing)
        )
        created, start, end = map(epoch_from_text, row[about : about + 3])
        snapshot = Snapshot(row[about + 3], created, start, end, row[about + 4 :])
        found.setdefault(key, {}).setdefault(part, []).append(snapshot)
    return found


def _id_of_none(tx: Any, table: str) -> Any:
    return tx.value("SELECT id FROM %s WHERE name = %%s" % table, (NONE,))


def _replace(
    tx: Any, table: str, where: Sequence[Any], key: Sequence[str], columns: Sequence[str], rows: List[Row]
) -> None:
    """Make the rows of a month's slice these. where: the month, and the values of IN_SLICE."""
    in_month = "SiteID = %s AND Year = %s AND Month = %s"
    in_slice = "%s AND %s" % (in_month, IN_SLICE)
    wanted = {row[: len(key)] for row in rows}
    of_row = " AND ".join("%s = %%s" % name for name in key)
    gone = [
        old
        for old in tx.rows("SELECT %s FROM %s WHERE %s" % (", ".join(key), table, in_slice), where)
        if tuple(old) not in wanted
    ]
    for old in gone:
        tx.execute("DELETE FROM %s WHERE %s" % (table, of_row), old)
    # The unloader may add up those of a day: without the deleted ones they are other sums.
    touch = "UPDATE %s SET UpdateTime = CURRENT_TIMESTAMP WHERE StartTime = %%s AND %s" % (table, in_month)
    if "StartTime" in key:
        for start in sorted({old[key.index("StartTime")] for old in gone}):
            tx.execute(touch, (start, *where[:3]))
    tx.insert(table, columns, rows, "update")


def _count(tx: Any, month: SiteMonth, days: int) -> None:
    first, after = map(utc_text, month_bounds(month.year, month.month))
    ending = "SELECT COUNT(*) FROM %s WHERE SiteID = %%s AND EndTime >= %%s AND EndTime < %%s"
    records = sum(tx.value(ending % table, (month.site_id, first, after)) for table in SOURCES)
    if records or days:
        tx.insert(COUNTS, (*MONTH, "Records", "Days"), [(*month, records, days)], "update")
    else:
        tx.execute("DELETE FROM %s WHERE SiteID = %%s AND Year = %%s AND Month = %%s" % COUNTS, month)
