"""What a site's admin can do about it, in words, with the command to type."""

from typing import Iterator, List, NamedTuple, Sequence

from apel.pubsync.model import (
    CLOCK,
    ERROR,
    GAP,
    ONLY_CENTRE,
    ONLY_SITE,
    SURPLUS,
    WARNING,
    Host,
    Publication,
    Site,
    SiteMonth,
)
from apel.times import utc_text

#: So many months are named one by one.
MONTHS_NAMED = 6

# Warnings of months; %s: their names.
ARCHIVED = (
    "The centre has archived the jobs of %s and takes no more of them. If the site sends jobs, not"
    " summaries, ask it to reopen these months (apeldb reopen) before they are published."
)
UNCOUNTED = (
    "The centre has jobs of %s, but no sync message says how many the site has. apelclient sends"
    " these with every run: is the site's database a new one, or does other software publish?"
)
ODD = (
    "Jobs are counted in %s, when there can be none. A clock was wrong: correct it and the"
    " records, publish the right months again, and ask the centre to delete the others."
)
PENDING = "The centre has received records of %s that are not summed up yet: look again in some hours."


class Advice(NamedTuple):
    """What is wrong and what to do; `command` is what to type at the site, or ''."""

    status: str
    text: str
    command: str = ""


def advise(site: Site, document_url: str = "") -> List[Advice]:
    """What to do, most urgent first. document_url: where the site's own JSON is published, if known."""
    found = [*_publishing(site), *_months(site, document_url)]
    return sorted(found, key=lambda advice: advice.status != ERROR)


def _publishing(site: Site) -> Iterator[Advice]:
    state = site.publication
    if state.closed:
        yield Advice(
            ERROR,
            "Nothing has been published for more than a year. If the site has closed, nothing need be done.",
        )
        return
    if state.age_days is not None and state.status in (WARNING, ERROR) and state.age_days >= 1:
        yield from _silence(state)
    elif state.undated:
        yield Advice(
            WARNING,
            "The centre has jobs of the site, but its sums do not say when these ended, so nothing can be"
            " said of how old they are: let what makes the sums write LatestEndTime.",
        )
    elif state.last is None and state.future is None and _has_counted(site):
        yield Advice(
            ERROR,
            "Sync messages have come, but no jobs. See in the client's log whether messages of jobs are"
            " written and sent, and ask the centre whether they are rejected.",
            "apelclient --dry-run",
        )
    if state.future is not None:
        yield Advice(
            WARNING,
            "A job is said to end in the future, on %s UTC. Set the clock and the time zone of the batch"
            " system and of the compute elements right (NTP), then publish the month again."
            % utc_text(state.future),
        )
    yield from _silent_parts(site)


def _has_counted(site: Site) -> bool:
    """Whether the site has told of any job."""
    return any(month.comparison.site_jobs for month in site.months)


def _silence(state: Publication) -> Iterator[Advice]:
    yield Advice(
        state.status,
        "The last job published ended %d days ago. If jobs have run since: see that apelparser and apelclient"
        " run (cron, timer), that their logs end without an error, and that the outgoing queue is empty."
        % (state.age_days or 0),
        "apelclient --dry-run",
    )


def _silent_parts(site: Site) -> Iterator[Advice]:
    """Submit hosts that are silent while others of the site are not."""
    if site.publication.status == ERROR:
        return
    silent = [host for host in site.hosts if _is_silent(host)]
    if silent:
        yield Advice(
            WARNING,
            "Other submit hosts publish, but not %s. If it is in use: is its BLAH log parsed, and has it a"
            " benchmark (client log: 'wait for its benchmark')?"
            % _some([host.submit_host for host in silent]),
        )


def _is_silent(host: Host) -> bool:
    return host.publication.status == ERROR and not host.publication.closed


def _months(site: Site, document_url: str) -> Iterator[Advice]:
    wrong = site.differing
    lacking = [month for month in wrong if month.comparison.kind in (GAP, ONLY_SITE) and not month.pending]
    archived = [month for month in lacking if month.archived]
    more = [month for month in wrong if month.comparison.kind == SURPLUS and not month.pending]
    uncounted = [month for month in wrong if month.comparison.kind == ONLY_CENTRE]
    odd = [month for month in wrong if month.comparison.kind == CLOCK]
    pending = [month for month in wrong if month.pending]
    if lacking:
        yield _gap(lacking, document_url)
    if more:
        yield _surplus(more)
    for months, text in ((archived, ARCHIVED), (uncounted, UNCOUNTED), (odd, ODD), (pending, PENDING)):
        if months:
            yield Advice(WARNING, text % _names(months))


def _surplus(months: Sequence[SiteMonth]) -> Advice:
    jobs = sum(month.comparison.difference for month in months)
    return Advice(
        ERROR,
        "The centre holds %s more than the site's database for %s. Has the database lost jobs (parse the"
        " logs again), or does a second host publish for the site? If the database is right and the site"
        " sends summaries, %s replaces them; where jobs are sent, ask the centre to delete the month."
        % (_jobs(jobs), _names(months), _republish(months)),
    )


def _gap(months: Sequence[SiteMonth], document_url: str) -> Advice:
    jobs = -sum(month.comparison.difference for month in months)
    command = _republish(months)
    if document_url and len(months) > MONTHS_NAMED:
        command = "apelclient republish --differences %s" % document_url
    return Advice(
        ERROR,
        "The centre lacks %s of %s that the site's database holds. Publish the gap:"
        % (_jobs(jobs), _names(months)),
        command,
    )


def cure(month: SiteMonth) -> str:
    """The command that publishes the gap of one month; '' where there is none, or where it wouldn't help."""
    lacking = month.comparison.kind in (GAP, ONLY_SITE)
    return _republish([month]) if lacking and not month.pending and not month.archived else ""


def _republish(months: Sequence[SiteMonth]) -> str:
    return "apelclient republish " + " ".join("--month %s" % month.text for month in reversed(months))


def _names(months: Sequence[SiteMonth]) -> str:
    return _some([month.text for month in reversed(months)])


def _some(names: Sequence[str]) -> str:
    if len(names) <= MONTHS_NAMED:
        return ", ".join(names)
    return "%s and %d more" % (", ".join(names[:MONTHS_NAMED]), len(names) - MONTHS_NAMED)


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else "{:,} jobs".format(count)
