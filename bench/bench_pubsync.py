"""Pub/Sync of 300 sites and ten years: its figures beside one pass over the same sums, and its pages."""

import os
import pathlib
import shutil
import sys
import time
from typing import Any, Callable

from apel.db import Database, open_database
from apel.pubsync.documents import Build
from apel.pubsync.figures import read_figures
from apel.pubsync.model import Thresholds, judge
from apel.pubsync.publish import Publisher
from apel.times import utc_text
from bench.common import Rate, report

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))

from pubcentre import NOW, Content, sound_site

from servers.databases import initialise, mariadb_settings, sqlite_settings
from servers.mariadb import MariaDB
from servers.process import private_folder

SITES, MONTHS, HOSTS, PARTS = 300, 120, 3, 10
ROWS = SITES * MONTHS * HOSTS * PARTS
#: What any answer must do: look at every row once.
ONE_PASS = (
    "SELECT SUM(NumberOfJobs), SUM(NormalisedCpuDuration), MAX(LatestEndTime) FROM HybridSuperSummaries"
)


def fill(db: Database) -> None:
    """A million rows of sums, and a sync record for every host and month."""
    for number in range(SITES):
        content = Content()
        sound_site(content, "SITE-%03d" % number, range(MONTHS), HOSTS, PARTS)
        content.store(db)


def timed(work: Callable[[], Any]) -> Any:
    """(seconds, result)."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def measure(name: str, db: Database, folder: str) -> None:
    fill(db)
    limit = min(timed(lambda: db.run(lambda tx: tx.rows(ONE_PASS)))[0] for _ in range(3))
    reading, figures = min(
        (timed(lambda: read_figures(db, utc_text(NOW))) for _ in range(3)), key=lambda one: one[0]
    )
    report("%s: figures of rows" % name, Rate(ROWS, reading), "one pass", Rate(ROWS, limit))
    judging, sites = timed(lambda: judge(figures, NOW, Thresholds()))
    builds = []
    for hours in (0, 1):  # an hour later all pages but those of months have another time on them
        publisher = Publisher(folder, Build(NOW + hours * 3600, Thresholds()), 36)
        builds.append(timed(lambda publisher=publisher: publisher.publish(sites)))
    print(
        "%s: read %.1f s, judged %.1f s, built %.1f s (%d files), built again %.1f s (%d files)"
        % (name, reading, judging, builds[0][0], builds[0][1].written, builds[1][0], builds[1][1].written),
        flush=True,
    )


def main() -> None:
    """Run on both back ends."""
    folder = private_folder("bench-pubsync")
    server = MariaDB()
    try:
        with open_database(sqlite_settings(os.path.join(folder, "db")), "server") as db:
            measure("SQLite", db, os.path.join(folder, "sqlite"))
        server.start()
        settings = mariadb_settings(server, server.new_database("server"))
        with open_database(settings, "server") as db:
            initialise(db.backend, "server")
            measure("MariaDB", db, os.path.join(folder, "mariadb"))
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
