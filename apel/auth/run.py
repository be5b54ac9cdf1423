"""One run: ask GOCDB, make the lists, and put them in the place of the last good ones, or leave those."""

import logging
import os
import time
from typing import Any, Callable, List, NamedTuple, Sequence, Tuple

from apel.auth.gocdb import Endpoint, GocdbTrouble, Web, endpoints
from apel.auth.lists import Access, Canonical, names_in, names_text, rights_in, shrinks, site_map_text
from apel.auth.options import addresses
from apelcommon.errors import Permanent
from apelcommon.files import write_atomically

log = logging.getLogger(__name__)

Readings = Callable[[str], List[str]]


class Lists(NamedTuple):
    """The names that may send before this run and after it, and the rights; `apart`: not from GOCDB."""

    before: List[str]
    access: Access
    apart: List[str]

    @property
    def new(self) -> List[str]:
        """Names that were not in the list before."""
        before = set(self.before)
        return [name for name in self.access.names if name not in before]

    @property
    def gone(self) -> List[str]:
        """Names that are not in the list any more."""
        now = set(self.access.names)
        return [name for name in self.before if name not in now]


def make_lists(options: Any, canonical: Canonical, readings: Readings) -> Lists:
    """What the lists would be now. Raises GocdbTrouble, Permanent.

    canonical: a name in the one form; readings: the names that a line of an admin's list may mean.
    """
    extra, banned = (_own_names(options, name, readings) for name in ("extra_dns", "banned_dns"))
    extra_rights = rights_in(_text(options, "extra_dn_sites"), "extra-dn-sites")
    before = [canonical(name) for name in names_in(_text(options, "allowed_dns"))]
    try:
        found = _ask(options)
    except GocdbTrouble as err:
        raise GocdbTrouble("%s %s" % (err, _what_stays(options, before))) from err
    access = Access.of(found, extra, banned, extra_rights, canonical)
    return Lists(before, access, [canonical(name) for name in [*extra, *banned]])


def _own_names(options: Any, option: str, readings: Readings) -> List[str]:
    """The names in an admin's list. One that may be read in two ways bans both, but lets nobody in."""
    names: List[str] = []
    for line in names_in(_text(options, option)):
        found = readings(line)
        if len(found) != 1:
            what = "may mean %s" % " or ".join(found) if found else "is no name like /C=UK/O=Org/CN=host"
            log.warning("%s: a line that %s: %s", option.replace("_", "-"), what, line[:200])
        if len(found) == 1 or option == "banned_dns":
            names += found
    return names


def _ask(options: Any) -> Sequence[Endpoint]:
    try:
        web = Web(options.timeout, options.ca, options.proxy)
    except OSError as err:
        raise Permanent("[auth] ca: cannot read %s: %s" % (options.ca, err)) from err
    return endpoints(addresses(options.gocdb_url, options.service_types), web)


def _what_stays(options: Any, before: Sequence[str]) -> str:
    if not before:
        return "There is no list of before (%s)." % options.allowed_dns
    hours = (time.time() - os.path.getmtime(options.allowed_dns)) / 3600
    level = logging.ERROR if hours > options.expire_hours else logging.WARNING
    log.log(level, "GOCDB can't be asked; the last good list is %.1f hours old.", hours)
    return "The last good list stays in force: %d names, %.1f hours old." % (len(before), hours)


def put_in_place(options: Any, lists: Lists, force: bool) -> None:
    """Write both files, each whole or not at all. Raises Permanent where the list would lose too much."""
    names = lists.access.names
    if not names:
        raise Permanent("No name would be left in %s; it stays as it is." % options.allowed_dns)
    if not force and shrinks(lists.before, names, lists.apart):
        raise Permanent(
            "%d of %d names of %s would go, more than half of what GOCDB knew; it stays as it is. If that is "
            "right (--dry-run lists them), run with --force."
            % (len(lists.gone), len(lists.before), options.allowed_dns)
        )
    files: List[Tuple[str, bytes]] = [(options.allowed_dns, names_text(names))]
    if options.dn_sites:
        # The map first: records of a name that may send already must not be refused for want of it.
        files.insert(0, (options.dn_sites, site_map_text(lists.access.rights)))
    for path, data in files:
        try:
            write_atomically(path, data)
        except OSError as err:
            raise Permanent("Cannot write %s: %s." % (path, err.strerror or err)) from err


def _text(options: Any, option: str) -> str:
    """A file's text; none if there is no such file. One that can't be read must not count as empty."""
    path = getattr(options, option)
    try:
        # Some editors begin a file with a mark of its encoding, which is no part of its first name.
        with open(path, encoding="utf-8-sig") as stream:
            return stream.read()
    except FileNotFoundError:
        if path:
            log.info("[auth] %s: there is no %s", option.replace("_", "-"), path)
        return ""
    except (OSError, UnicodeDecodeError) as err:
        raise Permanent("[auth] %s: cannot read %s: %s" % (option.replace("_", "-"), path, err)) from err
