"""Logs in the incumbent's line format, re-opened on SIGHUP so that rotation loses no line."""

import logging
import logging.handlers
import os
import sys
from typing import Any, List

from apelcommon.errors import ConfigError

LINE_FORMAT = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
LEVELS = ("DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL")


def set_up(settings: Any) -> None:
    """Send the root logger to `settings.logfile` and, if `settings.console`, to standard output.

    `settings` is a [logging] section: logfile, level, console. Raises ConfigError for a log file
    that can't be written.
    """
    handlers: List[logging.Handler] = []
    if settings.logfile:
        handlers.append(_file_handler(settings.logfile))
    if settings.console:
        handlers.append(logging.StreamHandler(sys.stdout))
    root = logging.getLogger()
    close()
    for handler in handlers:
        handler.setFormatter(logging.Formatter(LINE_FORMAT))
        root.addHandler(handler)
    root.setLevel(settings.level)
    logging.getLogger("stomp").setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _file_handler(path: str) -> logging.Handler:
    try:
        # A watched file notices that it was renamed away and opens the new one before the next line.
        return logging.handlers.WatchedFileHandler(path, encoding="utf-8")
    except OSError as err:
        raise ConfigError(
            "[logging] logfile: cannot write %s (%s); does %s exist and may this user write there?"
            % (path, err.strerror, os.path.dirname(os.path.abspath(path)))
        ) from err


def close() -> None:
    """Flush and remove the handlers that set_up installed."""
    logging.captureWarnings(False)
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, logging.StreamHandler) and type(handler).__module__.startswith("logging"):
            root.removeHandler(handler)
            handler.close()
