"""apelstar: ask file systems or Ceph how full they are, and write StAR records for ssmsend to send."""

import argparse
import logging
import os
import sys
from functools import partial
from typing import Any, Callable, List, Optional, Tuple

from apel import times
from apel.commands.checking import add_check_argument, say
from apel.commands.spool import OUTGOING, outgoing
from apel.external import output_of
from apel.messages import encode
from apel.star import SOURCES, Source, Usage, records_of
from apel.star.options import TABLE
from apel.star.sources import NEEDED, ask
from apelcommon import __version__
from apelcommon.checks import Check, attempt, executable, writable
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.config import Settings
from apelcommon.errors import EXIT_DONE, ConfigError, Permanent, ServiceError, Transient
from apelcommon.files import Lock, lock_path
from apelcommon.metrics import Counter, Metrics

log = logging.getLogger("star")

FORMAT = "storage star"


class StarCommand(Command):
    """Measure once, as from cron."""

    name = "apelstar"
    version_text = "APEL star %s" % __version__
    description = (
        "Ask how full storage is, and write StAR records into the queue `outgoing`, for ssmsend to send.\n"
        "mounts: file systems. quotas: the groups or users of file systems. buckets: of a Ceph object\n"
        "gateway. images: Ceph block devices by pool. pools: of a Ceph cluster. Choose one for each system:\n"
        "pools hold the same bytes as the buckets and images in them.\n"
        "Exit status: 0 done, 1 something is wrong with what was measured, 2 usage or configuration, 75 a\n"
        "command, file system or the spool failed. What could be measured is written in any case."
    )
    example = "apelstar buckets -c /etc/apel/star.cfg"
    table = TABLE
    default_config = "/etc/apel/star.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        parser.add_argument("what", choices=sorted(SOURCES), help="what is measured")
        parser.add_argument(
            "--from",
            dest="source",
            metavar="FILE",
            help="read the output of the command there (`-`: standard input), instead of running it",
        )
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--dry-run", action="store_true", help="print the message that would be written; write nothing"
        )
        add_check_argument(how)

    def run(self, args: argparse.Namespace) -> int:
        """Measure, and write what was found."""
        settings = TABLE.read(args.config) if args.dry_run or args.check_config else self.settings(args)
        _check(args, settings)
        if args.check_config:
            return say([settings], _checks(SOURCES[args.what], settings))
        if args.dry_run:
            _measure(args, settings, lambda text, _: print(text, end=""))
            return EXIT_DONE
        path = os.path.join(settings.star.dir_location, OUTGOING)
        about = {"what": args.what, "storage_system": settings.star.storage_system}
        metrics = Metrics(settings.metrics.textfile, self.name, **about)
        written = metrics.counter("apel_star_records_total", "Storage records that were written.")
        with Lock(lock_path(self.name, path, args.what, os.path.realpath(args.config)), self.name):
            well = False
            try:
                queue = outgoing(settings.star.dir_location)
                _measure(args, settings, partial(_write, queue, written))
                well = True
            finally:
                metrics.ended(well)
        return EXIT_DONE


def _write(queue: Any, written: Counter, text: str, records: int) -> None:
    queue.add(text)
    written.add(records)


def _check(args: argparse.Namespace, settings: Settings) -> None:
    needed = NEEDED.get(args.what)
    if needed and not getattr(settings.star, needed):
        raise ConfigError("%s: [star] %s names nothing, which %s needs" % (args.config, needed, args.what))
    if args.source and args.what == "mounts":
        raise ConfigError("--from: mounts runs no command; it looks for itself")
    if args.source and needed and len(getattr(settings.star, needed)) > 1:
        raise ConfigError("--from holds the output of one command, but [star] %s names several" % needed)


def _checks(source: Source, settings: Settings) -> List[Check]:
    found = [writable("spool", os.path.join(settings.star.dir_location, OUTGOING))]
    asked = source.commands(settings.star)
    found += [executable("command", name) for name in sorted({words[0] for _, words in asked if words})]
    for about in [about for about, words in asked if not words]:
        found.append(attempt("mount", partial(_mounted, source, settings, about)))
    return found


def _mounted(source: Source, settings: Settings, path: str) -> str:
    (usage,) = source.read(settings.star, path, b"")
    return "%s: %d of %d bytes used" % (path, usage.used, usage.allocated or 0)


def _measure(args: argparse.Namespace, settings: Settings, write: Callable[[str, int], Any]) -> None:
    """Write messages, each with its number of records, of all that can be measured.

    Raises what was wrong with the rest.
    """
    now = times.now()
    measured, troubles = _asked(args, settings)
    records, wrong = records_of(settings.star, args.what, measured, now)
    troubles += [Permanent("Not sent, because it is invalid: %s" % text) for text in wrong]
    size = settings.star.records_per_message
    for start in range(0, len(records), size):
        some = records[start : start + size]
        write(encode(some, FORMAT), len(some))
    used = sum(usage.used for usage in measured)
    log.info("%s: %d records written, %d bytes used", args.what, len(records), used)
    if troubles:
        kind = Transient if any(isinstance(each, Transient) for each in troubles) else Permanent
        raise kind("; ".join(map(str, troubles)))


def _asked(args: argparse.Namespace, settings: Settings) -> Tuple[List[Usage], List[ServiceError]]:
    """What could be measured, and what was in the way of the rest: one thing that fails stops no other."""
    measured: List[Usage] = []
    troubles: List[ServiceError] = []
    seconds = settings.star.timeout_minutes * 60

    def output(words: Any) -> bytes:
        if args.source:
            return _content(args.source)
        found = output_of(list(words), {"LC_ALL": "C", "TZ": "UTC"}, seconds)
        if found.complaint:
            log.warning("%s: %s", words[0], found.complaint)
        return found.data

    for one in ask(SOURCES[args.what], settings.star, output):
        try:
            measured += one()
        except ServiceError as err:
            troubles.append(err)
    return measured, troubles


def _content(path: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read()
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as err:
        raise Permanent("--from: %s can't be read: %s" % (path, err.strerror)) from err


def main(argv: Optional[List[str]] = None) -> int:
    """Run apelstar; its exit status."""
    return run_command(StarCommand(), argv)
