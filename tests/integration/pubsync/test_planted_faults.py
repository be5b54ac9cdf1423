"""A centre of 300 sites and 36 months: each planted fault is found where it is, and nothing else."""

import json
from typing import Any, Dict, List, Tuple

import pytest
from pubcentre import CURRENT, NOW, Content, Truth, back, faulty_centre, text

from apel.pubsync import documents
from apel.pubsync.documents import Build
from apel.pubsync.figures import read_figures
from apel.pubsync.model import Site, Thresholds, judge
from apel.times import DAY, month_bounds, utc_text

LIMIT = utc_text(NOW + DAY)


def judged(db: Any, site: Any = None) -> List[Site]:
    return judge(read_figures(db, LIMIT, site), NOW, Thresholds())


@pytest.fixture(scope="module")
def centre() -> Tuple[Content, Truth]:
    return faulty_centre()


def test_each_fault_is_found_where_it_is_and_nothing_else(
    server_db: Any, centre: Tuple[Content, Truth]
) -> None:
    content, truth = centre
    content.store(server_db)
    build = Build(NOW, Thresholds())
    sites = judged(server_db)
    assert len(sites) == 300
    found = {
        site.name: as_truth(json.loads(documents.as_json(documents.site_document(site, build))))
        for site in sites
    }
    assert found == truth
    (ahead,) = judged(server_db, "FAULT-CLOCK-AHEAD")
    # Of the sums whose last job ends in the future, the first one still counts.
    assert (ahead.publication.last, ahead.publication.future) == (
        month_bounds(*CURRENT)[0] + 60,
        NOW + 3 * DAY,
    )
    assert judged(server_db, "FAULT-GAP") == [site for site in sites if site.name == "FAULT-GAP"]
    assert judged(server_db, "NOWHERE") == []
    close_month(server_db, "FAULT-GAP")
    for found_again in (judged(server_db), judged(server_db, "FAULT-GAP")):
        archived = [
            (site.name, month.text) for site in found_again for month in site.months if month.archived
        ]
        assert archived == [("FAULT-GAP", text(1))]


def close_month(db: Any, site: str) -> None:
    """Archive the jobs of last month; those of the month before are being restored."""
    number, columns = (
        db.ids("Sites", [site])[site],
        ("SiteID", "Year", "Month", "State", "Jobs", "ClosedTime", "Mark"),
    )
    states = ((1, "purged"), (2, "restoring"))
    rows = [(number, *back(ago), state, 1, utc_text(NOW), 1) for ago, state in states]
    db.run(lambda tx: tx.insert("ClosedMonths", columns, rows))


def as_truth(document: Dict[str, Any]) -> Any:
    wrong = {
        month["month"]: "%s %s" % (month["kind"], month["status"])
        for month in document["months"]
        if month["status"] != "OK"
    }
    return document["publication"]["status"], document["sync"]["status"], wrong
