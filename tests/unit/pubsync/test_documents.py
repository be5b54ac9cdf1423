"""JSON, CSV and Nagios' words: fields as documented, and names that are no formulas, lines or paths."""

import csv
import io
import json
import os
import re
from typing import Any, Set

import pytest
from pubcentre import CURRENT, NOW

from apel.pubsync import documents, nagios, paths
from apel.pubsync.documents import Build
from apel.pubsync.figures import Published, Signed, SiteFigures
from apel.pubsync.model import Site, Thresholds, judge_site, publication
from apel.pubsync.records import KINDS, Part
from apel.times import DAY

PART = Part("SITE", "https://cloud", publication(NOW, NOW, NOW, Thresholds()), {(2026, 11): 5}, "OpenStack")
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BUILD = Build(NOW, Thresholds(), "https://accounting.example.org/")
HOSTILE = ["<script>alert(1)</script>", "../../etc/passwd", "..", ".", "", "index.html", "index.json", "a/b",
           "a~2fb", "É" * 90, "x" * 255, "\ud800", "a\nb", '"><img src=x>', "~", "%2e%2e"]  # fmt: skip


def site(name: str = "SITE", jobs: int = 90, age_days: int = 1) -> Site:
    last = NOW - age_days * DAY
    figures = SiteFigures(
        {CURRENT: {"ce": Published(jobs, 3600, 36000, last, last, last)}},
        {CURRENT: {"ce": 100}},
        [Signed("ce", "/CN=apel", NOW)],
        set(),
    )
    return judge_site(name, figures, NOW, Thresholds())


def test_every_field_is_documented_and_no_other() -> None:
    with open(os.path.join(ROOT, "docs", "pubsync.md"), encoding="utf-8") as stream:
        described = set(
            re.findall(r"^\| `(\w+)` \|", stream.read().split("## JSON")[1].split("\n## ")[0], re.MULTILINE)
        )
    found = (
        documents.records_document(KINDS["cloud"], [PART], BUILD),
        documents.overview([site()], BUILD),
        documents.site_document(site(), BUILD),
        documents.sync_document(site(), BUILD),
    )
    assert keys_of(found) == described


@pytest.mark.parametrize(
    "page", ["README.md", "docs/pubsync.md", "docs/storage.md", "docs/accelerators-centre.md"]
)
def test_pages_are_shown_to_who_reads_of_them(page: str) -> None:
    with open(os.path.join(ROOT, page), encoding="utf-8") as stream:
        pictures = re.findall(
            r"^!\[.+\]\((?:docs/)?(images/pubsync-\w+\.png)\)$", stream.read(), re.MULTILINE
        )
    assert pictures
    assert all(os.path.isfile(os.path.join(ROOT, "docs", name)) for name in pictures)


def keys_of(value: Any) -> Set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, (list, tuple)) else set()


def test_a_site_document_says_all_about_a_site() -> None:
    document = json.loads(documents.as_json(documents.site_document(site(), BUILD)))
    assert (document["format"], document["built"]) == ("apel-pubsync 1", "2026-11-26T12:00:00Z")
    assert document["publication"] == {
        "status": "OK",
        "last_job_end": "2026-11-25T12:00:00Z",
        "age_days": 1.0,
        "future_job_end": None,
        "closed": False,
    }
    difference = {
        "month": "2026-11",
        "kind": "gap",
        "status": "ERROR",
        "site_jobs": 100,
        "centre_jobs": 90,
        "difference": -10,
        "percent": 10.0,
        "archived": False,
    }
    assert document["differences"] == [difference]
    assert difference.items() <= document["months"][0].items()
    assert document["months"][0]["normalised_cpu_hours"] == 10.0
    assert document["publishers"][0]["submit_hosts"] == ["ce"]
    assert document["advice"][0]["command"] == "apelclient republish --month 2026-11"


def test_csv_has_a_line_for_each_and_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(documents.publication_csv([site("=cmd()", age_days=10)]))))
    assert [row["submit_host"] for row in rows] == ["", "ce"]
    assert (rows[0]["site"], rows[0]["status"]) == ("'=cmd()", "WARNING")
    (row,) = csv.DictReader(io.StringIO(documents.sync_csv([site()])))
    assert (row["site_jobs"], row["difference"], row["status"], row["recent"]) == (
        "100",
        "-10",
        "ERROR",
        "true",
    )


@pytest.mark.parametrize(
    "days, code, words",
    [
        (1, 0, "OK [ last published 1 days ago: 2026-11-25 ] | age_days=1.00;7;31"),
        (8, 1, "WARNING [ last published 8 days ago: 2026-11-18 ] | age_days=8.00;7;31"),
        (32, 2, "ERROR [ last published 32 days ago: 2026-10-25 ] | age_days=32.00;7;31"),
    ],
)
def test_the_probe_of_publication(days: int, code: int, words: str) -> None:
    for host in (None, "ce"):
        answer = nagios.check_publication(site(age_days=days), Thresholds(), host)
        assert (answer.code, answer.text) == (code, words)


def test_the_probe_of_synchronisation() -> None:
    answer = nagios.check_sync(site())
    assert answer.code == 2
    assert answer.text == (
        "ERROR [ 2026-11: site 100, centre 90; publish the gap: apelclient republish --month 2026-11 ]"
        " | months_differing=1 jobs_differing=10"
    )
    assert nagios.check_sync(site(jobs=100))[:1] == ("OK",)


def test_what_a_probe_does_not_know_is_unknown() -> None:
    assert nagios.check_publication(None, Thresholds()).code == 3
    assert nagios.check_publication(site(), Thresholds(), "ce2").code == 3
    assert nagios.check_sync(None).code == 3
    never = judge_site("SITE", SiteFigures({}, {}, [Signed("ce", "/CN=a", NOW)], set()), NOW, Thresholds())
    assert nagios.check_sync(never).code == 3
    assert nagios.check_publication(never, Thresholds()).code == 3
    assert "\n" not in nagios.unknown("a\nb").text


def test_ordinary_names_keep_the_old_addresses() -> None:
    assert paths.grid("UKI-NORTHGRID_X.1") == "publishing/grid/UKI-NORTHGRID_X.1"
    assert paths.month("RAL-LCG2", "2026-09") == "publishing/gridsync/RAL-LCG2/2026-09"
    assert paths.up("publishing/grid") == "../../"


def test_no_name_leaves_its_folder_or_meets_another() -> None:
    slugs = [paths.slug(name) for name in [*HOSTILE, "a-b", "A-B"]]
    assert len(set(slugs)) == len(slugs)
    for slug in slugs:
        assert re.match(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*\Z", slug) and len(slug) <= 160
        assert not slug.startswith("index.")
