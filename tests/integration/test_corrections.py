"""What a site corrects is corrected at the centre, though messages only ever replace row by row."""

import os

import pytest

from apel.commands.quickstart import TOTALS, centre_totals
from apel.demo import LogFiles, embedded_deployment
from apel.samples import CES, SampleOptions, write_samples

BENCHMARKS = dict.fromkeys(CES, "HEPSPEC,10.0")
BY_BENCHMARK = (
    "SELECT ServiceLevel, SUM(NumberOfJobs), SUM(NormalisedCpuDuration), SUM(CpuDuration)"
    " FROM HybridSuperSummaries WHERE NumberOfJobs > 0 GROUP BY ServiceLevel"
)
SYNC = "SELECT SubmitHost, SUM(NumberOfJobs) FROM VSyncRecords GROUP BY SubmitHost"


@pytest.fixture
def deployment(tmp_path):
    made = embedded_deployment(str(tmp_path))
    made.write_centre()
    return made


def configure(deployment, blah, benchmarks=BENCHMARKS, **client):
    unloader = dict(client, interval="all")
    logs = LogFiles("slurm", deployment.path("logs/batch"), blah)
    deployment.write_site(logs, benchmarks, unloader=unloader, joiner={"local_jobs": "true"})


def run_everything(deployment, *client_options):
    deployment.run("apelparser")
    deployment.run("apelclient", *client_options)
    deployment.run("ssmsend")
    deployment.run("ssmreceive", "--once")
    deployment.run("apeldbloader", "--once")
    deployment.run("apelsummariser")


def central(deployment, sql):
    with deployment.central_database() as db:
        return db.run(lambda tx: tx.rows(sql))


def test_corrected_benchmark_leaves_no_old_summaries_at_the_centre(deployment):
    """C8, D8: a site that sends sums corrects its benchmark: the centre's old sums must not stay beside."""
    truth = write_samples(deployment.path("logs"), SampleOptions(jobs=60, days=20, grid=1.0))
    configure(deployment, deployment.path("logs/blah"), send_summaries="true")
    run_everything(deployment)
    assert [row[:2] for row in central(deployment, BY_BENCHMARK)] == [(10.0, 60)]
    with deployment.site_database() as db:
        db.run(lambda tx: tx.execute("UPDATE SpecRecords SET ServiceLevel = 20"))
    configure(
        deployment, deployment.path("logs/blah"), dict.fromkeys(CES, "HEPSPEC,20.0"), send_summaries="true"
    )
    for month in sorted({key.split()[0] for key in truth}):
        deployment.run("apelclient", "--rejoin", month)
    run_everything(deployment)
    ((level, jobs, normalised, cpu),) = central(deployment, BY_BENCHMARK)
    assert (level, jobs, normalised) == (20.0, 60, 20 * cpu)
    assert centre_totals(central(deployment, TOTALS)) == truth


def test_job_first_reported_local_then_grid_is_counted_once_at_the_centre(deployment):
    """C7: once in sums and once in sync, also at the centre, which was told of the local jobs before."""
    write_samples(deployment.path("logs"), SampleOptions(jobs=60, days=20, grid=1.0))
    os.rename(deployment.path("logs/blah"), deployment.path("late"))
    os.mkdir(deployment.path("logs/blah"))
    benchmarks = dict(BENCHMARKS, **{deployment.machine_name: "HEPSPEC,10.0"})
    configure(deployment, deployment.path("logs/blah"), benchmarks, send_summaries="true")
    run_everything(deployment)
    assert central(deployment, SYNC) == [("None", 60)]
    os.rmdir(deployment.path("logs/blah"))
    os.rename(deployment.path("late"), deployment.path("logs/blah"))
    run_everything(deployment)
    counts = dict(central(deployment, SYNC))
    assert counts.pop("None") == 0
    assert sum(counts.values()) == 60
    assert sum(total["jobs"] for total in centre_totals(central(deployment, TOTALS)).values()) == 60
