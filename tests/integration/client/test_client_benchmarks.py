"""`apelclient --benchmarks`: which compute element has which benchmark since when, and which jobs wait."""

import json

import pytest
from gridsite import CE1, CE2, MACHINE, SITE, epoch, event, grid

from apel.client.benchmarks import Benchmark, History
from apel.commands import apelclient

CLIENT = """\
[db]
{db}
[spec_updater]
enabled = true
ldap_host = 127.0.0.1
ldap_port = 1
site_name = TEST-SITE
{specs}
[joiner]
local_jobs = {local}
[logging]
logfile = {folder}/client.log
console = false
"""


@pytest.fixture
def show(site, tmp_path, capsys):
    """Runs the command on the site's database: its exit status, and what it printed."""

    def run(*words, specs="", local="false"):
        lines = []
        for name, value in vars(site.db_settings).items():
            lines.append("%s = %s" % (name, ", ".join(value) if isinstance(value, list) else value))
        text = CLIENT.format(db="\n".join(lines), specs=specs, local=local, folder=tmp_path)
        (tmp_path / "client.cfg").write_text(text)
        status = apelclient.main(["-c", str(tmp_path / "client.cfg"), "--benchmarks", *words])
        return status, capsys.readouterr().out

    return run


def waiting_site(site):
    """One element with a history from both sources, one without, and a local job without."""
    history = History(site.db, SITE)
    history.set_published([Benchmark(CE1, "si2k", 2500.0)], epoch("2026-01-01 00:00:00"))
    for day, value in (("01", 10.0), ("10", 10.5)):
        history.set_manual([Benchmark(CE1, "HEPSPEC", value)], epoch("2026-02-%s 00:00:00" % day))
    for job, end in (
        ("1", "2026-03-10 12:00:00"),
        ("2", "2026-03-12 12:00:00"),
        ("3", "2026-03-11 12:00:00"),
    ):
        # The nearer grid record decides which element it is that they wait for.
        site.put(event(job, end), grid(job, ce=CE2), grid(job, "2026-03-01 10:00:00", CE1))
    site.put(event("4"), grid("4"))
    site.join()


def test_table_says_what_is_in_force_since_when_and_who_waits(site, show):
    waiting_site(site)
    status, text = show()
    assert status == 1
    assert text.splitlines() == [
        "compute element                 benchmark  value  since (UTC)          until                set by",
        "ce1.example.org:9619/ce1-batch  HEPSPEC    10.5   2026-02-10 00:00:00  now                  manual",
        "                                si2k       2500   the beginning        now                  bdii",
        "                                HEPSPEC    10     2026-02-01 00:00:00  2026-02-10 00:00:00  manual",
        "ce2.example.org:9619/ce2-batch  none",
        " " * 32 + "3 jobs wait, which ended from 2026-03-10 12:00:00 to 2026-03-12 12:00:00",
        text.splitlines()[-1],
    ]
    assert "add to [spec_updater] of " in text and "manual_spec1 = %s,HEPscore23,<value>" % CE2 in text


def test_json_says_the_same(site, show):
    waiting_site(site)
    status, text = show("--json")
    first, second = json.loads(text)
    assert status == 1
    assert [first["site"], first["ce"], first["waiting"], first["local"]] == [SITE, CE1, None, False]
    assert first["benchmarks"][0] == {
        "type": "HEPSPEC",
        "value": 10.5,
        "since": "2026-02-10 00:00:00",
        "until": None,
        "source": "manual",
        "in_force": True,
    }
    assert [one["in_force"] for one in first["benchmarks"]] == [True, True, False]
    assert first["benchmarks"][1]["since"] is None
    assert (second["ce"], second["benchmarks"]) == (CE2, [])
    assert second["waiting"] == {"jobs": 3, "oldest": "2026-03-10 12:00:00", "newest": "2026-03-12 12:00:00"}


def test_local_jobs_wait_for_their_batch_system(site, show):
    site.put(event("1"))
    site.join(local_jobs=True)
    specs = "lrms_server = other\nspec_type = HEPSPEC\nspec_value = 1\n"
    status, text = show(local="true", specs=specs)
    assert status == 1
    assert "%s (local jobs)" % MACHINE in text and "1 jobs wait" in text
    assert "lrms_server = %s, spec_type = HEPscore23" % MACHINE in text


def test_what_is_configured_counts_from_the_next_run(site, show):
    """It is no run: nothing is changed."""
    waiting_site(site)
    specs = "manual_spec1 = %s,HEPscore23,12.25\nmanual_spec2 = new-ce,HEPSPEC,9\n" % CE2
    _, text = show(specs=specs)
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "%s HEPscore23 12.25 the next run manual" % CE2 in rows
    assert "new-ce HEPSPEC 9 the next run manual" in rows
    assert "add to [spec_updater]" not in text  # that is done
    elements = json.loads(show("--json", specs=specs)[1])
    coming = {element["ce"]: element["from_the_next_run"] for element in elements}
    assert coming == {
        CE1: [],
        CE2: [{"type": "HEPscore23", "value": 12.25}],
        "new-ce": [{"type": "HEPSPEC", "value": 9.0}],
    }
    assert len(site.rows("SELECT * FROM SpecRecords")) == 3


def test_nothing_waits_is_status_0_without_any_bdii(site, show):
    site.benchmark(CE1)
    status, text = show()
    assert status == 0 and "HEPscore23" in text
    site.execute("DELETE FROM SpecRecords")
    assert show() == (0, "No compute element is known yet: no job came from one, and none has a benchmark.\n")


def test_database_that_is_not_there_is_said(tmp_path, capsys):
    text = CLIENT.format(
        db="backend = sqlite\nname = %s/none.db" % tmp_path, specs="", local="false", folder=tmp_path
    )
    (tmp_path / "client.cfg").write_text(text)
    assert apelclient.main(["-c", str(tmp_path / "client.cfg"), "--benchmarks"]) == 1
    assert "nothing has run here yet" in capsys.readouterr().err
    assert apelclient.main(["-c", str(tmp_path / "client.cfg"), "--json"]) == 2
    assert "--json goes with --benchmarks only" in capsys.readouterr().err
