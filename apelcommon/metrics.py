"""Figures for Prometheus, in a text file that node_exporter's textfile collector reads.

The format is Prometheus' text exposition format, version 0.0.4. Several programs, and several runs of one at
the same time, may share a file: each write takes the file's lock, reads it, adds what was counted since the
last write, and leaves alone what others wrote.
"""

import contextlib
import fcntl
import logging
import math
import os
import re
import time
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

from apelcommon.files import write_atomically
from apelcommon.options import Option

__all__ = ["METRICS", "Counter", "Gauge", "Metrics", "last_success", "recorded"]

log = logging.getLogger(__name__)

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*$")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*$")
COMMENT = re.compile(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) ?(.*)$")
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')
ESCAPES = {"\\": "\\\\", "\n": "\\n", '"': '\\"'}
ESCAPED = re.compile(r"\\(.)")
LOCK_TRIES, LOCK_PAUSE = 200, 0.01
DAEMON_SECONDS = 15.0

METRICS = [
    Option(
        "metrics",
        "textfile",
        "path",
        "",
        "A file for figures in Prometheus' text format, usually in the directory of node_exporter's textfile "
        "collector. Programs may share one. Empty: none.",
        sample="/var/lib/node_exporter/textfile_collector/apel.prom",
    )
]

LAST_SUCCESS = "apel_last_success_timestamp_seconds"
Labels = Tuple[Tuple[str, str], ...]


class Counter:
    """A count that only grows: over restarts, and over several processes with the same file."""

    kind = "counter"

    def __init__(self, name: str, help: str, constant: Dict[str, str]) -> None:
        _check_name(name)
        self.name = name
        self.help = help
        self.constant = constant
        self.added: Dict[Labels, float] = {}

    def add(self, amount: float = 1, **labels: str) -> None:
        """Count `amount` more for these labels; 0 makes the series appear."""
        if not amount >= 0:
            raise ValueError("%s: a counter can't go back by %r" % (self.name, amount))
        key = _key({**self.constant, **labels})
        self.added[key] = self.added.get(key, 0) + amount

    def merge(self, old: Dict[Labels, float]) -> Dict[Labels, float]:
        """The series of the file after the next write, from those in it now."""
        return {**old, **{key: old.get(key, 0) + amount for key, amount in self.added.items()}}

    def written(self) -> None:
        """What was added is in the file now."""
        self.added = dict.fromkeys(self.added, 0)


class Gauge:
    """A value as it is now. A `kept` one stays in the file when a run doesn't set it."""

    kind = "gauge"

    def __init__(self, name: str, help: str, constant: Dict[str, str], kept: bool) -> None:
        _check_name(name)
        self.name = name
        self.help = help
        self.constant = constant
        self.kept = kept
        self.values: Dict[Labels, float] = {}

    def set(self, value: float, **labels: str) -> None:
        """The value for these labels."""
        self.values[_key({**self.constant, **labels})] = value

    def clear(self) -> None:
        """Forget all values, so that series of what no longer exists go."""
        self.values = {}

    def merge(self, old: Dict[Labels, float]) -> Dict[Labels, float]:
        """The series of the file after the next write, from those in it now."""
        constant = set(self.constant.items())
        others = {key: value for key, value in old.items() if self.kept or not constant <= set(key)}
        return {**others, **self.values}

    def written(self) -> None:
        """Nothing to do: a value stands until it is set again."""


class _Family(NamedTuple):
    """All series of one name, as they stand in a file."""

    kind: str
    help: str
    series: Dict[Labels, float]


class Metrics:
    """The counters and gauges of one program, in the file `path` ("": nowhere, at no cost).

    `constant` are labels of every series, which tell programs that share names apart: at least `program`.
    """

    def __init__(self, path: str, program: str, **constant: str) -> None:
        self.path = path
        self._constant = {"program": program, **constant}
        self._known: Dict[str, Union[Counter, Gauge]] = {}
        self._next = 0.0
        self._troubled = False
        self._began = time.time()
        #: For `recorded`: whether the run has failed without an error.
        self.failed = False

    def counter(self, name: str, help: str) -> Counter:
        """Declare a counter; its name ends in _total."""
        if not name.endswith("_total"):
            raise ValueError("%s: the name of a counter ends in _total" % name)
        counter = Counter(name, help, self._constant)
        self._known[name] = counter
        return counter

    def gauge(self, name: str, help: str, kept: bool = False) -> Gauge:
        """Declare a gauge; its name ends in its unit."""
        gauge = Gauge(name, help, self._constant, kept)
        self._known[name] = gauge
        return gauge

    def ended(self, success: bool) -> bool:
        """A run has ended: write when, after how long, and when one last ended well."""
        now = time.time()
        self.gauge("apel_last_run_timestamp_seconds", "When a run last ended.").set(now)
        self.gauge("apel_run_seconds", "How long the last run took.").set(now - self._began)
        last = self.gauge(LAST_SUCCESS, "When a run last ended well.", kept=True)
        if success:
            last.set(now)
        return self.write()

    def write_now_and_then(self, seconds: float = DAEMON_SECONDS) -> None:
        """Write, unless that was done less than `seconds` ago: for the loop of a daemon."""
        if time.monotonic() >= self._next:
            self.write()
            self._next = time.monotonic() + seconds

    def write(self) -> bool:
        """Bring the file up to date; whether that worked.

        It never raises: figures are not worth the work they are about. What can't be written now is
        warned of (once, until it works again) and written next time.
        """
        if not self.path:
            return True
        try:
            with _locked(os.path.dirname(os.path.abspath(self.path))):
                write_atomically(self.path, self._merged().encode("utf-8", "replace"))
        except OSError as err:
            if not self._troubled:
                log.warning("[metrics] textfile: cannot write %s: %s", self.path, err.strerror or err)
            self._troubled = True
            return False
        self._troubled = False
        for metric in self._known.values():
            metric.written()
        return True

    def _merged(self) -> str:
        families = self._read()
        for name, metric in self._known.items():
            old = families.get(name)
            series = old.series if old is not None and old.kind == metric.kind else {}
            families[name] = _Family(metric.kind, metric.help, metric.merge(series))
        return "".join(_family_text(name, families[name]) for name in sorted(families))

    def _read(self) -> Dict[str, _Family]:
        try:
            with open(self.path, encoding="utf-8", newline="\n") as stream:
                return _parse(stream)
        except FileNotFoundError:
            return {}
        except ValueError as err:  # UnicodeDecodeError is one
            log.warning("[metrics] textfile: %s is damaged (%s): its counters begin anew.", self.path, err)
            return {}


@contextlib.contextmanager
def recorded(path: str, program: str, **constant: str) -> Iterator[Metrics]:
    """The figures of one run, written when it ends: well, by an error, or if it says that it has failed."""
    metrics = Metrics(path, program, **constant)
    success = False
    try:
        yield metrics
        success = not metrics.failed
    finally:
        metrics.ended(success)


def last_success(path: str, program: str) -> Optional[int]:
    """When a run of `program` last ended well (epoch), as the file `path` says; None: it doesn't."""
    try:
        with open(path, encoding="utf-8", newline="\n") as stream:
            family = _parse(stream).get(LAST_SUCCESS)
    except (OSError, ValueError):
        return None
    series = family.series if family else {}
    found = [value for labels, value in series.items() if ("program", program) in labels]
    return int(max(found)) if found and all(map(math.isfinite, found)) else None


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Hold the folder's kernel lock. Raises OSError if another process keeps it for two seconds."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _take(descriptor)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> None:
    for remaining in reversed(range(LOCK_TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not remaining:
                raise
            time.sleep(LOCK_PAUSE)


def _parse(lines: Iterable[str]) -> Dict[str, _Family]:
    """The families in a file's lines. Raises ValueError for a line that is not of the format."""
    families: Dict[str, _Family] = {}
    for line in lines:
        line = line.rstrip("\n")
        comment, sample = COMMENT.match(line), SAMPLE.match(line)
        if comment:
            what, name, text = comment.groups()
            family = families.setdefault(name, _Family("untyped", "", {}))
            field = {"kind": text} if what == "TYPE" else {"help": _unescape(text)}
            families[name] = family._replace(**field)
        elif sample and not line.startswith("#"):
            name, labels, value = sample.groups()
            family = families.setdefault(name, _Family("untyped", "", {}))
            family.series[_read_labels(labels or "")] = float(value)
        elif line and not line.startswith("#"):
            raise ValueError("the line %r" % line[:80])
    return families


def _read_labels(text: str) -> Labels:
    labels, position = {}, 0
    while position < len(text):
        match = PAIR.match(text, position)
        if match is None:
            raise ValueError("the labels %r" % text[:80])
        labels[match.group(1)] = _unescape(match.group(2))
        position = match.end()
    return _key(labels)


def _family_text(name: str, family: _Family) -> str:
    lines: List[str] = []
    if family.help:
        lines.append("# HELP %s %s" % (name, family.help.replace("\\", "\\\\").replace("\n", "\\n")))
    lines.append("# TYPE %s %s" % (name, family.kind))
    for labels, value in sorted(family.series.items()):
        pairs = ",".join('%s="%s"' % (label, _escape(text)) for label, text in labels)
        lines.append("%s%s %s" % (name, "{%s}" % pairs if pairs else "", _number(value)))
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "%d" % value if value == int(value) and abs(value) < 2**53 else repr(float(value))


def _escape(text: str) -> str:
    return "".join(ESCAPES.get(letter, letter) for letter in text)


def _unescape(text: str) -> str:
    return ESCAPED.sub(lambda match: "\n" if match.group(1) == "n" else match.group(1), text)


def _key(labels: Dict[str, str]) -> Labels:
    for label in labels:
        if not LABEL.match(label):
            raise ValueError("no name for a label: %r" % label)
    return tuple(sorted((label, str(text)) for label, text in labels.items()))


def _check_name(name: str) -> None:
    if not NAME.match(name):
        raise ValueError("no name for a metric: %r" % name)
