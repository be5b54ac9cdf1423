"""Asks GOCDB's public interface for service endpoints: all pages of all addresses, or nothing at all.

The answer's shape: `results` with a `SERVICE_ENDPOINT` for each, whose HOSTDN may send for SITENAME, and in
`meta` a `link rel="next"` where there are more pages (commands.md 7 of the incumbent's facts).
"""

import logging
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set

from apel.errors import RecordError
from apel.messages.xmlinput import Element, Kind, read_records
from apelcommon import __version__
from apelcommon.errors import Transient

log = logging.getLogger(__name__)

ROOT, ENDPOINT, META, LINK = "results", "SERVICE_ENDPOINT", "meta", "link"
DN, SITE = "HOSTDN", "SITENAME"
MOST_BYTES, MOST_PAGES, CHUNK = 64 << 20, 10000, 65536
SCHEMES = ("http", "https")


class GocdbTrouble(Transient):
    """GOCDB can't be asked now, or its answer isn't whole; the text says which address and why."""


class Endpoint(NamedTuple):
    """A service of a site: the name in its certificate ('' if GOCDB doesn't know it)."""

    dn: str
    site: str


class _Page(NamedTuple):
    endpoints: List[Endpoint]
    next: Optional[str]


class Web:
    """How addresses are opened. seconds: the most that one page may take. ca: a file or directory, or ''.

    proxy: asked when an address can't be reached directly, or ''.
    """

    def __init__(self, seconds: float = 60.0, ca: str = "", proxy: str = "") -> None:
        self.seconds = seconds
        self._direct = self._opener(ca, {})
        self._by_proxy = self._opener(ca, dict.fromkeys(SCHEMES, proxy)) if proxy else None

    @staticmethod
    def _opener(ca: str, proxies: Dict[str, str]) -> Any:
        context = ssl.create_default_context()
        if ca:
            context.load_verify_locations(**{"capath" if os.path.isdir(ca) else "cafile": ca})
        handlers = [urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=context)]
        return urllib.request.build_opener(*handlers)

    def get(self, url: str) -> bytes:
        """The body of the answer. Raises GocdbTrouble."""
        try:
            return self._get(self._direct, url)
        except urllib.error.HTTPError as err:
            raise GocdbTrouble("%s answers %s %s." % (url, err.code, err.reason)) from err
        except (OSError, ValueError) as err:
            if self._by_proxy is None:
                raise GocdbTrouble("%s can't be read: %s." % (url, _words(err))) from err
            log.info("%s can't be read directly (%s); trying the proxy", url, _words(err))
        try:
            return self._get(self._by_proxy, url)
        except (OSError, ValueError) as err:
            raise GocdbTrouble("%s can't be read through the proxy: %s." % (url, _words(err))) from err

    def _get(self, opener: Any, url: str) -> bytes:
        request = urllib.request.Request(url, headers={"User-Agent": "apelauth/%s" % __version__})
        end = time.monotonic() + self.seconds
        parts: List[bytes] = []
        size = 0
        with opener.open(request, timeout=self.seconds) as answer:
            wanted = answer.headers.get("Content-Length")
            for part in iter(lambda: answer.read(CHUNK), b""):
                parts.append(part)
                size += len(part)
                if size > MOST_BYTES:
                    raise ValueError("more than %d bytes" % MOST_BYTES)
                if time.monotonic() > end:
                    raise ValueError("not complete after %.0f seconds" % self.seconds)
        if wanted is not None and wanted.isdigit() and int(wanted) != size:
            raise ValueError("%d of %s bytes" % (size, wanted))
        return b"".join(parts)


def endpoints(urls: Sequence[str], web: Web) -> List[Endpoint]:
    """What GOCDB says at all these addresses, page by page. Raises GocdbTrouble unless all of it came."""
    found: List[Endpoint] = []
    for url in urls:
        before = len(found)
        for page in _pages(url, web):
            found += page.endpoints
        log.info("%s: %d service endpoints", url, len(found) - before)
    return found


def _pages(url: str, web: Web) -> Iterator[_Page]:
    seen: Set[str] = set()
    next_url: Optional[str] = url
    while next_url is not None:
        if next_url in seen or len(seen) >= MOST_PAGES:
            raise GocdbTrouble("%s: its pages don't end (%s)." % (url, next_url))
        seen.add(next_url)
        page = _read(next_url, web.get(next_url))
        yield page
        next_url = _follow(next_url, page.next) if page.next else None


def _follow(url: str, link: str) -> str:
    following = urllib.parse.urljoin(url, link)
    was, will = (urllib.parse.urlsplit(each).scheme for each in (url, following))
    if will not in SCHEMES or (was, will) == ("https", "http"):
        raise GocdbTrouble("%s: its next page is at %s, which is not trusted." % (url, following))
    return following


def _read(url: str, body: bytes) -> _Page:
    try:
        text = body.decode("utf-8")
        found = [record.value for record in read_records(text, _endpoint_kind)]
        links = [link for record in read_records(text, _link_kind) for link in record.value]
    except (UnicodeDecodeError, RecordError) as err:
        raise GocdbTrouble("%s is no whole answer of GOCDB: %s." % (url, err)) from err
    return _Page(found, links[0] if links else None)


def _endpoint_kind(root: str) -> Kind:
    _check_root(root)
    return Kind(ENDPOINT, frozenset([DN, SITE]), _endpoint)


def _link_kind(root: str) -> Kind:
    _check_root(root)
    return Kind(META, frozenset([LINK]), _links)


def _check_root(root: str) -> None:
    if root != ROOT:
        raise RecordError("", "the document begins with %s, not %s" % (root, ROOT))


def _endpoint(elements: List[Element]) -> Endpoint:
    texts = {name: text.strip() for name, _, text in elements}
    return Endpoint(texts.get(DN, ""), texts.get(SITE, ""))


def _links(elements: List[Element]) -> List[str]:
    return [
        attributes["href"] for _, attributes, _ in elements
        if attributes.get("rel") == "next" and attributes.get("href")
    ]  # fmt: skip


def _words(err: Exception) -> str:
    return str(getattr(err, "reason", "") or err) or type(err).__name__
