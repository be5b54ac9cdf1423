"""Reads what apelpubsync says of this site, and finds the months that are worth publishing again."""

import json
import re
import urllib.error
import urllib.request
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Set, Tuple

from apel.errors import shown
from apel.times import month_of
from apelcommon.errors import ServiceError, Transient

FORMAT = "apel-pubsync 1"
URL = re.compile(r"https?://", re.IGNORECASE)
MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])\Z")
TIMEOUT_SECONDS = 60.0
MOST_BYTES = 64 * 2**20

Month = Tuple[int, int]


class Differences(NamedTuple):
    """The months to publish again, and a line for each other one that differs, saying why not."""

    months: Set[Month]
    left: List[str]


def read_document(source: str) -> Dict[str, Any]:
    """The JSON of a site or of all sites, from a file or a URL.

    Raises Transient when the server can't be reached; ServiceError for what is no such document.
    """
    text = _fetch(source) if URL.match(source) else _read(source)
    try:
        document = json.loads(text.decode("utf-8"))
    except ValueError as err:
        raise ServiceError("%s holds no JSON: %s" % (source, err)) from err
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ServiceError("%s is no document of apelpubsync (format %s)" % (source, FORMAT))
    return document


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(MOST_BYTES)
    except OSError as err:
        raise ServiceError("%s can't be read: %s" % (path, err.strerror)) from err


def _fetch(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "apelclient", "Accept": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return bytes(answer.read(MOST_BYTES))
    except urllib.error.HTTPError as err:
        kind = Transient if err.code >= 500 else ServiceError
        raise kind("%s answers %d %s" % (url, err.code, err.reason)) from err
    except OSError as err:  # URLError, time-outs, TLS
        raise Transient("%s can't be fetched: %s" % (url, getattr(err, "reason", err))) from err


def differences(document: Dict[str, Any], sites: Iterable[str], now: int, summaries: bool) -> Differences:
    """What to publish again of these sites. summaries: whether the site sends monthly sums.

    A month in which the centre lacks jobs is published again, but the current month only if it lacks more
    than the tolerance: it always lags. One with too many is cured by sums, which replace; not by jobs.
    Raises ServiceError if the document says nothing about the sites.
    """
    own = set(sites)
    entries = [entry for entry in _entries(document) if entry.get("site") in own]
    if not entries:
        raise ServiceError("The document says nothing about %s." % (", ".join(sorted(own)) or "this site"))
    found = Differences(set(), [])
    for entry in entries:
        for one in entry.get("differences") or ():
            month = _month(one)
            reason = _why_not(one, month >= month_of(now), summaries)
            if reason:
                found.left.append("%04d-%02d is not published again: %s" % (*month, reason))
            else:
                found.months.add(month)
    return found


def _entries(document: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    entries = [document] if "site" in document else document.get("sites")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            yield entry


def _month(difference: Any) -> Month:
    text = str(difference.get("month")) if isinstance(difference, dict) else ""
    found = MONTH.match(text)
    if not found:
        raise ServiceError("The document names a month that is none: %s" % shown(text))
    return int(found.group(1)), int(found.group(2))


def _why_not(difference: Dict[str, Any], is_current: bool, summaries: bool) -> str:
    kind, surplus = difference.get("kind"), difference.get("difference")
    if difference.get("archived") and not summaries:
        return "the centre has archived its jobs; ask it to reopen the month (apeldb reopen)"
    if kind in ("gap", "only site"):
        return ""
    if kind == "close" and isinstance(surplus, int) and surplus < 0:
        return "it is not over yet, and within the tolerance" if is_current else ""
    if kind in ("surplus", "close"):
        return (
            "" if summaries and not is_current else "the centre has more jobs, and to send jobs removes none"
        )
    if kind == "only centre":
        return "the centre was not told how many jobs this site has"
    return "no jobs can have ended in it"
