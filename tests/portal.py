"""A centre for tests that unloads: all tables in one database, and what is sent from them."""

from typing import Any, Iterator, List, Sequence

from central_records import (
    accelerators,
    cloud,
    gpu,
    gpu_sum,
    ips,
    measured,
    measured_sum,
    normalised,
    star,
    storage,
    vm,
)
from centre import Centre, Installation, job, message, summary, sync

from apel.commands import apeldbunloader
from apel.db import Database
from apel.db.schema import CENTRE, initialise
from apel.messages import decode
from apel.server.summarise import ACCELERATOR, CLOUD, IP, Summariser
from servers.databases import fresh_database
from ssm.queues import OutgoingQueue

EARLIER = "2026-05-01 00:00:00"


class Portal:
    """A centre with all tables in one database, and what its unloader sends."""

    def __init__(self, installation: Installation, db: Database) -> None:
        self.files = installation
        self.centre = Centre(installation.folder / "spool", db)
        self.queue = OutgoingQueue(str(installation.folder / "spool" / "outgoing"))

    def configure(self, **options: Any) -> str:
        """Write unloader.cfg, with local jobs as in the sample; its path."""
        lines = ["dir_location = %s" % (self.files.folder / "spool")]
        lines += ["%s = %s" % item for item in dict({"local_jobs": "true"}, **options).items()]
        logs = "[logging]\nlogfile = %s\nconsole = false\n" % (self.files.folder / "log")
        return self.files.write("unloader.cfg", "\n".join(["[unloader]", *lines, logs]))

    def run(self, words: Sequence[str] = (), **options: Any) -> List[str]:
        """Run the command; the messages it wrote, which are taken out of the queue."""
        path = self.configure(**options)
        assert apeldbunloader.main(["-d", self.files.db_cfg, "-c", path, *words]) == 0
        return self.sent()

    def fails(self, words: Sequence[str] = (), **options: Any) -> int:
        """Run the command; its exit status."""
        path = self.configure(**options)
        return apeldbunloader.main(["-d", self.files.db_cfg, "-c", path, *words])

    def sent(self) -> List[str]:
        """What is in the queue, taken out of it."""
        found = []
        for name in list(self.queue.ids()):
            assert self.queue.lock(name)
            found.append(self.queue.get(name))
            self.queue.remove(name)
        return found

    def age(self, *tables: str) -> None:
        """Make rows older than the second that now is."""
        for table in tables:
            self.centre.execute("UPDATE %s SET UpdateTime = '%s'" % (table, EARLIER))


def new_portal(tmp_path: Any, server: Any) -> Iterator[Portal]:
    """A portal; on SQLite without a server."""
    for db in fresh_database("server", tmp_path, server):
        for schema in sorted(CENTRE):
            initialise(db.backend, schema)
        if server is None:
            options = {"backend": "sqlite", "name": db.backend.path}  # type: ignore[attr-defined]
        else:
            options = server.options_for(db.backend.database)  # type: ignore[attr-defined]
        yield Portal(Installation(tmp_path, options), db)


def records(messages: Sequence[str]) -> List[Any]:
    """All the records of messages, none of which may be refused."""
    found = [decode(text) for text in messages]
    assert not any(one.rejected for one in found)
    return [one for each in found for one in each.records]


def formats(messages: Sequence[str]) -> List[str]:
    """The format of each message."""
    return [decode(text).format for text in messages]


def fill(portal: Portal) -> None:
    """Something in every table, summed up."""
    portal.centre.load(
        message([job(), job(LocalJobId="2", InfrastructureType="local", VO="ops", FQAN=None)]),
        message([summary()], "summary v0.2"),
        message([normalised()], "normalised summary v0.4"),
        sync(5),
        cloud(vm("2025-03-31", 10, CpuCount=2.5)),
        star(storage()),
        accelerators(gpu(), gpu(AssociatedRecord="2", Count=1 / 7, Cores=64, FQAN=None)),
        message([gpu_sum(Model="received")], "accelerator summary v0.1"),
        ips(measured("2025-03-02", 3), measured("2025-03-03", 4, LocalUser=None)),
        message([measured_sum(LocalGroup="received")], "public ip summary v0.1"),
    )
    assert portal.centre.rejected() == []
    portal.centre.summarise()
    for sums in (CLOUD, ACCELERATOR, IP):
        Summariser(portal.centre.db, sums=sums).run()
