"""The identity map: which rule decides, and what is said of a file that is wrong."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apel.errors import ParseError, RecordError
from apel.identity import Credentials, Token, credentials, parse_fqan
from apel.identity_file import identity_map
from apel.identity_map import CONDITIONS, MapError, parse_map
from apel.parsers import BlahParser, ParserOptions, Skipped
from apel.records.fields import NULL_WORDS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
ISSUER = "https://vo-auth.example.org/"

MAP = """
# proxies first
fqan=/atlas/*                                  -> keep
fqan=/dteam*  user=pilot?                      -> /dteam/Role=pilot   # two conditions
wlcg.groups=/cms/uscms*                        -> /cms/uscms
issuer=https://vo-auth.example.org subject=p-* -> /vo.example.org/Role=pilot
issuer=https://vo-auth.example.org/            -> vo.example.org
fqan=- user=lhcb*                              -> /lhcb
group="local users"                            -> local.example.org
"""


def who(**values):
    return Credentials(**values)


@pytest.fixture
def rules():
    return parse_map(MAP, "identity.map")


@pytest.mark.parametrize(
    "job, fqan",
    [
        (who(fqan="/atlas/Role=production"), "/atlas/Role=production"),
        (who(fqan="/dteam", user="pilot1"), "/dteam/Role=pilot"),
        (who(fqan="/dteam", user="pilot12"), "/dteam"),
        (who(groups=("/cms", "/cms/uscms/t1")), "/cms/uscms"),
        (who(issuer=ISSUER, subject="p-1"), "/vo.example.org/Role=pilot"),
        (who(issuer=ISSUER, subject="someone"), "vo.example.org"),
        (who(issuer=ISSUER), "vo.example.org"),
        (who(user="lhcb02"), "/lhcb"),
        (who(fqan="/lhcb/x", user="lhcb02"), "/lhcb/x"),
        (who(group="local users"), "local.example.org"),
        (who(), None),
    ],
)
def test_first_rule_that_holds_decides(rules, job, fqan):
    """P20."""
    assert rules.fqan_of(job) == fqan


def test_rule_says_where_it_stands(rules):
    rule = rules.rule_for(who(user="lhcb02"))
    assert str(rule) == "identity.map line 8: fqan=- user=lhcb* -> /lhcb"
    assert rules.rule_for(who(user="nobody")) is None


def test_issuer_with_and_without_slash_is_one(rules):
    for issuer in (ISSUER, ISSUER.rstrip("/")):
        assert rules.fqan_of(who(issuer=issuer)) == "vo.example.org"


def test_one_issuer_doesnt_stand_for_another(rules):
    """A rule without * is for that issuer alone."""
    assert rules.fqan_of(who(issuer=ISSUER + "x")) is None
    assert rules.fqan_of(who(issuer="https://vo-auth.example.org.evil.example")) is None
    assert rules.fqan_of(who(issuer=ISSUER + "\nx")) is None


def test_case_counts(rules):
    assert rules.fqan_of(who(user="LHCB02")) is None


def test_local_jobs_have_their_group_where_no_rule_holds(rules):
    assert rules.identity_of_local(Credentials(user="lhcb01", group="users")) == ("lhcb", "/lhcb", None)
    assert rules.identity_of_local(Credentials(user="ada", group="local users")) == (
        "local.example.org",
        None,
        None,
    )
    assert rules.identity_of_local(Credentials(user="ada", group="physics")) == ("physics", None, None)
    assert rules.identity_of_local(Credentials(user="ada", group=None)) == (None, None, None)


def test_rule_for_every_job():
    everyone = parse_map("group=atlas -> keep\n* -> other.example.org", "m")
    assert everyone.fqan_of(who()) == "other.example.org"
    assert everyone.identity_of_local(Credentials(user="a", group="atlas")) == ("atlas", None, None)


@pytest.mark.parametrize(
    "line, words",
    [
        ("usr=a -> b", "unknown condition usr; did you mean user?"),
        (
            "vo=a -> b",
            "unknown condition vo; there are fqan, issuer, subject, wlcg.groups, user, group, issuer,subject",
        ),
        ("user=a", "it must be written: condition ... -> result"),
        ("user=a => b", "it must be written"),
        ("-> b", "no condition before ->"),
        ("user=a ->", "after -> must come one word"),
        ("user=a -> b c", "after -> must come one word"),
        ("user= -> b", "user has no value; write user=- where"),
        ("user -> b", "user has no value"),
        ('user="a -> b', "an unpaired quote"),
        ("user=a -> none", "the result none names no VO"),
        ("user=a -> /", "the result / names no VO"),
        ('user=a -> ""', "the result (empty) names no VO"),
        ("user=a -> %%", "can't stand in a record"),
        ("user=a -> " + "v" * 256, "can't stand in a record"),
        ("* user=a -> b", "unknown condition *"),
    ],
)
def test_wrong_line_is_named(line, words):
    """C11: with file and line."""
    with pytest.raises(MapError) as caught:
        parse_map("# ours\n\n" + line, "/etc/apel/identity.map")
    (problem,) = caught.value.problems
    assert problem.startswith("/etc/apel/identity.map line 3: ")
    assert words in problem


def test_all_wrong_lines_at_once():
    """C11."""
    with pytest.raises(MapError) as caught:
        parse_map("user=a\nuser=b -> c\nusr=a -> b", "m")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["m line 1", "m line 3"]


def test_file_that_cant_be_read(tmp_path):
    """C11."""
    with pytest.raises(ValueError, match="can't be read: .*gone: No such file"):
        identity_map(str(tmp_path / "gone"))
    path = tmp_path / "latin"
    path.write_bytes(b"user=\xe9 -> vo\n")
    with pytest.raises(ValueError, match="is not UTF-8"):
        identity_map(str(path))
    assert identity_map("") is None


def test_shipped_samples_are_right():
    """The examples of the sample, taken out of their comments, are rules."""
    path = os.path.join(ROOT, "conf", "identity.map")
    assert identity_map(path).rules == ()
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    examples = [line[4:] for line in text.splitlines() if line.startswith("#   ") and "condition" not in line]
    assert len(parse_map("\n".join(examples), path).rules) == 6


@given(
    st.text(max_size=60) | st.lists(st.sampled_from([*CONDITIONS, "=", " ", "->", "-", "*", '"', "#", "/a"]))
)
def test_any_text_is_a_map_or_a_counted_problem(text):
    try:
        found = parse_map("".join(text), "m")
    except MapError as err:
        assert err.problems
        assert all(problem.startswith("m line ") for problem in err.problems)
    else:
        for rule in found.rules:
            assert rule.fqan is None or parse_fqan(rule.fqan)[0] is not None


# -- BLAH records ---------------------------------------------------------------------------------


def line(**items):
    fixed = {"timestamp": "2025-03-07 08:58:40", "ceID": "ce:1/q", "jobID": "j", "lrmsID": "7"}
    return " ".join('"%s=%s"' % item for item in dict(fixed, **items).items())


def parsed(text, rules=None):
    parser = BlahParser(ParserOptions("s", "m", identity_map=rules))
    record = parser.parse(text)
    return record, parser


def mapped(text, rules, user=None):
    """FQAN and identity of a line's job, as the joiner has them."""
    record = BlahParser(ParserOptions("s", "m")).parse(text)
    token = Token(record.TokenIssuer, record.TokenSubject)
    fqan = rules.fqan_of(credentials(record.FQAN, token, record.TokenGroups, user))
    return fqan, parse_fqan(fqan) if fqan else None


TOKEN = {"AuthTokenIssuer": ISSUER, "AuthTokenSubject": "p-1", "AuthTokenGroups": "/vo,/vo/pilots"}


def test_token_job_gets_its_vo_by_issuer_and_subject(rules):
    """P20: also the FQAN, since the centre makes the VO of that."""
    fqan, identity = mapped(line(**TOKEN), rules)
    assert fqan == "/vo.example.org/Role=pilot"
    assert identity == ("vo.example.org", "/vo.example.org", "Role=pilot")


@pytest.mark.parametrize("user", ["p-1", ISSUER + " p-1", ISSUER + ",p-1"])
def test_token_in_the_place_of_the_dn(rules, user):
    """P20: HTCondor-CE writes the subject, maps of it issuer and subject."""
    items = {"userDN": user}
    if user == "p-1":
        items["AuthTokenIssuer"] = ISSUER
    record, _ = parsed(line(**items))
    assert mapped(line(**items), rules)[1][0] == "vo.example.org"
    assert record.GlobalUserName == ISSUER + " p-1"
    assert (record.TokenIssuer, record.TokenSubject) == (ISSUER, "p-1")


def test_group_of_a_token(rules):
    """P20."""
    assert mapped(line(orig_AuthTokenGroups="/cms,/cms/uscms"), rules)[1][:2] == ("cms", "/cms/uscms")


def test_local_user_of_a_job_without_fqan(rules):
    """P20: also where ARC says that there is none."""
    for fqan in ("", "undefined", "/None/Role=NULL"):
        assert mapped(line(userFQAN=fqan, userDN="/CN=Ada"), rules, "lhcb01")[1][0] == "lhcb"
    assert mapped(line(userFQAN="/ops/x", userDN="/CN=Ada"), rules, "lhcb01")[1][0] == "ops"


def test_job_that_no_rule_names_is_as_logged(rules):
    for fqan in ("/ops/Role=x", "ops"):
        assert mapped(line(userFQAN=fqan), rules)[0] == fqan
    for items in ({}, {"userFQAN": "/None/Role=NULL"}):
        assert mapped(line(**items), rules)[0] is None


def test_user_of_a_token_is_unique_without_a_map():
    """P20: a subject is one person's only together with its issuer."""
    assert parsed(line(**TOKEN))[0].GlobalUserName == ISSUER + " p-1"
    assert parsed(line(userDN="p-1", **TOKEN))[0].GlobalUserName == ISSUER + " p-1"
    assert parsed(line(userDN="/CN=Ada", **TOKEN))[0].GlobalUserName == "/CN=Ada"
    assert parsed(line(AuthTokenIssuer=ISSUER))[0].GlobalUserName is None


def test_explanation_names_the_rule(rules):
    _, parser = parsed(line(**TOKEN), rules)
    assert parser.reasons(line(**TOKEN)) == [
        "identity: VO vo.example.org (identity.map line 6: issuer=https://vo-auth.example.org subject=p-* -> "
        "/vo.example.org/Role=pilot)"
    ]
    assert parser.reasons(line(userDN="/CN=Ada")) == ["identity: no VO (no rule matches, so it is as logged)"]
    assert parsed(line())[1].reasons(line()) == []


ITEMS = st.dictionaries(
    st.sampled_from(["userFQAN", "userDN", "localUser", *TOKEN, *("orig_" + name for name in TOKEN)]),
    st.one_of(st.sampled_from([*NULL_WORDS, ISSUER, "/", "//", "x" * 300, "a,b,,c"]), st.text(max_size=20)),
)


@given(ITEMS)
def test_any_identity_gives_a_record_or_a_reason(items):
    """P20."""
    parser = BlahParser(ParserOptions("s", "m", identity_map=parse_map(MAP, "m")))
    try:
        record = parser.parse(line(**items))
    except (ParseError, RecordError):
        return
    assert isinstance(record, Skipped) or record.check() == record


# -- groups of tokens ------------------------------------------------------------------------------

GROUP_MAP = """
issuer=https://cms-auth.example wlcg.groups=/cms/us* -> wlcg.groups
issuer=https://cms-auth.example                      -> wlcg.groups
issuer=https://cms-auth.example                      -> cms
"""


@pytest.mark.parametrize(
    "groups, fqan",
    [
        (("/cms", "/cms/it"), "/cms"),
        (("/cms/it", "/cms"), "/cms/it"),
        (("/cms", "/cms/uscms", "/cms/us"), "/cms/uscms"),
        ((), "cms"),
    ],
)
def test_group_of_the_token_may_be_the_fqan(groups, fqan):
    """P20: the first one is the primary."""
    rules = parse_map(GROUP_MAP, "m")
    assert rules.fqan_of(who(issuer="https://cms-auth.example/", groups=groups)) == fqan
    assert rules.fqan_of(who(issuer="https://other.example/", groups=groups)) is None


# -- HTCondor's form -------------------------------------------------------------------------------

CONDOR_MAP = r"""
# /etc/condor/apel_acct_group.map
* /^https\:\/\/vo\-auth\.example\/,.*$/ /vo.example.org/Role=NULL/Capability=NULL
* dteam /dteam
* /^pilot[0-9]+$/ /vo.example.org/Role=pilot/Capability=NULL
* https://other.example/,5d1f /other
* /PROD/i /prod
"""


@pytest.mark.parametrize(
    "job, fqan",
    [
        (who(user="dteam"), "/dteam"),
        (who(user="dteam1"), None),
        (who(user="pilot12"), "/vo.example.org/Role=pilot/Capability=NULL"),
        (who(user="apilot12"), None),
        (who(user="cmsprod3"), "/prod"),
        (
            who(user="x", issuer="https://vo-auth.example/", subject="5d1f"),
            "/vo.example.org/Role=NULL/Capability=NULL",
        ),
        (who(user="x", issuer="https://vo-auth.example", subject="5d1f"), None),
        (who(issuer="https://other.example/", subject="5d1f"), "/other"),
        (who(issuer="https://other.example/", subject="5d1f2"), None),
        (who(issuer="https://other.example/"), None),
        # The account counts more than the token, wherever the lines stand; and an FQAN more than both.
        (who(user="dteam", issuer="https://vo-auth.example/", subject="5d1f"), "/dteam"),
        (who(user="dteam", fqan="/ops"), "/ops"),
    ],
)
def test_map_of_htcondor(job, fqan):
    """P20: the file that HTCondor-CE uses can be used as it is."""
    assert parse_map(CONDOR_MAP, "m").fqan_of(job) == fqan


def test_map_of_htcondor_among_other_rules():
    rules = parse_map("user=dteam -> own\n* dteam /dteam\n* sgm /sgm\n* -> rest\n", "m")
    assert [rules.fqan_of(who(user=user)) for user in ("dteam", "sgm", "x")] == ["own", "/sgm", "rest"]


@pytest.mark.parametrize(
    "line, words",
    [
        ("* dteam", "a line of HTCondor's form has three words: * key group"),
        ("* dteam /dteam extra", "three words"),
        ("* /^a(/ /dteam", "the expression /^a(/ is wrong: "),
        ("* /a /dteam", "the expression /a must end in / or /i"),
        ("* /a/gx /dteam", "must end in / or /i"),
        ("* dteam keep", "keep is no result"),
        ("* dteam wlcg.groups", "wlcg.groups is no result"),
        ("* dteam /", "the result / names no VO"),
    ],
)
def test_wrong_line_of_htcondors_form(line, words):
    with pytest.raises(MapError) as caught:
        parse_map(line, "m")
    (problem,) = caught.value.problems
    assert problem.startswith("m line 1: ") and words in problem


@pytest.mark.parametrize(
    "text, pairs",
    [
        (MAP, []),
        (CONDOR_MAP, []),
        (GROUP_MAP, []),
        ("* -> a\nuser=b -> c\n* dteam /dteam\n", [(2, 1), (3, 1), (3, 1)]),
        ("user=a issuer=https://i -> a\nissuer=https://i user=a -> b\nuser=a -> c\n", [(2, 1)]),
        ("* dteam /a\n* dteam /b\n", [(2, 1), (2, 1)]),
        ("user=a -> wlcg.groups\nuser=a -> b\n", []),
    ],
)
def test_rules_that_never_decide_are_found(text, pairs):
    found = parse_map(text, "m").hidden()
    assert [tuple(int(rule.where.rpartition(" ")[2]) for rule in pair) for pair in found] == pairs
