"""What all pages share: their frame, tables, badges, links."""

from functools import lru_cache
from typing import Any, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

from apel.pubsync import paths
from apel.pubsync.charts import number
from apel.pubsync.documents import Build, time_text
from apel.pubsync.markup import Markup, escape, join, tag, text
from apel.pubsync.model import STATUSES, Publication
from apel.pubsync.records import KINDS

#: The way up from every page but the overview.
TOP = ("Overview", paths.ROOT)
STATUS_WORDS = ("ERROR", "WARNING", "OK", "UNKNOWN")
SECTIONS = (("Overview", paths.ROOT), ("Publication", paths.GRID), ("Synchronisation", paths.SYNC))


class Page(NamedTuple):
    """A page: its folder, title, trail of (text, folder) to it, what stands in it, its other forms."""

    folder: str
    title: str
    trail: Sequence[Tuple[str, str]]
    body: Sequence[Any]
    csv: bool = False


def link(page_folder: str, folder: str, words: Any) -> Markup:
    """A link from one page to another, by a relative address."""
    return tag("a", words, href=paths.up(page_folder) + folder + "/index.html")


def render(page: Page, build: Build, dated: bool = True) -> str:
    """The HTML of a page. dated: whether it says when it was built."""
    assets = paths.up(page.folder) + paths.ROOT + "/assets/"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("title", page.title + " - accounting"),
        tag("link", rel="icon", href=assets + "pubsync.svg"),
        tag("link", rel="stylesheet", href=assets + "pubsync.css"),
        tag("link", rel="alternate", type="application/json", href="index.json"),
        tag("script", src=assets + "pubsync.js", defer=True),
    )
    body = tag(
        "body",
        tag("a", "Skip to the content", class_="skip", href="#content"),
        tag("header", tag("div", _brand(page), _sections(page, build), class_="wide")),
        tag("main", _trail(page), tag("h1", page.title), *page.body, id="content", class_="wide"),
        tag("footer", tag("div", *_footer(page, build if dated else None), class_="wide")),
    )
    return "<!DOCTYPE html>\n" + tag("html", head, body, lang="en") + "\n"


def _brand(page: Page) -> Markup:
    return link(page.folder, paths.ROOT, tag("strong", "Accounting: Pub/Sync"))


def _sections(page: Page, build: Build) -> Markup:
    others = [(KINDS[kind].title, paths.records(kind)) for kind in build.kinds]
    items = [
        tag(
            "a",
            name,
            href=paths.up(page.folder) + folder + "/index.html",
            aria_current="page" if folder == page.folder else None,
        )
        for name, folder in [*SECTIONS, *others]
    ]
    return tag("nav", *items, aria_label="Sections")


def _trail(page: Page) -> Optional[Markup]:
    if not page.trail:
        return None
    items = [tag("li", link(page.folder, folder, name)) for name, folder in page.trail]
    return tag("nav", tag("ol", *items), class_="trail", aria_label="You are here")


def _footer(page: Page, build: Optional[Build]) -> Iterable[Any]:
    forms = [tag("a", "JSON", href="index.json")]
    if page.csv:
        forms.append(tag("a", "CSV", href="index.csv"))
    yield tag("p", "This page for programs: ", join(_separated(forms)), ".")
    if build is not None:
        limits = build.thresholds
        yield tag(
            "p",
            "Built %s UTC. Published: WARNING after %g days without anything new, ERROR after %g."
            " Synchronised: ERROR from a difference of %g %% in a month of the last %d."
            % (
                (time_text(build.now) or "").replace("T", " ").rstrip("Z"),
                limits.warning_days,
                limits.error_days,
                limits.difference_percent,
                limits.sync_months,
            ),
        )


def _separated(items: Sequence[Any]) -> Iterable[Any]:
    for place, item in enumerate(items):
        if place:
            yield ", "
        yield item


@lru_cache(maxsize=None)
def badge(status: str) -> Markup:
    """A status: word, shape and colour."""
    return tag("span", status, class_="status " + status.lower())


class Column(NamedTuple):
    """A column of a table. kind: 'text' or 'number' (right-aligned, sorted by value)."""

    title: str
    kind: str = "text"
    note: str = ""


class Cell(NamedTuple):
    """What a cell shows, and what it is sorted by if that is another."""

    shown: Any
    value: Any = None


def table(caption: str, columns: Sequence[Column], rows: Iterable[Markup], **attributes: Any) -> Markup:
    """A table that the script makes sortable. The first cell of each row is its heading."""
    heads = [
        tag(
            "th",
            column.title,
            scope="col",
            class_=column.kind,
            data_sort=column.kind,
            title=column.note or None,
        )
        for column in columns
    ]
    body = tag("tbody", *rows)
    whole = tag("table", tag("caption", caption), tag("thead", tag("tr", *heads)), body, **attributes)
    return scroller(caption, whole)


def scroller(label: str, content: Markup, class_: str = "scroll") -> Markup:
    """What may be wider than the window: it scrolls by itself, from the keyboard too, and has a name."""
    return tag("div", content, class_=class_, role="region", aria_label=label, tabindex=0)


def row(columns: Sequence[Column], cells: Sequence[Any], **attributes: Any) -> Markup:
    """A row of a table."""
    made: List[Markup] = []
    for column, cell in zip(columns, cells):
        shown, value = cell if isinstance(cell, Cell) else (cell, None)
        sorted_by = "" if value is None else ' data-value="%s"' % escape(str(value))
        # Written out, since there are a hundred thousand of them.
        frame = '<td class="%s"%s>%s</td>' if made else '<th class="%s"%s scope="row">%s</th>'
        made.append(Markup(frame % (column.kind, sorted_by, text(shown))))
    return tag("tr", *made, **attributes)


def count(jobs: Optional[int]) -> Cell:
    """A number of jobs; a dash where a side says nothing."""
    if jobs is None:
        return Cell(tag("span", "–", class_="muted", title="not told"), -1)
    return Cell(number(jobs), jobs)


def amount(value: Union[int, float]) -> Cell:
    """A number of things; hours to one decimal."""
    return Cell(number(value) if isinstance(value, int) else "{:,.1f}".format(value), value)


def signed(difference: int) -> Cell:
    """A difference with its sign."""
    return Cell("{:+,}".format(difference).replace("-", "−") if difference else "0", difference)


def day(epoch: Optional[int]) -> Cell:
    """A day, sorted by its second."""
    return Cell((time_text(epoch) or "–")[:10], epoch or 0)


def age(state: Publication) -> Cell:
    """How long ago, in words."""
    if state.age_days is None:
        return Cell("not told" if state.undated else "never", 1e9)
    days = int(state.age_days)
    return Cell("today" if days == 0 else "1 day ago" if days == 1 else "%d days ago" % days, state.age_days)


def status_cell(status: str) -> Cell:
    """A status, sorted from good to bad."""
    return Cell(badge(status), STATUSES.index(status))


def tools(table_id: str) -> Markup:
    """Where the script puts search and filter: without it there is nothing to press."""
    return tag("div", class_="tools", data_table=table_id)
