"""The figures for programs: JSON documents, whose fields docs/pubsync.md describes, and CSV."""

import csv
import io
import json
from functools import lru_cache
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from apel.pubsync import paths
from apel.pubsync.advice import advise
from apel.pubsync.model import (
    EQUAL,
    UNKNOWN,
    Comparison,
    Publication,
    Site,
    SiteMonth,
    Thresholds,
    month_text,
)
from apel.pubsync.records import Kind, Part
from apel.times import utc_text

#: Moves when a field goes or changes its meaning; new fields may come without notice.
FORMAT = "apel-pubsync 1"
SECONDS_PER_HOUR = 3600

Document = Dict[str, Any]


class Build(NamedTuple):
    """What all pages of a build share.

    url: where the folder `publishing` is published, '' if not known. kinds: those of KINDS that have pages.
    """

    now: int
    thresholds: Thresholds
    url: str = ""
    kinds: Tuple[str, ...] = ()

    def address(self, folder: str) -> str:
        """The address of the JSON of a page, or '' if that is not known."""
        return "%s/%s/index.json" % (self.url.rstrip("/"), folder) if self.url else ""


@lru_cache(maxsize=65536)
def time_text(epoch: Optional[int]) -> Optional[str]:
    """'2026-09-01T00:00:00Z', or None."""
    return None if epoch is None else utc_text(epoch).replace(" ", "T") + "Z"


def hours(seconds: int) -> float:
    """Hours, to a tenth."""
    return round(seconds / SECONDS_PER_HOUR, 1)


def head(build: Build) -> Document:
    """What every document begins with."""
    return {"format": FORMAT, "built": time_text(build.now)}


def overview(sites: Sequence[Site], build: Build) -> Document:
    """All sites, each in short."""
    thresholds = build.thresholds._asdict()
    return dict(head(build), thresholds=dict(thresholds), sites=[short(site) for site in sites])


def short(site: Site) -> Document:
    """A site in short."""
    return {
        "site": site.name,
        "path": paths.grid(site.name) + "/",
        "status": site.status,
        "publication": _publication(site.publication),
        "sync": {"status": site.sync_status, "months_differing": len(site.differing)},
        "differences": differences(site),
    }


def differences(site: Site) -> List[Document]:
    """Every month, old ones too, in which the counts differ and something can be said about it."""
    return [
        dict({"month": month.text}, **_comparison(month.comparison), archived=month.archived)
        for month in site.months
        if month.comparison.kind != EQUAL and month.comparison.status != UNKNOWN and not month.pending
    ]


def site_document(site: Site, build: Build, entries: Optional[List[Document]] = None) -> Document:
    """All about a site, but for the submit hosts of each month. entries: its month_entries, if at hand."""
    return dict(
        head(build),
        **short(site),
        advice=[advice._asdict() for advice in advise(site, build.address(paths.grid(site.name)))],
        submit_hosts=[
            dict({"submit_host": host.submit_host, "jobs": host.jobs}, **_publication(host.publication))
            for host in site.hosts
        ],
        publishers=[
            {
                "dn": publisher.dn,
                "submit_hosts": publisher.submit_hosts,
                "status": publisher.publication.status,
                "last_change": time_text(publisher.publication.last),
                "age_days": _rounded(publisher.publication.age_days),
                "closed": publisher.publication.closed,
            }
            for publisher in site.publishers
        ],
        months=month_entries(site) if entries is None else entries,
    )


def sync_document(site: Site, build: Build, entries: Optional[List[Document]] = None) -> Document:
    """A site's months, each with its submit hosts. entries: its month_entries, if at hand."""
    given = month_entries(site) if entries is None else entries
    months = [with_hosts(entry, month) for entry, month in zip(given, site.months)]
    return dict(head(build), **short(site), months=months)


def month_document(site: Site, month: SiteMonth) -> Document:
    """One month of a site. It does not say when it was built: that of an old month stays as it is."""
    return {"format": FORMAT, "site": site.name, "months": [with_hosts(month_entry(month), month)]}


def month_entries(site: Site) -> List[Document]:
    """The months of a site, without their submit hosts."""
    return [month_entry(month) for month in site.months]


def month_entry(month: SiteMonth) -> Document:
    """A month, without its submit hosts."""
    published = month.published
    return dict(
        {"month": month.text},
        **_comparison(month.comparison),
        recent=month.recent,
        pending=month.pending,
        archived=month.archived,
        cpu_hours=hours(published.cpu_seconds),
        normalised_cpu_hours=hours(published.normalised_cpu_seconds),
        first_job_end=time_text(published.first_end),
        last_job_end=time_text(published.last_end),
    )


def with_hosts(entry: Document, month: SiteMonth) -> Document:
    """The entry of a month, with its submit hosts."""
    hosts = [
        dict(
            {"submit_host": host.submit_host},
            **_comparison(host.comparison),
            first_job_end=time_text(host.published.first_end if host.published else None),
            last_job_end=time_text(host.published.last_end if host.published else None),
        )
        for host in month.hosts
    ]
    return dict(entry, submit_hosts=hosts)


def records_document(kind: Kind, parts: Sequence[Part], build: Build) -> Document:
    """Publishing of one kind of all sites, by service."""
    entries = [
        dict(
            _part(part),
            software=part.software,
            counts=[
                {"month": month_text(month), "count": count} for month, count in sorted(part.counts.items())
            ],
        )
        for part in parts
    ]
    return dict(head(build), thresholds=dict(build.thresholds._asdict()), kind=kind.name, parts=entries)


def _part(part: Part) -> Document:
    return {
        "site": part.site,
        "part": part.part,
        "status": part.publication.status,
        "last_change": time_text(part.publication.last),
        "age_days": _rounded(part.publication.age_days),
        "closed": part.publication.closed,
    }


def _publication(state: Publication) -> Document:
    return {
        "status": state.status,
        "last_job_end": time_text(state.last),
        "age_days": _rounded(state.age_days),
        "future_job_end": time_text(state.future),
        "closed": state.closed,
    }


def _rounded(days: Optional[float]) -> Optional[float]:
    return None if days is None else round(days, 2)


def _comparison(comparison: Comparison) -> Document:
    return {
        "kind": comparison.kind,
        "status": comparison.status,
        "site_jobs": comparison.site_jobs,
        "centre_jobs": comparison.centre_jobs,
        "difference": comparison.difference,
        "percent": round(comparison.percent, 2),
    }


def as_json(document: Document) -> str:
    """The text of a document."""
    return json.dumps(document, ensure_ascii=False) + "\n"


PUBLICATION_COLUMNS = (
    "site",
    "submit_host",
    "status",
    "last_job_end",
    "age_days",
    "future_job_end",
    "closed",
)
SYNC_COLUMNS = (
    "site", "month", "status", "kind", "site_jobs", "centre_jobs", "difference", "percent", "recent",
    "pending", "archived", "cpu_hours", "normalised_cpu_hours", "first_job_end", "last_job_end",
)  # fmt: skip
SYNC_HEADING = ",".join(SYNC_COLUMNS) + "\n"


def publication_csv(sites: Iterable[Site]) -> str:
    """A line for each site (submit_host empty) and for each of its submit hosts."""
    rows = []
    for site in sites:
        rows.append(dict(_publication(site.publication), site=site.name, submit_host=""))
        rows += [
            dict(_publication(host.publication), site=site.name, submit_host=host.submit_host)
            for host in site.hosts
        ]
    return ",".join(PUBLICATION_COLUMNS) + "\n" + _lines(PUBLICATION_COLUMNS, rows)


def sync_csv(sites: Iterable[Site]) -> str:
    """A line for each site and month."""
    return SYNC_HEADING + "".join(sync_lines(site, month_entries(site)) for site in sites)


def sync_lines(site: Site, entries: Iterable[Document]) -> str:
    """The lines of one site; entries: its month_entries."""
    return _lines(SYNC_COLUMNS, (dict(entry, site=site.name) for entry in entries))


RECORDS_COLUMNS = (
    "site",
    "part",
    "status",
    "last_change",
    "age_days",
    "closed",
    "month",
    "count",
    "software",
)


def records_csv(parts: Iterable[Part]) -> str:
    """A line for each service, with the number of its records in their newest month."""
    rows = [
        dict(
            _part(part),
            month=month_text(part.newest),
            count=part.counts[part.newest],
            software=part.software,
        )
        for part in parts
    ]
    return ",".join(RECORDS_COLUMNS) + "\n" + _lines(RECORDS_COLUMNS, rows)


def _lines(columns: Sequence[str], rows: Iterable[Document]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A value as it may stand in a spreadsheet: no name becomes a formula there."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
