"""The frame of every command: its options, its exit status, and what it says when something fails."""

import abc
import argparse
import io
import logging
import os
import sys
from typing import List, Optional

from apelcommon import logs
from apelcommon.config import OptionTable, Settings
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, ConfigError, ServiceError

log = logging.getLogger(__name__)

OLD_LOG_CONFIG = "/etc/apel/logging.cfg"
#: What Nagios wants of a probe that could not look.
PROBE_UNKNOWN = 3


class Command(abc.ABC):
    """One command. Sub-classes set the class attributes and give `run`."""

    name = ""
    version_text = ""
    description = ""
    example = ""
    table: Optional[OptionTable] = None
    default_config = ""
    #: Whether --check makes it a probe of Nagios.
    has_probe = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:  # noqa: B027 - most commands have none
        """Declare the command's own arguments."""

    @abc.abstractmethod
    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""

    def parser(self) -> argparse.ArgumentParser:
        """The argument parser, with what all commands share."""
        parser = argparse.ArgumentParser(
            prog=self.name,
            description=self.description,
            epilog="Example: %s" % self.example,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if self.default_config:
            parser.add_argument(
                "-c",
                "--config",
                default=self.default_config,
                metavar="FILE",
                help="configuration file (default: %(default)s)",
            )
        parser.add_argument("-l", "--log_config", metavar="FILE", help="ignored; kept for old crontabs")
        parser.add_argument(
            "-v", "--version", action="version", version=self.version_text, help="print the version and exit"
        )
        self.add_arguments(parser)
        return parser

    def settings(self, args: argparse.Namespace) -> Settings:
        """Read the command's configuration file and set up its log."""
        assert self.table is not None
        settings = self.table.read(args.config)
        self.start_log(settings, args)
        return settings

    def start_log(self, settings: Settings, args: argparse.Namespace) -> None:
        """Set up the log and say in it what is obsolete in the configuration."""
        logs.set_up(settings.logging)
        if args.log_config or os.path.exists(OLD_LOG_CONFIG):
            log.warning("Separate logging config file option has been deprecated.")
        for hint in settings.hints:
            log.warning("%s", hint)


def main(command: Command, argv: Optional[List[str]] = None) -> int:
    """Run a command; its exit status (0 done, 1 failed, 2 usage or configuration, 75 try again later)."""
    _print_anything()
    parser = command.parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as err:
        return _usage_status(command, argv) if err.code else EXIT_DONE
    try:
        return command.run(args)
    except ServiceError as err:
        return _failed(command, err)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); the interpreter must not try to flush what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("%s: interrupted" % command.name, file=sys.stderr)
        return 130
    except Exception as err:  # the outermost edge: log the trace, tell the operator in one line
        log.critical("Unhandled exception raised!", exc_info=True)
        what = "%s: %s" % (type(err).__name__, err)
        print("%s: internal error: %s (the log has the details)" % (command.name, what), file=sys.stderr)
        return EXIT_FAILED


def _usage_status(command: Command, argv: Optional[List[str]]) -> int:
    """The exit status where the command line is wrong: 2 would be CRITICAL to Nagios."""
    words = sys.argv[1:] if argv is None else argv
    is_probe = command.has_probe and any(word.partition("=")[0] == "--check" for word in words)
    return PROBE_UNKNOWN if is_probe else EXIT_USAGE


def _print_anything() -> None:
    """Have standard output show what its encoding has no bytes for as escapes.

    That may be a name with an accent, or a help text, where cron sets no language and Python is old.
    """
    stream = sys.stdout
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    elif stream is sys.__stdout__ and isinstance(stream, io.TextIOWrapper):
        # Python 3.6. The old one lives on, and does not close what is below both.
        lines = stream.line_buffering
        sys.stdout = io.TextIOWrapper(stream.buffer, stream.encoding, "backslashreplace", None, lines)


def _failed(command: Command, err: ServiceError) -> int:
    problems = err.problems if isinstance(err, ConfigError) else [str(err)]
    for problem in problems:
        # Before the log is set up, logging itself would print to standard error.
        if logging.getLogger().handlers:
            log.error("%s", problem)
        print("%s: %s" % (command.name, problem), file=sys.stderr)
    return err.exit_status
