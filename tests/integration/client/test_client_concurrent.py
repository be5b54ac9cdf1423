"""Writers that commit while the unloader reads, and parsers that add while the joiner looks (MariaDB)."""

import json
import random
import re
import subprocess
import sys
import threading
import time

import pytest
from gridsite import CE1, CLIENT_CONFIG, FakeQueue, event, grid

from apel import unloader
from apel.client.choice import GRID
from apel.client.join_sql import JOB_COLUMNS
from apel.commands import apelclient
from apel.db import Transaction, open_database
from apel.unloader import Unloader, hold_off_unloader, prepare_writers
from apel.views import Selection
from apelcommon.errors import ServiceError

WRITERS, JOBS_EACH = 3, 40


def test_job_committed_during_an_unload_is_never_missed(mariadb_site, monkeypatch):
    """C6: stamped before the unload reads its clock, committed after it, in that second or the next."""
    monkeypatch.setattr(unloader, "WAITS_FOR_A_QUIET_SECOND", 0)
    site, queue, done = mariadb_site, FakeQueue(), threading.Event()
    template = job_template(site)
    prepare_writers(site.db)
    threads = [threading.Thread(target=write, args=(site, template, number)) for number in range(WRITERS)]
    reader = threading.Thread(target=unload_until, args=(site, queue, done))
    for thread in [*threads, reader]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join()
    sent = {record.LocalJobId for record in queue.records()}
    wanted = {"%d-%d" % (number, job) for number in range(WRITERS) for job in range(JOBS_EACH)}
    assert sent >= wanted
    assert len(queue.texts) > 1, "the unloader never ran between the writers"


def job_template(site):
    """A row of JobRecords, by column."""
    site.benchmark(CE1)
    site.put(event("template"), grid("template"))
    site.join()
    (row,) = site.rows("SELECT %s FROM JobRecords" % ", ".join(JOB_COLUMNS))
    return dict(zip(JOB_COLUMNS, row))


def write(site, template, number):
    """Commit jobs one by one, each a while after it was stamped."""
    with open_database(site.db_settings, schema="client") as db:
        for job in range(JOBS_EACH):
            row = dict(template, LocalJobId="%d-%d" % (number, job))

            def work(tx, row=row):
                hold_off_unloader(tx)
                tx.insert("JobRecords", list(row), [list(row.values())])
                time.sleep(random.uniform(0, 0.05))

            db.run(work)
            time.sleep(random.uniform(0, 0.05))


def unload_until(site, queue, done):
    """Unload again and again, and once more when the writers are done."""
    with open_database(site.db_settings, schema="client") as db:
        last = False
        while not last:
            last = done.is_set()
            Unloader(db, queue, Selection()).unload("VJobRecords")


def test_grid_records_added_while_others_are_looked_at_are_not_passed_over(mariadb_site, monkeypatch):
    """C7: the parser commits between the look for events and the mark of what was looked at."""
    site = mariadb_site
    site.benchmark(CE1)
    site.put(event("1"), event("2"))
    site.join()
    site.put(grid("1", "2026-03-10 10:59:00"))
    added = []

    def execute(tx, sql, params=()):
        if sql.startswith("UPDATE BlahdRecords") and not added:
            added.append(grid("2", "2026-03-10 10:58:00"))
            with open_database(site.db_settings, schema="client") as db:
                type(site)(db, site.db_settings).put(*added)
        return plain(tx, sql, params)

    plain = Transaction.execute
    monkeypatch.setattr(Transaction, "execute", execute)
    site.db.first_wait = 0.001
    site.join()
    assert added
    assert site.statuses() == {"1": GRID, "2": GRID}


HOLD = """
import json, sys, time
from types import SimpleNamespace
from apel.db import open_database
db = open_database(SimpleNamespace(**json.loads(sys.argv[1])), schema="client")
with db.alone("apelclient"):
    print("at work", flush=True)
    time.sleep(600)
"""


def test_two_clients_on_two_hosts_with_one_database(mariadb_site, tmp_path, capsys):
    """P6: the second says who is at work, and does nothing; one that was killed leaves nothing behind."""
    section = dict(vars(mariadb_site.db_settings))
    lines = [
        "%s = %s" % (name, ",".join(value) if name == "hostname" else value)
        for name, value in section.items()
    ]
    config = tmp_path / "client.cfg"
    text = CLIENT_CONFIG.format(folder=tmp_path, unloader="")
    config.write_text("\n".join(["[db]", *lines]) + "\n" + text[text.index("[spec_updater]") :])
    mariadb_site.put(event("1"), grid("1"))
    mariadb_site.benchmark(CE1)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, json.dumps(section)], stdout=subprocess.PIPE, universal_newlines=True
    ) as other:
        try:
            assert other.stdout.readline() == "at work\n"
            assert apelclient.main(["-c", str(config)]) == 1
            said = capsys.readouterr().err
            assert re.search(
                r"already running on another host.*host (localhost|127\.0\.0\.1), connection \d+", said
            )
            assert mariadb_site.jobs() == {}
            assert mariadb_site.rows("SELECT Type FROM LastUpdated WHERE Type LIKE '%%apelclient%%'") == []
        finally:
            other.kill()
    deadline = time.monotonic() + 180
    while apelclient.main(["-c", str(config)]) != 0:
        assert time.monotonic() < deadline, "the lock of a dead process stays"
    assert list(mariadb_site.jobs()) == ["1"]


def test_claim_outlives_the_servers_patience_with_idle_connections(mariadb_site, mariadb):
    """P6: a run takes longer than a server may let a connection without work live."""
    (before,) = mariadb.rows("", "SELECT @@GLOBAL.wait_timeout")
    mariadb.rows("", "SET GLOBAL wait_timeout = 1")
    try:
        with mariadb_site.db.alone("apelclient"), open_database(
            mariadb_site.db_settings, schema="client"
        ) as other:
            time.sleep(2.5)
            with pytest.raises(ServiceError, match="already running"), other.alone("apelclient"):
                pass
    finally:
        mariadb.rows("", "SET GLOBAL wait_timeout = %s", before)
