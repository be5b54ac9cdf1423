"""P20: jobs of tokens at the centre: issuer and subject in columns of their own, whatever way they came."""

from typing import Any

import pytest
from centre import MARCH, Centre, job, message

from apel.client.join_sql import JOB_COLUMNS
from apel.db import Database
from apel.db.store import store
from apel.db.tables import JOBS, SERVER_JOBS
from apel.messages import decode
from apel.server.archive import file_name, messages_in, write_archive
from apel.summaries import SiteMonth

VO, OTHER = "https://vo-auth.example/", "https://other.example/iam"
SUBJECT = "8a41d9f0-6e1c-4c5b-9b55-5a1f2a7c9d01"
#: What is sent of users, and what they are tokens of.
USERS = [
    ("%s %s" % (VO, SUBJECT), VO, SUBJECT),
    ("%s %s" % (OTHER, SUBJECT), OTHER, SUBJECT),
    ("%s/%s" % (OTHER, SUBJECT), OTHER, SUBJECT),
    ("/DC=org/CN=Ada https://x y", None, None),
    ("withheld", None, None),
    (SUBJECT, None, None),
    ("https://portal.example/users", None, None),
    (None, None, None),
]
JOBS_OF_THEM = [job(LocalJobId=str(number), GlobalUserName=user) for number, (user, _, _) in enumerate(USERS)]
TOKENS = [(str(number), issuer, subject) for number, (_, issuer, subject) in enumerate(USERS)]
QUERY = "SELECT LocalJobId, TokenIssuer, TokenSubject FROM VJobRecords ORDER BY LocalJobId"


@pytest.mark.parametrize("format", ["job v0.3", "job v0.4", "job car"])
def test_columns_are_filled_from_the_user(centre: Centre, format: str) -> None:
    centre.load(message(JOBS_OF_THEM, format))
    assert centre.rejected() == []
    assert centre.rows(QUERY) == TOKENS


def test_corrected_user_corrects_the_columns(centre: Centre) -> None:
    centre.load(message([job(GlobalUserName=USERS[0][0])]))
    centre.load(message([job(GlobalUserName=USERS[1][0])]))
    assert centre.rows(QUERY) == [("1001", OTHER, SUBJECT)]
    centre.load(message([job()]))
    assert centre.rows(QUERY) == [("1001", None, None)]


def test_same_subject_of_two_issuers_are_two_users_in_sums(centre: Centre) -> None:
    centre.load(message(JOBS_OF_THEM[:2] * 2 + [job(LocalJobId="9", GlobalUserName=USERS[0][0])]))
    centre.summarise()
    for view in ("VSuperSummaries", "VUserSummaries"):
        number = "NumberOfJobs" if view == "VSuperSummaries" else "TotalNumberOfJobs"
        sums = centre.rows("SELECT GlobalUserName, VO, %s FROM %s ORDER BY 3" % (number, view))
        assert [(user, vo, int(jobs)) for user, vo, jobs in sums] == [
            (USERS[1][0], "atlas", 1),
            (USERS[0][0], "atlas", 2),
        ]


def test_archived_month_has_them_again(centre: Centre, tmp_path: Any) -> None:
    centre.load(message(JOBS_OF_THEM))
    site = centre.db.ids("Sites", ["EXAMPLE-NORTH"])["EXAMPLE-NORTH"]
    month = SiteMonth(site, *MARCH)
    write_archive(centre.db, month, "EXAMPLE-NORTH", str(tmp_path))
    centre.execute("DELETE FROM JobRecords")
    path = str(tmp_path / file_name("EXAMPLE-NORTH", month))
    centre.load(*[found["body"] for found in messages_in(path)])
    assert centre.rows(QUERY) == TOKENS


def test_site_and_centre_have_equal_rows(centre: Centre, client_db: Database) -> None:
    """What a site stores comes out of a message as it went in, into a table of one form."""
    store(client_db, JOBS, JOBS_OF_THEM, "update", {"PublisherDN": "x"})
    centre.load(message(JOBS_OF_THEM))
    query = "SELECT * FROM VJobRecords ORDER BY LocalJobId"
    at_site = client_db.run(lambda tx: tx.rows(query))
    assert [row[1:] for row in centre.rows(query)] == [row[1:] for row in at_site]
    assert decode(message(JOBS_OF_THEM)).records == JOBS_OF_THEM
    assert set(JOB_COLUMNS) == set(SERVER_JOBS.columns)
