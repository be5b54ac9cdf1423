"""The figures for Prometheus: per site and in all, never per month or user, so that series stay few."""

from typing import Dict, Sequence

from apel.pubsync.model import STATUSES, Site
from apel.pubsync.records import Kind, Part
from apelcommon.metrics import Metrics


def set_gauges(metrics: Metrics, sites: Sequence[Site]) -> None:
    """Set what a build has found; sites that are no more lose their series with the next write."""
    counts = metrics.gauge("apel_pubsync_sites", "Sites by the status of their publishing.")
    for status in STATUSES:
        counts.set(sum(site.status == status for site in sites), status=status)
    last = metrics.gauge(
        "apel_pubsync_last_job_end_timestamp_seconds", "When the newest job ended that a site has published."
    )
    months = metrics.gauge("apel_pubsync_months_differing", "Recent months whose counts of jobs differ.")
    missing = metrics.gauge("apel_pubsync_missing_jobs", "Jobs of these months that the centre lacks.")
    surplus = metrics.gauge("apel_pubsync_surplus_jobs", "Jobs of these months that only the centre has.")
    status_of = metrics.gauge(
        "apel_pubsync_status", "0 unknown, 1 OK, 2 WARNING, 3 ERROR, of `pub` and `sync`."
    )
    for site in sites:
        differences = [month.comparison.difference for month in site.differing]
        if site.publication.last is not None:
            last.set(site.publication.last, site=site.name)
        months.set(len(differences), site=site.name)
        missing.set(-sum(min(0, one) for one in differences), site=site.name)
        surplus.set(sum(max(0, one) for one in differences), site=site.name)
        status_of.set(STATUSES.index(site.publication.status), site=site.name, check="pub")
        status_of.set(STATUSES.index(site.sync_status), site=site.name, check="sync")


def set_part_gauges(metrics: Metrics, kind: Kind, parts: Sequence[Part]) -> None:
    """Set what was found of one kind of publishing: a site is as new as its newest service."""
    last = metrics.gauge(
        "apel_pubsync_%s_last_change_timestamp_seconds" % kind.name,
        "When %s records of a site last changed at the centre." % kind.name,
    )
    newest: Dict[str, int] = {}
    for part in parts:
        newest[part.site] = max(part.publication.last or 0, newest.get(part.site, 0))
    for site, updated in newest.items():
        last.set(updated, site=site)
