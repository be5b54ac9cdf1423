"""The pages of one site: its state, its months, and each month by submit host."""

from typing import Any, Iterable, List, Optional

from apel.pubsync import paths
from apel.pubsync.advice import advise, cure
from apel.pubsync.charts import CHART_MONTHS, history, number, site_chart
from apel.pubsync.documents import Build
from apel.pubsync.layout import (
    TOP,
    Cell,
    Column,
    Page,
    age,
    badge,
    count,
    day,
    link,
    row,
    scroller,
    signed,
    status_cell,
    table,
    tools,
)
from apel.pubsync.markup import Markup, tag
from apel.pubsync.model import Comparison, Publication, Site, SiteMonth
from apel.times import month_of

KINDS = {
    "equal": "the same",
    "close": "within the tolerance",
    "gap": "the centre lacks jobs",
    "surplus": "the centre has more",
    "only site": "nothing at the centre",
    "only centre": "no sync message",
    "clock": "no such month yet: a clock is wrong",
}


def site_pages(site: Site, build: Build, linked: int) -> List[Page]:
    """A site's main page and its synchronisation page.

    linked: how many of the newest months have pages of their own.
    """
    # Both lie as deep, so one table of months, with its relative links, serves both.
    months = months_table(site, paths.grid(site.name), linked)
    return [_site_page(site, build, months), _sync_page(site, build, months)]


def _site_page(site: Site, build: Build, months: Markup) -> Page:
    folder = paths.grid(site.name)
    body: List[Any] = [_state(site), *_advice(site, build)]
    points = history(site, month_of(build.now), CHART_MONTHS)
    if any(point.jobs or point.site_jobs for point in points):
        key = tag(
            "p",
            "Above jobs, below normalised CPU hours. Bars: what is at the centre. Ticks: what the site says"
            " it has; thick and red where that is another number.",
            class_="muted",
        )
        body.append(
            tag(
                "section",
                tag("h2", "History"),
                scroller("Chart of months", site_chart(points), "scroll newest"),
                key,
            )
        )
    body += [_hosts(site), _publishers(site), months]
    return Page(folder, site.name, [TOP, ("Publication", paths.GRID)], [one for one in body if one])


def _state(site: Site) -> Markup:
    state = site.publication
    sync = _how_many(len(site.differing))
    if site.sync_status == "UNKNOWN":
        sync = "the site does not say how many jobs it has"
    return tag(
        "dl",
        tag("div", tag("dt", "Published"), tag("dd", badge(state.status), " ", _last_job(state))),
        tag("div", tag("dt", "Synchronised"), tag("dd", badge(site.sync_status), " ", sync)),
        class_="state",
    )


def _last_job(state: Publication) -> str:
    if state.last is not None:
        return "last job %s" % age(state).shown
    if state.future is not None:
        return "all jobs end in the future"
    return "the sums don't say when jobs ended" if state.undated else "no job has come"


def _how_many(differing: int) -> str:
    if differing == 1:
        return "one recent month differs"
    return "%d recent months differ" % differing if differing else "no recent month differs"


def _advice(site: Site, build: Build) -> Iterable[Markup]:
    found = advise(site, build.address(paths.grid(site.name)))
    if found:
        items = [
            tag(
                "li",
                badge(one.status),
                tag("p", one.text),
                tag("pre", tag("code", one.command)) if one.command else None,
            )
            for one in found
        ]
        yield tag("section", tag("h2", "What to do"), tag("ul", *items), class_="advice")


def _hosts(site: Site) -> Markup:
    columns = [
        Column("Submit host"),
        Column("Status"),
        Column("Last job ended", "number"),
        Column("Age", "number"),
        Column("Jobs", "number"),
    ]
    rows = [
        row(
            columns,
            [
                host.submit_host,
                status_cell(host.publication.status),
                day(host.publication.last),
                age(host.publication),
                count(host.jobs),
            ],
            class_="closed" if host.publication.closed else None,
        )
        for host in site.hosts
    ]
    return tag("section", tag("h2", "Submit hosts"), table("Submit hosts of the site", columns, rows))


def _publishers(site: Site) -> Optional[Markup]:
    if not site.publishers:
        return None
    columns = [
        Column("Publisher"),
        Column("Status"),
        Column("Last change", "number", "when what it sent last changed something at the centre"),
        Column("Age", "number"),
        Column("Submit hosts", "number"),
    ]
    rows = [
        row(
            columns,
            [
                publisher.dn,
                status_cell(publisher.publication.status),
                day(publisher.publication.last),
                age(publisher.publication),
                Cell(
                    tag("span", len(publisher.submit_hosts), title=", ".join(publisher.submit_hosts)),
                    len(publisher.submit_hosts),
                ),
            ],
            class_="closed" if publisher.publication.closed else None,
        )
        for publisher in site.publishers
    ]
    return tag("section", tag("h2", "Publishers"), table("Who signs the site's messages", columns, rows))


MONTH_COLUMNS = [
    Column("Month"),
    Column("Record start", "number"),
    Column("Record end", "number"),
    Column("Jobs in your database", "number", "as the site's sync messages say"),
    Column("Jobs published", "number", "at the centre"),
    Column("Difference", "number", "centre less site"),
    Column("CPU hours, normalised", "number"),
    Column("Status"),
    Column("Meaning"),
]


def months_table(site: Site, folder: str, linked: int) -> Markup:
    """The months of a site, newest first."""
    rows = [
        row(
            MONTH_COLUMNS,
            [
                link(folder, paths.month(site.name, month.text), month.text)
                if place < linked
                else month.text,
                day(month.published.first_end),
                day(month.published.last_end),
                *_comparison(month.comparison),
                Cell(
                    number(round(month.published.normalised_cpu_seconds / 3600)),
                    month.published.normalised_cpu_seconds,
                ),
                status_cell(month.comparison.status),
                _meaning(month),
            ],
            data_status=month.comparison.status,
            class_=None if month.recent else "closed",
        )
        for place, month in enumerate(site.months)
    ]
    return tag(
        "section",
        tag("h2", "Months"),
        tools("months"),
        table("Months, newest first", MONTH_COLUMNS, rows, id="months"),
    )


def _comparison(comparison: Comparison) -> List[Cell]:
    shown = signed(comparison.difference)
    if comparison.site_jobs is None:
        shown = Cell(count(None).shown, 0)
    elif comparison.difference:
        shown = Cell("%s (%s)" % (shown.shown, percent(comparison.percent)), comparison.difference)
    return [count(comparison.site_jobs), count(comparison.centre_jobs), shown]


def percent(value: float) -> str:
    """A share to about two figures: '0.4 %', '12 %'."""
    return "%s %%" % (("%.1f" if value >= 0.05 else "%.2f") % value if value < 10 else "%.0f" % value)


def _meaning(month: SiteMonth) -> str:
    words = KINDS[month.comparison.kind]
    return words + "; still to be summed up" if month.pending else words


def _sync_page(site: Site, build: Build, months: Markup) -> Page:
    """A site's months, as the old synchronisation page showed them."""
    folder = paths.sync(site.name)
    trail = [TOP, ("Synchronisation", paths.SYNC)]
    state = tag("p", badge(site.sync_status), " ", link(folder, paths.grid(site.name), "All about this site"))
    return Page(
        folder,
        "Synchronisation of %s" % site.name,
        trail,
        [state, *_advice(site, build), months],
    )


def _cure(month: SiteMonth) -> Markup:
    command = cure(month)
    return tag("div", tag("pre", tag("code", command)), class_="advice") if command else Markup("")


def month_page(site: Site, month: SiteMonth) -> Page:
    """One month of a site, by submit host."""
    folder = paths.month(site.name, month.text)
    columns = [
        Column("Submit host"),
        Column("Record start", "number"),
        Column("Record end", "number"),
        Column("Jobs in your database", "number"),
        Column("Jobs published", "number"),
        Column("Difference", "number"),
        Column("Status"),
        Column("Meaning"),
    ]
    rows = [
        row(
            columns,
            [
                host.submit_host,
                day(host.published.first_end if host.published else None),
                day(host.published.last_end if host.published else None),
                *_comparison(host.comparison),
                status_cell(host.comparison.status),
                KINDS[host.comparison.kind],
            ],
        )
        for host in month.hosts
    ]
    total = tag("p", badge(month.comparison.status), " ", _meaning(month), " (all submit hosts together)")
    return Page(
        folder,
        "%s in %s" % (site.name, month.text),
        [TOP, ("Synchronisation", paths.SYNC), (site.name, paths.sync(site.name))],
        [total, _cure(month), table("Submit hosts", columns, rows)],
    )
