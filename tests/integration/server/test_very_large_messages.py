"""A very large message is stored in several transactions, and in effect once, whatever comes between."""

from typing import Any, List

import pytest
from centre import Centre, job, jobs, message

from apel.server import storing

PART = 20


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: Any) -> None:
    monkeypatch.setattr(storing, "MOST_RECORDS_AT_ONCE", PART)


def large() -> str:
    """Of two months; the last record corrects one of the first part."""
    april = [job(LocalJobId="a%d" % number, EndTime=job().EndTime + 40 * 86400) for number in range(PART)]
    return message([*jobs(2 * PART), *april, job(LocalJobId="3", WallDuration=17)])


def whole(centre: Centre) -> List[Any]:
    """All jobs, and the months to sum up."""
    jobs_there = centre.rows("SELECT LocalJobId, EndMonth, WallDuration FROM JobRecords ORDER BY 1")
    return [jobs_there, centre.rows("SELECT DISTINCT Year, Month FROM ChangedMonths ORDER BY 1, 2")]


def transactions(monkeypatch: Any, end_at: int = 0) -> List[int]:
    """How many months each transaction of the loader marks; the loader is ended in the one of that number."""
    marked: List[int] = []
    mark = storing.mark_months

    def counting(tx: Any, months: Any, table: str) -> Any:
        marked.append(len(months))
        if len(marked) == end_at:
            raise SystemExit  # nothing of this transaction is committed, and nothing noted
        return mark(tx, months, table)

    monkeypatch.setattr(storing, "mark_months", counting)
    return marked


def test_stored_in_parts(centre: Centre, monkeypatch: Any) -> None:
    """Each part marks the months; of two records with one key in two parts the last counts."""
    marked = transactions(monkeypatch)
    loader = centre.load(large())
    assert marked == [2, 2, 2, 2]
    assert loader.tally.stored == 3 * PART + 1 and centre.rejected() == []
    assert centre.count("JobRecords") == 3 * PART
    assert centre.rows("SELECT WallDuration FROM JobRecords WHERE LocalJobId = '3'") == [(17,)]


@pytest.mark.parametrize("number", [1, 2, 4])
def test_killed_between_two_parts(centre: Centre, monkeypatch: Any, number: int) -> None:
    """D1: the message is still there and is loaded again; nothing is lost, doubled, or left unsummarised."""
    centre.deliver(large())
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        transactions(patch, end_at=number)
        centre.loader().step()
    assert centre.count("JobRecords") == min(PART * (number - 1), 3 * PART)
    assert centre.incoming.count() == 1
    later = message([job(LocalJobId="3", WallDuration=18)])
    centre.load(later)
    assert centre.incoming.count() == 0 and centre.rejected() == []
    jobs_there, months = whole(centre)
    assert len(jobs_there) == 3 * PART and ("3", 3, 18) in jobs_there
    assert months == [(2025, 3), (2025, 4)]


def test_bad_records_of_any_part_are_refused_alone(centre: Centre) -> None:
    """D3: what breaks a rule and what the database refuses, each with its number."""
    centre.execute("CREATE TRIGGER picky BEFORE INSERT ON JobRecords " + refusing(centre))
    chunks = large().split("%%\n")
    chunks[25] = chunks[25].replace("WallDuration: ", "WallDuration: x")
    loader = centre.load("%%\n".join(chunks))
    (rejected,) = centre.rejected()
    assert loader.tally.stored == 3 * PART + 1 - 2
    assert "record 26: WallDuration" in rejected["error"] and "record 46: " in rejected["error"]
    assert rejected["body"].count("%%") == 2
    assert "LocalJobId: 25\n" in rejected["body"] and "LocalJobId: a5\n" in rejected["body"]


def refusing(centre: Centre) -> str:
    """The body of a trigger that refuses the job a5."""
    if centre.db.backend.name == "sqlite":
        return "WHEN NEW.LocalJobId = 'a5' BEGIN SELECT RAISE(ABORT, 'a5 is refused'); END"
    return "FOR EACH ROW IF NEW.LocalJobId = 'a5' THEN SET NEW.SiteID = NULL; END IF"
