"""Whose jobs are, on a real database: by the identity map, by their records, or by their group."""

import pytest
from gridsite import CE1, MACHINE, event, grid, settings_with

from apel.client.join import Joiner, rejoin_month
from apel.client.options import TABLE
from apel.client.run import prepare
from apel.identity_map import parse_map
from apelcommon.errors import ConfigError

MAP = """
user=pilot*   -> /vo.example.org/grid/Role=pilot
group=staff   -> keep
group=a*      -> atlas
"""
COLUMNS = "LocalJobId, VO, VOGroup, VORole, FQAN"


def joined(site, rules):
    Joiner(site.db, True, identity_map=rules and parse_map(rules, "m")).run()
    return site.rows("SELECT %s FROM VJobRecords ORDER BY LocalJobId" % COLUMNS)


def put_jobs(site):
    site.benchmark(MACHINE)
    site.put(event("1", LocalUserID="pilot7", LocalUserGroup="staff"))
    site.put(event("2", LocalUserID="ada", LocalUserGroup="staff"))
    site.put(event("3", LocalUserID="bob", LocalUserGroup="admin"))
    site.put(event("4", LocalUserID="eve", LocalUserGroup="other"))
    site.put(event("5", LocalUserID=None, LocalUserGroup=None))


def test_local_jobs_get_their_vo_by_user_and_group(site):
    put_jobs(site)
    assert joined(site, MAP) == [
        ("1", "vo.example.org", "/vo.example.org/grid", "Role=pilot", None),
        ("2", "staff", "None", "None", None),
        ("3", "atlas", "None", "None", None),
        ("4", "other", "None", "None", None),
        ("5", "None", "None", "None", None),
    ]


def test_without_a_map_the_vo_is_the_group(site):
    put_jobs(site)
    assert [row[1:4] for row in joined(site, None)] == [
        (group, "None", "None") for group in ("staff", "staff", "admin", "other", "None")
    ]


def test_rule_for_an_absent_group(site):
    """P20: an account without a group in the log is no group called None."""
    put_jobs(site)
    rows = joined(site, "group=None -> wrong\ngroup=- user=- -> nobody.example.org\n")
    assert [row[1] for row in rows] == ["staff", "staff", "admin", "other", "nobody.example.org"]


def test_rules_are_for_grid_jobs_too(site):
    """A rule may keep what grid records say."""
    site.benchmark(CE1)
    fqan = "/atlas/Role=production/Capability=NULL"
    site.put(event("1", LocalUserID="pilot7"), grid("1"), event("2", LocalUserGroup="b"), grid("2"))
    kept = [(job, "atlas", "/atlas", "Role=production", fqan) for job in "12"]
    assert joined(site, "fqan=/* -> keep\n" + MAP) == kept
    rejoin_month(site.db, 2026, 3)
    mapped = "/vo.example.org/grid/Role=pilot"
    pilot = ("1", "vo.example.org", "/vo.example.org/grid", "Role=pilot", mapped)
    assert joined(site, MAP) == [pilot, kept[1]]
    rejoin_month(site.db, 2026, 3)
    assert joined(site, None) == kept


def test_changed_map_is_for_a_rejoined_month(site):
    put_jobs(site)
    joined(site, None)
    rejoin_month(site.db, 2026, 3)
    assert joined(site, MAP)[0][1] == "vo.example.org"


def test_client_reads_its_map(site, tmp_path):
    put_jobs(site)
    path = tmp_path / "identity.map"
    path.write_text(MAP)
    text = "[db]\nname = x\n[spec_updater]\nsite_name = S\nenabled = false\n[joiner]\nidentity_map = %s\n"
    identity_map = TABLE.parse(text % path).joiner.identity_map
    settings = settings_with(
        spec_updater__enabled=False,
        spec_updater__site_name="TEST-SITE",
        joiner__local_jobs=True,
        joiner__identity_map=identity_map,
    )
    assert prepare(site.db, settings).joined.local == 5
    assert site.rows("SELECT VO FROM VJobRecords WHERE LocalJobId = '1'") == [("vo.example.org",)]


def test_wrong_map_stops_the_client_before_anything_is_done(tmp_path):
    """C11."""
    path = tmp_path / "identity.map"
    path.write_text("user=a -> b\nusr=a -> b\ngroup -> c\n")
    text = (
        "[db]\nname = x\n[spec_updater]\nsite_name = S\nenabled = false\n[joiner]\nidentity_map = %s\n" % path
    )
    with pytest.raises(ConfigError) as caught:
        TABLE.parse(text, "client.cfg")
    (problem,) = caught.value.problems
    assert problem.startswith("client.cfg: [joiner] identity_map ")
    assert "identity.map line 2: unknown condition usr" in problem
    assert "identity.map line 3: group has no value" in problem
