"""Publishes chosen months again, or days, of one compute element or VO; what `latest` will send stays."""

import logging
from typing import Any, Iterable, List, NamedTuple, Set, Tuple

from apel.client.run import ACCELERATORS, unload_accelerators
from apel.client.run import selection as configured_selection
from apel.client.summarise import summarise_site
from apel.db import Database
from apel.times import DAY, month_bounds, utc_text
from apel.unloader import Unloaded, Unloader
from apel.views import SITE_VIEWS, Selection, query
from apelcommon.config import Settings
from apelcommon.errors import ConfigError, ServiceError

log = logging.getLogger("client")

JOBS, SUMMARIES = "VJobRecords", "VSuperSummaries"
#: First and last day, YYYY-MM-DD, both whole, UTC.
Period = Tuple[str, str]


class Request(NamedTuple):
    """What to publish again: periods, and of them one submit host and one VO, or all ('')."""

    periods: List[Period]
    view: str
    ce: str = ""
    vo: str = ""

    def selection(self, settings: Settings) -> Selection:
        """What the configuration lets out, narrowed. Raises ConfigError if that lets nothing out."""
        chosen = configured_selection(settings)._replace(interval="gap")
        if self.ce:
            chosen = chosen._replace(submit_hosts=[self.ce])
        if self.vo:
            _check_vo(self.vo, chosen)
            chosen = chosen._replace(include_vos=[self.vo])
        return chosen


def _check_vo(vo: str, chosen: Selection) -> None:
    listed = vo.lower() in [name.lower() for name in chosen.include_vos or chosen.exclude_vos]
    if listed != bool(chosen.include_vos) and (chosen.include_vos or chosen.exclude_vos):
        raise ConfigError(
            "--vo %s: the configuration does not let this VO out ([unloader] include_vos, exclude_vos)" % vo
        )


def periods_of(months: Iterable[Tuple[int, int]], joined: bool = True) -> List[Period]:
    """The days of months; of neighbours together, if `joined`."""
    spans: List[List[int]] = []
    for first, after in sorted(month_bounds(*month) for month in set(months)):
        if joined and spans and spans[-1][1] == first:
            spans[-1][1] = after
        else:
            spans.append([first, after])
    return [(utc_text(first)[:10], utc_text(after - DAY)[:10]) for first, after in spans]


def known_sites(db: Database) -> Set[str]:
    """The sites whose records the database holds."""
    return {name for (name,) in db.run(lambda tx: tx.rows("SELECT name FROM Sites"))}


def check_ce(db: Database, ce: str) -> None:
    """Raises ServiceError, naming those there are, if the database has no job of this submit host."""

    def read(tx: Any) -> List[str]:
        rows = tx.rows(
            "SELECT DISTINCT name FROM SubmitHosts JOIN SuperSummaries ON SubmitHostId = id ORDER BY name"
        )
        return [name for (name,) in rows]

    hosts = db.run(read)
    if ce and ce not in hosts:
        raise ServiceError(
            "There are no jobs of the submit host %s here; there are of %s."
            % (ce, ", ".join(hosts) or "none")
        )


def outlook(db: Database, settings: Settings, request: Request) -> List[str]:
    """What would be sent, in a line for each period; nothing is changed."""
    chosen = request.selection(settings)
    chosen.format_of(SITE_VIEWS[request.view])  # raises what publishing would
    jobs = "COUNT(*)" if request.view == JOBS else "COALESCE(SUM(NumberOfJobs), 0)"

    def read(tx: Any) -> List[str]:
        lines = []
        for period in request.periods:
            asked = query(SITE_VIEWS[request.view], chosen._replace(gap=period))
            where = " WHERE " + asked.where if asked.where else ""
            records, count = tx.row(
                "SELECT COUNT(*), %s FROM %s%s" % (jobs, asked.source, where), asked.parameters
            )
            what = "%d jobs" % count if request.view == JOBS else "%d sums of %d jobs" % (records, count)
            if settings.unloader.accelerators:
                what += ", %d accelerators" % _accelerators(tx, chosen._replace(gap=period))
            lines.append("%s to %s: %s" % (*period, what))
        return lines

    return list(db.run(read))


def _accelerators(tx: Any, chosen: Selection) -> int:
    asked = query(SITE_VIEWS[ACCELERATORS], chosen._replace(dict_benchmark_type=False, send_ur=False))
    return int(
        tx.value("SELECT COUNT(*) FROM %s WHERE %s" % (asked.source, asked.where), asked.parameters) or 0
    )


def republish(db: Database, settings: Settings, queue: Any, request: Request) -> Unloaded:
    """Write the messages, then the sync messages of all months. Raises what queue.add raises.

    Sync messages count what the configuration lets out: were they narrowed to one VO, the centre would take
    that for all there is.
    """
    summarise_site(db)
    chosen, size = request.selection(settings), settings.unloader.records_per_message
    done = Unloaded()
    for period in request.periods:
        some = Unloader(db, queue, chosen._replace(gap=period), size).unload(request.view)
        log.info("Published again %s to %s: %d records", *period, some.records)
        done = _added(done, some)
        if settings.unloader.accelerators:
            done = _added(done, unload_accelerators(db, settings, queue, chosen._replace(gap=period)))
    if not done.records and not done.invalid:
        raise ServiceError("There is nothing to publish again: no jobs here are of that time, CE and VO.")
    sync = Unloader(db, queue, configured_selection(settings), size).unload_sync()
    return done._replace(messages=done.messages + sync.messages, invalid=done.invalid + sync.invalid)


def _added(one: Unloaded, other: Unloaded) -> Unloaded:
    return Unloaded(*(left + right for left, right in zip(one, other)))
