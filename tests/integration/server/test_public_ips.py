"""Public IP addresses at the centre: measurements, and what they were over a month."""

import pathlib
from typing import Any, Iterator, List

import pytest
from central_records import ips, measured, measured_sum
from centre import Centre, Installation, message
from portal import Portal, fill, records

from apel.messages import decode
from apel.server.summarise import IP, Summariser
from apel.server.views import CENTRE_VIEWS
from apel.unloader import Receiver, Unloader
from apel.views import Selection
from servers.databases import BACKENDS, fresh_database

SAMPLES = pathlib.Path(__file__).parents[2] / "data" / "messages"
LEVEL = "LastIPCount, AverageIPCount, MaximumIPCount, NumberOfMeasurements"


@pytest.fixture(params=BACKENDS)
def centre(request: Any, tmp_path: Any) -> Iterator[Centre]:
    """A centre with a database of IP addresses, on each back end in turn."""
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    for db in fresh_database("ip", tmp_path, server):
        yield Centre(tmp_path / "spool", db)


def summarise(centre: Centre) -> int:
    return Summariser(centre.db, sums=IP).run()


def sums(centre: Centre, columns: str = LEVEL) -> List[Any]:
    return sorted(centre.rows("SELECT %s FROM VIPSummaries" % columns), key=str)


def test_a_month_is_the_last_the_mean_and_the_most_of_its_measurements(centre: Centre) -> None:
    """Never their sum; in whatever order they come, and however often (D6)."""
    days = [("2025-03-02", 3), ("2025-03-31 23:59:59", 1), ("2025-03-09", 9), ("2025-04-01", 50)]
    for day, count in [*days, days[0], days[2]]:
        centre.load(ips(measured(day, count)))
        summarise(centre)
    assert sums(centre) == [(1, pytest.approx(13 / 3, abs=1e-6), 9, 3), (50, 50.0, 50, 1)]
    columns = "Month, EarliestMeasurementTime, LatestMeasurementTime"
    assert sums(centre, columns)[0] == (3, "2025-03-02 00:00:00", "2025-03-31 23:59:59")


def test_users_groups_and_versions_are_kept_apart(centre: Centre) -> None:
    """The draft's key has only the user: of one user's groups the last would stay."""
    changes = [
        {},
        {"LocalGroup": "g2"},
        {"LocalUser": "u2"},
        {"LocalUser": None, "GlobalUserName": None},
        {"FQAN": "/other"},
        {"IPVersion": 6},
        {"CloudComputeService": None},
        {"SiteName": "OTHER"},
    ]
    centre.load(ips(*(measured("2025-03-02", number, **one) for number, one in enumerate(changes))))
    assert centre.count("IPRecords") == len(changes)
    assert summarise(centre) == 2
    assert [last for last, *_ in sums(centre)] == list(range(len(changes)))


def test_corrected_measurement_replaces_and_vanished_groups_go(centre: Centre) -> None:
    """D8."""
    centre.load(ips(measured("2025-03-02", 3), measured("2025-03-02", 4, LocalGroup="gone")))
    summarise(centre)
    centre.load(ips(measured("2025-03-02", 5)))
    centre.execute("DELETE FROM IPRecords WHERE LocalGroupId = 'gone'")
    assert summarise(centre) == 1
    assert sums(centre, "LocalGroup, " + LEVEL) == [("g1", 5, 5.0, 5, 1)]
    assert centre.count("IPSummaries") == 2  # one of no measurements, for receivers
    centre.execute("UPDATE IPSummaries SET UpdateTime = '2025-06-01 00:00:00'")
    assert Summariser(centre.db, sums=IP).forget_empty() == 1
    assert centre.count("IPSummaries") == 1


def test_samples_of_caso_load_in_both_versions(centre: Centre) -> None:
    for name in ("caso_ip.json", "public_ip_v0.2.json"):
        centre.load((SAMPLES / name).read_text(encoding="utf-8"))
    assert centre.rejected() == []
    rows = centre.rows("SELECT IPVersion, IPCount, LocalUser FROM VIPRecords ORDER BY IPVersion")
    assert rows == [(4, 7, "8b1f"), (6, 0, "None")]


def test_received_sums_stand_beside_ours_and_give_way_to_them(centre: Centre) -> None:
    sent = message([measured_sum(), measured_sum(IPVersion=6)], "public ip summary v0.1")
    centre.load(sent, ips(measured("2025-03-02", 8)))
    summarise(centre)
    assert sums(centre, "IPVersion, LastIPCount") == [(4, 8), (6, 4)]


def test_withheld_names_add_up_users_but_not_measurements(centre: Centre) -> None:
    class Queue(List[str]):
        add = List.append

    for day in ("2025-03-02", "2025-03-03"):
        centre.load(ips(*(measured(day, 3, GlobalUserName=name) for name in ("/CN=Ada", "/CN=Bob"))))
    summarise(centre)
    queue = Queue()
    chosen = Selection("all", withhold_dns=True, local_jobs=True)
    unloader = Unloader(centre.db, queue, chosen, 1000, CENTRE_VIEWS, Receiver("sent x"))
    unloader.unload("IPRecords")
    assert [(one.GlobalUserName, one.IPCount) for one in decode(queue[0]).records] == [("withheld", 6)] * 2
    unloader.unload("IPSummaries")
    (record,) = decode(queue[1]).records
    assert (record.LastIPCount, record.AverageIPCount, record.NumberOfMeasurements) == (6, 6.0, 2)


def test_new_measurement_of_a_withheld_user_takes_the_others_along(portal: Portal) -> None:
    """C9: or else the receiver would hold the count of one of them for that of all."""
    options = {"table_name": "IPRecords", "withhold_dns": "true"}
    users = [{"GlobalUserName": "/CN=Ada"}, {"GlobalUserName": "/CN=Bob"}]
    portal.centre.load(ips(*(measured("2025-03-02", 3, **one) for one in users)))
    portal.centre.load(ips(measured("2025-02-02", 1)))
    portal.age("IPRecords")
    assert sorted(one.IPCount for one in records(portal.run(**options))) == [1, 6]
    assert portal.run(**options) == []
    portal.centre.load(ips(measured("2025-03-02", 10, **users[0])))
    assert [one.IPCount for one in records(portal.run(**options))] == [13]


@pytest.mark.parametrize("table", ["AcceleratorRecords", "AcceleratorSummaries", "IPRecords", "IPSummaries"])
def test_republish_by_site_month_and_vo(portal: Portal, table: str) -> None:
    fill(portal)
    words = ["republish", "--month", "2025-03"]
    whole = len(records(portal.run(words, table_name=table)))
    site = records(portal.run(words, table_name=table))[0].SiteName
    assert whole and len(records(portal.run([*words, "--site", site], table_name=table))) == whole
    assert portal.fails([*words, "--site", "OTHER"], table_name=table) == 1
    assert portal.sent() == []
    assert portal.run(["republish", "--month", "2025-02"], table_name=table) == []
    some = records(portal.run(["republish", "--vo", "vo.example"], table_name=table))
    assert some and {one.VO for one in some} == {"vo.example"}
    assert portal.run(["republish", "--vo", "ops"], table_name=table) == []


def test_summariser_command(centre: Centre, tmp_path: Any, request: Any, capsys: Any) -> None:
    backend = centre.db.backend
    if backend.name == "sqlite":
        options = {"backend": "sqlite", "name": backend.path}  # type: ignore[attr-defined]
    else:
        options = request.getfixturevalue("mariadb").options_for(backend.database)  # type: ignore[attr-defined]
    installed = Installation(tmp_path, dict(options, type="ip"))
    centre.load(ips(measured("2025-03-02", 3), measured("2025-04-02", 3)))
    assert installed.summarise("--dry-run") == 0
    assert "2 months would be made again" in capsys.readouterr().out
    assert installed.summarise() == 0
    centre.execute("DELETE FROM IPSummaries")
    assert installed.summarise("--verify", "--month", "2025-04") == 0
    assert sums(centre, "Month") == [(4,)]
