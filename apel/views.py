"""What can be unloaded: each view with its message formats, and the SELECT that gives records from it."""

from typing import Any, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from apel.messages import FORMATS
from apel.times import DAY, epoch_from_text, month_bounds, month_of, utc_text
from apelcommon.errors import ConfigError

WITHHELD = "withheld"

#: The incumbent's words.
ONLY_JOBS_AS_UR = "Can only send URs for JobRecords and StorageRecords."

#: SQL and its parameters.
Condition = Tuple[str, List[Any]]


class View(NamedTuple):
    """One line of the unload matrix.

    source: the database view. table: where its rows are written and stamped with UpdateTime; '' where
    rows have none that says what is new, so that whole months are sent. sums: SQL aggregates by field,
    for rows that are added up: always where `adds_up`, else where user names are withheld and rows of
    several users become one. absent: fields that the source lacks. key: what names a row in the log.
    ur_format: its format as usage records, in XML.
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


SUMMARY_SUMS = {
    "EarliestEndTime": "MIN(EarliestEndTime)",
    "LatestEndTime": "MAX(LatestEndTime)",
    "WallDuration": "SUM(WallDuration)",
    "CpuDuration": "SUM(CpuDuration)",
    "NumberOfJobs": "SUM(NumberOfJobs)",
}
SUMMARY_KEY = ("Site", "Year", "Month", "SubmitHost", "VO", "GlobalUserName")

#: What a site can unload, by the name of its view (messages.md 6 of the incumbent's facts).
SITE_VIEWS = {
    "VJobRecords": View(
        "VJobRecords",
        "job v0.3",
        "job v0.4",
        "JobRecords",
        ("Site", "MachineName", "LocalJobId", "EndTime"),
        ur_format="job car",
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
}


class Selection(NamedTuple):
    """Which rows are sent, and how. `gap` is (first day, last day), YYYY-MM-DD, UTC, both whole.

    submit_hosts: only theirs; none means those of all.
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

    def format_of(self, view: View) -> str:
        """The message format of a view. Raises ConfigError if it has none as usage records, or in v0.4."""
        if self.send_ur:
            if view.ur_format is None or self.dict_benchmark_type:
                raise ConfigError(ONLY_JOBS_AS_UR)
            return view.ur_format
        if not self.dict_benchmark_type:
            return view.format
        if view.dict_format is None:
            raise ConfigError("dict_benchmark_type: %s has no such messages" % view.source)
        return view.dict_format


class Query(NamedTuple):
    """What Database.stream_text takes."""

    source: str
    columns: List[str]
    where: str
    parameters: List[Any]


def query(view: View, selection: Selection, condition: Condition = ("", [])) -> Query:
    """The query of a selection from a view; its columns are the fields of the record, in order.

    `condition` says further what is new (see unloader.py).
    """
    fields = FORMATS[view.format].record_class.fields
    names = [field.name for field in fields]
    view = view._replace(absent=view.absent | {field.name for field in fields if not field.on_wire})
    where, parameters = _where(view, selection, condition)
    if view.adds_up or (view.sums and selection.withhold_dns):
        return Query(_added_up(view, selection, names, where), _columns(view, names), "", parameters)
    columns = [_user() if _is_withheld(name, selection) else name for name in _columns(view, names)]
    return Query(view.source, columns, where, parameters)


def _added_up(view: View, selection: Selection, names: Sequence[str], where: str) -> str:
    """A sub-query of one row for all rows that agree in what is not summed."""
    kept = [name for name in names if name not in view.sums and name not in view.absent]
    selected = ["%s AS %s" % (_user(), name) if _is_withheld(name, selection) else name for name in kept]
    selected += ["%s AS %s" % (sum_of, name) for name, sum_of in view.sums.items()]
    groups = [_user() if _is_withheld(name, selection) else name for name in kept]
    inner = "SELECT %s FROM %s%s GROUP BY %s" % (
        ", ".join(selected),
        view.source,
        " WHERE " + where if where else "",
        ", ".join(groups),
    )
    return "(%s) AS AddedUp" % inner


def _columns(view: View, names: Sequence[str]) -> List[str]:
    return ["NULL" if name in view.absent else name for name in names]


def _is_withheld(name: str, selection: Selection) -> bool:
    return name == "GlobalUserName" and selection.withhold_dns


def _user() -> str:
    return "CASE WHEN GlobalUserName = 'None' THEN 'None' ELSE '%s' END" % WITHHELD


def _where(view: View, selection: Selection, condition: Condition) -> Condition:
    conditions = [condition, _vos(selection)]
    if not selection.local_jobs:
        conditions.append(("InfrastructureType = 'grid'", []))
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
    if view.table:
        return "EndTime >= %s AND EndTime < %s", [utc_text(first), utc_text(last + DAY)]
    return "Year * 12 + Month BETWEEN %s AND %s", [_month_number(first), _month_number(last)]


def _month_number(time: int) -> int:
    year, month = month_of(time)
    return year * 12 + month


def since_last_month(now: int) -> Condition:
    """The months that `latest` sends of sums: this one and the one before."""
    first, _ = month_bounds(*month_of(now))
    return "Year * 12 + Month >= %s", [_month_number(first - 1)]
