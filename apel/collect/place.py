"""Where logs go, what they are called, and whether apelparser will find them there."""

import os
import re
from typing import Any, Iterator, NamedTuple

from apel.collect.sources import Source
from apel.collect.state import state_name
from apel.collect.window import Window
from apel.ingest.options import TABLE as PARSER_TABLE
from apel.logfiles import Choice
from apel.times import utc_text
from apelcommon.errors import ConfigError

#: The period in a log's name, as `20261121T235500Z-20261122T235500Z`.
PERIOD = r"[0-9]{8}T[0-9]{6}Z-[0-9]{8}T[0-9]{6}Z"


class Place(NamedTuple):
    """A directory of logs, and what the names of ours begin with."""

    folder: str
    prefix: str

    def path(self, window: Window) -> str:
        """The log of a period."""
        return os.path.join(self.folder, self.name(window))

    def name(self, window: Window) -> str:
        """Its name without the directory."""
        return "%s.%s-%s" % (self.prefix, _compact(window.since), _compact(window.until))

    def is_own(self, name: str) -> bool:
        """Whether a file has the name of a log of ours."""
        return re.fullmatch(re.escape(self.prefix) + r"\." + PERIOD, name) is not None

    def is_remnant(self, name: str) -> bool:
        """Whether a file is what a run that was killed has left of a log, or of its state."""
        state = re.escape(state_name(self.prefix))
        log = re.escape(self.prefix) + r"\." + PERIOD
        return re.fullmatch(r"\.(?:%s|%s)\.[a-z0-9_]{8}" % (log, state), name) is not None


def place(options: Any, source: Source, output: str = "") -> Place:
    """The place that `output`, or [collect] dir, or apelparser's configuration names. Raises ConfigError.

    apelparser's file is read only if neither of the others is given: this may be another host.
    """
    prefix = options.prefix or source.prefix
    folder = output or options.dir
    if not folder:
        batch = PARSER_TABLE.read(options.parser_config).batch
        problems = list(_problems(batch, source, prefix))
        if problems:
            raise ConfigError("%s: %s" % (options.parser_config, problem) for problem in problems)
        folder = batch.dir
    if not os.path.isdir(folder):
        raise ConfigError("%s, where the logs should go, is no directory" % folder)
    return Place(os.path.abspath(folder), prefix)


def _problems(batch: Any, source: Source, prefix: str) -> Iterator[str]:
    """Why apelparser, so configured, would not read our logs, or would read what is no log."""
    if not batch.enabled:
        yield "[batch] enabled is false: apelparser would not read the logs"
        return
    if batch.type != source.batch_type:
        yield "[batch] type is %s, but the logs would be %s's" % (batch.type, source.batch_type)
    choice = Choice(batch.dir, False, batch.filename_prefix, batch.filename_pattern)
    example = Place(batch.dir, prefix).name(Window(0, 0))
    if not choice.takes(example):
        yield "apelparser would not read %s: filename_prefix and [collect] prefix differ" % example
    if choice.takes(state_name(prefix)):
        yield "give filename_prefix = %s: else apelparser would take all files for logs" % prefix


def _compact(moment: int) -> str:
    return utc_text(moment).replace("-", "").replace(":", "").replace(" ", "T") + "Z"
