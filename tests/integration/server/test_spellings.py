"""Names that the incumbent's database took for one, and that stand beside each other since its upgrade."""

from typing import Any

import pytest
from centre import Centre, message, summary, sync

from apel.commands import apeldb
from apel.server.spellings import find_twins, folded
from apel.times import utc_text

APRIL_2025 = 1744000000


@pytest.fixture(autouse=True)
def _soon_after(monkeypatch: Any) -> None:
    monkeypatch.setattr("apel.times.now", lambda: APRIL_2025)


def age(centre: Centre) -> None:
    """What is there was there before the upgrade."""
    for table in ("Summaries", "SyncRecords"):
        centre.execute("UPDATE %s SET UpdateTime = '2025-03-20 00:00:00'" % table)


def test_sums_that_came_again_under_another_spelling_are_listed(centre: Centre) -> None:
    """D5, D6: each pair once, with what tells the rows apart; others that are spelt alike are none."""
    centre.load(message([summary(VO="atlas"), summary(VO="atlas", Processors=8), summary()], "summary v0.2"))
    centre.load(sync(5))
    age(centre)
    assert find_twins(centre.db) == []
    centre.load(
        message([summary(VO="ATLAS", NumberOfJobs=9), summary(VO="Atlas ", Processors=16)], "summary v0.2")
    )
    (found,) = find_twins(centre.db)
    assert (found.table, found.site, found.year, found.month) == ("Summaries", "EXAMPLE-SOUTH", 2025, 3)
    assert (found.spellings, found.jobs) == (["VOs 'atlas'", "VOs 'ATLAS'"], [7, 9])
    assert found.changed[0] == "2025-03-20 00:00:00"


def test_sites_and_hosts_in_two_spellings(centre: Centre) -> None:
    """D5: also of sync counts; months of long ago don't matter."""
    centre.load(sync(5), sync(5, month=1), message([summary()], "summary v0.2"))
    age(centre)
    for body in (sync(6), message([summary()], "summary v0.2")):
        centre.load(body.replace("EXAMPLE-", "Example-").replace("ce01", "CE01"))
    found = find_twins(centre.db)
    assert [(each.table, each.month, each.jobs) for each in found] == [
        ("Summaries", 3, [7, 7]),
        ("SyncRecords", 3, [5, 6]),
    ]
    assert found[1].spellings[1] == "Sites 'Example-NORTH', SubmitHosts 'CE01'"


def test_check_says_what_to_do(tmp_path: Any, centre: Centre, capsys: Any) -> None:
    """It is no failure: perhaps they are two."""
    if centre.db.backend.name != "sqlite":
        server = centre.db.backend.servers[0]  # type: ignore[attr-defined]
        where = "hostname = %s\nport = %d\nusername = %s\npassword = %s\n" % (
            *server,
            centre.db.backend.user,  # type: ignore[attr-defined]
            centre.db.backend._password,  # type: ignore[attr-defined]
        )
        text = "[db]\nbackend = mysql\nname = %s\n%s" % (centre.db.backend.database, where)  # type: ignore[attr-defined]
    else:
        text = "[db]\nbackend = sqlite\nname = %s\n" % centre.db.backend.path  # type: ignore[attr-defined]
    config = tmp_path / "db.cfg"
    config.write_text(text)
    centre.load(message([summary(GlobalUserName="/CN=Zo\u00eb")], "summary v0.2"))
    age(centre)
    centre.load(message([summary(GlobalUserName="/CN=zoe")], "summary v0.2"))
    assert apeldb.main(["check", "-c", str(config), "--schema", "server"]) == 0
    said = capsys.readouterr().out
    assert "warning: Summaries, EXAMPLE-SOUTH 2025-03: DNs '/CN=Zo\u00eb': 7 jobs, written 2025-03-20" in said
    assert "delete it, and sum the month up again" in said and "is complete" in said


def test_names_are_folded_as_collations_do() -> None:
    assert folded("Zo\u00cb ") == folded("zoe") == "zoe"
    assert folded("/Role=a") != folded("/Role=b") and folded(" x") != folded("x")
    assert utc_text(APRIL_2025)[:7] == "2025-04"
