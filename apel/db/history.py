"""What storage records said before their ids were used again: or else a month would lose its days."""

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, NamedTuple, Sequence, Set, Tuple

from apel.records.storage import is_level, moment, months_spoken_for
from apel.times import epoch_from_text, utc_text

if TYPE_CHECKING:
    from apel.db.database import Transaction

Row = Tuple[Any, ...]
TABLE = "StarHistory"
DATES = ("CreateTime", "StartTime", "EndTime")


class Version(NamedTuple):
    """A row of StarRecords, and the day of its moment, YYYY-MM-DD."""

    row: Row
    created: str
    day: str


class History:
    """Keeps the last version of each day of a record whose id comes again. RecordId is the first column.

    A version stands unless a later-made one is of the same day or of an earlier one, which is a correction.
    So in whatever order they come, the same ones stand in the end; the newest of all is in StarRecords.
    """

    def __init__(self, source: str, columns: Sequence[str]) -> None:
        self.source = source
        self.columns = tuple(columns)
        self._dates = [self.columns.index(name) for name in DATES]
        self._site = self.columns.index("SiteID")

    def keep(self, tx: "Transaction", rows: Sequence[Row]) -> Set[Tuple[int, int, int]]:
        """Keep what `rows`, not written yet, would hide; the (site id, year, month) that lose a version."""
        given: Dict[str, List[Row]] = {}
        for row in rows:
            given.setdefault(row[0], []).append(row)
        stored = self._rows(tx, self.source, given)
        again = [name for name in given if name in stored or len(given[name]) > 1]
        old = self._rows(tx, TABLE, again)
        changed: Set[Tuple[int, int, int]] = set()
        for name in again:
            before = [*old.get(name, []), *stored.get(name, [])]
            standing = self._standing([*before, *given[name]])
            self._write(tx, old.get(name, []), standing[1:])
            for row in set(before) - {version.row for version in standing}:
                changed.update((row[self._site], *month) for month in months_spoken_for(*self._times(row)))
        return changed

    def _rows(self, tx: "Transaction", table: str, names: Iterable[str]) -> Dict[str, List[Row]]:
        found: Dict[str, List[Row]] = {}
        query = "SELECT %s FROM %s WHERE RecordId IN" % (", ".join(self.columns), table)
        for row in tx.rows_among(query, sorted(names)):
            found.setdefault(row[0], []).append(row)
        return found

    def _standing(self, rows: Sequence[Row]) -> List[Version]:
        """The versions of a record that stand, the newest first; `rows` in the order in which they came."""
        kept: List[Version] = []
        # Of those made in one second the last that came counts as newest.
        for version in sorted(map(self._version, reversed(rows)), key=lambda one: one.created, reverse=True):
            if not kept or version.day < kept[-1].day:
                kept.append(version)
        # A level is of a whole month: what it was before the month had ended says nothing more.
        return kept[:1] if kept and is_level(kept[0].row[0]) else kept

    def _write(self, tx: "Transaction", old: Sequence[Row], wanted: Sequence[Version]) -> None:
        by_day = {version.day: version.row for version in wanted}
        for version in map(self._version, old):
            if by_day.get(version.day) != version.row:
                tx.execute(
                    "DELETE FROM %s WHERE RecordId = %%s AND Day = %%s" % TABLE, (version.row[0], version.day)
                )
            else:
                del by_day[version.day]
        rows = [(*row, day) for day, row in by_day.items()]
        tx.insert(TABLE, (*self.columns, "Day"), rows)

    def _version(self, row: Row) -> Version:
        times = self._times(row)
        return Version(row, row[self._dates[0]], utc_text(moment(*times))[:10])

    def _times(self, row: Row) -> Tuple[int, int, int]:
        created, start, end = (epoch_from_text(row[place]) for place in self._dates)
        return created, start, end
