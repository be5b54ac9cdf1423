"""P20: logs of jobs with tokens, end to end: each in its VO at the centre, with issuer and subject."""

import glob
import json
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import pytest

from apel.demo import Deployment, LogFiles, embedded_deployment
from apel.times import epoch_from_text, utc_text

CE = "ce03.grid.example.org:9619/ce03.grid.example.org-condor"
JOBS_OF_EACH = 12
START = epoch_from_text("2026-10-28 00:00:00")  # so that the jobs are of two months
PILOTS, DUNE, CMS = "https://vo-auth.example/", "https://cilogon.example/dune", "https://cms-auth.example/"
NEW_ISSUER = "https://new-auth.example/"
SUBJECT = "8a41d9f0-6e1c-4c5b-9b55-5a1f2a7c9d01"
DN = "/DC=org/DC=example/O=People/CN=Ada Researcher"
MAP = """
fqan=/*                                        -> keep
issuer=https://vo-auth.example subject=admin-* -> /vo.example.org/Role=admin
issuer=https://vo-auth.example/                -> vo.example.org
issuer=https://cilogon.example/dune/           -> /dune/Role=pilot
issuer=https://cms-auth.example wlcg.groups=/cms/us* -> wlcg.groups
* dteam /dteam
"""
NONE = "None"


class Kind(NamedTuple):
    """Jobs of one identity: what logs say of them, and VO, group and role that they end in."""

    dn: Optional[str]
    fqan: str
    issuer: Optional[str]
    subject: Optional[str]
    groups: str
    account: str
    identity: Tuple[str, str, str]

    @property
    def user(self) -> str:
        """What the centre is to have."""
        return self.dn or ("%s %s" % (self.issuer, self.subject) if self.issuer else NONE)


KINDS = [
    Kind(DN, "/atlas/Role=production", None, None, "", "atlas001", ("atlas", "/atlas", "Role=production")),
    Kind(None, "UNDEFINED", PILOTS, SUBJECT, "", "pil001", ("vo.example.org", NONE, NONE)),
    # The same subject of another issuer is another user.
    Kind(None, "", DUNE, SUBJECT, "undefined", "dune001", ("dune", "/dune", "Role=pilot")),
    Kind(None, "undefined", CMS, "5d1f-user", "/cms,/cms/uscms", "cms001", ("cms", "/cms/uscms", NONE)),
    Kind(
        None,
        "UNDEFINED",
        PILOTS,
        "admin-7",
        "",
        "pil002",
        ("vo.example.org", "/vo.example.org", "Role=admin"),
    ),
    # HTCondor-CE has a map of its own for those.
    Kind(None, "/ops/Role=test", PILOTS, "ops-robot", "", "ops001", ("ops", "/ops", "Role=test")),
    Kind(None, "UNDEFINED", None, None, "", "dteam", ("dteam", "/dteam", NONE)),
    Kind(None, "UNDEFINED", NEW_ISSUER, SUBJECT, "", "new001", (NONE, NONE, NONE)),
]
COLUMNS = "GlobalUserName, VO, VOGroup, VORole, TokenIssuer, TokenSubject"


def blah_line(number: int, job: str, kind: Kind, end: int, token: bool) -> str:
    """The line of HTCondor-CE; token: with the attributes of the token, which it doesn't write as shipped."""
    items = {
        "timestamp": utc_text(end),
        "userDN": kind.dn or kind.subject or "undefined",
        "userFQAN": kind.fqan,
        "ceID": CE,
        "jobID": "%d.0_ce03" % number,
        "lrmsID": job,
        "localUser": kind.account,
    }
    if token and kind.issuer and kind.subject:
        items["orig_AuthTokenIssuer"], items["orig_AuthTokenSubject"] = kind.issuer, kind.subject
        items["orig_AuthTokenGroups"] = kind.groups
        items["AuthTokenIssuer"], items["AuthTokenSubject"] = "ce03.grid.example.org", "condor@ce03"
    return " ".join('"%s=%s"' % item for item in items.items()) + "\n"


def condor_job(job: str, kind: Kind, end: int) -> str:
    """A job of HTCondor's own history, as apelcollect has it."""
    found: Dict[str, Any] = {
        "GlobalJobId": job,
        "Owner": kind.account,
        "JobStatus": 4,
        "RemoteWallClockTime": 600.0,
        "RemoteUserCpu": 500.0,
        "RemoteSysCpu": 10.0,
        "JobStartDate": end - 600,
        "EnteredCurrentStatus": end,
        "ImageSize_RAW": 4096,
        "ResidentSetSize_RAW": 2048,
        "RequestCpus": 1,
        "AuthTokenIssuer": "ce03.grid.example.org",
        "AuthTokenSubject": "condor@ce03",
    }
    if kind.issuer:
        found["orig_AuthTokenIssuer"], found["orig_AuthTokenSubject"] = kind.issuer, kind.subject
        found["orig_AuthTokenGroups"] = kind.groups
    return json.dumps(found) + "\n"


def slurm_job(job: str, kind: Kind, end: int) -> str:
    start, stop = (utc_text(time).replace(" ", "T") for time in (end - 600, end))
    return "%s|j|%s|grid|%s|%s|00:10:00|00:08:30|grid|1|1|wn1|||COMPLETED\n" % (
        job,
        kind.account,
        start,
        stop,
    )


def write_logs(deployment: Deployment, system: str) -> LogFiles:
    """Jobs of each kind, mixed, every half an hour."""
    for folder in ("logs/batch", "logs/blah"):
        os.makedirs(deployment.path(folder))
    batch: List[str] = []
    blah: List[str] = []
    for number in range(JOBS_OF_EACH * len(KINDS)):
        kind, end = KINDS[number % len(KINDS)], START + 1800 * (number + 1) * 2
        job = "ce03#%d.0#1793000000" % number if system == "htcondor" else str(7000 + number)
        batch.append((condor_job if system == "htcondor" else slurm_job)(job, kind, end))
        blah.append(blah_line(number, job, kind, end, token=system != "htcondor"))
    for name, lines in (("logs/batch/history", batch), ("logs/blah/blah-20261101-0000-ce03", blah)):
        with open(deployment.path(name), "w", encoding="utf-8") as stream:
            stream.writelines(lines)
    return LogFiles(system, deployment.path("logs/batch"), deployment.path("logs/blah"))


def configure(deployment: Deployment, logs: LogFiles, rules: str, **unloader: str) -> None:
    path = deployment.path("site/identity.map")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(rules)
    benchmarks = {CE: "HEPscore23,10.0"}
    deployment.write_site(logs, benchmarks, joiner={"identity_map": path}, unloader=unloader)


def run_client(deployment: Deployment, *words: str) -> str:
    """Run the client; the text of all its messages."""
    deployment.run("apelclient", *words)
    texts = []
    for path in glob.glob(deployment.path("site/spool/outgoing/*/*")):
        with open(path, encoding="utf-8") as stream:
            texts.append(stream.read())
    return "".join(texts)


def run_centre(deployment: Deployment) -> None:
    deployment.run("ssmsend")
    deployment.run("ssmreceive", "--once")
    deployment.run("apeldbloader", "--once")
    deployment.run("apelsummariser")


def rows(database: Any, sql: str) -> List[Any]:
    with database as db:
        return list(db.run(lambda tx: tx.rows(sql)))


def counted(database: Any) -> Dict[Any, int]:
    """Jobs of each identity."""
    sql = "SELECT %s, COUNT(*) FROM VJobRecords GROUP BY %s" % (COLUMNS, COLUMNS)
    return {row[:-1]: row[-1] for row in rows(database, sql)}


def expected() -> Dict[Any, int]:
    return {(kind.user, *kind.identity, kind.issuer, kind.subject): JOBS_OF_EACH for kind in KINDS}


def jobs_without_times_of_writing(database: Any) -> List[Any]:
    names = "LocalJobId, WallDuration, CpuDuration, StartTime, EndTime, SubmitHost, FQAN, " + COLUMNS
    return rows(database, "SELECT %s FROM VJobRecords ORDER BY LocalJobId" % names)


@pytest.mark.parametrize("system", ["htcondor", "slurm"])
def test_token_jobs_end_in_their_vo_at_the_centre(tmp_path: Any, system: str) -> None:
    """HTCondor-CE before HTCondor, as shipped: issuers are in HTCondor's log; and before another system."""
    deployment = embedded_deployment(str(tmp_path))
    deployment.write_centre()
    logs = write_logs(deployment, system)
    configure(deployment, logs, MAP)
    deployment.run("apelparser")
    sent = run_client(deployment)
    assert sent.count("GlobalUserName: %s %s\n" % (DUNE, SUBJECT)) == JOBS_OF_EACH
    assert "Token" not in sent
    run_centre(deployment)
    assert counted(deployment.central_database()) == expected()
    at_site = jobs_without_times_of_writing(deployment.site_database())
    assert jobs_without_times_of_writing(deployment.central_database()) == at_site
    users = {(kind.user, kind.identity[0]): JOBS_OF_EACH for kind in KINDS}
    sums = "SELECT GlobalUserName, VO, SUM(NumberOfJobs) FROM VSuperSummaries GROUP BY GlobalUserName, VO"
    assert {row[:2]: int(row[2]) for row in rows(deployment.central_database(), sums)} == users
    with open(deployment.path("site/log/client.log"), encoding="utf-8") as stream:
        assert (
            "%d grid jobs of the token issuer %s are of no VO" % (JOBS_OF_EACH, NEW_ISSUER) in stream.read()
        )

    # The rule that the log asks for, and the months again.
    configure(deployment, logs, MAP + "issuer=%s -> /new.example.org\n" % NEW_ISSUER)
    for month in ("2026-10", "2026-11"):
        run_client(deployment, "--rejoin", month)
    run_centre(deployment)
    found = counted(deployment.central_database())
    new = (NEW_ISSUER + " " + SUBJECT, "new.example.org", "/new.example.org", NONE, NEW_ISSUER, SUBJECT)
    assert found.pop(new) == JOBS_OF_EACH
    wanted = expected()
    wanted.pop((KINDS[-1].user, *KINDS[-1].identity, NEW_ISSUER, SUBJECT))
    assert found == wanted


def test_withheld_tokens_dont_leave_the_site(tmp_path: Any) -> None:
    """Like DNs: neither issuer nor subject is in any message, and the VOs are right all the same."""
    deployment = embedded_deployment(str(tmp_path))
    deployment.write_centre()
    configure(deployment, write_logs(deployment, "htcondor"), MAP, withhold_dns="true")
    deployment.run("apelparser")
    sent = run_client(deployment)
    secrets = [text for kind in KINDS for text in (kind.dn, kind.issuer, kind.subject) if text]
    assert not [text for text in secrets if text.rstrip("/") in sent]
    run_centre(deployment)
    wanted: Dict[Any, int] = {}
    for kind in KINDS:
        key = (NONE if kind.user == NONE else "withheld", *kind.identity, None, None)
        wanted[key] = wanted.get(key, 0) + JOBS_OF_EACH
    assert counted(deployment.central_database()) == wanted
    assert counted(deployment.site_database()) == expected()
