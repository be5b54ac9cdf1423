"""Storage from a site to a centre: apelstar, a signed message, loader and summariser, as processes."""

import configparser
import pathlib
import sqlite3
import subprocess
import sys
from typing import Any

from apel.demo import LogFiles, embedded_deployment
from apel.times import now, utc_text

ROOT = pathlib.Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "storage"


def test_buckets_of_a_site_become_a_day_at_the_centre(tmp_path: Any) -> None:
    deployment = embedded_deployment(str(tmp_path))
    deployment.centre_db["type"] = "storage"
    deployment.write_site(LogFiles("SLURM", "", None), {})
    deployment.write_centre()
    config = configparser.ConfigParser()
    config["star"] = {
        "site_name": "EXAMPLE-SITE",
        "storage_system": "s3.example.org",
        "dir_location": deployment.path("site/spool"),
        # One period, at whatever hour this runs: the second run replaces the first.
        "valid_hours": "8760",
    }
    config["logging"] = {"logfile": deployment.path("site/log/star.log"), "console": "false"}
    with open(deployment.path("site/star.cfg"), "w") as stream:
        config.write(stream)
    dates = {utc_text(now())[:10]}
    words = [sys.executable, str(ROOT / "bin" / "apelstar"), "buckets", "-c", stream.name]
    for _ in range(2):
        subprocess.run([*words, "--from", str(DATA / "bucket-stats.json")], check=True)
        deployment.run("ssmsend")
        deployment.run("ssmreceive", "--once")
        deployment.run("apeldbloader", "--once")
        deployment.run("apelsummariser")
    with sqlite3.connect(deployment.centre_db["name"]) as db:
        query = "SELECT %s, StorageShare, ResourceCapacityUsed, FileCount FROM %s ORDER BY 2"
        dates.add(utc_text(now())[:10])  # midnight may have passed meanwhile
        days = db.execute(query % ("SUBSTR(StartTime, 1, 10)", "DaySummaries")).fetchall()
        assert {row[1:] for row in days if row[0] in dates} == {
            ("atlas-data", 1335296, 104),
            ("biology/empty", 0, 0),
        }
        months = db.execute(query % ("Year", "MonthSummaries")).fetchall()
        assert any((int(day[:4]), "atlas-data", 1335296, 104) in months for day in dates)
    db.close()
