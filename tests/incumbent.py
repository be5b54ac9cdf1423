"""Databases as APEL 2.2 to 2.5 would have left them, with everything awkward that was ever found in one."""

import hashlib
import os
from typing import Any, Callable, Dict, List, Sequence

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "data", "incumbent")
#: What makes a centre of an older version of one of the next; each needs those before it.
OLDER = {
    "2.5.0": [],
    "2.4.1": ["server-to-2.4.1"],
    "2.4.0": ["server-to-2.4.1", "server-to-2.4.0"],
    "2.2.1": ["server-to-2.4.1", "server-to-2.4.0", "server-to-2.2.1"],
}
LAX = "SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION', SESSION time_zone = '+00:00'"


class Incumbent:
    """A database of the old software on a MariaDB of the tests: `database` is its name."""

    def __init__(self, server: Any, schema: str, version: str = "2.5.0", charset: str = "latin1") -> None:
        self.server = server
        self.database = server.new_database("old_" + schema)
        self.do("ALTER DATABASE `%s` CHARACTER SET %s" % (self.database, charset))
        self.load(schema)
        if schema == "server":
            for name in OLDER[version]:
                self.load(name)

    def load(self, name: str) -> None:
        """Run a file of tests/data/incumbent."""
        with open(os.path.join(DATA, name + ".sql"), encoding="utf-8") as stream:
            text = "\n".join(line for line in stream.read().splitlines() if not line.startswith("--"))
        self.do(*[part.strip().rstrip(";") for part in (text + "\n").split(";\n\n") if part.strip()])

    def do(self, *statements: str) -> None:
        """Run statements as an old program would: nothing is strict."""
        connection = self.server.connect(self.database, autocommit=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute(LAX)
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()

    def rows(self, sql: str) -> List[Any]:
        """The rows of a query."""
        return self.server.rows(self.database, sql)

    def insert(self, table: str, rows: Sequence[Dict[str, Any]]) -> None:
        """Store rows, as far as this version's table has the columns."""
        connection = self.server.connect(self.database, autocommit=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute(LAX)
                cursor.execute("SHOW COLUMNS FROM `%s`" % table)
                known = [row[0] for row in cursor.fetchall()]
                for row in rows:
                    names = [name for name in known if name in row]
                    holders = ", ".join(["%s"] * len(names))
                    cursor.execute(
                        "INSERT INTO `%s` (%s) VALUES (%s)" % (table, ", ".join(names), holders),
                        [row[name] for name in names],
                    )
        finally:
            connection.close()

    def names(self, table: str, names: Sequence[str]) -> None:
        """Give names the ids 1, 2, 3, …"""
        self.insert(table, [{"id": number, "name": name} for number, name in enumerate(names, 1)])

    def close(self) -> None:
        """Forget the database."""
        self.server.drop_database(self.database)


JOB: Dict[str, Any] = {
    "UpdateTime": "2025-03-20 01:00:00",
    "SiteID": 1,
    "SubmitHostID": 1,
    "MachineNameID": 1,
    "QueueID": 1,
    "LocalJobId": "1",
    "LocalUserId": "atlas001",
    "GlobalUserNameID": 1,
    "FQAN": "/atlas/Role=production",
    "VOID": 1,
    "VOGroupID": 1,
    "VORoleID": 1,
    "WallDuration": 3600,
    "CpuDuration": 3500,
    "NodeCount": 1,
    "Processors": 1,
    "MemoryReal": 1000,
    "MemoryVirtual": 2000,
    "StartTime": "2025-03-10 01:00:00",
    "EndTime": "2025-03-10 02:00:00",
    "EndYear": 2025,
    "EndMonth": 3,
    "InfrastructureDescription": "APEL-CREAM-SLURM",
    "InfrastructureType": "grid",
    "ServiceLevelType": "HEPSPEC",
    "ServiceLevel": "10.500",
    "PublisherDNID": 2,
}
EVENT: Dict[str, Any] = {
    "SiteID": 1,
    "JobName": "1",
    "LocalUserID": "atlas001",
    "LocalUserGroup": "atlas",
    "WallDuration": 3600,
    "CpuDuration": 3500,
    "StartTime": "2025-03-10 01:00:00",
    "EndTime": "2025-03-10 02:00:00",
    "Infrastructure": "APEL-CREAM-SLURM",
    "MachineNameID": 1,
    "QueueID": 1,
    "MemoryReal": 1000,
    "MemoryVirtual": 2000,
    "Processors": 1,
    "NodeCount": 1,
    "Status": 2,
}
BLAHD: Dict[str, Any] = {
    "TimeStamp": "2025-03-10 00:59:00",
    "GlobalUserNameID": 1,
    "FQAN": "/atlas/Role=production",
    "VOID": 1,
    "VOGroupID": 1,
    "VORoleID": 1,
    "CEID": 1,
    "GlobalJobId": "https://ce/1",
    "LrmsId": "1",
    "SiteID": 1,
    "ValidFrom": "2025-03-09 00:59:00",
    "ValidUntil": "2025-04-07 00:59:00",
    "Processed": 0,
}
SUM: Dict[str, Any] = {
    "UpdateTime": "2025-03-20 02:00:00",
    "SiteID": 1,
    "Month": 3,
    "Year": 2025,
    "GlobalUserNameID": 1,
    "VOID": 1,
    "VOGroupID": 1,
    "VORoleID": 1,
    "SubmitHostId": 1,
    "InfrastructureType": "grid",
    "Infrastructure": "grid",
    "InfrastructureDescription": "APEL-CREAM-SLURM",
    "ServiceLevelType": "HEPSPEC",
    "ServiceLevel": "10.500",
    "NodeCount": 1,
    "Processors": 1,
    "EarliestEndTime": "2025-03-10 02:00:00",
    "LatestEndTime": "2025-03-10 02:00:00",
    "WallDuration": 3600,
    "CpuDuration": 3500,
    "NormalisedWallDuration": 37800,
    "NormalisedCpuDuration": 36750,
    "NumberOfJobs": 1,
    "PublisherDNID": 2,
}
#: Ids of one name: the second was made by a second writer at the same moment.
TWICE = {"Sites": (1, 3), "MachineNames": (1, 3), "SubmitHosts": (1, 3), "DNs": (1, 3)}


def awkward_names(old: Incumbent) -> None:
    """Names twice, in two cases, with a blank at the end, and beyond ASCII."""
    old.names("Sites", ["EXAMPLE-NORTH", "Example-North", "EXAMPLE-NORTH", "EXAMPLE-SOUTH"])
    old.names(
        "SubmitHosts", ["ce1.example.org", "CE1.example.org", "ce1.example.org", "None", "ce2.example.org"]
    )
    old.names("MachineNames", ["batch.example.org", "Batch.example.org", "batch.example.org"])
    old.names("Queues", ["long", "long "])
    old.names("DNs", ["/CN=Ada", "apelclient", "/CN=Ada", "/CN=Zoë Müller", "None", "local"])
    old.names("VOs", ["atlas", "ATLAS", "None"])
    old.names("VOGroups", ["/atlas", "None"])
    old.names("VORoles", ["Role=production", "None"])


def awkward_client(server: Any, charset: str = "latin1") -> Incumbent:
    """A site's database. `JOBS_LOST` says which of its rows are one after the upgrade."""
    old = Incumbent(server, "client", charset=charset)
    awkward_names(old)
    jobs = [dict(JOB, LocalJobId=str(number)) for number in range(1, 41)]
    jobs += [
        # The same job under both ids of its machine's name; the later one stays.
        dict(JOB, MachineNameID=3, LocalJobId="2", WallDuration=7200, UpdateTime="2025-03-21 01:00:00"),
        dict(JOB, MachineNameID=3, LocalJobId="3", WallDuration=1, UpdateTime="2025-03-01 01:00:00"),
        # Another site's, by case; and one whose user has both ids.
        dict(JOB, SiteID=2, MachineNameID=2, LocalJobId="50", VOID=2),
        dict(JOB, SiteID=3, LocalJobId="51", GlobalUserNameID=3, SubmitHostID=3),
        dict(JOB, LocalJobId="52", GlobalUserNameID=4, QueueID=2, FQAN=None, MemoryReal=None),
        dict(JOB, LocalJobId="53", StartTime="0000-00-00 00:00:00"),
        dict(JOB, LocalJobId="54", InfrastructureType="local", SubmitHostID=4, VOID=1, PublisherDNID=6),
        dict(
            JOB, LocalJobId="55", EndTime="2025-02-10 02:00:00", EndMonth=2, StartTime="2025-02-10 01:00:00"
        ),
    ]
    old.insert("JobRecords", jobs)
    events = [dict(EVENT, JobName=row["LocalJobId"]) for row in jobs if row["MachineNameID"] == 1]
    events += [
        dict(EVENT, JobName="60", Status=0),
        dict(EVENT, JobName="61", Status=0, WallDuration=-5, CpuDuration=None),
        dict(EVENT, MachineNameID=3, JobName="60", Status=1),
    ]
    for event in events:
        if event["JobName"] == "55":
            event.update(StartTime="2025-02-10 01:00:00", EndTime="2025-02-10 02:00:00")
    old.insert("EventRecords", events)
    old.insert(
        "BlahdRecords",
        [
            BLAHD,
            dict(BLAHD, CEID=3),
            dict(BLAHD, TimeStamp="0000-00-00 00:00:00", LrmsId="61"),
            dict(BLAHD, TimeStamp="0000-00-00 00:00:00", LrmsId="62", ValidFrom=None, ValidUntil=None),
            # A grid record that came after its job had been made local.
            dict(BLAHD, LrmsId="54", CEID=1),
            dict(BLAHD, LrmsId="55", TimeStamp="2025-02-10 00:59:00"),
        ],
    )
    spec = {
        "SiteID": 1,
        "StartTime": "1970-01-01 00:00:00",
        "ServiceLevelType": "HEPSPEC",
        "ServiceLevel": "10.500",
    }
    old.insert(
        "SpecRecords",
        [
            dict(spec, CEID=1, StopTime="2025-01-01 00:00:00", ServiceLevel="9.000"),
            dict(spec, CEID=3),
            dict(spec, CEID=4),
            dict(spec, CEID=5, StartTime="0000-00-00 00:00:00", ServiceLevelType="si2k", ServiceLevel="2500"),
        ],
    )
    old.do("CALL SummariseJobs()", "UPDATE SuperSummaries SET UpdateTime = '2025-03-20 02:00:00'")
    old.insert(
        "SuperSummaries",
        [
            # Stale: these jobs got another benchmark later. And a month whose jobs were removed.
            dict(SUM, ServiceLevel="9.000", NumberOfJobs=7, WallDuration=700, CpuDuration=70),
            dict(SUM, Month=1, NumberOfJobs=5, WallDuration=500, CpuDuration=50),
        ],
    )
    old.insert("LastUpdated", [{"UpdateTime": "2025-03-20 03:00:00", "Type": "sent"}])
    old.insert(
        "ProcessedFiles",
        [
            {
                "HostName": "batch.example.org",
                "FileName": "/var/log/x",
                "Hash": "0" * 32,
                "StopLine": 9,
                "Parsed": 8,
            }
        ],
    )
    return old


def awkward_server(server: Any, version: str = "2.5.0", charset: str = "latin1") -> Incumbent:
    """A centre's database."""
    old = Incumbent(server, "server", version, charset)
    awkward_names(old)
    jobs = [dict(JOB, LocalJobId=str(number)) for number in range(1, 41)]
    jobs += [
        dict(JOB, SiteID=3, LocalJobId="1", WallDuration=7200, UpdateTime="2025-03-21 01:00:00"),
        dict(JOB, SiteID=2, LocalJobId="1", VOID=2),
        dict(JOB, LocalJobId="53", StartTime="0000-00-00 00:00:00"),
        dict(JOB, LocalJobId="54", InfrastructureType=None, InfrastructureDescription=None),
    ]
    old.insert("JobRecords", jobs)
    south = dict(SUM, SiteID=4, GlobalUserNameID=4)
    old.insert(
        "Summaries",
        [
            dict(south, NumberOfJobs=10),
            dict(south, InfrastructureType="" if version > "2.4.0" else None, Processors=8, NumberOfJobs=3),
            dict(south, Month=2, GlobalUserNameID=1),
            dict(south, Month=2, GlobalUserNameID=3, WallDuration=9, UpdateTime="2025-03-21 02:00:00"),
        ],
    )
    old.insert("NormalisedSummaries", [dict(south, Month=1, NumberOfJobs=20, ServiceLevelType="None")])
    old.insert(
        "HybridSuperSummaries",
        [
            dict(SUM, NumberOfJobs=44, WallDuration=9),
            dict(SUM, ServiceLevel="9.000", NumberOfJobs=2),
            # A month whose jobs went with their partition: these sums are all there is.
            dict(SUM, Month=11, Year=2020, NumberOfJobs=1000),
            dict(south, Month=1, NumberOfJobs=20, ServiceLevelType="None", ServiceLevel="0"),
        ],
    )
    sync = {
        "UpdateTime": "2025-03-20 02:00:00",
        "SubmitHostID": 1,
        "Month": 3,
        "Year": 2025,
        "PublisherDNID": 1,
    }
    old.insert("SyncRecords", [dict(sync, SiteID=1, NumberOfJobs=40), dict(sync, SiteID=4, NumberOfJobs=13)])
    old.insert("LastUpdated", [{"UpdateTime": "2025-03-20 03:00:00", "Type": "sent"}])
    return old


VM: Dict[str, Any] = {
    "UpdateTime": "2025-03-20 01:00:00",
    "RecordCreateTime": "2025-03-19 00:00:00",
    "VMUUID": "vm1",
    "SiteID": 1,
    "CloudComputeServiceID": 1,
    "GlobalUserNameID": 1,
    "VOID": 1,
    "VOGroupID": 1,
    "VORoleID": 1,
    "Status": "started",
    "StartTime": "2025-01-01 00:00:00",
    "MeasurementTime": "2025-03-19 00:00:00",
    "MeasurementMonth": 3,
    "MeasurementYear": 2025,
    "SuspendDuration": 0,
    "WallDuration": 1000,
    "CpuDuration": 900,
    "CpuCount": 2,
    "NetworkInbound": 1,
    "Memory": 2048,
    "BenchmarkType": "HEPSPEC",
    "Benchmark": 10,
    "ImageId": "image",
    "PublisherDNID": 1,
}
VM_SUM: Dict[str, Any] = {
    "UpdateTime": "2025-03-20 01:00:00",
    "SiteID": 1,
    "CloudComputeServiceID": 1,
    "Month": 3,
    "Year": 2025,
    "GlobalUserNameID": 1,
    "VOID": 1,
    "VOGroupID": 1,
    "VORoleID": 1,
    "Status": "started",
    "ImageId": "image",
    "WallDuration": 1000,
    "CpuDuration": 900,
    "CpuCount": 2,
    "BenchmarkType": "HEPSPEC",
    "Benchmark": 10,
    "NumberOfVMs": 1,
    "PublisherDNID": "summariser",
}


def awkward_cloud(server: Any, version: str = "2.5.0", charset: str = "utf8mb4") -> Incumbent:
    """A database of virtual machines."""
    old = Incumbent(server, "cloud", charset=charset)
    if version < "2.3":
        old.load("cloud-to-2.2.0")
    old.names("Sites", ["EXAMPLE-CLOUD", "Example-Cloud", "EXAMPLE-CLOUD"])
    for table in ("DNs", "VOs", "VOGroups", "VORoles", "CloudComputeServices"):
        old.names(table, ["first", "second"])
    never = {"MeasurementTime": "0000-00-00 00:00:00", "MeasurementMonth": 0, "MeasurementYear": 0}
    old.insert(
        "CloudRecords",
        [
            VM,
            dict(VM, VMUUID="vm2", SiteID=3, WallDuration=-5),
            dict(VM, VMUUID="vm3", SiteID=2),
            dict(VM, VMUUID="vm4", Status="completed", RecordCreateTime="0000-00-00 00:00:00", **never),
        ],
    )
    old.insert(
        "CloudSummaries",
        [
            dict(VM_SUM, NumberOfVMs=2),
            dict(VM_SUM, SiteID=3, WallDuration=-70),
            # The records of this month were removed.
            dict(VM_SUM, Month=1, Year=2020, NumberOfVMs=50),
            dict(VM_SUM, SiteID=2, Month=2, PublisherDNID="2"),
        ],
    )
    old.insert("LastUpdated", [{"UpdateTime": "2025-03-20 03:00:00", "Type": "sent"}])
    return old


def awkward_storage(server: Any, charset: str = "latin1") -> Incumbent:
    """A database of storage, with a new nameless row for each record without, say, a role."""
    old = Incumbent(server, "storage", charset=charset)
    old.names("Sites", ["EXAMPLE-STORE"])
    for table in ("StorageSystems", "StorageShares", "StorageMedia", "StorageClasses", "UserIdentities"):
        old.names(table, ["first", "second"])
    for table in ("Groups", "SubGroups", "Roles"):
        old.insert(table, [{"id": 1, "name": "atlas"}, {"id": 2, "name": None}, {"id": 3, "name": None}])
    record = {
        "RecordId": "r1",
        "CreateTime": "2025-03-20 01:00:00",
        "StartTime": "2025-03-19 00:00:00",
        "EndTime": "2025-03-20 00:00:00",
        "ResourceCapacityUsed": 1000,
        "FileCount": 3,
        **dict.fromkeys(
            ["SiteID", "StorageSystemID", "StorageShareID", "StorageMediaID", "StorageClassID"], 1
        ),
        **dict.fromkeys(["UserIdentityID", "GroupID", "SubGroupID", "RoleID"], 1),
    }
    old.insert(
        "StarRecords",
        [
            record,
            dict(record, RecordId="r2", SubGroupID=2, RoleID=2, FileCount=-1),
            dict(record, RecordId="r3", SubGroupID=3, RoleID=3, CreateTime="0000-00-00 00:00:00"),
        ],
    )
    old.insert(
        "GroupAttributes", [{"StarRecordID": "r1", "AttributeType": "authority", "AttributeValue": "x"}]
    )
    return old


def as_it_would_have_been(server: Any, schema: str, db: Any) -> Incumbent:
    """What the old software would hold, had it done the work that a database of ours shows.

    It knows whole files by their MD5, no statuses but 0, 1 and 2, and only one mark of what was sent.
    """
    old = Incumbent(server, schema)
    tables = old.rows(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
    )
    for (table,) in tables:
        columns = [row[0] for row in old.rows("SHOW COLUMNS FROM `%s`" % table)]
        query = "SELECT %s FROM %s" % (", ".join(columns), table)
        found = db.run(lambda tx, query=query: tx.rows(query))
        rows = [dict(zip(columns, row)) for row in found]
        old.insert(table, [row for row in map(_as_it_was(table), rows) if row])
    return old


def _as_it_was(table: str) -> Callable[[Dict[str, Any]], Dict[str, Any]]:
    def change(row: Dict[str, Any]) -> Dict[str, Any]:
        if table == "EventRecords" and row["Status"] > 2:
            row["Status"] = 0
        elif table == "BlahdRecords":
            row["Processed"] = 0
        elif table == "ProcessedFiles":
            with open(row["FileName"], "rb") as stream:
                row["Hash"] = hashlib.md5(stream.read()).hexdigest()
        elif table == "LastUpdated" and row["Type"] != "sent":
            return {}
        return row

    return change
