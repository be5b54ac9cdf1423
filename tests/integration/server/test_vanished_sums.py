"""Sums that are no more: receivers are told, since what they hold is replaced row by row."""

from typing import Any, Dict, List, Tuple

import pytest
from central_records import cloud, vm
from centre import Centre, job, jobs, message, summary
from portal import EARLIER, Portal, records

from apel.server.summarise import CLOUD, EMPTY_SECONDS, Summariser
from apel.times import epoch_from_text
from servers.databases import fresh_database

TABLES = ("VSuperSummaries", "VNormalisedSuperSummaries")
HELD = {
    "VSuperSummaries": "SELECT VO, NumberOfJobs, WallDuration FROM VSuperSummaries ORDER BY VO",
    "VNormalisedSuperSummaries": "SELECT VO, NumberOfJobs, WallDuration FROM VNormalisedSuperSummaries"
    " ORDER BY VO",
}


@pytest.fixture
def receiver(tmp_path: Any) -> Any:
    """Another centre, that loads what is sent."""
    folder = tmp_path / "receiver"
    folder.mkdir()
    for db in fresh_database("server", folder):
        yield Centre(folder / "spool", db)


def take_over(receiver: Centre, messages: List[str]) -> None:
    receiver.load(*messages)
    assert receiver.rejected() == []
    receiver.summarise()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("options", [{}, {"dict_benchmark_type": "true"}])
def test_receiver_of_sums_forgets_the_one_whose_jobs_moved(
    portal: Portal, receiver: Centre, table: str, options: Dict[str, str]
) -> None:
    """D8: it would count the jobs of the old VO beside those of the new one for ever."""
    portal.centre.load(message(jobs(2)))
    portal.centre.summarise()
    take_over(receiver, portal.run(table_name=table, **options))
    assert receiver.rows(HELD[table]) == [("atlas", 2, 7200)]
    portal.centre.load(message(jobs(2, FQAN="/cms", VO="cms", VOGroup="/cms", VORole="Role=NULL")))
    portal.centre.summarise()
    assert portal.centre.rows(HELD[table]) == [("cms", 2, 7200)]
    take_over(receiver, portal.run(table_name=table, **options))
    assert receiver.rows(HELD[table]) == [("cms", 2, 7200)]


def test_sums_that_are_written_alike_keep_what_is_left_of_them(portal: Portal, receiver: Centre) -> None:
    """D8, D9: jobs of any benchmark level are in the same normalised sum, which isn't gone."""
    late = {"StartTime": job().StartTime + 100, "EndTime": job().EndTime + 100}
    portal.centre.load(message([job(), job(LocalJobId="2", ServiceLevel=20.0, **late)]))
    portal.centre.summarise()
    table = {"table_name": "VNormalisedSuperSummaries"}
    take_over(receiver, portal.run(**table))
    portal.centre.load(
        message([job(ServiceLevel=20.0, **late), job(LocalJobId="2", ServiceLevel=20.0, **late)])
    )
    portal.centre.execute("DELETE FROM JobRecords WHERE ServiceLevel = 10")
    portal.centre.summarise()
    sent = portal.run(**table)
    assert [(one.NumberOfJobs, one.EarliestEndTime) for one in records(sent)] == [(2, late["EndTime"])]
    take_over(receiver, sent)
    assert receiver.rows(HELD["VNormalisedSuperSummaries"]) == [("atlas", 2, 7200)]


def test_sum_that_comes_back_counts_again(portal: Portal, receiver: Centre) -> None:
    """D8: a correction that is taken back."""
    table = {"table_name": "VSuperSummaries"}
    for vo in ("atlas", "cms", "atlas"):
        portal.centre.load(message([job(FQAN="/" + vo, VO=vo, VOGroup="/" + vo, VORole="Role=NULL")]))
        portal.centre.summarise()
        take_over(receiver, portal.run(**table))
        assert receiver.rows(HELD["VSuperSummaries"]) == [(vo, 1, 3600)]


def test_receiver_forgets_a_sum_of_machines_that_are_no_more(portal: Portal) -> None:
    """D8, D15: of clouds, too."""
    portal.centre.load(cloud(vm("2025-03-31", 10)))
    Summariser(portal.centre.db, sums=CLOUD).run()
    table = {"table_name": "VCloudSummaries"}
    (before,) = records(portal.run(**table))
    portal.centre.execute("DELETE FROM CloudRecords")
    summariser = Summariser(portal.centre.db, sums=CLOUD)
    summariser.mark(summariser.all_months())
    summariser.run()
    assert portal.centre.count("VCloudSummaries") == 0
    (after,) = records(portal.run(**table))
    assert after == before.replace(
        NumberOfVMs=0, WallDuration=0, CpuDuration=0, NetworkInbound=0, NetworkOutbound=0, Memory=0, Disk=0
    )


def test_vanished_sums_go_when_they_are_old_and_all_receivers_know(portal: Portal, monkeypatch: Any) -> None:
    """One that was not unloaded since keeps them."""
    table = {"table_name": "VSuperSummaries"}
    portal.centre.load(message([job()]))
    portal.centre.summarise()
    portal.centre.load(message([job(FQAN="/cms", VO="cms")]))
    portal.centre.summarise()
    portal.run(receiver="one", **table)
    portal.run(receiver="two", **table)
    portal.age("HybridSuperSummaries")
    grown_old = epoch_from_text(EARLIER) + EMPTY_SECONDS

    def left(now: int, watermark_of_two: str) -> Tuple[int, int]:
        monkeypatch.setattr("apel.times.now", lambda: now)
        portal.centre.execute(
            "UPDATE LastUpdated SET UpdateTime = %s WHERE Type = 'sent two'", [watermark_of_two]
        )
        Summariser(portal.centre.db).forget_empty()
        return portal.centre.count("HybridSuperSummaries"), portal.centre.count("VSuperSummaries")

    assert left(grown_old, "2026-07-01 00:00:00") == (2, 1)
    assert left(grown_old + 1, EARLIER) == (2, 1)
    assert left(grown_old + 1, "2026-05-01 00:00:01") == (1, 1)


def test_sums_of_benchmarks_that_differ_in_case_are_one_in_messages(portal: Portal, receiver: Centre) -> None:
    """D9: for the receiver they have one key, so it kept the last of them and lost the others' jobs."""
    kinds = (("HEPSPEC", 10.0), ("hepspec", 20.0), ("HEPscore23", 10.0))
    portal.centre.load(
        message(
            [job(LocalJobId=kind, ServiceLevelType=kind, ServiceLevel=level) for kind, level in kinds],
        )
    )
    portal.centre.summarise()
    table = {"table_name": "VNormalisedSuperSummaries", "dict_benchmark_type": "true"}
    sent = portal.run(**table)
    found = {one.ServiceLevelType.lower(): one.NumberOfJobs for one in records(sent)}
    assert found == {"hepspec": 2, "hepscore23": 1}
    take_over(receiver, sent)
    assert receiver.rows("SELECT SUM(NumberOfJobs) FROM VNormalisedSuperSummaries") == [(3,)]


@pytest.mark.parametrize("table", ["VSuperSummaries", "VSummaries"])
@pytest.mark.parametrize("description", ["true", "false"])
def test_sums_without_a_type_are_one_with_those_of_the_type_that_is_written(
    portal: Portal, receiver: Centre, table: str, description: str
) -> None:
    """D9: v0.4 can't say that there is none."""
    both = [summary(ServiceLevelType=kind, ServiceLevel=10.0) for kind in (None, "HEPSPEC")]
    portal.centre.load(message(both, "summary v0.2"))
    portal.centre.summarise()
    options = {"dict_benchmark_type": "true", "include_infrastructure_description": description}
    sent = portal.run(table_name=table, **options)
    assert [one.NumberOfJobs for one in records(sent)] == [14]
    take_over(receiver, sent)
    assert receiver.rows("SELECT SUM(NumberOfJobs) FROM VSuperSummaries") == [(14,)]
