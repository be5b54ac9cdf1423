"""Whatever comes to a centre in whatever order: its sums are those of its records, and receivers get them.

Random messages (corrections, sums with several benchmarks or none, names withheld) are loaded, summed up
and unloaded in random turns. Each receiver is a centre of its own, with options of its own.
APEL_TEST_RECEIVERS says how many random courses there are; each takes some seconds.
"""

import contextlib
import os
import random
from typing import Any, Dict, Iterator, List

import pytest
from central_records import MEASURED, accelerators, at, cloud, gpu, gpu_sum, ips, normalised, vm
from centre import END, Centre, job, message, summary
from portal import Portal, new_portal

from apel import unloader
from apel.db.schema import CENTRE, initialise
from apel.records import PublicIpRecord
from apel.server.summarise import ACCELERATOR, CLOUD, GRID, IP, Summariser
from servers.databases import BACKENDS, fresh_database

COURSES = range(int(os.environ.get("APEL_TEST_RECEIVERS", "3")))
MONTH = 31 * 86400
SITES, USERS = ("NORTH", "SOUTH"), (None, "/CN=Ada", "/CN=Bob", "https://issuer.example/ subject")
KINDS = ("HEPSPEC", "hepspec", "HEPscore23")
LEVELS = (None, (("HEPSPEC", 10.0), ("HEPscore23", 11.0)), (("si2k", 2500.0), ("HEPscore23", 11.0)))
DURATIONS = (
    None,
    (("HEPSPEC", 900, 7200), ("HEPscore23", 1125, 9000)),
    (("si2k", 9, 72), ("HEPscore23", 9, 90)),
)
USAGE = "SUM(NumberOfJobs), SUM(WallDuration), SUM(CpuDuration)"
NORMALISED = USAGE + ", SUM(NormalisedWallDuration), SUM(NormalisedCpuDuration)"
HOURS = "SUM(Count * AvailableDuration), SUM(Count * COALESCE(ActiveDuration, AvailableDuration))"
#: What is unloaded; the column of the site, and what must be the same of each of its months.
TABLES = {
    "VSummaries": ("Site", USAGE),
    "VSuperSummaries": ("Site", USAGE),
    "VNormalisedSummaries": ("Site", NORMALISED),
    "VNormalisedSuperSummaries": ("Site", NORMALISED),
    "VCloudSummaries": ("SiteName", "SUM(NumberOfVMs), SUM(WallDuration)"),
    "AcceleratorSummaries": ("SiteName", "SUM(NumberOfRecords), " + HOURS),
    "IPSummaries": ("SiteName", "SUM(LastIPCount), SUM(AverageIPCount)"),
}
ALL_SUMS = (GRID, CLOUD, ACCELERATOR, IP)


def grid(chance: random.Random) -> str:
    """A job, or a sum of one of the three kinds."""
    what: Dict[str, Any] = {"Site": chance.choice(SITES), "GlobalUserName": chance.choice(USERS)}
    kind, month = chance.choice(KINDS), chance.choice([3, 4])
    times = {
        "EarliestEndTime": END + (month - 3) * MONTH + 9,
        "LatestEndTime": END + (month - 3) * MONTH + 99,
    }
    if chance.random() < 0.5:
        end = END + 7200 + (month - 3) * MONTH
        what.update(LocalJobId=str(chance.randint(1, 4)), StartTime=end - 3600, EndTime=end)
        what.update(VO=chance.choice(["atlas", "cms"]), FQAN=None, ServiceLevelType=kind)
        return message([job(ServiceLevel=chance.choice([10.0, 12.5]), **what)])
    what.update(times, Month=month, InfrastructureDescription=chance.choice(["a", "b", None]))
    what.update(NumberOfJobs=chance.randint(1, 5), WallDuration=chance.randint(1, 5000))
    if chance.random() < 0.3:
        return message([normalised(Benchmarks=chance.choice(DURATIONS), **what)], "normalised summary v0.4")
    if chance.random() < 0.5:
        what.update(ServiceLevelType="HEPscore23", ServiceLevel=11.0, Benchmarks=chance.choice(LEVELS))
        return message([summary(**what)], "summary v0.4")
    what.update(ServiceLevelType=chance.choice([None, *KINDS]), ServiceLevel=chance.choice([10.0, 11.0]))
    return message([summary(**what)], "summary v0.2")


def other(chance: random.Random) -> str:
    """Machines, accelerators, a sum of these, or public IP addresses."""
    day = "2025-0%d-%02d" % (chance.choice([3, 4]), chance.randint(1, 28))
    what: Dict[str, Any] = {"SiteName": chance.choice(SITES), "GlobalUserName": chance.choice(USERS)}
    kind = chance.randrange(4)
    if kind == 0:
        return cloud(vm(day, chance.randint(1, 10**6), VMUUID=str(chance.randint(1, 3)), **what))
    if kind == 1:
        what.update(MEASURED, MeasurementTime=at(day), IPCount=chance.randint(0, 9))
        return ips(PublicIpRecord.of(**what))
    what.update(Count=chance.choice([1.0, 0.5, 1 / 3]), Cores=chance.choice([None, 0, 64]))
    if kind == 2:
        what.update(AssociatedRecord=str(chance.randint(1, 4)), ActiveDuration=chance.choice([None, 5]))
        return accelerators(gpu(MeasurementMonth=int(day[6]), **what))
    return message([gpu_sum().replace(Month=int(day[6]), **what).check()], "accelerator summary v0.1")


def summarise(centre: Centre) -> None:
    for sums in ALL_SUMS:
        summariser = Summariser(centre.db, sums=sums)
        summariser.run()
        assert not summariser.refused


def totals(centre: Centre, table: str) -> List[Any]:
    site, wanted = TABLES[table]
    view = table if table.startswith("V") else "V" + table
    query = "SELECT %s, Year, Month, %s FROM %s GROUP BY %s, Year, Month" % (site, wanted, view, site)
    return sorted((*row[:3], *(round(float(value), 2) for value in row[3:])) for row in centre.rows(query))


def options(chance: random.Random, table: str) -> Dict[str, str]:
    """Of a receiver's unloader.cfg."""
    found = {"table_name": table, "withhold_dns": chance.choice(["true", "false"])}
    found["records_per_message"] = str(chance.choice([1, 2, 1000]))
    if TABLES[table][0] == "Site":
        found["include_infrastructure_description"] = chance.choice(["true", "false"])
        found[chance.choice(["dict_benchmark_type", "send_ur"])] = chance.choice(["true", "false"])
    return found


@contextlib.contextmanager
def centres(folder: Any, server: Any, tables: List[str]) -> Iterator[Any]:
    """A portal, and a receiver for each table."""
    with contextlib.ExitStack() as stack:
        receivers = {}
        for name in tables:
            (folder / name).mkdir()
            make = contextlib.contextmanager(fresh_database)
            db = stack.enter_context(make("server", folder / name, server))
            for schema in sorted(CENTRE):
                initialise(db.backend, schema)
            receivers[name] = Centre(folder / name / "spool", db)
        yield stack.enter_context(contextlib.contextmanager(new_portal)(folder, server)), receivers


def send(portal: Portal, receiver: Centre, chosen: Dict[str, str]) -> None:
    """What is new to a receiver, which then must have the same totals."""
    receiver.load(*portal.run(**chosen))
    assert receiver.rejected() == []
    summarise(receiver)
    table = chosen["table_name"]
    assert totals(receiver, table) == totals(portal.centre, table), chosen


@pytest.mark.parametrize("course", COURSES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_receivers_have_the_same_totals(
    request: Any, tmp_path: Any, monkeypatch: Any, backend: str, course: int
) -> None:
    """C6, D6, D8, D9."""
    monkeypatch.setattr(unloader, "WAITS_FOR_A_QUIET_SECOND", 0)
    server = request.getfixturevalue("mariadb") if backend == "mariadb" else None
    chance = random.Random("%s %d" % (backend, course))
    tables = chance.sample(sorted(TABLES), 4)
    chosen = {table: options(chance, table) for table in tables}
    with centres(tmp_path, server, tables) as (portal, receivers):
        for _ in range(4):
            portal.centre.load(*(chance.choice([grid, other])(chance) for _ in range(chance.randint(1, 12))))
            assert portal.centre.rejected() == []
            summarise(portal.centre)
            for table in tables:
                if chance.random() < 0.7:
                    send(portal, receivers[table], chosen[table])
        for table in tables:
            send(portal, receivers[table], chosen[table])
        made = {table: totals(portal.centre, table) for table in TABLES}
        for sums in ALL_SUMS:
            summariser = Summariser(portal.centre.db, sums=sums)
            summariser.mark(summariser.all_months())
        summarise(portal.centre)
        assert {table: totals(portal.centre, table) for table in TABLES} == made
