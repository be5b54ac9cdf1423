"""Several benchmarks, from a site's history to the centre and out of it: none lost, none merged wrongly."""

from typing import Any

import pytest
from centre import Centre
from gridsite import CE1, SITE, FakeQueue, epoch, event, grid, new_site

from apel import unloader
from apel.client.benchmarks import Benchmark, History
from apel.db import open_database
from apel.messages import decode
from apel.server.views import CENTRE_VIEWS
from apel.unloader import Receiver, Unloader
from apel.views import Selection
from servers.databases import sqlite_settings

CHANGE = "2026-03-15 00:00:00"
BEFORE, AFTER = {"HEPscore23": 12.5, "HEPSPEC": 10.25, "si2k": 2500.0}, {"HEPscore23": 12.5, "HEPSPEC": 11.0}


@pytest.fixture
def site(tmp_path: Any) -> Any:
    """Three jobs before HEPSPEC was changed (and si2k ended) in the middle of a month, and two after."""
    made = new_site({"backend": "sqlite", "name": str(tmp_path / "client.db")})
    for time, values in (("2026-01-01 00:00:00", BEFORE), (CHANGE, AFTER)):
        wanted = [Benchmark(CE1, name, value) for name, value in values.items()]
        History(made.db, SITE, looked_up=False).set_manual(wanted, epoch(time))
    for number, day in enumerate((10, 11, 12, 16, 17)):
        made.put(event(str(number), "2026-03-%02d 12:00:00" % day), grid(str(number), "2026-03-09 00:00:00"))
    assert made.join().grid == 5
    yield made
    made.db.close()


@pytest.fixture
def centre(tmp_path: Any, monkeypatch: Any) -> Any:
    monkeypatch.setattr(unloader, "WAITS_FOR_A_QUIET_SECOND", 0)
    with open_database(sqlite_settings(tmp_path / "server.db"), schema="server") as db:
        yield Centre(tmp_path / "spool", db)


def sent(site: Any, view: str) -> Any:
    queue = FakeQueue()
    site.unload(queue, view, interval="all", dict_benchmark_type=True)
    return queue.texts


def unloaded(centre: Centre, view: str) -> Any:
    queue = FakeQueue()
    chosen = Selection(interval="all", dict_benchmark_type=True)
    Unloader(centre.db, queue, chosen, 1000, CENTRE_VIEWS, Receiver("sent")).unload(view)
    return [record for text in queue.texts for record in decode(text).records]


def test_jobs_come_to_the_centre_with_all_benchmarks_of_their_time(site: Any, centre: Centre) -> None:
    centre.load(*sent(site, "VJobRecords"))
    assert centre.rejected() == []
    found = {record.LocalJobId: dict(record.Benchmarks) for record in unloaded(centre, "VJobRecords")}
    assert found == {job: BEFORE if job in "012" else AFTER for job in "01234"}
    centre.summarise()
    ((jobs, wall),) = centre.rows(
        "SELECT SUM(NumberOfJobs), SUM(NormalisedWallDuration) FROM HybridSuperSummaries"
    )
    assert (jobs, wall) == (5, 5 * 3600 * 12.5)


def test_sums_lose_no_job_though_the_second_benchmark_differs(site: Any, centre: Centre) -> None:
    """The sum of the month says the preferred one alone, as it would be wrong for some jobs otherwise."""
    centre.load(*sent(site, "VSuperSummaries"))
    assert centre.rejected() == []
    (one,) = unloaded(centre, "VSummaries")
    assert (one.NumberOfJobs, one.WallDuration, one.Benchmarks) == (5, 5 * 3600, None)
    assert (one.ServiceLevelType, one.ServiceLevel) == ("HEPscore23", 12.5)


def test_sums_of_jobs_that_agree_say_all(site: Any, centre: Centre) -> None:
    site.execute("UPDATE EventRecords SET Status = 0 WHERE EndTime >= %s", CHANGE)
    site.execute("UPDATE SpecRecords SET ServiceLevel = 10.25 WHERE ServiceLevelType = 'HEPSPEC'")
    site.join()
    centre.load(*sent(site, "VSuperSummaries"))
    (one,) = unloaded(centre, "VSummaries")
    assert (one.NumberOfJobs, one.Benchmarks) == (5, (("HEPscore23", 12.5), ("HEPSPEC", 10.25)))
