"""Runs the unloader of the centre: writes what is new in the central database as messages for others."""

import argparse
import hashlib
import logging
import os
from typing import Iterator, List, Optional

from apel import __version__, times
from apel.commands import checking
from apel.commands.apelsummariser import month
from apel.commands.server_config import add_db_argument, open_central, read_both
from apel.commands.spool import OUTGOING, outgoing
from apel.db import Database
from apel.db.lookups import known_site
from apel.selecting import GAP, INTERVALS, VOS, gap_problems
from apel.server.views import CENTRE_VIEWS
from apel.unloader import USUAL_RECORDS, Receiver, Unloaded, Unloader
from apel.views import Selection, View
from apelcommon import checks
from apelcommon.command import Command
from apelcommon.command import main as run_command
from apelcommon.config import LOGGING, Option, OptionTable, Settings
from apelcommon.daemon import run_steps, stop_signals
from apelcommon.errors import EXIT_DONE, ConfigError, ServiceError, Transient
from apelcommon.files import Lock, lock_path
from apelcommon.metrics import METRICS, Metrics
from apelcommon.options import Shipped

log = logging.getLogger("dbunloader")

ACTION = "republish"
#: Of a message in bytes: signed and in base64 it still is below the 1 MB of AMS.
USUAL_BYTES = 700000
#: LastUpdated.Type holds 255 characters.
LONGEST_RECEIVER = 200


def problems(settings: Settings) -> Iterator[str]:
    """What is wrong with options together. Those that are wrong alone are None here."""
    options = settings.unloader
    yield from gap_problems(options)
    for name in ("run_interval", "max_message_size"):
        value = getattr(options, name)
        if value is not None and value < 1:
            yield "[unloader] %s must be 1 or more" % name
    if None in (options.table_name, options.send_ur, options.dict_benchmark_type):
        return
    view = CENTRE_VIEWS[options.table_name]
    try:
        selection(settings).format_of(view)
    except ConfigError as err:
        yield "[unloader] table_name %s: %s" % (options.table_name, err)
    if not view.vos and (options.include_vos or options.exclude_vos):
        yield "[unloader] include_vos and exclude_vos: %s is not chosen by VO" % options.table_name


TABLE = OptionTable(
    "apeldbunloader",
    [
        Option(
            "unloader",
            "dir_location",
            "path",
            "/var/spool/apel/",
            "Messages go to the queue `outgoing` below it.",
        ),
        Option(
            "unloader",
            "table_name",
            "choice",
            "VJobRecords",
            "What is unloaded: VJobRecords, VSummaries (as sites sent them), VSuperSummaries (all sums), "
            "VNormalisedSummaries, VNormalisedSuperSummaries, VSyncRecords, VCloudRecords, VCloudSummaries, "
            "VStarRecords, DaySummaries or MonthSummaries (both of storage), AcceleratorRecords, "
            "AcceleratorSummaries, IPRecords or IPSummaries.",
            choices=tuple(CENTRE_VIEWS),
        ),
        Option(
            "unloader",
            "receiver",
            "text",
            "",
            "Who the messages are for: what was sent is remembered by this name. Empty: by table_name, "
            "dir_location, and which rows are chosen below.",
        ),
        Option(
            "unloader",
            "dict_benchmark_type",
            "boolean",
            False,
            "Whether messages are v0.4, with all benchmarks, type and value, in one field (jobs and sums).",
        ),
        Option(
            "unloader",
            "include_infrastructure_description",
            "boolean",
            False,
            "Whether sums say it. If not, sums that differ in it alone are added up.",
        ),
        Option(
            "unloader",
            "send_ur",
            "boolean",
            False,
            "Whether messages are usage records in XML: CAR for jobs, StAR for storage (VStarRecords has "
            "nothing else, DaySummaries and MonthSummaries have YAML), and AUR for sums.",
        ),
        Option(
            "unloader",
            "local_jobs",
            "boolean",
            False,
            "Whether what isn't grid work is sent, too.",
            sample=Shipped("true"),
        ),
        Option("unloader", "withhold_dns", "boolean", False, "Whether users' names are left out."),
        *VOS,
        Option(
            "unloader",
            "interval",
            "choice",
            "latest",
            "latest: what is new since the last run; of sums, the months that are. gap: from gap_start to "
            "gap_end, both days whole, UTC; of sums, those months. all.",
            choices=INTERVALS,
        ),
        *GAP,
        Option(
            "unloader",
            "decimal_cpu_count",
            "boolean",
            False,
            "Whether the CPUs of virtual machines are sent with decimals, as not all receivers can read.",
        ),
        Option(
            "unloader",
            "records_per_message",
            "integer",
            USUAL_RECORDS,
            "At most so many, from 1 to 5000 (in JSON to 1000).",
        ),
        Option(
            "unloader",
            "max_message_size",
            "integer",
            USUAL_BYTES,
            "At most so many bytes, before signing: AMS takes 1 MB of what these become.",
        ),
        Option("unloader", "run_interval", "number", 3600.0, "Seconds between runs with --daemon."),
        *METRICS,
        *LOGGING("/var/log/apel/unloader.log"),
    ],
    introduction="Configuration of apeldbunloader, which sends what is in the central database to others.",
    check=problems,
)


def selection(settings: Settings) -> Selection:
    """Which rows the configuration wants to be sent, and how."""
    options = settings.unloader
    return Selection(
        interval=options.interval or "latest",
        gap=(options.gap_start or "", options.gap_end or ""),
        include_vos=options.include_vos or (),
        exclude_vos=options.exclude_vos or (),
        local_jobs=bool(options.local_jobs),
        withhold_dns=bool(options.withhold_dns),
        dict_benchmark_type=bool(options.dict_benchmark_type),
        include_infrastructure_description=bool(options.include_infrastructure_description),
        send_ur=bool(options.send_ur),
        whole_cpu_count=not options.decimal_cpu_count,
    )


def receiver(settings: Settings) -> Receiver:
    """Whose watermark is used. Two configurations that choose other rows must not share one.

    What one of them has sent would be taken for sent by the other.
    """
    options = settings.unloader
    name = options.receiver
    if not name:
        path = os.path.abspath(options.dir_location)
        name = "%s to %s" % (options.table_name, path)
        chosen = [options.include_vos, not options.include_vos and options.exclude_vos, options.local_jobs]
        if chosen != [[], [], True]:
            name += " of %r" % (chosen,)
    if len(name) > LONGEST_RECEIVER:
        name = "%s %s" % (options.table_name, hashlib.sha256(name.encode("utf-8")).hexdigest())
    return Receiver("sent " + name, options.max_message_size)


class UnloaderCommand(Command):
    """The command apeldbunloader."""

    name = "apeldbunloader"
    version_text = "Starting APEL dbunloader %s" % __version__
    description = (
        "Write what is new in the central database as messages into the queue `outgoing`, for ssmsend to\n"
        "send. Without --daemon it runs once, as from cron. `republish` writes chosen rows once more."
    )
    example = "apeldbunloader republish --site EXAMPLE-SITE --month 2026-10"
    table = TABLE
    default_config = "/etc/apel/unloader.cfg"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""
        add_db_argument(parser)
        parser.add_argument(
            "action", nargs="?", choices=[ACTION], help="write what the options below choose once more"
        )
        group = parser.add_argument_group("republish", "what is written once more; at least one of them")
        group.add_argument("--site", metavar="NAME", default="", help="only of this site")
        group.add_argument("--month", metavar="YYYY-MM", type=month, help="only of this month")
        group.add_argument("--vo", metavar="NAME", default="", help="only of this VO")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--once", action="store_true", help="run once (the default)")
        how.add_argument(
            "--daemon", action="store_true", help="run every run_interval seconds, in the foreground"
        )
        checking.add_check_argument(how)

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""
        _check_arguments(args)
        settings, db_settings = read_both(TABLE, args.config, args.db)
        if args.check_config:
            view = CENTRE_VIEWS[settings.unloader.table_name]
            spool = checks.writable("spool", os.path.join(settings.unloader.dir_location, OUTGOING))
            found = checking.database(db_settings.db, view.schema)
            return checking.say([settings, db_settings], [*found, spool])
        self.start_log(settings, args)
        place = lock_path(self.name, receiver(settings).watermark, db_settings.db.name)
        with Lock(place, self.name):
            if args.daemon:
                return _Daemon(self, args, settings, db_settings).run()
            with stop_signals():
                return run_once(settings, db_settings, args)


def _check_arguments(args: argparse.Namespace) -> None:
    given = [name for name in ("site", "month", "vo") if getattr(args, name)]
    if args.action is None and given:
        raise ConfigError("--%s goes with `apeldbunloader republish` only." % given[0])
    if args.action is not None and not given:
        raise ConfigError("republish needs --site, --month or --vo.")
    if args.action is not None and args.daemon:
        raise ConfigError("republish is done once; it doesn't go with --daemon.")


class _Daemon:
    """Runs again and again. What one run fails at is said, and tried again by the next."""

    def __init__(
        self, command: UnloaderCommand, args: argparse.Namespace, settings: Settings, db_settings: Settings
    ) -> None:
        self.command = command
        self.args = args
        self.settings = settings
        self.db_settings = db_settings
        self._reload = False

    def run(self) -> int:
        """Work until asked to stop."""
        with stop_signals(self._on_hangup) as stop:
            run_steps(self.step, self.settings.unloader.run_interval, stop)
        log.info("apeldbunloader has ended.")
        return EXIT_DONE

    def _on_hangup(self) -> None:
        self._reload = True

    def step(self) -> None:
        """One run, by the configuration files as they are if they are to be read again."""
        if self._reload:
            self._reload = False
            self._read_again()
        try:
            run_once(self.settings, self.db_settings, self.args)
        except Transient:
            raise
        except ServiceError as err:
            log.error("%s", err)

    def _read_again(self) -> None:
        before = self.settings.unloader.run_interval
        try:
            self.settings, self.db_settings = read_both(TABLE, self.args.config, self.args.db)
        except ConfigError as err:
            for problem in err.problems:
                log.error("%s", problem)
            log.error("The configuration files have errors; what was in force stays.")
            return
        self.command.start_log(self.settings, self.args)
        log.info("The configuration files were read again.")
        if self.settings.unloader.run_interval != before:
            log.warning("A new run_interval is taken up when the unloader is started again.")


def run_once(settings: Settings, db_settings: Settings, args: argparse.Namespace) -> int:
    """One run; the exit status."""
    metrics = Metrics(settings.metrics.textfile, "apeldbunloader")
    db = open_central(db_settings.db)
    success = False
    try:
        done = _unload(db, settings, args)
        metrics.counter("apel_unloader_records_total", "Records that were unloaded.").add(done.records)
        metrics.counter("apel_unloader_messages_total", "Messages they are in.").add(done.messages)
        if done.invalid:
            raise ServiceError("%d records are invalid and were not sent; the log names them." % done.invalid)
        success = True
    finally:
        db.close()
        metrics.ended(success)
    return EXIT_DONE


def _unload(db: Database, settings: Settings, args: argparse.Namespace) -> Unloaded:
    options = settings.unloader
    view = CENTRE_VIEWS[options.table_name]
    if not db.has(view.schema):
        raise ConfigError(
            "%s: this database has no %s tables; check [db] name and type."
            % (options.table_name, view.schema)
        )
    chosen = _narrowed(selection(settings), view, args)
    if chosen.site:
        known_site(db, chosen.site)
    queue, size = outgoing(options.dir_location), options.records_per_message
    unloader = Unloader(db, queue, chosen, size, CENTRE_VIEWS, receiver(settings))
    done = unloader.resend(options.table_name) if args.action else unloader.unload(options.table_name)
    log.info("%d messages with %d records were written.", done.messages, done.records)
    return done


def _narrowed(chosen: Selection, view: View, args: argparse.Namespace) -> Selection:
    """What republish asks for; or as it was."""
    if args.action is None:
        return chosen
    chosen = chosen._replace(interval="all", site=args.site)
    if args.vo:
        if not view.vos:
            raise ConfigError("--vo: %s is not chosen by VO." % view.source)
        if chosen.include_vos and args.vo.lower() not in [name.lower() for name in chosen.include_vos]:
            raise ConfigError("--vo %s is not among [unloader] include_vos." % args.vo)
        chosen = chosen._replace(include_vos=[args.vo])
    if args.month:
        first, following = times.month_bounds(*args.month)
        days = [times.utc_text(time)[:10] for time in (first, following - 1)]
        chosen = chosen._replace(interval="gap", gap=(days[0], days[1]))
    return chosen


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command; its exit status."""
    return run_command(UnloaderCommand(), argv)
