"""The pages of Pub/Sync in a real browser: faults where they were planted, sorting, filters, charts."""

import re
import threading
from types import SimpleNamespace
from typing import Any, Iterator, List

import pytest
from pubcentre import NOW, faulty_centre, one_host, text

from apel.pubsync.documents import Build
from apel.pubsync.figures import read_figures
from apel.pubsync.model import Thresholds, judge, publication
from apel.pubsync.publish import Publisher
from apel.pubsync.records import KINDS, Part
from apel.pubsync.serve import Server
from apel.times import DAY, utc_text
from servers.browser import Browser
from servers.databases import fresh_database

OLD = publication(NOW - 40 * DAY, NOW - 40 * DAY, NOW, Thresholds())
HOSTILE = "<img src=x onerror=console.error('broken')>"
COLUMN = (
    "return Array.from(document.querySelectorAll('#sites tbody tr:not([hidden])'),"
    " row => row.cells[%d].innerText)"
)


@pytest.fixture(scope="module")
def centre(tmp_path_factory: Any) -> Iterator[SimpleNamespace]:
    """The pages of 300 sites and 36 months with planted faults, one with a hostile name, on a server."""
    folder = tmp_path_factory.mktemp("pubsync")
    for db in fresh_database("server", folder):
        content, truth = faulty_centre()
        one_host(content, HOSTILE)
        truth[HOSTILE] = ("OK", "OK", {})
        content.store(db)
        sites = judge(read_figures(db, utc_text(NOW + DAY)), NOW, Thresholds())
        parts = {kind: [Part("SITE-001", "a service", OLD, {(2026, 11): 7}, "software/1")] for kind in KINDS}
        Publisher(str(folder), Build(NOW, Thresholds(), kinds=tuple(KINDS)), 3).publish(sites, parts)
        server = Server(str(folder), 0)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield SimpleNamespace(url=server.url, truth=truth, db=db)
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    made = Browser()
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def no_complaints(browser: Browser) -> Iterator[None]:
    """Whatever a test looks at: no error in the console, nothing refused by the policy, nothing not found."""
    browser.complaints()
    yield
    assert browser.complaints() == []


def sites(browser: Browser, column: int = 0) -> List[str]:
    return list(browser.run(COLUMN % column))


def test_every_fault_shows_on_the_overview(centre: SimpleNamespace, browser: Browser) -> None:
    browser.open(centre.url)
    assert browser.title() == "Publishing of all sites - accounting"
    rows = browser.run(
        "return Array.from(document.querySelectorAll('#sites tbody tr'),"
        " row => [row.cells[0].innerText, row.cells[3].innerText, row.cells[4].innerText])"
    )
    assert {name: (pub, sync) for name, pub, sync in rows} == {
        name: (pub, sync) for name, (pub, sync, _) in centre.truth.items()
    }
    tally = " ".join(browser.run("return document.querySelector('.tally').innerText").split())
    worst = [max(one[:2], key=["UNKNOWN", "OK", "WARNING", "ERROR"].index) for one in centre.truth.values()]
    assert tally == "301 sites %d ERROR %d WARNING %d OK 0 UNKNOWN" % tuple(
        map(worst.count, ("ERROR", "WARNING", "OK"))
    )


def test_every_fault_shows_on_its_sites_page(centre: SimpleNamespace, browser: Browser) -> None:
    faulty = [name for name in centre.truth if name.startswith("FAULT")]
    assert len(faulty) >= 15
    for name in faulty:
        browser.open("%sgridsync/%s/" % (centre.url, name))
        rows = browser.run(
            "return Array.from(document.querySelectorAll('#months tbody tr'),"
            " row => [row.cells[0].innerText, row.cells[7].innerText])"
        )
        wrong = {month: status for month, status in rows if status != "OK"}
        assert wrong == {month: words.split()[-1] for month, words in centre.truth[name][2].items()}


def test_tables_are_sorted_by_their_headings(centre: SimpleNamespace, browser: Browser) -> None:
    browser.open(centre.url)
    heading = "#sites thead th:nth-child(%d)"
    browser.click(heading % 1 + " button")
    names = sites(browser)
    assert names == sorted(names, key=str.lower) and len(names) == 301
    assert browser.run("return document.querySelector(arguments[0]).ariaSort", heading % 1) == "ascending"
    browser.click(heading % 1 + " button")
    assert sites(browser) == names[::-1]
    browser.click(heading % 7 + " button")
    jobs = [int(one.replace(",", "")) for one in sites(browser, 6)]
    assert jobs == sorted(jobs) and jobs[0] < jobs[-1]
    assert browser.run("return document.querySelector(arguments[0]).ariaSort", heading % 1) is None
    browser.click(heading % 3 + " button")
    ages = sites(browser, 2)
    assert (
        ages[0] == "today" and ages[-1] == "never" and ages.index("10 days ago") < ages.index("40 days ago")
    )


def test_tables_are_searched_and_filtered(centre: SimpleNamespace, browser: Browser) -> None:
    browser.open(centre.url)
    told = "return document.querySelector('.tools [role=status]').textContent"
    assert browser.run(told) == "301 rows"
    browser.type(".tools input", "fault gap")
    assert sorted(sites(browser)) == ["FAULT-GAP", "FAULT-OLD-GAP"]
    assert browser.run(told) == "2 of 301 rows"
    browser.click(".tools option[value=ERROR]")
    assert sites(browser) == ["FAULT-GAP"]
    browser.type(".tools input", " ")
    browser.click(".tools option[value=WARNING]")
    assert len(sites(browser)) == sum(
        "WARNING" in one[:2] and "ERROR" not in one[:2] for one in centre.truth.values()
    )
    browser.type(".tools input", "no such site")
    assert sites(browser) == []


def test_charts_show_what_the_database_says(centre: SimpleNamespace, browser: Browser) -> None:
    browser.open(centre.url + "grid/FAULT-GAP/")
    bars = "return Array.from(document.querySelectorAll('.chart %s'), one => [one.dataset.month,"
    sql = (
        "SELECT Year, Month, SUM(NumberOfJobs), SUM(NormalisedCpuDuration) FROM VNormalisedSuperSummaries"
        " WHERE Site = 'FAULT-GAP' GROUP BY Year, Month ORDER BY Year, Month"
    )
    truth = {
        "%04d-%02d" % row[:2]: (int(row[2]), int(row[3]) / 3600)
        for row in centre.db.run(lambda tx: tx.rows(sql))
    }
    assert len(truth) == 36
    for kind, place in (("jobs", 0), ("cpu", 1)):
        drawn = browser.run(bars % ("rect." + kind) + " Number(one.dataset.value), one.getBBox().height])")
        assert {month: value for month, value, _ in drawn} == {
            month: pytest.approx(values[place]) for month, values in truth.items()
        }
        (_, most, tallest) = max(drawn, key=lambda one: one[1])
        assert all(height == pytest.approx(tallest * value / most, abs=0.02) for _, value, height in drawn)
    off = browser.run(bars % "line.off" + " Number(one.dataset.value)])")
    assert off == [[text(1), 10000]]


def test_a_gap_has_its_command(centre: SimpleNamespace, browser: Browser) -> None:
    browser.open(centre.url + "grid/FAULT-GAP/")
    assert browser.run("return document.querySelector('.advice code').innerText") == (
        "apelclient republish --month " + text(1)
    )
    browser.click("#months a")
    assert browser.title().startswith("FAULT-GAP in 2026-11")
    told = "return Array.from(document.querySelectorAll('code'), one => one.innerText)"
    assert browser.run(told) == []
    browser.open(centre.url + "gridsync/FAULT-GAP/%s/" % text(1))
    assert browser.run(told) == ["apelclient republish --month " + text(1)]


def test_a_hostile_name_is_only_text(centre: SimpleNamespace, browser: Browser) -> None:
    browser.open(centre.url)
    browser.type(".tools input", "onerror")
    assert sites(browser) == [HOSTILE]
    browser.click("#sites tbody tr:not([hidden]) a")
    assert browser.run("return document.querySelector('h1').innerText") == HOSTILE
    assert browser.run("return document.images.length") == 0


def test_colours_have_contrast_in_both_schemes(centre: SimpleNamespace, browser: Browser) -> None:
    """WCAG AA asks for 4.5 to 1."""
    browser.open(centre.url)
    styles = browser.run(
        "return Array.from(document.styleSheets[0].cssRules, rule => rule.cssText)"
        ".filter(one => one.includes('--ground:'))"
    )
    assert len(styles) == 2
    for style in styles:
        colours = dict(re.findall(r"--(\w+):\s*(#\w+)", style))
        for name in ("ink", "muted", "link", "ok", "warning", "error", "unknown"):
            for ground in ("ground", "sheet", "hover"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground, colours)


def test_headings_stay_in_sight_and_narrow_windows_hold_all(
    centre: SimpleNamespace, browser: Browser, tmp_path: Any
) -> None:
    """A long table's headings are at the top of a wide window; in a narrow one only what is wide scrolls."""
    browser.open(centre.url)
    browser.screenshot(str(tmp_path / "wide.png"))
    browser.run("scrollTo(0, 2000)")
    top = "return document.querySelector('#sites thead th').getBoundingClientRect().top"
    scrolling = (
        "const box = document.querySelector('#sites').parentNode;"
        " return [box.scrollWidth > box.clientWidth, box.tabIndex]"
    )
    assert browser.run(scrolling) == [False, -1]
    assert browser.run("return scrollY") > 1000 and browser.run(top) == pytest.approx(0, abs=1)
    # Chromium's windows are at least 500 pixels wide.
    browser.screenshot(str(tmp_path / "narrow.png"), (500, 900))
    widths = "return [document.documentElement.scrollWidth, innerWidth]"
    for page in ("", "grid/", "gridsync/", "grid/FAULT-GAP/", *(kind + "/" for kind in KINDS)):
        browser.open(centre.url + page)
        needed, there = browser.run(widths)
        assert needed <= there < 600, page
    browser.open(centre.url)
    assert browser.run(scrolling) == [True, 0]
    browser.screenshot(str(tmp_path / "wide.png"))


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_everything_can_be_read_without_scripts(centre: SimpleNamespace) -> None:
    plain = Browser(scripts=False)
    try:
        plain.start()
        plain.open(centre.url)
        assert len(sites(plain)) == 301
        assert plain.run("return document.querySelectorAll('button, input, select').length") == 0
    finally:
        plain.close()
