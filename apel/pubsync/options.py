"""The options of apelpubsync: what /etc/apel/pubsync.cfg may say."""

from typing import Iterator, Tuple

from apel.pubsync.model import Thresholds
from apel.pubsync.records import KINDS
from apelcommon.config import LOGGING, Option, OptionTable, Settings
from apelcommon.metrics import METRICS

USUAL = Thresholds()


def problems(settings: Settings) -> Iterator[str]:
    """What is wrong with options together."""
    given = settings.pubsync
    for name in ("warning_days", "error_days", "difference_percent", "sync_months"):
        value = getattr(given, name)
        if value is not None and value <= 0:
            yield "[pubsync] %s must be more than 0" % name
    for name in ("clock_hours", "month_pages"):
        value = getattr(given, name)
        if value is not None and value < 0:
            yield "[pubsync] %s must not be negative" % name
    if given.warning_days and given.error_days and given.error_days < given.warning_days:
        yield "[pubsync] error_days is less than warning_days"


TABLE = OptionTable(
    "apelpubsync",
    [
        Option(
            "pubsync",
            "dir",
            "path",
            "/var/lib/apel/pubsync",
            "Where the pages are written, in a folder `publishing` below it that holds nothing else.",
        ),
        Option(
            "pubsync",
            "url",
            "text",
            "",
            "Where that folder's parent is published, so that advice can name the pages' addresses. Empty: it"
            " doesn't.",
            sample="https://accounting.example.org",
        ),
        Option(
            "pubsync",
            "cloud_db",
            "path",
            "",
            "The file with the [db] section of the database of cloud records; that of jobs, if it holds both."
            " Empty: nothing is said of clouds.",
            sample="/etc/apel/cloud-db.cfg",
        ),
        Option(
            "pubsync",
            "storage_db",
            "path",
            "",
            "The same of storage records.",
            sample="/etc/apel/storage-db.cfg",
        ),
        Option(
            "pubsync",
            "accelerator_db",
            "path",
            "",
            "The same of accelerators (GPUs and the like).",
            sample="/etc/apel/accelerator-db.cfg",
        ),
        Option(
            "pubsync",
            "ip_db",
            "path",
            "",
            "The same of public IP addresses.",
            sample="/etc/apel/ip-db.cfg",
        ),
        Option(
            "pubsync",
            "warning_days",
            "number",
            USUAL.warning_days,
            "WARNING when the newest job of a site ended more days ago than this.",
        ),
        Option(
            "pubsync", "error_days", "number", USUAL.error_days, "ERROR when it did more days ago than this."
        ),
        Option(
            "pubsync",
            "difference_percent",
            "number",
            USUAL.difference_percent,
            "ERROR when the numbers of jobs at a site and at the centre differ so much or more in a month.",
        ),
        Option(
            "pubsync",
            "sync_months",
            "integer",
            USUAL.sync_months,
            "How many months, this one included, count in a site's status. Older ones are only shown.",
        ),
        Option(
            "pubsync",
            "clock_hours",
            "number",
            USUAL.clock_hours,
            "A job that ends later than so many hours from now comes from a wrong clock.",
        ),
        Option(
            "pubsync",
            "month_pages",
            "integer",
            36,
            "How many of a site's newest months have pages of their own, by submit host.",
        ),
        *METRICS,
        *LOGGING("/var/log/apel/pubsync.log"),
    ],
    introduction="Configuration of apelpubsync, which shows how well sites publish.",
    check=problems,
)


def kinds(settings: Settings) -> Tuple[str, ...]:
    """The kinds of records, beside jobs, of which the configuration names the database."""
    return tuple(kind for kind in KINDS if getattr(settings.pubsync, kind + "_db"))


def thresholds(settings: Settings) -> Thresholds:
    """From when on something is wrong."""
    return Thresholds(*(getattr(settings.pubsync, name) for name in Thresholds._fields))
