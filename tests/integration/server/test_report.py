"""Central totals: grouped, filtered, and as table, JSON and CSV."""

import csv
import io
import json

import pytest
from centre import MARCH, Centre, job, message, summary

from apel.server import report
from apel.server.report import Filter, Usage


@pytest.fixture
def summed(centre: Centre) -> Centre:
    """Two VOs at one site, one at another; a job without cores."""
    centre.load(
        message(
            [
                job(LocalJobId="1"),
                job(LocalJobId="2", Processors=1, CpuDuration=3600),
                job(LocalJobId="3", FQAN=None, VO="ops", Processors=None, CpuDuration=0),
            ]
        ),
        message([summary()], "summary v0.2"),
    )
    centre.summarise()
    return centre


def test_totals_are_exact(summed: Centre) -> None:
    assert report.rows(summed.db) == [
        (("2025-03", "EXAMPLE-NORTH", "atlas"), Usage(2, 7200, 10800, 10600, 72000, 106000)),
        (("2025-03", "EXAMPLE-NORTH", "ops"), Usage(1, 3600, 3600, 0, 36000, 0)),
        (("2025-03", "EXAMPLE-SOUTH", "cms"), Usage(7, 1000, 4000, 3500, 10000, 35000)),
    ]


@pytest.mark.parametrize(
    "only, jobs",
    [
        (Filter(), 10),
        (Filter(month=MARCH), 10),
        (Filter(month=(2025, 4)), 0),
        (Filter(site="EXAMPLE-NORTH"), 3),
        (Filter(vo="atlas"), 2),
        (Filter(site="EXAMPLE-SOUTH", vo="atlas"), 0),
    ],
)
def test_totals_are_filtered(summed: Centre, only: Filter, jobs: int) -> None:
    for by in (["month", "vo"], ["site"], ["user", "role"]):
        assert report.total(report.rows(summed.db, by, only)).jobs == jobs


@pytest.mark.parametrize("group", list(report.GROUPS))
def test_totals_can_be_grouped_by_each(summed: Centre, group: str) -> None:
    found = report.rows(summed.db, [group])
    assert sum(row.usage.jobs for row in found) == 10
    assert all(len(row.names) == 1 for row in found)


def test_the_table_is_aligned_has_a_total_and_explains_itself(summed: Centre) -> None:
    table = report.as_table(report.rows(summed.db))
    lines = table.splitlines()
    words = [" ".join(line.split()) for line in lines]
    assert words[0] == "Month Site VO Jobs Wall h Core h CPU h HS06 CPU h Efficiency"
    assert words[2] == "2025-03 EXAMPLE-NORTH atlas 2 2.0 3.0 2.9 29.4 98.1 %"
    assert words[-5] == "Total 10 3.3 5.1 3.9 39.2 76.6 %"
    assert len({len(line) for line in lines[:7]}) == 1
    assert "HS06" in lines[-2] and "Efficiency: CPU h / Core h." in table


def test_a_group_without_core_time_has_no_efficiency() -> None:
    assert Usage(jobs=1).efficiency is None
    assert report.as_table([report.Row(("x",), Usage(jobs=1))], ["vo"]).splitlines()[2].endswith("-")


def test_an_empty_database_makes_an_empty_report(centre: Centre) -> None:
    assert report.as_table(report.rows(centre.db)).splitlines()[-5].split()[:2] == ["Total", "0"]
    assert json.loads(report.as_json(report.rows(centre.db)))["total"]["jobs"] == 0


def test_json_and_csv_hold_exact_seconds(summed: Centre) -> None:
    found = report.rows(summed.db, ["vo"])
    document = json.loads(report.as_json(found, ["vo"]))
    assert document["rows"][0] == {
        "vo": "atlas",
        "jobs": 2,
        "wall_seconds": 7200,
        "core_seconds": 10800,
        "cpu_seconds": 10600,
        "normalised_wall_seconds": 72000,
        "normalised_cpu_seconds": 106000,
        "efficiency": 0.9815,
    }
    (first, *_) = list(csv.DictReader(io.StringIO(report.as_csv(found, ["vo"]))))
    assert first["vo"] == "atlas" and first["cpu_seconds"] == "10600"
