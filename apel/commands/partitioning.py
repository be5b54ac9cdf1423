"""The action `apeldb partitions`: monthly partitions of the central job records, some months ahead."""

import argparse

from apel import times
from apel.db.backend import Backend, session
from apel.db.partitions import carry_out, plan
from apel.db.schema import is_there
from apelcommon.errors import EXIT_DONE, ConfigError

ACTION = "partitions"
USUAL_AHEAD, MOST_AHEAD = 12, 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the option of the action."""
    parser.add_argument(
        "--ahead",
        metavar="MONTHS",
        type=int,
        help="partitions: how many months after this one have their own (default: %d)" % USUAL_AHEAD,
    )


def refuse_elsewhere(args: argparse.Namespace) -> None:
    """Raises ConfigError for an option that doesn't go with the action, or a bad value."""
    if args.ahead is not None and args.action != ACTION:
        raise ConfigError("--ahead goes with `apeldb partitions` only.")
    if args.ahead is not None and not 1 <= args.ahead <= MOST_AHEAD:
        raise ConfigError("--ahead must be from 1 to %d." % MOST_AHEAD)


def run(backend: Backend, schema: str, args: argparse.Namespace) -> int:
    """Make the partitions that are missing; the exit status."""
    if schema != "server":
        raise ConfigError("Only the job records of the centre (schema server) have partitions.")
    if backend.name != "mysql":
        print("%s has no partitions, and needs none; nothing was changed." % backend)
        return EXIT_DONE
    with session(backend) as connection:
        if not is_there(backend, connection, schema):
            raise ConfigError("%s has no %s schema yet: run `apeldb init`." % (backend, schema))
        statements = plan(backend, connection, times.now(), args.ahead or USUAL_AHEAD)
        if not args.dry_run:
            carry_out(backend, connection, statements)
    for statement in statements:
        print(statement + ";")
    done = "would be changed" if args.dry_run else "were changed"
    print("%s: the partitions of %d tables %s." % (backend, len(statements), done))
    return EXIT_DONE
