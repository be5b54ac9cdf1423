"""Accelerators at the centre: their records, the sums of each month, categories of models, and unloading."""

from typing import Any, Dict, Iterator, List

import pytest
from central_records import accelerators, gpu, gpu_sum
from centre import SIGNER, Centre, Installation, message
from portal import Portal, records

from apel.db.schema import initialise
from apel.messages import decode
from apel.server.site_rights import ENFORCE, SiteRights
from apel.server.summarise import ACCELERATOR, Summariser
from apel.server.views import CENTRE_VIEWS
from apel.unloader import Receiver, Unloader
from apel.views import Selection
from servers.databases import BACKENDS, fresh_database
from ssm.dn import canonical

HOUR = 3600
SUMMED = "Count, Cores, AvailableDuration, ActiveDuration, NumberOfRecords"


@pytest.fixture(params=BACKENDS)
def centre(request: Any, tmp_path: Any) -> Iterator[Centre]:
    """A centre with an accelerator database, on each back end in turn."""
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    for db in fresh_database("accelerator", tmp_path, server):
        yield Centre(tmp_path / "spool", db)


def summarise(centre: Centre) -> int:
    return Summariser(centre.db, sums=ACCELERATOR).run()


def sums(centre: Centre, columns: str = SUMMED) -> List[Any]:
    return sorted(centre.rows("SELECT %s FROM VAcceleratorSummaries" % columns), key=str)


def hours(centre: Centre) -> float:
    """GPU-hours by the sums."""
    return float(centre.rows("SELECT SUM(Count * AvailableDuration) FROM AcceleratorSummaries")[0][0]) / HOUR


def test_record_is_kept_as_it_was_sent(centre: Centre) -> None:
    sent = gpu(Cores=128, BenchmarkType="HEPscore23", Benchmark=1.5)
    centre.load(accelerators(sent, gpu(AssociatedRecord="2", FQAN=None, GlobalUserName=None, Model=None)))
    columns = "AssociatedRecord, FQAN, VO, VOGroup, VORole, Cores, ActiveDuration, Benchmark, Model"
    assert sorted(centre.rows("SELECT %s FROM VAcceleratorRecords" % columns)) == [
        ("1001", sent.FQAN, "vo.example", "/vo.example", "Role=member", 128, None, 1.5, "VendorA-ModelB"),
        ("2", "None", "None", "None", "None", None, None, None, "None"),
    ]
    query = "SELECT DISTINCT name FROM AcceleratorRecords JOIN DNs ON DNs.id = PublisherDNID"
    assert centre.rows(query) == [(SIGNER,)]


def test_hours_are_those_of_the_records(centre: Centre) -> None:
    """A hand-made truth: counts, shares, users, FQANs, cores, benchmarks, models and kinds all apart."""
    alike = {"Count": 2.0, "AvailableDuration": 10 * HOUR}
    others: List[Dict[str, Any]] = [
        {"Count": 4.0},
        {"Count": 0.25},
        {"GlobalUserName": "/CN=Bob"},
        {"FQAN": "/vo.example/Role=admin"},
        {"Cores": 64},
        {"BenchmarkType": "x", "Benchmark": 2.0},
        {"Model": "VendorA-ModelC"},
        {"Type": "FPGA"},
        {"AssociatedRecordType": "cloud"},
        {"SiteName": "EXAMPLE-SOUTH"},
        {"MeasurementMonth": 2},
    ]
    sent = [gpu(AssociatedRecord="a", **alike), gpu(AssociatedRecord="b", **alike)]
    sent += [gpu(AssociatedRecord=str(n), **dict(alike, **one)) for n, one in enumerate(others)]
    centre.load(accelerators(*sent))
    assert summarise(centre) == 3
    assert centre.count("AcceleratorSummaries") == 1 + len(others)
    assert hours(centre) == 10 * (2 + 2 + 4 + 0.25 + 9 * 2)
    assert summarise(centre) == 0


def test_absent_active_duration_counts_as_available(centre: Centre) -> None:
    """In the sum alone: the record stays as it was sent."""
    centre.load(accelerators(gpu(ActiveDuration=600), gpu(AssociatedRecord="2")))
    summarise(centre)
    assert sums(centre) == [(2.0, None, 2 * HOUR, HOUR + 600, 2)]
    assert sorted(centre.rows("SELECT ActiveDuration FROM AcceleratorRecords"), key=str) == [(600,), (None,)]


def test_share_of_a_seventh_loses_next_to_nothing(centre: Centre) -> None:
    """The draft keeps three decimals: of seven parts of a card it makes 1.001."""
    centre.load(accelerators(*(gpu(AssociatedRecord=str(part), Count=1 / 7) for part in range(7))))
    summarise(centre)
    assert abs(hours(centre) - 1) < 2e-6


def test_later_message_replaces_and_its_month_is_made_again(centre: Centre) -> None:
    """D6, D8: as a month goes on; and what changes its user leaves no sum behind."""
    centre.load(accelerators(gpu(AvailableDuration=HOUR)))
    summarise(centre)
    centre.load(accelerators(gpu(AvailableDuration=5 * HOUR, GlobalUserName="/CN=Bob")))
    assert summarise(centre) == 1
    assert sums(centre, "GlobalUserName, AvailableDuration") == [("/CN=Bob", 5 * HOUR)]
    centre.execute("DELETE FROM AcceleratorRecords")
    summariser = Summariser(centre.db, sums=ACCELERATOR)
    (miscount,) = summariser.miscounted()
    assert (miscount.jobs, miscount.summed) == (0, 1)
    summariser.mark({miscount.month})
    summarise(centre)
    assert sums(centre) == []


def test_same_message_twice_is_stored_once(centre: Centre) -> None:
    """D6."""
    body = accelerators(gpu(), gpu(Type="FPGA"), gpu(SiteName="EXAMPLE-SOUTH"))
    centre.load(body, body)
    assert centre.count("AcceleratorRecords") == 3


def test_received_sums_stand_beside_ours_and_give_way_to_them(centre: Centre) -> None:
    sent = message([gpu_sum(), gpu_sum(Model="other", Cores=7)], "accelerator summary v0.1")
    centre.load(sent, accelerators(gpu()))
    summarise(centre)
    assert sums(centre, "Model, AvailableDuration, NumberOfRecords") == [
        ("VendorA-ModelB", HOUR, 1),
        ("other", 18000, 5),
    ]
    centre.load(sent)
    summarise(centre)
    assert hours(centre) == 2 * (1 + 5)


def test_one_bad_record_rejects_itself_alone_and_can_be_replayed(centre: Centre) -> None:
    """D2, D3."""
    centre.load(accelerators(gpu(), gpu(AssociatedRecord="2")).replace('"1001"', "1001"))
    (rejected,) = centre.rejected()
    assert "record 1: AssociatedRecord: a int where text belongs" in rejected["error"]
    assert centre.rows("SELECT AssociatedRecord FROM AcceleratorRecords") == [("2",)]
    centre.load(rejected["body"].replace("1001", '"1001"'))
    assert centre.count("AcceleratorRecords") == 2


def test_records_of_a_site_whose_signer_has_no_right_are_refused(centre: Centre, tmp_path: Any) -> None:
    """D13: each by itself; what is refused stands in one message that can be read again."""
    (tmp_path / "dn-sites").write_text("EXAMPLE-NORTH %s\n" % SIGNER)
    rights = SiteRights(str(tmp_path / "dn-sites"), ENFORCE, canonical)
    others = [gpu(SiteName=name) for name in ("OTHER", "ANOTHER")]
    centre.load(accelerators(others[0], gpu(), others[1]), rights=rights)
    assert centre.rows("SELECT SiteName FROM VAcceleratorRecords") == [("EXAMPLE-NORTH",)]
    (rejected,) = centre.rejected()
    assert "record 1: SiteName: OTHER" in rejected["error"] and "may not send it" in rejected["error"]
    assert decode(rejected["body"]).records == decode(accelerators(*others)).records


def test_category_of_a_model_is_that_of_the_first_of_the_month(centre: Centre) -> None:
    centre.load(accelerators(gpu(), gpu(MeasurementMonth=4), gpu(Model="other")))
    summarise(centre)
    insert = "INSERT INTO AcceleratorModels (Model, Type, Date, Category) VALUES (%s, %s, %s, %s)"
    for day, category in (("2000-01-01", "old"), ("2025-03-02", "new"), ("2025-05-01", "newest")):
        centre.execute(insert, ["VendorA-ModelB", "GPU", day, category])
    centre.execute(insert, ["VendorA-ModelB", "FPGA", "2025-03-01", "wrong"])
    assert sums(centre, "Model, Month, Category") == [
        ("VendorA-ModelB", 3, "old"),
        ("VendorA-ModelB", 4, "new"),
        ("other", 3, None),
    ]


def test_withheld_names_add_up_what_becomes_one_row(centre: Centre) -> None:
    class Queue(List[str]):
        add = List.append

    centre.load(accelerators(gpu(ActiveDuration=60), gpu(AssociatedRecord="2", GlobalUserName="/CN=Bob")))
    summarise(centre)
    queue = Queue()
    chosen = Selection("all", withhold_dns=True, local_jobs=True)
    unloader = Unloader(centre.db, queue, chosen, 1000, CENTRE_VIEWS, Receiver("sent x"))
    unloader.unload("AcceleratorSummaries")
    (record,) = decode(queue[0]).records
    assert (record.GlobalUserName, record.Count, record.AvailableDuration) == ("withheld", 2.0, 2 * HOUR)
    assert (record.ActiveDuration, record.NumberOfRecords) == (HOUR + 60, 2)
    unloader.unload("AcceleratorRecords")
    assert [one.GlobalUserName for one in decode(queue[1]).records] == ["withheld"] * 2


def test_receiver_of_sums_forgets_the_one_whose_record_moved(portal: Portal) -> None:
    """D8: a sum that is no more is unloaded as one of no records, and is in no view of sums."""
    table = {"table_name": "AcceleratorSummaries"}
    for user in ("/CN=Ada", "/CN=Bob"):
        portal.centre.load(accelerators(gpu(GlobalUserName=user)))
        summarise(portal.centre)
    sent = portal.run(**table)
    found = {one.GlobalUserName: (one.NumberOfRecords, one.AvailableDuration) for one in records(sent)}
    assert found == {"/CN=Ada": (0, 0), "/CN=Bob": (1, HOUR)}
    portal.centre.execute("DELETE FROM AcceleratorSummaries")
    portal.centre.load(*sent)
    assert portal.centre.rows("SELECT GlobalUserName FROM VAcceleratorSummaries") == [("/CN=Bob",)]


def test_sums_of_no_records_go_when_they_are_old(centre: Centre) -> None:
    """Here nothing is unloaded, so nobody is left who has to be told."""
    for user in ("/CN=Ada", "/CN=Bob"):
        centre.load(accelerators(gpu(GlobalUserName=user)))
        summarise(centre)
    summariser = Summariser(centre.db, sums=ACCELERATOR)
    assert summariser.forget_empty() == 0
    centre.execute("UPDATE AcceleratorSummaries SET UpdateTime = '2025-06-01 00:00:00'")
    assert summariser.forget_empty() == 1
    assert centre.count("AcceleratorSummaries") == 1
    assert sums(centre, "GlobalUserName") == [("/CN=Bob",)]


# -- commands -------------------------------------------------------------------------------------


@pytest.fixture
def installed(centre: Centre, tmp_path: Any, request: Any) -> Installation:
    """The commands with their configuration files; db.cfg says `type = accelerator`."""
    backend = centre.db.backend
    if backend.name == "sqlite":
        options = {"backend": "sqlite", "name": backend.path}  # type: ignore[attr-defined]
    else:
        options = request.getfixturevalue("mariadb").options_for(backend.database)  # type: ignore[attr-defined]
    return Installation(tmp_path, dict(options, type="accelerator"))


def test_summariser_by_site_and_month(centre: Centre, installed: Installation, capsys: Any) -> None:
    centre.load(accelerators(gpu(), gpu(MeasurementMonth=4), gpu(SiteName="EXAMPLE-SOUTH")))
    assert installed.summarise("--dry-run") == 0
    assert "3 months would be made again" in capsys.readouterr().out
    assert centre.count("AcceleratorSummaries") == 0
    assert installed.summarise("--site", "EXAMPLE-NORTH", "--month", "2025-03") == 0
    assert sums(centre, "SiteName, Month") == [("EXAMPLE-NORTH", 3)]
    assert installed.summarise() == 0
    assert centre.count("AcceleratorSummaries") == 3
    centre.execute("DELETE FROM AcceleratorSummaries")
    assert installed.summarise("--verify") == 0
    assert centre.count("AcceleratorSummaries") == 3
    centre.execute("DELETE FROM AcceleratorSummaries")
    assert installed.summarise("--all", "--site", "EXAMPLE-SOUTH") == 0
    assert sums(centre, "SiteName") == [("EXAMPLE-SOUTH",)]


def test_message_without_its_tables_is_rejected_with_advice(tmp_path: Any) -> None:
    """D2: it is kept, and can be loaded when they are."""
    for db in fresh_database("cloud", tmp_path, None):
        centre = Centre(tmp_path / "spool", db)
        centre.load(accelerators(gpu()))
        (rejected,) = centre.rejected()
        assert "run `apeldb init --schema accelerator`" in rejected["error"]
        initialise(db.backend, "accelerator")
        db.close()
        centre.load(rejected["body"])
        assert centre.count("AcceleratorRecords") == 1
