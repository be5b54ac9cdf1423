"""The command apelclient: its options, its exit status, and what it leaves when something fails."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from gridsite import CE1, CE2, MACHINE, event, grid, new_site, queued

from apel.commands import apelclient
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, EXIT_TRY_LATER, EXIT_USAGE
from apelcommon.files import Lock
from ssm.errors import TransportError
from ssm.sender import Sent

CONFIG = """\
[db]
backend = sqlite
name = {folder}/client.db
[spec_updater]
enabled = {bdii}
ldap_host = 127.0.0.1
ldap_port = 1
site_name = TEST-SITE
manual_spec1 = {ce},HEPscore23,12.5
{specs}
[joiner]
local_jobs = {local}
[unloader]
dir_location = {folder}/spool
{unloader}
[ssm]
enabled = {ssm}
[client]
interval = 1
lockfile = {folder}/lock
[logging]
logfile = {folder}/client.log
console = false
"""
DEFAULTS = {"bdii": "false", "ce": CE1, "specs": "", "local": "false", "unloader": "", "ssm": "false"}


class Client:
    """The command with a configuration in a folder."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.config = os.path.join(self.folder, "client.cfg")
        os.makedirs(os.path.join(self.folder, "spool"))
        self.site = new_site({"backend": "sqlite", "name": os.path.join(self.folder, "client.db")})

    def write(self, **changes):
        with open(self.config, "w", encoding="utf-8") as stream:
            stream.write(CONFIG.format(**dict(DEFAULTS, folder=self.folder, **changes)))

    def run(self, *arguments, **changes):
        self.write(**changes)
        return apelclient.main(["-c", self.config, "-s", self.folder + "/sender.cfg", *arguments])

    def log(self):
        with open(os.path.join(self.folder, "client.log"), encoding="utf-8") as stream:
            return stream.read()

    def spool(self):
        return queued(os.path.join(self.folder, "spool"))


@pytest.fixture
def client(tmp_path):
    made = Client(tmp_path)
    yield made
    made.site.db.close()


def test_run_from_cron_joins_sums_up_and_writes_messages(client):
    client.site.put(event("1"), grid("1"), event("2"))
    assert client.run() == EXIT_DONE
    jobs, sync = client.spool()
    assert jobs.startswith("APEL-individual-job-message: v0.3\nSite: TEST-SITE\n")
    assert sync.startswith("APEL-sync-message: v0.1\nSite: TEST-SITE\n")
    assert "Joined 1 grid jobs and 0 local jobs" in client.log()
    assert "1 jobs wait for a grid record" in client.log()


def test_element_without_benchmark_is_named_with_the_line_to_add(client):
    """C1."""
    client.site.put(event("1"), grid("1", ce=CE2))
    assert client.run() == EXIT_DONE
    wanted = "1 jobs of %s wait for its benchmark; add to [spec_updater] of %s: manual_spec2 = %s,HEPscore23,"
    assert wanted % (CE2, client.config, CE2) in client.log()


def test_local_jobs_have_the_benchmark_of_the_batch_system(client):
    """The incumbent gave them that of the last manual_spec."""
    client.site.put(event("1"))
    specs = "lrms_server = %s\nspec_type = HEPSPEC\nspec_value = 9.5" % MACHINE
    assert client.run(local="true", specs=specs) == EXIT_DONE
    assert "SubmitHost: None" in client.spool()[0]
    assert "ServiceLevelType: HEPSPEC\nServiceLevel: 9.5\n" in client.spool()[0]


def test_a_benchmark_of_the_batch_system_may_be_given_both_ways(client, capsys):
    """As manual_spec and as spec_value, if both say the same."""
    client.site.put(event("1"))
    specs = "lrms_server = %s\nspec_type = HEPSPEC\nspec_value = 9.5\nmanual_spec2 = %s,HEPSPEC," % (
        MACHINE,
        MACHINE,
    )
    assert client.run(local="true", specs=specs + "9") == EXIT_USAGE
    assert (
        "spec_value: HEPSPEC of %s is 9.5 here and 9.0 as a manual_spec" % MACHINE in capsys.readouterr().err
    )
    assert client.run(local="true", specs=specs + "9.50") == EXIT_DONE
    assert "ServiceLevelType: HEPSPEC\nServiceLevel: 9.5\n" in client.spool()[0]


def test_bdii_down_is_a_warning_and_old_values_stay(client):
    """C12."""
    client.site.put(event("1"), grid("1"))
    assert client.run(bdii="true") == EXIT_DONE
    assert "No benchmarks from the BDII, so those known stay in force." in client.log()
    assert len(client.spool()) == 2


def test_wrong_configuration_is_refused_with_all_that_is_wrong(client, capsys):
    """C11, C13: before anything is done."""
    changes = {
        "specs": "manual_spec2 = ce2,HEPSPEC\nmanual_spec3 = ce3,HEPSPEC06,9\nmanual_spec4 = c,si2k,1,2\n"
        "manual_spec5 = %s,hepscore23,1\nlrms_servr = x" % CE1,
        "local": "perhaps",
        "unloader": "interval = gap\ngap_start = 2026-13-01\nsend_ur = true\nsend_summaries = true\n"
        "dict_benchmark_type = true\nrecords_per_message = many",
    }
    assert client.run(**changes) == EXIT_USAGE
    told = capsys.readouterr().err
    for wanted in (
        "[spec_updater] manual_spec2 is 'ce2,HEPSPEC', but must have three parts",
        "[spec_updater] manual_spec3 has the benchmark 'HEPSPEC06', .* did you mean HEPSPEC?",
        "[spec_updater] manual_spec4 is 'c,si2k,1,2', but must have three parts",
        "[spec_updater] manual_spec5: HEPscore23 of %s is given twice" % CE1,
        "[spec_updater] unknown option lrms_servr; did you mean lrms_server?",
        "[joiner] local_jobs is 'perhaps', but must be true or false",
        "[unloader] gap_start is '2026-13-01', but must be a date like 2026-11-30",
        "[unloader] gap_end is missing, and interval is gap",
        "[unloader] send_ur: Can only send URs for JobRecords and StorageRecords. .* send_summaries to false",
        "[unloader] send_ur: Can only send URs for JobRecords and StorageRecords. .* dict_benchmark_type to",
        "[unloader] records_per_message is 'many', but must be a whole number",
    ):
        pattern = re.escape("apelclient: %s: " % client.config) + ".*".join(
            map(re.escape, wanted.split(".*"))
        )
        assert re.search(pattern, told), wanted
    assert not os.path.exists(client.folder + "/client.log")


def test_missing_configuration_file(client, capsys):
    """C11."""
    assert apelclient.main(["-c", client.folder + "/none.cfg"]) == EXIT_USAGE
    assert "Config file not found at" in capsys.readouterr().err


def test_check_config_does_nothing(client, capsys):
    client.site.put(event("1"), grid("1"))
    assert client.run("--check-config") == EXIT_DONE
    assert "in order" in capsys.readouterr().out
    assert client.spool() == []
    assert client.run("--check-config", ssm="true") == EXIT_USAGE  # there is no sender.cfg


def test_dry_run_says_what_there_is_to_do_and_does_nothing(client, capsys):
    client.site.put(event("1"), grid("1"), event("2"))
    assert client.run("--dry-run") == EXIT_DONE
    assert "2 new jobs, and 1 new grid records" in capsys.readouterr().out
    assert client.spool() == []
    assert client.site.jobs() == {}
    client.run()
    client.site.put(event("3"))
    capsys.readouterr()
    assert client.run("--dry-run") == EXIT_DONE
    assert capsys.readouterr().out.splitlines()[:2] == [
        "1 new jobs, and 0 new grid records",
        "1 jobs of earlier runs wait for a grid record",
    ]


def test_old_client_cfg_works(client):
    """No dict_benchmark_type, empty lists, nothing of what is new."""
    client.site.put(event("1"), grid("1"))
    assert client.run(unloader="include_vos =\nsend_ur = false\ninterval = latest") == EXIT_DONE
    assert len(client.spool()) == 2


def test_jobs_as_usage_records(client):
    """send_ur: the jobs of a run in XML, the sync counts in text; the next run has nothing new."""
    client.site.put(event("1"), grid("1"))
    assert client.run(unloader="send_ur = true") == EXIT_DONE
    assert client.run(unloader="send_ur = true") == EXIT_DONE
    assert [text[:9] for text in client.spool()] == ["<?xml ver", "APEL-sync", "APEL-sync"]


def test_second_run_sends_no_job_again(client):
    client.site.put(event("1"), grid("1"))
    assert client.run() == EXIT_DONE
    assert client.run() == EXIT_DONE
    heads = [text.split(":")[0] for text in client.spool()]
    assert sorted(heads) == ["APEL-individual-job-message", "APEL-sync-message", "APEL-sync-message"]


def test_overlapping_run_is_refused(client, capsys):
    """P6, for the client: the second ends at once, with the process that holds the lock."""
    client.write()
    with Lock(client.folder + "/lock"):
        assert client.run() == EXIT_FAILED
    assert "apelclient is already running (process %d holds" % os.getpid() in capsys.readouterr().err


def test_rejoin_gives_a_month_the_benchmark_of_today(client):
    """C8: through the command."""
    client.site.put(event("1"), grid("1"))
    client.run()
    client.site.execute("UPDATE SpecRecords SET ServiceLevel = 20, ServiceLevelType = 'HEPscore23'")
    client.run("--rejoin", "2026-03", ce=CE2)
    assert client.site.rows("SELECT ServiceLevel, NumberOfJobs FROM VSuperSummaries") == [(20, 1)]
    assert apelclient.main(["--rejoin", "2026-3"]) == EXIT_USAGE


def test_spool_that_cannot_be_written_marks_nothing_as_sent(client, capsys):
    """C10: a file stands where the queue should be; the next run, with that removed, sends all."""
    client.site.put(event("1"), grid("1"))
    blocked = os.path.join(client.folder, "spool", "outgoing")
    with open(blocked, "w", encoding="utf-8"):
        pass
    assert client.run() != EXIT_DONE
    assert blocked in capsys.readouterr().err
    os.unlink(blocked)
    assert client.run() == EXIT_DONE
    assert "LocalJobId: 1\n" in client.spool()[0]


@pytest.fixture
def small_disk(client):
    """The client's spool on a disk of its own that has room for the queue, but for no message."""
    spool = os.path.join(client.folder, "spool")
    words = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", spool]
    if os.getuid() or subprocess.run(words, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("only root may mount a small disk")
    yield spool
    subprocess.run(["umount", spool], check=True)


def test_full_disk_marks_nothing_as_sent(client, small_disk, capsys):
    """C10: the real thing; when there is room again, the next run sends all."""
    client.site.put(
        *[event(str(number)) for number in range(30)], *[grid(str(number)) for number in range(30)]
    )
    assert client.run() == EXIT_TRY_LATER
    assert "No space left on device" in capsys.readouterr().err
    assert client.site.rows("SELECT * FROM LastUpdated WHERE Type = 'sent'") == []
    assert client.spool() == []
    subprocess.run(["mount", "-o", "remount,size=1m", small_disk], check=True)
    assert client.run() == EXIT_DONE
    assert client.spool()[0].count("LocalJobId") == 30


def test_invalid_record_is_counted_and_the_run_fails(client, capsys):
    client.site.put(event("1"), grid("1"), event("2"), grid("2"))
    client.site.benchmark(CE1)
    client.site.join()
    client.site.execute("UPDATE JobRecords SET ServiceLevelType = 'HS06' WHERE LocalJobId = '2'")
    assert client.run() == EXIT_FAILED
    assert "1 records are invalid and were not sent" in capsys.readouterr().err
    assert "LocalJobId: 1\n" in client.spool()[0]


SENDER = "[sender]\nprotocol = DIRECTORY\n[messaging]\ndestination = {0}/over\npath = {0}/spool/outgoing\n"


@pytest.mark.parametrize(
    "outcome, status",
    [
        (Sent(2, 0, 0), EXIT_DONE),
        (Sent(1, 1, 0), EXIT_FAILED),
        (TransportError("the broker is down"), EXIT_TRY_LATER),
    ],
)
def test_sender_runs_in_process_and_its_failure_is_ours(client, monkeypatch, outcome, status):
    """The incumbent's client ends with 0 when it could not send."""
    with open(client.folder + "/sender.cfg", "w", encoding="utf-8") as stream:
        stream.write(SENDER.format(client.folder))

    def send(settings, stop):
        assert settings.messaging.path == client.folder + "/spool/outgoing"
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr("ssm.sender.send_queue", send)
    client.site.put(event("1"), grid("1"))
    assert client.run(ssm="true") == status
    assert len(client.spool()) == 2


def test_spool_in_trouble_is_still_sent_from(client, monkeypatch):
    """C10: sending is what makes room again."""
    with open(client.folder + "/sender.cfg", "w", encoding="utf-8") as stream:
        stream.write(SENDER.format(client.folder))
    called = []
    monkeypatch.setattr("ssm.sender.send_queue", lambda *_: called.append(1) or Sent(0, 0, 0))
    with open(os.path.join(client.folder, "spool", "outgoing"), "w", encoding="utf-8"):
        pass
    assert client.run(ssm="true") != EXIT_DONE
    assert called


def test_ssm_is_not_imported_where_it_is_not_used(client):
    client.write(unloader="enabled = false")
    code = (
        "import sys; from apel.commands.apelclient import main; status = main(['-c', sys.argv[1]]);"
        "print(status, [name for name in sys.modules if name.split('.')[0] in ('ssm', 'stomp', 'ldap')])"
    )
    done = subprocess.run([sys.executable, "-c", code, client.config], stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().split("\n")[-2] == "0 []"


def test_daemon_runs_again_and_ends_on_sigterm(client):
    """One run sees the first job, a later one the second; then a clean end."""
    client.write()
    client.site.put(event("1"), grid("1"))
    code = "import sys; from apel.commands.apelclient import main; sys.exit(main(sys.argv[1:]))"
    daemon = subprocess.Popen([sys.executable, "-c", code, "-c", client.config, "--daemon"])
    try:
        wait_for(lambda: "1" in client.site.jobs())
        client.site.put(event("2"), grid("2"))
        wait_for(lambda: "2" in client.site.jobs())
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(180) == EXIT_DONE
    finally:
        daemon.kill()
        daemon.wait()
    assert "apelclient has ended" in client.log()


def wait_for(done, seconds=180):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.1)
