"""apel status: one page on what the site's pipeline did last, what waits, and why."""

import argparse
import json
import logging
import os
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from apel import __version__, times
from apel.client.options import TABLE as CLIENT
from apel.client.status import SiteStatus, Waiting, age, site_status
from apel.commands import checking
from apel.db import open_database
from apel.runs import LastRuns
from apelcommon import checks
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.config import Settings
from apelcommon.errors import EXIT_DONE, ConfigError, ServiceError
from apelcommon.metrics import last_success

log = logging.getLogger(__name__)

FINE, WARNING, CRITICAL, UNKNOWN = range(4)
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
HOUR = 3600


class Problem(NamedTuple):
    """Something that is not as it should be: WARNING or CRITICAL, in words; and what to do next."""

    level: int
    text: str
    todo: str


class Spool(NamedTuple):
    """Messages in the outgoing queue; `oldest`: since when the first waits; `failed`: put aside for good.

    `sender`: when the sender last ended well; None: it keeps no figures, or never did.
    """

    path: str
    messages: int
    oldest: Optional[int]
    failed: int
    sender: Optional[int] = None


class ApelCommand(Command):
    """The command apel."""

    name = "apel"
    has_probe = True
    version_text = "APEL %s" % __version__
    description = (
        "status: say what parser, client and sender of this site did last, what waits, and why.\n"
        "Exit status 0; with --check as Nagios wants it: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."
    )
    example = "apel status --check --warning-hours 26 --critical-hours 50"
    default_config = "/etc/apel/client.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        parser.add_argument("action", choices=("status",), help="what to do")
        parser.add_argument(
            "-s",
            "--ssm_config",
            default="/etc/apel/sender.cfg",
            metavar="FILE",
            help="configuration file of the sender, which names the queue (default: %(default)s)",
        )
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="print JSON")
        form.add_argument("--check", action="store_true", help="one line and the exit status for Nagios")
        checking.add_check_argument(form)
        parser.add_argument(
            "--warning-hours",
            type=float,
            default=26.0,
            metavar="HOURS",
            help="a good run, and a message in the queue, may be so old (default: %(default)s)",
        )
        parser.add_argument(
            "--critical-hours",
            type=float,
            default=50.0,
            metavar="HOURS",
            help="from here on it is critical (default: %(default)s)",
        )

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""
        if args.check_config:
            return _check_config(args)
        if args.check:
            return _probe(args)
        status, spool, problems = _found(args)
        if args.json:
            print(json.dumps(_as_json(status, spool, problems), indent=2))
        else:
            print("\n".join(_page(status, spool, problems)))
        return EXIT_DONE


def _found(args: argparse.Namespace) -> Tuple[SiteStatus, Spool, List[Problem]]:
    settings = CLIENT.read(args.config)
    status, spool = _site(settings), _outgoing(settings, args.ssm_config)
    return status, spool, list(find_problems(status, spool, args.warning_hours, args.critical_hours))


def _probe(args: argparse.Namespace) -> int:
    """Print Nagios' line; its exit status. What can't be found out is UNKNOWN: 1 and 2 are alarms."""
    try:
        return _check(*_found(args))
    except ServiceError as err:
        text = "; ".join(err.problems) if isinstance(err, ConfigError) else str(err)
    except Exception as err:  # the outermost edge of a probe
        log.critical("Unhandled exception raised!", exc_info=True)
        text = "internal error: %s: %s" % (type(err).__name__, err)
    print("APEL UNKNOWN - %s" % text)
    return UNKNOWN


def _check_config(args: argparse.Namespace) -> int:
    """Whether what it reads can be read: the client's database, and the sender's queue."""
    files = [CLIENT.read(args.config)]
    path = os.path.join(files[0].unloader.dir_location, "outgoing")
    if os.path.exists(args.ssm_config):
        from ssm.options import SENDER

        files.append(SENDER.read(args.ssm_config))
        path = files[1].messaging.path
    found = [*checking.database(files[0].db, "client"), checks.readable("queue", path)]
    return checking.say(files, found, logs=False, metrics=False)


def _site(settings: Settings) -> SiteStatus:
    db = open_database(settings.db, schema="client")
    if not db.backend.exists():
        raise ServiceError("%s does not exist: nothing has run here yet." % db.backend)
    try:
        return site_status(db)
    finally:
        db.close()


def _outgoing(settings: Settings, ssm_config: str) -> Spool:
    """The queue that the sender empties, or if it has no file here, the one that the client fills."""
    if not os.path.exists(ssm_config):
        return _spool(os.path.join(settings.unloader.dir_location, "outgoing"))
    from ssm.options import SENDER

    sender = SENDER.read(ssm_config)
    return _spool(sender.messaging.path)._replace(sender=last_success(sender.metrics.textfile, "ssmsend"))


def _spool(path: str) -> Spool:
    from ssm.filequeues import FAILED, elements_in

    messages, oldest, failed = 0, None, 0
    if os.path.isdir(path):
        for name in elements_in(path):
            messages += 1
            if oldest is None:
                oldest = _modified(os.path.join(path, name))
        folder = os.path.join(path, FAILED)
        if os.path.isdir(folder):
            failed = sum(not name.endswith(".reason") for name in os.listdir(folder))
    return Spool(path, messages, oldest, failed)


def _modified(path: str) -> Optional[int]:
    try:
        return int(os.stat(path).st_mtime)
    except OSError:
        return None


def find_problems(status: SiteStatus, spool: Spool, warning: float, critical: float) -> Iterator[Problem]:
    """What is not as it should be. warning, critical: hours."""
    runs: List[Tuple[str, LastRuns]] = [("apelclient", status.client)]
    runs += [("apelparser of %s" % host, last) for host, last in status.parser.items()]
    if not status.parser:
        runs.append(("apelparser", LastRuns(None, None)))
    for name, last in runs:
        level = _level(last.well, warning, critical)
        if level != FINE:
            yield Problem(level, "%s ended well %s" % (name, age(last.well)), _see_run(name))
        elif last.failed:
            yield Problem(WARNING, "the last run of %s failed" % name, _see_run(name))
    yield from _spool_problems(spool, warning, critical)
    for waiting in status.waiting:
        if "benchmark" in waiting.reason:
            yield Problem(WARNING, "%d jobs wait: %s" % (waiting.jobs, waiting.reason), waiting.todo)


def _spool_problems(spool: Spool, warning: float, critical: float) -> Iterator[Problem]:
    level = _level(spool.oldest, warning, critical) if spool.messages else FINE
    if level != FINE:
        text = "%d messages wait to be sent, the oldest written %s"
        yield Problem(level, text % (spool.messages, age(spool.oldest)), "ssmsend --check-config --connect")
    if spool.failed:
        text = "%d messages can't be sent, see %s/failed" % (spool.failed, spool.path)
        todo = "read the .reason beside each; when that is cured: ssmqueue requeue %s --all" % spool.path
        yield Problem(WARNING, text, todo)


def _see_run(name: str) -> str:
    """Where to look when a program has not run well: `name` may go on with the batch system."""
    program = name.split()[0]
    return "read its log, systemctl status %s or cron's mail; %s --check-config" % (program, program)


def _level(when: Optional[int], warning: float, critical: float) -> int:
    if when is None:
        return CRITICAL
    hours = (times.now() - when) / HOUR
    if hours >= critical:
        return CRITICAL
    return WARNING if hours >= warning else FINE


def _check(status: SiteStatus, spool: Spool, problems: List[Problem]) -> int:
    """Nagios' line: the worst problem first, then figures."""
    worst = max([problem.level for problem in problems], default=FINE)
    ordered = sorted(problems, key=lambda problem: -problem.level)
    good = "apelclient ended well %s, %d messages wait" % (age(status.client.well), spool.messages)
    text = "; ".join(problem.text for problem in ordered) or good
    waiting = sum(each.jobs for each in status.waiting)
    figures = (waiting, spool.messages, spool.failed, status.rejected_lines)
    print(
        "APEL %s - %s | waiting_jobs=%d messages=%d failed_messages=%d rejected_lines=%d"
        % (WORDS[worst], text.replace("|", "/"), *figures)
    )
    return worst


def _page(status: SiteStatus, spool: Spool, problems: List[Problem]) -> Iterator[str]:
    for host, last in status.parser.items() or [("", LastRuns(None, None))]:
        yield "parser   %s%s" % (_run(last), " (%s)" % host if host else "")
    yield "         %d jobs stored, the newest ended %s" % (status.jobs, age(status.newest_job))
    if status.rejected_lines:
        yield (
            "         %d lines could not be parsed and are kept (apelparser --status)" % status.rejected_lines
        )
    yield "client   %s" % _run(status.client)
    yield "         last unloaded %s; %d months to sum up" % (age(status.sent), status.months)
    if status.accelerators.records:
        yield "         %d accelerators recorded, %d of unknown model, %d not sent" % status.accelerators
    waits = ", the oldest written %s" % age(spool.oldest) if spool.messages else ""
    ended = "" if spool.sender is None else "ended well %s; " % age(spool.sender)
    yield "sender   %s%d messages wait in %s%s" % (ended, spool.messages, spool.path, waits)
    for waiting in status.waiting:
        yield "waiting  %d jobs, the oldest ended %s: %s" % (
            waiting.jobs,
            age(waiting.oldest),
            waiting.reason,
        )
        if "benchmark" not in waiting.reason:  # which is a problem as well, and told below
            yield "   do:    %s" % waiting.todo
    for problem in problems:
        yield "%-8s %s" % (WORDS[problem.level].lower(), problem.text)
        yield "   do:    %s" % problem.todo
    if not problems:
        yield "Everything is in order."


def _run(last: LastRuns) -> str:
    text = "ended well %s" % age(last.well)
    return text + ", failed %s" % age(last.badly) if last.failed else text


def _as_json(status: SiteStatus, spool: Spool, problems: List[Problem]) -> Dict[str, Any]:
    return {
        "parser": {host: dict(last._asdict()) for host, last in status.parser.items()},
        "client": dict(status.client._asdict()),
        "newest_job": status.newest_job,
        "jobs": status.jobs,
        "waiting": [_waiting_as_json(each) for each in status.waiting],
        "months_to_sum": status.months,
        "unloaded": status.sent,
        "rejected_lines": status.rejected_lines,
        "accelerators": dict(status.accelerators._asdict()),
        "sender": {"well": spool.sender},
        "queue": {name: value for name, value in spool._asdict().items() if name != "sender"},
        "status": WORDS[max([problem.level for problem in problems], default=FINE)],
        "problems": [
            {"level": WORDS[problem.level], "text": problem.text, "do": problem.todo} for problem in problems
        ],
    }


def _waiting_as_json(waiting: Waiting) -> Dict[str, Any]:
    return {"jobs": waiting.jobs, "reason": waiting.reason, "oldest": waiting.oldest, "do": waiting.todo}


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command; its exit status."""
    return run_command(ApelCommand(), argv)
