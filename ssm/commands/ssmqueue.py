"""ssmqueue: look at the queues of the messenger, free locks, put back what was put aside."""

import argparse
import json
import sys
import time
from typing import List, Optional

from apelcommon import __version__
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.errors import EXIT_DONE, ConfigError
from ssm import spool

ACTIONS = ("status", "unlock", "show", "requeue")
PARTS = ("empaid", "signer", "error")


class QueueCommand(Command):
    """The command ssmqueue."""

    name = "ssmqueue"
    version_text = "SSM %s" % __version__
    description = (
        "Look at queues while others work on them.\n"
        "status: say how many messages each holds, locked ones, and those put aside in failed.\n"
        "unlock: free the locks of processes that have died, or (--all) all.\n"
        "show: print the message with the given ID.\n"
        "requeue: put the message NAME of failed (or --all) back into its queue."
    )
    example = "ssmqueue status /var/spool/apel"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        parser.add_argument("action", choices=ACTIONS, help="what to do")
        parser.add_argument(
            "path",
            nargs="?",
            default="/var/spool/apel",
            metavar="PATH",
            help="a queue, or (status and unlock) a directory with queues in it (default: %(default)s)",
        )
        parser.add_argument(
            "ids",
            nargs="*",
            metavar="ID",
            help="show: an id like 69400000/69400000a1b2c3; requeue: a name in failed",
        )
        parser.add_argument(
            "--all",
            action="store_true",
            help="unlock: all locks, of living processes as well: stop the programs before; requeue: all",
        )
        parser.add_argument("--json", action="store_true", help="status: as JSON, for programs")

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""
        if args.ids and args.action in ("status", "unlock"):
            raise ConfigError("%s takes one PATH and no ID." % args.action)
        if not (args.ids or args.all) and args.action in ("show", "requeue"):
            raise ConfigError("%s: which message? Give the queue, then its ID." % args.action)
        action = {"status": _status, "unlock": _unlock, "show": _show, "requeue": _requeue}[args.action]
        return action(args)


def _status(args: argparse.Namespace) -> int:
    found = [spool.status(name, queue) for name, queue in spool.queues_at(args.path).items()]
    if args.json:
        print(json.dumps([dict(each._asdict()) for each in found], indent=1))
        return EXIT_DONE
    print("%-10s %9s %7s %7s  %s" % ("queue", "messages", "locked", "failed", "oldest"))
    for each in found:
        age = "-" if each.oldest is None else _age(time.time() - each.oldest)
        print("%-10s %9d %7d %7d  %s" % (each.name, each.messages, each.locked, each.failed, age))
    return EXIT_DONE


def _age(seconds: float) -> str:
    """Seconds in the largest units that are not 0."""
    minutes = int(max(0.0, seconds)) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    return "%d d %d h" % (days, hours) if days else "%d h %d min" % (hours, minutes)


def _unlock(args: argparse.Namespace) -> int:
    for name, queue in spool.queues_at(args.path).items():
        freed = spool.unlock(queue, args.all)
        for element in freed:
            print("%s/%s is free" % (name, element))
        print("%s: %d freed, %d stay locked" % (name, len(freed), spool.status(name, queue).locked))
    return EXIT_DONE


def _show(args: argparse.Namespace) -> int:
    queue = spool.one_queue(args.path)
    for element in args.ids or list(queue.ids()):
        found = spool.show(queue, element)
        for part in PARTS:
            if part in found:
                print("%s: %s" % (part, found[part]), file=sys.stderr)
        print(found.get("body", ""))
    return EXIT_DONE


def _requeue(args: argparse.Namespace) -> int:
    queue = spool.one_queue(args.path)
    for name in spool.put_aside(queue) if args.all else args.ids:
        print("%s is now %s" % (name, spool.requeue(queue, name)))
    return EXIT_DONE


def main(argv: Optional[List[str]] = None) -> int:
    """Run ssmqueue; its exit status."""
    return run_command(QueueCommand(), argv)
