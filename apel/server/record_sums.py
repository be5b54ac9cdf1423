"""Sums by month that are made of records of the month, beside those that sites sent: what all kinds share.

The statements serve MariaDB, MySQL and SQLite. Their parameters are site id, year, month.
"""

from typing import List, NamedTuple, Tuple

from apel.summaries import SiteMonth, Statement

#: PublisherDNID of the rows that we make; others were received.
OURS = "summariser"


class RecordSums(NamedTuple):
    """records: their table, with MeasurementYear and MeasurementMonth; sums: the table of the sums.

    make: makes the sums of a month. added: their columns of which a sum of nothing has 0; number: the one
    that says of how many records a sum is.
    """

    records: str
    sums: str
    make: str
    added: Tuple[str, ...]
    number: str

    def remake(self, month: SiteMonth) -> List[Statement]:
        """The statements that make the sums of a month again, in order."""
        return [(self._empty, month), (self.make, month)]

    @property
    def _empty(self) -> str:
        """A sum that has lost its records stays as one of none: it is unloaded, and receivers forget it."""
        zeros = ", ".join("%s = 0" % name for name in (*self.added, self.number))
        return (
            "UPDATE %s SET %s, UpdateTime = CURRENT_TIMESTAMP"
            " WHERE SiteID = %%s AND Year = %%s AND Month = %%s AND PublisherDNID = '%s'"
            % (self.sums, zeros, OURS)
        )

    @property
    def all_months(self) -> str:
        """Every month that has records or sums."""
        return (
            "SELECT SiteID, MeasurementYear, MeasurementMonth FROM %s"
            " GROUP BY SiteID, MeasurementYear, MeasurementMonth"
            " UNION SELECT SiteID, Year, Month FROM %s GROUP BY SiteID, Year, Month"
            % (self.records, self.sums)
        )

    @property
    def source_counts(self) -> Tuple[str, ...]:
        """How many records there are in each month: site id, year, month, records."""
        return (
            "SELECT SiteID, MeasurementYear, MeasurementMonth, COUNT(*) FROM %s"
            " GROUP BY SiteID, MeasurementYear, MeasurementMonth" % self.records,
        )

    @property
    def summed_count(self) -> str:
        """Of how many records the sums of each month are that we have made."""
        return (
            "SELECT SiteID, Year, Month, SUM(%s) FROM %s WHERE PublisherDNID = '%s'"
            " GROUP BY SiteID, Year, Month" % (self.number, self.sums, OURS)
        )

    @property
    def old_empty_months(self) -> str:
        """Months with sums of nothing that were made before a time, the only parameter."""
        return "SELECT DISTINCT SiteID, Year, Month FROM %s WHERE %s = 0 AND UpdateTime < %%s" % (
            self.sums,
            self.number,
        )

    @property
    def forget(self) -> str:
        """Forgets those of a month. Parameters: the month, and the time."""
        return (
            "DELETE FROM %s WHERE SiteID = %%s AND Year = %%s AND Month = %%s AND %s = 0"
            " AND UpdateTime < %%s" % (self.sums, self.number)
        )
