"""P20: jobs with tokens on a site's database: whose they are, what is kept of it, and what is sent."""

import pytest
from gridsite import CE1, MACHINE, event, grid, settings_with

from apel.client.join import Joiner, rejoin_month
from apel.client.run import missing_identities
from apel.client.summarise import summarise_site
from apel.db.store import store
from apel.db.tables import BLAHD
from apel.identity_map import parse_map

VO, OTHER = "https://vo-auth.example/", "https://other.example/iam"
SUBJECT = "8a41d9f0-6e1c-4c5b-9b55-5a1f2a7c9d01"
NOBODY = {"GlobalUserName": None, "FQAN": None, "VO": None, "VOGroup": None, "VORole": None}
MAP = """
fqan=/*                                 -> keep
issuer=https://vo-auth.example user=adm* -> /vo.example.org/Role=admin
issuer=https://vo-auth.example          -> /vo.example.org
wlcg.groups=/cms*                       -> /cms
group=atlas                             -> atlas
"""
WHOSE = "LocalJobId, GlobalUserName, FQAN, VO, VOGroup, VORole, TokenIssuer, TokenSubject"


def token(job, issuer=VO, subject=SUBJECT, **changes):
    """A grid record as the parser makes it of a token's issuer and subject."""
    user = "%s %s" % (issuer, subject) if issuer and subject else subject
    values = dict(NOBODY, GlobalUserName=user, TokenIssuer=issuer, TokenSubject=subject)
    return grid(job, **dict(values, **changes))


def joined(site, rules=MAP, local_jobs=False):
    done = Joiner(site.db, local_jobs, identity_map=rules and parse_map(rules, "m")).run()
    summarise_site(site.db)
    return done


def whose(site):
    return {row[0]: row[1:] for row in site.rows("SELECT %s FROM VJobRecords" % WHOSE)}


def test_token_jobs_have_vo_issuer_and_subject(site):
    site.benchmark(CE1)
    site.put(event("1"), token("1"), event("2", LocalUserID="adm1"), token("2"))
    site.put(event("3", LocalUserGroup="x"), token("3", OTHER, TokenGroups="/dune,/cms/uscms"))
    site.put(event("4"), token("4", OTHER), event("5"), grid("5"))
    assert joined(site).without_vo == {}
    user = "%s %s" % (VO, SUBJECT)
    other = "%s %s" % (OTHER, SUBJECT)
    admin = "/vo.example.org/Role=admin"
    assert whose(site) == {
        "1": (user, "/vo.example.org", "vo.example.org", "/vo.example.org", "None", VO, SUBJECT),
        "2": (user, admin, "vo.example.org", "/vo.example.org", "Role=admin", VO, SUBJECT),
        "3": (other, "/cms", "cms", "/cms", "None", OTHER, SUBJECT),
        "4": (other, "atlas", "atlas", "None", "None", OTHER, SUBJECT),
        "5": (grid("5").GlobalUserName, grid("5").FQAN, "atlas", "/atlas", "Role=production", None, None),
    }


def test_unmapped_jobs_are_counted_and_the_log_says_which_rule_is_missing(site):
    site.benchmark(CE1)
    site.put(event("1"), token("1"), event("2"), token("2"), event("3"), token("3", OTHER))
    site.put(event("4"), token("4", None), event("5"), grid("5"))
    done = joined(site, None)
    assert (done.grid, done.without_vo) == (5, {VO: 2, OTHER: 1, "": 1})
    nobody, other, vo = missing_identities(done, settings_with("/etc/apel/client.cfg"))
    assert nobody.startswith("1 grid jobs without FQAN and token issuer are of no VO; ")
    assert other.startswith("1 grid jobs of the token issuer %s are of no VO; " % OTHER)
    assert "2 grid jobs of the token issuer %s are of no VO" % VO in vo
    assert "[joiner] identity_map of /etc/apel/client.cfg names: issuer=%s -> <VO>;" % VO in vo
    rejoin_month(site.db, 2026, 3)
    assert joined(site).without_vo == {}
    assert whose(site)["1"][2] == "vo.example.org"
    assert site.rows("SELECT SUM(NumberOfJobs) FROM VSuperSummaries WHERE VO = 'vo.example.org'") == [(2,)]


def test_of_many_issuers_without_rule_the_log_names_the_most_numerous(site):
    site.benchmark(CE1)
    for number in range(9):
        user = "https://other.example/user%d" % number
        site.put(event(str(number)), token(str(number), user, None, GlobalUserName=user))
    site.put(event("10"), token("10"), event("11"), token("11"))
    *named, others = missing_identities(joined(site, None), settings_with())
    assert len(named) == 5 and "2 grid jobs of the token issuer %s " % VO in named[-1]
    assert others.startswith(
        "So are 5 jobs of 5 other issuers; a rule may be for many: issuer=https://<host>/*"
    )


def test_changed_map_counts_for_jobs_not_yet_joined(site):
    """The records of both jobs were read before the map was changed."""
    site.put(event("1"), token("1"))
    joined(site, None)  # waits for its benchmark
    site.benchmark(CE1)
    joined(site)
    assert whose(site)["1"][2] == "vo.example.org"


def test_same_subject_of_two_issuers_are_two_users_in_sums(site):
    site.benchmark(CE1)
    for job, issuer in (("1", VO), ("2", VO), ("3", OTHER)):
        site.put(event(job), token(job, issuer))
    joined(site, "* -> dteam")
    sums = site.rows("SELECT GlobalUserName, VO, NumberOfJobs FROM VSuperSummaries ORDER BY 3")
    assert sums == [(OTHER + " " + SUBJECT, "dteam", 1), (VO + " " + SUBJECT, "dteam", 2)]


@pytest.mark.parametrize("recorded", [SUBJECT, None])
def test_batch_system_completes_what_the_compute_element_says(site, recorded):
    """HTCondor-CE as shipped logs the subject alone; HTCondor's own log has the issuer."""
    site.benchmark(CE1)
    site.put(event("1", TokenIssuer=VO, TokenSubject=SUBJECT), token("1", None, recorded))
    assert joined(site).without_vo == {}
    found = whose(site)["1"]
    assert (found[0], found[2], *found[-2:]) == (VO + " " + SUBJECT, "vo.example.org", VO, SUBJECT)


def test_subject_that_is_a_url_is_no_issuer(site):
    """CILogon's are; HTCondor-CE writes the subject alone in the place of a DN."""
    site.benchmark(CE1)
    subject = "http://cilogon.example/serverA/users/1234"
    site.put(event("1", TokenIssuer=VO, TokenSubject=subject, TokenGroups="/vo.example.org"))
    site.put(token("1", subject, None, GlobalUserName=subject))
    assert joined(site).without_vo == {}
    user = "%s %s" % (VO, subject)
    assert whose(site)["1"] == (
        user, "/vo.example.org", "vo.example.org", "/vo.example.org", "None", VO, subject,
    )  # fmt: skip


def test_another_token_of_the_batch_system_changes_nothing(site):
    """The compute element's own, with which it submitted the job."""
    site.benchmark(CE1)
    site.put(event("1", TokenIssuer="https://ce.example.org", TokenSubject="condor@ce"), token("1"))
    site.put(event("2", TokenIssuer=OTHER, TokenSubject=SUBJECT, TokenGroups="/cms"), token("2"))
    joined(site, "wlcg.groups=/cms -> /wrong\n* -> dteam\n")
    assert whose(site)["1"] == whose(site)["2"]
    assert whose(site)["1"][2:] == ("dteam", "None", "None", VO, SUBJECT)


def test_groups_of_either_log(site):
    site.benchmark(CE1)
    site.put(event("1", TokenIssuer=VO, TokenSubject=SUBJECT, TokenGroups="/cms/uscms,/cms"), token("1"))
    site.put(event("2", TokenIssuer=VO, TokenSubject=SUBJECT), token("2", TokenGroups="/cms"))
    joined(site, "issuer=%s -> wlcg.groups\n" % VO)
    assert [found[1:4] for _, found in sorted(whose(site).items())] == [
        ("/cms/uscms", "cms", "/cms/uscms"),
        ("/cms", "cms", "/cms"),
    ]


def test_dn_stands_beside_a_token(site):
    site.benchmark(CE1)
    site.put(event("1", TokenIssuer=VO, TokenSubject=SUBJECT), grid("1"))
    site.put(event("2"), grid("2", TokenIssuer=VO, TokenSubject=SUBJECT))
    joined(site)
    for found in whose(site).values():
        assert (found[0], found[2]) == (grid("1").GlobalUserName, "atlas")
        assert found[-2:] == (VO, SUBJECT)


def test_dn_stands_beside_an_issuer_without_subject(site):
    site.benchmark(CE1)
    site.put(event("1", TokenIssuer=VO), grid("1", TokenSubject=SUBJECT))
    joined(site)
    assert whose(site)["1"][0] == grid("1").GlobalUserName


def test_log_that_is_read_again_with_the_token(site):
    """Once the compute element writes the issuer: `reparse`, and the next run joins the jobs again."""
    site.benchmark(CE1)
    site.put(event("1"), token("1", None))
    assert joined(site, None).without_vo == {"": 1}
    assert store(site.db, BLAHD, [token("1")], "update").count == 1
    assert joined(site).without_vo == {}
    assert whose(site)["1"][2] == "vo.example.org"
    assert whose(site)["1"][-2:] == (VO, SUBJECT)


def test_local_jobs_with_a_token(site):
    """Of an access point that users submit to with tokens, without any compute element."""
    site.benchmark(MACHINE)
    site.put(event("1", TokenIssuer=VO, TokenSubject=SUBJECT, LocalUserGroup="staff"))
    site.put(event("2", TokenIssuer=OTHER, TokenSubject=SUBJECT, LocalUserGroup="staff"))
    assert joined(site, local_jobs=True).local == 2
    found = whose(site)
    assert found["1"] == (VO + " " + SUBJECT, None, "vo.example.org", "/vo.example.org", "None", VO, SUBJECT)
    assert found["2"] == (OTHER + " " + SUBJECT, None, "staff", "None", "None", OTHER, SUBJECT)


def test_sent_user_says_issuer_and_subject(site, queue):
    site.benchmark(CE1)
    site.put(event("1"), token("1"))
    joined(site)
    site.unload(queue)
    (record,) = queue.records()
    assert (record.GlobalUserName, record.VO) == ("%s %s" % (VO, SUBJECT), "vo.example.org")
    assert "Token" not in queue.texts[0]


@pytest.mark.parametrize(
    "view, ur", [("VJobRecords", False), ("VJobRecords", True), ("VSuperSummaries", False)]
)
def test_withheld_like_a_dn(site, queue, view, ur):
    """Neither subject nor issuer leaves the site; the VO is right all the same."""
    site.benchmark(CE1)
    site.put(event("1"), token("1"), event("2"), token("2", OTHER), event("3"), token("3", None))
    joined(site, "subject=* -> /vo.example.org")
    site.unload(queue, view, interval="all", withhold_dns=True, send_ur=ur)
    text = "".join(queue.texts)
    assert not any(word in text for word in (VO, OTHER, SUBJECT, "vo-auth", "iam"))
    records = queue.records("job" if view == "VJobRecords" else "summary")
    assert {(one.GlobalUserName, one.VO) for one in records} == {("withheld", "vo.example.org")}
