"""The site client on MariaDB: join of 20 000 and of 200 000 jobs, monthly sums, and unloading them."""

import pathlib
import sys
import time
from typing import Any, Callable, Iterator, List

from apel.client.benchmarks import Benchmark, History
from apel.client.join import Joiner
from apel.client.join_sql import JOB_COLUMNS
from apel.client.summarise import summarise_site
from apel.db.store import store
from apel.db.tables import BLAHD, EVENTS
from apel.records import BlahdRecord, EventRecord, Record
from apel.times import DAY
from apel.unloader import Unloader
from apel.views import Selection
from bench.common import Rate, report

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))

from gridsite import new_site

from servers.mariadb import MariaDB

SITE, MACHINE = "TEST-SITE", "batch.grid.example.org"
CES = ["ce0%d.grid.example.org:9619/ce0%d-batch" % (number, number) for number in range(4)]
SMALL, LARGE = 20000, 200000
END = 1790000000
WAITING_SHARE = 10
NO_TOKEN = (None, None, None)


class Forgets:
    """A spool that keeps nothing."""

    size = 0

    def add(self, text: str) -> None:
        """Take a message."""
        self.size += len(text)


def events(count: int) -> Iterator[Record]:
    """Jobs of a month."""
    for number in range(count):
        end = END + number * 28 * DAY // count
        values = (
            SITE,
            str(1000000 + number),
            "atlas%03d" % (number % 300),
            "atlas",
            3600,
            3000,
            end - 3600,
            end,
        )
        more = ("APEL-CREAM-SLURM", MACHINE, "grid", 4000000, 8000000, 1 + number % 8, 1, None, None)
        yield EventRecord.make(values + more + NO_TOKEN)


def grid_records(count: int) -> Iterator[Record]:
    """Grid records of nine in ten of them."""
    for number in range(count):
        if number % WAITING_SHARE:
            time_stamp = END + number * 28 * DAY // count - 3660
            user = "/DC=org/DC=example/OU=People/CN=user number %04d" % (number % 300)
            who = (time_stamp, user, "/atlas/Role=production/Capability=NULL", "atlas", "/atlas")
            what = ("Role=production", CES[number % 4], "CREAM%09d" % number, str(1000000 + number), SITE)
            until = (time_stamp - DAY, time_stamp + 28 * DAY, 0, MACHINE)
            yield BlahdRecord.make(who + what + until + NO_TOKEN)


def fill(site: Any, count: int) -> None:
    """Store the records and benchmarks."""
    for table, records in ((EVENTS, events(count)), (BLAHD, grid_records(count))):
        everything = list(records)
        for start in range(0, len(everything), 10000):
            store(site.db, table, everything[start : start + 10000], "error")
    History(site.db, SITE).set_manual([Benchmark(ce, "HEPscore23", 12.5) for ce in CES], END)


def timed(work: Callable[[], Any], count: int) -> Rate:
    """One run."""
    start = time.perf_counter()
    work()
    return Rate(count, time.perf_counter() - start)


def bare_insert(site: Any, count: int) -> Rate:
    """The limit of a join: the server alone copies the job records into a table of the same shape."""
    columns = ", ".join(JOB_COLUMNS)
    site.execute("CREATE TABLE Copied LIKE JobRecords")
    rate = timed(
        lambda: site.execute("INSERT INTO Copied (%s) SELECT %s FROM JobRecords" % (columns, columns)), count
    )
    site.execute("DROP TABLE Copied")
    return rate


def bare_read(site: Any, count: int) -> Rate:
    """The limit of unloading: the server alone makes the view's rows, and sends one number."""
    lengths = "LENGTH(Site) + LENGTH(SubmitHost) + LENGTH(GlobalUserName) + LENGTH(VO) + LENGTH(Queue)"
    return timed(lambda: site.rows("SELECT SUM(%s + WallDuration) FROM VJobRecords" % lengths), count)


def join(server: MariaDB, count: int) -> Any:
    """Fill a database, join it, and say how fast that was; the site."""
    site = new_site(settings(server))
    fill(site, count)
    joined: List[Any] = []
    rate = timed(lambda: joined.append(Joiner(site.db, False).run()), count)
    grid = count - count // WAITING_SHARE
    assert (joined[0].grid, joined[0].without_grid_record) == (grid, count - grid), joined
    name = "join %d jobs in %.2f s" % (count, rate.seconds)
    report(name, rate, "copy by the server", bare_insert(site, grid), 20000)
    again = timed(lambda: Joiner(site.db, False).run(), count)
    print("%-28s %12.3f s" % ("join, nothing new", again.seconds))
    return site


def settings(server: MariaDB) -> Any:
    """Options of [db] for a new database."""
    host = ["%s:%d" % (server.host, server.port)]
    account = {"username": server.user, "password": server.password}
    return dict(account, backend="mysql", hostname=host, name=server.new_database("bench"))


def main() -> None:
    """Run all."""
    server = MariaDB(options=["--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M"])
    server.start()
    try:
        join(server, SMALL).db.close()
        site = join(server, LARGE)
        grid = LARGE - LARGE // WAITING_SHARE
        rate = timed(lambda: summarise_site(site.db), grid)
        scan = timed(lambda: site.rows("SELECT SUM(WallDuration), SUM(CpuDuration) FROM JobRecords"), grid)
        report("summarise", rate, "plain sum by the server", scan)
        nothing = timed(lambda: summarise_site(site.db), grid)
        print("%-28s %12.3f s" % ("summarise, nothing new", nothing.seconds))
        unload(site, grid)
    finally:
        server.close()


def unload(site: Any, count: int) -> None:
    """Unload everything in both versions."""
    limit = bare_read(site, count)
    for name, dict_benchmark in (("unload v0.3", False), ("unload v0.4", True)):
        selection = Selection(interval="all", dict_benchmark_type=dict_benchmark)
        time.sleep(1.1)  # the unloader would wait for the second of the join to end
        rate = timed(
            lambda chosen=selection: Unloader(site.db, Forgets(), chosen).unload("VJobRecords"), count
        )
        report(name, rate, "view read by the server", limit, 80000)


if __name__ == "__main__":
    main()
