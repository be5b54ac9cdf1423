"""A centre for tests: queues in a folder, messages to put into them, and a look at what came of it."""

import contextlib
import os
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional

from apel.commands import apeldbloader, apelreport, apelsummariser
from apel.commands.server_config import DB_TABLE
from apel.db import Database, open_database
from apel.messages import encode
from apel.records import JobRecord, Record, SummaryRecord, SyncRecord
from apel.server.loader import Loader, Queues
from apel.server.summarise import ANY, Scope, Summariser
from ssm.queues import ACCEPT, INCOMING, REJECT, MessageQueue

SIGNER = "/DC=org/DC=example/OU=hosts/CN=apel.north.example"
END = 1740787200  # 2025-03-01 00:00:00 UTC: past on every clock
MARCH, APRIL = (2025, 3), (2025, 4)
#: Seconds to wait for what is sure to come: only a failure ever waits so long.
PATIENCE = 180.0

JOB: Dict[str, Any] = {
    "Site": "EXAMPLE-NORTH",
    "SubmitHost": "ce01.north.example:9619/ce01.north.example-condor",
    "MachineName": "batch.north.example",
    "Queue": "long",
    "LocalJobId": "1001",
    "LocalUserId": "atlas001",
    "GlobalUserName": "/DC=org/DC=example/CN=Ada Researcher",
    "FQAN": "/atlas/Role=production/Capability=NULL",
    "VO": "atlas",
    "VOGroup": "/atlas",
    "VORole": "Role=production",
    "WallDuration": 3600,
    "CpuDuration": 7000,
    "Processors": 2,
    "NodeCount": 1,
    "StartTime": END + 3600,
    "EndTime": END + 7200,
    "InfrastructureDescription": "APEL-SLURM",
    "InfrastructureType": "grid",
    "MemoryReal": 1048576,
    "MemoryVirtual": 2097152,
    "ServiceLevelType": "HEPscore23",
    "ServiceLevel": 10.0,
}
SUMMARY: Dict[str, Any] = {
    "Site": "EXAMPLE-SOUTH",
    "Month": 3,
    "Year": 2025,
    "GlobalUserName": "/DC=org/DC=example/CN=Ada Researcher",
    "VO": "cms",
    "VOGroup": "/cms",
    "VORole": "Role=NULL",
    "SubmitHost": "ce01.south.example",
    "InfrastructureType": "grid",
    "ServiceLevelType": "si2k",
    "ServiceLevel": 2500.0,
    "NodeCount": 1,
    "Processors": 4,
    "EarliestEndTime": END + 100,
    "LatestEndTime": END + 200000,
    "WallDuration": 1000,
    "CpuDuration": 3500,
    "NumberOfJobs": 7,
}


def job(**changes: Any) -> JobRecord:
    """A good job record, but for the changes."""
    return JobRecord.of(**dict(JOB, **changes))


def jobs(count: int, **changes: Any) -> List[JobRecord]:
    """Good job records that differ in their ids."""
    return [job(**dict({"LocalJobId": str(number)}, **changes)) for number in range(count)]


def summary(**changes: Any) -> SummaryRecord:
    """A good summary record, but for the changes."""
    return SummaryRecord.of(**dict(SUMMARY, **changes))


def message(records: Iterable[Record], format: str = "job v0.3") -> str:
    """The text of a message."""
    return encode(list(records), format, include_infrastructure_description=True)


def sync(count: int, month: int = 3) -> str:
    """The text of a sync message."""
    record = SyncRecord.of(
        Site="EXAMPLE-NORTH", SubmitHost="ce01", NumberOfJobs=count, Month=month, Year=2025
    )
    return message([record], "sync v0.1")


def refuse_13_cores(db: Database) -> None:
    """Make a database refuse jobs that break none of our rules."""
    refusing = "ALTER TABLE JobRecords ADD CONSTRAINT unlucky CHECK (Processors <> 13)"
    if db.backend.name == "sqlite":
        refusing = (
            "CREATE TRIGGER unlucky BEFORE INSERT ON JobRecords WHEN NEW.Processors = 13"
            " BEGIN SELECT RAISE(ABORT, 'unlucky'); END"
        )
    db.run(lambda tx: tx.execute(refusing))


class Centre:
    """The queues of a centre below `folder`, and a database."""

    def __init__(self, folder: Any, db: Any) -> None:
        self.folder = str(folder)
        self.db = db
        self.incoming = self._queue("incoming", dict.fromkeys(INCOMING, "string?"))
        self.reject = self._queue("reject", REJECT)

    def _queue(self, name: str, schema: Dict[str, str]) -> MessageQueue:
        return MessageQueue(os.path.join(self.folder, name), schema)

    def loader(self, strict: bool = False, keep: bool = False, rights: Any = None) -> Loader:
        """A loader with this centre's queues; `keep`: with `accept` as well."""
        accept = self._queue("accept", ACCEPT) if keep else None
        return Loader(self.db, Queues(self.incoming, self.reject, accept), strict, rights)

    def deliver(self, body: str, signer: Optional[str] = SIGNER, empaid: Optional[str] = "0a/0b") -> str:
        """Put a message into `incoming`; its name there."""
        element = {"body": body, "signer": signer, "empaid": empaid}
        return self.incoming.add({key: value for key, value in element.items() if value is not None})

    def load(self, *bodies: str, **options: Any) -> Loader:
        """Deliver messages and load what is in the queue."""
        for body in bodies:
            self.deliver(body)
        loader = self.loader(**options)
        loader.step()
        return loader

    def summarise(self, scope: Scope = ANY) -> int:
        """Run the summariser over what changed; how many months it made again."""
        return Summariser(self.db, scope).run()

    def rejected(self) -> List[Dict[str, str]]:
        """What is in the reject queue."""
        return [self.reject.get(name) for name in self.reject.ids()]

    def rows(self, sql: str, parameters: Any = ()) -> List[Any]:
        """The rows of a query."""
        return list(self.db.run(lambda tx: tx.rows(sql, parameters)))

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.rows("SELECT COUNT(*) FROM %s" % table)[0][0])

    def execute(self, sql: str, parameters: Any = ()) -> None:
        """Run one statement."""
        self.db.run(lambda tx: tx.execute(sql, parameters))

    def picture(self) -> Dict[str, List[Any]]:
        """The contents of the tables that messages fill, by names and without UpdateTime, sorted."""
        return {
            view: sorted(map(str, self._view(view))) for view in ("VJobRecords", "VSummaries", "VSyncRecords")
        }

    def _view(self, view: str) -> List[Any]:
        return [row[1:] for row in self.rows("SELECT * FROM %s" % view)]


class Installation:
    """The configuration files of a centre in a folder, with its queues and database."""

    def __init__(self, folder: Any, db_options: Mapping[str, str]) -> None:
        self.folder = folder
        self.pidfile = folder / "pid"
        db_lines = ["%s = %s\n" % (name, value) for name, value in db_options.items()]
        self.db_cfg = self.write("db.cfg", "[db]\n" + "".join(db_lines))
        logs = "[logging]\nlogfile = %s\nconsole = false\n" % (folder / "log")
        where = "msgpath = %s\npidfile = %s\ninterval = 0.1\n" % (folder / "spool", self.pidfile)
        self.loader_cfg = self.write("loader.cfg", "[loader]\n" + where + logs)
        where = "pidfile = %s\n" % self.pidfile
        self.summariser_cfg = self.write("summariser.cfg", "[summariser]\n" + where + logs)
        self.db = open_database(DB_TABLE.read(self.db_cfg).db, schema="server")
        self.centre = Centre(folder / "spool", self.db)

    def close(self) -> None:
        """Give up the database."""
        self.db.close()

    def write(self, name: str, text: str) -> str:
        """Write a file; its path."""
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def load(self, *words: str) -> int:
        """Run apeldbloader here; its exit status."""
        return apeldbloader.main(["-d", self.db_cfg, "-c", self.loader_cfg, *words])

    def summarise(self, *words: str) -> int:
        """Run apelsummariser here; its exit status."""
        return apelsummariser.main(["-d", self.db_cfg, "-c", self.summariser_cfg, *words])

    def report(self, *words: str) -> int:
        """Run apelreport here; its exit status."""
        return apelreport.main(["-d", self.db_cfg, *words])

    def log(self) -> str:
        """What the programs have logged."""
        path = self.folder / "log"
        return str(path.read_text()) if path.exists() else ""

    def loader_command(self, *words: str) -> List[str]:
        """The command line of apeldbloader for a process of its own."""
        arguments = ["-d", self.db_cfg, "-c", self.loader_cfg, *words]
        code = "import sys; from apel.commands.apeldbloader import main; sys.exit(main(%r))" % (arguments,)
        return [sys.executable, "-c", code]

    @contextlib.contextmanager
    def running_loader(self, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
        """apeldbloader as a process, killed at the end if it still runs."""
        process = subprocess.Popen(self.loader_command(*words))
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_for(done: Callable[[], Any], seconds: float = PATIENCE, poll: float = 0.05) -> None:
    """Wait until something is so, looking every `poll` seconds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited for %s seconds" % seconds
        time.sleep(poll)
