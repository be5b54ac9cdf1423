"""What --check-config has tried and found, the same words and exit status for every command."""

import os
import shutil
import stat
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Sequence

from apelcommon.errors import EXIT_DONE, EXIT_FAILED, ConfigError, ServiceError
from apelcommon.files import owner_name

OK, WARNING, FAILED = "ok", "warning", "failed"
#: So much room (bytes) a spool should have.
LEAST_FREE = 100 * 1000 * 1000
#: A certificate that ends sooner should be renewed.
FEWEST_DAYS = 14


class Check(NamedTuple):
    """Something that was tried: OK, WARNING or FAILED; what it was, in a word; what was found."""

    outcome: str
    subject: str
    text: str

    def line(self) -> str:
        """For people."""
        return "%-8s %s: %s" % (self.outcome, self.subject, self.text)


def attempt(subject: str, work: Callable[[], str]) -> Check:
    """OK with what `work` gives, or FAILED with its error."""
    try:
        return Check(OK, subject, work())
    except ConfigError as err:
        return Check(FAILED, subject, "; ".join(err.problems))
    except ServiceError as err:
        return Check(FAILED, subject, str(err))


def exit_status(checks: Iterable[Check]) -> int:
    """0 where nothing failed, 1 elsewhere (2 is for files that can't be read at all)."""
    return EXIT_FAILED if any(check.outcome == FAILED for check in checks) else EXIT_DONE


def obsolete(settings: Any) -> List[Check]:
    """A warning for each option of a file that is no longer needed, with what to write in its place."""
    return [Check(WARNING, "obsolete", hint) for hint in settings.hints]


def as_lines(checks: Sequence[Check]) -> List[str]:
    """All of it for people."""
    failed = sum(check.outcome == FAILED for check in checks)
    warned = sum(check.outcome == WARNING for check in checks)
    if failed or warned:
        end = "%d of %d checks failed, %d warnings." % (failed, len(checks), warned)
    else:
        end = "Everything is in order."
    return [check.line() for check in checks] + [end]


def as_json(checks: Sequence[Check]) -> List[Dict[str, str]]:
    """All of it for programs."""
    return [dict(check._asdict()) for check in checks]


def writable(subject: str, path: str) -> Check:
    """Whether this user can write files into a folder, or make it, and has room there."""
    there = path
    while not os.path.exists(there):
        there = os.path.dirname(os.path.abspath(there))
    if not os.path.isdir(there):
        return Check(FAILED, subject, "%s is no directory" % there)
    if not os.access(there, os.W_OK | os.X_OK):
        return Check(FAILED, subject, "%s can't be written by user id %d" % (there, os.getuid()))
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE:
        return Check(WARNING, subject, "%s has only %d MB left" % (there, free // 1000000))
    made = "" if there == path else ", which will be made"
    return Check(OK, subject, "%s%s, %d MB free" % (path, made, free // 1000000))


def log(settings: Any) -> List[Check]:
    """Whether this user can write the log that a configuration names, where it names one."""
    path = settings.logging.logfile
    if not path:
        return []
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        return [Check(FAILED, "log", "there is no directory %s: make it" % folder)]
    if not os.path.exists(path):
        return [writable("log", folder)]
    if os.path.isdir(path):
        return [Check(FAILED, "log", "%s is a directory" % path)]
    if os.access(path, os.W_OK):
        return [Check(OK, "log", path)]
    text = "%s can't be written by user id %d: it is %s's"
    return [Check(FAILED, "log", text % (path, os.getuid(), owner_name(path)))]


def figures(settings: Any) -> List[Check]:
    """The same of the file with figures for Prometheus."""
    path = settings.metrics.textfile
    if not path:
        return []
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        return [Check(WARNING, "metrics", "there is no directory %s: no figures will be written" % folder)]
    return [writable("metrics", folder)]


def secrets(settings: Any) -> List[Check]:
    """A warning where everybody on this host may read the password or token in a configuration file."""
    held = [
        getattr(getattr(settings, section, None), option, None)
        for section, option in (("db", "password"), ("messaging", "token"))
    ]
    if not any(held) or not os.stat(settings.path).st_mode & stat.S_IROTH:
        return []
    text = "%s holds one, and everybody on this host may read it: chmod o-r" % settings.path
    return [Check(WARNING, "password or token", text)]


def executable(subject: str, name: str) -> Check:
    """Whether a command is found, by its path or in PATH."""
    found = shutil.which(name)
    if found is None:
        return Check(FAILED, subject, "%s is not found: give its path" % name)
    return Check(OK, subject, found)


def readable(subject: str, path: str) -> Check:
    """Whether this user can list a folder."""
    if not os.path.isdir(path):
        return Check(FAILED, subject, "there is no directory %s" % path)
    if not os.access(path, os.R_OK | os.X_OK):
        return Check(FAILED, subject, "%s can't be read by user id %d" % (path, os.getuid()))
    return Check(OK, subject, path)
