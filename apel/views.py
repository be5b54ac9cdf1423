"""What can be unloaded: each view with its message formats, and the SELECT that gives records from it."""

from typing import Any, Callable, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type

from apel.beside import FIELD, OF_SITE_JOBS, OF_SITE_SUMS, Beside
from apel.db.backend import Expressions
from apel.identity import fqan_of, parse_fqan
from apel.messages import FORMATS, WRITERS
from apel.messages.benchmarks import DEFAULT_TYPE
from apel.messages.json_formats import JSON_FORMATS
from apel.records import Record
from apel.records.fields import is_null
from apel.times import DAY, epoch_from_text, month_bounds, month_of, utc_text
from apelcommon.errors import ConfigError

WITHHELD = "withheld"

#: The incumbent's words.
ONLY_JOBS_AS_UR = "Can only send URs for JobRecords and StorageRecords."
ONLY_AS_UR = "Cannot unload StorageRecords in APEL format: set send_ur to true."

#: SQL and its parameters.
Condition = Tuple[str, List[Any]]


def with_their_vo(_: Any, records: List[Record]) -> List[Record]:
    """Records whose messages say the VO by the FQAN alone: with one that says it, where theirs doesn't."""
    return [_with_vo(record) for record in records]


def _with_vo(record: Any) -> Record:
    vo, group, role, fqan = (
        None if text is None or is_null(text) else text
        for text in (record.VO, record.VOGroup, record.VORole, record.FQAN)
    )
    if vo is None or (fqan is not None and parse_fqan(fqan)[0] == vo):
        return record
    return record.replace(FQAN=fqan_of(vo, group, role) or fqan)


class View(NamedTuple):
    """One line of the unload matrix.

    source: the database view. table: where its rows are written and stamped with UpdateTime; '' where
    rows have none that says what is new, so that whole months are sent. sums: SQL aggregates by field,
    for rows that are added up: always where `adds_up`, else where user names are withheld and rows of
    several users become one, or where rows differ only in what their message doesn't say. absent: fields that
    the source lacks. key: what names a row in the log. ur_format: its format as usage records, in XML; format
    is '' if it has no other.

    site, time, grid: the columns of the site, of the time that a gap is about ('' for Year and Month), and of
    the kind of infrastructure ('' if there is none). vos: whether VOs can be chosen. by_row: whether rows of
    a month are stamped one by one, so that what is added up must be looked for by month. schema: whose it is,
    at the centre. complete: adds what the source lacks to records, by the database. beside: where all
    benchmarks of its records are kept, for messages that say them. unsaid: fields that its messages but for
    usage records don't say. period: the columns that tell apart what is added up of a site.
    """

    source: str
    format: str
    dict_format: Optional[str]
    table: str
    key: Tuple[str, ...]
    sums: Mapping[str, str] = {}
    adds_up: bool = False
    absent: FrozenSet[str] = frozenset()
    ur_format: Optional[str] = None
    site: str = "Site"
    time: str = ""
    grid: str = "InfrastructureType"
    vos: bool = True
    by_row: bool = False
    schema: str = "client"
    complete: Optional[Callable[[Any, List[Record]], List[Record]]] = None
    beside: Optional[Beside] = None
    unsaid: FrozenSet[str] = frozenset()
    period: str = "Year, Month"

    @property
    def record_class(self) -> Type[Record]:
        """What its rows are."""
        if self.format in JSON_FORMATS:
            return JSON_FORMATS[self.format].record_class
        if self.format in FORMATS:
            return FORMATS[self.format].record_class
        return WRITERS[self.format or self.ur_format or ""].record_class


#: Of sums that have lost their jobs the times don't count, unless there are no others.
WITH_JOBS = "COALESCE({0}(CASE WHEN NumberOfJobs > 0 THEN {1} END), {0}({1}))"
SUMMARY_SUMS = {
    "EarliestEndTime": WITH_JOBS.format("MIN", "EarliestEndTime"),
    "LatestEndTime": WITH_JOBS.format("MAX", "LatestEndTime"),
    "WallDuration": "SUM(WallDuration)",
    "CpuDuration": "SUM(CpuDuration)",
    "NumberOfJobs": "SUM(NumberOfJobs)",
}
SUMMARY_KEY = ("Site", "Year", "Month", "SubmitHost", "VO", "GlobalUserName")

#: What a site can unload, by the name of its view.
SITE_VIEWS = {
    "VJobRecords": View(
        "VJobRecords",
        "job v0.3",
        "job v0.4",
        "JobRecords",
        ("Site", "MachineName", "LocalJobId", "EndTime"),
        ur_format="job car",
        time="EndTime",
        beside=OF_SITE_JOBS,
    ),
    # With the sums that have lost their jobs, which the view of that name leaves out.
    "VSuperSummaries": View(
        "VUnloadedSummaries",
        "summary v0.2",
        "summary v0.4",
        "",
        SUMMARY_KEY,
        SUMMARY_SUMS,
        absent=frozenset(["InfrastructureDescription"]),
        beside=OF_SITE_SUMS,
    ),
    # From the summaries themselves, not from the view of that name: that one can't be filtered.
    "VSyncRecords": View(
        "VUnloadedSummaries",
        "sync v0.1",
        None,
        "",
        ("Site", "Year", "Month", "SubmitHost"),
        {"NumberOfJobs": "SUM(NumberOfJobs)"},
        adds_up=True,
    ),
    "VAcceleratorRecords": View(
        "VAcceleratorRecords",
        "accelerator v0.1",
        None,
        "AcceleratorRecords",
        ("SiteName", "AssociatedRecord", "Model"),
        site="SiteName",
        time="EndTime",
        complete=with_their_vo,
    ),
}


class Selection(NamedTuple):
    """Which rows are sent, and how. `gap` is (first day, last day), YYYY-MM-DD, UTC, both whole.

    submit_hosts: only theirs; none means those of all. site: only this one; '' for all. whole_cpu_count: see
    apel.messages.encode.
    """

    interval: str = "latest"
    gap: Tuple[str, str] = ("", "")
    include_vos: Sequence[str] = ()
    exclude_vos: Sequence[str] = ()
    local_jobs: bool = False
    withhold_dns: bool = False
    dict_benchmark_type: bool = False
    include_infrastructure_description: bool = False
    send_ur: bool = False
    submit_hosts: Sequence[str] = ()
    whole_cpu_count: bool = False
    site: str = ""

    def format_of(self, view: View) -> str:
        """The message format of a view. Raises ConfigError if it has none as usage records, or in v0.4."""
        if self.send_ur:
            if view.ur_format is None or self.dict_benchmark_type:
                raise ConfigError(ONLY_JOBS_AS_UR)
            return view.ur_format
        if not self.dict_benchmark_type:
            if not view.format:
                raise ConfigError(ONLY_AS_UR)
            return view.format
        if view.dict_format is None:
            raise ConfigError("dict_benchmark_type: there are no such messages of it")
        return view.dict_format


class Query(NamedTuple):
    """What Database.stream_text takes."""

    source: str
    columns: List[str]
    where: str
    parameters: List[Any]


def query(
    view: View,
    selection: Selection,
    condition: Condition = ("", []),
    sql: Optional[Expressions] = None,
) -> Query:
    """The query of a selection from a view; its columns are the fields of the record, in order.

    `condition` says further what is new (see unloader.py). sql: ask for all benchmarks as well, where the
    messages say them, as text that view.beside can read.
    """
    fields = view.record_class.fields
    names = [field.name for field in fields]
    unwritten = _unwritten(view, selection)
    added_up = is_added_up(view, selection)
    view = view._replace(
        absent=view.absent | unwritten | {field.name for field in fields if not field.on_wire}
    )
    where, parameters = _where(view, selection, condition)
    beside = view.beside if sql is not None and selection.dict_benchmark_type else None
    if beside is not None and sql is not None:
        view = view._replace(source=beside.source(), absent=view.absent - {FIELD})
        if added_up:
            view = view._replace(sums=dict(view.sums, **{FIELD: beside.added_up(sql)}))
    if added_up:
        return Query(_added_up(view, selection, names, where), _columns(view, names), "", parameters)
    columns = _columns(view, names)
    if selection.withhold_dns:
        columns = [_withheld(name, sql) for name in columns]
    if beside is not None and sql is not None:
        columns = [beside.column(sql) if name == FIELD else name for name in columns]
    return Query(view.source, columns, where, parameters)


def _unwritten(view: View, selection: Selection) -> FrozenSet[str]:
    """Fields of sums that a message doesn't say: rows that differ in them alone must be added up.

    Or else the receiver, for whom they have one key, would keep one of them.
    """
    if not view.sums:
        return frozenset()
    names = set(view.record_class.names)
    unsaid = set() if selection.include_infrastructure_description else {"InfrastructureDescription"}
    format = selection.format_of(view)
    if format in FORMATS:
        unsaid |= FORMATS[format].read_only
    elif "ServiceLevel" not in names:
        unsaid.add("ServiceLevelType")
    if selection.dict_benchmark_type:
        unsaid.discard("ServiceLevelType")
    if not selection.send_ur:
        unsaid |= view.unsaid
    return frozenset(unsaid & (names - view.absent))


def is_added_up(view: View, selection: Selection) -> bool:
    """Whether rows of the view become one."""
    # In v0.4, a benchmark without a type is said to be of the default one.
    unsaid = selection.withhold_dns or selection.dict_benchmark_type or _unwritten(view, selection)
    return view.adds_up or bool(view.sums and unsaid)


def _added_up(view: View, selection: Selection, names: Sequence[str], where: str) -> str:
    """A sub-query of one row for all rows that agree in what is not summed."""
    kept = [name for name in names if name not in view.sums and name not in view.absent]
    said = [_as_said(name, selection) for name in kept]
    groups = [_group(name, text) for name, text in zip(kept, said)]
    named = [
        (text if text == group else "MIN(%s)" % text, _column(name))
        for text, group, name in zip(said, groups, kept)
    ]
    selected = ["%s AS %s" % pair if pair[0] != pair[1] else pair[0] for pair in named]
    selected += ["%s AS %s" % (sum_of, name) for name, sum_of in view.sums.items()]
    inner = "SELECT %s FROM %s%s GROUP BY %s" % (
        ", ".join(selected),
        view.source,
        " WHERE " + where if where else "",
        ", ".join(groups),
    )
    return "(%s) AS AddedUp" % inner


def _columns(view: View, names: Sequence[str]) -> List[str]:
    return ["NULL" if name in view.absent else _column(name) for name in names]


def _column(name: str) -> str:
    return "`Group`" if name == "Group" else name


def _as_said(name: str, selection: Selection) -> str:
    """SQL for what a message says of a column: rows for which it says the same become one."""
    if name == "GlobalUserName" and selection.withhold_dns:
        return _user()
    if name == "ServiceLevelType" and selection.dict_benchmark_type:
        return "CASE WHEN %s IN ('', 'None') THEN '%s' ELSE %s END" % (name, DEFAULT_TYPE, name)
    return _column(name)


def _group(name: str, text: str) -> str:
    """SQL for what is the same in rows that become one: the case of a benchmark's name is no difference.

    Columns know that by themselves; in SQLite, expressions don't.
    """
    return "LOWER(%s)" % text if name == "ServiceLevelType" and text != name else text


def _withheld(name: str, sql: Optional[Expressions]) -> str:
    """SQL for what is said of a column where users' names are withheld.

    Those of storage stay apart by a number: or else their levels would pass for snapshots of one thing.
    """
    if name == "GlobalUserName":
        return _user()
    if name != "UserIdentity":
        return name
    number = "(SELECT id FROM UserIdentities WHERE name = UserIdentity)"
    said = sql.concatenated(["'%s'" % WITHHELD, number], " ") if sql is not None else "'%s'" % WITHHELD
    return "CASE WHEN UserIdentity = 'None' THEN 'None' ELSE %s END" % said


def _user() -> str:
    return "CASE WHEN GlobalUserName = 'None' THEN 'None' ELSE '%s' END" % WITHHELD


def _where(view: View, selection: Selection, condition: Condition) -> Condition:
    conditions = [condition]
    if view.vos:
        conditions.append(_vos(selection))
    if view.grid and not selection.local_jobs:
        conditions.append(("%s = 'grid'" % view.grid, []))
    if selection.site:
        conditions.append(("%s = %%s" % view.site, [selection.site]))
    if selection.submit_hosts:
        holders = ", ".join(["%s"] * len(selection.submit_hosts))
        conditions.append(("SubmitHost IN (%s)" % holders, list(selection.submit_hosts)))
    if selection.interval == "gap":
        conditions.append(_gap(view, selection.gap))
    texts = [text for text, _ in conditions if text]
    parameters = [value for _, values in conditions for value in values]
    return " AND ".join("(%s)" % text for text in texts), parameters


def _vos(selection: Selection) -> Condition:
    """VO names are compared without regard to case, as the incumbent's databases do."""
    names, word = (
        (selection.include_vos, "IN") if selection.include_vos else (selection.exclude_vos, "NOT IN")
    )
    if not names:
        return "", []
    return "LOWER(VO) %s (%s)" % (word, ", ".join(["%s"] * len(names))), [name.lower() for name in names]


def _gap(view: View, gap: Tuple[str, str]) -> Condition:
    first, last = (epoch_from_text(day + " 00:00:00") for day in gap)
    if view.time:
        return "{0} >= %s AND {0} < %s".format(view.time), [utc_text(first), utc_text(last + DAY)]
    return "Year * 12 + Month BETWEEN %s AND %s", [_month_number(first), _month_number(last)]


def _month_number(time: int) -> int:
    year, month = month_of(time)
    return year * 12 + month


def since_last_month(now: int) -> Condition:
    """The months that `latest` sends of sums: this one and the one before."""
    first, _ = month_bounds(*month_of(now))
    return "Year * 12 + Month >= %s", [_month_number(first - 1)]
