"""D8: a month that can't be summed holds up no other month."""

from typing import Any, Dict

import pytest
from centre import Centre, Installation, job, jobs, message
from portal import Portal, records

from apel.server.summarise import Summariser

UNSUMMABLE: Dict[str, Dict[str, Any]] = {
    "wall time": {"WallDuration": 2**63 - 1, "ServiceLevel": 9999999.0},
    "CPU time": {"CpuDuration": 2**63 - 1, "ServiceLevel": 9999999.0},
}
SUMS = "SELECT name, NumberOfJobs FROM HybridSuperSummaries JOIN Sites ON Sites.id = SiteID ORDER BY name"


@pytest.mark.parametrize("changes", UNSUMMABLE.values(), ids=list(UNSUMMABLE))
def test_month_that_cannot_be_summed_holds_up_no_other(
    installation: Installation, changes: Dict[str, Any], capsys: Any
) -> None:
    """D8: one absurd record (a batch system's "no value") of one site must not stop the sums of all sites."""
    centre = installation.centre
    centre.load(message([job(Site="ABSURD", **changes)]), message(jobs(3, Site="GOOD")))
    assert installation.summarise() == 1
    assert "ABSURD 2025-03" in capsys.readouterr().err
    assert "ABSURD 2025-03 can't be summed, its old sums stay: Out of range" in installation.log()
    assert centre.rows(SUMS) == [("GOOD", 3)]
    # Put right, the month is made again: its marks have stayed.
    centre.load(message([job(Site="ABSURD")]))
    assert installation.summarise() == 0
    assert centre.rows(SUMS) == [("ABSURD", 1), ("GOOD", 3)]


def test_sum_beyond_64_bits_holds_up_no_other_month(centre: Centre) -> None:
    """D8: each number can be kept, but not their sum; on every back end."""
    centre.load(message(jobs(3, Site="ABSURD", WallDuration=2**63 - 1)), message(jobs(3, Site="GOOD")))
    assert centre.rejected() == []
    summariser = Summariser(centre.db)
    assert summariser.run() == 1
    (absurd,) = summariser.refused
    assert summariser.site_names()[absurd.site_id] == "ABSURD"
    assert centre.rows(SUMS) == [("GOOD", 3)]


def test_sum_beyond_64_bits_keeps_no_other_from_being_unloaded(portal: Portal) -> None:
    """D8: MariaDB refuses to make it, SQLite makes it, and it is no number that a message can hold."""
    portal.centre.load(message([job(Site="ABSURD", WallDuration=2**63 - 1, ServiceLevel=9999999.0), job()]))
    portal.centre.summarise()
    portal.fails(table_name="VNormalisedSuperSummaries")
    assert [(one.Site, one.NumberOfJobs) for one in records(portal.sent())] == [("EXAMPLE-NORTH", 1)]
