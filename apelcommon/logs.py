"""Logs in the incumbent's line format or as JSON; rotation loses no line."""

import contextlib
import json
import logging
import logging.handlers
import os
import sys
import time
from typing import Any, Dict, List

from apelcommon.errors import ConfigError
from apelcommon.files import owner_name

LINE_FORMAT = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
#: Control characters but the tabulator, as they are shown; after a line end, a message goes on indented.
SHOWN = {
    code: "\\x%02x" % code for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029) if code != 0x09
}
SHOWN[0x0A] = "\n    "
TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)
LEVELS = ("DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL")


class Formatter(logging.Formatter):
    """One line begins with each message, whatever strangers put into a name that it holds."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        return super().formatMessage(record).translate(SHOWN)


class JsonFormatter(logging.Formatter):
    """An object a line. `event` has the words that are the same whatever the message is about."""

    def format(self, record: logging.LogRecord) -> str:
        milliseconds = int(record.msecs)
        found: Dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + ".%03dZ" % milliseconds,
            "logger": record.name,
            "level": record.levelname,
            "message": record.getMessage(),
            "event": str(record.msg),
            "process": record.process,
        }
        if record.exc_info:
            found["trace"] = self.formatException(record.exc_info)
        return json.dumps(found)


class _Enduring(logging.Handler):
    """Where lines can't be written (a full disk), the work goes on, and standard error is told once.

    The library prints a trace for each line, or passes the error on to whoever had something to log.
    """

    where = "standard output"
    _failures = 0

    def format(self, record: logging.LogRecord) -> str:
        """What the stream has no bytes for is shown as `\\udce9`: names of files may be anything."""
        encoding = getattr(getattr(self, "stream", None), "encoding", None) or "utf-8"
        return super().format(record).encode(encoding, "backslashreplace").decode(encoding)

    def emit(self, record: logging.LogRecord) -> None:
        before = self._failures
        try:
            super().emit(record)
        except OSError:
            # From opening a log anew that was rotated away.
            self.handleError(record)
        if self._failures == before:
            self._failures = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._failures += 1
        if self._failures == 1 and sys.stderr is not None:
            text = "Cannot log to %s: %s. Lines of the log are lost until that is mended." % (
                self.where,
                error.strerror or error,
            )
            complaint = logging.LogRecord(record.name, logging.ERROR, "", 0, text, None, None)
            logging.StreamHandler(sys.stderr).emit(complaint)


class LogFile(_Enduring, logging.handlers.WatchedFileHandler):
    """A watched file notices that it was renamed away, and opens the new one before the next line."""

    def __init__(self, path: str) -> None:
        super().__init__(path, encoding="utf-8")
        self.where = path


class Console(_Enduring, logging.StreamHandler):
    """Standard output."""


def set_up(settings: Any) -> None:
    """Send the root logger to `settings.logfile` and, if `settings.console`, to standard output.

    `settings` is a [logging] section: logfile, level, console, format. Raises ConfigError for a log file
    that can't be written.
    """
    handlers: List[logging.Handler] = []
    if settings.logfile:
        handlers.append(_file_handler(settings.logfile))
    if settings.console:
        handlers.append(Console(sys.stdout))
    root = logging.getLogger()
    close()
    as_json = getattr(settings, "format", TEXT) == JSON
    for handler in handlers:
        handler.setFormatter(JsonFormatter() if as_json else Formatter(LINE_FORMAT))
        root.addHandler(handler)
    root.setLevel(settings.level)
    logging.getLogger("stomp").setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _file_handler(path: str) -> logging.Handler:
    try:
        return LogFile(path)
    except OSError as err:
        raise ConfigError("[logging] logfile: " + _why_not(path, err)) from err


def _why_not(path: str, err: OSError) -> str:
    """What to do about a log file that this user can't write: root has perhaps made it, running by hand."""
    said = "cannot write %s (%s)" % (path, err.strerror)
    if isinstance(err, PermissionError) and os.path.isfile(path):
        return said + ": it is %s's; run this as that user, or give the file to this one" % owner_name(path)
    folder = os.path.dirname(os.path.abspath(path))
    return "%s; does %s exist and may this user write there?" % (said, folder)


def close() -> None:
    """Flush and remove the handlers that set_up installed."""
    logging.captureWarnings(False)
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _Enduring):
            root.removeHandler(handler)
            with contextlib.suppress(OSError):
                handler.close()
