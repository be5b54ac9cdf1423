"""Writes the monitoring site: every file whole or not at all, and only those that change."""

import contextlib
import hashlib
import itertools
import json
import os
from typing import Dict, Iterator, List, Mapping, NamedTuple, Sequence, Set, Tuple

from apel.pubsync import documents, overviews, paths, sitepages
from apel.pubsync.documents import Build, as_json
from apel.pubsync.layout import Page, render
from apel.pubsync.model import Site, SiteMonth
from apel.pubsync.records import KINDS, Part
from apelcommon.errors import Transient
from apelcommon.files import write_atomically

ASSETS = ("pubsync.css", "pubsync.js", "pubsync.svg")
#: Says that a folder is ours, so that what we did not write in this build may be removed from it; and holds
#: what each page of a month was made from, since most of these never change.
MARKER = ".apelpubsync"
EMPTY: Mapping[str, Sequence[Part]] = {}
HERE = os.path.dirname(os.path.abspath(__file__))


class Written(NamedTuple):
    """How many files a build has written, left as they were, and removed."""

    written: int
    unchanged: int
    removed: int


class Publisher:
    """Builds the site below `folder`. month_pages: how many of a site's months have pages of their own."""

    def __init__(self, folder: str, build: Build, month_pages: int) -> None:
        self.folder = folder
        self.build = build
        self.month_pages = month_pages
        self._seen: Set[str] = set()
        self._written = 0
        self._sync_lines: List[str] = []
        self._before: Dict[str, str] = {}
        self._made_from: Dict[str, str] = {}
        self._code = _digest(*(_source(name) for name in sorted(os.listdir(HERE)) if name.endswith(".py")))

    def publish(self, sites: Sequence[Site], parts: Mapping[str, Sequence[Part]] = EMPTY) -> Written:
        """Write all pages, the overview last. parts: the services of each of the build's kinds.

        Raises Transient when the folder can't be written.
        """
        try:
            self._claim()
            for name, text in itertools.chain(self._records_files(parts), self._files(sites)):
                self._write(name, text)
            removed = self._remove_others()
            write_atomically(self._marker, json.dumps(self._made_from).encode(), durable=False)
        except OSError as err:
            raise Transient("The pages can't be written below %s: %s" % (self.folder, err)) from err
        return Written(self._written, len(self._seen) - self._written, removed)

    @property
    def _marker(self) -> str:
        return os.path.join(self.folder, paths.ROOT, MARKER)

    def _claim(self) -> None:
        """Make the folder ours, but not one in which others have put something."""
        root = os.path.dirname(self._marker)
        if os.path.isdir(root) and os.listdir(root) and not os.path.exists(self._marker):
            raise OSError("%s holds files of others; choose another folder" % root)
        os.makedirs(root, exist_ok=True)
        with open(self._marker, "a+", encoding="utf-8") as stream:
            stream.seek(0)
            with contextlib.suppress(ValueError):  # cut short by a crash, or new: all is made again
                self._before = json.load(stream)

    def _files(self, sites: Sequence[Site]) -> Iterator[Tuple[str, str]]:
        for asset in ASSETS:
            yield "%s/assets/%s" % (paths.ROOT, asset), _source(os.path.join("assets", asset))
        for site in sites:
            yield from self._site_files(site)
        build = self.build
        whole = as_json(documents.overview(sites, build))
        yield from self._page(overviews.publication(sites, build), whole)
        yield paths.GRID + "/index.csv", documents.publication_csv(sites)
        yield from self._page(overviews.synchronisation(sites, build), whole)
        yield paths.SYNC + "/index.csv", documents.SYNC_HEADING + "".join(self._sync_lines)
        yield from self._page(overviews.overview(sites, build), whole)

    def _records_files(self, parts: Mapping[str, Sequence[Part]]) -> Iterator[Tuple[str, str]]:
        for name in self.build.kinds:
            kind, found = KINDS[name], parts[name]
            document = documents.records_document(kind, found, self.build)
            yield from self._page(overviews.records(kind, found, self.build), as_json(document))
            yield paths.records(name) + "/index.csv", documents.records_csv(found)

    def _site_files(self, site: Site) -> Iterator[Tuple[str, str]]:
        build = self.build
        for month in site.months[: self.month_pages]:
            yield from self._month_files(site, month)
        entries = documents.month_entries(site)
        self._sync_lines.append(documents.sync_lines(site, entries))
        about, sync = sitepages.site_pages(site, build, self.month_pages)
        yield from self._page(sync, as_json(documents.sync_document(site, build, entries)))
        yield from self._page(about, as_json(documents.site_document(site, build, entries)))

    def _month_files(self, site: Site, month: SiteMonth) -> Iterator[Tuple[str, str]]:
        folder = paths.month(site.name, month.text)
        made_from = self._made_from[folder] = _digest(self._code, repr((site.name, month, self.build.kinds)))
        names = [os.path.join(self.folder, folder, name) for name in ("index.json", "index.html")]
        if self._before.get(folder) == made_from and all(map(os.path.exists, names)):
            self._seen.update(names)
            return
        yield folder + "/index.json", as_json(documents.month_document(site, month))
        yield folder + "/index.html", render(sitepages.month_page(site, month), self.build, dated=False)

    def _page(self, page: Page, document: str) -> Iterator[Tuple[str, str]]:
        yield page.folder + "/index.json", document
        yield page.folder + "/index.html", render(page, self.build)

    def _write(self, name: str, text: str) -> None:
        """Write a file, unless it has this text. It is not synced: a crash costs no more than a build."""
        path = os.path.join(self.folder, name)
        self._seen.add(path)
        data = text.encode("utf-8", "replace")
        if _holds(path, data):
            return
        folder = os.path.dirname(path)
        try:
            write_atomically(path, data, durable=False)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)
            write_atomically(path, data, durable=False)
        self._written += 1

    def _remove_others(self) -> int:
        """Remove the pages of sites and months that are no more."""
        removed = 0
        kept = {os.path.dirname(path) for path in self._seen}
        top = os.path.join(self.folder, paths.ROOT)
        for folder, _, names in os.walk(top, topdown=False):
            for name in names:
                if os.path.join(folder, name) not in self._seen and name != MARKER:
                    os.unlink(os.path.join(folder, name))
                    removed += 1
            if folder not in kept and folder != top:
                with contextlib.suppress(OSError):  # not empty: a folder of a page lies in it
                    os.rmdir(folder)
        return removed


def _holds(path: str, data: bytes) -> bool:
    try:
        if os.path.getsize(path) != len(data):
            return False
        with open(path, "rb") as stream:
            return stream.read() == data
    except OSError:
        return False


def _source(name: str) -> str:
    """A file of this package."""
    with open(os.path.join(HERE, name), encoding="utf-8") as stream:
        return stream.read()


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
