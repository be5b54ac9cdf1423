"""`apeldb upgrade`: what it says before, meanwhile and afterwards."""

import argparse
import contextlib
from typing import Any, Dict, List

from apel.db.backend import Backend
from apel.db.schema import VERSIONS, check
from apel.upgrade import sqlite
from apel.upgrade.plan import Plan
from apel.upgrade.run import CHECKED, FINISHED, Upgrade
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, ConfigError
from apelcommon.files import Lock, lock_path

FLAGS = ("check", "roll_back", "drop_old")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what goes with `apeldb upgrade` only."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--check", action="store_true", help="with upgrade: only say whether it is needed, or what came of it"
    )
    how.add_argument(
        "--roll-back",
        action="store_true",
        help="with upgrade: put the old tables back; what was stored since the upgrade is lost",
    )
    how.add_argument(
        "--drop-old",
        action="store_true",
        help="with upgrade: remove the old tables, which are kept until then",
    )


def upgrade(backend: Backend, schema: str, args: argparse.Namespace) -> int:
    """Do what the arguments say; the exit status."""
    if backend.name == "sqlite":
        return _upgrade_file(backend, schema, args)
    work = Upgrade(backend, schema)
    with contextlib.closing(work.journal.db):
        if args.dry_run:
            return _say_plan(backend, schema, work.plan())
        if args.check:
            return _check(backend, schema, work)
        return _change(backend, schema, work, args)


def _change(backend: Backend, schema: str, work: Upgrade, args: argparse.Namespace) -> int:
    with Lock(lock_path("apeldb", str(backend)), "apeldb upgrade"):
        if args.roll_back:
            return _roll_back(backend, work)
        if args.drop_old:
            gone = work.drop_old()
            print(
                "%s: %s" % (backend, "removed " + ", ".join(gone) if gone else "no old tables are kept here.")
            )
            return EXIT_DONE
        return _run(backend, schema, work)


def _upgrade_file(backend: Backend, schema: str, args: argparse.Namespace) -> int:
    """SQLite: of our own earlier versions only; there is no way back but a copy of the file."""
    if args.roll_back or args.drop_old:
        raise ConfigError("A SQLite file is upgraded whole or not at all: there are no old tables in it.")
    old = sqlite.is_old(backend, schema)
    if args.check or args.dry_run:
        print("%s: schema %s %s" % (backend, schema, "needs an upgrade." if old else "is up to date."))
        return EXIT_FAILED if old and args.check else EXIT_DONE
    made = sqlite.upgrade_file(backend, schema) if old else []
    print("%s: schema %s version %d is in place." % (backend, schema, VERSIONS[schema]))
    if made:
        print("Made again: %s" % ", ".join(made))
    return EXIT_DONE


def refuse_elsewhere(args: argparse.Namespace) -> None:
    """Raise ConfigError where these flags go with another action."""
    given = ["--" + flag.replace("_", "-") for flag in FLAGS if getattr(args, flag)]
    if given and args.action != "upgrade":
        raise ConfigError("%s goes with upgrade only" % given[0])


def _say_plan(backend: Backend, schema: str, plan: Plan) -> int:
    for problem in plan.obstacles:
        print("in the way: %s" % problem)
    if plan.obstacles:
        return EXIT_FAILED
    if not plan.needed:
        print("%s: schema %s has version %d; nothing to do." % (backend, schema, plan.version))
        return EXIT_DONE
    what = "a database of APEL 2" if plan.foreign else "version %d of schema %s" % (plan.version, schema)
    print("%s is %s%s." % (backend, what, ", its upgrade was interrupted" if plan.begun else ""))
    for table in plan.tables:
        print("  %s: %d rows are copied; %s" % (table.table, table.rows, ", ".join(table.changes)))
        if table.duplicates:
            print(
                "    %d names are there more than once: they are merged, with all that refers to them"
                % table.duplicates
            )
    for title, names in (("stored routines dropped", plan.routines), ("triggers kept", plan.triggers)):
        if names:
            print("  %s: %s" % (title, ", ".join(names)))
    megabytes = plan.size // 1000000 + 1
    print(
        "About %s, and %d MB of disk beside what is in use. Nothing was changed."
        % (_time(plan.seconds), megabytes)
    )
    return EXIT_DONE


def _time(seconds: int) -> str:
    return "%d minutes" % (seconds // 60 + 1) if seconds >= 60 else "a minute"


def _run(backend: Backend, schema: str, work: Upgrade) -> int:
    plan = work.plan()
    if not plan.needed:
        print("%s: schema %s has version %d; nothing was changed." % (backend, schema, plan.version))
        return EXIT_DONE
    work.run()
    _say_report(work)
    print("%s: schema %s version %d is in place." % (backend, schema, VERSIONS[schema]))
    print(
        "The old tables are kept (Old_…). Back: `apeldb upgrade --roll-back`; free the space: `--drop-old`."
    )
    return EXIT_DONE


def _sums(sums: Dict[str, int]) -> str:
    return ", ".join("%s %s" % pair for pair in sums.items())


def _say_report(work: Upgrade) -> None:
    lines: List[Any] = work.report()
    print("%-22s %12s %12s %8s" % ("TABLE", "ROWS BEFORE", "AFTER", "MERGED"))
    for line in lines:
        print("%-22s %12d %12d %8d" % line)
    for table, noted in sorted((work.journal.detail(CHECKED) or {}).items()):
        before, after = noted["sums before"], noted["sums"]
        if after:
            was = "as before" if before == after else "before, with the merged rows, " + _sums(before)
            text = "%s: %s: %s, compared by %d sites and months"
            print(text % (table, _sums(after), was, noted["groups"]))
    for what in work.journal.detail("triggers") or []:
        print("warning: %s" % what)
    for view, why in (work.journal.detail("broken views") or {}).items():
        print("warning: your view %s can't be read: %s" % (view, why))


def _check(backend: Backend, schema: str, work: Upgrade) -> int:
    plan = work.plan()
    if plan.begun:
        print("%s: the upgrade was begun and is not complete: run `apeldb upgrade` again." % backend)
        return EXIT_FAILED
    if plan.needed:
        print("%s needs an upgrade; see `apeldb upgrade --dry-run`." % backend)
        return EXIT_FAILED
    wrong = check(backend, schema) + work.differences()
    for problem in wrong:
        print(problem)
    if wrong:
        return EXIT_FAILED
    if work.journal.is_done(FINISHED):
        _say_report(work)
    print("%s: schema %s version %d, every table as it should be." % (backend, schema, VERSIONS[schema]))
    return EXIT_DONE


def _roll_back(backend: Backend, work: Upgrade) -> int:
    failed = work.roll_back()
    for problem in failed:
        print("warning: %s" % problem)
    print("%s: the old tables are back." % backend)
    return EXIT_FAILED if failed else EXIT_DONE
