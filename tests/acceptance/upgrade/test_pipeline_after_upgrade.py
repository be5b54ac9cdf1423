"""The whole pipeline on upgraded databases: what the logs hold is what the centre reports, once."""

import glob
import os
import re
import shutil
from typing import Any, Dict, List

import pytest
from incumbent import as_it_would_have_been

from apel.commands.quickstart import TOTALS, centre_totals
from apel.demo import LogFiles, embedded_deployment
from apel.samples import CES, SampleOptions, write_samples

BENCHMARKS = dict.fromkeys(CES, "HEPSPEC,10.0")
JOBS = 600
DAYS = 30
pytestmark = pytest.mark.server


class Logs:
    """Sample logs that arrive in two parts; the last file of the first part goes on in the second."""

    def __init__(self, folder: str) -> None:
        self.all = os.path.join(folder, "all")
        self.there = os.path.join(folder, "there")
        self.truth = write_samples(self.all, SampleOptions(jobs=JOBS, days=DAYS))

    def arrive(self, share: float) -> None:
        """Let the first part of each kind of log be there."""
        for kind in ("batch", "blah"):
            os.makedirs(os.path.join(self.there, kind), exist_ok=True)
            files = sorted(glob.glob(os.path.join(self.all, kind, "*")))
            part = files[: int(len(files) * share)]
            for path in part:
                shutil.copy2(path, os.path.join(self.there, kind))
            if part and share < 1:
                half = os.path.join(self.there, kind, os.path.basename(part[-1]))
                with open(half, "rb") as stream:
                    lines = stream.readlines()
                with open(half, "wb") as stream:
                    stream.writelines(lines[: len(lines) // 2])


def run_everything(deployment: Any) -> int:
    """All programs once; how many job (or sum) records the client sent."""
    for name in ("apelparser", "apelclient", "ssmsend"):
        deployment.run(name)
    deployment.run("ssmreceive", "--once")
    deployment.run("apeldbloader", "--once")
    deployment.run("apelsummariser")
    with open(deployment.path("site/log/client.log"), encoding="utf-8") as stream:
        sent = re.findall(r"Unloaded (\d+) records \(((?:summary|job)[^)]*)\)", stream.read())
    return int(sent[-1][0])


def move(deployment: Any, side: str, schema: str, mariadb: Any) -> Any:
    """Put an incumbent's database, filled alike, in the place of the deployment's, and upgrade it."""
    opened = deployment.site_database() if side == "site" else deployment.central_database()
    with opened as db:
        old = as_it_would_have_been(mariadb, schema, db)
    options = mariadb.options_for(old.database)
    setattr(deployment, "site_db" if side == "site" else "centre_db", options)
    deployment._write("%s/upgrade.cfg" % side, {"db": options})
    words = ("upgrade", "--schema", schema, "-c", deployment.path("%s/upgrade.cfg" % side))
    deployment.run("apeldb", *words)
    return old


def totals(deployment: Any) -> Dict[str, Dict[str, int]]:
    with deployment.central_database() as db:
        return centre_totals(db.run(lambda tx: tx.rows(TOTALS)))


@pytest.mark.parametrize("summaries", ["false", "true"])
def test_the_pipeline_goes_on_where_the_old_one_stopped(tmp_path: Any, mariadb: Any, summaries: str) -> None:
    """Half of the logs by the old software, then an upgrade, then the rest: nothing twice, nothing lost."""
    deployment, logs = embedded_deployment(str(tmp_path)), Logs(str(tmp_path))
    files = LogFiles("slurm", os.path.join(logs.there, "batch"), os.path.join(logs.there, "blah"))
    unloader = {"send_summaries": summaries}
    deployment.write_centre()
    deployment.write_site(files, BENCHMARKS, unloader=unloader)
    logs.arrive(0.6)
    before = run_everything(deployment)
    moved: List[Any] = [
        move(deployment, *side, mariadb) for side in (("site", "client"), ("centre", "server"))
    ]
    deployment.write_centre()
    deployment.write_site(files, BENCHMARKS, unloader=unloader)

    # Nothing new: no job is read again, joined again or sent again.
    nothing = run_everything(deployment)
    assert nothing == 0 or summaries == "true"
    jobs = moved[0].rows("SELECT COUNT(*) FROM JobRecords")

    logs.arrive(1)
    after = run_everything(deployment)
    assert totals(deployment) == logs.truth
    assert moved[0].rows("SELECT COUNT(*) FROM EventRecords") == [(JOBS,)]
    if summaries == "false":
        assert before == jobs[0][0]
        assert before + after == JOBS
    assert moved[1].rows("SELECT SUM(NumberOfJobs) FROM SyncRecords") == [(JOBS,)]
    for old in moved:
        old.close()
