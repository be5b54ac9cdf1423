"""Asking for all benchmarks of records that have several, in the query that asks for the records themselves.

They are kept in tables beside the records' own (apel/db/details.py), the preferred one in the record too. So
one snapshot holds both, no row costs a round trip, and rows that become one are compared where they are
added up.
"""

from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from apel.db.backend import Expressions
from apel.db.sources import LEVEL_DECIMALS
from apel.db.tables import BY_BENCHMARK, MONTH_KEY
from apel.messages.columns import each_once
from apel.records import Record
from apel.records.rules import BENCHMARK_TYPES

#: The lookup tables of names that both jobs and sums have: field, table, column.
SUM_NAMES = (
    ("Site", "Sites", "SiteID"),
    ("SubmitHost", "SubmitHosts", "SubmitHostID"),
    ("GlobalUserName", "DNs", "GlobalUserNameID"),
    ("VO", "VOs", "VOID"),
    ("VOGroup", "VOGroups", "VOGroupID"),
    ("VORole", "VORoles", "VORoleID"),
)
JOB_NAMES = (*SUM_NAMES, ("MachineName", "MachineNames", "MachineNameID"), ("Queue", "Queues", "QueueID"))

#: The keys of a site's jobs and sums.
SITE_JOB_KEY = ("MachineNameID", "LocalJobId", "EndTime")
SITE_SUM_KEY = (
    *MONTH_KEY, "InfrastructureType", "ServiceLevelType", "ServiceLevel", "NodeCount", "Processors",
)  # fmt: skip
#: The fields that hold the preferred benchmark.
LEVEL = ("ServiceLevelType", "ServiceLevel")

FIELD = "Benchmarks"
#: What a query calls the records, their own table joined with names.
ALIAS = "Records"
#: Between rows that become one; between benchmarks of a row there is a comma, and no type holds either.
BETWEEN_ROWS = "\n"

#: A benchmark's type and its values, one or two, each of which may be absent.
Benchmark = Tuple[Any, ...]


class Beside(NamedTuple):
    """Where all benchmarks of the records of `table` are kept.

    details, key, values: the table beside it, the columns that name the record in both, and the columns of a
    benchmark, its type first. names: the lookup tables of the records. fields: those of the record that hold
    the preferred benchmark, its type first.
    """

    table: str
    details: str
    key: Tuple[str, ...]
    values: Tuple[str, ...]
    names: Tuple[Tuple[str, str, str], ...]
    fields: Tuple[str, ...]

    def source(self) -> str:
        """The records with all columns, and ids as well as names: what the columns below refer to.

        Every row has its names; LEFT JOIN keeps the optimiser from beginning with a lookup table.
        """
        names = ", ".join("%s.name AS %s" % (table, field) for field, table, _ in self.names)
        joins = " ".join(
            "LEFT JOIN {0} ON {0}.id = {1}.{2}".format(table, self.table, column)
            for _, table, column in self.names
        )
        return "(SELECT {0}.*, {1} FROM {0} {2}) AS {3}".format(self.table, names, joins, ALIAS)

    def column(self, sql: Expressions) -> str:
        """The benchmarks of one record, as text for `read`; NULL where there is but one."""
        parts = ["Beside.%s" % self.values[0]]
        parts += [sql.exact_text("Beside.%s" % name) for name in self.values[1:]]
        same = " AND ".join("Beside.{0} = {1}.{0}".format(name, ALIAS) for name in self.key)
        joined = sql.joined(sql.concatenated(parts, ":"), ",")
        return "(SELECT %s FROM %s Beside WHERE %s)" % (joined, self.details, same)

    def added_up(self, sql: Expressions) -> str:
        """The same for records that become one, but for those that have lost their jobs."""
        one = "CASE WHEN NumberOfJobs > 0 THEN COALESCE(%s, '') END" % self.column(sql)
        return sql.joined(one, BETWEEN_ROWS)

    def read(self, records: Sequence[Record]) -> List[Record]:
        """The records, with what the text in FIELD says: a column at a time, each distinct text once."""
        kind = type(records[0])
        place = kind.names.index(FIELD)
        if all(record[place] is None for record in records):
            return list(records)
        columns: List[Sequence[Any]] = list(zip(*records))
        chosen = [columns[kind.names.index(field)] for field in self.fields]
        columns[place] = each_once(self._benchmarks, list(zip(columns[place], *chosen)))
        return list(map(kind.make, zip(*columns)))

    def _benchmarks(self, asked: Sequence[Any]) -> Optional[Tuple[Benchmark, ...]]:
        """All benchmarks of a record, the preferred first; None if there is no other.

        asked: the text, which is None where nothing is beside the record, and its preferred benchmark.
        """
        text, chosen = asked[0], tuple(asked[1:])
        rows = (text or "").split(BETWEEN_ROWS)
        if len(chosen) > 2:
            found = _added([_parsed(row, int) for row in rows])
            found.pop(str(chosen[0]).lower(), None)
        else:
            found = _agreed([_parsed(row, float) for row in rows])
            kept = found.pop(str(chosen[0]).lower(), None)
            # The record has it rounded. If it has another one, it was read before they were changed.
            if kept is not None and round(kept[1], LEVEL_DECIMALS) == chosen[1]:
                chosen = kept
        others = sorted(found.items(), key=lambda item: (_rank(item[0]), item[0]))
        return (chosen, *(benchmark for _, benchmark in others)) if others else None


#: At a site.
OF_SITE_JOBS = Beside("JobRecords", "JobBenchmarks", SITE_JOB_KEY, BY_BENCHMARK, JOB_NAMES, LEVEL)
OF_SITE_SUMS = Beside(
    "SuperSummaries", "SuperSummaryBenchmarks", SITE_SUM_KEY, BY_BENCHMARK, SUM_NAMES, LEVEL
)


def _rank(folded: str) -> int:
    return BENCHMARK_TYPES.index(folded) if folded in BENCHMARK_TYPES else len(BENCHMARK_TYPES)


def _parsed(row: str, number: Callable[[str], Any]) -> Dict[str, Benchmark]:
    """'HEPSPEC:10.2,si2k:2500' by the type in small letters."""
    found = {}
    for item in filter(None, row.split(",")):
        name, *values = item.split(":")
        found[name.lower()] = (name, *(number(value) if value else None for value in values))
    return found


def _shared(rows: Sequence[Dict[str, Benchmark]]) -> Iterator[List[Benchmark]]:
    """The benchmarks that all of the rows have."""
    first, *others = rows
    for name in first:
        if all(name in other for other in others):
            yield [row[name] for row in rows]


def _agreed(rows: Sequence[Dict[str, Benchmark]]) -> Dict[str, Benchmark]:
    """Levels that are the same in all of the rows: of others a sum can say none that would be right."""
    same = (found for found in _shared(rows) if len({one[1] for one in found}) == 1)
    return {found[0][0].lower(): found[0] for found in same}


def _added(rows: Sequence[Dict[str, Benchmark]]) -> Dict[str, Benchmark]:
    """Sums of the durations by each benchmark that all of the rows have."""
    added = {}
    for found in _shared(rows):
        sums = [_sum(column) for column in zip(*(one[1:] for one in found))]
        if any(value is not None for value in sums):
            added[found[0][0].lower()] = (found[0][0], *sums)
    return added


def _sum(column: Sequence[Optional[int]]) -> Optional[int]:
    return None if None in column else sum(value for value in column if value is not None)
