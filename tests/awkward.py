"""Databases of APEL 2.2 to 2.5 with everything awkward that was ever found in one."""

from typing import Any, Dict, List

from incumbent import Incumbent
from incumbentrows import BLAHD, EVENT, JOB, SUM, VM, VM_SUM


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
    """A site's database."""
    old = Incumbent(server, "client", charset=charset)
    awkward_names(old)
    jobs = _client_jobs()
    old.insert("JobRecords", jobs)
    old.insert("EventRecords", _client_events(jobs))
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
    old.insert("SpecRecords", _client_benchmarks())
    _sum_client_up(old)
    old.insert("LastUpdated", [{"UpdateTime": "2025-03-20 03:00:00", "Type": "sent"}])
    file = {"HostName": "batch.example.org", "FileName": "/var/log/x", "Hash": "0" * 32}
    old.insert("ProcessedFiles", [dict(file, StopLine=9, Parsed=8)])
    return old


def _client_jobs() -> List[Dict[str, Any]]:
    february = {
        "StartTime": "2025-02-10 01:00:00", "EndTime": "2025-02-10 02:00:00", "EndMonth": 2,
    }  # fmt: skip
    return [
        *(dict(JOB, LocalJobId=str(number)) for number in range(1, 41)),
        # The same job under both ids of its machine's name; the later one stays.
        dict(JOB, MachineNameID=3, LocalJobId="2", WallDuration=7200, UpdateTime="2025-03-21 01:00:00"),
        dict(JOB, MachineNameID=3, LocalJobId="3", WallDuration=1, UpdateTime="2025-03-01 01:00:00"),
        # Another site's, by case; and one whose user has both ids.
        dict(JOB, SiteID=2, MachineNameID=2, LocalJobId="50", VOID=2),
        dict(JOB, SiteID=3, LocalJobId="51", GlobalUserNameID=3, SubmitHostID=3),
        dict(JOB, LocalJobId="52", GlobalUserNameID=4, QueueID=2, FQAN=None, MemoryReal=None),
        dict(JOB, LocalJobId="53", StartTime="0000-00-00 00:00:00"),
        dict(JOB, LocalJobId="54", InfrastructureType="local", SubmitHostID=4, VOID=1, PublisherDNID=6),
        dict(JOB, LocalJobId="55", **february),
    ]


def _client_events(jobs: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    events = [dict(EVENT, JobName=row["LocalJobId"]) for row in jobs if row["MachineNameID"] == 1]
    for event in events:
        if event["JobName"] == "55":
            event.update(StartTime="2025-02-10 01:00:00", EndTime="2025-02-10 02:00:00")
    return [
        *events,
        dict(EVENT, JobName="60", Status=0),
        dict(EVENT, JobName="61", Status=0, WallDuration=-5, CpuDuration=None),
        dict(EVENT, MachineNameID=3, JobName="60", Status=1),
    ]


def _client_benchmarks() -> List[Dict[str, Any]]:
    spec = {
        "SiteID": 1,
        "StartTime": "1970-01-01 00:00:00",
        "ServiceLevelType": "HEPSPEC",
        "ServiceLevel": "10.500",
    }
    return [
        dict(spec, CEID=1, StopTime="2025-01-01 00:00:00", ServiceLevel="9.000"),
        dict(spec, CEID=3),
        dict(spec, CEID=4),
        dict(spec, CEID=5, StartTime="0000-00-00 00:00:00", ServiceLevelType="si2k", ServiceLevel="2500"),
    ]


def _sum_client_up(old: Incumbent) -> None:
    old.do("CALL SummariseJobs()", "UPDATE SuperSummaries SET UpdateTime = '2025-03-20 02:00:00'")
    old.insert(
        "SuperSummaries",
        [
            # Stale: these jobs got another benchmark later. And a month whose jobs were removed.
            dict(SUM, ServiceLevel="9.000", NumberOfJobs=7, WallDuration=700, CpuDuration=70),
            dict(SUM, Month=1, NumberOfJobs=5, WallDuration=500, CpuDuration=50),
        ],
    )


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
    _insert_server_sums(old, version)
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


def _insert_server_sums(old: Incumbent, version: str) -> None:
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
