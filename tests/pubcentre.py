"""A made-up centre for Pub/Sync: many sites and months that agree, and a known fault at some of them."""

import random
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from apel.times import DAY, epoch_from_text, month_bounds, month_of, utc_text

NOW = epoch_from_text("2026-11-26 12:00:00")
CURRENT = month_of(NOW)
Month = Tuple[int, int]

ROW_COLUMNS = (
    "SiteID", "Month", "Year", "GlobalUserNameID", "VOID", "VOGroupID", "VORoleID", "SubmitHostId",
    "Infrastructure", "InfrastructureDescription", "ServiceLevelType", "ServiceLevel", "NodeCount",
    "Processors", "EarliestEndTime", "LatestEndTime", "WallDuration", "CpuDuration", "NormalisedWallDuration",
    "NormalisedCpuDuration", "NumberOfJobs",
)  # fmt: skip
SYNC_COLUMNS = ("SiteID", "SubmitHostID", "NumberOfJobs", "Month", "Year", "PublisherDNID", "UpdateTime")


class Row(NamedTuple):
    """Sums at the centre of a site, host and month, as they are spread over users and VOs."""

    site: str
    host: str
    month: Month
    jobs: int
    first: int
    last: int
    vo: str = "atlas"
    user: str = "/CN=user 0"


class Count(NamedTuple):
    """A sync record."""

    site: str
    host: str
    month: Month
    jobs: int
    signer: str
    updated: int


class Content:
    """What is to be put into a central database. Nothing is there until `store`."""

    def __init__(self) -> None:
        self.rows: List[Row] = []
        self.counts: List[Count] = []
        self.marks: List[Tuple[str, Month]] = []

    def publish(
        self, site: str, host: str, month: Month, jobs: int, last: Optional[int] = None, parts: int = 2
    ) -> None:
        """Sums of `jobs` jobs, in `parts` rows; the last one ended at `last` or late in the month."""
        start, end = month_bounds(*month)
        last = min(end, NOW) - 3600 if last is None else last
        for part in range(parts):
            share = jobs // parts + (1 if part < jobs % parts else 0)
            if share:
                vo, user = "vo%d" % (part % 3), "/CN=user %d" % (part // 3)
                self.rows.append(Row(site, host, month, share, start + 60, last - 60 * part, vo, user))

    def count(self, site: str, host: str, month: Month, jobs: int, signer: Optional[str] = None) -> None:
        """What the site says it has."""
        updated = min(NOW, month_bounds(*month)[1]) - 1800
        self.counts.append(Count(site, host, month, jobs, signer or "/CN=apel." + site.lower(), updated))

    def agree(self, site: str, host: str, month: Month, jobs: int, parts: int = 2) -> None:
        """The same on both sides."""
        self.publish(site, host, month, jobs, parts=parts)
        self.count(site, host, month, jobs)

    def store(self, db: Any) -> None:
        """Put all of it into a database."""
        sites = db.ids(
            "Sites", {one.site for one in [*self.rows, *self.counts]} | {site for site, _ in self.marks}
        )
        hosts = db.ids("SubmitHosts", {one.host for one in [*self.rows, *self.counts]})
        names = db.ids("DNs", {row.user for row in self.rows} | {count.signer for count in self.counts})
        vos = db.ids("VOs", {row.vo for row in self.rows})
        group, role = db.ids("VOGroups", [None])[None], db.ids("VORoles", [None])[None]
        rows = [
            (sites[row.site], row.month[1], row.month[0], names[row.user], vos[row.vo], group, role,
             hosts[row.host], "grid", "None", "HEPscore23", 10.0, 1, 1, utc_text(row.first),
             utc_text(row.last),
             row.jobs * 4000, row.jobs * 3600, row.jobs * 40000, row.jobs * 36000, row.jobs)
            for row in self.rows
        ]  # fmt: skip
        counts = [
            (sites[one.site], hosts[one.host], one.jobs, one.month[1], one.month[0], names[one.signer],
             utc_text(one.updated))
            for one in self.counts
        ]  # fmt: skip
        marks = [(sites[site], *month, 1) for site, month in self.marks]
        for start in range(0, len(rows), 20000):
            db.run(
                lambda tx, some=rows[start : start + 20000]: tx.insert(
                    "HybridSuperSummaries", ROW_COLUMNS, some
                )
            )
        db.run(lambda tx: tx.insert("SyncRecords", SYNC_COLUMNS, counts))
        db.run(lambda tx: tx.insert("ChangedMonths", ("SiteID", "Year", "Month", "Mark"), marks))


def back(count: int, month: Month = CURRENT) -> Month:
    """The month so many months before."""
    number = month[0] * 12 + month[1] - 1 - count
    return number // 12, number % 12 + 1


def sound_site(content: Content, name: str, months: Sequence[int], hosts: int = 2, parts: int = 2) -> None:
    """A site that agrees in every month; `months` counts back from this one."""
    luck = random.Random(name)
    for host in range(hosts):
        for ago in months:
            content.agree(
                name, "ce%d.%s" % (host, name.lower()), back(ago), luck.randrange(1000, 90000), parts
            )


def one_host(content: Content, name: str, without: Sequence[int] = (), months: int = 36) -> str:
    """A site with one submit host, 10 000 jobs in every month but those without; the host."""
    host = "ce." + name.lower()
    for ago in range(months):
        if ago not in without:
            content.agree(name, host, back(ago), 10000)
    return host


#: The planted faults: site -> (publication status, synchronisation status, months whose status is not OK).
Truth = Dict[str, Tuple[str, str, Dict[str, str]]]


def text(ago: int) -> str:
    """'2026-09'."""
    return "%04d-%02d" % back(ago)


def plant_faults(content: Content) -> Truth:
    """A site for every fault, each with nothing else wrong; what is to be found of them."""
    truth: Truth = {}
    for name, days, status in (("FAULT-LATE", 10, "WARNING"), ("FAULT-SILENT", 40, "ERROR")):
        last = NOW - days * DAY
        quiet = [ago for ago in range(36) if back(ago) >= month_of(last)]
        host = one_host(content, name, quiet)
        content.publish(name, host, month_of(last), 500, last)
        content.count(name, host, month_of(last), 500)
        truth[name] = (status, "OK", {})
    _plant_differences(content, truth)
    _plant_clocks(content, truth)
    _plant_one_sided(content, truth)
    host = one_host(content, "FAULT-PENDING", [2])
    content.publish("FAULT-PENDING", host, back(2), 9000)
    content.count("FAULT-PENDING", host, back(2), 10000)
    content.marks.append(("FAULT-PENDING", back(2)))
    truth["FAULT-PENDING"] = ("OK", "WARNING", {text(2): "gap WARNING"})
    return truth


def _plant_differences(content: Content, truth: Truth) -> None:
    cases = {
        "FAULT-GAP": (1, 9000, 10000, "gap ERROR"),
        "FAULT-ONE-PERCENT": (1, 9900, 10000, "gap ERROR"),
        "FAULT-ALMOST": (1, 9901, 10000, "close OK"),
        "FAULT-SURPLUS": (3, 10500, 10000, "surplus ERROR"),
        "FAULT-ZERO-AT-SITE": (4, 100, 0, "surplus ERROR"),
        "FAULT-ZERO-AT-BOTH": (4, 0, 0, "equal OK"),
        "FAULT-OLD-GAP": (30, 9000, 10000, "gap ERROR"),
    }
    for name, (ago, centre, site, expected) in cases.items():
        host = one_host(content, name, [ago])
        content.publish(name, host, back(ago), centre)
        content.count(name, host, back(ago), site)
        wrong = {} if expected.endswith("OK") else {text(ago): expected}
        truth[name] = ("OK", "ERROR" if wrong and ago < 24 else "OK", wrong)


def _plant_one_sided(content: Content, truth: Truth) -> None:
    host = one_host(content, "FAULT-ONLY-SITE", [2])
    content.count("FAULT-ONLY-SITE", host, back(2), 10000)
    truth["FAULT-ONLY-SITE"] = ("OK", "ERROR", {text(2): "only site ERROR"})
    host = one_host(content, "FAULT-ONLY-CENTRE", [2])
    content.publish("FAULT-ONLY-CENTRE", host, back(2), 10000)
    truth["FAULT-ONLY-CENTRE"] = ("OK", "WARNING", {text(2): "only centre WARNING"})
    for ago in range(36):
        content.publish("FAULT-NO-SYNC", "ce.fault-no-sync", back(ago), 10000)
    truth["FAULT-NO-SYNC"] = ("OK", "UNKNOWN", {text(ago): "only centre UNKNOWN" for ago in range(36)})
    for ago in range(3):
        content.count("FAULT-NEVER", "ce.fault-never", back(ago), 10000)
    truth["FAULT-NEVER"] = ("UNKNOWN", "ERROR", {text(ago): "only site ERROR" for ago in range(3)})
    sound_site(content, "FAULT-CLOSED", range(14, 36))
    truth["FAULT-CLOSED"] = ("ERROR", "OK", {})


def _plant_clocks(content: Content, truth: Truth) -> None:
    host = one_host(content, "FAULT-CLOCK-AHEAD", [0])
    content.publish("FAULT-CLOCK-AHEAD", host, CURRENT, 10000, NOW + 3 * DAY)
    content.count("FAULT-CLOCK-AHEAD", host, CURRENT, 10000)
    truth["FAULT-CLOCK-AHEAD"] = ("WARNING", "OK", {})
    host = one_host(content, "FAULT-NEXT-YEAR")
    content.publish("FAULT-NEXT-YEAR", host, (2027, 3), 10, epoch_from_text("2027-03-09 00:00:00"))
    content.count("FAULT-NEXT-YEAR", host, (2027, 3), 10)
    truth["FAULT-NEXT-YEAR"] = ("WARNING", "WARNING", {"2027-03": "clock WARNING"})
    host = one_host(content, "FAULT-EPOCH")
    content.publish("FAULT-EPOCH", host, (1970, 1), 10)
    truth["FAULT-EPOCH"] = ("OK", "WARNING", {"1970-01": "clock WARNING"})


def faulty_centre(sites: int = 300, months: int = 36) -> Tuple[Content, Truth]:
    """A centre of so many sites, most of them sound, and what is wrong with the others."""
    content = Content()
    truth = plant_faults(content)
    for number in range(sites - len(truth)):
        name = "SITE-%03d" % number
        sound_site(content, name, range(months), hosts=1 + number % 2)
        truth[name] = ("OK", "OK", {})
    return content, truth
