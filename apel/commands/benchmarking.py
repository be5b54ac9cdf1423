"""`apelclient --benchmarks`: which compute element has which benchmark since when, and which jobs wait."""

import json
from typing import Any, Dict, Iterator, List

from apel.client.benchmarks import MANUAL
from apel.client.elements import Element, elements, with_configured
from apel.client.run import advice_for, set_by_hand
from apel.db import open_database
from apel.times import utc_text
from apelcommon.config import Settings
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, ServiceError

HEADINGS = ("compute element", "benchmark", "value", "since (UTC)", "until", "set by")
BEGINNING = utc_text(0)


def show(settings: Settings, as_json: bool) -> int:
    """Print it; the exit status, which is 1 if jobs wait for a benchmark."""
    db = open_database(settings.db, schema="client")
    if not db.backend.exists():
        raise ServiceError("%s does not exist: nothing has run here yet." % db.backend)
    try:
        site = settings.spec_updater.site_name
        found = with_configured(elements(db), site, set_by_hand(settings))
    finally:
        db.close()
    if as_json:
        print(json.dumps([_as_json(element) for element in found], indent=2))
    else:
        print("\n".join(_page(found, settings)))
    return EXIT_FAILED if any(element.waiting for element in found) else EXIT_DONE


def _page(found: List[Element], settings: Settings) -> Iterator[str]:
    if not found:
        yield "No compute element is known yet: no job came from one, and none has a benchmark."
        return
    yield from _aligned([HEADINGS, *(row for element in found for row in _rows(element))])
    waiting = [(each, each.waiting.jobs) for each in found if each.waiting and not each.coming]
    grid = {each.name: jobs for each, jobs in waiting if not each.local}
    yield from advice_for(grid, {each.name: jobs for each, jobs in waiting if each.local}, settings)


def _rows(element: Element) -> Iterator[List[str]]:
    name = element.name + (" (local jobs)" if element.local else "")
    rows = [[one.type, _short(one.value), "the next run", "", MANUAL] for one in element.coming]
    for period in element.history:
        since = "the beginning" if period.start <= BEGINNING else period.start
        source = period.source or "unknown"
        rows.append([period.type, _short(period.value), since, period.stop or "now", source])
    for row in rows or [["none", "", "", "", ""]]:
        yield [name, *row]
        name = ""
    if element.waiting:
        jobs, oldest, newest = element.waiting
        yield ["", "%d jobs wait, which ended from %s to %s" % (jobs, oldest, newest)]


def _short(value: float) -> str:
    return ("%.3f" % value).rstrip("0").rstrip(".")


def _aligned(rows: List[Any]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in rows if len(row) > 2) for place in range(len(HEADINGS))]
    for row in rows:
        # What is a sentence goes over the columns to its right.
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip()


def _as_json(element: Element) -> Dict[str, Any]:
    in_force = element.in_force()
    return {
        "site": element.site,
        "ce": element.name,
        "local": element.local,
        "benchmarks": [
            {
                "type": period.type,
                "value": period.value,
                "since": None if period.start <= BEGINNING else period.start,
                "until": period.stop,
                "source": period.source,
                "in_force": period in in_force,
            }
            for period in element.history
        ],
        "from_the_next_run": [{"type": one.type, "value": one.value} for one in element.coming],
        "waiting": element.waiting and dict(element.waiting._asdict()),
    }
