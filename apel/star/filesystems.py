"""Asks a mounted file system how full it is, in a process of its own: a dead file server may never answer."""

import sys
from typing import NamedTuple

from apel.external import TimedOut, output_of
from apelcommon.errors import Transient

#: How long an answer may take, that of a file system that is only mounted then, too.
LONGEST_SECONDS = 120.0

#: What that process runs: it prints the numbers of FileSystem, or what was wrong.
LOOK = """
import os, sys
path = sys.argv[1]
try:
    os.stat(os.path.join(path, "."))  # has it mounted where that is done on demand
    mounted = os.path.ismount(path)
    found = os.statvfs(path)
except OSError as err:
    print("error", err.strerror)
else:
    print(int(mounted), found.f_frsize, found.f_blocks, found.f_bfree, found.f_files, found.f_ffree)
"""


class FileSystem(NamedTuple):
    """What statvfs(3) says of a path, and whether something is mounted there."""

    mounted: int
    frsize: int
    blocks: int
    bfree: int
    files: int
    ffree: int


def file_system(path: str) -> FileSystem:
    """How full the file system at a path is. Raises Transient if nobody can tell, or nothing is mounted."""
    try:
        output = output_of([sys.executable, "-I", "-S", "-c", LOOK, path], {}, LONGEST_SECONDS).data
    except TimedOut:
        raise Transient(
            "%s: its file system does not answer within %g seconds; is its server down?"
            % (path, LONGEST_SECONDS)
        ) from None
    first, _, rest = output.decode("utf-8", "replace").strip().partition(" ")
    if first == "error":
        raise Transient("%s can't be read: %s" % (path, rest))
    found = FileSystem(int(first), *map(int, rest.split()))
    if not found.mounted:
        raise Transient("%s: nothing is mounted there" % path)
    return found
