"""The centre with very many jobs: one loader and two, beside LOAD DATA of the same rows; sums; unloading.

APEL_BENCH_RECORDS says how many jobs (1 000 000). Each of the loaders is a process, as in service; their
messages wait in memory, and come from 20 signers in turn.
"""

import os
import pathlib
import shutil
import sys
import time
from typing import Any, Callable, List, Tuple

from apel.server.summarise import Summariser
from bench.common import ProcessorTime, Rate, report

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))

from acceptance.test_scale import UNLOAD
from centre import Installation, job, message
from scale import PER_MESSAGE, Measured, deliveries, run_python

from servers.databases import initialise
from servers.mariadb import MariaDB
from servers.process import private_folder

RECORDS = int(os.environ.get("APEL_BENCH_RECORDS", "1000000"))
MESSAGES = RECORDS // PER_MESSAGE
LOAD_AIM, TWO_AIM, LIMIT_AIM, MOST_MEBIBYTES = 20000, 1.6, 0.4, 150
NOTHING_NEW_AIM_SECONDS, ONE_MONTH_AIM_SECONDS = 0.1, 2.0
AT_ONCE = 500


def timed(work: Callable[[], Any]) -> float:
    """Seconds that one run takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def loader_configs(files: Installation) -> List[str]:
    """The configuration files of two loaders with one queue."""
    with open(files.loader_cfg, encoding="utf-8") as stream:
        text = stream.read().replace("[logging]", "[logging]\nlevel = WARN")
    pid = "pidfile = %s" % files.pidfile
    return [files.write("one.cfg", text), files.write("two.cfg", text.replace(pid, pid + "2"))]


def load(
    files: Installation, server: MariaDB, source: Any, count: int, loaders: int
) -> Tuple[Rate, float, ProcessorTime]:
    """Load messages with so many loaders, some at a time; rate, most memory of one (MiB), and cost."""
    seconds, memory, left = 0.0, 0.0, count
    spent = ProcessorTime()
    while left:
        some = min(AT_ONCE, left)
        for _ in range(some):
            delivery = next(source)
            files.centre.deliver(delivery.body, signer=delivery.signer)
        start = time.perf_counter()
        commands = [
            files.loader_command("--once", "-c", config) for config in loader_configs(files)[:loaders]
        ]
        with spent.measured(server.pid or 0):
            ended = [loader.finish() for loader in [Measured(command[2]) for command in commands]]
        seconds += time.perf_counter() - start
        if [ran.status for ran in ended] != [0] * loaders or files.centre.incoming.count():
            raise SystemExit("a loader has failed, or left something")
        memory = max([memory, *(ran.mebibytes for ran in ended)])
        left -= some
    return Rate(count * PER_MESSAGE, seconds), memory, spent


def load_data(server: MariaDB, database: str, folder: str, most: int) -> Rate:
    """Some of the same rows from a file into a copy of the table, in one statement."""
    columns = [row[0] for row in server.rows(database, "SHOW COLUMNS FROM JobRecords")]
    path = os.path.join(folder, "rows")
    connection = server.connect(database, local_infile=True, autocommit=True)
    count = 0
    with open(path, "w", encoding="utf-8") as stream:
        for row in server.rows(database, "SELECT * FROM JobRecords LIMIT %d" % most):
            stream.write("\t".join("\\N" if value is None else str(value) for value in row) + "\n")
            count += 1
    server.rows(database, "CREATE TABLE Copy LIKE JobRecords")
    statement = "LOAD DATA LOCAL INFILE '%s' INTO TABLE Copy (%s)" % (path, ", ".join(columns))
    seconds = timed(lambda: connection.cursor().execute(statement))
    connection.close()
    server.rows(database, "DROP TABLE Copy")
    os.unlink(path)
    return Rate(count, seconds)


def unload(files: Installation, folder: str) -> Tuple[Rate, float]:
    """Unload the jobs that are new; the rate, and the memory held (MiB)."""
    counted = os.path.join(folder, "unloaded")
    start = time.perf_counter()
    ran = run_python(UNLOAD, [files.db_cfg, counted])
    seconds = time.perf_counter() - start
    with open(counted, encoding="utf-8") as stream:
        return Rate(int(stream.read()), seconds), ran.mebibytes


def print_value(name: str, value: float, unit: str, aim: float, least: bool = False) -> None:
    """One line; `least`: the aim is a least value, not a most."""
    good = value >= aim if least else value <= aim
    print(
        "%-32s %10.3f %-4s aim %g %s" % (name, value, unit, aim, "reached" if good else "MISSED"), flush=True
    )


def loading(files: Installation, server: MariaDB, folder: str) -> float:
    """One loader, then two, each beside LOAD DATA; the most memory held."""
    database: str = files.db.backend.database  # type: ignore[attr-defined]
    source = deliveries(MESSAGES)
    one, memory, ones = load(files, server, source, MESSAGES // 2, 1)
    two, more, twos = load(files, server, source, MESSAGES - MESSAGES // 2, 2)
    limit = load_data(server, database, folder, min(RECORDS, 200000))
    report("load, one loader", one, "LOAD DATA of the rows", limit, LOAD_AIM)
    ones.report("  processor time", one.count)
    report("load, two loaders", two, "LOAD DATA of the rows", limit)
    twos.report("  processor time", two.count)
    print_value("two loaders to one", two.per_second / one.per_second, "x", TWO_AIM, True)
    print_value("one loader to LOAD DATA", one.per_second / limit.per_second, "x", LIMIT_AIM, True)
    return max(memory, more)


def summing(files: Installation) -> None:
    """All months, nothing new, and one month of a site."""
    summariser = Summariser(files.db)
    months: List[int] = []
    seconds = timed(lambda: months.append(summariser.run()))
    print("summarise all: %d jobs, %d site-months in %.2f s" % (RECORDS, months[0], seconds))
    best = min(timed(summariser.run) for _ in range(5))
    print_value("summarise, nothing new", best, "s", NOTHING_NEW_AIM_SECONDS)
    files.centre.load(message([job(Site="SCALE-03", LocalJobId="new")]))
    print_value("summarise, one site-month", timed(summariser.run), "s", ONE_MONTH_AIM_SECONDS)


def unloading(files: Installation, folder: str) -> float:
    """All jobs, and then what is new; the most memory held."""
    everything, memory = unload(files, folder)
    print("unload all: %d jobs, %.0f/s" % (everything.count, everything.per_second))
    files.centre.load(message([job(Site="SCALE-04", LocalJobId="newer")]))
    latest, more = unload(files, folder)
    print(
        "unload what is new: %d jobs in %.2f s, of which 0.3 are Python's start"
        % (latest.count, latest.seconds)
    )
    return max(memory, more)


def main() -> None:
    server = MariaDB(options=["--innodb-buffer-pool-size=2G", "--innodb-log-file-size=512M"])
    folder = private_folder("bench")
    try:
        server.start()
        files = Installation(pathlib.Path(folder), server.options_for(server.new_database("scale")))
        initialise(files.db.backend, "server")
        memory = loading(files, server, folder)
        summing(files)
        memory = max(memory, unloading(files, folder))
        print_value("memory, the most of all", memory, "MiB", MOST_MEBIBYTES)
        files.close()
    finally:
        shutil.rmtree(folder)
        server.close()


if __name__ == "__main__":
    main()
