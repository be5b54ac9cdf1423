"""The pages: an overview, both old tables, and for each site its state, its months and each month."""

from typing import Any, Iterable, List, Optional, Sequence

from apel.pubsync import paths
from apel.pubsync.advice import advise
from apel.pubsync.charts import CHART_MONTHS, SPARK_MONTHS, history, number, site_chart, sparkline
from apel.pubsync.documents import Build
from apel.pubsync.layout import (
    STATUS_WORDS,
    Cell,
    Column,
    Page,
    age,
    badge,
    count,
    day,
    link,
    row,
    signed,
    table,
)
from apel.pubsync.markup import Markup, tag
from apel.pubsync.model import STATUSES, Comparison, Site, SiteMonth
from apel.times import month_of

TOP = ("Overview", paths.ROOT)
KINDS = {
    "equal": "the same",
    "close": "within the tolerance",
    "gap": "the centre lacks jobs",
    "surplus": "the centre has more",
    "only site": "nothing at the centre",
    "only centre": "no sync message",
    "clock": "no such month yet: a clock is wrong",
}


def overview(sites: Sequence[Site], build: Build) -> Page:
    """All sites, worst first, those that have closed last."""
    columns = [
        Column("Site"),
        Column("Status"),
        Column("Last job", "number", "how long ago the newest published job ended"),
        Column("Published"),
        Column("Synchronised"),
        Column("Months differing", "number", "recent months whose counts differ"),
        Column("Jobs", "number", "published, last complete month"),
        Column("Jobs by month", "number", "the last %d months" % SPARK_MONTHS),
    ]
    rows = [_overview_row(columns, site, build) for site in sorted(sites, key=_urgency)]
    return Page(
        paths.ROOT,
        "Publishing of all sites",
        [],
        [_tally(sites), tools("sites"), table("Sites", columns, rows, id="sites")],
    )


def _urgency(site: Site) -> Any:
    return site.publication.closed, -STATUSES.index(site.status), site.name.lower(), site.name


def _overview_row(columns: Sequence[Column], site: Site, build: Build) -> Markup:
    points = history(site, month_of(build.now), SPARK_MONTHS)
    return row(
        columns,
        [
            Cell(link(paths.ROOT, paths.grid(site.name), site.name), site.name.lower()),
            _status(site.status),
            age(site.publication),
            _status(site.publication.status),
            Cell(
                tag("a", badge(site.sync_status), href="gridsync/%s/index.html" % paths.slug(site.name)),
                STATUSES.index(site.sync_status),
            ),
            Cell(len(site.differing) or "–", len(site.differing)),
            count(points[-2].jobs),
            Cell(sparkline(points), points[-1].jobs),
        ],
        data_status=site.status,
        class_="closed" if site.publication.closed else None,
    )


def _status(status: str) -> Cell:
    return Cell(badge(status), STATUSES.index(status))


def _tally(sites: Sequence[Site]) -> Markup:
    counts = [(word, sum(site.status == word for site in sites)) for word in STATUS_WORDS]
    items = [tag("li", tag("b", number(found)), " ", badge(word)) for word, found in counts]
    return tag("ul", tag("li", tag("b", number(len(sites))), " sites"), *items, class_="tally")


def tools(table_id: str) -> Markup:
    """Where the script puts search and filter: without it there is nothing to press."""
    return tag("div", class_="tools", data_table=table_id)


def publication(sites: Sequence[Site], build: Build) -> Page:
    """The newest job of every submit host."""
    columns = [
        Column("Site"),
        Column("Submit host"),
        Column("Last job ended", "number"),
        Column("Age", "number"),
        Column("Jobs", "number", "published, all months"),
        Column("Publication status"),
    ]
    rows = [
        row(
            columns,
            [
                Cell(link(paths.GRID, paths.grid(site.name), site.name), site.name.lower()),
                host.submit_host,
                day(host.publication.last),
                age(host.publication),
                count(host.jobs),
                _status(host.publication.status),
            ],
            data_status=host.publication.status,
            class_="closed" if host.publication.closed else None,
        )
        for site in sites
        for host in site.hosts
    ]
    body = [tools("hosts"), table("Submit hosts of all sites", columns, rows, id="hosts")]
    return Page(paths.GRID, "Publication of all submit hosts", [TOP], body, csv=True)


def synchronisation(sites: Sequence[Site], build: Build) -> Page:
    """The recent months of every site, added up."""
    columns = [
        Column("Site"),
        Column("Synchronisation status"),
        Column("Months differing", "number"),
        Column("Newest of them"),
        Column("Jobs in the site's database", "number"),
        Column("Jobs at the centre", "number"),
        Column("Difference", "number", "centre less site"),
    ]
    rows = [_sync_row(columns, site) for site in sites]
    body = [
        tag(
            "p",
            "Months of the last %d of which both sides tell a count, added up."
            % build.thresholds.sync_months,
        ),
        tools("sync"),
        table("Synchronisation of all sites", columns, rows, id="sync"),
    ]
    return Page(paths.SYNC, "Synchronisation of all sites", [TOP], body, csv=True)


def _sync_row(columns: Sequence[Column], site: Site) -> Markup:
    both = [
        month.comparison for month in site.months if month.recent and month.comparison.site_jobs is not None
    ]
    differing = site.differing
    at_site = sum(one.site_jobs or 0 for one in both)
    at_centre = sum(one.centre_jobs or 0 for one in both)
    return row(
        columns,
        [
            Cell(link(paths.SYNC, paths.sync(site.name), site.name), site.name.lower()),
            _status(site.sync_status),
            Cell(len(differing) or "–", len(differing)),
            differing[0].text if differing else "–",
            count(at_site if both else None),
            count(at_centre if both else None),
            signed(at_centre - at_site),
        ],
        data_status=site.sync_status,
    )


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
            "Bars: what is at the centre. Ticks: what the site says it has; thick and red where that is"
            " another number.",
            class_="muted",
        )
        body.append(
            tag("section", tag("h2", "History"), tag("div", site_chart(points), class_="scroll"), key)
        )
    body += [_hosts(site), _publishers(site), months]
    return Page(folder, site.name, [TOP, ("Publication", paths.GRID)], [one for one in body if one])


def _state(site: Site) -> Markup:
    state = site.publication
    told = age(state).shown
    sync = _how_many(len(site.differing))
    if site.sync_status == "UNKNOWN":
        sync = "the site does not say how many jobs it has"
    return tag(
        "dl",
        tag("div", tag("dt", "Published"), tag("dd", badge(state.status), " last job ", told)),
        tag("div", tag("dt", "Synchronised"), tag("dd", badge(site.sync_status), " ", sync)),
        class_="state",
    )


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
                _status(host.publication.status),
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
                _status(publisher.publication.status),
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
                    number(month.published.normalised_cpu_seconds / 3600),
                    month.published.normalised_cpu_seconds,
                ),
                _status(month.comparison.status),
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
    if comparison.difference:
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
                _status(host.comparison.status),
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
        [total, table("Submit hosts", columns, rows)],
    )
