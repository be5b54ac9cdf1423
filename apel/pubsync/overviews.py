"""The pages of all sites: an overview, and the two old tables."""

from typing import Any, List, Sequence

from apel.pubsync import paths
from apel.pubsync.charts import SPARK_MONTHS, number, sparkline
from apel.pubsync.documents import Build
from apel.pubsync.figures import Month
from apel.pubsync.layout import (
    STATUS_WORDS,
    TOP,
    Cell,
    Column,
    Page,
    age,
    amount,
    badge,
    count,
    day,
    link,
    row,
    signed,
    status_cell,
    table,
    tools,
)
from apel.pubsync.markup import Markup, tag
from apel.pubsync.model import STATUSES, Site, month_text, months_back
from apel.pubsync.records import Kind, Part
from apel.times import month_of


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
    current = month_of(build.now)
    jobs = {month.month: month.published.jobs for month in site.months}
    return row(
        columns,
        [
            Cell(link(paths.ROOT, paths.grid(site.name), site.name), site.name.lower()),
            status_cell(site.status),
            age(site.publication),
            status_cell(site.publication.status),
            Cell(
                tag("a", badge(site.sync_status), href="gridsync/%s/index.html" % paths.slug(site.name)),
                STATUSES.index(site.sync_status),
            ),
            Cell(len(site.differing) or "–", len(site.differing)),
            count(jobs.get(months_back(current, 1), 0)),
            Cell(sparkline("Jobs", jobs, current), jobs.get(current, 0)),
        ],
        data_status=site.status,
        class_="closed" if site.publication.closed else None,
    )


def _tally(sites: Sequence[Site]) -> Markup:
    counts = [(word, sum(site.status == word for site in sites)) for word in STATUS_WORDS]
    items = [tag("li", tag("b", number(found)), " ", badge(word)) for word, found in counts]
    return tag("ul", tag("li", tag("b", number(len(sites))), " sites"), *items, class_="tally")


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
                status_cell(host.publication.status),
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
            status_cell(site.sync_status),
            Cell(len(differing) or "–", len(differing)),
            differing[0].text if differing else "–",
            count(at_site if both else None),
            count(at_centre if both else None),
            signed(at_centre - at_site),
        ],
        data_status=site.sync_status,
    )


def records(kind: Kind, parts: Sequence[Part], build: Build) -> Page:
    """Publishing of one kind: every service of every site, those that have closed last."""
    columns = [
        Column("Site"),
        Column(kind.part),
        Column("Last change", "number", "when a record of it last changed at the centre"),
        Column("Age", "number"),
        Column(kind.things, "number", "in the newest month that has some"),
        Column("Of month"),
        *([Column("Software")] if kind.software else []),
        Column("%s by month" % kind.things, "number", "the last %d months" % SPARK_MONTHS),
        Column("Publication status"),
    ]
    ordered = sorted(
        parts, key=lambda part: (part.publication.closed, part.site.lower(), part.site, part.part)
    )
    rows = [_service_row(columns, kind, part, month_of(build.now)) for part in ordered]
    body = [tools(kind.name), table("%s publishing of all sites" % kind.title, columns, rows, id=kind.name)]
    if kind.hours:
        body += _by_month(kind, ordered, build)
    return Page(paths.records(kind.name), "%s publishing of all sites" % kind.title, [TOP], body, csv=True)


def _service_row(columns: Sequence[Column], kind: Kind, part: Part, current: Month) -> Markup:
    return row(
        columns,
        [
            Cell(part.site, part.site.lower()),
            part.part,
            day(part.publication.last),
            age(part.publication),
            amount(part.counts[part.newest]),
            month_text(part.newest),
            *([part.software] if kind.software else []),
            Cell(sparkline(kind.things, part.counts, current), part.counts.get(current, 0)),
            status_cell(part.publication.status),
        ],
        data_status=part.publication.status,
        class_="closed" if part.publication.closed else None,
    )


def _by_month(kind: Kind, parts: Sequence[Part], build: Build) -> List[Markup]:
    """The recent months of every service, newest first."""
    first = months_back(month_of(build.now), SPARK_MONTHS - 1)
    columns = [Column("Month"), Column("Site"), Column(kind.part), Column(kind.things, "number")]
    found = sorted(
        ((month, place) for place, part in enumerate(parts) for month in part.counts if month >= first),
        key=lambda pair: (-pair[0][0], -pair[0][1], pair[1]),
    )
    rows = [
        row(
            columns,
            [
                month_text(month),
                Cell(parts[place].site, parts[place].site.lower()),
                parts[place].part,
                amount(parts[place].counts[month]),
            ],
            data_status=parts[place].publication.status,
        )
        for month, place in found
    ]
    heading = "%s by month" % kind.things
    months = table(heading, columns, rows, id=kind.name + "-months")
    return [tag("section", tag("h2", heading), tools(kind.name + "-months"), months)]
