"""The errors every command knows how to report, each with its own exit status."""

from typing import Iterable, List

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_TRY_LATER = 75


class ServiceError(Exception):
    """Something failed that the operator must hear of; its text says what to do next."""

    exit_status = EXIT_FAILED


class ConfigError(ServiceError):
    """A configuration file that can't be used; `problems` lists everything wrong with it."""

    exit_status = EXIT_USAGE

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems: List[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class Transient(ServiceError):
    """Trouble that passes by itself (database, broker, disk, network): the work stays where it is."""

    exit_status = EXIT_TRY_LATER


class Permanent(ServiceError):
    """Trouble that trying again will not cure."""
