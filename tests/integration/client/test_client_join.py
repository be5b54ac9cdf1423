"""Joining on a real database: which jobs there are, what they wait for, and that nothing is counted twice."""

import pytest
from gridsite import CE1, CE2, MACHINE, SITE, epoch, event, grid, settings_with

from apel import times
from apel.client import run
from apel.client.benchmarks import Benchmark
from apel.client.choice import GRID, LOCAL, NEW, WAITS_FOR_GRID_RECORD
from apel.client.join import Joiner, rejoin_month
from apel.client.run import missing_benchmarks
from apel.client.summarise import mark_all, summarise_site
from apel.db import Conflict
from apelcommon.daemon import Stop


def test_grid_job_is_made_of_event_and_grid_record(site):
    site.benchmark(CE1, 12.5)
    site.put(event("1"), grid("1"))
    assert site.join().grid == 1
    columns = (
        "Site, SubmitHost, MachineName, Queue, LocalUserId, GlobalUserName, FQAN, VO, VOGroup, VORole,"
        " WallDuration, CpuDuration, Processors, NodeCount, StartTime, EndTime, InfrastructureDescription,"
        " InfrastructureType, MemoryReal, ServiceLevelType, ServiceLevel"
    )
    (row,) = site.rows("SELECT " + columns + " FROM VJobRecords")
    assert row[:6] == (SITE, CE1, MACHINE, "grid", "atlas001", "/DC=org/DC=example/CN=Ada Researcher")
    assert row[6:10] == ("/atlas/Role=production/Capability=NULL", "atlas", "/atlas", "Role=production")
    assert row[10:16] == (3600, 3000, 2, 1, "2026-03-10 11:00:00", "2026-03-10 12:00:00")
    assert row[16:] == ("APEL-CREAM-SLURM", "grid", None, "HEPscore23", 12.5)
    assert site.rows("SELECT EndYear, EndMonth FROM JobRecords") == [(2026, 3)]


def test_element_without_benchmark_makes_its_jobs_wait_and_says_so(site):
    """C1: which CE, how many jobs, which line to add; and adding it is enough."""
    site.benchmark(CE2)
    site.put(event("1"), grid("1"), event("2"), grid("2"), event("3"), grid("3", ce=CE2))
    joined = site.join()
    assert (joined.grid, joined.without_benchmark) == (1, {CE1: 2})
    (advice,) = missing_benchmarks(joined, settings_with("/etc/apel/client.cfg"))
    assert advice == (
        "2 jobs of %s wait for its benchmark; add to [spec_updater] of /etc/apel/client.cfg: "
        "manual_spec1 = %s,HEPscore23,<value>" % (CE1, CE1)
    )
    assert site.join().without_benchmark == {CE1: 2}  # said by every run
    site.benchmark(CE1)
    assert site.join().grid == 2


def test_batch_system_without_benchmark_makes_its_local_jobs_wait(site):
    """C1."""
    site.put(event("1"))
    joined = site.join(local_jobs=True)
    assert joined.without_local_benchmark == {MACHINE: 1}
    assert "1 local jobs of %s wait" % MACHINE in missing_benchmarks(joined, settings_with())[0]


def test_two_benchmark_types_open_use_the_preferred(site):
    """C2: whatever came first."""
    for name, value in (("si2k", 2500.0), ("HEPscore23", 12.5), ("HEPSPEC", 10.0)):
        site.benchmark(CE1, value, name, "1970-01-01 00:00:00")
    site.execute("UPDATE SpecRecords SET StartTime = '1970-01-01 00:00:00'")
    site.put(event("1"), grid("1"))
    site.join()
    assert site.jobs()["1"].ServiceLevelType == "HEPscore23"


def test_going_back_to_an_older_type_is_done_from_then_on(site):
    """C2, C5: HEPscore23 is preferred, but the admin has gone back to HEPSPEC."""
    site.benchmark(CE1, 12.5, "HEPscore23")
    site.benchmark(CE1, 10.0, "HEPSPEC", "2026-03-11 00:00:00")
    for job, end in (("1", "2026-03-10 23:59:59"), ("2", "2026-03-11 00:00:00")):
        site.put(event(job, end), grid(job))
    site.join()
    found = [(job.ServiceLevelType, job.ServiceLevel) for job in site.jobs().values()]
    assert found == [("HEPscore23", 12.5), ("HEPSPEC", 10.0)]


def test_reused_batch_id_takes_the_nearest_record_and_is_counted(site):
    """C3."""
    site.benchmark(CE1)
    site.benchmark(CE2)
    site.put(event("1"), grid("1", "2026-03-01 00:00:00", CE1), grid("1", "2026-03-10 10:00:00", CE2))
    assert site.join().ambiguous == 1
    assert site.jobs()["1"].SubmitHost == CE2


def test_two_batch_systems_with_equal_ids_keep_their_own_records(site):
    """C3, D10."""
    site.benchmark(CE1)
    site.benchmark(CE2)
    other = "other.example.org"
    site.put(event("1"), event("1", MachineName=other))
    site.put(grid("1", ce=CE1), grid("1", "2026-03-10 10:59:30", CE2, MachineName=other))
    site.join()
    rows = site.rows("SELECT MachineName, SubmitHost FROM VJobRecords ORDER BY MachineName")
    assert rows == [(MACHINE, CE1), (other, CE2)]


def test_job_longer_than_28_days_is_joined(site):
    """C4: its record is valid for 28 days from its submission, and it ran for 60."""
    site.benchmark(CE1)
    site.put(event("1", "2026-05-10 12:00:00", hours=60 * 24), grid("1", "2026-03-11 11:00:00"))
    assert site.join().grid == 1


def test_record_of_a_job_long_gone_is_not_taken(site):
    site.benchmark(CE1)
    site.put(event("1"), grid("1", "2026-01-10 11:00:00"))
    assert site.join().without_grid_record == 1


def test_benchmark_changes_at_midnight(site):
    """C5: the job that ends in the second of the change has the new one."""
    site.benchmark(CE1, 10.0)
    site.benchmark(CE1, 11.0, time="2026-03-11 00:00:00")
    for job, end in (("1", "2026-03-10 23:59:59"), ("2", "2026-03-11 00:00:00")):
        site.put(event(job, end), grid(job))
    site.join()
    assert [job.ServiceLevel for job in site.jobs().values()] == [10.0, 11.0]


def test_job_reported_local_then_found_to_be_grid_counts_once(site):
    """C7: in the jobs, in the summaries and in sync."""
    site.benchmark(CE1)
    site.benchmark(MACHINE)
    site.put(event("1"), event("2"))
    assert site.join(local_jobs=True).local == 2
    assert site.counted() == {"None": 2}
    site.put(grid("1"))
    assert site.join(local_jobs=True).grid == 1
    assert site.jobs()["1"].InfrastructureType == "grid"
    assert site.counted() == {"None": 1, CE1: 1}
    assert site.statuses() == {"1": GRID, "2": LOCAL}


def test_local_and_grid_jobs_of_one_run_keep_their_own_status(site):
    """The incumbent marks local jobs as joined if both are made within a second."""
    site.benchmark(CE1)
    site.benchmark(MACHINE)
    site.put(event("1"), event("2"), grid("2"))
    site.join(local_jobs=True)
    assert site.statuses() == {"1": LOCAL, "2": GRID}
    vo = site.rows("SELECT VO, SubmitHost, GlobalUserName, FQAN FROM VJobRecords WHERE LocalJobId = '1'")
    assert vo == [("atlas", "None", "None", None)]


def test_better_grid_record_that_comes_later_replaces_the_first(site):
    """C7: the right one was in a log that was parsed a day late."""
    site.benchmark(CE1)
    site.benchmark(CE2)
    site.put(event("1"), grid("1", "2026-03-02 00:00:00", CE1))
    site.join()
    site.put(grid("1", "2026-03-10 10:59:00", CE2))
    site.join()
    assert site.counted() == {CE2: 1}


def test_grid_record_that_comes_later_ends_the_waiting(site):
    site.benchmark(CE1)
    site.put(event("1"))
    assert site.join().without_grid_record == 1
    assert site.statuses() == {"1": WAITS_FOR_GRID_RECORD}
    site.put(grid("1"))
    assert site.join().grid == 1


def test_waiting_jobs_become_local_when_local_jobs_are_wanted(site):
    site.benchmark(MACHINE)
    site.put(event("1"), event("2", LocalUserGroup=None))
    site.join()
    assert site.join(local_jobs=True).local == 2
    assert {job.VO for job in site.jobs().values()} == {"atlas", "None"}


def test_corrected_benchmark_leaves_no_old_summaries(site):
    """C8: the admin corrects the history, and has the month joined again."""
    site.benchmark(CE1, 10.0)
    site.put(event("1"), grid("1"), event("2", "2026-04-02 00:00:00"), grid("2", "2026-04-01 22:00:00"))
    site.join()
    site.execute("UPDATE SpecRecords SET ServiceLevel = 20")
    assert rejoin_month(site.db, 2026, 3) == 1
    assert site.join().grid == 1
    levels = site.rows("SELECT Month, ServiceLevel, NumberOfJobs FROM VSuperSummaries ORDER BY Month")
    assert levels == [(3, 20.0, 1), (4, 10.0, 1)]


def test_second_run_changes_nothing(site):
    site.benchmark(CE1)
    site.put(event("1"), grid("1"), event("2"))
    site.join()
    site.execute("UPDATE JobRecords SET UpdateTime = '2026-03-11 00:00:00'")
    again = site.join()
    assert (again.grid, again.local, again.without_grid_record) == (0, 0, 1)
    assert site.jobs()["1"].UpdateTime == "2026-03-11 00:00:00"
    assert site.rows("SELECT * FROM ChangedMonths") == []


def test_job_that_is_joined_to_the_same_again_is_not_sent_again(site):
    site.benchmark(CE1)
    site.put(event("1"), grid("1"))
    site.join()
    site.execute("UPDATE JobRecords SET UpdateTime = '2026-03-11 00:00:00'")
    rejoin_month(site.db, 2026, 3)
    assert site.join().grid == 1
    assert site.jobs()["1"].UpdateTime == "2026-03-11 00:00:00"


def test_site_that_was_renamed_loses_the_summaries_under_its_old_name(site):
    """C7: the batch system's jobs are parsed again under the new name."""
    site.benchmark(CE1)
    site.put(event("1"), grid("1"))
    site.join()
    (new,) = site.db.ids("Sites", ["NEW-SITE"]).values()
    for table in ("EventRecords", "BlahdRecords", "SpecRecords"):
        site.execute("UPDATE %s SET SiteID = %d" % (table, new))
    rejoin_month(site.db, 2026, 3)
    site.join()
    assert site.rows("SELECT Site, NumberOfJobs FROM VSuperSummaries") == [("NEW-SITE", 1)]


def test_negative_duration_in_an_old_database_counts_as_zero(site):
    """One such event made the incumbent's whole join fail."""
    site.benchmark(CE1)
    site.put(event("1"), grid("1"), event("2"), grid("2"))
    negative = "CpuDuration = -5, MemoryReal = -1, MemoryVirtual = -1, Processors = -1, NodeCount = -1"
    site.execute("UPDATE EventRecords SET %s WHERE JobName = '1'" % negative)
    joined = site.join()
    assert (joined.grid, joined.negative) == (2, 1)
    columns = "CpuDuration, MemoryReal, MemoryVirtual, Processors, NodeCount"
    made = site.rows("SELECT %s FROM JobRecords WHERE LocalJobId = '1'" % columns)
    assert made == [(0, None, None, 0, 0)]


def test_event_without_cores_and_hosts_is_joined(site):
    site.benchmark(CE1)
    site.put(event("1", Processors=None, NodeCount=None), grid("1"))
    assert site.join().grid == 1
    assert site.rows("SELECT Processors, NodeCount FROM JobRecords") == [(0, 0)]


def test_many_chunks_join_as_one(site):
    site.benchmark(CE1)
    numbers = [str(number) for number in range(25)]
    site.put(*[event(number) for number in numbers], *[grid(number) for number in numbers[:20]])
    joined = site.join(chunk=4)
    assert (joined.grid, joined.without_grid_record) == (20, 5)
    assert site.counted() == {CE1: 20}
    assert site.rows("SELECT * FROM JoinWork") == []


def test_join_that_was_killed_goes_on_where_it_was(site, monkeypatch):
    site.benchmark(CE1)
    numbers = [str(number) for number in range(10)]
    site.put(*[event(number) for number in numbers], *[grid(number) for number in numbers])
    stop = Stop()
    joiner = Joiner(site.db, False, stop, chunk=4)
    monkeypatch.setattr(joiner, "tally", StopsAfterOneChunk(stop))
    joiner._report = lambda: None
    joiner.run()
    assert sorted(site.statuses().values()) == [NEW] * 6 + [GRID] * 4
    assert site.join().grid == 6
    assert site.counted() == {CE1: 10}


class StopsAfterOneChunk:
    def __init__(self, stop):
        self.stop = stop

    def add(self, *_):
        self.stop.set()


def test_all_months_can_be_summed_up_again(site):
    site.benchmark(CE1)
    site.put(event("1"), grid("1"))
    site.join()
    site.execute("UPDATE SuperSummaries SET NumberOfJobs = 99")
    assert summarise_site(site.db) == 0
    assert mark_all(site.db) == 1
    assert summarise_site(site.db) == 1
    assert site.counted() == {CE1: 1}


def test_failed_chunk_is_stored_as_a_whole_or_not_at_all(site, monkeypatch):
    site.benchmark(CE1)
    site.put(event("1"), grid("1"))

    def fails(tx, months):
        raise Conflict("deadlock")

    monkeypatch.setattr("apel.client.join.mark_months", fails)
    site.db.first_wait = 0.001
    with pytest.raises(Conflict):
        site.join()
    assert (site.jobs(), site.statuses()) == ({}, {"1": NEW})


def test_benchmark_set_by_hand_is_not_replaced_by_the_published(site, monkeypatch):
    """C2, C5: nor does the history get a row with every run."""
    monkeypatch.setattr(run, "published_benchmarks", lambda *_: [Benchmark(CE1, "si2k", 1900.0)])
    by_hand = [("manual_spec1", Benchmark(CE1, "si2k", 2500.0))]
    settings = settings_with(spec_updater__site_name=SITE, spec_updater__manual_spec=by_hand)
    for day in (1, 2, 3):
        monkeypatch.setattr(times, "now", lambda day=day: epoch("2026-03-0%d 00:00:00" % day))
        run.update_benchmarks(site.db, settings)
    assert site.rows("SELECT StopTime, ServiceLevel FROM SpecRecords") == [(None, 2500)]


def test_two_clients_on_one_database_leave_a_grid_job_grid(site, monkeypatch):
    """C7: one decides that a job is local, and before it says so, the other finds its grid record."""
    site.benchmark(CE1)
    site.benchmark(MACHINE)
    site.put(event("1"))
    first = Joiner(site.db, local_jobs=True)
    rows = first.identities.rows

    def meanwhile(jobs):
        site.put(grid("1"))
        assert site.join(local_jobs=True).grid == 1
        return rows(jobs)

    monkeypatch.setattr(first.identities, "rows", meanwhile)
    first.run()
    assert site.jobs()["1"].InfrastructureType == "grid"
    assert site.statuses() == {"1": GRID}
