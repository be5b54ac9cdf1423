"""A site's database that is restored, or loses its last seconds, during a run: names have other ids then."""

import pytest
from gridsite import CE1, CE2, SITE, event, grid

from apel.ingest import DatabaseLedger
from apel.ingest.ledger import Batch
from apel.parsers import ParserOptions, SlurmParser

pytestmark = pytest.mark.server


@pytest.fixture
def restored(mariadb, mariadb_site, monkeypatch):
    """Call it with a table: just before that is written to, names get other ids and the connection ends."""
    backend = type(mariadb_site.db.backend)
    database = mariadb_site.db.backend.database
    insert = backend.insert

    def at_the_write_to(table, lookups):
        done = []

        def restore_once(self, connection, name, *arguments):
            if name == table and not done:
                done.append(table)
                for lookup in lookups:
                    mariadb.rows(database, "UPDATE %s SET name = CONCAT('other ', name)" % lookup)
                mariadb.rows(database, "KILL %s" % connection.thread_id())
            return insert(self, connection, name, *arguments)

        monkeypatch.setattr(backend, "insert", restore_once)
        return done

    return at_the_write_to


def test_parser_stores_no_event_under_ids_of_before(mariadb_site, restored):
    """D1, D18."""
    site = mariadb_site
    mariadb_site.db.ids("Sites", [SITE])
    done = restored("EventRecords", ["Sites", "MachineNames"])
    batch = Batch([event("1")], [], None, lambda record: None)
    ledger = DatabaseLedger(site.db, "batch.example.org")
    assert ledger.commit(SlurmParser(ParserOptions(SITE, "batch.example.org")), batch, "ignore").stored == 1
    assert done
    names = "SELECT S.name, M.name FROM EventRecords E JOIN Sites S ON S.id = SiteID"
    assert site.rows(names + " JOIN MachineNames M ON M.id = MachineNameID") == [(SITE, "batch.example.org")]


def test_record_that_is_refused_is_found_with_ids_of_now(mariadb_site, restored):
    """P7, D18: what is stored around a bad record, too."""
    done = restored("EventRecords", ["Sites"])
    mariadb_site.put(event("1"), event("2"))
    assert done
    assert mariadb_site.rows("SELECT DISTINCT name FROM EventRecords JOIN Sites ON id = SiteID") == [(SITE,)]


def test_new_name_beside_a_known_one(mariadb_site, restored):
    """D18: the known one's id is asked for again when the connection ends as the new one is made."""
    mariadb_site.execute("INSERT INTO DNs (name) VALUES ('known')")
    done = restored("`DNs`", ["DNs"])
    ids = mariadb_site.db.ids("DNs", ["known", "new"])
    assert done
    assert dict(mariadb_site.rows("SELECT name, id FROM DNs WHERE name IN ('known', 'new')")) == ids


def test_joiner_makes_no_job_with_ids_of_before(mariadb_site, restored):
    """D18: publishers, and who stands for nobody."""
    mariadb_site.benchmark(CE1)
    mariadb_site.put(event("1"), grid("1"))
    done = restored("JoinWork", ["DNs"])
    assert mariadb_site.join().grid == 1
    assert done
    publishers = mariadb_site.rows("SELECT name FROM JobRecords JOIN DNs ON id = PublisherDNID")
    assert publishers == [("apelclient",)]


def test_benchmark_goes_to_its_own_compute_element(mariadb_site, restored):
    """D18."""
    mariadb_site.benchmark(CE1)
    done = restored("SpecRecords", ["SubmitHosts"])
    mariadb_site.benchmark(CE2, 20.0)
    assert done
    assert mariadb_site.rows("SELECT CE, ServiceLevel FROM VSpecRecords WHERE ServiceLevel > 15") == [
        (CE2, 20.0)
    ]
