"""apelclient republish: which months go, of what, and what never follows from them."""

import json
import os

import pytest
from gridsite import CE1, CE2, CLIENT_CONFIG, SITE, event, grid, new_site, queued

from apel.client.differences import differences, read_document
from apel.client.republish import periods_of
from apel.commands import apelclient
from apel.messages import decode
from apel.times import epoch_from_text
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, EXIT_TRY_LATER, EXIT_USAGE, ServiceError

NOW = epoch_from_text("2026-11-26 12:00:00")
#: Job, end, compute element: two in January, one in each of the next two months.
JOBS = [
    ("1", "2026-01-10 12:00:00", CE1, "atlas"),
    ("2", "2026-01-31 23:59:59", CE2, "cms"),
    ("3", "2026-02-01 00:00:00", CE1, "cms"),
    ("4", "2026-03-10 12:00:00", CE1, "atlas"),
]


class Client:
    """A site whose jobs have all been published once, and its command."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.site = new_site({"backend": "sqlite", "name": os.path.join(self.folder, "client.db")})
        for ce in (CE1, CE2):
            self.site.benchmark(ce)
        for job, end, ce, vo in JOBS:
            names = {"FQAN": "/%s" % vo, "VO": vo, "VOGroup": "/%s" % vo, "VORole": "None"}
            self.site.put(event(job, end), grid(job, end[:10] + " 00:00:00", ce, **names))
        self.site.join()

    def run(self, *arguments, unloader=""):
        config = os.path.join(self.folder, "client.cfg")
        with open(config, "w", encoding="utf-8") as stream:
            stream.write(CLIENT_CONFIG.format(folder=self.folder, unloader=unloader))
        return apelclient.main(["republish", "-c", config, *arguments])

    def sent(self, kind):
        """The records of the messages of a kind in the spool."""
        messages = [decode(text) for text in queued(os.path.join(self.folder, "spool"))]
        return [record for one in messages if one.format.startswith(kind) for record in one.records]

    def jobs(self):
        return sorted(record.LocalJobId for record in self.sent("job"))

    def write(self, document):
        path = os.path.join(self.folder, "differences.json")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(document if isinstance(document, str) else json.dumps(document))
        return path


@pytest.fixture
def client(tmp_path):
    made = Client(tmp_path)
    yield made
    made.site.db.close()


@pytest.mark.parametrize(
    "arguments, jobs",
    [
        (["--month", "2026-01"], ["1", "2"]),
        (["--month", "2026-01", "--month", "2026-03"], ["1", "2", "4"]),
        (["--from", "2026-01-31", "--to", "2026-02-01"], ["2", "3"]),
        (["--from", "2026-02-01"], ["3", "4"]),
        (["--month", "2026-01", "--ce", CE2], ["2"]),
        (["--month", "2026-01", "--vo", "ATLAS"], ["1"]),
        (["--month", "2026-01", "--vo", "cms", "--jobs"], ["2"]),
    ],
)
def test_what_is_chosen_goes_again_and_nothing_else(client, arguments, jobs):
    """C9: months and days are whole, in UTC."""
    assert client.run(*arguments) == EXIT_DONE
    assert client.jobs() == jobs
    # However narrow the choice, the centre is told of all jobs there are.
    counts = {(one.Month, one.SubmitHost): one.NumberOfJobs for one in client.sent("sync")}
    assert counts == {(1, CE1): 1, (1, CE2): 1, (2, CE1): 1, (3, CE1): 1}


def test_sums_go_as_whole_months(client):
    unloader = "send_summaries = true"
    assert client.run("--from", "2026-01-20", "--to", "2026-01-21", unloader=unloader) == EXIT_DONE
    assert sorted((one.Month, one.SubmitHost, one.NumberOfJobs) for one in client.sent("summary")) == [
        (1, CE1, 1),
        (1, CE2, 1),
    ]
    assert client.sent("job") == []


def test_what_goes_again_is_counted(client):
    for _ in range(2):
        client.run("--month", "2026-01")
    with open(os.path.join(client.folder, "apel.prom"), encoding="utf-8") as stream:
        assert 'apel_client_records_total{program="apelclient"} 4' in stream.read()


def test_what_latest_sends_is_not_changed(client):
    client.run("--month", "2026-01")
    assert client.site.rows("SELECT COUNT(*) FROM LastUpdated WHERE Type LIKE 'sent%%'") == [(0,)]


def test_a_dry_run_counts_and_sends_nothing(client, capsys):
    assert client.run("--month", "2026-01", "--month", "2026-02", "--dry-run") == EXIT_DONE
    assert capsys.readouterr().out.splitlines() == [
        "2026-01-01 to 2026-01-31: 2 jobs",
        "2026-02-01 to 2026-02-28: 1 jobs",
    ]
    client.run("--from", "2026-01-01", "--dry-run", unloader="send_summaries = true")
    assert capsys.readouterr().out.endswith(": 4 sums of 4 jobs\n")
    assert not os.path.exists(os.path.join(client.folder, "spool"))


@pytest.mark.parametrize(
    "arguments, unloader, status, words",
    [
        ([], "", EXIT_USAGE, "needs --month, --from or --differences"),
        (["--month", "2026-13"], "", EXIT_USAGE, "no month"),
        (["--from", "2026-02-30"], "", EXIT_USAGE, "no day"),
        (["--month", "2026-01", "--to", "2026-01-02"], "", EXIT_USAGE, "--to needs --from"),
        (["--from", "2026-02-01", "--to", "2026-01-01"], "", EXIT_USAGE, "is before"),
        (["--month", "2026-01", "--daemon"], "", EXIT_USAGE, "does not go with republish"),
        (
            ["--month", "2026-01", "--vo", "cms"],
            "include_vos = atlas",
            EXIT_USAGE,
            "does not let this VO out",
        ),
        (["--month", "2026-01", "--vo", "CMS"], "exclude_vos = cms", EXIT_USAGE, "does not let this VO out"),
        (["--month", "2026-01", "--summaries"], "", EXIT_FAILED, "counts them twice"),
        (["--month", "2026-01", "--jobs"], "send_summaries = true", EXIT_FAILED, "counts them twice"),
        (["--month", "2026-01", "--ce", "ce9"], "", EXIT_FAILED, "there are of %s, %s" % (CE1, CE2)),
        (["--month", "2025-01"], "", EXIT_FAILED, "nothing to publish again"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(client, capsys, arguments, unloader, status, words):
    assert client.run(*arguments, unloader=unloader) == status
    assert words in capsys.readouterr().err
    assert not client.sent("job") and not client.sent("sync")


def test_the_other_kind_needs_force(client):
    assert client.run("--month", "2026-01", "--summaries", "--force") == EXIT_DONE
    assert len(client.sent("summary")) == 2


def test_options_of_republish_need_the_word(client, capsys):
    config = os.path.join(client.folder, "client.cfg")
    assert apelclient.main(["-c", config, "--month", "2026-01"]) == EXIT_USAGE
    assert "goes with `apelclient republish` only" in capsys.readouterr().err


def document(*entries, site=SITE):
    found = [
        {"month": month, "kind": kind, "status": "ERROR", "difference": difference}
        for month, kind, difference in entries
    ]
    return {"format": "apel-pubsync 1", "site": site, "differences": found}


def test_only_months_that_differ_go(client):
    path = client.write(document(("2026-01", "gap", -1), ("2026-03", "only site", -1)))
    assert client.run("--differences", path) == EXIT_DONE
    assert client.jobs() == ["1", "2", "4"]


def test_the_own_site_is_found_in_the_document_of_all(client):
    entries = [document(("2026-03", "gap", -1), site="OTHER"), document(("2026-01", "gap", -1))]
    assert (
        client.run("--differences", client.write({"format": "apel-pubsync 1", "sites": entries})) == EXIT_DONE
    )
    assert client.jobs() == ["1", "2"]


def test_no_difference_is_nothing_to_do(client, capsys):
    path = client.write(document())
    assert client.run("--differences", path) == EXIT_DONE
    assert client.run("--differences", path, "--dry-run") == EXIT_DONE
    assert "No month is to be published again." in capsys.readouterr().out
    assert client.sent("sync") == []


@pytest.mark.parametrize(
    "kind, difference, as_jobs, as_sums",
    [
        ("gap", -100, True, True),
        ("only site", -100, True, True),
        ("close", -1, True, True),
        ("close", 1, False, True),
        ("surplus", 100, False, True),
        ("only centre", 100, False, False),
        ("clock", 1, False, False),
        ("something new", 1, False, False),
    ],
)
def test_which_difference_is_cured_by_what(kind, difference, as_jobs, as_sums):
    for summaries, expected in ((False, as_jobs), (True, as_sums)):
        found = differences(document(("2026-01", kind, difference)), [SITE], NOW, summaries)
        assert (found.months == {(2026, 1)}, len(found.left)) == (expected, 0 if expected else 1)


def test_jobs_of_an_archived_month_stay_until_it_is_reopened():
    found = document(("2026-01", "gap", -1))
    found["differences"][0]["archived"] = True
    left = differences(found, [SITE], NOW, False)
    assert left.months == set() and "reopen" in left.left[0]
    assert differences(found, [SITE], NOW, True).months == {(2026, 1)}


def test_the_current_month_goes_only_if_it_lacks_more_than_the_tolerance():
    lagging, lacking = (document(("2026-11", kind, -1)) for kind in ("close", "gap"))
    assert differences(lagging, [SITE], NOW, True).months == set()
    assert differences(lacking, [SITE], NOW, True).months == {(2026, 11)}


@pytest.mark.parametrize(
    "content, words",
    [
        ("<html>", "holds no JSON"),
        ("[]", "no document of apelpubsync"),
        ({"format": "apel-pubsync 2"}, "no document of apelpubsync"),
        (document(site="OTHER"), "says nothing about TEST-SITE"),
        (document(("2026-00", "gap", 1)), "names a month that is none"),
    ],
)
def test_a_document_that_is_none_is_refused(client, capsys, content, words):
    assert client.run("--differences", client.write(content)) == EXIT_FAILED
    assert words in capsys.readouterr().err
    assert client.sent("sync") == []


def test_an_address_that_does_not_answer_is_tried_later(client, capsys):
    assert client.run("--differences", "http://127.0.0.1:1/index.json") == EXIT_TRY_LATER
    assert "can't be fetched" in capsys.readouterr().err
    with pytest.raises(ServiceError, match="can't be read"):
        read_document("/no/such/file")


def test_neighbouring_months_are_one_period():
    months = [(2026, 1), (2025, 12), (2026, 3), (2026, 1)]
    assert periods_of(months) == [("2025-12-01", "2026-01-31"), ("2026-03-01", "2026-03-31")]
    assert len(periods_of(months, joined=False)) == 3


def test_accelerators_go_again_with_their_jobs_where_they_are_sent_at_all(client, capsys):
    cards = ((0, "n1", "a100", "GPU", 2, 3600, None),)
    names = {"FQAN": "/cms", "VO": "cms", "VOGroup": "/cms", "VORole": "None"}
    client.site.put(event("5", "2026-02-03 00:00:00", Accelerators=cards))
    client.site.put(grid("5", "2026-02-02 00:00:00", CE2, **names))
    client.site.join()
    assert client.run("--month", "2026-02") == EXIT_DONE
    assert client.sent("accelerator") == []
    switched_on = "accelerators = true"
    assert (
        client.run("--month", "2026-01", "--month", "2026-02", "--dry-run", unloader=switched_on) == EXIT_DONE
    )
    assert "2 jobs, 1 accelerators" in capsys.readouterr().out
    assert client.run("--month", "2026-02", unloader=switched_on) == EXIT_DONE
    assert [record.Model for record in client.sent("accelerator")] == ["a100"]
    assert client.run("--month", "2026-02", "--ce", CE1, unloader=switched_on) == EXIT_DONE
    assert len(client.sent("accelerator")) == 1
