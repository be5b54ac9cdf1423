"""The pages as files: links that lead somewhere, names that stay text, tables for all, and builds."""

import json
import os
from html.parser import HTMLParser
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import unquote, urlsplit

import pytest
from pubcentre import CURRENT, NOW, back

from apel.pubsync import charts
from apel.pubsync.documents import Build
from apel.pubsync.figures import Published, Signed, SiteFigures
from apel.pubsync.model import Site, Thresholds, judge_site, publication
from apel.pubsync.publish import Publisher, Written
from apel.pubsync.records import KINDS, Part
from apel.times import DAY
from apelcommon.errors import Transient

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
NAMES = ["PLAIN-SITE", HOSTILE, "../../../etc", "index.html", "a\x00b\u202e", "É" * 200]
BUILD = Build(NOW, Thresholds())


def site(name: str, jobs: int = 90) -> Site:
    """A site with hostile names everywhere, a gap, and three months."""
    last = NOW - 3600
    figures = SiteFigures(
        {back(ago): {HOSTILE: Published(jobs, 3600, 36000, last, last, last)} for ago in range(3)},
        {CURRENT: {HOSTILE: 100}, back(1): {HOSTILE: 90, "ce2": 0}},
        [Signed(HOSTILE, "/CN=%s" % HOSTILE, NOW)],
        set(),
    )
    return judge_site(name, figures, NOW, Thresholds())


def publish(folder: Any, sites: List[Site], month_pages: int = 2, build: Build = BUILD) -> Written:
    return Publisher(str(folder), build, month_pages).publish(sites)


class Page(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.elements: List[Tuple[str, Dict[str, Optional[str]]]] = []
        self.text = ""
        with open(path, encoding="utf-8") as stream:
            self.source = stream.read()
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> List[Dict[str, Optional[str]]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def published(tmp_path_factory: Any) -> List[Page]:
    """Every page of a centre whose sites have names that want to be something else."""
    folder = tmp_path_factory.mktemp("published")
    publish(folder, [site(name) for name in NAMES])
    inside = [os.path.join(top, name) for top, _, names in os.walk(str(folder)) for name in names]
    assert os.listdir(str(folder)) == ["publishing"]
    return [Page(path) for path in inside if path.endswith(".html")]


def test_every_page_is_there(published: List[Page]) -> None:
    assert len(published) == 3 + len(NAMES) * (2 + 2)


def test_no_name_becomes_markup(published: List[Page]) -> None:
    for page in published:
        (script,) = page.all("script")
        assert (script["src"] or "").endswith("assets/pubsync.js")
        assert not page.all("img")
        assert not [
            name for _, given in page.elements for name in given if name.startswith("on") or name == "style"
        ]
        assert "\x00" not in page.source
    assert any(HOSTILE in page.text for page in published)


def test_every_link_leads_to_a_file_of_the_site(published: List[Page]) -> None:
    for page in published:
        links = [
            one.get(key)
            for tag, key in (("a", "href"), ("link", "href"), ("script", "src"))
            for one in page.all(tag)
        ]
        for link in links:
            parts = urlsplit(link or "")
            assert not parts.scheme and not parts.netloc
            if parts.path:
                path = os.path.normpath(os.path.join(os.path.dirname(page.path), unquote(parts.path)))
                assert os.path.isfile(path), (page.path, link)


def test_tables_and_pictures_are_for_everybody(published: List[Page]) -> None:
    for page in published:
        assert len(page.all("caption")) == len(page.all("table"))
        assert all(head.get("scope") in ("col", "row") for head in page.all("th"))
        assert all(picture["role"] == "img" and picture["aria-label"] for picture in page.all("svg"))
        assert len(page.all("h1")) == len(page.all("main")) == 1
        assert page.all("html") == [{"lang": "en"}]


def test_what_may_scroll_can_be_scrolled_from_the_keyboard(published: List[Page]) -> None:
    for page in published:
        scrolling = [one for one in page.all("div") if "scroll" in (one.get("class") or "").split()]
        assert len(scrolling) == len(page.all("table")) + len(
            [picture for picture in page.all("svg") if picture["class"] == "chart"]
        )
        assert all(one["tabindex"] == "0" and one["role"] == "region" for one in scrolling)
        assert all(one["aria-label"] for one in scrolling)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_heading_of_a_kind_has_its_cell(tmp_path: Any, kind: str) -> None:
    """Only some kinds tell the software."""
    state = publication(NOW, NOW, NOW, Thresholds())
    parts = {kind: [Part("SITE", "service", state, {(2026, 11): 1}, "software/1")]}
    Publisher(str(tmp_path), Build(NOW, Thresholds(), kinds=(kind,)), 3).publish([], parts)
    page = Page(str(tmp_path / "publishing" / kind / "index.html"))
    headings = [one for one in page.all("th") if one["scope"] == "col"]
    assert len(headings) == len(page.all("td")) + len(
        [one for one in page.all("th") if one["scope"] == "row"]
    )
    assert ("software/1" in page.text) == KINDS[kind].software


def test_what_is_not_told_is_not_made_up(tmp_path: Any) -> None:
    """A month without a sync message has no difference; sums without times are no silence."""
    undated = Published(50, 3600, 89999999, None, None, None)
    ahead = Published(50, 3600, 36000, NOW + 9 * DAY, NOW + 9 * DAY, None)
    sites = [
        judge_site(name, SiteFigures({CURRENT: {"ce": of}}, {}, [], set()), NOW, Thresholds())
        for name, of in (("UNDATED", undated), ("AHEAD", ahead))
    ]
    sites.append(judge_site("NONE", SiteFigures({}, {CURRENT: {"ce": 5}}, [], set()), NOW, Thresholds()))
    publish(tmp_path, sites)
    texts = {
        one.name: Page(str(tmp_path / "publishing" / "grid" / one.name / "index.html")).text for one in sites
    }
    assert "+50" not in texts["UNDATED"] and "the sums don't say when jobs ended" in texts["UNDATED"]
    assert "25,000" in texts["UNDATED"] and "24,999" not in texts["UNDATED"]  # hours are rounded
    assert "all jobs end in the future" in texts["AHEAD"]
    assert "no job has come" in texts["NONE"] and "\N{MINUS SIGN}5 (100 %)" in texts["NONE"]


def test_json_lies_beside_each_page(published: List[Page]) -> None:
    for page in published:
        with open(os.path.join(os.path.dirname(page.path), "index.json"), encoding="utf-8") as stream:
            assert json.load(stream)["format"] == "apel-pubsync 1"


def test_a_second_build_touches_only_what_changed(tmp_path: Any) -> None:
    first = publish(tmp_path, [site("A"), site("B")])
    assert publish(tmp_path, [site("A"), site("B")]) == (0, first.written, 0)
    changed = publish(tmp_path, [site("A"), site("B", jobs=80)])
    # B's three months (two with pages) and its own pages; the pages of all sites, and the table of months.
    assert changed.written == 2 * 2 + 2 * 2 + 3 * 2 + 1
    assert "80" in (tmp_path / "publishing/gridsync/B/2026-11/index.json").read_text()


def test_a_page_that_is_gone_is_made_again(tmp_path: Any) -> None:
    publish(tmp_path, [site("A")])
    page = tmp_path / "publishing/gridsync/A/2026-11/index.html"
    page.unlink()
    (tmp_path / "publishing/.apelpubsync").write_text("")  # as a crash may leave it
    publish(tmp_path, [site("A")])
    assert page.exists()
    page.unlink()
    publish(tmp_path, [site("A")])
    assert page.exists()


def test_pages_of_sites_that_are_no_more_go(tmp_path: Any) -> None:
    publish(tmp_path, [site("A"), site("B")])
    done = publish(tmp_path, [site("A")], month_pages=1)
    assert done.removed == 2 * 2 + 2 * 2 + 2
    assert sorted(os.listdir(str(tmp_path / "publishing/gridsync"))) == [
        "A",
        "index.csv",
        "index.html",
        "index.json",
    ]
    assert sorted(os.listdir(str(tmp_path / "publishing/gridsync/A"))) == [
        "2026-11",
        "index.html",
        "index.json",
    ]


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Any) -> None:
    (tmp_path / "publishing").mkdir()
    precious = tmp_path / "publishing/thesis.tex"
    precious.write_text("x")
    with pytest.raises(Transient, match="holds files of others"):
        publish(tmp_path, [site("A")])
    assert os.listdir(str(tmp_path / "publishing")) == ["thesis.tex"]


def test_a_reader_never_sees_half_a_page(tmp_path: Any, monkeypatch: Any) -> None:
    """A disk that is full in the middle of a build leaves every page as it was."""
    publish(tmp_path, [site("A")])
    before = (tmp_path / "publishing/index.html").read_text()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(Transient, match="No space left"):
        publish(tmp_path, [site("A", jobs=1)])
    assert (tmp_path / "publishing/index.html").read_text() == before
    assert not [name for _, _, names in os.walk(str(tmp_path)) for name in names if name.startswith(".new")]


@pytest.mark.parametrize(
    "most, top",
    [(0, 1), (0.3, 1), (1, 1), (3, 3), (10, 10), (11, 20), (51, 60), (999, 1000), (1000, 1000), (1e9, 1e9)],
)
def test_scales_end_at_round_numbers(most: float, top: float) -> None:
    assert charts.top_of_scale(most) == top


def test_a_sparkline_says_what_it_shows() -> None:
    drawn = charts.sparkline("Jobs", {CURRENT: 90, back(1): 1000, back(50): 5000}, CURRENT)
    assert 'aria-label="Jobs by month, 2024-12 to 2026-11: at most 1,000, last 90"' in drawn
    assert charts.sparkline("Jobs", {back(50): 5000}, CURRENT) == '<span class="muted">no jobs</span>'


def test_months_without_jobs_are_in_the_charts() -> None:
    points = charts.history(site("A"), CURRENT, 5)
    assert [point.jobs for point in points] == [0, 0, 90, 90, 90]
    assert [point.site_jobs for point in points] == [None, None, None, 90, 100]
    assert charts.history(site("A"), back(-2), 2)[1].jobs == 0
