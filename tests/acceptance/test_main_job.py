"""The main job on real servers: what the logs hold is what the centre reports, whatever is killed."""

import os
import random
import shutil
import subprocess
import time

import pytest

from apel.commands.quickstart import TOTALS, centre_totals
from apel.demo import Deployment, Link, LogFiles
from apel.samples import CES, SampleOptions, write_samples

JOBS = 20000
BENCHMARKS = dict(zip(CES, ("HEPscore23,12.5", "HEPscore23,11.0", "HEPSPEC,10.0", "HEPSPEC,9.5")))
KILLS_WANTED = 30
KILLS_OF_EACH = 4
ROUNDS_AT_MOST = 60
SITE = ("apelparser", "apelclient", "ssmsend")
CENTRE = ("ssmreceive", "apeldbloader")
CENTRAL_TABLES = ("VJobRecords", "VSuperSummaries", "VNormalisedSuperSummaries", "VSyncRecords", "VSumCPU")


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("samples"))
    return folder, write_samples(folder, SampleOptions(jobs=JOBS))


@pytest.fixture
def deployment(tmp_path, mariadb, activemq, pki):
    """A site and a centre with MariaDB on both sides and ActiveMQ, over TLS, between them."""
    site, centre = pki.issue("site.example.org"), pki.issue("centre.example.org")
    link = Link(
        protocol="STOMP",
        broker={"host": activemq.host, "port": str(activemq.tls_port), "use_ssl": "true"},
        destination="/queue/acceptance-%s" % os.path.basename(str(tmp_path)),
        site_certificates={"certificate": site[0], "key": site[1], "capath": pki.ca_dir},
        centre_certificates={"certificate": centre[0], "key": centre[1], "capath": pki.ca_dir},
        site_dn=dn_of(site[0]),
    )
    made = Deployment(str(tmp_path), options(mariadb), options(mariadb), link)
    made.write_centre()
    return made


def options(mariadb):
    return {
        "backend": "mysql",
        "hostname": mariadb.host,
        "port": str(mariadb.port),
        "name": mariadb.new_database(),
        "username": mariadb.user,
        "password": mariadb.password,
    }


def dn_of(certificate):
    """The slash form, by openssl's own words, independent of ours."""
    words = ["openssl", "x509", "-in", certificate, "-noout", "-subject", "-nameopt", "compat"]
    return subprocess.check_output(words).decode().split("=", 1)[1].strip()


def start_site(deployment, batch, blah):
    deployment.write_site(LogFiles("slurm", batch, blah), BENCHMARKS)
    deployment.run("apeldb", "init", "--schema", "client", "-c", deployment.path("site/client.cfg"))
    deployment.run("apeldb", "init", "--schema", "server", "-c", deployment.path("centre/db.cfg"))


def totals(deployment):
    with deployment.central_database() as db:
        return centre_totals(db.run(lambda tx: tx.rows(TOTALS)))


def tables(deployment):
    """The central views, sorted and without UpdateTime."""
    with deployment.central_database() as db:
        return db.run(lambda tx: {view: view_rows(tx, view) for view in CENTRAL_TABLES})


def view_rows(tx, view):
    columns = [row[0] for row in tx.rows("SHOW COLUMNS FROM %s" % view)]
    wanted = ", ".join("`%s`" % name for name in columns if name != "UpdateTime")
    return sorted(tx.rows("SELECT %s FROM %s" % (wanted, view)), key=repr)


def run_everything(deployment):
    for name in SITE:
        deployment.run(name)
    for name in CENTRE:
        deployment.run(name, "--once")
    deployment.run("apelsummariser")


def run_until_it_is_there(deployment, truth):
    """Once is enough, unless the broker is so slow that the receiver finds nothing for some seconds."""
    for _ in range(5):
        run_everything(deployment)
        if totals(deployment) == truth:
            break


def sync_counts(deployment):
    with deployment.central_database() as db:
        sql = "SELECT Year, Month, SUM(NumberOfJobs) FROM SyncRecords GROUP BY Year, Month"
        return {
            "%04d-%02d" % (year, month): int(jobs) for year, month, jobs in db.run(lambda tx: tx.rows(sql))
        }


def monthly_jobs(truth):
    months = {}
    for key, total in truth.items():
        months[key.split()[0]] = months.get(key.split()[0], 0) + total["jobs"]
    return months


def test_totals_at_the_centre_equal_the_logs(deployment, samples):
    """Logs, MariaDB, signed messages, ActiveMQ over TLS, MariaDB, summaries: to the second and the job."""
    folder, truth = samples
    start_site(deployment, os.path.join(folder, "batch"), os.path.join(folder, "blah"))
    run_until_it_is_there(deployment, truth)
    assert totals(deployment) == truth
    assert sync_counts(deployment) == monthly_jobs(truth)
    before = tables(deployment)
    assert len(before["VJobRecords"]) == JOBS
    run_everything(deployment)
    assert tables(deployment) == before, "a second run of everything changed something"


class Chaos:
    """Runs the five programs at once and kills them at random moments, while logs go on arriving."""

    def __init__(self, deployment, seed):
        self.deployment = deployment
        self.random = random.Random(seed)
        self.running = {}
        self.killed = dict.fromkeys(SITE + CENTRE, 0)

    def start_missing(self):
        for name in SITE + CENTRE:
            process = self.running.get(name)
            if process is None or process.poll() is not None:
                self.running[name] = self.deployment.start(name)

    def kill_one(self):
        """Kill the program that was killed least, if it still lives."""
        name = min(self.killed, key=lambda name: (self.killed[name], self.random.random()))
        process = self.running[name]
        if process.poll() is None:
            process.kill()
            process.wait()
            self.killed[name] += 1

    def enough(self):
        return sum(self.killed.values()) >= KILLS_WANTED and min(self.killed.values()) >= KILLS_OF_EACH

    def end(self):
        for name, process in self.running.items():
            if name in CENTRE:
                process.terminate()
            assert process.wait(300) is not None


def arriving(samples, folder):
    """Copies of the log files, a day at a time, as they would come at a site."""
    for sub in ("batch", "blah"):
        os.makedirs(os.path.join(folder, sub))
    days = {}
    for sub in ("batch", "blah"):
        for name in os.listdir(os.path.join(samples, sub)):
            days.setdefault(name[-8:], []).append(os.path.join(sub, name))
    for day in sorted(days):
        yield [shutil.copy(os.path.join(samples, name), os.path.join(folder, name)) for name in days[day]]


def test_kill_9_anywhere_loses_nothing_and_doubles_nothing(deployment, samples):
    """P5, S6, C6, D7: parser, client, sender, receiver and loader killed at random while logs arrive."""
    folder, truth = samples
    logs = deployment.path("logs")
    arrivals = arriving(folder, logs)
    start_site(deployment, os.path.join(logs, "batch"), os.path.join(logs, "blah"))
    chaos = Chaos(deployment, seed=int(os.environ.get("APEL_CHAOS_SEED", "7")))
    for _ in range(ROUNDS_AT_MOST * len(chaos.killed)):
        next(arrivals, None)
        chaos.start_missing()
        time.sleep(chaos.random.uniform(0.05, 0.9))
        chaos.kill_one()
        if chaos.enough():
            break
    chaos.end()
    assert chaos.enough(), "only %s kills" % chaos.killed
    for _ in arrivals:
        pass
    run_until_it_is_there(deployment, truth)
    assert totals(deployment) == truth
    assert sync_counts(deployment) == monthly_jobs(truth)
    assert len(tables(deployment)["VJobRecords"]) == JOBS
    with deployment.central_database() as db:
        assert not os.path.exists(deployment.path("centre/spool/reject")) or not rejected(deployment)
        assert db.run(lambda tx: tx.value("SELECT COUNT(*) FROM ChangedMonths")) == 0


def rejected(deployment):
    return [
        name
        for _, _, names in os.walk(deployment.path("centre/spool/reject"))
        for name in names
        if name == "error"
    ]
