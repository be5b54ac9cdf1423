"""BLAH lines of CREAM, ARC and HTCondor-CE: the sample, and their bad days."""

import pytest

from apel.errors import ParseError
from apel.identity import BAD_TOKEN
from apel.parsers import BlahParser, Failed, Skipped
from apel.records import BlahdRecord

SAMPLE = (
    '"timestamp=2025-03-07 08:58:40" "userDN=/DC=org/DC=example/O=People/CN=Ada Researcher" '
    '"userFQAN=/atlas/Role=production/Capability=NULL" "userFQAN=/atlas/Role=NULL/Capability=NULL" '
    '"ceID=ce02.north.example:9619/ce02.north.example-condor" "jobID=5511.0_ce02.north.example" '
    '"lrmsID=90117.pbs.example" "localUser=cms003"'
)
TIME = 1741337920


def line(**changes):
    """A line with some items changed; an item changed to None is left out."""
    items = {
        "timestamp": "2025-03-07 08:58:40",
        "userDN": "/CN=Ada",
        "userFQAN": "/atlas/Role=production",
        "ceID": "ce:1/q",
        "jobID": "j",
        "lrmsID": "7",
    }
    items.update(changes)
    return " ".join('"%s=%s"' % item for item in items.items() if item[1] is not None)


def test_sample(blah):
    assert blah.parse(SAMPLE) == BlahdRecord.of(
        TimeStamp=TIME,
        GlobalUserName="/DC=org/DC=example/O=People/CN=Ada Researcher",
        FQAN="/atlas/Role=production/Capability=NULL",
        VO="atlas",
        VOGroup="/atlas",
        VORole="Role=production",
        CE="ce02.north.example:9619/ce02.north.example-condor",
        GlobalJobId="5511.0_ce02.north.example",
        LrmsId="90117.pbs.example",
        Site="s",
        ValidFrom=TIME - 86400,
        ValidUntil=TIME + 28 * 86400,
        Processed=0,
        MachineName="m",
    )


@pytest.mark.parametrize("text", [None, "", "undefined", "UNDEFINED"])
def test_token_job_without_dn(blah, text):
    """P20: kept, the user unknown, and counted."""
    assert blah.parse(line(userDN=text)).GlobalUserName is None
    assert blah.doubts == {"no userDN, recorded without it": 1}


@pytest.mark.parametrize("text", [None, "", "undefined", "UNDEFINED"])
def test_token_job_without_fqan(blah, text):
    """P20."""
    record = blah.parse(line(userFQAN=text))
    assert (record.FQAN, record.VO, record.VOGroup, record.VORole) == (None,) * 4
    assert record.GlobalUserName == "/CN=Ada"


def test_token_subject_and_group(blah):
    """P20: HTCondor-CE gives the token's subject and its first group."""
    record = blah.parse(line(userDN="5d1f-user", userFQAN="/cms/uscms"))
    assert (record.GlobalUserName, record.VO, record.VOGroup) == ("5d1f-user", "cms", "/cms/uscms")
    assert record.VORole is None


ISSUER, SUBJECT = "https://vo-auth.example/", "8a41d9f0-6e1c-4c5b-9b55-5a1f2a7c9d01"
BOTH = (ISSUER + " " + SUBJECT, ISSUER, SUBJECT)
ITEMS = {"AuthTokenIssuer": ISSUER, "AuthTokenSubject": SUBJECT}


@pytest.mark.parametrize(
    "items, whose",
    [
        (dict(ITEMS, userDN=SUBJECT), BOTH),
        (dict(ITEMS, userDN=None), BOTH),
        (dict(ITEMS, userDN="UNDEFINED"), BOTH),
        ({"userDN": SUBJECT, "AuthTokenIssuer": ISSUER}, BOTH),
        ({"userDN": ISSUER + " " + SUBJECT}, BOTH),
        ({"userDN": ISSUER + "," + SUBJECT}, BOTH),
        ({"userDN": ISSUER + "/" + SUBJECT}, BOTH),
        (dict(ITEMS, userDN=ISSUER + "," + SUBJECT), BOTH),
        # The routed job's own token is the compute element's.
        ({"orig_" + key: text for key, text in ITEMS.items()}, ("/CN=Ada", ISSUER, SUBJECT)),
        (
            {
                "userDN": SUBJECT,
                "orig_AuthTokenIssuer": ISSUER,
                "orig_AuthTokenSubject": SUBJECT,
                "AuthTokenIssuer": "ce",
                "AuthTokenSubject": "condor@ce",
            },
            BOTH,
        ),
        # HTCondor's own tokens, with which a compute element submits.
        (
            {"userDN": SUBJECT, "AuthTokenIssuer": "ce", "AuthTokenSubject": "condor@ce"},
            (SUBJECT, None, SUBJECT),
        ),
        (
            {"userDN": "undefined", "orig_AuthTokenSubject": SUBJECT, "AuthTokenIssuer": "https://ce/"},
            (SUBJECT, None, SUBJECT),
        ),
        # As shipped, HTCondor-CE writes the subject alone.
        ({"userDN": SUBJECT}, (SUBJECT, None, SUBJECT)),
        ({"userDN": None, "AuthTokenIssuer": ISSUER}, (None, ISSUER, None)),
        # A subject may be a URL; it is no issuer where the line names one.
        (
            {"userDN": "https://people.example/ada", "orig_AuthTokenIssuer": ISSUER},
            (ISSUER + " https://people.example/ada", ISSUER, "https://people.example/ada"),
        ),
        ({"userDN": ISSUER[:-1], "orig_AuthTokenIssuer": ISSUER}, (ISSUER[:-1], ISSUER, None)),
        (dict(ITEMS, userDN="CN=Ada,DC=org"), ("CN=Ada,DC=org", ISSUER, SUBJECT)),
        (dict(ITEMS, AuthTokenSubject="undefined", userDN="undefined"), (None, ISSUER, None)),
        ({"userDN": "CN=Ada,DC=org"}, ("CN=Ada,DC=org", None, None)),
        ({}, ("/CN=Ada", None, None)),
    ],
)
def test_tokens_issuer_and_subject(blah, items, whose):
    """P20: every form in which compute elements write them."""
    record = blah.parse(line(**items))
    assert (record.GlobalUserName, record.TokenIssuer, record.TokenSubject) == whose
    assert record.check() == record


@pytest.mark.parametrize("key", ["AuthTokenGroups", "orig_AuthTokenGroups"])
def test_tokens_groups(blah, key):
    """P20: however many."""
    many = ",".join("/vo/group%d" % number for number in range(300))
    record = blah.parse(line(**{"userFQAN": None, "AuthTokenGroups": "/other", key: "/cms, /cms/uscms"}))
    assert (record.TokenGroups, record.FQAN, record.VO) == ("/cms,/cms/uscms", None, None)
    record = blah.parse(line(**{key: many}))
    assert record.TokenGroups.startswith("/vo/group0,/vo/group1,")
    assert record.check() == record
    assert blah.parse(line(**{key: "undefined"})).TokenGroups is None


@pytest.mark.parametrize("key", list(ITEMS))
def test_token_that_cant_stand_in_a_record_loses_no_line(blah, key):
    """P20."""
    record = blah.parse(line(**dict(ITEMS, **{key: "https://" + "x" * 300})))
    assert record.LrmsId == "7"
    assert blah.doubts == {BAD_TOKEN: 1}


LONG_GROUP = "/vo" + "/group" * 50


@pytest.mark.parametrize(
    "fqan, kept, vo, role",
    [
        ("/vo/Role=%s/Capability=NULL" % ("r" * 240), "/vo/Role=" + "r" * 240, "vo", "Role=" + "r" * 240),
        ("/vo/Role=" + "r" * 300, "/vo", "vo", None),
        (LONG_GROUP + "/Role=pilot", LONG_GROUP[: 3 + 6 * 42], "vo", None),
        ("/" + "v" * 300, None, None, None),
        ("v" * 300, None, None, None),
    ],
)
def test_fqan_beyond_any_column_keeps_its_vo(blah, fqan, kept, vo, role):
    """P22: the line is not lost."""
    record = blah.parse(line(userFQAN=fqan))
    assert (record.FQAN, record.VO, record.VORole) == (kept, vo, role)
    assert blah.doubts["userFQAN longer than 255 characters, recorded as the longest group above it"] == 1
    assert record.check() == record


@pytest.mark.parametrize("key, field", [("userDN", "GlobalUserName"), ("jobID", "GlobalJobId")])
def test_names_beyond_any_column_lose_no_line(blah, key, field):
    """P22: no message can hold them; what is right of a job is kept."""
    assert getattr(blah.parse(line(**{key: "/" + "x" * 254})), field) == "/" + "x" * 254
    assert not blah.doubts
    record = blah.parse(line(**{key: "/" + "x" * 255}))
    assert (record.LrmsId, record.VO, getattr(record, field)) == ("7", "atlas", None)
    assert blah.doubts["%s longer than 255 characters, recorded without it" % key] == 1
    assert record.check() == record


def test_bare_vo_name(blah):
    """P20."""
    record = blah.parse(line(userFQAN="dteam"))
    assert (record.FQAN, record.VO, record.VOGroup, record.VORole) == ("dteam", "dteam", None, None)


def test_odd_order_first_fqan_wins(blah):
    """P20."""
    odd = (
        '"lrmsID=7"  "userFQAN=/cms/Role=pilot"\t"x=y" "jobID=j" "userFQAN=/cms" "ceID=ce:1/q" '
        '"timestamp=2025-03-07 08:58:40" "userDN=/CN=Ada"'
    )
    record = blah.parse(odd)
    assert (record.FQAN, record.VORole, record.LrmsId) == ("/cms/Role=pilot", "Role=pilot", "7")


def test_arc_without_voms(blah):
    assert blah.parse(line(userFQAN="/None/Role=NULL")).VO is None


def test_arc_escapes(blah):
    r"""P20: \" and \\ stand for " and \; any other backslash is itself."""
    record = blah.parse(line(userDN=r"/CN=\"Ada\" \\ B\xC3"))
    assert record.GlobalUserName == r'/CN="Ada" \ B\xC3'


@pytest.mark.parametrize("name", ["UTC", "Europe/London", "America/St_Johns"])
def test_same_times_on_every_host(options, zone, name):
    """P21."""
    zone(name)
    record = BlahParser(options).parse(SAMPLE)
    assert (record.TimeStamp, record.ValidFrom, record.ValidUntil) == (
        TIME,
        TIME - 86400,
        TIME + 28 * 86400,
    )


@pytest.mark.parametrize(
    "text", ["2025-03-07T08:58:40", "2025-03-07T08:58:40Z", "2025-03-07 09:58:40+01:00", str(TIME)]
)
def test_other_forms_of_time(blah, text):
    """P21."""
    assert blah.parse(line(timestamp=text)).TimeStamp == TIME


def test_autumn_hour_is_plain_in_utc(options, zone):
    """P21: BLAH's times have no hour twice."""
    zone("Europe/London")
    assert BlahParser(options).parse(line(timestamp="2025-10-26 01:30:00")).TimeStamp == 1761442200


def test_no_batch_id_is_skipped(blah):
    assert blah.parse(line(lrmsID="")) == Skipped("no lrmsID")


@pytest.mark.parametrize(
    "text, reason",
    [
        (line(lrmsID=None), "lrmsID is missing"),
        (line(ceID=""), "ceID is empty"),
        (line(timestamp=None), "timestamp is missing"),
        (line(timestamp="7 March"), "timestamp is not a time"),
        ('"timestamp"', "an item without ="),
        (line(userDN='/CN="Ada"'), "quotes"),
        ("timestamp=1", "quotes"),
        ('"a=b" c', "quotes"),
        ('"a=b', "quotes"),
    ],
)
def test_lines_that_fail_say_why(blah, text, reason):
    with pytest.raises(ParseError, match=reason):
        blah.parse(text)


def test_one_bad_line_among_good_ones(blah):
    """P7."""
    outcomes = blah.parse_lines([SAMPLE, "rubbish", "", SAMPLE])
    assert [type(outcome) for outcome in outcomes] == [BlahdRecord, Failed, Skipped, BlahdRecord]


def test_missing_job_id_loses_nothing(blah):
    assert blah.parse(line(jobID=None)).GlobalJobId is None
    assert blah.doubts == {"no jobID, recorded without it": 1}


def test_records_are_as_if_checked(blah):
    record = blah.parse(SAMPLE)
    assert record.check() == record
