"""Monthly partitions of the job records: made once, kept ahead, and of no consequence for what is in them."""

from typing import Any, Iterator, List

import pytest
from centre import Centre, Installation, job, message

from apel.commands import apeldb
from apel.times import epoch_from_text
from servers.databases import fresh_database

MARCH_2025 = epoch_from_text("2025-03-15 00:00:00")
DAY = 86400


@pytest.fixture
def installed(mariadb: Any, tmp_path: Any, monkeypatch: Any) -> Iterator[Installation]:
    """A centre on the server, in March 2025."""
    monkeypatch.setattr("apel.times.now", lambda: MARCH_2025)
    for db in fresh_database("server", tmp_path, mariadb):
        options = mariadb.options_for(db.backend.database)  # type: ignore[attr-defined]
        found = Installation(tmp_path, dict(options, type="cpu"))
        yield found
        found.close()


def partitions(centre: Centre, table: str = "JobRecords") -> List[Any]:
    """Name and number of rows of each."""
    query = (
        "SELECT PARTITION_NAME FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = DATABASE()"
        " AND TABLE_NAME = %s AND PARTITION_NAME IS NOT NULL ORDER BY PARTITION_ORDINAL_POSITION"
    )
    names = [name for (name,) in centre.rows(query, [table])]
    count = "SELECT COUNT(*) FROM %s PARTITION (%s)"
    return [(name, centre.rows(count % (table, name))[0][0]) for name in names]


def ended(*times: int, **changes: Any) -> str:
    """A message of jobs that ended then."""
    return message([job(LocalJobId=str(time), StartTime=time, EndTime=time, **changes) for time in times])


@pytest.mark.server
def test_partitions_are_made_and_kept_ahead(installed: Installation, capsys: Any, monkeypatch: Any) -> None:
    centre = installed.centre
    first = epoch_from_text("2025-01-31 23:59:59")
    times = [first, first + 1, epoch_from_text("2025-03-14 00:00:00"), epoch_from_text("2001-01-01 00:00:00")]
    centre.load(ended(*times))
    centre.summarise()
    before = centre.picture()
    command = ["partitions", "-c", installed.db_cfg, "--ahead", "2"]
    assert apeldb.main([*command, "--dry-run"]) == 0
    assert partitions(centre) == [] and "of 2 tables would be changed" in capsys.readouterr().out
    assert apeldb.main(command) == 0
    found = dict(partitions(centre))
    names = ("p2010_03", "p2025_01", "p2025_02", "p2025_03", "p2025_05", "pDefault")
    assert [found[name] for name in names] == [1, 1, 1, 1, 0, 0]
    assert [name for name, _ in partitions(centre, "JobBenchmarks")][-4:] == [
        *("p2025_03", "p2025_04", "p2025_05", "pDefault")
    ]
    assert centre.picture() == before
    assert apeldb.main(command) == 0
    assert "of 0 tables were changed" in capsys.readouterr().out
    monkeypatch.setattr("apel.times.now", lambda: MARCH_2025 + 120 * DAY)
    late = epoch_from_text("2025-07-01 12:00:00")
    centre.load(ended(late, ServiceLevel=12.0))
    assert dict(partitions(centre))["pDefault"] == 1
    assert apeldb.main(command) == 0
    found = dict(partitions(centre))
    assert (found["p2025_07"], found["p2025_09"], found["pDefault"]) == (1, 0, 0)


@pytest.mark.server
def test_all_goes_on_with_partitions(installed: Installation) -> None:
    """Replacing, sums, the summariser's months: as without them; and the schema still is the schema."""
    centre = installed.centre
    assert apeldb.main(["partitions", "-c", installed.db_cfg]) == 0
    several = (("HEPscore23", 10.0), ("si2k", 2500.0))
    centre.load(message([job(Benchmarks=several)], "job v0.4"), message([job(WallDuration=5)], "job v0.3"))
    centre.summarise()
    query = "SELECT WallDuration, NumberOfJobs FROM VSuperSummaries"
    assert centre.rows(query) == [(5, 1)]
    assert centre.count("JobRecords") == 1 and centre.count("JobBenchmarks") == 0
    assert apeldb.main(["check", "-c", installed.db_cfg, "--schema", "server"]) == 0


def test_a_file_has_no_partitions_and_other_schemas_neither(tmp_path: Any, capsys: Any) -> None:
    config = tmp_path / "db.cfg"
    config.write_text("[db]\nbackend = sqlite\nname = %s\ntype = cpu\n" % (tmp_path / "x.db"))
    assert apeldb.main(["partitions", "-c", str(config)]) == 0
    assert "needs none" in capsys.readouterr().out
    assert apeldb.main(["partitions", "-c", str(config), "--schema", "cloud"]) == 2
    # As the incumbent ships it: only the centre's job records have any.
    config.write_text(config.read_text().replace("type = cpu\n", ""))
    assert apeldb.main(["partitions", "-c", str(config)]) == 0
    assert apeldb.main(["init", "-c", str(config)]) == 2
    assert apeldb.main(["partitions", "-c", str(config), "--ahead", "0"]) == 2
    assert apeldb.main(["init", "-c", str(config), "--ahead", "3"]) == 2
