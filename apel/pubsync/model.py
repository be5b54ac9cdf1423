"""Judges publishing: how old, how much is missing, since when; figures in, statuses out, no I/O."""

from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from apel.pubsync.figures import Month, Published, SiteFigures
from apel.times import DAY, month_of

OK, WARNING, ERROR, UNKNOWN = "OK", "WARNING", "ERROR", "UNKNOWN"
#: From what says nothing to what is worst.
STATUSES = (UNKNOWN, OK, WARNING, ERROR)

#: How the counts of a month stand to each other.
EQUAL, CLOSE, GAP, SURPLUS = "equal", "close", "gap", "surplus"
ONLY_SITE, ONLY_CENTRE, CLOCK = "only site", "only centre", "clock"

#: There was no grid before; times before that come from a clock that was not set, or from a zero.
FIRST_MONTH: Month = (2000, 1)
#: After so many days of silence a site or host is taken to have closed, and raises no more alarms.
CLOSED_DAYS = 365.0


class Thresholds(NamedTuple):
    """What is judged by. Months older than `sync_months` are shown but not counted in a site's status."""

    warning_days: float = 7.0
    error_days: float = 31.0
    difference_percent: float = 1.0
    clock_hours: float = 24.0
    sync_months: int = 24


class Publication(NamedTuple):
    """The end of the last job that was published (epoch seconds), how long ago that is, and the status.

    future: the end of a job later than the clock allows, if there is one. undated: whether there are jobs,
    but no end of any of them, as in sums without LatestEndTime.
    """

    status: str
    last: Optional[int] = None
    age_days: Optional[float] = None
    future: Optional[int] = None
    undated: bool = False

    @property
    def closed(self) -> bool:
        """Whether nothing has come for so long that nothing is expected any more."""
        return self.age_days is not None and self.age_days > CLOSED_DAYS


class Comparison(NamedTuple):
    """Jobs in the site's database and at the centre; None where a side says nothing."""

    kind: str
    status: str
    site_jobs: Optional[int]
    centre_jobs: Optional[int]

    @property
    def difference(self) -> int:
        """Jobs at the centre less jobs at the site: negative where the centre lacks some."""
        return (self.centre_jobs or 0) - (self.site_jobs or 0)

    @property
    def percent(self) -> float:
        """The difference by the larger count, without sign."""
        larger = max(self.site_jobs or 0, self.centre_jobs or 0)
        return 100.0 * abs(self.difference) / larger if larger else 0.0


class HostMonth(NamedTuple):
    """A month of one submit host."""

    submit_host: str
    comparison: Comparison
    published: Optional[Published]


class SiteMonth(NamedTuple):
    """A month of a site.

    recent: whether it counts in the site's status, as months do that can't be. pending: whether the centre
    has records of it that are not summed up yet. archived: whether the centre takes no more jobs of it.
    """

    month: Month
    comparison: Comparison
    published: Published
    recent: bool
    pending: bool
    archived: bool
    hosts: List[HostMonth]

    @property
    def text(self) -> str:
        """'2026-09'."""
        return month_text(self.month)


class Host(NamedTuple):
    """A submit host of a site."""

    submit_host: str
    publication: Publication
    jobs: int


class Publisher(NamedTuple):
    """Who signed, for which submit hosts, and when that last changed something at the centre."""

    dn: str
    submit_hosts: List[str]
    publication: Publication


class Site(NamedTuple):
    """One site, judged; months newest first."""

    name: str
    publication: Publication
    sync_status: str
    months: List[SiteMonth]
    hosts: List[Host]
    publishers: List[Publisher]

    @property
    def status(self) -> str:
        """The worse of publication and synchronisation."""
        return worst([self.publication.status, self.sync_status])

    @property
    def differing(self) -> List[SiteMonth]:
        """Recent months whose status is not OK."""
        return [
            month for month in self.months if month.recent and month.comparison.status in (WARNING, ERROR)
        ]


def worst(statuses: Iterable[str]) -> str:
    """The worst of them; UNKNOWN if there are none, or none that says more."""
    return max(statuses, key=STATUSES.index, default=UNKNOWN)


def month_text(month: Month) -> str:
    """(2026, 9) -> '2026-09'."""
    return "%04d-%02d" % month


def judge(figures: Dict[str, SiteFigures], now: int, thresholds: Thresholds) -> List[Site]:
    """Every site, by name."""
    return [judge_site(name, figures[name], now, thresholds) for name in sorted(figures)]


def judge_site(name: str, figures: SiteFigures, now: int, thresholds: Thresholds) -> Site:
    """One site."""
    months = _months(figures, now, thresholds)
    by_host = _by_host(figures)
    recent = [month.comparison.status for month in months if month.recent]
    return Site(
        name,
        _publication([one for all_of in by_host.values() for one in all_of], now, thresholds),
        worst(recent),
        months,
        _hosts(by_host, now, thresholds),
        _publishers(figures, now, thresholds),
    )


def _by_host(figures: SiteFigures) -> Dict[str, List[Published]]:
    found: Dict[str, List[Published]] = {}
    for hosts in figures.published.values():
        for host, published in hosts.items():
            found.setdefault(host, []).append(published)
    for hosts_counted in figures.counted.values():
        for host, jobs in hosts_counted.items():
            if jobs:  # a count of 0 takes back what the host is no longer said to have
                found.setdefault(host, [])
    return found


def _publication(rows: Sequence[Published], now: int, thresholds: Thresholds) -> Publication:
    pasts = [row.past_end for row in rows if row.past_end is not None]
    lasts = [row.last_end for row in rows if row.last_end is not None]
    judged = publication(max(pasts, default=None), max(lasts, default=None), now, thresholds)
    return judged._replace(undated=not lasts and any(row.jobs for row in rows))


def publication(past: Optional[int], last: Optional[int], now: int, thresholds: Thresholds) -> Publication:
    """Judge by the last time that is not of the future, and the last of all. Epoch seconds, or None."""
    limit = now + thresholds.clock_hours * 3600
    future = last if last is not None and last > limit else None
    if past is None:
        return Publication(UNKNOWN if future is None else WARNING, future=future)
    age = max(0.0, (now - past) / DAY)
    status = OK
    if age > thresholds.error_days:
        status = ERROR
    elif age > thresholds.warning_days or future is not None:
        status = WARNING
    return Publication(status, past, age, future)


def _hosts(by_host: Dict[str, List[Published]], now: int, thresholds: Thresholds) -> List[Host]:
    hosts = [
        Host(name, _publication(rows, now, thresholds), sum(row.jobs for row in rows))
        for name, rows in by_host.items()
    ]
    return sorted(hosts, key=lambda host: (-(host.publication.last or 0), host.submit_host))


def _publishers(figures: SiteFigures, now: int, thresholds: Thresholds) -> List[Publisher]:
    hosts: Dict[str, Set[str]] = {}
    updated: Dict[str, int] = {}
    for signed in figures.signed:
        hosts.setdefault(signed.dn, set()).add(signed.submit_host)
        updated[signed.dn] = max(signed.updated, updated.get(signed.dn, 0))
    publishers = [
        Publisher(dn, sorted(hosts[dn]), publication(updated[dn], updated[dn], now, thresholds))
        for dn in sorted(hosts)
    ]
    return sorted(publishers, key=lambda one: (-(one.publication.last or 0), one.dn))


def _months(figures: SiteFigures, now: int, thresholds: Thresholds) -> List[SiteMonth]:
    current = month_of(now)
    oldest = months_back(current, thresholds.sync_months - 1)
    sync = sorted(month for month in figures.counted if FIRST_MONTH <= month <= current)
    comparer = _Comparer(sync, current, thresholds)
    months = []
    for month in sorted(set(figures.published) | set(figures.counted), reverse=True):
        published, counted = figures.published.get(month, {}), figures.counted.get(month, {})
        pending = month in figures.pending
        hosts = [
            HostMonth(
                host,
                comparer.compare(month, counted.get(host), _jobs_of(published.get(host)), pending),
                published.get(host),
            )
            for host in sorted(set(published) | set(counted))
        ]
        total = add_up(published.values())
        compared = comparer.compare(
            month,
            sum(counted.values()) if counted else None,
            total.jobs if published else None,
            pending,
        )
        recent = month >= oldest or compared.kind == CLOCK
        months.append(SiteMonth(month, compared, total, recent, pending, month in figures.archived, hosts))
    return months


def _jobs_of(published: Optional[Published]) -> Optional[int]:
    return None if published is None else published.jobs


def add_up(rows: Iterable[Published]) -> Published:
    """The sums of all, the first and last times of all."""
    given = list(rows)
    firsts, lasts, pasts = (
        [time for time in times if time is not None]
        for times in (
            [row.first_end for row in given],
            [row.last_end for row in given],
            [row.past_end for row in given],
        )
    )
    return Published(
        sum(row.jobs for row in given),
        sum(row.cpu_seconds for row in given),
        sum(row.normalised_cpu_seconds for row in given),
        min(firsts, default=None),
        max(lasts, default=None),
        max(pasts, default=None),
    )


def months_back(month: Month, count: int) -> Month:
    """The month so many months before."""
    number = month[0] * 12 + month[1] - 1 - count
    return number // 12, number % 12 + 1


class _Comparer:
    """Compares the counts of one site's months. `sync`: the months of which the site has told its count."""

    def __init__(self, sync: Sequence[Month], current: Month, thresholds: Thresholds) -> None:
        self.first_sync = sync[0] if sync else None
        self.current = current
        self.percent = thresholds.difference_percent

    def compare(self, month: Month, site: Optional[int], centre: Optional[int], pending: bool) -> Comparison:
        """The status of the counts; of a month that is still to be summed up it is WARNING at worst."""
        kind, status = self._judge(month, site, centre)
        if pending and status == ERROR:
            status = WARNING
        return Comparison(kind, status, site, centre)

    def _judge(self, month: Month, site: Optional[int], centre: Optional[int]) -> Tuple[str, str]:
        if not FIRST_MONTH <= month <= self.current:
            return CLOCK, WARNING
        if site is None:
            # Older than all that the site has counted, or a site that never counts: nothing can be said.
            silent = self.first_sync is None or month < self.first_sync
            return ONLY_CENTRE, UNKNOWN if silent else WARNING
        if site == (centre or 0):
            return EQUAL, OK
        if not centre:
            return ONLY_SITE, ERROR
        compared = Comparison("", "", site, centre)
        if compared.percent < self.percent:
            return CLOSE, OK
        return (GAP if compared.difference < 0 else SURPLUS), ERROR
