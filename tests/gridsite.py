"""A site for tests: a database with jobs and grid records put in by hand, and a look at what came of it."""

import glob
import os
from types import SimpleNamespace
from typing import Any, Dict, List, Optional, Sequence

from apel.client.accelerator_rules import accelerator_rule
from apel.client.benchmarks import Benchmark, History
from apel.client.join import Joined, Joiner
from apel.client.options import TABLE
from apel.client.summarise import summarise_site
from apel.db import Database, open_backend, open_database
from apel.db.schema import make
from apel.db.store import store
from apel.db.tables import BLAHD, EVENTS
from apel.messages import Message, decode
from apel.records import BlahdRecord, EventRecord
from apel.times import DAY, epoch_from_text
from apel.unloader import Unloaded, Unloader
from apel.views import Selection

SITE, MACHINE = "TEST-SITE", "batch.example.org"
CE1, CE2 = "ce1.example.org:9619/ce1-batch", "ce2.example.org:9619/ce2-batch"
DN = "/DC=org/DC=example/CN=Ada Researcher"
END = "2026-03-10 12:00:00"

#: client.cfg of a site in a folder, for the command itself.
CLIENT_CONFIG = """\
[db]
backend = sqlite
name = {folder}/client.db
[spec_updater]
enabled = false
site_name = TEST-SITE
[unloader]
dir_location = {folder}/spool
{unloader}
[ssm]
enabled = false
[client]
lockfile = {folder}/lock
[metrics]
textfile = {folder}/apel.prom
[logging]
logfile = {folder}/client.log
console = false
"""

JOB: Dict[str, Any] = {
    "Site": SITE,
    "LocalUserID": "atlas001",
    "LocalUserGroup": "atlas",
    "CpuDuration": 3000,
    "Infrastructure": "APEL-CREAM-SLURM",
    "MachineName": MACHINE,
    "Queue": "grid",
    "Processors": 2,
    "NodeCount": 1,
}


def epoch(text: str) -> int:
    """Epoch seconds of UTC text."""
    return epoch_from_text(text)


def event(job: str, end: str = END, hours: float = 1.0, **changes: Any) -> EventRecord:
    """A batch job that took `hours` until `end`."""
    wall = int(hours * 3600)
    times = {"StartTime": epoch(end) - wall, "StopTime": epoch(end), "WallDuration": wall}
    return EventRecord.of(**dict(dict(JOB, JobName=job, **times), **changes))


def grid(job: str, time: str = "2026-03-10 10:59:00", ce: str = CE1, **changes: Any) -> BlahdRecord:
    """A grid record of a job, written at `time`."""
    stamp = epoch(time)
    values: Dict[str, Any] = {
        "TimeStamp": stamp,
        "GlobalUserName": DN,
        "FQAN": "/atlas/Role=production/Capability=NULL",
        "VO": "atlas",
        "VOGroup": "/atlas",
        "VORole": "Role=production",
        "CE": ce,
        "GlobalJobId": "CREAM" + job,
        "LrmsId": job,
        "Site": SITE,
        "ValidFrom": stamp - DAY,
        "ValidUntil": stamp + 28 * DAY,
        "Processed": 0,
        "MachineName": MACHINE,
    }
    return BlahdRecord.of(**dict(values, **changes))


class FakeQueue:
    """Messages in memory."""

    def __init__(self) -> None:
        self.texts: List[str] = []

    def add(self, text: str) -> str:
        self.texts.append(text)
        return str(len(self.texts))

    def messages(self) -> List[Message]:
        return [decode(text) for text in self.texts]

    def records(self, kind: str = "job") -> List[Any]:
        """The records of all messages whose format begins so."""
        return [one for found in self.messages() if found.format.startswith(kind) for one in found.records]


class GridSite:
    """A site's database."""

    def __init__(self, db: Database, settings: Any) -> None:
        self.db = db
        self.db_settings = settings

    def put(self, *records: Any) -> None:
        """Store parsed records, as the parser does (again: as it does with reparse)."""
        for table, kind in ((EVENTS, EventRecord), (BLAHD, BlahdRecord)):
            mine = [record for record in records if isinstance(record, kind)]
            if mine:
                stored = store(self.db, table, mine, "ignore")
                assert not stored.rejected

    def benchmark(self, ce: str, value: float = 10.0, name: str = "HEPscore23", time: str = END) -> None:
        """Set a benchmark from `time` on; the first from the epoch."""
        History(self.db, SITE).set_manual([Benchmark(ce, name, value)], epoch(time))

    def join(self, local_jobs: bool = False, chunk: int = 5000, rules: Sequence[str] = ()) -> Joined:
        """Join what can be joined, and sum it up. rules: of [accelerators]."""
        read = [accelerator_rule(text) for text in rules]
        joined = Joiner(self.db, local_jobs, chunk=chunk, rules=read).run()
        summarise_site(self.db)
        return joined

    def unload(self, queue: Any, view: str = "VJobRecords", size: int = 1000, **selection: Any) -> Unloaded:
        """Unload a view to a queue."""
        return Unloader(self.db, queue, Selection(**selection), size).unload(view)

    def rows(self, sql: str, *parameters: Any) -> List[Any]:
        """The rows of a query."""
        return list(self.db.run(lambda tx: tx.rows(sql, parameters)))

    def execute(self, sql: str, *parameters: Any) -> int:
        """Run a statement of the test's own."""
        return int(self.db.run(lambda tx: tx.execute(sql, parameters)))

    def jobs(self) -> Dict[str, SimpleNamespace]:
        """The joined jobs, by batch id, with the columns of their view."""
        names = "LocalJobId, SubmitHost, InfrastructureType, VO, ServiceLevelType, ServiceLevel, UpdateTime"
        rows = self.rows("SELECT %s FROM VJobRecords" % names)
        keys = [name.strip() for name in names.split(",")]
        return {row[0]: SimpleNamespace(**dict(zip(keys, row))) for row in rows}

    def statuses(self) -> Dict[str, int]:
        """The status of each event, by batch id."""
        return dict(self.rows("SELECT JobName, Status FROM EventRecords"))

    def counted(self) -> Dict[str, int]:
        """Jobs in the summaries, by submit host."""
        return dict(
            self.rows("SELECT SubmitHost, SUM(NumberOfJobs) FROM VSuperSummaries GROUP BY SubmitHost")
        )


def new_site(settings: Dict[str, Any]) -> GridSite:
    """A site with an empty database; `settings` are options of [db]."""
    given = {"db." + name: value for name, value in settings.items()}
    section = TABLE.defaults(given).db
    backend = open_backend(section)
    connection = backend.connect()
    backend.begin(connection)
    make(backend, connection, "client")
    backend.commit(connection)
    connection.close()
    return GridSite(open_database(section, schema="client"), section)


def queued(folder: str) -> List[str]:
    """The messages in a spool, in order."""
    texts = []
    for path in sorted(glob.glob(os.path.join(folder, "outgoing", "*", "*"))):
        with open(path, encoding="utf-8") as stream:
            texts.append(stream.read())
    return texts


def settings_with(path: Optional[str] = None, **values: Any) -> Any:
    """Settings of apelclient: defaults, and `section__option=value` over them."""
    given = {key.replace("__", "."): value for key, value in values.items()}
    given["spec_updater.manual_spec#"] = given.pop("spec_updater.manual_spec", [])
    settings = TABLE.defaults(dict({"db.name": "unused"}, **given))
    settings.path = path or "client.cfg"
    return settings
