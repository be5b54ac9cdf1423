"""The options of client.cfg: the incumbent's, with its defaults, and those that are new."""

from typing import Any, Callable, Dict, Iterator, List, Tuple

from apel.client.accelerator_rules import RULES
from apel.client.benchmarks import benchmark_type, benchmark_value, manual_benchmark
from apel.db.options import DATABASE_OPTIONS
from apel.identity_file import identity_option
from apel.selecting import DIR_LOCATION, GAP, INTERVALS, VOS, gap_problems
from apel.unloader import USUAL_RECORDS
from apel.views import ONLY_JOBS_AS_UR
from apelcommon.config import LOGGING, Option, OptionTable, Settings
from apelcommon.metrics import METRICS


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """The reader of an option that may be written and left empty, as in the incumbent's sample."""
    return lambda text: read(text) if text else None


SPEC_UPDATER: List[Option] = [
    Option(
        "spec_updater",
        "enabled",
        "boolean",
        True,
        "Whether benchmarks (HEPscore23, HEPSPEC, si2k; GLUE 1.3 and 2) are looked up in a BDII. Needs "
        "python-ldap.",
    ),
    Option("spec_updater", "site_name", "text", "", "The site's name in GOCDB.", sample=""),
    Option("spec_updater", "ldap_host", "text", "lcg-bdii.egi.eu", "The BDII."),
    Option("spec_updater", "ldap_port", "integer", 2170, "Its port."),
    Option("spec_updater", "ldap_timeout", "number", 20.0, "Seconds to wait for each of its answers."),
    Option(
        "spec_updater",
        "lrms_server",
        "text",
        None,
        "Only with local_jobs: the batch system, written as lrms_server in parser.cfg is.",
        sample="batch.example.org",
    ),
    Option(
        "spec_updater",
        "spec_type",
        _or_none(benchmark_type),
        None,
        "Its benchmark: HEPscore23, HEPSPEC, si2k.",
        sample="HEPscore23",
    ),
    Option(
        "spec_updater", "spec_value", _or_none(benchmark_value), None, "The value of that.", sample="10.0"
    ),
    Option(
        "spec_updater",
        "manual_spec#",
        manual_benchmark,
        None,
        "Benchmarks of compute elements: manual_spec1, manual_spec2 and so on, each CE,type,value. The type "
        "is HEPscore23, HEPSPEC or si2k, which is also the order in which they are preferred where a CE has "
        "several. The CE is written as in the BLAH log (ceID). A new value counts from the first run that "
        "finds it here; a type that is here no more, while the CE has another, ends.",
        sample="ce.example.org:9619/ce.example.org-batch,HEPscore23,12.5",
    ),
]

UNLOADER: List[Option] = [
    Option("unloader", "enabled", "boolean", True, "Whether messages are written."),
    DIR_LOCATION,
    Option(
        "unloader",
        "send_summaries",
        "boolean",
        False,
        "false: every job is sent. true: only monthly summaries.",
    ),
    Option(
        "unloader",
        "dict_benchmark_type",
        "boolean",
        False,
        "Whether messages are v0.4, with all benchmarks of a job, type and value, in one field.",
    ),
    Option("unloader", "withhold_dns", "boolean", False, "Whether users' names are left out of messages."),
    *VOS,
    Option(
        "unloader",
        "interval",
        "choice",
        "latest",
        "latest: what is new since the last run; of summaries, this month, the one before, and others that "
        "have changed. "
        "gap: what ended from gap_start to gap_end, both days whole, UTC; of summaries, those months. all.",
        choices=INTERVALS,
    ),
    *GAP,
    Option(
        "unloader",
        "send_ur",
        "boolean",
        False,
        "Whether jobs are sent as usage records in XML (CAR), which take twice the space: with AMS, set "
        "records_per_message to 400.",
    ),
    Option(
        "unloader",
        "accelerators",
        "boolean",
        False,
        "Whether the accelerators (GPUs) of jobs are sent as well, in JSON messages of their own. Receivers "
        "with APEL 2 reject those: ask yours first.",
    ),
    Option(
        "unloader", "records_per_message", "integer", USUAL_RECORDS, "From 1 to 5000; AMS takes at most 1 MB."
    ),
]

OTHERS: List[Option] = [
    Option("joiner", "enabled", "boolean", True, "Whether jobs are joined with their grid records."),
    Option(
        "joiner",
        "local_jobs",
        "boolean",
        False,
        "Whether jobs without a grid record are accounted as local jobs, and sent.",
    ),
    identity_option("joiner"),
    *RULES,
    *UNLOADER,
    Option("ssm", "enabled", "boolean", True, "Whether messages are sent after that, as sender.cfg says."),
    Option("client", "interval", "number", 3600.0, "Seconds between runs with --daemon."),
    Option(
        "client",
        "lockfile",
        "path",
        "",
        "What keeps two runs from overlapping. Empty: beside the database file, or in /run/apel or /tmp.",
    ),
    *METRICS,
    *LOGGING("/var/log/apel/client.log"),
]


def problems(settings: Settings) -> Iterator[str]:
    """What is wrong with options together. Those that are wrong alone are None here."""
    specs, unloader = settings.spec_updater, settings.unloader
    yield from _spec_problems(specs, settings.joiner)
    yield from gap_problems(unloader)
    if unloader.enabled and unloader.send_ur:
        for name in ("send_summaries", "dict_benchmark_type"):
            if getattr(unloader, name):
                yield "[unloader] send_ur: %s Set either it or %s to false." % (ONLY_JOBS_AS_UR, name)
    if settings.client.interval is not None and settings.client.interval < 1:
        yield "[client] interval must be 1 or more seconds"


def _spec_problems(specs: Any, joiner: Any) -> Iterator[str]:
    if not specs.site_name and (specs.enabled or joiner.enabled or specs.manual_spec):
        yield "[spec_updater] site_name is missing"
    if specs.enabled and not specs.ldap_host:
        yield "[spec_updater] ldap_host is missing, and the BDII look-up is enabled"
    if joiner.enabled and joiner.local_jobs:
        if not specs.lrms_server:
            yield "[spec_updater] lrms_server is missing, and [joiner] local_jobs is true"
        # A value that was written and wrong is None too, and has been complained of.
        if (specs.spec_type is None) != (specs.spec_value is None):
            yield "[spec_updater] spec_type and spec_value belong together"
    yield from _given_twice(specs, joiner)


def _given_twice(specs: Any, joiner: Any) -> Iterator[str]:
    seen: Dict[Tuple[str, str], float] = {}
    for name, benchmark in specs.manual_spec:
        key = benchmark and (benchmark.ce, benchmark.type)
        if key in seen:
            yield "[spec_updater] %s: %s of %s is given twice" % (name, benchmark.type, benchmark.ce)
        if key:
            seen[key] = benchmark.value
    if joiner.enabled and joiner.local_jobs and specs.spec_value is not None:
        by_number = seen.get((specs.lrms_server, specs.spec_type))
        if by_number not in (None, specs.spec_value):
            yield (
                "[spec_updater] spec_value: %s of %s is %s here and %s as a manual_spec"
                % (specs.spec_type, specs.lrms_server, specs.spec_value, by_number)
            )


TABLE = OptionTable(
    "apelclient",
    [*DATABASE_OPTIONS, *SPEC_UPDATER, *OTHERS],
    introduction="Configuration of apelclient, which joins, summarises and sends what the parser has stored.",
    check=problems,
)
