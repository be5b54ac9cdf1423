"""Makes the levels of a site's storage by day and month again (storage_levels.py says what they are)."""

from typing import Any, Dict, List, Sequence, Set, Tuple

from apel.db.lookups import NONE
from apel.records.storage import VANISHED, is_level, months_spoken_for
from apel.server.storage_levels import Key, Level, Part, Snapshot, levels_by_day, month_level
from apel.summaries import SiteMonth, Statement
from apel.times import epoch_from_text, month_bounds, utc_text

DAYS, MONTHS, COUNTS = "StorageDaySummaries", "StorageMonthSummaries", "StorageMonths"
#: Rows that have gone from these, until all receivers were told.
GONE = "StorageVanishedSummaries"
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
PERIOD = ("StartTime", "EndTime")
TIMES = ("CreateTime", *PERIOD)
FIGURES = ("FileCount", "ResourceCapacityUsed", "LogicalCapacityUsed", "ResourceCapacityAllocated")
LAST = tuple("Last" + name for name in FIGURES)
MONTH = ("SiteID", "Year", "Month")
DAY_KEY = (*MONTH, "StartTime", *NAMES)
DAY_COLUMNS = (*DAY_KEY, "EndTime", *FIGURES)
MONTH_KEY = (*MONTH, *NAMES)
MONTH_COLUMNS = (*MONTH_KEY, "StartTime", "EndTime", "Days", *FIGURES, *LAST)
OF_MONTH = {DAYS: 0, MONTHS: 1}
GONE_KEY = (*MONTH, "OfMonth", "StartTime", *NAMES)

Row = Tuple[Any, ...]

#: All that may speak for a month: site id, its first second, that of the next, and that once more.
IN_MONTH = "SiteID = %s AND EndTime >= %s AND (StartTime < %s OR EndTime < %s)"
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
#: What of GONE may be forgotten: what was written before a time, the parameter.
OLD_GONE_MONTHS = "SELECT DISTINCT SiteID, Year, Month FROM %s WHERE UpdateTime < %%s" % GONE
FORGET_GONE = "DELETE FROM %s WHERE SiteID = %%s AND Year = %%s AND Month = %%s AND UpdateTime < %%s" % GONE
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
    count = "SELECT COUNT(*) FROM %s WHERE " + IN_MONTH.replace("%s", "%%s")
    slices = 1 + sum(tx.value(count % table, _in_month(month)) for table in SOURCES) // RECORDS_AT_ONCE
    days = sum(_remake_slice(tx, month, (slices, each)) for each in range(slices))
    _count(tx, month, days)
    return []


def _remake_slice(tx: Any, month: SiteMonth, which: Tuple[int, int]) -> int:
    """Make the keys of a slice again; how many rows of days they have."""
    first, after = month_bounds(month.year, month.month)
    days: List[Row] = []
    months: List[Row] = []
    for key, parts in _snapshots(tx, (*_in_month(month), *which)).items():
        levels = levels_by_day(parts, first, after)
        days += [(*month, utc_text(day), *key, *_ending(level)) for day, level in levels.items()]
        if levels:
            found = month_level(levels)
            ends = utc_text(found.end)
            months.append((*month, *key, utc_text(first), ends, found.days, *found.average, *found.last))
    _replace(tx, DAYS, (*month, *which), DAY_KEY, DAY_COLUMNS, days)
    _replace(tx, MONTHS, (*month, *which), MONTH_KEY, MONTH_COLUMNS, months)
    return len(days)


def _in_month(month: SiteMonth) -> Row:
    """The values of IN_MONTH."""
    first, after = map(utc_text, month_bounds(month.year, month.month))
    return (month.site_id, first, after, after)


def _ending(level: Level) -> Row:
    return (utc_text(level.end), *level.figures)


def _snapshots(tx: Any, where: Sequence[Any]) -> Dict[Key, Dict[Part, List[Snapshot]]]:
    """All that may speak for a month, by what it is about. where: the values of IN_MONTH and IN_SLICE."""
    nothing = [_id(tx, table, NONE) if table else NONE for table in ABOUT.values()]
    vanished = _id(tx, ABOUT["StorageClassID"], VANISHED)
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
        record, storage_class = row[about + 3], row[names]
        if storage_class == vanished and is_level(record):
            continue
        snapshot = Snapshot(record, created, start, end, row[about + 4 :])
        found.setdefault(key, {}).setdefault(part, []).append(snapshot)
    return found


def _id(tx: Any, table: str, name: str) -> Any:
    return tx.value("SELECT id FROM %s WHERE name = %%s" % table, (name,))


def _replace(
    tx: Any, table: str, where: Sequence[Any], key: Sequence[str], columns: Sequence[str], rows: List[Row]
) -> None:
    """Make the rows of a month's slice these. where: the month, and the values of IN_SLICE."""
    in_month = "SiteID = %s AND Year = %s AND Month = %s"
    in_slice = "%s AND %s" % (in_month, IN_SLICE)
    wanted = {row[: len(key)] for row in rows}
    read = ", ".join((*key, *PERIOD))
    gone = [
        old
        for old in map(tuple, tx.rows("SELECT %s FROM %s WHERE %s" % (read, table, in_slice), where))
        if old[: len(key)] not in wanted
    ]
    for old in gone:
        _delete(tx, table, key, old[: len(key)])
    tx.insert(table, columns, rows, "update")
    # Receivers are told of what has gone, and no longer of what is back.
    of_month = OF_MONTH[table]
    buried = tx.rows(
        "SELECT %s FROM %s WHERE OfMonth = %%s AND %s" % (", ".join(GONE_KEY), GONE, in_slice),
        (of_month, *where),
    )
    living = {_grave(row, columns, of_month) for row in rows}
    for old in map(tuple, buried):
        if old in living:
            _delete(tx, GONE, GONE_KEY, old)
    names = (*key, *PERIOD)
    tx.insert(
        GONE, (*GONE_KEY, "EndTime"), [(*_grave(old, names, of_month), old[-1]) for old in gone], "update"
    )


def _grave(row: Row, columns: Sequence[str], of_month: int) -> Row:
    """The key in GONE of a row of days or months, which has these columns."""
    values = dict(zip(columns, row), OfMonth=of_month)
    return tuple(values[name] for name in GONE_KEY)


def _delete(tx: Any, table: str, key: Sequence[str], row: Row) -> None:
    tx.execute("DELETE FROM %s WHERE %s" % (table, " AND ".join("%s = %%s" % name for name in key)), row)


def _count(tx: Any, month: SiteMonth, days: int) -> None:
    first, after = map(utc_text, month_bounds(month.year, month.month))
    ending = "SELECT COUNT(*) FROM %s WHERE SiteID = %%s AND EndTime >= %%s AND EndTime < %%s"
    records = sum(tx.value(ending % table, (month.site_id, first, after)) for table in SOURCES)
    if records or days:
        tx.insert(COUNTS, (*MONTH, "Records", "Days"), [(*month, records, days)], "update")
    else:
        tx.execute("DELETE FROM %s WHERE SiteID = %%s AND Year = %%s AND Month = %%s" % COUNTS, month)
