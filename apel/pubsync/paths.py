"""Where each page of the monitoring site lies: the incumbent's addresses, whatever a site calls itself."""

import hashlib
import re

ROOT = "publishing"
GRID, SYNC = ROOT + "/grid", ROOT + "/gridsync"

PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\Z")
#: Names of files that lie beside the folders of sites.
RESERVED = "index."
LONGEST = 150


def slug(name: str) -> str:
    """A site's name as one part of a path: itself, if plain; else with ~xx for every other byte.

    Different names have different slugs, none leaves its folder, and none is too long for a file system.
    """
    if PLAIN.match(name) and not name.startswith(RESERVED) and len(name) <= LONGEST:
        return name
    data = name.encode("utf-8", "surrogatepass")
    text = "".join(_part(place, byte) for place, byte in enumerate(data))
    if name.startswith(RESERVED):
        text = "~69" + text[1:]
    if len(text) > LONGEST:
        text = "%s~~%s" % (text[: LONGEST - 42], hashlib.sha256(data).hexdigest()[:40])
    return text or "~"


def _part(place: int, byte: int) -> str:
    letter = chr(byte)
    plain = letter.isalnum() or letter in "_-" or (letter == "." and place)
    return letter if plain and byte < 128 else "~%02x" % byte


def grid(site: str) -> str:
    """The folder of a site's main page."""
    return "%s/%s" % (GRID, slug(site))


def sync(site: str) -> str:
    """The folder of a site's synchronisation page."""
    return "%s/%s" % (SYNC, slug(site))


def month(site: str, text: str) -> str:
    """The folder of a page about one month ('2026-09') of a site."""
    return "%s/%s" % (sync(site), text)


def up(folder: str) -> str:
    """What leads from a page in `folder` back to the top: '../../' for 'publishing/grid'."""
    return "../" * len(folder.split("/"))


def records(kind: str) -> str:
    """The folder of the page about one kind of publishing beside that of jobs."""
    return "%s/%s" % (ROOT, kind)
