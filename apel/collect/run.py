"""A run of the collector: one log for each piece of the window, each whole before it is remembered."""

import logging
import os
import shlex
from typing import Any, Callable, Iterator, List, NamedTuple, Optional

from apel import times
from apel.collect.place import Place
from apel.collect.sources import HOUR, Log, Source, Unusable
from apel.collect.state import State
from apel.collect.window import Rule, Window, known_after
from apel.external import output_of
from apelcommon.errors import ConfigError, Transient
from apelcommon.files import write_atomically

log = logging.getLogger(__name__)

MINUTE = 60
CLOCK_WAS_WRONG = (
    "%s says that all is collected until %s UTC: this host's clock was wrong. The last %d days (first_days)"
    " are collected again; if it was wrong for longer, say --since."
)


class Piece(NamedTuple):
    """A part of the window: the command that is asked, and the log that it makes."""

    window: Window
    words: List[str]
    path: str


class Report(NamedTuple):
    """A piece that is collected; lines: how many its log has. Without any, there is no log."""

    piece: Piece
    lines: int


class Collector:
    """Collects from one source into one place. options: the section [collect]."""

    def __init__(self, source: Source, options: Any, place: Place) -> None:
        self.source = source
        self.options = options
        self.place = place
        self.state = State(place.folder, place.prefix)
        overlap = source.overlap_hours if options.overlap_hours is None else options.overlap_hours
        self.rule = Rule(options.first_days * times.DAY, overlap * HOUR, options.settle_minutes * MINUTE)

    def plan(self, since: Optional[int] = None, until: Optional[int] = None) -> List[Piece]:
        """What a run would do now, the oldest first. Raises ConfigError for an impossible period."""
        now, known = times.now(), self.state.read()
        if known is not None and known > now and since is None:
            log.warning(CLOCK_WAS_WRONG, self.state.path, times.utc_text(known), self.options.first_days)
        window = self.rule.window(now, known, since, until)
        if window.until < window.since or (since is not None and window.until == window.since):
            raise ConfigError("The period ends before it begins: %s" % window.as_text())
        return [self._piece(part) for part in window.pieces(self.source.piece_seconds)]

    def run(self, since: Optional[int] = None, until: Optional[int] = None) -> Iterator[Report]:
        """Collect, and remember each piece when its log is on disk.

        Raises Transient when a command, its output or the disk fails: earlier pieces stay, and the next
        run begins where this one failed.
        """
        pieces = self.plan(since, until)
        self._remove(self.place.is_remnant, "left by a run that was killed")
        for piece in pieces:
            found = self._collected(piece)
            try:
                self._keep(piece, found)
            except OSError as err:
                raise Transient("%s can't be written: %s" % (piece.path, err.strerror)) from err
            yield Report(piece, found.lines)
        if self.options.keep_days:
            before = times.now() - self.options.keep_days * times.DAY
            self._remove(self.place.is_own, "older than %d days" % self.options.keep_days, before)

    def as_shell(self, piece: Piece) -> str:
        """A piece's command as it would be typed."""
        environment = ["%s=%s" % item for item in self.source.environment.items()]
        return " ".join(environment + [shlex.quote(word) for word in piece.words])

    def _piece(self, window: Window) -> Piece:
        return Piece(window, self.source.command(self.options, window), self.place.path(window))

    def _collected(self, piece: Piece) -> Log:
        """The output of the command, if it can be believed."""
        timeout = self.options.timeout_minutes * MINUTE
        output = output_of(piece.words, self.source.environment, timeout)
        name = piece.words[0]
        try:
            found = self.source.log(output.data)
        except Unusable as err:
            said = " (it says: %s)" % output.complaint if output.complaint else ""
            raise Transient("%s: its output can't be used: %s%s" % (name, err, said)) from err
        if output.complaint:
            if not found.lines:
                raise Transient("%s found no job, and complained: %s" % (name, output.complaint))
            log.warning("%s: %s", name, output.complaint)
        return found

    def _keep(self, piece: Piece, found: Log) -> None:
        if found.lines:
            write_atomically(piece.path, found.data)
        known = self.state.read()
        after = known_after(piece.window, known, times.now())
        if after is not None and after != known:
            self.state.write(after)
        elif known is not None and piece.window.since > known:
            between = Window(known, piece.window.since)
            log.warning("%s is not collected yet: the next run goes on there", between.as_text())

    def _remove(self, is_meant: Callable[[str], bool], why: str, before: Optional[int] = None) -> None:
        """Delete files of ours in our directory, those last written before a moment."""
        for name in sorted(filter(is_meant, os.listdir(self.place.folder))):
            path = os.path.join(self.place.folder, name)
            try:
                if before is None or os.stat(path).st_mtime < before:
                    os.unlink(path)
                    log.info("Deleted %s: %s", path, why)
            except OSError as err:
                log.warning("%s can't be deleted: %s", path, err.strerror)
