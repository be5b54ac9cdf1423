"""The options of loader.cfg, summariser.cfg and unloader.cfg: the incumbent's, and those that are new."""

import hashlib
import os
from typing import Iterator

from apel.auth.options import SITE_MAP
from apel.selecting import DIR_LOCATION, GAP, INTERVALS, VOS, gap_problems
from apel.server.site_rights import MODES, OFF
from apel.server.views import CENTRE_VIEWS
from apel.unloader import USUAL_RECORDS, Receiver
from apel.views import Selection
from apelcommon.config import LOGGING, Option, OptionTable, Settings
from apelcommon.errors import ConfigError
from apelcommon.metrics import METRICS
from apelcommon.options import Shipped

#: Of a message in bytes: signed and in base64 it still is below the 1 MB of AMS.
USUAL_BYTES = 700000
#: LastUpdated.Type holds 255 characters.
LONGEST_RECEIVER = 200


def loader_problems(settings: Settings) -> Iterator[str]:
    """What is wrong with options of the loader that are right by their kind."""
    interval = settings.loader.interval
    if interval is not None and interval <= 0:
        yield "[loader] interval must be more than 0"


LOADER = OptionTable(
    "apeldbloader",
    [
        Option(
            "loader",
            "msgpath",
            "path",
            "/var/spool/apel",
            "Directory of the queues: messages come from `incoming` below it, bad ones go to `reject`.",
        ),
        Option(
            "loader",
            "pidfile",
            "path",
            "/var/run/apel/loader.pid",
            "Where the process id stands while the loader runs. Empty: nowhere.",
        ),
        Option("loader", "interval", "number", 5, "Seconds between looks into the queue."),
        Option(
            "loader",
            "save_messages",
            "boolean",
            False,
            "Whether loaded messages are kept, in the queue `accept`.",
        ),
        Option(
            "loader",
            "strict",
            "boolean",
            False,
            "What is done with a message that has good and bad records. false: the good ones are loaded, and "
            "the bad ones put into `reject` with the reason. true: all of them are rejected.",
        ),
        Option(
            "loader",
            "health_file",
            "path",
            "",
            "A file for monitoring, of one JSON object: the state (ok, or waiting for what), since when, and "
            "the time of writing, which is never more than some seconds old. Empty: none.",
            sample="/var/run/apel/loader.health",
        ),
        *METRICS,
        Option(
            "auth",
            "sites",
            "choice",
            OFF,
            "What is done with records of a site that their signer may not send for. off: nothing is looked "
            "at. warn: they are loaded, and the log says so. enforce: they are put into `reject`.",
            choices=MODES,
        ),
        Option(
            "auth",
            "map",
            "path",
            SITE_MAP,
            "The file that says which signer may send for which sites: lines `SITE /DN`. apelauth makes it.",
        ),
        *LOGGING("/var/log/apel/loader.log"),
    ],
    introduction="Configuration of apeldbloader, which loads received messages into the central database.",
    check=loader_problems,
)

SUMMARISER = OptionTable(
    "apelsummariser",
    [
        Option(
            "summariser",
            "pidfile",
            "path",
            "/var/run/apel/summariser.pid",
            "Where the process id stands during a run, so that two runs do not overlap. Empty: nowhere.",
        ),
        Option(
            "summariser",
            "verify_daily",
            "boolean",
            True,
            "Whether the first run of each day compares the sums of all months with their sources by number "
            "of jobs, machines or storage records, and makes those again that differ. That finds rows that "
            "were deleted by hand.",
        ),
        Option(
            "summariser",
            "delete_stale_summaries",
            "boolean",
            True,
            "Cloud summaries only: whether every run looks for sums of machines that have no records (any "
            "more), and makes such months again. Sums whose records change are made again in any case.",
        ),
        Option(
            "summariser",
            "stale_summary_window_days",
            "integer",
            2,
            "Cloud summaries only: how many days back the first month is in which they are looked for.",
        ),
        *METRICS,
        *LOGGING("/var/log/apel/summariser.log"),
    ],
    introduction="Configuration of apelsummariser, which sums up jobs, virtual machines, storage, "
    "accelerators or public IP addresses by month.",
)


def unloader_problems(settings: Settings) -> Iterator[str]:
    """What is wrong with options of the unloader together. Those that are wrong alone are None here."""
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


UNLOADER = OptionTable(
    "apeldbunloader",
    [
        DIR_LOCATION,
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
    check=unloader_problems,
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
