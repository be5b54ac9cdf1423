"""HEPscore23 counts as HEPSPEC does, si2k as 1/250 of it, wherever the centre sums or shows benchmarks."""

import pytest
from central_records import normalised
from centre import Centre, job, message, summary

from apel.pubsync.figures import read_figures
from apel.server import report

LEVELS = (("si2k", 2500.0), ("HEPSPEC", 9.0), ("HEPscore23", 11.25))
FIRST = {"ServiceLevelType": "HEPscore23", "ServiceLevel": 11.25}


@pytest.fixture
def full(centre: Centre) -> Centre:
    """A job, a summary and a normalised summary with several benchmarks each, and a job of each alone."""
    durations = (("si2k", 1, 2), ("HEPSPEC", 900, 7200), ("HEPscore23", 1125, 9000))
    centre.load(
        message([job(VO="jobs", FQAN=None, Benchmarks=LEVELS, **FIRST)], "job v0.4"),
        message([summary(Benchmarks=LEVELS, **FIRST)], "summary v0.4"),
        message([normalised(Benchmarks=durations)], "normalised summary v0.4"),
        *(
            message(
                [job(VO=name, FQAN=None, LocalJobId=name, ServiceLevelType=name, ServiceLevel=level)],
                "job v0.4",
            )
            for name, level in LEVELS
        ),
    )
    assert centre.rejected() == []
    centre.summarise()
    return centre


def test_sums_normalise_by_the_preferred(full: Centre) -> None:
    query = (
        "SELECT VO, LOWER(ServiceLevelType), NormalisedWallDuration FROM VNormalisedSuperSummaries"
        " WHERE Site <> 'EXAMPLE-AUDITOR' ORDER BY VO"
    )
    found = {vo: (kind, int(wall)) for vo, kind, wall in full.rows(query)}
    assert found == {
        "jobs": ("hepscore23", 40500),
        "cms": ("hepscore23", 11250),
        "HEPscore23": ("hepscore23", 40500),
        "HEPSPEC": ("hepspec", 32400),
        "si2k": ("si2k", 36000),
    }


def test_normalised_summaries_come_by_the_preferred(full: Centre) -> None:
    query = "SELECT ServiceLevelType, NormalisedWallDuration, NormalisedCpuDuration FROM %s"
    where = " WHERE Site = 'EXAMPLE-AUDITOR'"
    for view in ("VNormalisedSummaries", "VNormalisedSuperSummaries"):
        ((kind, wall, cpu),) = full.rows(query % view + where)
        assert (kind, int(wall), int(cpu)) == ("HEPscore23", 1125, 9000)


def test_views_of_benchmarks_convert(full: Centre) -> None:
    """One HEPscore23 is one HEPSPEC, which is 250 SpecInt2000."""
    levels = full.rows(
        "SELECT DISTINCT HepSpec06 FROM VHepSpecHistory WHERE Site = 'EXAMPLE-NORTH' ORDER BY 1"
    )
    assert [float(level) for (level,) in levels] == [9.0, 10.0, 11.25]
    query = (
        "SELECT DISTINCT SpecInt2000 FROM VSpecIntHistory WHERE ExecutingSite = 'EXAMPLE-NORTH' ORDER BY 1"
    )
    assert [int(level) for (level,) in full.rows(query)] == [2250, 2500, 2813]


def test_reports_and_pubsync_use_these_sums(full: Centre) -> None:
    north = report.Filter(site="EXAMPLE-NORTH")
    rows = {row.names[0]: row.usage.normalised_cpu_seconds for row in report.rows(full.db, ["vo"], north)}
    assert rows == {"jobs": 78750, "HEPscore23": 78750, "HEPSPEC": 63000, "si2k": 70000}
    published = read_figures(full.db, "2099-01-01 00:00:00")["EXAMPLE-NORTH"].published
    normalised_seconds = [
        one.normalised_cpu_seconds for hosts in published.values() for one in hosts.values()
    ]
    assert sum(normalised_seconds) == sum(rows.values())
