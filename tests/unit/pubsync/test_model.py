"""How publishing is judged: ages, counts, months that only one side has, clocks; and what is advised."""

from typing import Any, Optional

import pytest
from pubcentre import CURRENT, NOW, back, text

from apel.pubsync.advice import advise, cure
from apel.pubsync.figures import Published, Signed, SiteFigures
from apel.pubsync.model import CLOCK, Comparison, Site, Thresholds, judge_site, publication, worst
from apel.pubsync.nagios import check_publication
from apel.times import DAY

LIMITS = Thresholds()


def published(jobs: int = 100, last: Optional[int] = NOW - DAY) -> Published:
    past = None if last is None or last > NOW + DAY else last
    return Published(jobs, jobs * 3600, jobs * 36000, last, last, past)


def site(months: Any = (), counts: Any = (), pending: Any = (), signed: Any = ()) -> Site:
    """A site with one submit host: {months back: jobs} at the centre and at the site."""
    figures = SiteFigures(
        {
            back(ago): {"ce": published(jobs, NOW - DAY - ago * 30 * DAY)}
            for ago, jobs in dict(months).items()
        },
        {back(ago): {"ce": jobs} for ago, jobs in dict(counts).items()},
        list(signed),
        {back(ago) for ago in pending},
    )
    return judge_site("SITE", figures, NOW, LIMITS)


def test_sums_that_do_not_say_when_jobs_ended_are_not_taken_for_none() -> None:
    """The times of sums are optional in messages."""
    figures = SiteFigures({back(1): {"ce": published(5, None)}}, {back(1): {"ce": 5}}, [], set())
    judged = judge_site("SITE", figures, NOW, LIMITS)
    assert judged.publication.status == "UNKNOWN" and judged.publication.undated
    assert [one.status for one in advise(judged)] == ["WARNING"] and "LatestEndTime" in advise(judged)[0].text
    assert check_publication(judged, LIMITS).text == (
        "UNKNOWN [ the sums published do not say when jobs ended ]"
    )
    figures.published[back(2)] = {"ce": published(5)}
    assert judge_site("SITE", figures, NOW, LIMITS).publication.status == "OK"


def test_a_host_whose_jobs_are_taken_back_is_listed_no_more() -> None:
    """Local jobs that became grid jobs leave a count of 0 behind."""
    figures = SiteFigures({CURRENT: {"ce": published()}}, {CURRENT: {"ce": 100, "None": 0}}, [], set())
    judged = judge_site("SITE", figures, NOW, LIMITS)
    assert [host.submit_host for host in judged.hosts] == ["ce"] and judged.status == "OK"


def test_a_site_without_jobs_is_not_told_that_they_are_missing() -> None:
    assert advise(site({}, {1: 0})) == []
    assert "no jobs" in advise(site({}, {1: 7}))[0].text


@pytest.mark.parametrize(
    "days, status",
    [(0, "OK"), (7, "OK"), (7.1, "WARNING"), (31, "WARNING"), (31.1, "ERROR"), (4000, "ERROR"), (-0.5, "OK")],
)
def test_publication_is_judged_by_its_age(days: float, status: str) -> None:
    last = NOW - int(days * DAY)
    state = publication(last, last, NOW, LIMITS)
    assert (state.status, state.future) == (status, None)
    assert state.age_days == pytest.approx(max(0, days), abs=0.001)


def test_thresholds_are_configurable() -> None:
    limits = Thresholds(warning_days=1, error_days=2, difference_percent=10)
    assert publication(NOW - 3 * DAY, NOW - 3 * DAY, NOW, limits).status == "ERROR"
    figures = SiteFigures({CURRENT: {"ce": published(95)}}, {CURRENT: {"ce": 100}}, [], set())
    assert judge_site("SITE", figures, NOW, limits).sync_status == "OK"
    assert judge_site("SITE", figures, NOW, LIMITS).sync_status == "ERROR"


def test_a_job_of_the_future_is_told_and_hides_no_silence() -> None:
    assert publication(NOW, NOW + 2 * DAY, NOW, LIMITS).status == "WARNING"
    assert publication(NOW - 40 * DAY, NOW + 2 * DAY, NOW, LIMITS).status == "ERROR"
    alone = publication(None, NOW + 2 * DAY, NOW, LIMITS)
    assert alone.status == "WARNING" and alone.last is None and alone.future == NOW + 2 * DAY
    assert publication(NOW + DAY // 2, NOW + DAY // 2, NOW, LIMITS).status == "OK"


@pytest.mark.parametrize(
    "at_centre, at_site, kind, status",
    [
        (100, 100, "equal", "OK"),
        (9901, 10000, "close", "OK"),
        (9900, 10000, "gap", "ERROR"),
        (10000, 9901, "close", "OK"),
        (10000, 9900, "surplus", "ERROR"),
        (1, 0, "surplus", "ERROR"),
        (None, 0, "equal", "OK"),
        (None, 1, "only site", "ERROR"),
    ],
)
def test_counts_are_compared_by_the_larger_one(at_centre: Any, at_site: Any, kind: str, status: str) -> None:
    """Zero counts included, which the old pages could not divide by."""
    found = site({} if at_centre is None else {1: at_centre}, {1: at_site})
    (month,) = found.months
    assert (month.comparison.kind, month.comparison.status) == (kind, status)
    assert (found.sync_status, month.hosts[0].comparison) == (status, month.comparison)


def test_differences_and_shares() -> None:
    assert (Comparison("", "", 100, 90).difference, Comparison("", "", 100, 90).percent) == (-10, 10)
    assert (Comparison("", "", None, 90).difference, Comparison("", "", None, 90).percent) == (90, 100)
    assert (Comparison("", "", 0, None).difference, Comparison("", "", 0, None).percent) == (0, 0)


def test_a_month_that_only_the_centre_has() -> None:
    found = site({1: 10, 2: 10, 3: 10}, {1: 10, 3: 10})
    assert [month.comparison.status for month in found.months] == ["OK", "WARNING", "OK"]
    older = site({1: 10, 2: 10}, {1: 10})
    assert (older.months[1].comparison.status, older.sync_status) == ("UNKNOWN", "OK")
    stopped = site({0: 10, 1: 10}, {1: 10})
    assert (stopped.months[0].comparison.status, stopped.sync_status) == ("WARNING", "WARNING")
    assert site({1: 10}).sync_status == "UNKNOWN"


def test_months_that_can_not_be_come_from_clocks() -> None:
    for ago in (-1, -5, 12 * 40):
        found = site({ago: 10}, {ago: 10})
        assert [month.comparison.kind for month in found.months] == [CLOCK]
        assert (found.sync_status, found.months[0].recent) == ("WARNING", True)
        assert any("clock" in one.text for one in advise(found))


def test_old_months_are_shown_but_do_not_count() -> None:
    assert site({24: 10}, {24: 100}).sync_status == "UNKNOWN"
    assert site({24: 10, 0: 10}, {24: 100, 0: 10}).sync_status == "OK"
    assert site({23: 10}, {23: 100}).sync_status == "ERROR"


def test_a_month_still_to_be_summed_up_is_no_error_yet() -> None:
    found = site({1: 10}, {1: 100}, pending=[1])
    assert (found.sync_status, found.months[0].comparison.kind, found.months[0].pending) == (
        "WARNING",
        "gap",
        True,
    )
    assert not any("republish" in one.command for one in advise(found))
    assert any("not summed up yet" in one.text for one in advise(found))
    assert site({1: 100}, {1: 100}, pending=[1]).sync_status == "OK"


def test_a_publisher_is_as_old_as_what_it_changed_last() -> None:
    signed = [
        Signed("ce1", "/CN=a", NOW - 40 * DAY),
        Signed("ce2", "/CN=a", NOW - 2 * DAY),
        Signed("ce3", "/CN=b", NOW - 50 * DAY),
    ]
    first, second = site(signed=signed).publishers
    assert (first.dn, first.submit_hosts, first.publication.status) == ("/CN=a", ["ce1", "ce2"], "OK")
    assert (second.dn, second.publication.status) == ("/CN=b", "ERROR")


def test_worst_status() -> None:
    assert worst([]) == "UNKNOWN"
    assert worst(["UNKNOWN", "OK"]) == "OK"
    assert worst(["OK", "ERROR", "WARNING"]) == "ERROR"


def test_advice_names_the_command_that_cures_a_gap() -> None:
    (advice,) = advise(site({0: 100, 1: 90, 2: 80}, {0: 100, 1: 100, 2: 100}))
    assert (
        advice.text
        == "The centre lacks 30 jobs of %s, %s that the site's database holds. Publish the gap:"
        % (
            text(2),
            text(1),
        )
    )
    assert advice.command == "apelclient republish --month %s --month %s" % (text(2), text(1))


def test_advice_on_many_months_names_the_document() -> None:
    found = site({0: 100}, dict.fromkeys(range(10), 100))
    assert advise(found, "https://x.example/index.json")[0].command == (
        "apelclient republish --differences https://x.example/index.json"
    )
    assert advise(found)[0].command.count("--month") == 9


def test_advice_on_everything_else() -> None:
    assert advise(site({0: 10}, {0: 10})) == []
    texts = {
        "surplus": advise(site({0: 10, 1: 200}, {0: 10, 1: 100}))[0].text,
        "silent": advise(site({2: 10}, {2: 10}))[0].text,
        "no job": advise(site({}, {1: 7}))[0].text,
        "no sync": advise(site({0: 10, 1: 10}, {1: 10}))[0].text,
        "closed": advise(site({20: 10}, {20: 10}))[0].text,
    }
    assert "The centre holds 100 jobs more" in texts["surplus"]
    assert "ended 61 days ago" in texts["silent"] and "apelparser" in texts["silent"]
    assert "no jobs" in texts["no job"]
    assert "no sync message" in texts["no sync"]
    assert "more than a year" in texts["closed"]


def test_a_gap_in_an_archived_month_must_be_reopened_first() -> None:
    figures = SiteFigures(
        {CURRENT: {"ce": published(90)}}, {CURRENT: {"ce": 100}}, [], set(), frozenset([CURRENT])
    )
    gap, reopen = advise(judge_site("SITE", figures, NOW, LIMITS))
    assert "Publish the gap" in gap.text
    assert "archived the jobs of %s" % text(0) in reopen.text and "apeldb reopen" in reopen.text


def test_only_a_gap_that_can_be_published_has_a_command() -> None:
    judged = site({0: 10, 1: 5, 2: 5, 3: 20}, {0: 10, 1: 10, 2: 10, 3: 10, 4: 10}, pending=[2])
    command = "apelclient republish --month %s"
    assert [cure(month) for month in judged.months] == ["", command % text(1), "", "", command % text(4)]
    archived = judged.months[1]._replace(archived=True)
    assert cure(archived) == ""


def test_a_silent_submit_host_of_a_busy_site_is_named() -> None:
    figures = SiteFigures(
        {
            back(2): {"quiet.example.org": published(last=NOW - 50 * DAY), "busy": published()},
            back(20): {"gone.example.org": published(last=NOW - 600 * DAY)},
        },
        {},
        [],
        set(),
    )
    found = judge_site("SITE", figures, NOW, LIMITS)
    assert [(host.submit_host, host.publication.status) for host in found.hosts] == [
        ("busy", "OK"),
        ("quiet.example.org", "ERROR"),
        ("gone.example.org", "ERROR"),
    ]
    (advice,) = [one for one in advise(found) if "Other submit hosts" in one.text]
    assert "quiet.example.org" in advice.text and "gone" not in advice.text
