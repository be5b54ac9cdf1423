"""Job records of long ago go, their sums stay, and an archive brings them back."""

import gzip
import os
import time
from typing import Any, Dict, List

import pytest
from centre import END, SIGNER, Centre, Installation, job, jobs, message, summary

from apel.commands import apeldb, apelreplay
from apel.db import Database
from apel.server.archive import contents, write_archive
from apel.server.closed import CLOSED, PURGED, RESTORING, MonthsClosed, refuse_closed
from apel.server.retention import COLUMNS, Purged, Retention, reopen
from apel.server.summarise import Summariser
from apel.summaries import SiteMonth
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, Permanent

SUMS = ("VSuperSummaries", "VNormalisedSuperSummaries")
MARCH = (2025, 3)
LATER = "2037-01-01 00:00:00"
OTHER = "/DC=org/DC=example/CN=other"


def unloaded(centre: Centre, when: str = LATER) -> None:
    """An unload has taken everything up to then."""
    row = ("sent", when)
    centre.db.run(lambda tx: tx.insert("LastUpdated", ("Type", "UpdateTime"), [row], "update"))


def fill(centre: Centre) -> None:
    """Two sites in March, one of them in April as well; summed, and unloaded."""
    april = [record.replace(EndTime=END + 40 * 86400) for record in jobs(20, Site="NORTH")]
    several = message([job(Site="NORTH", LocalJobId="b", MemoryReal=None)], "job v0.4")
    several = several.replace(
        "ServiceLevel: {HEPscore23: 10.0}", "ServiceLevel: {HEPscore23: 10.0, si2k: 2500}"
    )
    assert "si2k" in several
    for body in (message(jobs(50, Site="NORTH")), message(april), several, message(jobs(30, Site="SOUTH"))):
        centre.deliver(body)
    centre.deliver(message(jobs(5, Site="NORTH", MachineName="other")), signer=OTHER)
    centre.deliver(message([summary(Site="NORTH")], "summary v0.2"))
    centre.loader().step()
    centre.summarise()
    unloaded(centre)


def purge(centre: Centre, **options: Any) -> Purged:
    """Purge up to March, without waiting between closing and purging."""
    retention = Retention(centre.db, MARCH, **options)
    retention.grace_seconds = 0
    return retention.run()


def month_of(centre: Centre, site: str) -> SiteMonth:
    """March of a site."""
    return SiteMonth(centre.db.ids("Sites", [site])[site], *MARCH)


def sums(centre: Centre) -> Dict[str, List[str]]:
    """All sums."""
    return {
        view: sorted(map(str, [row[1:] for row in centre.rows("SELECT * FROM %s" % view)])) for view in SUMS
    }


def all_jobs(centre: Centre) -> Any:
    """Everything about all jobs but when they were written."""
    view = sorted(str(row[1:]) for row in centre.rows("SELECT * FROM VJobRecords"))
    signers = centre.rows(
        "SELECT name, COUNT(*) FROM JobRecords JOIN DNs ON id = PublisherDNID GROUP BY name"
    )
    return (
        view,
        sorted(signers),
        sorted(centre.rows("SELECT LocalJobId, BenchmarkType, Benchmark FROM JobBenchmarks")),
    )


def test_jobs_go_and_sums_stay(centre: Centre) -> None:
    """Closed by one run and purged by the next; then nothing makes the sums again, not even --all."""
    fill(centre)
    before = sums(centre)
    north, south = month_of(centre, "NORTH"), month_of(centre, "SOUTH")
    assert purge(centre) == Purged({}, [north, south], [], {})
    assert centre.count("JobRecords") == 106
    assert purge(centre) == Purged({north: 56, south: 30}, [], [], {})
    assert centre.count("JobRecords") == 20 and centre.count("JobBenchmarks") == 0
    summariser = Summariser(centre.db)
    assert summariser.miscounted() == []
    summariser.mark(summariser.all_months())
    summariser.run()
    assert sums(centre) == before
    assert purge(centre) == Purged({}, [], [], {})


def test_sums_that_a_site_sends_still_count_in_a_purged_month(centre: Centre) -> None:
    fill(centre)
    purge(centre)
    purge(centre)
    centre.load(message([summary(Site="NORTH", NumberOfJobs=70)], "summary v0.2"))
    centre.summarise()
    query = "SELECT SUM(NumberOfJobs) FROM VSuperSummaries WHERE Site = 'NORTH' AND Month = 3"
    assert int(centre.rows(query)[0][0]) == 56 + 70


def test_nothing_is_purged_before_an_hour_is_over(centre: Centre) -> None:
    """A loader's transaction may have begun before the month was closed."""
    fill(centre)
    retention = Retention(centre.db, MARCH)
    assert len(retention.run().closed) == 2
    assert len(retention.run().waiting) == 2
    centre.execute("UPDATE ClosedMonths SET ClosedTime = '2025-01-01 00:00:00'")
    assert len(retention.run().purged) == 2


def test_what_is_not_summarised_is_not_purged(centre: Centre) -> None:
    """Not when it is to be closed, and not when something came after that."""
    fill(centre)
    centre.load(message(jobs(1, Site="SOUTH", LocalJobId="new")))
    south = month_of(centre, "SOUTH")
    assert "run apelsummariser" in purge(centre).refused[south]
    centre.summarise()
    unloaded(centre)
    assert south in purge(centre).closed
    # A transaction that began before the closing, and ends after it.
    centre.execute("UPDATE ClosedMonths SET State = %s", (RESTORING,))
    centre.load(message(jobs(1, Site="SOUTH", LocalJobId="late")))
    centre.execute("UPDATE ClosedMonths SET State = %s", (CLOSED,))
    unloaded(centre)
    assert "run apelsummariser" in purge(centre).refused[south]
    assert centre.count("JobRecords") == 106 + 2 - 56
    centre.summarise()
    unloaded(centre)
    assert purge(centre).purged == {south: 32}


def test_what_was_corrected_and_not_summarised_is_not_purged(centre: Centre) -> None:
    """D8: as many jobs and seconds as before, and of another VO."""
    fill(centre)
    centre.load(message(jobs(30, Site="SOUTH", FQAN="/cms")))
    unloaded(centre)
    assert "its sums are not made yet" in purge(centre).refused[month_of(centre, "SOUTH")]


def test_what_was_changed_by_hand_is_not_purged(centre: Centre) -> None:
    """Its sums do not say what its records say."""
    fill(centre)
    centre.execute("UPDATE JobRecords SET WallDuration = WallDuration + 1 WHERE LocalJobId = '7'")
    refused = purge(centre).refused
    assert "seconds are (56" not in refused[month_of(centre, "SOUTH")]
    assert "run apelsummariser --all" in refused[month_of(centre, "SOUTH")]


def test_what_is_not_unloaded_is_not_purged(centre: Centre) -> None:
    """Every unload must have run since the records and the sums were written."""
    fill(centre)
    south = month_of(centre, "SOUTH")
    unloaded(centre, "2025-01-01 00:00:00")
    assert "this unload has not run since then: sent" in purge(centre).refused[south]
    centre.execute("DELETE FROM LastUpdated WHERE Type = 'sent'")
    assert "nothing was ever unloaded" in purge(centre).refused[south]
    assert south in purge(centre, unloaded=False).closed


def test_a_closed_month_takes_no_jobs(centre: Centre) -> None:
    """They are rejected with the reason, and those of other months are stored."""
    fill(centre)
    purge(centre, site_id=month_of(centre, "SOUTH").site_id)
    records = [job(Site="SOUTH", LocalJobId="x"), job(Site="SOUTH", LocalJobId="y", EndTime=END + 40 * 86400)]
    centre.load(message(records), message(jobs(1, Site="SOUTH", LocalJobId="z")))
    first, second = centre.rejected()
    assert "2025-03 have been archived, and the month is closed" in first["error"]
    assert "LocalJobId: x" in first["body"] and "LocalJobId: y" not in first["body"]
    assert "LocalJobId: z" in second["body"]
    assert centre.rows("SELECT COUNT(*) FROM JobRecords WHERE LocalJobId IN ('x', 'y', 'z')") == [(1,)]
    centre.load(message(records), strict=True)
    assert len(centre.rejected()) == 3
    assert reopen(centre.db, month_of(centre, "SOUTH")) == CLOSED
    centre.load(message(records))
    assert centre.rows("SELECT COUNT(*) FROM JobRecords WHERE LocalJobId IN ('x', 'y', 'z')") == [(2,)]


def test_closed_months_of_more_sites_than_an_old_sqlite_takes_parameters(
    centre: Centre, monkeypatch: Any
) -> None:
    """Those of EL8 and older take 999; a message may hold jobs of so many sites."""
    months = [(site, 2025, 3) for site in range(1, 1102)]
    closed = (1101, 2025, 3, CLOSED, 1, "2025-06-01 00:00:00", 0)
    centre.db.run(lambda tx: tx.insert("ClosedMonths", COLUMNS, [closed]))
    backend, numbers = type(centre.db.backend), []
    execute = backend.execute

    def counted(self: Any, connection: Any, sql: str, params: Any) -> Any:
        numbers.append(len(params))
        return execute(self, connection, sql, params)

    monkeypatch.setattr(backend, "execute", counted)
    centre.db.run(lambda tx: refuse_closed(tx, months[:-1]))
    with pytest.raises(MonthsClosed):
        centre.db.run(lambda tx: refuse_closed(tx, months))
    assert 1 < max(numbers) <= 999


def test_a_purge_that_is_killed_goes_on(centre: Centre, monkeypatch: Any) -> None:
    """What is left of a month that is being purged goes at the next run, without further questions."""
    fill(centre)
    before = sums(centre)
    monkeypatch.setattr("apel.server.retention.ROWS_PER_TRANSACTION", 10)
    centre.execute("UPDATE JobRecords SET UpdateTime = '2025-01-01 00:00:00'")
    stretch = [job(Site="NORTH", LocalJobId="s%d" % each, EndTime=END + 8000 + each) for each in range(25)]
    centre.load(message(stretch))
    centre.summarise()
    unloaded(centre)
    before = sums(centre)
    purge(centre)
    calls: List[int] = []
    run = centre.db.run

    def die(work: Any, tries: int = 10) -> Any:
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return run(work, tries)

    monkeypatch.setattr(centre.db, "run", die)
    with pytest.raises(KeyboardInterrupt):
        purge(centre)
    monkeypatch.setattr(centre.db, "run", run)
    left = centre.count("JobRecords")
    assert 20 < left < 131
    centre.summarise()
    done = purge(centre)
    assert centre.count("JobRecords") == 20
    assert sum(done.purged.values()) == left - 20
    assert sums(centre) == before


def test_an_archive_brings_all_of_it_back(centre: Centre, tmp_path: Any) -> None:
    """Archived, purged, reopened and loaded again, everything is as before; sums stand until all is back."""
    fill(centre)
    jobs_before, sums_before = all_jobs(centre), sums(centre)
    north = month_of(centre, "NORTH")
    assert write_archive(centre.db, north, "NORTH", str(tmp_path)).records == 56
    path = str(tmp_path / "NORTH.2025-03.jobs.gz")
    for _ in range(2):
        purge(centre, site_id=north.site_id)
    assert centre.count("JobRecords") == 50
    assert reopen(centre.db, north) == PURGED
    restore(centre, path, 1)
    summariser = Summariser(centre.db)
    summariser.run()
    assert list(summariser.restoring) == [north]
    assert sums(centre) == sums_before
    restore(centre, path)
    assert centre.summarise() == 1
    assert all_jobs(centre) == jobs_before
    assert sums(centre) == sums_before
    assert centre.count("ClosedMonths") == centre.count("ChangedMonths") == 0
    assert centre.rejected() == []


@pytest.mark.parametrize("strict", [False, True])
def test_an_archive_that_is_loaded_late_undoes_no_correction(
    centre: Centre, tmp_path: Any, strict: bool
) -> None:
    """D6: what came for the month in the meantime may be loaded first."""
    fill(centre)
    south = month_of(centre, "SOUTH")
    path = str(tmp_path / "SOUTH.2025-03.jobs.gz")
    write_archive(centre.db, south, "SOUTH", str(tmp_path))
    for _ in range(2):
        purge(centre, site_id=south.site_id)
    reopen(centre.db, south)
    corrected = message([job(Site="SOUTH", LocalJobId="7", WallDuration=3601)], "job v0.4")
    corrected = corrected.replace("{HEPscore23: 10.0}", "{HEPscore23: 10.0, si2k: 2500}")
    centre.load(corrected, strict=strict)
    restore(centre, path, strict=strict)
    assert centre.rejected() == [] and centre.count("JobBenchmarks") == 2 + 2
    query = "SELECT WallDuration, COUNT(*) FROM VJobRecords WHERE Site = 'SOUTH' GROUP BY 1 ORDER BY 1"
    assert centre.rows(query) == [(3600, 29), (3601, 1)]
    assert centre.summarise() == 1
    total = "SELECT SUM(WallDuration), SUM(NumberOfJobs) FROM VSuperSummaries WHERE Site = 'SOUTH'"
    assert list(map(int, centre.rows(total)[0])) == [30 * 3600 + 1, 30]


def restore(centre: Centre, path: str, most: int = 100, strict: bool = False) -> None:
    """Load the first messages of an archive."""
    from apel.server.archive import messages_in

    for element in list(messages_in(path))[:most]:
        centre.incoming.add(element)
    centre.loader(strict).step()


def test_an_archive_that_was_cut_is_noticed(centre: Centre, tmp_path: Any) -> None:
    fill(centre)
    south = month_of(centre, "SOUTH")
    write_archive(centre.db, south, "SOUTH", str(tmp_path))
    path = tmp_path / "SOUTH.2025-03.jobs.gz"
    whole = path.read_bytes()
    assert contents(str(path)).records == 30
    path.write_bytes(whole[:-9])
    with pytest.raises(Permanent, match="can't be read"):
        contents(str(path))
    lines = gzip.decompress(whole).splitlines(True)
    path.write_bytes(gzip.compress(b"".join(lines[1:])))
    with pytest.raises(Permanent, match="was cut"):
        contents(str(path))
    assert not [name for name in os.listdir(str(tmp_path)) if name.endswith(".part")]


@pytest.fixture
def files(installation: Installation) -> Installation:
    """A centre with its configuration files, filled."""
    fill(installation.centre)
    return installation


def database_command(files: Installation, *words: str) -> int:
    """Run apeldb; its exit status."""
    return apeldb.main([*words, "-c", files.db_cfg, "--schema", "server"])


def test_the_commands_in_their_order(files: Installation, tmp_path: Any, capsys: Any) -> None:
    """Archive, purge twice, reopen, replay, load, summarise."""
    before, sums_before = all_jobs(files.centre), sums(files.centre)
    kept = tmp_path / "kept"
    kept.mkdir()
    old = ("--older-than", "1")
    assert database_command(files, "archive", *old, "--output", str(kept)) == EXIT_DONE
    assert sorted(os.listdir(str(kept))) == [
        "NORTH.2025-03.jobs.gz", "NORTH.2025-04.jobs.gz", "SOUTH.2025-03.jobs.gz",
    ]  # fmt: skip
    os.unlink(str(kept / "SOUTH.2025-03.jobs.gz"))
    purging = ("purge", *old, "--archived", str(kept))
    assert database_command(files, *purging, "--dry-run") == EXIT_FAILED
    assert files.centre.count("ClosedMonths") == 0
    assert database_command(files, *purging) == EXIT_FAILED
    told = capsys.readouterr()
    assert (
        "SOUTH 2025-03: not purged: " in told.err and "0 purged, 2 closed, 0 waiting, 1 refused" in told.out
    )
    files.centre.execute("UPDATE ClosedMonths SET ClosedTime = '2025-01-01 00:00:00'")
    assert database_command(files, *purging) == EXIT_FAILED
    assert "NORTH 2025-03: 56 jobs purged." in capsys.readouterr().out
    assert files.centre.count("JobRecords") == 30
    for month in ("2025-03", "2025-04"):
        assert database_command(files, "reopen", "--site", "NORTH", "--month", month) == EXIT_DONE
    archives = [str(kept / "NORTH.2025-03.jobs.gz"), str(kept / "NORTH.2025-04.jobs.gz")]
    assert apelreplay.main(["-c", files.loader_cfg, "--archive", *archives]) == EXIT_DONE
    assert files.load("--once") == EXIT_DONE
    assert files.summarise() == EXIT_DONE
    assert all_jobs(files.centre) == before
    assert sums(files.centre) == sums_before


@pytest.mark.parametrize("state", [PURGED, RESTORING])
def test_an_archive_is_not_replaced_by_what_is_left_of_its_month(
    files: Installation, tmp_path: Any, capsys: Any, state: str
) -> None:
    """A purge was killed, or not all is back yet, when the nightly archive comes: the rest would be lost."""
    archiving = ("archive", "--older-than", "1", "--site", "SOUTH", "--output", str(tmp_path))
    assert database_command(files, *archiving) == EXIT_DONE
    south = month_of(files.centre, "SOUTH")
    row = (*south, state, 30, LATER, 0)
    files.centre.db.run(lambda tx: tx.insert("ClosedMonths", COLUMNS, [row]))
    files.centre.execute("DELETE FROM JobRecords WHERE LocalJobId > '2' AND SiteID = %s", (south.site_id,))
    for words in (("--dry-run",), ()):
        capsys.readouterr()
        assert database_command(files, *archiving, *words) == EXIT_DONE
        assert "SOUTH 2025-03: not archived: not all of its jobs are here." in capsys.readouterr().out
    assert contents(str(tmp_path / "SOUTH.2025-03.jobs.gz")).records == 30


def test_a_month_that_can_not_be_archived_stops_no_other(
    files: Installation, tmp_path: Any, capsys: Any
) -> None:
    """A row from before an upgrade breaks a rule of today: its month is named, and stays."""
    files.centre.execute("UPDATE JobRecords SET ServiceLevelType = 'bogus' WHERE LocalJobId = '3'")
    april = month_of(files.centre, "NORTH")._replace(month=4)
    files.centre.execute(
        "UPDATE JobRecords SET ServiceLevelType = 'HEPSPEC' WHERE SiteID = %s AND EndMonth = 4", april[:1]
    )
    archiving = ("archive", "--older-than", "1", "--output", str(tmp_path))
    assert database_command(files, *archiving) == EXIT_FAILED
    told = capsys.readouterr()
    assert told.err.count("a record breaks a rule") == 2 and "NORTH.2025-03" in told.err
    assert "1 months of sites." in told.out
    assert [name for name in os.listdir(str(tmp_path)) if ".jobs.gz" in name] == ["NORTH.2025-04.jobs.gz"]


@pytest.mark.parametrize(
    "words",
    [
        ("purge",),
        ("archive", "--older-than", "12"),
        ("purge", "--older-than", "0"),
        ("reopen", "--site", "NORTH"),
        ("reopen", "--site", "NORTH", "--month", "2025-03", "--dry-run"),
        ("init", "--older-than", "3"),
        ("archive", "--older-than", "12", "--output", "/no/such/folder"),
        ("purge", "--older-than", "12", "--output", "/tmp"),
    ],
)
def test_mistakes_on_the_command_line(files: Installation, words: Any) -> None:
    assert database_command(files, *words) == EXIT_USAGE


def test_recent_months_and_unknown_sites(files: Installation, capsys: Any) -> None:
    assert database_command(files, "purge", "--older-than", "1200") == EXIT_DONE
    assert "0 purged, 0 closed" in capsys.readouterr().out
    assert database_command(files, "purge", "--older-than", "1", "--site", "WEST") == EXIT_FAILED


def test_a_site_with_an_odd_name(server_db: Database, tmp_path: Any) -> None:
    centre = Centre(tmp_path / "spool", server_db)
    centre.load(message(jobs(1, Site="a/../b c", Queue=None, FQAN=None, MemoryReal=None, Processors=None)))
    number = centre.db.ids("Sites", ["a/../b c"])["a/../b c"]
    done = write_archive(centre.db, SiteMonth(number, *MARCH), "a/../b c", str(tmp_path))
    assert done.records == contents(str(tmp_path / "a%2F..%2Fb c.2025-03.jobs.gz")).records == 1
    assert SIGNER in str(centre.rows("SELECT name FROM DNs"))


def test_an_archive_keeps_the_benchmarks_of_jobs_without_a_machine(centre: Centre, tmp_path: Any) -> None:
    """Absent names are the word None in the tables, and nothing in records."""
    body = message([job(MachineName=None), job(MachineName="m")], "job v0.4")
    centre.load(body.replace("{HEPscore23: 10.0}", "{HEPscore23: 10.0, si2k: 2500}"))
    assert centre.count("JobBenchmarks") == 4
    before = all_jobs(centre)
    write_archive(centre.db, month_of(centre, "EXAMPLE-NORTH"), "EXAMPLE-NORTH", str(tmp_path))
    for table in ("JobRecords", "JobBenchmarks"):
        centre.execute("DELETE FROM " + table)
    restore(centre, str(tmp_path / "EXAMPLE-NORTH.2025-03.jobs.gz"))
    assert all_jobs(centre) == before


def test_an_archive_from_before_a_correction_is_not_enough(
    files: Installation, tmp_path: Any, capsys: Any
) -> None:
    """As many jobs as there are, but not what they say now: they would be lost."""
    old = ("--older-than", "1", "--site", "SOUTH")
    assert database_command(files, "archive", *old, "--output", str(tmp_path)) == EXIT_DONE
    time.sleep(1.1)  # UpdateTime has whole seconds
    files.centre.load(message([job(Site="SOUTH", LocalJobId="7", WallDuration=3601)]))
    files.centre.summarise()
    unloaded(files.centre)
    purging = ("purge", *old, "--archived", str(tmp_path))
    assert database_command(files, *purging) == EXIT_FAILED
    assert "SOUTH 2025-03: not purged: its archive is from before" in capsys.readouterr().err
    assert database_command(files, "archive", *old, "--output", str(tmp_path)) == EXIT_DONE
    assert database_command(files, *purging) == EXIT_DONE


def test_purge_of_a_site_whose_id_is_anothers_after_a_lost_connection(
    installation: Installation, mariadb: Any, monkeypatch: Any
) -> None:
    """D18: restored in the middle of a run, the database has other ids: no other site's jobs go."""
    centre = installation.centre
    fill(centre)
    south = month_of(centre, "SOUTH")
    closed = (*south, "closed", 30, "2025-06-01 00:00:00", 0)
    centre.db.run(lambda tx: tx.insert("ClosedMonths", COLUMNS, [closed]))
    before = centre.count("JobRecords")
    database = installation.db.backend.database  # type: ignore[attr-defined]
    turn, restored = Retention._turn, []

    def restore_once(retention: Retention, tx: Any, month: SiteMonth) -> Any:
        if not restored:
            restored.append(month)
            for old, new in (("SOUTH", "x"), ("NORTH", "SOUTH"), ("x", "NORTH")):
                mariadb.rows(database, "UPDATE Sites SET name = %s WHERE name = %s", (new, old))
            mariadb.rows(database, "KILL %s" % tx.value("SELECT CONNECTION_ID()"))
        return turn(retention, tx, month)

    monkeypatch.setattr(Retention, "_turn", restore_once)
    words = ["purge", "-c", installation.db_cfg, "--schema", "server", "--older-than", "1", "--site", "SOUTH"]
    assert apeldb.main([*words, "--not-unloaded"]) in (0, 1)
    assert restored == [south]
    assert centre.count("JobRecords") == before
