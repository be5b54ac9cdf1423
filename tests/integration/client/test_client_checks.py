"""`apelclient --check-config` tries what a run will need, and says what is wrong with it."""

import os
from typing import Any, Callable

import pytest
from gridsite import CE1, CE2, event, grid, new_site

from apel import times
from apel.commands import apelclient

CLIENT = """\
[db]
backend = {backend}
hostname = 127.0.0.1:1
name = {folder}/client.db
[spec_updater]
enabled = false
site_name = TEST-SITE
{specs}
[joiner]
enabled = true
identity_map = {rules}
[unloader]
dir_location = {folder}/spool
[ssm]
enabled = {ssm}
[logging]
logfile =
console = false
"""
SENDER = """\
[sender]
protocol = DIRECTORY
[broker]
network = PROD
[certificates]
certificate = {certificate}
key = {key}
capath = {folder}
[messaging]
destination = {folder}
[logging]
logfile =
"""


@pytest.fixture
def check(tmp_path: Any, capsys: Any) -> Callable[..., Any]:
    """Runs the check; its exit status and what it printed."""

    def run(backend: str = "sqlite", specs: str = "", sender: Any = None, rules: Any = "") -> Any:
        values = {
            "backend": backend,
            "specs": specs,
            "rules": rules,
            "ssm": "true" if sender else "false",
            "folder": tmp_path,
        }
        (tmp_path / "client.cfg").write_text(CLIENT.format(**values))
        if sender:
            text = SENDER.format(certificate=sender[0], key=sender[1], folder=tmp_path)
            (tmp_path / "sender.cfg").write_text(text)
        words = ["-c", str(tmp_path / "client.cfg"), "-s", str(tmp_path / "sender.cfg"), "--check-config"]
        return apelclient.main(words), capsys.readouterr().out

    return run


@pytest.fixture
def site(tmp_path: Any) -> Any:
    """A site's database with one job of each of two compute elements."""
    made = new_site({"backend": "sqlite", "name": str(tmp_path / "client.db")})
    made.put(event("1"), grid("1"), event("2"), grid("2", ce=CE2))
    made.benchmark(CE1)
    yield made
    made.db.close()


def test_before_the_first_run_nothing_is_made(check: Any, tmp_path: Any) -> None:
    status, said = check()
    assert status == 0
    assert "client.db will be made by the first run" in said
    assert "%s/spool/outgoing, which will be made" % tmp_path in said
    assert sorted(os.listdir(str(tmp_path))) == ["client.cfg"]


def test_an_element_seen_without_benchmark_fails(check: Any, site: Any) -> None:
    """C1: known before its jobs wait for weeks."""
    status, said = check()
    assert status == 1
    assert "failed   benchmark: %s has none, so its jobs wait" % CE2 in said
    assert CE1 not in said
    status, said = check(specs="manual_spec1 = %s,HEPscore23,12" % CE2)
    assert status == 0
    assert "ok       benchmark: every compute element seen has one" in said
    assert said.endswith("Everything is in order.\n")


def test_a_database_that_is_away_fails_without_waiting(check: Any) -> None:
    status, said = check(backend="mysql")
    assert status == 1
    assert "failed   database: " in said and "127.0.0.1:1" in said


def test_a_clock_that_differs_fails(check: Any, site: Any, monkeypatch: Any) -> None:
    now = times.now()
    monkeypatch.setattr(times, "now", lambda: now - 3600)
    status, said = check(specs="manual_spec1 = %s,HEPscore23,12" % CE2)
    assert status == 1
    assert "failed   clock: the database's is 3600 seconds ahead of ours" in said


def test_a_certificate_of_another_key_or_near_its_end(check: Any, site: Any, pki: Any) -> None:
    """S4: known before a message can't be signed."""
    good, short, another = pki.issue("a"), pki.issue("b", days=(-1, 5)), pki.issue("c")
    specs = "manual_spec1 = %s,HEPscore23,12" % CE2
    status, said = check(specs=specs, sender=good)
    assert status == 0
    assert "ok       certificate: /C=XX/O=Test Grid/CN=a, 29 days left" in said
    assert "warning  obsolete: " in said and "[broker] network: no longer used" in said
    status, said = check(specs=specs, sender=short)
    assert status == 0
    assert "warning  certificate: /C=XX/O=Test Grid/CN=b, 4 days left: renew it" in said
    status, said = check(specs=specs, sender=(good[0], another[1]))
    assert status == 1
    assert "are not a pair" in said


def test_token_issuers_without_a_rule_are_listed(check: Any, site: Any, tmp_path: Any) -> None:
    """P20."""
    site.benchmark(CE2)
    nobody = {"FQAN": None, "VO": None, "VOGroup": None, "VORole": None}
    site.put(event("3"), grid("3", GlobalUserName="https://vo-auth.example/ 5d1f", **nobody))
    site.put(event("4"), grid("4", GlobalUserName=None, **nobody))
    site.join()
    (tmp_path / "identity.map").write_text("issuer=https://x.example user=a -> x\n* dteam /dteam\n")
    status, said = check(rules=tmp_path / "identity.map")
    assert status == 0
    assert "ok       identity: 2 rules; token issuers they name: https://x.example\n" in said
    told = "warning  identity: 1 grid jobs of the token issuer https://vo-auth.example/ are of no VO, the"
    assert told + " last of them of 2026-03 (docs/tokens.md)\n" in said
    assert "warning  identity: 1 grid jobs of unknown token issuer are of no VO" in said
