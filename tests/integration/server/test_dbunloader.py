"""apeldbunloader: which rows go to whom, in which form, and what is remembered of it."""

import os
import signal
from typing import Any, Dict, List, Tuple

import pytest
from central_records import accelerators, cloud, gpu, ips, measured, normalised, vm
from centre import END, Installation, job, message, summary
from portal import Portal, fill, formats, records

from apel.commands import apeldbunloader
from apel.server.summarise import ACCELERATOR, CLOUD, IP, Summariser
from servers.databases import fresh_database

#: Of each table: the usual format, that with dict_benchmark_type, that with send_ur, and how many records.
MATRIX: Dict[str, Tuple[str, str, str, int]] = {
    "VJobRecords": ("job v0.3", "job v0.4", "job car", 2),
    "VSummaries": ("summary v0.2", "summary v0.4", "summary aur", 1),
    "VSuperSummaries": ("summary v0.2", "summary v0.4", "summary aur", 4),
    "VNormalisedSummaries": (
        "normalised summary v0.3",
        "normalised summary v0.4",
        "normalised summary aur",
        1,
    ),
    "VNormalisedSuperSummaries": (
        "normalised summary v0.3",
        "normalised summary v0.4",
        "normalised summary aur",
        4,
    ),
    "VSyncRecords": ("sync v0.1", "", "", 1),
    "VCloudRecords": ("cloud v0.4", "", "", 1),
    "VCloudSummaries": ("cloud summary v0.4", "", "", 1),
    "VStarRecords": ("", "", "storage star", 1),
    "AcceleratorRecords": ("accelerator v0.1", "", "", 2),
    "AcceleratorSummaries": ("accelerator summary v0.1", "", "", 3),
    "IPRecords": ("public ip v0.2", "", "", 2),
    "IPSummaries": ("public ip summary v0.1", "", "", 3),
}


def test_every_table_in_every_format(portal: Portal) -> None:
    """Those there are; all others are errors of configuration, before anything is done."""
    fill(portal)
    for table, (text, braces, markup, count) in MATRIX.items():
        for format, options in (
            (text, {}),
            (braces, {"dict_benchmark_type": "true"}),
            (markup, {"send_ur": "true"}),
        ):
            for interval in ("all", "latest"):
                if not format:
                    assert portal.fails(table_name=table, interval=interval, **options) == 2
                    continue
                portal.centre.execute("DELETE FROM LastUpdated WHERE Type LIKE 'sent%%'")
                sent = portal.run(table_name=table, interval=interval, **options)
                assert (formats(sent), len(records(sent))) == ([format], count), (table, format)
            if table == "VSuperSummaries" and format == "summary v0.4":
                assert "{HEPSPEC:" not in sent[0].replace("{HEPSPEC: 0.0}", "")


def lines(messages: List[str]) -> List[str]:
    """What messages say, whatever the order of their records: databases give them in any."""
    return sorted(line.rstrip(",") for text in messages for line in text.splitlines())


def test_what_is_unloaded_can_be_loaded_and_unloaded_the_same(portal: Portal) -> None:
    """Another centre that loads it has the same."""
    fill(portal)
    first: Dict[str, List[str]] = {}
    tables = ["VJobRecords", "VSummaries", "VNormalisedSummaries", "VSyncRecords", "VCloudRecords"]
    in_json = ["AcceleratorRecords", "AcceleratorSummaries", "IPRecords", "IPSummaries"]
    tables += in_json
    options = {"decimal_cpu_count": "true", "include_infrastructure_description": "true"}
    for table in tables:
        first[table] = portal.run(table_name=table, interval="all", **options)
    first["VStarRecords"] = portal.run(table_name="VStarRecords", interval="all", send_ur="true")
    assert '"authority">/O=Example/CN=voms.example<' in first["VStarRecords"][0]
    for name in (
        "JobRecords",
        "Summaries",
        "NormalisedSummaries",
        "SyncRecords",
        "CloudRecords",
        "StarRecords",
        *in_json,
    ):
        portal.centre.execute("DELETE FROM " + name)
    portal.centre.execute("DELETE FROM GroupAttributes")
    portal.centre.load(*(text for messages in first.values() for text in messages))
    assert portal.centre.rejected() == []
    for table in tables:
        again = portal.run(table_name=table, interval="all", **options)
        assert lines(again) == lines(first[table]), table
    assert portal.run(table_name="VStarRecords", interval="all", send_ur="true") == first["VStarRecords"]


def test_cpus_of_machines_are_whole_unless_decimals_are_wanted(small: Portal) -> None:
    small.centre.load(cloud(*(vm("2025-03-31", 1, VMUUID=str(cpus), CpuCount=cpus) for cpus in (0.5, 2.9))))
    assert [one.CpuCount for one in records(small.run(table_name="VCloudRecords"))] == [1.0, 2.0]
    options = {"table_name": "VCloudRecords", "interval": "all", "decimal_cpu_count": "true"}
    assert [one.CpuCount for one in records(small.run(**options))] == [0.5, 2.9]


# -- which rows -----------------------------------------------------------------------------------


def test_gap_sends_both_days_whole_of_everything(portal: Portal) -> None:
    """C9: days by the end of jobs, storage and machines, months of sums."""
    fill(portal)
    for table, (text, _, _, count) in MATRIX.items():
        options = {"table_name": table, "interval": "gap", "send_ur": "false" if text else "true"}
        assert len(records(portal.run(gap_start="2025-03-01", gap_end="2025-03-31", **options))) == count, (
            table
        )
        assert portal.run(gap_start="2025-02-01", gap_end="2025-02-28", **options) == []
    for first, last, count in (("28", "28", 0), ("01", "01", 2)):
        month = "03" if first == "01" else "02"
        gap = {"gap_start": "2025-%s-%s" % (month, first), "gap_end": "2025-%s-%s" % (month, last)}
        assert len(records(portal.run(interval="gap", **gap))) == count


@pytest.mark.parametrize("table", ["VJobRecords", "VSuperSummaries", "VNormalisedSuperSummaries"])
def test_local_jobs_and_vos_are_chosen_everywhere(portal: Portal, table: str) -> None:
    """Also of normalised sums, where the incumbent fails."""
    fill(portal)
    found = records(portal.run(table_name=table, interval="all", local_jobs="false"))
    assert found and "ops" not in {one.VO for one in found}
    found = records(portal.run(table_name=table, interval="all", include_vos="ATLAS, none"))
    assert {one.VO for one in found} == {"atlas"}
    found = records(portal.run(table_name=table, interval="all", exclude_vos="atlas"))
    assert found and "atlas" not in {one.VO for one in found}


@pytest.mark.parametrize("table", sorted(set(MATRIX) - {"VStarRecords", "VSyncRecords"}))
def test_names_are_withheld_of_everything_and_sums_stay_right(portal: Portal, table: str) -> None:
    fill(portal)
    users = [{"GlobalUserName": "/CN=%d" % number} for number in range(2)]
    portal.centre.load(
        message([summary(**each) for each in users], "summary v0.2"),
        message([normalised(**each) for each in users], "normalised summary v0.4"),
        cloud(*(vm("2025-03-31", 10, VMUUID=each["GlobalUserName"], **each) for each in users)),
        accelerators(*(gpu(AssociatedRecord=each["GlobalUserName"], **each) for each in users)),
        ips(*(measured("2025-03-02", 5, **each) for each in users)),
    )
    portal.centre.summarise()
    for sums in (CLOUD, ACCELERATOR, IP):
        Summariser(portal.centre.db, sums=sums).run()
    plain = records(portal.run(table_name=table, interval="all"))
    withheld = records(portal.run(table_name=table, interval="all", withhold_dns="true"))
    assert {one.GlobalUserName for one in withheld} <= {None, "withheld"}
    fields = ("WallDuration", "AvailableDuration", "IPCount", "LastIPCount")
    field = next(name for name in fields if name in plain[0].names)
    assert sum(getattr(one, field) for one in withheld) == sum(getattr(one, field) for one in plain) > 0


def test_republish_by_site_month_and_vo(portal: Portal) -> None:
    """What counts as sent stays as it is."""
    fill(portal)
    april = {"StartTime": END + 40 * 86400, "EndTime": END + 40 * 86400}
    portal.centre.load(message([job(LocalJobId="april", **april), job(Site="OTHER", LocalJobId="other")]))
    portal.age("JobRecords")
    for words, wanted in (
        (["--site", "OTHER"], {"other"}),
        (["--month", "2025-04"], {"april"}),
        (["--vo", "ops"], {"2"}),
        (["--site", "EXAMPLE-NORTH", "--month", "2025-03", "--vo", "atlas"], {"1001"}),
    ):
        found = records(portal.run(["republish", *words]))
        assert {one.LocalJobId for one in found} == wanted
    assert len(records(portal.run())) == 4
    for table, (text, _, _, _) in MATRIX.items():
        words = ["republish", "--month", "2025-03"]
        assert portal.run(words, table_name=table, send_ur="false" if text else "true"), table


def test_republish_needs_to_know_what(small: Portal, capsys: Any) -> None:
    """C11."""
    assert small.fails(["republish"]) == small.fails(["--site", "X"]) == 2
    assert small.fails(["republish", "--vo", "cms"], include_vos="atlas") == 2
    assert small.fails(["republish", "--vo", "cms"], table_name="VSyncRecords") == 2
    assert small.fails(["republish", "--site", "X", "--daemon"]) == 2
    assert small.sent() == [] and "needs --site, --month or --vo" in capsys.readouterr().err


def test_republish_of_a_site_that_is_not_there_fails(small: Portal, capsys: Any) -> None:
    assert small.fails(["republish", "--site", "X"]) == 1
    assert "No site X in this database" in capsys.readouterr().err


# -- messages -------------------------------------------------------------------------------------


def test_messages_are_no_larger_than_wanted(small: Portal) -> None:
    small.centre.load(message([job(LocalJobId=str(number)) for number in range(100)]))
    sent = small.run(records_per_message="60", max_message_size="20000")
    assert all(len(text.encode("utf-8")) <= 20000 for text in sent)
    assert len(sent) > 2 and len(records(sent)) == 100
    assert len(small.run(interval="all", max_message_size="1")) == 100


def test_bad_options_are_all_said_before_anything_is_done(small: Portal, capsys: Any) -> None:
    """C11."""
    options = {
        "table_name": "VStarRecords",
        "interval": "gap",
        "records_per_message": "many",
        "include_vos": "a",
    }
    assert small.fails(**options) == 2
    told = capsys.readouterr().err
    for words in ("gap_start is missing", "records_per_message", "set send_ur to true", "not chosen by VO"):
        assert words in told


def test_invalid_row_is_named_and_left_out(small: Portal, capsys: Any) -> None:
    fill(small)
    small.centre.execute("UPDATE JobRecords SET ServiceLevelType = 'wattage' WHERE LocalJobId = '2'")
    assert small.fails() == 1
    assert "1 records are invalid" in capsys.readouterr().err
    assert [one.LocalJobId for one in records(small.sent())] == ["1001"]


def test_configuration_can_be_checked(small: Portal, capsys: Any) -> None:
    small.configure(table_name="VStarRecords", send_ur="true")
    assert small.fails(["--check-config"], table_name="VSyncRecords") in (0, 1)
    assert "schema server version" in capsys.readouterr().out and small.sent() == []


def test_table_that_is_not_in_the_database_is_said(tmp_path: Any, capsys: Any) -> None:
    for db in fresh_database("server", tmp_path):
        options = {"backend": "sqlite", "name": db.backend.path}  # type: ignore[attr-defined]
        portal = Portal(Installation(tmp_path, options), db)
        assert portal.fails(table_name="VCloudRecords") == 2
        assert "no cloud tables" in capsys.readouterr().err


def test_daemon_runs_again_and_again_and_reads_its_files_when_told_to(
    small: Portal, monkeypatch: Any
) -> None:
    fill(small)
    small.age("JobRecords", "SyncRecords")
    runs: List[int] = []

    def steps(step: Any, interval: float, stop: Any) -> None:
        assert interval == 3600.0
        for number in range(4):
            if number == 2:
                small.configure(table_name="VSyncRecords", run_interval="60")
                os.kill(os.getpid(), signal.SIGHUP)
            if number == 3:
                small.configure(table_name="VNothing")
                os.kill(os.getpid(), signal.SIGHUP)
            step()
            runs.append(len(small.sent()))

    monkeypatch.setattr(apeldbunloader, "run_steps", steps)
    assert small.run(["--daemon"]) == []
    assert runs == [1, 0, 1, 0]
    assert "what was in force stays" in small.files.log()
    assert "A new run_interval is taken up when" in small.files.log()
