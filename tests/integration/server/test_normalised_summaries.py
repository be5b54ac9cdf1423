"""Summaries that sites have normalised, and records with several benchmarks: what the tables hold of them."""

from typing import Any, List

from central_records import normalised
from centre import Centre, job, message, summary

SEVERAL = (("HEPscore23", 11.25), ("hepspec", 10.2), ("wattage", 0.5))


def several(centre: Centre, table: str = "JobBenchmarks") -> List[Any]:
    return centre.rows("SELECT BenchmarkType, Benchmark FROM %s ORDER BY BenchmarkType" % table)


def test_they_are_summed_beside_jobs_and_summaries(centre: Centre) -> None:
    centre.load(
        message([normalised()], "normalised summary v0.4"),
        message([normalised(VO="atlas", ServiceLevelType=None)], "normalised summary v0.3"),
        message([summary(Site="EXAMPLE-AUDITOR")], "summary v0.2"),
        message([job(Site="EXAMPLE-AUDITOR")]),
    )
    assert centre.rejected() == []
    centre.summarise()
    query = (
        "SELECT VO, ServiceLevelType, NormalisedWallDuration, NormalisedCpuDuration, NumberOfJobs"
        " FROM VNormalisedSuperSummaries ORDER BY VO, NumberOfJobs"
    )
    assert [tuple(map(str, row)) for row in centre.rows(query)] == [
        ("atlas", "HEPscore23", "36000", "70000", "1"),
        ("atlas", "None", "1125", "9000", "3"),
        ("cms", "HEPscore23", "1125", "9000", "3"),
        ("cms", "si2k", "10000", "35000", "7"),
    ]


def test_infrastructure_keeps_normalised_summaries_apart(centre: Centre) -> None:
    """D9."""
    changes = [{}, {"Infrastructure": "local"}, {"InfrastructureDescription": "APEL-X"}, {"VO": "CMS"}]
    records = [normalised(**each) for each in changes]
    centre.load(message(records, "normalised summary v0.4"))
    assert centre.count("NormalisedSummaries") == 4
    centre.summarise()
    assert centre.rows("SELECT SUM(NumberOfJobs) FROM VNormalisedSuperSummaries")[0][0] == 12


def test_the_same_normalised_message_twice_gives_the_same_tables(centre: Centre) -> None:
    """D6."""
    body = message([normalised(), normalised(VO="atlas")], "normalised summary v0.4")
    for _ in range(2):
        centre.load(body)
        centre.summarise()
    assert centre.count("NormalisedSummaries") == centre.count("HybridSuperSummaries") == 2


def test_one_bad_normalised_summary_rejects_itself_alone(centre: Centre) -> None:
    """D3: and what is rejected has all its benchmarks still."""
    good = message([normalised()], "normalised summary v0.4")
    bad = "{HEPSPEC: 1, si2k: 2}"
    body = good + good.partition("\n")[2].replace("{HEPscore23: 1125}", bad)
    centre.load(body)
    (rejected,) = centre.rejected()
    assert "Mixture of benchmark types" in rejected["error"] and bad in rejected["body"]
    assert centre.count("NormalisedSummaries") == 1


def test_all_benchmarks_are_kept_beside_each_kind_of_record(centre: Centre) -> None:
    durations = (("HEPscore23", 1125, 9000), ("HEPSPEC", 1100, None))
    centre.load(
        message([job(Benchmarks=SEVERAL), job(LocalJobId="2")], "job v0.4"),
        message(
            [summary(ServiceLevelType="HEPscore23", ServiceLevel=11.25, Benchmarks=SEVERAL)], "summary v0.4"
        ),
        message([normalised(Benchmarks=durations)], "normalised summary v0.4"),
    )
    assert centre.rejected() == []
    assert several(centre) == several(centre, "SummaryBenchmarks") == list(SEVERAL)
    query = (
        "SELECT BenchmarkType, NormalisedWallDuration, NormalisedCpuDuration FROM NormalisedSummaryBenchmarks"
    )
    assert sorted(centre.rows(query)) == sorted(durations, key=lambda row: row[0])
    query = "SELECT LocalJobId, ServiceLevelType, ServiceLevel FROM JobRecords ORDER BY LocalJobId"
    assert [(one, kind, float(level)) for one, kind, level in centre.rows(query)] == [
        ("1001", "HEPscore23", 11.25),
        ("2", "HEPscore23", 10.0),
    ]


def test_benchmarks_follow_the_record_that_came_last(centre: Centre) -> None:
    """D6, D8: sent again, with others, in another order, with one only."""
    first = message([job(Benchmarks=SEVERAL), job(LocalJobId="other", Benchmarks=SEVERAL[:2])], "job v0.4")
    centre.load(first, first)
    assert centre.count("JobBenchmarks") == 5
    changed = (("HEPSCORE23", 12.0), ("si2k", 2500.0))
    centre.load(message([job(Benchmarks=changed)], "job v0.4"))
    query = "SELECT LOWER(BenchmarkType), Benchmark FROM JobBenchmarks WHERE LocalJobId = '1001' ORDER BY 1"
    assert centre.rows(query) == [("hepscore23", 12.0), ("si2k", 2500.0)]
    centre.load(message([job()]))
    assert centre.rows("SELECT LocalJobId FROM JobBenchmarks") == [("other",), ("other",)]


def test_strict_loader_keeps_benchmarks_too(centre: Centre) -> None:
    centre.load(message([job(Benchmarks=SEVERAL)], "job v0.4"), strict=True)
    assert several(centre) == list(SEVERAL)
