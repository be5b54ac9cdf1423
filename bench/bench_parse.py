"""Parsing logs of each kind, lines alone; and SLURM and BLAH with all that a run does into both databases.

`python3 -m bench parse`. Another MariaDB or MySQL than a private one: BENCH_MARIADB=user:password@host:port
in the environment; the account must be allowed to create databases.
"""

import glob
import os
import pathlib
import sqlite3
import sys
import tempfile
import time
from types import SimpleNamespace
from typing import Any, Callable, Iterator, List, NamedTuple, Tuple, Type

import pymysql

from apel.db import Database, open_database
from apel.ingest import DatabaseLedger, Source, run
from apel.logfiles import Choice
from apel.parsers import BATCH_PARSERS, BlahParser, Parser, ParserOptions, SlurmParser
from apel.samples import SampleOptions, write_samples
from bench.common import Rate, measure, report

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))

from servers.databases import initialise, mariadb_settings, sqlite_settings
from servers.mariadb import MariaDB

JOBS = 100000
LINES_AT_ONCE = 2000
HOST = "batch.grid.example.org"
OPTIONS = ParserOptions("TEST-SITE", HOST, parallel=True)
STORE_AIM = 30000
PARSERS: List[Tuple[str, Type[Parser]]] = [("batch", SlurmParser), ("blah", BlahParser)]


def as_it_is(line: str) -> str:
    """A line of the samples."""
    return line


def pbs_pro(line: str) -> str:
    """A line of Torque as PBS Pro would have it: values in quotes, vnodes, and what was asked for."""
    hosts = line.split(" exec_host=")[1].split(" ")[0].split("+")
    names = sorted({host.split("/")[0] for host in hosts})
    each = len(hosts) // len(names)
    places = "+".join("%s/0*%d" % (name, each) for name in names)
    vnodes = "+".join("(%s:ncpus=%d:mem=%dkb:ngpus=0)" % (name, each, 2097152 * each) for name in names)
    asked = "Resource_List.mem=%dkb Resource_List.ncpus=%d " % (2097152 * len(hosts), len(hosts))
    asked += "Resource_List.nodect=%d Resource_List.place=free " % len(names)
    asked += "Resource_List.select=%d:ncpus=%d:mem=2gb Resource_List.walltime" % (len(names), each)
    line = line.replace("+".join(hosts), "%s exec_vnode=%s" % (places, vnodes))
    line = line.replace(" jobname=", ' account="null" project="a project" jobname=')
    return line.replace("Resource_List.walltime", asked) + " run_count=1"


class Row(NamedTuple):
    """One kind of log: whose samples, its parser, what separates its fields, lines a second aimed at."""

    system: str
    kind: str
    parser: Type[Parser]
    separator: str
    aim: int
    variant: str = ""
    line_of: Callable[[str], str] = as_it_is


#: Where the logs of jobs with GPUs are, a tenth of all.
GPU_LOGS = os.path.join("gpus", "batch")

ROWS = [
    Row("slurm", "batch", SlurmParser, "|", 150000),
    Row("slurm", GPU_LOGS, SlurmParser, "|", 150000, "with AllocTRES"),
    Row("slurm", "blah", BlahParser, '" "', 100000),
    Row("htcondor", "batch", BATCH_PARSERS["HTCondor"], "|", 150000),
    Row("sge", "batch", BATCH_PARSERS["SGE"], ":", 150000),
    Row("pbs", "batch", BATCH_PARSERS["PBS"], " ", 80000, "of Torque"),
    Row("pbs", "batch", BATCH_PARSERS["PBS"], " ", 80000, "of PBS Pro", pbs_pro),
    Row("lsf", "batch", BATCH_PARSERS["LSF"], '"', 80000),
]


def main() -> None:
    """Make the logs, and measure."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    with tempfile.TemporaryDirectory(prefix="bench-parse-") as folder:
        for system in sorted({row.system for row in ROWS}):
            write_samples(os.path.join(folder, system), SampleOptions(system, jobs=JOBS))
        write_samples(os.path.join(folder, "slurm", "gpus"), SampleOptions("slurm", jobs=JOBS, gpus=0.1))
        for row in ROWS:
            parse_only(os.path.join(folder, row.system), row)
        into_sqlite(os.path.join(folder, "slurm"))
        into_mariadb(os.path.join(folder, "slurm"))


def lines_of(folder: str, name: str) -> List[str]:
    """All lines of one kind of log."""
    lines: List[str] = []
    for path in sorted(glob.glob(os.path.join(folder, name, "*"))):
        with open(path, encoding="utf-8") as stream:
            lines += stream.read().splitlines()
    return lines


def parse_only(folder: str, row: Row) -> None:
    """Lines into records, and nothing else; beside splitting the same lines."""
    lines = [row.line_of(line) for line in lines_of(folder, row.kind)]

    def parse() -> None:
        parser = row.parser(OPTIONS)
        for start in range(0, len(lines), LINES_AT_ONCE):
            parser.parse_lines(lines[start : start + LINES_AT_ONCE])

    limit = measure(lambda: [line.split(row.separator) for line in lines], len(lines))
    rate = measure(parse, len(lines))
    report(
        " ".join(["parse", row.parser.type_name, "lines", row.variant]), rate, "split them", limit, row.aim
    )


def ingest(folder: str, name: str, parser: Type[Parser], db: Database) -> Rate:
    """A whole run over one kind of log, into an empty database."""
    source = Source(name, Choice(os.path.join(folder, name)), parser(OPTIONS))
    start = time.perf_counter()
    (done,) = run([source], DatabaseLedger(db, HOST), HOST)
    rate = Rate(done.stored, time.perf_counter() - start)
    assert done.stored == JOBS, done.summary()
    return rate


def into_sqlite(folder: str) -> None:
    """Runs into SQLite, beside inserting the rows they made, in one transaction."""
    path = os.path.join(folder, "client.db")
    db = open_database(sqlite_settings(path), "client")
    for name, parser in PARSERS:
        rate = ingest(folder, name, parser, db)
        table = "EventRecords" if name == "batch" else "BlahdRecords"
        limit = bare_sqlite_insert(path, table)
        report("%s into SQLite" % parser.type_name, rate, "executemany of its rows", limit, STORE_AIM)
    db.close()


def bare_sqlite_insert(path: str, table: str) -> Rate:
    """The limit: rows that are there already go into a table of the same shape."""
    connection = sqlite3.connect(path, isolation_level=None)
    rows = connection.execute("SELECT * FROM %s ORDER BY random()" % table).fetchall()
    connection.execute("CREATE TEMP TABLE Kept AS SELECT * FROM %s" % table)
    connection.execute("DELETE FROM %s" % table)
    start = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO %s VALUES (%s)" % (table, ", ".join("?" * len(rows[0]))), rows)
    connection.execute("COMMIT")
    rate = Rate(len(rows), time.perf_counter() - start)
    connection.close()
    return rate


def servers() -> Iterator[Any]:
    """A server that was named, or a private one."""
    given = os.environ.get("BENCH_MARIADB")
    if given:
        account, _, address = given.rpartition("@")
        user, _, password = account.partition(":")
        host, _, port = address.partition(":")
        yield SimpleNamespace(host=host, port=int(port or 3306), user=user, password=password)
        return
    server = MariaDB()
    server.start()
    try:
        yield server
    finally:
        server.close()


def into_mariadb(folder: str) -> None:
    """Runs into MariaDB, beside LOAD DATA of the rows they made."""
    for server in servers():
        name = "bench_parse_%d" % os.getpid()
        options = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
        connection = pymysql.connect(local_infile=True, autocommit=True, charset="utf8mb4", **options)
        cursor = connection.cursor()
        cursor.execute("CREATE DATABASE %s" % name)
        try:
            cursor.execute("USE %s" % name)
            db = open_database(mariadb_settings(server, name), "client")
            initialise(db.backend, "client")
            for kind, parser in PARSERS:
                rate = ingest(folder, kind, parser, db)
                limit = load_data(cursor, "EventRecords" if kind == "batch" else "BlahdRecords", folder)
                report("%s into MariaDB" % parser.type_name, rate, "LOAD DATA of its rows", limit, STORE_AIM)
            db.close()
        finally:
            cursor.execute("DROP DATABASE %s" % name)
            connection.close()


def load_data(cursor: Any, table: str, folder: str) -> Rate:
    """The limit: the server reads the same rows from a file into a table of the same shape."""
    cursor.execute("SELECT * FROM %s" % table)
    rows = cursor.fetchall()
    path = os.path.join(folder, "rows.txt")
    with open(path, "w", encoding="utf-8") as stream:
        for row in rows:
            stream.write("\t".join("\\N" if value is None else str(value) for value in row) + "\n")
    cursor.execute("CREATE TABLE Loaded LIKE %s" % table)
    start = time.perf_counter()
    cursor.execute("LOAD DATA LOCAL INFILE %s INTO TABLE Loaded CHARACTER SET utf8mb4", (path,))
    rate = Rate(len(rows), time.perf_counter() - start)
    cursor.execute("SELECT COUNT(*) FROM Loaded")
    assert cursor.fetchone() == (len(rows),)
    cursor.execute("DROP TABLE Loaded")
    return rate


if __name__ == "__main__":
    main()
