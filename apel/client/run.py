"""One run of the client in its order: benchmarks, join, summaries, messages; and what it says about it."""

import logging
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, TypeVar

from apel import times
from apel.client.bdii import Bdii, BdiiUnavailable, published_benchmarks
from apel.client.benchmarks import PREFERENCE, Benchmark, History, preference
from apel.client.choice import NEW, WAITS_FOR_BENCHMARK, WAITS_FOR_GRID_RECORD
from apel.client.join import Joined, Joiner
from apel.client.summarise import summarise_site
from apel.db import Database
from apel.unloader import ACCELERATOR_RECEIVER, Unloaded, Unloader
from apel.views import Selection
from apelcommon.config import Settings
from apelcommon.daemon import Stop

log = logging.getLogger("client")

#: The view of accelerators.
ACCELERATORS = "VAcceleratorRecords"
#: How many hosts without a model are named.
MOST_ADVICE = 5

Place = TypeVar("Place", str, Tuple[str, str])


class Done(NamedTuple):
    """What a run did; `joined` and `unloaded` are None where the step is not enabled."""

    joined: Optional[Joined]
    months: int
    unloaded: Optional[Unloaded]


def prepare(db: Database, settings: Settings, stop: Optional[Stop] = None) -> Done:
    """Benchmarks, join and summaries. Raises Transient when the database stays away."""
    update_benchmarks(db, settings)
    joined = None
    if settings.joiner.enabled:
        joined = Joiner(
            db,
            settings.joiner.local_jobs,
            stop,
            identity_map=settings.joiner.identity_map,
            rules=[rule for _, rule in settings.accelerators.rule],
        ).run()
        report(joined, settings)
    months = summarise_site(db)
    log.info("Summarised %d site-months that had changed", months)
    return Done(joined, months, None)


def update_benchmarks(db: Database, settings: Settings) -> None:
    """Bring the benchmark history up to the configuration and, if enabled, to the BDII."""
    specs = settings.spec_updater
    history, now = History(db, specs.site_name, looked_up=bool(specs.enabled)), times.now()
    manual = set_by_hand(settings)
    if manual:
        history.set_manual(manual, now)
    if specs.enabled:
        bdii = Bdii(specs.ldap_host, specs.ldap_port, specs.ldap_timeout)
        try:
            published = published_benchmarks(bdii, specs.site_name, _submit_hosts(db))
        except BdiiUnavailable as err:
            log.warning("No benchmarks from the BDII, so those known stay in force. %s", err)
            return
        elements = {benchmark.ce for benchmark in published}
        log.info("The BDII has benchmarks of %d compute elements", len(elements))
        wanted = beside_manual(published, manual)
        if wanted:
            history.set_published(wanted, now)


def _submit_hosts(db: Database) -> List[str]:
    """The compute elements that grid records have named."""
    return [name for (name,) in db.run(lambda tx: tx.rows("SELECT name FROM SubmitHosts"))]


def set_by_hand(settings: Settings) -> List[Benchmark]:
    """The benchmarks that the configuration gives compute elements and, for local jobs, the batch system."""
    specs = settings.spec_updater
    manual = [benchmark for _, benchmark in specs.manual_spec]
    if settings.joiner.enabled and settings.joiner.local_jobs and specs.spec_type is not None:
        of_local_jobs = Benchmark(specs.lrms_server, specs.spec_type, specs.spec_value)
        manual += [of_local_jobs] if of_local_jobs not in manual else []
    return manual


def beside_manual(published: List[Benchmark], manual: List[Benchmark]) -> List[Benchmark]:
    """What is published and would not replace, nor win over, what is set by hand for a compute element."""
    best: Dict[str, int] = {}
    for benchmark in manual:
        best[benchmark.ce] = min(preference(benchmark.type), best.get(benchmark.ce, len(PREFERENCE)))
    by_hand = {(benchmark.ce, benchmark.type) for benchmark in manual}
    return [
        benchmark
        for benchmark in published
        if (benchmark.ce, benchmark.type) not in by_hand
        and preference(benchmark.type) >= best.get(benchmark.ce, 0)
    ]


def report(joined: Joined, settings: Settings) -> None:
    """Say in the log what was joined, and which jobs wait for what (C1)."""
    log.info("Joined %d grid jobs and %d local jobs", joined.grid, joined.local)
    if joined.ambiguous:
        log.info(
            "%d jobs had more than one grid record of their batch id; each got the nearest before its start",
            joined.ambiguous,
        )
    if joined.negative:
        log.warning("%d jobs had a negative duration, which counts as 0", joined.negative)
    if joined.without_grid_record:
        log.info(
            "%d jobs wait for a grid record; they are joined when the BLAH log that names them is parsed",
            joined.without_grid_record,
        )
    if joined.accelerators.records:
        log.info("Recorded %d accelerators (one for each model) of joined jobs", joined.accelerators.records)
    for advice in [
        *missing_benchmarks(joined, settings),
        *missing_identities(joined, settings),
        *missing_rules(joined, settings),
    ]:
        log.warning("%s", advice)


def missing_benchmarks(joined: Joined, settings: Settings) -> List[str]:
    """One line for each compute element whose jobs wait for a benchmark, with the line to add."""
    return advice_for(joined.without_benchmark, joined.without_local_benchmark, settings)


def advice_for(jobs: Dict[str, int], local: Dict[str, int], settings: Settings) -> List[str]:
    """The same for numbers of jobs by compute element, and of local jobs by batch system."""
    where = "[spec_updater] of %s" % (settings.path or "the configuration file")
    number = 1 + max(
        [int(name[len("manual_spec") :]) for name, _ in settings.spec_updater.manual_spec], default=0
    )
    advice = []
    for ce, count in sorted(jobs.items()):
        line = "manual_spec%d = %s,HEPscore23,<value>" % (number, ce)
        advice.append("%d jobs of %s wait for its benchmark; add to %s: %s" % (count, ce, where, line))
        number += 1
    for machine, count in sorted(local.items()):
        lines = "lrms_server = %s, spec_type = HEPscore23, spec_value = <value>" % machine
        advice.append(
            "%d local jobs of %s wait for its benchmark; set in %s: %s" % (count, machine, where, lines)
        )
    return advice


def missing_rules(joined: Joined, settings: Settings) -> List[str]:
    """What to add to [accelerators] for models that aren't known, and for shares of unknown size."""
    where = "[accelerators] of %s" % (settings.path or "the configuration file")
    again = "then make the jobs of the month again with apelclient --rejoin YYYY-MM"
    number = 1 + max([int(name[len("rule") :]) for name, _ in settings.accelerators.rule], default=0)
    advice = []
    for (queue, host), count in _by_jobs(joined.accelerators.unknown)[:MOST_ADVICE]:
        place, what = (
            ("on %s" % host, "host=%s" % host) if host else ("of queue %s" % queue, "queue=%s" % queue)
        )
        advice.append(
            "%d jobs %s had accelerators whose model the log doesn't tell; they are recorded as unknown."
            " Add to %s: rule%d = %s,model=<model>; %s" % (count, place, where, number, what, again)
        )
        number += 1
    if len(joined.accelerators.unknown) > MOST_ADVICE:
        others = len(joined.accelerators.unknown) - MOST_ADVICE
        advice.append(
            "So had jobs of %d other hosts or queues; a rule for all of them: host=*,model=<model>" % others
        )
    for (queue, share), count in _by_jobs(joined.accelerators.shares)[:MOST_ADVICE]:
        advice.append(
            "%d jobs of queue %s had shares of GPUs (%s) that are not recorded, as nothing says how large"
            " they are. Add to %s: rule%d = name=%s,model=<model>,share=<part of a card>; %s"
            % (count, queue, share, where, number, share, again)
        )
        number += 1
    return advice


def _by_jobs(counted: Dict[Place, int]) -> List[Tuple[Place, int]]:
    """The places, or issuers, those with the most jobs first."""
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def missing_identities(joined: Joined, settings: Settings) -> List[str]:
    """A line for each issuer whose jobs were joined without a VO, with the rule to add (P20).

    Of many issuers those with the most jobs: what stands for one may be a user's URL, and users are many.
    """
    where = "[joiner] identity_map of %s" % (settings.path or "the configuration file")
    advice = []
    by_jobs = _by_jobs(joined.without_vo)
    for issuer, count in sorted(by_jobs[:MOST_ADVICE]):
        who = "of the token issuer %s" % issuer if issuer else "without FQAN and token issuer"
        rule = "issuer=%s -> <VO>" % issuer if issuer else "fqan=- issuer=- user=<account> -> <VO>"
        advice.append(
            "%d grid jobs %s are of no VO; add to the file that %s names: %s; then apelclient --rejoin"
            " YYYY-MM gives it to them (docs/tokens.md)" % (count, who, where, rule)
        )
    others = by_jobs[MOST_ADVICE:]
    if others:
        count = sum(jobs for _, jobs in others)
        advice.append(
            "So are %d jobs of %d other issuers; a rule may be for many: issuer=https://<host>/* -> <VO>"
            % (count, len(others))
        )
    return advice


def selection(settings: Settings) -> Selection:
    """Which rows the configuration wants to be sent, and how."""
    unloader = settings.unloader
    return Selection(
        interval=unloader.interval,
        gap=(unloader.gap_start or "", unloader.gap_end or ""),
        include_vos=unloader.include_vos,
        exclude_vos=unloader.exclude_vos,
        local_jobs=settings.joiner.local_jobs,
        withhold_dns=unloader.withhold_dns,
        dict_benchmark_type=unloader.dict_benchmark_type,
        send_ur=unloader.send_ur,
    )


def unload(db: Database, settings: Settings, queue: Any) -> Unloaded:
    """Write the messages of a run: jobs or summaries, accelerators, sync. Raises what queue.add raises."""
    unloader = Unloader(db, queue, selection(settings), settings.unloader.records_per_message)
    view = "VSuperSummaries" if settings.unloader.send_summaries else "VJobRecords"
    parts = [unloader.unload(view)]
    if settings.unloader.accelerators:
        parts.append(unload_accelerators(db, settings, queue, selection(settings)))
    parts.append(unloader.unload_sync())
    return Unloaded(*map(sum, zip(*parts)))


def unload_accelerators(db: Database, settings: Settings, queue: Any, chosen: Selection) -> Unloaded:
    """Write the messages of accelerators, which have a watermark of their own: they may be sent later."""
    chosen = chosen._replace(dict_benchmark_type=False, send_ur=False)
    size = settings.unloader.records_per_message
    return Unloader(db, queue, chosen, size, receiver=ACCELERATOR_RECEIVER).unload(ACCELERATORS)


def outlook(db: Database) -> List[str]:
    """What a run would find to do now, in lines; nothing is changed."""

    def read(tx: Any) -> List[str]:
        status = dict(tx.rows("SELECT Status, COUNT(*) FROM EventRecords GROUP BY Status"))
        grid = tx.value("SELECT COUNT(*) FROM BlahdRecords WHERE Processed = 0")
        months = tx.value("SELECT COUNT(DISTINCT SiteID * 1000000 + Year * 100 + Month) FROM ChangedMonths")
        return [
            "%d new jobs, and %d new grid records" % (status.get(NEW, 0), grid),
            "%d jobs of earlier runs wait for a grid record" % status.get(WAITS_FOR_GRID_RECORD, 0),
            "%d jobs of earlier runs wait for a benchmark" % status.get(WAITS_FOR_BENCHMARK, 0),
            "%d site-months to sum up, beside those that new jobs change" % months,
        ]

    return list(db.run(read))
