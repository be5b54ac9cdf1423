"""What the centre was told of several benchmarks comes out again: v0.4 messages on a real database."""

from typing import Any, List

import pytest
from central_records import normalised
from centre import Centre, job, message, summary
from gridsite import FakeQueue

from apel import unloader
from apel.messages import decode
from apel.records import Record
from apel.server.views import CENTRE_VIEWS
from apel.unloader import Receiver, Unloader
from apel.views import Selection

#: Preferred first, as they are unloaded; with numbers that have more than three decimals.
LEVELS = (("HEPscore23", 11.2537), ("hepspec", 0.1 + 0.2), ("si2k", 2500.0), ("wattage", 1e-05))
DURATIONS = (("HEPscore23", 1125, 9000), ("HEPSPEC", 1100, None), ("si2k", None, 9007199254740993))
PREFERRED = {"ServiceLevelType": "HEPscore23", "ServiceLevel": 11.254}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: Any) -> None:
    """Rows of this very second may be sent twice here."""
    monkeypatch.setattr(unloader, "WAITS_FOR_A_QUIET_SECOND", 0)


def unloaded(centre: Centre, view: str, **options: Any) -> List[Any]:
    """The records of a view as v0.4 messages say them."""
    queue = FakeQueue()
    chosen = Selection(
        **dict({"interval": "all", "dict_benchmark_type": True, "local_jobs": True}, **options)
    )
    Unloader(centre.db, queue, chosen, 1000, CENTRE_VIEWS, Receiver("sent to " + view)).unload(view)
    found = [decode(text) for text in queue.texts]
    assert not any(one.rejected for one in found)
    return [record for each in found for record in each.records]


def of(records: List[Any]) -> List[Any]:
    """All benchmarks of records, those without several first."""
    return sorted((record.Benchmarks or () for record in records), key=lambda found: (len(found), str(found)))


def test_all_benchmarks_of_jobs_are_unloaded(centre: Centre) -> None:
    """And only of those that came with several; a job whose id was used again has its own."""
    jobs = [
        job(Benchmarks=LEVELS, **PREFERRED),
        job(LocalJobId="single"),
        job(EndTime=job().EndTime + 1, Benchmarks=(("hepspec", 9.0), ("HEPscore23", 10.0))),
        job(MachineName="other", ServiceLevelType="HEPSPEC", Benchmarks=(("HEPSPEC", 10.0), ("si2k", 1.0))),
    ]
    centre.load(message(jobs, "job v0.4"))
    found = unloaded(centre, "VJobRecords")
    several = [
        LEVELS,
        (("HEPscore23", 10.0), ("hepspec", 9.0)),
        (("HEPSPEC", 10.0), ("si2k", 1.0)),
    ]
    assert of(found) == [(), several[2], several[1], several[0]]
    assert {record.LocalJobId for record in found if record.Benchmarks is None} == {"single"}
    assert unloaded(centre, "VJobRecords", withhold_dns=True)[0].GlobalUserName == "withheld"
    assert of(unloaded(centre, "VJobRecords", withhold_dns=True)) == of(found)


def test_older_versions_say_the_preferred_one(centre: Centre) -> None:
    centre.load(
        message([job(Benchmarks=LEVELS, **PREFERRED)], "job v0.4"),
        message([summary(Benchmarks=LEVELS, **PREFERRED)], "summary v0.4"),
        message([normalised(Benchmarks=DURATIONS)], "normalised summary v0.4"),
    )
    for view in ("VJobRecords", "VSummaries", "VNormalisedSummaries"):
        (one,) = unloaded(centre, view, dict_benchmark_type=False)
        assert one.Benchmarks is None
        assert view == "VNormalisedSummaries" or (one.ServiceLevelType, one.ServiceLevel) == (
            "HEPscore23",
            11.254,
        )


def test_records_that_are_asked_for_with_benchmarks_are_those_of_the_view(centre: Centre) -> None:
    """Their columns come from the tables then, since views have no ids."""
    centre.load(
        message([job(Benchmarks=LEVELS, **PREFERRED), job(LocalJobId="2", FQAN=None, VO=None)], "job v0.4"),
        message([summary(Benchmarks=LEVELS, **PREFERRED), summary(NumberOfJobs=0, VO="ops")], "summary v0.4"),
        message([normalised(), normalised(VO="ops", NumberOfJobs=0)], "normalised summary v0.4"),
    )
    for name in ("VJobRecords", "VSummaries", "VNormalisedSummaries"):
        view = CENTRE_VIEWS[name]
        assert view.beside is not None
        columns = ", ".join(field for field in view.record_class.names if field != "Benchmarks")
        both = [
            sorted(map(str, centre.rows("SELECT %s FROM %s" % (columns, source))))
            for source in (view.source, view.beside.source())
        ]
        assert both[0] == both[1] and len(both[0]) == 2, name


@pytest.mark.parametrize("whole", [True, False])
def test_all_benchmarks_of_sums_are_unloaded(centre: Centre, whole: bool) -> None:
    """With their infrastructure's description, so that rows are sent as they are, and without it."""
    sums: List[Record] = [summary(Benchmarks=LEVELS, **PREFERRED), summary(VO="atlas", **PREFERRED)]
    centre.load(
        message(sums, "summary v0.4"),
        message([normalised(Benchmarks=DURATIONS), normalised(VO="atlas")], "normalised summary v0.4"),
    )
    options = {"include_infrastructure_description": whole}
    assert of(unloaded(centre, "VSummaries", **options)) == [(), LEVELS]
    assert of(unloaded(centre, "VNormalisedSummaries", **options)) == [(), DURATIONS]


def test_what_is_unloaded_can_be_loaded_and_unloaded_the_same(centre: Centre) -> None:
    """The tables of a second centre hold what those of the first do."""
    centre.load(
        message([job(Benchmarks=LEVELS, **PREFERRED), job(LocalJobId="2")], "job v0.4"),
        message([summary(Benchmarks=LEVELS, **PREFERRED)], "summary v0.4"),
        message([normalised(Benchmarks=DURATIONS)], "normalised summary v0.4"),
    )
    views = {"VJobRecords": "job", "VSummaries": "summary", "VNormalisedSummaries": "normalised summary"}
    first = {view: unloaded(centre, view, include_infrastructure_description=True) for view in views}
    details = ("JobBenchmarks", "SummaryBenchmarks", "NormalisedSummaryBenchmarks")
    kept = {table: sorted(centre.rows("SELECT * FROM " + table)) for table in details}
    for table in (*details, "JobRecords", "Summaries", "NormalisedSummaries"):
        centre.execute("DELETE FROM " + table)
    centre.load(*(message(first[view], kind + " v0.4") for view, kind in views.items()))
    assert centre.rejected() == []
    assert {table: sorted(centre.rows("SELECT * FROM " + table)) for table in details} == kept
    for view in views:
        assert unloaded(centre, view, include_infrastructure_description=True) == first[view]


def test_sums_that_become_one_say_what_is_right_for_all_of_them(centre: Centre) -> None:
    """A receiver has one key for them: two rows would replace each other, and jobs would be lost."""
    users: List[Any] = [
        (("HEPscore23", 11.2537), ("hepspec", 10.0), ("si2k", 2500.0)),
        (("HEPscore23", 11.2537), ("HEPSPEC", 10.0), ("si2k", 2400.0)),
        (("HEPscore23", 11.2537), ("hepspec", 10.0), ("si2k", 2500.0), ("wattage", 1.0)),
    ]
    sums = [
        summary(GlobalUserName="/CN=%d" % place, Benchmarks=each, **PREFERRED)
        for place, each in enumerate(users)
    ]
    # One that has lost its jobs says nothing, so it makes nothing doubtful.
    lost = {"WallDuration": 0, "CpuDuration": 0, "NumberOfJobs": 0}
    centre.load(
        message([*sums, summary(GlobalUserName="/CN=lost", **dict(PREFERRED, **lost))], "summary v0.4")
    )
    (one,) = unloaded(centre, "VSummaries", withhold_dns=True)
    assert (one.NumberOfJobs, one.GlobalUserName) == (21, "withheld")
    assert [(name.lower(), value) for name, value in one.Benchmarks] == [
        ("hepscore23", 11.2537),
        ("hepspec", 10.0),
    ]
    centre.load(message([summary(GlobalUserName="/CN=single", **PREFERRED)], "summary v0.4"))
    (one,) = unloaded(centre, "VSummaries", withhold_dns=True)
    assert (one.NumberOfJobs, one.Benchmarks) == (28, None)


def test_normalised_sums_that_become_one_are_added_up_by_each_benchmark(centre: Centre) -> None:
    """Where all of them have it: or else the sum would stand for some of the jobs only."""
    users: List[Any] = [
        (("HEPscore23", 1125, 9000), ("HEPSPEC", 100, 200), ("si2k", 7, 8)),
        (("HEPscore23", 1125, 9000), ("hepspec", 30, None)),
    ]
    records = [
        normalised(GlobalUserName="/CN=%d" % place, Benchmarks=each) for place, each in enumerate(users)
    ]
    centre.load(message(records, "normalised summary v0.4"))
    (one,) = unloaded(centre, "VNormalisedSummaries", withhold_dns=True)
    assert one.Benchmarks[0] == ("HEPscore23", 2250, 18000)
    assert [(name.lower(), wall, cpu) for name, wall, cpu in one.Benchmarks[1:]] == [("hepspec", 130, None)]


def test_super_summaries_say_the_preferred_benchmark(centre: Centre) -> None:
    """They are sums of jobs, summaries and normalised ones, by the preferred of each (docs/centre.md)."""
    centre.load(message([job(Benchmarks=LEVELS, **PREFERRED)], "job v0.4"))
    centre.summarise()
    (one,) = unloaded(centre, "VSuperSummaries")
    assert (one.ServiceLevelType, one.ServiceLevel, one.Benchmarks) == ("HEPscore23", 11.254, None)
