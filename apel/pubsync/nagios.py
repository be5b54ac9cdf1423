"""Nagios checks of one site, with the words and exit codes of the old probes APEL-Pub and APEL-Sync."""

from typing import NamedTuple, Optional

from apel.errors import shown
from apel.pubsync.advice import advise
from apel.pubsync.model import ERROR, OK, UNKNOWN, WARNING, Publication, Site, Thresholds, month_text
from apel.times import utc_text

CODES = {OK: 0, WARNING: 1, ERROR: 2, UNKNOWN: 3}


class Answer(NamedTuple):
    """What a probe prints, and its exit code."""

    status: str
    text: str

    @property
    def code(self) -> int:
        """0 OK, 1 WARNING, 2 ERROR, 3 UNKNOWN."""
        return CODES[self.status]


def unknown(reason: str) -> Answer:
    """The answer when nothing can be said."""
    return Answer(UNKNOWN, "UNKNOWN [ %s ]" % shown(reason, 300))


def check_publication(site: Optional[Site], thresholds: Thresholds, host: Optional[str] = None) -> Answer:
    """How old the newest job of a site (or of one of its submit hosts) is."""
    if site is None:
        return unknown("the centre knows no such site")
    state = site.publication
    if host is not None:
        found = [one.publication for one in site.hosts if one.submit_host == host]
        if not found:
            return unknown("the centre knows no such submit host of the site")
        state = found[0]
    return answer(state, thresholds)


def answer(state: Publication, thresholds: Thresholds) -> Answer:
    """The old probe's words about an age."""
    return Answer(state.status, "%s [ %s ]%s" % (state.status, _words(state), _figures(state, thresholds)))


def _words(state: Publication) -> str:
    if state.undated:
        words = "the sums published do not say when jobs ended"
    elif state.last is None or state.age_days is None:
        words = "no job was ever published"
    else:
        words = "last published %d days ago: %s" % (state.age_days, utc_text(state.last)[:10])
    if state.future is not None:
        words += "; a job ends in the future: %s" % utc_text(state.future)[:10]
    return words


def _figures(state: Publication, thresholds: Thresholds) -> str:
    if state.age_days is None:
        return ""
    return " | age_days=%.2f;%g;%g" % (state.age_days, thresholds.warning_days, thresholds.error_days)


def check_sync(site: Optional[Site]) -> Answer:
    """Whether the counts of the recent months agree."""
    if site is None:
        return unknown("the centre knows no such site")
    recent = [month for month in site.months if month.recent]
    figures = " | months_differing=%d jobs_differing=%d" % (
        len(site.differing),
        sum(abs(month.comparison.difference) for month in site.differing),
    )
    if site.sync_status == UNKNOWN:
        return unknown("no sync message of the site says how many jobs it has")
    if site.sync_status == OK:
        oldest = month_text(min(month.month for month in recent))
        return Answer(OK, "OK [ the counts of all months since %s agree ]%s" % (oldest, figures))
    worst = [month for month in site.differing if month.comparison.status == site.sync_status]
    months = ", ".join(
        "%s: site %s, centre %s"
        % (month.text, _count(month.comparison.site_jobs), _count(month.comparison.centre_jobs))
        for month in worst[:3]
    )
    more = " and %d more" % (len(worst) - 3) if len(worst) > 3 else ""
    commands = [one.command for one in advise(site) if one.command.startswith("apelclient republish")]
    do = "; publish the gap: " + commands[0] if commands else ""
    return Answer(site.sync_status, "%s [ %s%s%s ]%s" % (site.sync_status, months, more, do, figures))


def _count(jobs: Optional[int]) -> str:
    return "none" if jobs is None else str(jobs)
