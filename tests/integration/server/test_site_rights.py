"""D13: a trusted site sends records of another site."""

import os
from typing import Any, List

import pytest
from centre import SIGNER, Centre, Installation, job, jobs, message, summary, sync

from apel.server.site_rights import ENFORCE, WARN, SiteRights
from apelcommon.errors import EXIT_DONE, EXIT_USAGE, ConfigError
from ssm.dn import canonical

MAP = "# made by hand\nEXAMPLE-NORTH %s\nEXAMPLE-EAST %s\nOTHER /DC=org/CN=other\n" % (SIGNER, SIGNER)


@pytest.fixture
def site_map(tmp_path: Any) -> Any:
    """The map's file."""
    path = tmp_path / "dn-sites"
    path.write_text(MAP)
    return path


def rights(site_map: Any, mode: str) -> SiteRights:
    """What the map says."""
    return SiteRights(str(site_map), mode, canonical)


def sites(centre: Centre) -> List[str]:
    """The sites of the jobs that are stored."""
    return sorted(row[0] for row in centre.rows("SELECT DISTINCT Site FROM VJobRecords"))


def mixed() -> str:
    """Ten jobs of the signer's site and two of another."""
    return message([*jobs(10), job(LocalJobId="x", Site="OTHER"), job(LocalJobId="y", Site="OTHER")])


def test_records_of_another_site_are_rejected(centre: Centre, site_map: Any) -> None:
    """D13, enforce: only these, as a message of their own with the reason; and one can load them later."""
    centre.load(mixed(), rights=rights(site_map, ENFORCE))
    assert sites(centre) == ["EXAMPLE-NORTH"]
    (rejected,) = centre.rejected()
    assert "record 11: Site: OTHER: %s may not send it; record 12" % SIGNER in rejected["error"]
    assert rejected["body"].count("Site: OTHER") == 2 and "Site: EXAMPLE-NORTH" not in rejected["body"]
    centre.load(rejected["body"])
    assert sites(centre) == ["EXAMPLE-NORTH", "OTHER"]


def test_records_of_another_site_are_warned_of(centre: Centre, site_map: Any, caplog: Any) -> None:
    """D13, warn: all are stored."""
    centre.load(mixed(), rights=rights(site_map, WARN))
    assert sites(centre) == ["EXAMPLE-NORTH", "OTHER"]
    assert centre.rejected() == []
    assert "2 records: Site: OTHER: %s may not send it" % SIGNER in caplog.text


def test_records_of_another_site_when_nothing_is_looked_at(centre: Centre) -> None:
    """D13, off."""
    centre.load(mixed())
    assert sites(centre) == ["EXAMPLE-NORTH", "OTHER"]


def test_every_kind_of_record_is_looked_at(centre: Centre, site_map: Any) -> None:
    site_map.write_text("EXAMPLE-NORTH %s\n" % SIGNER)
    centre.load(message([summary()], "summary v0.2"), sync(3), rights=rights(site_map, ENFORCE))
    assert centre.count("Summaries") == 0 and centre.count("SyncRecords") == 1
    (rejected,) = centre.rejected()
    assert rejected["body"] == message([summary()], "summary v0.2")


def test_a_strict_loader_refuses_the_whole_message(centre: Centre, site_map: Any) -> None:
    centre.load(mixed(), rights=rights(site_map, ENFORCE), strict=True)
    assert sites(centre) == []
    assert centre.rejected()[0]["body"] == mixed()


def test_a_signer_without_sites_and_one_with_all(centre: Centre, site_map: Any) -> None:
    loader = centre.loader(rights=rights(site_map, ENFORCE))
    centre.deliver(mixed(), signer="/DC=org/CN=unknown")
    loader.step()
    assert "of whom no site is known" in centre.rejected()[0]["error"]
    assert sites(centre) == []
    site_map.write_text("* /DC=org/CN=unknown\n")
    centre.deliver(mixed(), signer="/DC=org/CN=unknown")
    loader.step()
    assert sites(centre) == ["EXAMPLE-NORTH", "OTHER"]


def test_a_map_that_is_gone_or_empty_changes_nothing(centre: Centre, site_map: Any, caplog: Any) -> None:
    """D14: the last good one stays in force, with a loud word; a new one is taken up."""
    found = rights(site_map, ENFORCE)
    loader = centre.loader(rights=found)
    for spoil in (lambda: os.unlink(str(site_map)), lambda: site_map.write_text("# nothing\n")):
        spoil()
        centre.load(message(jobs(1)), rights=found)
        assert centre.rejected() == []
        assert "the last good map stays in force" in caplog.text
        caplog.clear()
    site_map.write_text("OTHER %s\n" % SIGNER)
    centre.deliver(mixed())
    loader.step()
    assert len(centre.rejected()) == 1


def test_without_a_map_the_loader_does_not_start(
    tmp_path: Any, installation: Installation, capsys: Any
) -> None:
    with pytest.raises(ConfigError, match="apelauth"):
        SiteRights(str(tmp_path / "none"), ENFORCE, canonical)
    with open(installation.loader_cfg, "a", encoding="utf-8") as stream:
        stream.write("[auth]\nsites = enforce\nmap = %s\n" % (tmp_path / "dn-sites"))
    assert installation.load("--once") == EXIT_USAGE
    assert "apelauth makes it" in capsys.readouterr().err
    (tmp_path / "dn-sites").write_text(MAP)
    installation.centre.deliver(mixed())
    assert installation.load("--once") == EXIT_DONE
    assert sites(installation.centre) == ["EXAMPLE-NORTH"]
