"""Puts messages that the loader rejected, or kept, back into its queue: all, or by reason or signer."""

import argparse
import json
import os
from typing import Any, Dict, List, Optional

from apel import __version__
from apel.commands import checking
from apel.commands.apelcollect import moment
from apel.commands.apeldbloader import ANY_INCOMING
from apel.server.archive import contents, messages_in
from apel.server.options import LOADER
from apel.server.replay import PREFIX, Group, Wanted, groups, replay
from apel.times import utc_text
from apelcommon import checks
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.errors import EXIT_DONE, ConfigError, Permanent
from apelcommon.files import owner_name
from apelcommon.metrics import Counter, Metrics, recorded
from ssm.queues import ACCEPT, INCOMING, MessageQueue

QUEUES = ("reject", "accept")
#: Elements of any make are shown; what can't be loaded is said.
ANY_ELEMENT = dict.fromkeys((*INCOMING, *ACCEPT), "string?")


class ReplayCommand(Command):
    """The command apelreplay."""

    name = "apelreplay"
    version_text = "APEL replay %s" % __version__
    description = (
        "Put messages that apeldbloader has rejected back into its queue, so that they are loaded once the\n"
        "cause is cured. Without a selection it prints the reasons that occur, and changes nothing."
    )
    example = 'apelreplay --reason "may not send it"'
    table = LOADER
    default_config = "/etc/apel/loader.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        what = parser.add_argument_group("selection (all that is given must hold)")
        what.add_argument("--all", action="store_true", help="all messages")
        what.add_argument("--reason", metavar="TEXT", help="messages whose reason holds this text")
        what.add_argument("--signer", metavar="TEXT", help="messages whose signer's name holds this text")
        what.add_argument(
            "--since", type=moment, metavar="TIME", help="messages that came since then, as 2026-11-01, UTC"
        )
        parser.add_argument(
            "--from",
            dest="queue",
            choices=QUEUES,
            default=QUEUES[0],
            help="the queue to take them from (default: %(default)s); accept holds what was loaded, where "
            "save_messages is on",
        )
        parser.add_argument(
            "--archive",
            nargs="+",
            default=[],
            metavar="FILE",
            help="put the messages of these files of `apeldb archive` into the queue, in place of any others",
        )
        parser.add_argument("--most", type=_count, metavar="N", help="at most so many, the oldest first")
        parser.add_argument("--list", action="store_true", help="print the reasons of the selected messages")
        parser.add_argument("--dry-run", action="store_true", help="the same as --list")
        parser.add_argument("--json", action="store_true", help="print the reasons as JSON")
        checking.add_check_argument(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""
        settings = LOADER.read(args.config)
        if args.check_config:
            folders = [os.path.join(settings.loader.msgpath, name) for name in ("incoming", *QUEUES)]
            found = [checks.writable("queue", folder) for folder in folders]
            return checking.say([settings], found, logs=False)
        if args.archive:
            with recorded(settings.metrics.textfile, self.name) as metrics:
                return _from_archives(settings, args.archive, _put_back(metrics))
        mark = PREFIX if args.queue == "reject" else ""
        wanted = Wanted(args.reason, args.signer, args.since, mark)
        queue = _queue(settings, args.queue, ANY_ELEMENT)
        if (
            args.list
            or args.dry_run
            or args.json
            or not (args.all or args.reason or args.signer or args.since)
        ):
            _print(groups(queue, wanted), args)
            return EXIT_DONE
        incoming = _queue(settings, "incoming", ANY_INCOMING)
        with recorded(settings.metrics.textfile, self.name) as metrics:
            _be_owner(incoming.path)
            done = replay(queue, incoming, wanted, args.most)
            _put_back(metrics).add(done.done, queue=args.queue)
        print("%d messages were put back from %s." % (done.done, args.queue))
        if done.unsigned:
            print("%d messages have no signer and can't be loaded." % done.unsigned)
        if done.busy:
            print("%d messages are in use by another process." % done.busy)
        return EXIT_DONE


def _count(text: str) -> int:
    """A number of messages, 1 or more. Raises ArgumentTypeError."""
    if not (text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError("%r is no number of messages, 1 or more" % text)
    return int(text)


def _put_back(metrics: Metrics) -> Counter:
    return metrics.counter("apel_replay_messages_total", "Messages put into the loader's queue.")


def _from_archives(settings: Any, paths: List[str], count: Counter) -> int:
    incoming = _queue(settings, "incoming", ANY_INCOMING)
    _be_owner(incoming.path)
    found = [contents(path) for path in paths]  # all of them, before anything is done
    for path, holds in zip(paths, found):
        for message in messages_in(path):
            incoming.add(message)
            count.add(queue="archive")
        print("%s: %d messages with %d jobs were put into the queue." % (path, holds.messages, holds.records))
    return EXIT_DONE


def _queue(settings: Any, name: str, schema: Dict[str, str]) -> MessageQueue:
    path = os.path.join(settings.loader.msgpath, name)
    if not os.path.isdir(path):
        raise ConfigError("[loader] msgpath: there is no queue %s." % path)
    return MessageQueue(path, schema)


def _be_owner(path: str) -> None:
    """What another user puts into the queue, the loader might not be able to take."""
    if os.geteuid() != os.stat(path).st_uid:
        name = owner_name(path)
        raise Permanent("%s belongs to %s: run this command as that user (sudo -u %s)." % (path, name, name))


def _print(found: List[Group], args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps([group._asdict() for group in found], indent=2))
        return
    for group in found:
        times = "%s to %s" % (utc_text(group.oldest), utc_text(group.newest))
        print("%8d  %s  %s" % (group.messages, times, group.reason))
    print("%d messages in %s." % (sum(group.messages for group in found), args.queue))


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command; its exit status."""
    return run_command(ReplayCommand(), argv)
