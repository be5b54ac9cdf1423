"""What apel's commands try with --check-config: databases, clocks, benchmarks, certificates."""

import os
from collections import Counter
from typing import Any, Dict, List, Optional, Set

from apel import times
from apel.client.bdii import Bdii, BdiiUnavailable, published_benchmarks
from apel.db import Database, open_database
from apel.db.schema import CENTRE, VERSIONS
from apel.identity import token_of
from apel.identity_map import IdentityMap
from apelcommon.checks import (
    FAILED,
    FEWEST_DAYS,
    OK,
    WARNING,
    Check,
    as_lines,
    attempt,
    exit_status,
    figures,
    log,
    obsolete,
    secrets,
)
from apelcommon.command import OLD_LOG_CONFIG
from apelcommon.config import Settings
from apelcommon.errors import ServiceError

#: The clocks of this host and of the database may differ by so many seconds.
MOST_SECONDS_APART = 60

#: Jobs of no VO, by user: from the sums, for there may be millions of jobs.
WITHOUT_VO = """
SELECT GlobalUserName, SUM(NumberOfJobs), MAX(Year * 100 + Month) FROM VSuperSummaries
WHERE VO = 'None' AND InfrastructureType = 'grid' GROUP BY GlobalUserName
"""

#: Compute elements that jobs came from without a benchmark in force.
WITHOUT_BENCHMARK = """
SELECT H.name FROM (SELECT DISTINCT CEID FROM BlahdRecords) B JOIN SubmitHosts H ON H.id = B.CEID
WHERE NOT EXISTS (SELECT 1 FROM SpecRecords S WHERE S.CEID = B.CEID AND S.StopTime IS NULL)
ORDER BY H.name
"""
WITH_BENCHMARK = """
SELECT COUNT(DISTINCT S.CEID) FROM SpecRecords S WHERE S.StopTime IS NULL
"""


def say(settings: List[Settings], checks: List[Check], logs: bool = True, metrics: bool = True) -> int:
    """Print the checks, and what is obsolete in the files; the exit status.

    The first file is the command's own: the log and the figures that it names can be written? With
    `logs` false, the command writes no log; with `metrics` false, no figures.
    """
    if logs and hasattr(settings[0], "logging"):
        checks = checks + log(settings[0])
    if metrics and hasattr(settings[0], "metrics"):
        checks = checks + figures(settings[0])
    for each in settings:
        checks = checks + secrets(each) + obsolete(each)
    if os.path.exists(OLD_LOG_CONFIG):
        text = "%s is not read any more: [logging] of each file has its options; remove it" % OLD_LOG_CONFIG
        checks = [*checks, Check(WARNING, "obsolete", text)]
    print("Read without errors: %s" % ", ".join(each.path for each in settings))
    print("\n".join(as_lines(checks)))
    return exit_status(checks)


def add_check_argument(parser: Any) -> None:
    """Declare --check-config."""
    parser.add_argument(
        "--check-config",
        action="store_true",
        help="check the configuration, try what it names (database, folders and so on), then end",
    )


def database(section: Any, schema: str, or_others: bool = False) -> List[Check]:
    """Whether the database answers, has our schema (or any of the centre), and has a clock like ours."""
    db = open_database(section, schema, or_others=or_others)
    if not db.backend.exists():
        folder = os.path.dirname(os.path.abspath(section.name))
        if os.access(folder, os.W_OK | os.X_OK):
            return [Check(OK, "database", "%s will be made by the first run" % db.backend)]
        return [Check(FAILED, "database", "%s can't be made: %s can't be written" % (db.backend, folder))]
    try:
        now = db.run(lambda tx: tx.value("SELECT CAST(CURRENT_TIMESTAMP AS CHAR)"), tries=1)
        found = next(name for name in (schema, *sorted(CENTRE)) if db.has(name))
    except ServiceError as err:
        return [Check(FAILED, "database", str(err))]
    finally:
        db.close()
    text = "%s answers, schema %s version %d" % (db.backend, found, VERSIONS[found])
    return [Check(OK, "database", text), _clock(times.epoch_from_text(now))]


def _clock(theirs: int) -> Check:
    apart = theirs - times.now()
    if abs(apart) > MOST_SECONDS_APART:
        text = "the database's is %d seconds %s ours: check time synchronisation on both"
        return Check(FAILED, "clock", text % (abs(apart), "ahead of" if apart > 0 else "behind"))
    return Check(OK, "clock", "this host's and the database's agree")


def benchmarks(section: Any, specs: Any, local_jobs: bool) -> List[Check]:
    """Whether each compute element that jobs came from has a benchmark, in database or configuration."""
    named: Set[str] = {benchmark.ce for _, benchmark in specs.manual_spec}
    db = open_database(section, "client")
    try:
        if not db.backend.exists():
            return []
        missing = [name for name in _without_benchmark(db) if name not in named]
        known = db.run(lambda tx: tx.value(WITH_BENCHMARK), tries=1)
    except ServiceError:
        # The check of the database itself says what is wrong.
        return []
    finally:
        db.close()
    checks = [
        Check(FAILED, "benchmark", "%s has none, so its jobs wait: add a manual_spec or ask the BDII" % name)
        for name in missing
    ]
    if local_jobs and specs.spec_value is None:
        checks.append(Check(FAILED, "benchmark", "local jobs have none: set spec_type and spec_value"))
    return checks or [Check(OK, "benchmark", "every compute element seen has one (%d known)" % known)]


def bdii(specs: Any) -> Check:
    """Whether the BDII answers and knows the site. A run goes on without it, so it is a warning at most."""
    place = Bdii(specs.ldap_host, specs.ldap_port, specs.ldap_timeout)
    try:
        found = published_benchmarks(place, specs.site_name)
    except BdiiUnavailable as err:
        return Check(WARNING, "BDII", "%s; benchmarks that are known stay in force" % err)
    text = "%s:%d has %d benchmarks of %s" % (place.host, place.port, len(found), specs.site_name)
    return Check(OK if found else WARNING, "BDII", text)


def _without_benchmark(db: Database) -> List[str]:
    return [name for (name,) in db.run(lambda tx: tx.rows(WITHOUT_BENCHMARK), tries=1)]


def identities(section: Any, identity_map: Optional[IdentityMap]) -> List[Check]:
    """How many rules there are about whose jobs are, and which issuers of tokens lack one."""
    found = [] if identity_map is None else rules_read(identity_map)
    db = open_database(section, "client")
    try:
        rows = db.run(lambda tx: tx.rows(WITHOUT_VO), tries=1) if db.backend.exists() else []
    except ServiceError:
        # The check of the database itself says what is wrong.
        return found
    finally:
        db.close()
    jobs: "Counter[str]" = Counter()
    latest: Dict[str, int] = {}
    for user, number, month in rows:
        issuer = token_of(user).issuer or ""
        jobs[issuer] += int(number)
        latest[issuer] = max(latest.get(issuer, 0), int(month))
    text = "%d grid jobs %s are of no VO, the last of them of %04d-%02d (docs/tokens.md)"
    for issuer, number in sorted(jobs.items()):
        who = "of the token issuer %s" % issuer if issuer else "of unknown token issuer"
        found.append(Check(WARNING, "identity", text % (number, who, *divmod(latest[issuer], 100))))
    return found


def rules_read(identity_map: IdentityMap) -> List[Check]:
    """What is in an identity map that has no errors, and which of its rules are of no use."""
    issuers = identity_map.issuers()
    lines = len({rule.where for rule in identity_map.rules})
    text = "%d rules; token issuers they name: %s" % (lines, ", ".join(issuers) or "none")
    hidden = {(str(rule), other.where): None for rule, other in identity_map.hidden()}
    return [Check(OK, "identity", text)] + [
        Check(WARNING, "identity", "%s: never decides, since %s does; put it before that" % pair)
        for pair in hidden
    ]


def certificate(section: Any) -> Check:
    """Whether our certificate and key are a pair, and for how long they are valid."""
    from ssm.credentials import days_left, load_credentials

    def work() -> str:
        name = load_credentials(section.certificate, section.key).name
        return "%s, %d days left" % (name, days_left(section.certificate))

    found = attempt("certificate", work)
    if found.outcome == OK and days_left(section.certificate) < FEWEST_DAYS:
        return Check(WARNING, "certificate", found.text + ": renew it")
    return found
