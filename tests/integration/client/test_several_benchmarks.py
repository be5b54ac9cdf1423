"""Compute elements with several benchmarks at a time: each job keeps them all, and v0.4 messages say them."""

import pytest
from gridsite import CE1, MACHINE, SITE, epoch, event, grid, settings_with

from apel import times, unloader
from apel.client import run
from apel.client.benchmarks import Benchmark, History
from apel.client.join import Joiner, rejoin_month

FEBRUARY, LATER = "2026-02-01 00:00:00", "2026-03-15 00:00:00"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """Rows of this very second are aged instead."""
    monkeypatch.setattr(unloader, "WAITS_FOR_A_QUIET_SECOND", 0)


def set_benchmarks(site, ce=CE1, time=FEBRUARY, looked_up=True, **values):
    """What client.cfg says of a compute element."""
    wanted = [Benchmark(ce, name, value) for name, value in values.items()]
    History(site.db, SITE, looked_up).set_manual(wanted, epoch(time))


def kept(site):
    """All benchmarks beside jobs, by batch id."""
    found = {}
    query = "SELECT LocalJobId, BenchmarkType, Benchmark FROM JobBenchmarks ORDER BY 1, LOWER(BenchmarkType)"
    for job, name, value in site.rows(query):
        found.setdefault(job, {})[name] = float(value)
    return found


def unloaded(site, queue, view="VJobRecords", **options):
    """The records that v0.4 messages say."""
    queue.texts.clear()
    chosen = dict({"interval": "all", "dict_benchmark_type": True, "local_jobs": True}, **options)
    done = site.unload(queue, view, **chosen)
    assert done.invalid == 0
    return queue.records(view[1:4].lower() if view == "VJobRecords" else "summary")


def test_each_job_has_all_benchmarks_of_the_time_when_it_ended(site, queue):
    set_benchmarks(site, HEPscore23=12.5, HEPSPEC=10.25)
    set_benchmarks(site, time=LATER, HEPscore23=12.5, HEPSPEC=11.0, si2k=2750.0)
    for job, end in (("1", "2026-03-10 12:00:00"), ("2", LATER)):
        site.put(event(job, end), grid(job))
    assert site.join().grid == 2
    first = {"HEPscore23": 12.5, "HEPSPEC": 10.25}
    second = {"HEPscore23": 12.5, "HEPSPEC": 11.0, "si2k": 2750.0}
    assert kept(site) == {"1": first, "2": second}
    jobs = unloaded(site, queue)
    assert {job.LocalJobId: dict(job.Benchmarks) for job in jobs} == {"1": first, "2": second}
    assert "ServiceLevel: {HEPscore23: 12.5, HEPSPEC: 11.0, si2k: 2750.0}\n" in queue.texts[0]
    assert {(job.ServiceLevelType, job.ServiceLevel) for job in jobs} == {("HEPscore23", 12.5)}


def test_older_formats_say_the_preferred_one_as_before(site, queue):
    set_benchmarks(site, si2k=2500.0, HEPSPEC=10.0, HEPscore23=12.5)
    site.put(event("1"), grid("1"))
    site.join()
    for view in ("VJobRecords", "VSuperSummaries"):
        unloaded(site, queue, view, dict_benchmark_type=False)
        assert "ServiceLevelType: HEPscore23\nServiceLevel: 12.5\n" in queue.texts[0]
        assert "HEPSPEC" not in queue.texts[0] and "{" not in queue.texts[0]


@pytest.mark.parametrize("view", ["VJobRecords", "VSuperSummaries"])
def test_with_one_benchmark_messages_are_as_they_were(site, queue, view):
    set_benchmarks(site, HEPSPEC=10.0)
    site.put(event("1"), grid("1"))
    site.join()
    unloaded(site, queue, view)
    assert "\nServiceLevel: {HEPSPEC: 10.0}\n" in queue.texts[0]
    assert site.rows("SELECT * FROM JobBenchmarks") == site.rows("SELECT * FROM SuperSummaryBenchmarks") == []


def test_history_that_is_edited_later_changes_no_job_silently(site, queue):
    """But jobs that are joined again on purpose are sent again, be it for the second benchmark alone."""
    set_benchmarks(site, HEPscore23=12.5, HEPSPEC=10.0)
    site.put(event("1"), grid("1"))
    site.join()
    site.execute("UPDATE SpecRecords SET ServiceLevel = 11 WHERE ServiceLevelType = 'HEPSPEC'")
    site.put(event("2"), grid("2"))
    site.join()
    assert kept(site)["1"]["HEPSPEC"] == 10.0 and kept(site)["2"]["HEPSPEC"] == 11.0
    site.execute("UPDATE JobRecords SET UpdateTime = '2026-05-01 00:00:00'")
    assert len(unloaded(site, queue, interval="latest")) == 2
    rejoin_month(site.db, 2026, 3)
    site.join()
    (again,) = unloaded(site, queue, interval="latest")
    assert (again.LocalJobId, dict(again.Benchmarks)) == ("1", {"HEPscore23": 12.5, "HEPSPEC": 11.0})


def test_job_that_is_left_with_one_benchmark_loses_the_others(site, queue):
    """C8: an intruder in the history was removed, and the month joined again."""
    set_benchmarks(site, HEPscore23=12.5, HEPSPEC=10.0)
    site.put(event("1"), grid("1"))
    site.join()
    site.execute("DELETE FROM SpecRecords WHERE ServiceLevelType = 'HEPSPEC'")
    rejoin_month(site.db, 2026, 3)
    site.join()
    assert kept(site) == {}
    for view in ("VJobRecords", "VSuperSummaries"):
        assert [record.Benchmarks for record in unloaded(site, queue, view)] == [None]


def test_local_jobs_have_all_benchmarks_of_their_batch_system(site, queue):
    set_benchmarks(site, MACHINE, HEPscore23=8.0, si2k=2000.0)
    site.put(event("1"))
    site.join(local_jobs=True)
    (job,) = unloaded(site, queue)
    assert job.Benchmarks == (("HEPscore23", 8.0), ("si2k", 2000.0))


def test_sum_says_the_benchmarks_that_are_right_for_all_of_its_jobs(site, queue):
    """The centre has one row for a preferred benchmark: two would replace each other, and jobs be lost."""
    set_benchmarks(site, HEPscore23=12.5, HEPSPEC=10.0, si2k=2500.0)
    site.put(event("1"), grid("1"), event("2", hours=2), grid("2"))
    site.join()
    (one,) = unloaded(site, queue, "VSuperSummaries")
    assert one.Benchmarks == (("HEPscore23", 12.5), ("HEPSPEC", 10.0), ("si2k", 2500.0))
    set_benchmarks(site, time=LATER, HEPscore23=12.5, HEPSPEC=11.0, si2k=2500.0)
    site.put(event("3", LATER), grid("3"))
    site.join()
    (one,) = unloaded(site, queue, "VSuperSummaries")
    assert one.Benchmarks == (("HEPscore23", 12.5), ("si2k", 2500.0))
    assert (one.NumberOfJobs, one.WallDuration) == (3, 4 * 3600)
    set_benchmarks(site, time="2026-03-20 00:00:00", looked_up=False, HEPscore23=12.5)
    site.put(event("4", "2026-03-20 00:00:00"), grid("4"))
    site.join()
    (one,) = unloaded(site, queue, "VSuperSummaries")
    assert (one.Benchmarks, one.ServiceLevel, one.NumberOfJobs) == (None, 12.5, 4)


def test_sums_of_users_that_become_one_say_what_is_right_for_all(site, queue):
    """With names withheld; a sum that has lost its jobs has no say."""
    set_benchmarks(site, HEPscore23=12.5, HEPSPEC=10.0, si2k=2500.0)
    site.put(event("1"), grid("1"))
    site.join()
    set_benchmarks(site, time=LATER, HEPscore23=12.5, HEPSPEC=10.0, si2k=2600.0)
    site.put(event("2", LATER), grid("2", GlobalUserName="/CN=other"))
    site.join()
    assert len(unloaded(site, queue, "VSuperSummaries")) == 2
    (one,) = unloaded(site, queue, "VSuperSummaries", withhold_dns=True)
    assert (one.Benchmarks, one.NumberOfJobs) == ((("HEPscore23", 12.5), ("HEPSPEC", 10.0)), 2)
    site.execute("DELETE FROM JobRecords WHERE LocalJobId = '2'")
    site.execute("UPDATE EventRecords SET Status = 0 WHERE JobName = '1'")
    site.join()
    (one,) = unloaded(site, queue, "VSuperSummaries", withhold_dns=True)
    assert (dict(one.Benchmarks)["si2k"], one.NumberOfJobs) == (2500.0, 1)


def test_two_clients_leave_the_benchmarks_of_the_one_that_was_first(site, monkeypatch):
    set_benchmarks(site, MACHINE, HEPscore23=8.0, si2k=2000.0)
    set_benchmarks(site, HEPscore23=12.5, HEPSPEC=10.0)
    site.put(event("1"))
    first = Joiner(site.db, local_jobs=True)
    rows = first.identities.rows

    def meanwhile(jobs):
        site.put(grid("1"))
        assert site.join(local_jobs=True).grid == 1
        return rows(jobs)

    monkeypatch.setattr(first.identities, "rows", meanwhile)
    first.run()
    assert kept(site) == {"1": {"HEPscore23": 12.5, "HEPSPEC": 10.0}}


# -- the history -------------------------------------------------------------------------------------


def in_force(site):
    query = "SELECT ServiceLevelType, Source FROM SpecRecords WHERE StopTime IS NULL"
    return {name.lower(): source for name, source in site.rows(query)}


def test_type_that_is_configured_no_more_ends(site):
    """Or else the HEPSPEC of ten years ago would be published beside the HEPscore23 of today."""
    set_benchmarks(site, HEPSPEC=10.0)
    set_benchmarks(site, time=LATER, HEPscore23=12.5)
    assert in_force(site) == {"hepscore23": "manual"}
    site.execute("UPDATE SpecRecords SET StopTime = NULL, Source = NULL")  # as the incumbent leaves it
    set_benchmarks(site, time="2026-04-01 00:00:00", HEPscore23=12.5)
    assert in_force(site) == {"hepscore23": "manual"}


def configured(site, monkeypatch, published, enabled=True, **values):
    """One look-up, with what is published and what client.cfg says."""
    monkeypatch.setattr(run, "published_benchmarks", lambda *_: published)
    monkeypatch.setattr(times, "now", lambda: epoch(LATER))
    manual = [("manual_spec%d" % n, Benchmark(CE1, *pair)) for n, pair in enumerate(values.items(), 1)]
    settings = settings_with(
        spec_updater__enabled=enabled, spec_updater__site_name=SITE, spec_updater__manual_spec=manual
    )
    run.update_benchmarks(site.db, settings)


def test_what_the_bdii_says_stands_beside_what_is_preferred_to_it(site, monkeypatch):
    published = [Benchmark(CE1, "HEPscore23", 9.0), Benchmark(CE1, "si2k", 2500.0)]
    configured(site, monkeypatch, published, HEPSPEC=10.0)
    # The preferred of them is the admin's.
    assert in_force(site) == {"hepspec": "manual", "si2k": "bdii"}
    configured(site, monkeypatch, published, enabled=False, HEPSPEC=10.0)
    assert in_force(site) == {"hepspec": "manual", "si2k": "bdii"}  # nothing ends in the second it began
    set_benchmarks(site, time="2026-04-01 00:00:00", looked_up=False, HEPSPEC=10.0)
    assert in_force(site) == {"hepspec": "manual"}


def test_bdii_may_say_several_benchmarks_of_one_element(site, monkeypatch):
    published = [
        Benchmark(CE1, "HEPSPEC", 9.0),
        Benchmark(CE1, "HEPscore23", 9.5),
        Benchmark(CE1, "si2k", 2250.0),
    ]
    configured(site, monkeypatch, published)
    assert in_force(site) == dict.fromkeys(("hepscore23", "hepspec", "si2k"), "bdii")
    # The first that an element has count for its old jobs, all of them.
    site.put(event("1"), grid("1"))
    site.join()
    assert kept(site) == {"1": {"HEPSPEC": 9.0, "HEPscore23": 9.5, "si2k": 2250.0}}
