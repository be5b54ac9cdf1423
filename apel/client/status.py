"""What a site's pipeline did last, what waits in its database and for what: read, nothing changed."""

from typing import Any, Dict, List, NamedTuple, Optional

from apel import times
from apel.client.accelerators import UNKNOWN
from apel.client.choice import NEW, WAITS_FOR_BENCHMARK, WAITS_FOR_GRID_RECORD
from apel.db import Database
from apel.runs import LastRuns, last_runs
from apel.unloader import SENT, SENT_ACCELERATORS, SENT_SUMS

#: Of jobs with a status: why they wait, and what to do.
REASONS = (
    (NEW, "apelclient has not run since they were parsed", "run apelclient, from cron after apelparser"),
    (
        WAITS_FOR_GRID_RECORD,
        "no grid record (BLAH log) of theirs was parsed, and they are not local",
        "see that apelparser reads the BLAH log of each compute element (apelparser --status; the newest"
        " record %s), under the same site_name; if they are local jobs, leave them, or account them:"
        " [joiner] local_jobs = true",
    ),
    (
        WAITS_FOR_BENCHMARK,
        "their compute element has no benchmark",
        "apelclient --benchmarks names it, and the line to add to client.cfg; or ask the BDII",
    ),
)


class Waiting(NamedTuple):
    """Jobs that are not accounted yet, why, and what to do; `oldest`: when the first ended (epoch)."""

    jobs: int
    reason: str
    oldest: Optional[int]
    todo: str


class Accelerators(NamedTuple):
    """Accelerator records: how many, how many of them of unknown model, and how many are still to be sent."""

    records: int
    unknown: int
    unsent: int


class SiteStatus(NamedTuple):
    """The state of a site's database. Times are epoch seconds; None: never."""

    parser: Dict[str, LastRuns]
    client: LastRuns
    newest_job: Optional[int]
    jobs: int
    waiting: List[Waiting]
    months: int
    sent: Optional[int]
    rejected_lines: int
    accelerators: Accelerators


def site_status(db: Database) -> SiteStatus:
    """Ask a site's database. Raises Transient when it can't be asked."""
    found = db.run(lambda tx: _read(tx, db.sql.epoch))
    runs = last_runs(db, "apelclient").get("", LastRuns(None, None))
    return SiteStatus(parser=last_runs(db, "apelparser"), client=runs, **found)


def _read(tx: Any, epoch: Any) -> Dict[str, Any]:
    sent = "SELECT MAX(%s) FROM LastUpdated WHERE Type IN (%%s, %%s)" % epoch("UpdateTime")
    months = "SELECT COUNT(*) FROM (SELECT DISTINCT SiteID, Year, Month FROM ChangedMonths) M"
    newest = "SELECT MAX(%s) FROM EventRecords" % epoch("EndTime")
    return {
        "newest_job": _whole(tx.value(newest)),
        "jobs": _whole(tx.value("SELECT COUNT(*) FROM EventRecords")) or 0,
        "waiting": _waiting(tx, epoch),
        "months": _whole(tx.value(months)) or 0,
        "sent": _whole(tx.value(sent, (SENT, SENT_SUMS))),
        "rejected_lines": _whole(tx.value("SELECT COUNT(*) FROM RejectedLines")) or 0,
        "accelerators": _accelerators(tx),
    }


def _accelerators(tx: Any) -> Accelerators:
    unsent = """
        SELECT COUNT(*) FROM AcceleratorRecords
        WHERE UpdateTime >= COALESCE((SELECT UpdateTime FROM LastUpdated WHERE Type = %s), '1970-01-02')
    """
    alive = "SELECT COUNT(*) FROM AcceleratorRecords WHERE AvailableDuration > 0"
    return Accelerators(
        records=int(tx.value(alive)),
        unknown=int(tx.value(alive + " AND Model LIKE %s", (UNKNOWN + "%",))),
        unsent=int(tx.value(unsent, (SENT_ACCELERATORS,))),
    )


def _waiting(tx: Any, epoch: Any) -> List[Waiting]:
    query = "SELECT COUNT(*), MIN(%s) FROM EventRecords WHERE Status = %%s" % epoch("EndTime")
    found = []
    for status, reason, todo in REASONS:
        count, oldest = tx.row(query, (status,))
        if count:
            if status == WAITS_FOR_GRID_RECORD:
                newest = tx.value("SELECT MAX(%s) FROM BlahdRecords" % epoch("TimeStamp"))
                todo %= "is of %s" % age(_whole(newest)) if newest is not None else "never came"
            found.append(Waiting(int(count), reason, _whole(oldest), todo))
    return found


def _whole(value: Any) -> Optional[int]:
    return None if value is None else int(value)


def age(epoch: Optional[int]) -> str:
    """'3 hours ago', or 'never'."""
    if epoch is None:
        return "never"
    seconds = max(0, times.now() - epoch)
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return "%d %s ago" % (seconds // size, unit)
    return "%d seconds ago" % seconds
