"""The sums follow their sources; the database is SQLite."""

from typing import Any, List

import pytest
from centre import APRIL, MARCH, Centre, job, jobs, message, summary

from apel.server.summarise import Scope, Summariser
from apel.server.summary_sql import JOBS_SUMMED, jobs_of
from apel.summaries import SiteMonth, changed_months, recompute
from apelcommon.errors import ServiceError

SUMS = (
    "SELECT VOs.name, NumberOfJobs, WallDuration, CpuDuration, NormalisedWallDuration, NormalisedCpuDuration"
    " FROM HybridSuperSummaries JOIN VOs ON VOs.id = VOID WHERE NumberOfJobs > 0 ORDER BY 1, 2, 3"
)
TO_APRIL = 31 * 86400


def in_april(**changes: Any) -> Any:
    record = job(**changes)
    return record.replace(StartTime=record.StartTime + TO_APRIL, EndTime=record.EndTime + TO_APRIL)


def sums(centre: Centre) -> List[Any]:
    return [tuple(row) for row in centre.rows(SUMS)]


def test_jobs_are_summed_and_normalised(centre: Centre) -> None:
    centre.load(message([job(LocalJobId="1"), job(LocalJobId="2", WallDuration=1, CpuDuration=1)]))
    assert centre.summarise() == 1
    assert sums(centre) == [("atlas", 2, 3601, 7001, 36010, 70010)]
    assert changed_months(centre.db) == {}


@pytest.mark.parametrize(
    "kind, level, wall, expected",
    [
        ("si2k", 2500.0, 100, 1000),
        ("Si2K", 125.0, 1, 1),  # 0.5 rounds up
        ("si2k", 124.999, 1, 0),
        ("hepspec", 9.5, 1, 10),
        ("HEPscore23", 10.001, 500, 5001),  # 5000.5 exactly
        ("HEPscore23", 10.001, 499, 4990),
        ("HEPscore23", 9999999.999, 1000000, 9999999999000),
        ("hepspec", 0.0, 5, 0),
    ],
)
def test_the_factor_is_exact_and_rounded_once(
    centre: Centre, kind: str, level: float, wall: int, expected: int
) -> None:
    body = message([job(ServiceLevelType=kind, ServiceLevel=level, WallDuration=wall, CpuDuration=0)])
    centre.load(body)
    centre.load(
        message([summary(ServiceLevelType=kind, ServiceLevel=level, WallDuration=wall)], "summary v0.2")
    )
    centre.summarise()
    assert centre.rows("SELECT NormalisedWallDuration FROM HybridSuperSummaries") == [(expected,)] * 2


def test_many_jobs_are_summed_before_they_are_rounded(centre: Centre) -> None:
    centre.load(message(jobs(10, WallDuration=1, ServiceLevel=1.4, ServiceLevelType="hepspec")))
    centre.summarise()
    assert centre.rows("SELECT NormalisedWallDuration FROM HybridSuperSummaries") == [(14,)]


def test_nothing_new_changes_nothing(centre: Centre) -> None:
    centre.load(message(jobs(3)))
    centre.summarise()
    before = centre.rows("SELECT * FROM HybridSuperSummaries")
    assert centre.summarise() == 0
    assert centre.rows("SELECT * FROM HybridSuperSummaries") == before


def test_a_job_that_changes_vo_or_benchmark_leaves_no_old_sum(centre: Centre) -> None:
    """D8: the row without jobs goes."""
    centre.load(message([job()]))
    centre.summarise()
    centre.load(message([job(FQAN="/cms", ServiceLevel=20.0)]))
    centre.summarise()
    assert sums(centre) == [("cms", 1, 3600, 7000, 72000, 140000)]


def test_a_job_that_changes_month_or_site_leaves_no_old_sum(centre: Centre) -> None:
    """D8: another end or site is another job; the old one is deleted by hand, and the counts tell."""
    centre.load(message([job()]))
    centre.summarise()
    centre.load(message([in_april(), job(Site="EXAMPLE-WEST")]))
    centre.execute(
        "DELETE FROM JobRecords WHERE EndMonth = 3 AND SiteID IN"
        " (SELECT id FROM Sites WHERE name = 'EXAMPLE-NORTH')"
    )
    summariser = Summariser(centre.db)
    summariser.mark(miscount.month for miscount in summariser.miscounted())
    assert summariser.run() == 3
    query = "SELECT Site, Month FROM VSuperSummaries ORDER BY 1"
    assert centre.rows(query) == [("EXAMPLE-NORTH", 4), ("EXAMPLE-WEST", 3)]


def test_records_deleted_by_hand_are_noticed_by_count(centre: Centre) -> None:
    """D8: a month that lost some or all rows follows; the others are not touched."""
    centre.load(message(jobs(3)), message([in_april(LocalJobId="x")]), message([summary()], "summary v0.2"))
    centre.summarise()
    summariser = Summariser(centre.db)
    assert summariser.miscounted() == []
    centre.execute("DELETE FROM JobRecords WHERE LocalJobId IN ('0', 'x')")
    centre.execute("DELETE FROM Summaries")
    found = summariser.miscounted()
    assert [(one.month.month, one.jobs, one.summed) for one in found] == [(3, 2, 3), (4, 0, 1), (3, 0, 7)]
    summariser.mark(one.month for one in found)
    assert summariser.run() == 3
    assert sums(centre) == [("atlas", 2, 7200, 14000, 72000, 140000)]
    assert summariser.miscounted() == []


def test_a_marked_month_is_not_miscounted(centre: Centre) -> None:
    centre.load(message(jobs(3)))
    assert Summariser(centre.db).miscounted() == []


def test_the_daily_count_is_due_once_a_day(centre: Centre, monkeypatch: Any) -> None:
    from apel import times

    summariser = Summariser(centre.db)
    assert summariser.count_is_due()
    summariser.counted()
    assert not summariser.count_is_due()
    now = times.now()
    monkeypatch.setattr("apel.times.now", lambda: now + 86401)
    assert summariser.count_is_due()
    summariser.counted()
    assert not summariser.count_is_due()
    monkeypatch.setattr("apel.times.now", lambda: now - 3600)
    assert summariser.count_is_due(), "a clock that was set back does not put the check off"


def test_sums_that_differ_in_infrastructure_only_are_kept_apart(centre: Centre) -> None:
    """D9: by type and by description, from jobs and from summaries."""
    kinds = [("grid", "A"), ("grid", "B"), ("local", "A"), (None, None)]
    pairs = [{"InfrastructureType": kind, "InfrastructureDescription": text} for kind, text in kinds]
    centre.load(
        message([job(LocalJobId=str(number), **pair) for number, pair in enumerate(pairs)]),
        message([summary(**pair) for pair in pairs], "summary v0.2"),
    )
    centre.summarise()
    query = (
        "SELECT Infrastructure, InfrastructureDescription FROM HybridSuperSummaries"
        " JOIN Sites ON Sites.id = SiteID WHERE name = %s ORDER BY 1, 2"
    )
    expected = [("None", "None"), ("grid", "A"), ("grid", "B"), ("local", "A")]
    for site in ("EXAMPLE-NORTH", "EXAMPLE-SOUTH"):
        assert sorted(centre.rows(query, (site,))) == expected


def test_a_summary_replaces_jobs_with_the_same_names(centre: Centre) -> None:
    """Later sources win: jobs, then summaries, then normalised summaries."""
    record = job()
    same = {name: getattr(record, name) for name in summary().names if name in record.names}
    same.pop("WallDuration")
    centre.load(
        message([record]), message([summary(**dict(same, WallDuration=5, NumberOfJobs=9))], "summary v0.2")
    )
    centre.summarise()
    assert [row[:3] for row in sums(centre)] == [("atlas", 9, 5)]


def test_normalised_summaries_come_through_as_they_are(centre: Centre) -> None:
    centre.load(message([summary()], "summary v0.2"))
    shared = (
        "SiteID, Month, Year, GlobalUserNameID, VOID, VOGroupID, VORoleID, SubmitHostId,"
        " InfrastructureDescription, NodeCount, Processors, EarliestEndTime, LatestEndTime,"
        " PublisherDNID, ServiceLevelType"
    )
    centre.execute(
        "INSERT INTO NormalisedSummaries (%s, Infrastructure, WallDuration, CpuDuration,"
        " NormalisedWallDuration, NormalisedCpuDuration, NumberOfJobs)"
        " SELECT %s, 'grid', 1, 2, 3, 4, 5 FROM Summaries" % (shared, shared)
    )
    centre.summarise()
    assert sums(centre) == [("cms", 5, 1, 2, 3, 4), ("cms", 7, 1000, 3500, 10000, 35000)]
    levels = "SELECT ServiceLevel FROM HybridSuperSummaries ORDER BY NumberOfJobs"
    assert [float(level) for (level,) in centre.rows(levels)] == [0.0, 2500.0]


def test_scope_narrows_the_work(centre: Centre) -> None:
    centre.load(message([job(), in_april(), job(Site="EXAMPLE-WEST")]))
    assert centre.summarise(Scope(site="EXAMPLE-WEST")) == 1
    assert centre.summarise(Scope(month=APRIL)) == 1
    assert centre.summarise(Scope("EXAMPLE-NORTH", MARCH)) == 1
    assert centre.summarise() == 0


def test_an_unknown_site_is_an_error(centre: Centre) -> None:
    with pytest.raises(ServiceError, match="No site NOWHERE"):
        Summariser(centre.db, Scope(site="NOWHERE"))


def test_all_months_include_those_with_sums_only(centre: Centre) -> None:
    centre.load(message([job(), in_april()]))
    centre.summarise()
    centre.execute("DELETE FROM JobRecords")
    summariser = Summariser(centre.db, Scope(month=MARCH))
    (month,) = summariser.all_months()
    assert month == SiteMonth(month.site_id, 2025, 3)
    assert len(Summariser(centre.db).all_months()) == 2


def test_records_that_arrive_while_a_month_is_summed_are_summed_next_time(centre: Centre) -> None:
    """No clock: the mark of a late writer stays."""
    centre.load(message([job(LocalJobId="1")]))
    summariser = Summariser(centre.db)
    changed = summariser.changed()
    centre.load(message([job(LocalJobId="2")]))
    summariser.changed = lambda: changed  # type: ignore[method-assign]
    assert summariser.run() == 1
    assert len(changed_months(centre.db)) == 1
    assert centre.summarise() == 1
    assert sums(centre)[0][1] == 2


def test_two_summarisers_do_not_make_the_same_month_twice(centre: Centre) -> None:
    centre.load(message([job()]))
    first, second = Summariser(centre.db), Summariser(centre.db)
    changed = second.changed()
    assert first.run() == 1
    second.changed = lambda: changed  # type: ignore[method-assign]
    assert second.run() == 0
    assert len(sums(centre)) == 1


def test_a_changed_month_is_read_by_an_index(centre: Centre) -> None:
    """What one changed month costs does not depend on how many others there are."""
    for number in range(60):
        end = job().EndTime - number % 6 * 30 * 86400
        some = jobs(200, Site="SITE-%d" % (number // 6), StartTime=end - 3600, EndTime=end)
        centre.load(message(some))
    month = jobs_of(SiteMonth(1, 2025, 3))
    if centre.db.backend.name == "mysql":
        centre.rows("ANALYZE TABLE JobRecords")
        plan = centre.rows("EXPLAIN FORMAT=TRADITIONAL " + JOBS_SUMMED, month)[0]
        # MySQL has one more column before these, and one behind them.
        key, rows = (plan[5], plan[8]) if len(plan) == 10 else (plan[6], plan[9])
        assert key in ("JobMonthIdx", "PRIMARY") and int(rows) <= 400, plan
    else:
        (first, *_) = centre.rows("EXPLAIN QUERY PLAN " + JOBS_SUMMED, month)
        assert "SEARCH" in first[-1] and "USING" in first[-1], first


def test_sums_of_a_month_that_is_none(centre: Centre) -> None:
    """Old databases have such; they are taken over like others."""
    centre.load(message([summary()], "summary v0.2"))
    centre.execute("UPDATE Summaries SET Month = 0")
    summariser = Summariser(centre.db)
    summariser.mark(summariser.all_months())
    summariser.run()
    assert (0, 7) in centre.rows("SELECT Month, NumberOfJobs FROM HybridSuperSummaries")


def test_a_summariser_that_is_killed_goes_on_where_it_was(centre: Centre, monkeypatch: Any) -> None:
    """D8: `--all` too: what was marked and not made yet stays marked."""
    centre.load(*[message(jobs(3, Site="SITE-%d" % number)) for number in range(5)])
    centre.summarise()
    summariser = Summariser(centre.db)
    summariser.mark(summariser.all_months())
    calls: List[Any] = []

    def die_at_the_third(*arguments: Any) -> bool:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return recompute(*arguments)

    monkeypatch.setattr("apel.server.summarise.recompute", die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        summariser.run()
    assert centre.count("ChangedMonths") == 3
    monkeypatch.undo()
    assert centre.summarise() == 3
    assert centre.rows("SELECT SUM(NumberOfJobs) FROM VSuperSummaries") == [(15,)]
