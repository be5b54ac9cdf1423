"""Benchmarks with more decimals than the database keeps, which are part of a sum's identity."""

from typing import Any, List

import pytest
from central_records import cloud, normalised, vm
from centre import END, Centre, job, message, summary

from apel.db.schema import initialise

LEVELS = (10.12345, 2.0005, 2.0015, 0.0004, 1 / 3, 1234567.00049)


def bodies(level: float) -> List[str]:
    return [
        message([job(LocalJobId=str(level), ServiceLevel=level)], "job v0.4"),
        message([summary(ServiceLevel=level)], "summary v0.4"),
        message([normalised(NormalisedWallDuration=1)], "normalised summary v0.4"),
        cloud(vm("2025-03-31", 10, CpuCount=level, Benchmark=level)),
    ]


@pytest.fixture
def whole(centre: Centre) -> Centre:
    initialise(centre.db.backend, "cloud")
    return centre


def picture(centre: Centre) -> List[Any]:
    queries = (
        "SELECT LocalJobId, ServiceLevel FROM JobRecords ORDER BY 1",
        "SELECT ServiceLevel, NumberOfJobs FROM Summaries ORDER BY 1",
        "SELECT NumberOfJobs FROM NormalisedSummaries",
        "SELECT ServiceLevel, NumberOfJobs FROM HybridSuperSummaries ORDER BY 1, 2",
        "SELECT CpuCount, Benchmark FROM CloudRecords",
        "SELECT BenchmarkType, Benchmark FROM SummaryBenchmarks ORDER BY 1, 2",
    )
    return [centre.rows(query) for query in queries]


@pytest.mark.parametrize("several", [False, True])
def test_same_sums_again_with_many_decimals(whole: Centre, several: bool) -> None:
    """D6: they replace themselves, whether the database or we cut the decimals off."""
    texts = [text for level in LEVELS for text in bodies(level)]
    if several:
        levels = "{HEPscore23: 10.12345, HEPSPEC: 11.98765}"
        texts = [text.replace("{HEPscore23: 10.12345}", levels) for text in texts]
    whole.load(*texts)
    assert whole.rejected() == []
    whole.summarise()
    before = picture(whole)
    assert len(before[1]) == len(LEVELS) and all(row[0] == round(row[0], 3) for row in before[1])
    whole.load(*texts)
    whole.summarise()
    assert picture(whole) == before


def test_sums_whose_benchmarks_differ_in_what_is_cut_off_are_added_up(whole: Centre) -> None:
    """D9: the database would keep one of them, and lose the jobs of the others; again, it is the same."""
    sums = [
        summary(ServiceLevel=10.0001, NumberOfJobs=1, WallDuration=100, LatestEndTime=END + 300000),
        summary(ServiceLevel=10.0004, NumberOfJobs=2, WallDuration=200, EarliestEndTime=None),
        summary(ServiceLevel=10.0004, NumberOfJobs=3, WallDuration=300, EarliestEndTime=None),
        summary(ServiceLevel=10.0004, NumberOfJobs=5, VO="other"),
        summary(ServiceLevel=10.001, NumberOfJobs=7),
    ]
    for _ in range(2):
        whole.load(message(sums, "summary v0.4"))
        assert whole.rejected() == []
        rows = "SELECT VO, ServiceLevel, NumberOfJobs, WallDuration, LatestEndTime FROM VSummaries"
        assert whole.rows(rows + " ORDER BY VO, ServiceLevel") == [
            ("cms", 10.0, 4, 400, "2025-03-04 11:20:00"),
            ("cms", 10.001, 7, 1000, "2025-03-03 07:33:20"),
            ("other", 10.0, 5, 1000, "2025-03-03 07:33:20"),
        ]
