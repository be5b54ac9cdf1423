"""The centre on MariaDB: messages into the database beside LOAD DATA of the same rows, and the summariser."""

import os
import pathlib
import shutil
import sys
import time
from typing import Any, Callable, List

from apel.db import open_database
from apel.messages import encode
from apel.records import JobRecord
from apel.server.loader import Loader, Queues
from apel.server.summarise import Summariser
from bench.common import ProcessorTime, Rate, report
from ssm.queues import INCOMING, REJECT, MessageQueue

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))

from servers.databases import initialise, mariadb_settings
from servers.mariadb import MariaDB
from servers.process import private_folder

LOAD_AIM = 20000
NOTHING_NEW_AIM_SECONDS, ONE_MONTH_AIM_SECONDS = 0.1, 2.0
MESSAGES, PER_MESSAGE, REPEAT = 60, 1000, 5
COUNT = MESSAGES * PER_MESSAGE
JOBS_TO_SUMMARISE = 1000000
SIGNER = "/DC=org/DC=example/CN=apel.north.example"
START = 1735689600  # 2025-01-01
SECONDS = 90 * 86400
SITES = ["EXAMPLE-%02d" % number for number in range(20)]
VOS = ["atlas", "cms", "lhcb", "alice", "biomed"]


def body(number: int) -> str:
    """A message of one site, as jobs end: users and VOs mixed, times in order."""
    site = SITES[number % len(SITES)]
    return encode([job(site, number * PER_MESSAGE + place) for place in range(PER_MESSAGE)], "job v0.3")


def job(site: str, number: int) -> JobRecord:
    """A job."""
    end = START + number * SECONDS // COUNT
    vo = VOS[number % 5]
    return JobRecord.of(
        Site=site,
        SubmitHost="ce0%d.north.example:9619/ce0%d.north.example-condor" % (number % 4, number % 4),
        MachineName="batch." + site.lower(),
        Queue=("long", "short")[number % 2],
        LocalJobId=str(7731204 + number),
        LocalUserId="%s%03d" % (vo, number % 300),
        GlobalUserName="/DC=org/DC=example/O=People/CN=User number %03d" % (number * 7 % 300),
        FQAN="/%s/Role=pilot/Capability=NULL" % vo,
        WallDuration=60 + number % 86400,
        CpuDuration=50 + number % 80000,
        Processors=1 + number % 8,
        NodeCount=1,
        StartTime=end - 60 - number % 86400,
        EndTime=end,
        InfrastructureDescription="APEL-CREAM-SLURM",
        InfrastructureType="grid",
        MemoryReal=3145728 + number % 1000,
        MemoryVirtual=5242880,
        ServiceLevelType="HEPscore23",
        ServiceLevel=11.0 + number % 4 / 4,
    )


def timed(work: Callable[[], Any]) -> float:
    """Seconds that one run takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def load(folder: str, server: MariaDB, db: Any, bodies: List[str]) -> float:
    """Seconds for the loader to load all messages from its queue."""
    queues = Queues(
        MessageQueue(os.path.join(folder, "incoming"), INCOMING),
        MessageQueue(os.path.join(folder, "reject"), REJECT),
    )
    for number, text in enumerate(bodies):
        queues.incoming.add({"body": text, "signer": SIGNER, "empaid": "0/%d" % number})
    loader = Loader(db, queues)
    spent = ProcessorTime()
    with spent.measured(server.pid or 0):
        seconds = timed(loader.step)
    spent.report("  %.1f us/record, of that" % (1e6 * seconds / COUNT), COUNT)
    if loader.tally.stored != COUNT:
        raise SystemExit("only %d records were stored" % loader.tally.stored)
    return seconds


def load_data(server: MariaDB, database: str, folder: str) -> float:
    """Seconds for LOAD DATA of the same rows, in one file, into a copy of the table."""
    columns = [row[0] for row in server.rows(database, "SHOW COLUMNS FROM JobRecords")]
    rows = server.rows(database, "SELECT * FROM JobRecords")
    path = os.path.join(folder, "rows")
    with open(path, "w", encoding="utf-8") as stream:
        for row in rows:
            stream.write("\t".join("\\N" if value is None else str(value) for value in row) + "\n")
    server.rows(database, "CREATE TABLE Copy LIKE JobRecords")
    statement = "LOAD DATA LOCAL INFILE '%s' REPLACE INTO TABLE Copy (%s)" % (path, ", ".join(columns))
    connection = server.connect(database, local_infile=True, autocommit=True)
    seconds = timed(lambda: connection.cursor().execute(statement))
    connection.close()
    server.rows(database, "DROP TABLE Copy")
    return seconds


def multiply(server: MariaDB, database: str) -> None:
    """Copy the jobs until there are enough of them."""
    columns = [row[0] for row in server.rows(database, "SHOW COLUMNS FROM JobRecords")]
    chosen = ["CONCAT(LocalJobId, '.%d')" if name == "LocalJobId" else name for name in columns]
    for copy in range(-(-JOBS_TO_SUMMARISE // COUNT) - 1):
        select = "SELECT %s FROM JobRecords WHERE LocalJobId NOT LIKE '%%.%%'" % ", ".join(chosen)
        insert = "INSERT INTO JobRecords (%s) %s" % (", ".join(columns), select)
        server.rows(database, insert.replace("%d", str(copy)).replace("%", "%%"))


def summarise(server: MariaDB, database: str, db: Any) -> None:
    """All months, nothing new, and one site-month changed."""
    multiply(server, database)
    summariser = Summariser(db)
    summariser.mark(summariser.all_months())
    months: List[int] = []
    everything = timed(lambda: months.append(summariser.run()))
    ((jobs,),) = server.rows(database, "SELECT COUNT(*) FROM JobRecords")
    print("summarise all: %d jobs, %d site-months in %.2f s" % (jobs, months[0], everything))
    print_time(
        "summarise, nothing new", min(timed(summariser.run) for _ in range(5)), NOTHING_NEW_AIM_SECONDS
    )
    summariser.mark([sorted(summariser.all_months())[0]])
    print_time("summarise, one site-month", timed(summariser.run), ONE_MONTH_AIM_SECONDS)
    print("compare the counts of all months: %.2f s" % timed(summariser.miscounted))


def print_time(name: str, seconds: float, aim: float) -> None:
    """One line."""
    print("%-28s %8.4f s   aim %.1f s %s" % (name, seconds, aim, "reached" if seconds <= aim else "MISSED"))


def main() -> None:
    server = MariaDB(options=["--innodb-buffer-pool-size=1G", "--innodb-log-file-size=256M"])
    folder = private_folder("bench")
    try:
        server.start()
        bodies = [body(number) for number in range(MESSAGES)]
        seconds, limits = [], []
        for _ in range(REPEAT):
            database = server.new_database("bench")
            db = open_database(mariadb_settings(server, database), "server")
            initialise(db.backend, "server")
            seconds.append(load(folder, server, db, bodies))
            limits.append(load_data(server, database, folder))
        limit = Rate(COUNT, min(limits))
        report("load messages", Rate(COUNT, min(seconds)), "LOAD DATA of the rows", limit, LOAD_AIM)
        summarise(server, database, db)
        db.close()
    finally:
        shutil.rmtree(folder)
        server.close()


if __name__ == "__main__":
    main()
