"""The database layer alone: records stored beside LOAD DATA of the same rows, and rows read back."""

import os
import pathlib
import shutil
import sys
import time
from typing import Any, Callable, List, Sequence

from apel.db import Database, open_database
from apel.db.schema import initialise
from apel.db.store import store
from apel.db.tables import EVENTS, SERVER_JOBS, Table
from apel.records import EventRecord, JobRecord, Record
from bench.common import Rate, report

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))

from servers.databases import mariadb_settings, sqlite_settings
from servers.mariadb import MariaDB
from servers.process import private_folder

COUNT = 100000
PER_TRANSACTION = 1000
START = 1735689600  # 2025-01-01
STORE_EVENTS_AIM, STORE_JOBS_AIM, READ_AIM = 30000, 20000, 80000
SENDER = {"PublisherDN": "/DC=org/DC=example/CN=apel.north.example"}


def event(number: int) -> EventRecord:
    """A batch job, in the order of its end."""
    end = START + number * 20
    user, queue = "atlas%03d" % (number % 300), ("long", "short")[number % 2]
    wall = 60 + number % 86400
    times = (wall, wall - 10, end - wall, end)
    rest = ("APEL-CREAM-SLURM", "batch.north.example", queue, 3145728 + number, None, 1 + number % 8, 1, 2)
    values = ("EXAMPLE-NORTH", str(7731204 + number), user, "atlas", *times, *rest)
    return EventRecord.make(values + (None,) * (len(EventRecord.names) - len(values)))


def job(number: int) -> JobRecord:
    """A joined job."""
    end = START + number * 20
    wall = 60 + number % 86400
    names = ("long", str(7731204 + number), "atlas%03d" % (number % 300))
    user = "/DC=org/DC=example/O=People/CN=User number %03d" % (number * 7 % 300)
    grid = (user, "/atlas/Role=pilot/Capability=NULL", "atlas", "/atlas", "Role=pilot")
    times = (wall, wall - 10, 1 + number % 8, 1, end - wall, end)
    rest = ("APEL-CREAM-SLURM", "grid", 3145728, 5242880, "HEPscore23", 11.25)
    host = "ce0%d.north.example:9619/ce0%d.north.example-condor" % (number % 4, number % 4)
    return JobRecord.make(("EXAMPLE-NORTH", host, "batch.north.example", *names, *grid, *times, *rest))


def rate(work: Callable[[], Any]) -> Rate:
    """Of one run over COUNT records."""
    start = time.perf_counter()
    work()
    return Rate(COUNT, time.perf_counter() - start)


def store_all(db: Database, table: Table, records: Sequence[Record], conflict: str) -> None:
    """In the transactions of a parser or loader."""
    for first in range(0, COUNT, PER_TRANSACTION):
        done = store(db, table, records[first : first + PER_TRANSACTION], conflict, SENDER)
        if done.rejected:
            raise SystemExit("refused: %s" % (done.rejected[0],))


def load_data(server: MariaDB, db: Any, table: Table, records: Sequence[Record], folder: str) -> Rate:
    """The same rows from a file into the same table, emptied, in one statement."""
    path = os.path.join(folder, "rows")
    with open(path, "w", encoding="utf-8") as stream:
        for row in table.rows(db, records, **SENDER):
            stream.write("\t".join("\\N" if value is None else str(value) for value in row) + "\n")
    name = db.backend.database
    server.rows(name, "TRUNCATE %s" % table.name)
    statement = "LOAD DATA LOCAL INFILE '%s' INTO TABLE %s (%s)" % (
        path,
        table.name,
        ", ".join(table.columns),
    )
    connection = server.connect(name, local_infile=True, autocommit=True)
    limit = rate(lambda: connection.cursor().execute(statement))
    connection.close()
    return limit


def read_all(db: Database, text: bool) -> Rate:
    """All jobs through the view, with all names."""
    columns = list(JobRecord.names)
    if text:
        rows: Any = db.stream_text("VJobRecords", columns)
    else:
        rows = db.stream("SELECT %s FROM VJobRecords" % ", ".join(columns))
    return rate(lambda: sum(1 for _ in rows))


def on_mariadb(server: MariaDB, folder: str) -> Rate:
    """Both tables and both ways of reading, each beside its limit; the limit of jobs."""
    cases: List[Any] = [
        ("client", EVENTS, [event(number) for number in range(COUNT)], "ignore", STORE_EVENTS_AIM),
        ("server", SERVER_JOBS, [job(number) for number in range(COUNT)], "update", STORE_JOBS_AIM),
    ]
    for schema, table, records, conflict, aim in cases:
        settings = mariadb_settings(server, server.new_database(schema))
        with open_database(settings, schema) as db:
            initialise(db.backend, schema)
            stored = rate(lambda: store_all(db, table, records, conflict))  # noqa: B023 - run at once
            again = rate(lambda: store_all(db, table, records, conflict))  # noqa: B023
            limit = load_data(server, db, table, records, folder)
            report("store %s" % table.name, stored, "LOAD DATA of the rows", limit, aim)
            report("  the same again", again, "LOAD DATA of the rows", limit)
            if schema == "server":
                server.rows(settings.name, "ANALYZE TABLE JobRecords")
                plain = read_all(db, text=False)
                report(
                    "read VJobRecords, packed text", read_all(db, text=True), "driver's rows", plain, READ_AIM
                )
    return limit


def on_sqlite(folder: str, limit: Rate) -> None:
    """The same into files, for comparison."""
    with open_database(sqlite_settings(os.path.join(folder, "server.db")), "server") as db:
        records = [job(number) for number in range(COUNT)]
        stored = rate(lambda: store_all(db, SERVER_JOBS, records, "update"))
        report("store JobRecords, SQLite", stored, "LOAD DATA, MariaDB", limit, STORE_JOBS_AIM)
        plain = read_all(db, text=False)
        report("read VJobRecords, SQLite", read_all(db, text=True), "driver's rows", plain, READ_AIM)


def main() -> None:
    server = MariaDB(options=["--innodb-buffer-pool-size=1G", "--innodb-log-file-size=256M"])
    folder = private_folder("bench")
    try:
        server.start()
        on_sqlite(folder, on_mariadb(server, folder))
    finally:
        shutil.rmtree(folder)
        server.close()


if __name__ == "__main__":
    main()
