"""Unloading: which rows are sent, in which form, and what is remembered of it."""

import pytest
from gridsite import CE1, CE2, MACHINE, epoch, event, grid

from apel import times, unloader
from apel.client.summarise import mark_all, summarise_site
from apel.unloader import Unloader, records_per_message
from apel.views import Selection
from apelcommon.errors import ConfigError, Transient


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """Rows of this very second are aged instead."""
    monkeypatch.setattr(unloader, "WAITS_FOR_A_QUIET_SECOND", 0)


@pytest.fixture
def loaded(site):
    """Three grid jobs of two VOs and a local one; two are of April."""
    site.benchmark(CE1, 10.0)
    site.benchmark(CE2, 9.5, "HEPSPEC")
    site.benchmark(MACHINE, 8.0)
    site.put(event("1"), grid("1"), event("2", "2026-03-20 00:00:00"), grid("2", "2026-03-19 22:00:00", CE2))
    april = "2026-04-01 00:00:00"
    site.put(event("3", april), grid("3", "2026-03-31 22:00:00", VO="CMS", FQAN=None), event("4", april))
    site.join(local_jobs=True)
    age(site)
    return site


def age(site):
    """Make all rows older than the second that now is."""
    site.execute("UPDATE JobRecords SET UpdateTime = '2026-05-01 00:00:00'")


def ids(records):
    return sorted(record.LocalJobId for record in records)


def test_latest_sends_what_is_new_and_nothing_twice(loaded, queue):
    """C6."""
    assert loaded.unload(queue, local_jobs=True).records == 4
    assert loaded.unload(queue, local_jobs=True).records == 0
    loaded.put(event("5"), grid("5"))
    loaded.join(local_jobs=True)
    assert loaded.unload(queue, local_jobs=True).records == 1
    assert ids(queue.records()) == ["1", "2", "3", "4", "5"]


def test_row_written_in_the_second_of_the_watermark_is_sent(loaded, queue):
    """C6: by a writer that commits after the unload, in the same second."""
    loaded.unload(queue)
    (watermark,) = loaded.rows("SELECT UpdateTime FROM LastUpdated WHERE Type = 'sent'")[0]
    loaded.put(event("5"), grid("5"))
    loaded.join()
    loaded.execute("UPDATE JobRecords SET UpdateTime = %s WHERE LocalJobId = '5'", watermark)
    assert loaded.unload(queue).records == 1


def test_clock_that_was_set_back_hides_no_job(loaded, queue, caplog):
    """C6: the watermark is of later than the rows that were written since."""
    loaded.unload(queue)
    loaded.put(event("5"), grid("5"))
    loaded.join()
    loaded.execute("UPDATE LastUpdated SET UpdateTime = '2037-01-01 00:00:00' WHERE Type = 'sent'")
    loaded.execute("UPDATE JobRecords SET UpdateTime = '2026-05-02 00:00:00' WHERE LocalJobId = '5'")
    assert loaded.unload(queue).records == 4
    assert "is behind the last unload (2037-01-01 00:00:00)" in caplog.text
    assert loaded.unload(queue).records == 0


@pytest.mark.parametrize("sums", [False, True])
def test_clock_that_was_set_back_hides_no_job_when_it_has_passed_the_watermark_again(
    loaded, queue, caplog, sums
):
    """C6: nothing was unloaded in the hour by which it was set back, so the watermark looks right again."""
    view = "VSuperSummaries" if sums else "VJobRecords"
    loaded.unload(queue, view)
    written = loaded.rows("SELECT Type FROM LastUpdated WHERE Type LIKE 'sent%%'")
    loaded.put(event("5"), grid("5"))
    if sums:
        mark_all(loaded.db)
    loaded.execute("UPDATE LastUpdated SET UpdateTime = '2037-01-01 00:00:00' WHERE Type LIKE 'sent%%'")
    if sums:
        summarise_site(loaded.db)
    else:
        loaded.join()
    late = "SELECT COUNT(*) FROM LastUpdated WHERE Type LIKE 'sent%%' AND UpdateTime > CURRENT_TIMESTAMP"
    assert written and loaded.rows(late) == [(0,)]
    assert "clock was set back" in caplog.text
    if not sums:
        assert loaded.unload(queue).records == 1


def test_host_whose_clock_is_far_behind_drops_no_job(loaded, queue, monkeypatch):
    """C6: it takes jobs for ones of the future, which are invalid, and were never tried again."""
    monkeypatch.setattr(times, "now", lambda: epoch("2026-03-01 00:00:00"))
    with pytest.raises(Transient, match="clock"):
        loaded.unload(queue)
    monkeypatch.undo()
    assert loaded.unload(queue).records == 3


def test_unload_right_after_a_join_waits_for_the_second_to_end(loaded, queue, monkeypatch):
    """C6: or else the next run would send all of it again."""
    monkeypatch.setattr(unloader, "WAITS_FOR_A_QUIET_SECOND", 5)
    loaded.put(event("5"), grid("5"))
    loaded.join()
    assert loaded.unload(queue).records == 4
    assert loaded.unload(queue).records == 0


def test_record_that_changes_is_sent_again(loaded, queue):
    """C6, C8."""
    loaded.unload(queue)
    loaded.execute("UPDATE SpecRecords SET ServiceLevel = 11 WHERE ServiceLevel = 10")
    loaded.execute("UPDATE EventRecords SET Status = 0 WHERE JobName IN ('1', '2')")
    loaded.join()
    again = loaded.unload(queue)
    assert again.records == 1
    assert queue.records()[-1].ServiceLevel == 11.0


def test_all_sends_everything_and_moves_the_watermark(loaded, queue):
    assert loaded.unload(queue, interval="all", local_jobs=True).records == 4
    assert loaded.unload(queue, interval="all", local_jobs=True).records == 4
    assert loaded.unload(queue, local_jobs=True).records == 0


def test_gap_sends_both_days_whole(loaded, queue):
    """C9: from the first second of A to the last of B, UTC; and the watermark stays."""
    for job, end in (
        ("a", "2026-03-20 23:59:59"),
        ("b", "2026-03-21 00:00:00"),
        ("c", "2026-03-19 23:59:59"),
    ):
        loaded.put(event(job, end), grid(job, "2026-03-19 12:00:00"))
    loaded.join()
    loaded.unload(queue, interval="gap", gap=("2026-03-20", "2026-03-20"))
    assert ids(queue.records()) == ["2", "a"]
    assert loaded.rows("SELECT * FROM LastUpdated WHERE Type = 'sent'") == []


@pytest.mark.parametrize("dict_benchmark", [False, True])
@pytest.mark.parametrize("withhold", [False, True])
@pytest.mark.parametrize("view", ["VJobRecords", "VSuperSummaries"])
def test_gap_works_for_jobs_and_summaries_in_every_version(loaded, queue, view, withhold, dict_benchmark):
    """C9: with withheld names too; of summaries the whole month is sent, since it replaces the month."""
    done = loaded.unload(
        queue,
        view,
        interval="gap",
        gap=("2026-03-20", "2026-03-31"),
        withhold_dns=withhold,
        dict_benchmark_type=dict_benchmark,
    )
    kind, version = ("job", "3") if view == "VJobRecords" else ("summary", "2")
    (message,) = queue.messages()
    assert message.format == "%s v0.%s" % (kind, "4" if dict_benchmark else version)
    assert (done.records, done.invalid) == (1 if kind == "job" else 2, 0)
    users = {record.GlobalUserName for record in message.records}
    assert users == {"withheld" if withhold else "/DC=org/DC=example/CN=Ada Researcher"}


def test_withheld_names_add_the_summaries_of_all_users_up(site, queue):
    """C9: rows that differ only in the user would replace each other at the centre."""
    site.benchmark(CE1)
    for number in range(3):
        site.put(event(str(number)), grid(str(number), GlobalUserName="/CN=user %d" % number))
    site.join()
    site.unload(queue, "VSuperSummaries", interval="all", withhold_dns=True)
    (record,) = queue.records("summary")
    assert (record.GlobalUserName, record.NumberOfJobs, record.CpuDuration) == ("withheld", 3, 9000)
    assert (record.EarliestEndTime, record.LatestEndTime) == (epoch("2026-03-10 12:00:00"),) * 2


def test_withheld_name_of_a_local_job_stays_none(loaded, queue):
    loaded.unload(queue, interval="all", local_jobs=True, withhold_dns=True)
    assert {record.GlobalUserName for record in queue.records()} == {"withheld", None}


def test_vo_filters(loaded, queue):
    """Include wins; names are compared without regard to case."""
    everything = {"interval": "all", "local_jobs": True}
    loaded.unload(queue, include_vos=["cms"], exclude_vos=["cms"], **everything)
    assert ids(queue.records()) == ["3"]
    loaded.unload(queue, exclude_vos=["cms"], **everything)
    assert ids(queue.records()) == ["1", "2", "3", "4"]


def test_local_jobs_are_left_out_unless_wanted(loaded, queue):
    loaded.unload(queue, interval="all")
    assert ids(queue.records()) == ["1", "2", "3"]


def test_latest_summaries_are_of_this_month_and_the_one_before(loaded, queue, monkeypatch):
    monkeypatch.setattr(times, "now", lambda: epoch("2026-05-31 23:59:59"))
    loaded.unload(queue, "VSuperSummaries", local_jobs=True)
    assert {record.Month for record in queue.records("summary")} == {4}
    assert loaded.rows("SELECT * FROM LastUpdated WHERE Type = 'sent'") == []


def test_late_job_of_an_old_month_reaches_the_summaries_sent(loaded, queue, monkeypatch):
    """C1, C6: a benchmark that was set months later; the sync messages count its jobs, too."""
    loaded.execute("UPDATE SuperSummaries SET UpdateTime = '2026-05-01 00:00:00'")
    monkeypatch.setattr(times, "now", lambda: epoch("2026-07-01 00:00:00"))
    assert loaded.unload(queue, "VSuperSummaries").records == 0
    loaded.put(event("5"), grid("5"))
    loaded.join()
    assert loaded.unload(queue, "VSuperSummaries").records == 2
    found = {(record.Month, record.SubmitHost): record.NumberOfJobs for record in queue.records("summary")}
    assert found == {(3, CE1): 2, (3, CE2): 1}
    loaded.execute("UPDATE LastUpdated SET UpdateTime = '2037-01-01 00:00:00' WHERE Type = 'sent summaries'")
    assert loaded.unload(queue, "VSuperSummaries").records == 3


def test_sync_counts_all_months_with_the_same_filters(loaded, queue):
    options = Selection(dict_benchmark_type=True, include_vos=["atlas"], withhold_dns=True)
    Unloader(loaded.db, queue, options).unload_sync()
    found = [(record.SubmitHost, record.Month, record.NumberOfJobs) for record in queue.records("sync")]
    assert sorted(found) == sorted([(CE1, 3, 1), (CE2, 3, 1)])


def test_messages_hold_so_many_records(loaded, queue):
    done = loaded.unload(queue, interval="all", size=3, local_jobs=True)
    assert (done.messages, done.records) == (2, 4)
    assert [len(message.records) for message in queue.messages()] == [3, 1]


def test_records_per_message_is_clamped_with_a_warning(caplog):
    assert [records_per_message(wanted) for wanted in (0, 1, 5000, 9999)] == [1, 1, 5000, 5000]
    assert "records_per_message is 9999; it must be from 1 to 5000, so 5000 is used" in caplog.text


def test_nothing_to_send_writes_nothing(site, queue):
    assert site.unload(queue) == (0, 0, 0)
    assert queue.texts == []


def test_invalid_row_is_named_and_the_others_are_sent(loaded, queue, caplog):
    """An old database may hold what no centre takes."""
    loaded.execute("UPDATE JobRecords SET ServiceLevelType = 'HS06' WHERE LocalJobId = '2'")
    age(loaded)
    done = loaded.unload(queue, interval="all")
    assert (done.records, done.invalid) == (2, 1)
    assert "LocalJobId 2" in caplog.text
    assert "HS06 not valid" in caplog.text


class FullQueue:
    """A spool on a disk that is full after so many messages."""

    def __init__(self, room):
        self.room = room

    def add(self, text):
        if not self.room:
            raise Transient("No space left on device")
        self.room -= 1


def test_full_spool_marks_nothing_as_sent(loaded, queue):
    """C10: though some messages were written."""
    with pytest.raises(Transient, match="No space left"):
        loaded.unload(FullQueue(1), size=1)
    assert loaded.unload(queue).records == 3


def test_view_that_is_not_there_is_named(site, queue):
    with pytest.raises(ConfigError, match="VStarRecords can't be unloaded"):
        site.unload(queue, "VStarRecords")
