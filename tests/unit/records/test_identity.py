"""FQANs: the VO, group and role they name; users that are tokens."""

import pytest
from hypothesis import given
from strategies import texts

from apel.identity import (
    NO_TOKEN,
    WITHHELD,
    Token,
    fqan_of,
    groups_text,
    parse_fqan,
    token_groups,
    token_of,
)
from apel.records import JobRecord


@pytest.mark.parametrize(
    "fqan, identity",
    [
        ("/atlas/Role=production/Capability=NULL", ("atlas", "/atlas", "Role=production")),
        ("/cms/uscms/Role=NULL/Capability=NULL", ("cms", "/cms/uscms", "Role=NULL")),
        ("/ops", ("ops", "/ops", None)),
        (
            "/vo.example.org/role=VO-Admin;/vo.example.org",
            ("vo.example.org", "/vo.example.org", "role=VO-Admin"),
        ),
        ("dteam", ("dteam", None, None)),
        ("/ops/Capability=NULL", ("ops", "/ops/Capability=NULL", None)),
        ("/cms/ROLE=pilot/sub", ("cms", "/cms", "ROLE=pilot")),
        # The incumbent has an empty text for the VO here; an absent name is None for us.
        ("/", (None, None, None)),
        ("//", (None, None, None)),
        (";/ops", (None, None, None)),
    ],
)
def test_fqan(fqan, identity):
    assert parse_fqan(fqan) == identity


@given(fqan=texts())
def test_any_fqan_gives_names_that_a_record_may_hold(fqan):
    for name, value in zip(("VO", "VOGroup", "VORole"), parse_fqan(fqan)):
        field = JobRecord.fields[JobRecord.names.index(name)]
        assert field.clean(value) == value


ISSUER, SUBJECT = "https://vo-auth.example/", "8a41d9f0-6e1c-4c5b-9b55-5a1f2a7c9d01"


@pytest.mark.parametrize(
    "user, token",
    [
        (ISSUER + " 5d1f-user", (ISSUER, "5d1f-user")),
        (ISSUER + " a subject, with more", (ISSUER, "a subject, with more")),
        (ISSUER + ",5d1f-user", (ISSUER, "5d1f-user")),
        ("https://vo-auth.example,x,y", ("https://vo-auth.example", "x,y")),
        ("http://localhost:8080/iam x", ("http://localhost:8080/iam", "x")),
        # An issuer with a slash at its end, and one without.
        (ISSUER + "/" + SUBJECT, (ISSUER, SUBJECT)),
        (
            "https://cilogon.example/dune/" + SUBJECT.upper(),
            ("https://cilogon.example/dune", SUBJECT.upper()),
        ),
        (ISSUER, NO_TOKEN),
        (ISSUER + ",", NO_TOKEN),
        (ISSUER + "5d1f-user", NO_TOKEN),
        ("https:// x", NO_TOKEN),
        ("httpd x", NO_TOKEN),
        (SUBJECT, NO_TOKEN),
        ("/DC=org/CN=Ada", NO_TOKEN),
        ("/CN=" + ISSUER + " x", NO_TOKEN),
        ("withheld", NO_TOKEN),
        (None, NO_TOKEN),
    ],
)
def test_user_of_a_token(user, token):
    """P20."""
    assert token_of(user) == token


@given(issuer=texts(), subject=texts())
def test_user_is_split_into_what_it_was_made_of(issuer, subject):
    token = Token("https://" + "".join(issuer.replace(",", "").split()) + "x", subject.strip() or "x")
    user = token.user
    assert len(user) <= 255 or user == token.subject
    if user != token.subject:
        assert token_of(user) == token


def test_user_for_whom_there_is_no_room_is_the_subject():
    assert Token(ISSUER, "x" * 250).user == "x" * 250
    assert Token(ISSUER, None).user is None
    assert NO_TOKEN.user is None


@pytest.mark.parametrize(
    "text", ["/cms,/cms/uscms", " /cms , /cms/uscms ", '{ "/cms", "/cms/uscms" }', "['/cms' '/cms/uscms']"]
)
def test_lists_of_groups(text):
    assert token_groups(text) == ("/cms", "/cms/uscms")
    assert groups_text(token_groups(text)) == "/cms,/cms/uscms"


def test_odd_groups_are_none():
    assert token_groups("undefined") == token_groups("") == token_groups("/a%%b,/c\x07") == ()
    assert groups_text(()) is None


def test_as_many_groups_as_there_is_room_for():
    """The primary one first, and none in part."""
    groups = tuple("/vo/group%d" % number for number in range(500))
    text = groups_text(groups)
    assert 1010 < len(text) <= 1024
    assert groups[: text.count(",") + 1] == tuple(text.split(","))
    assert len(groups_text(("/" + "x" * 1023,))) == 1024


def test_withheld_names_are_told_by_one_word():
    assert WITHHELD == "withheld"


@pytest.mark.parametrize(
    "identity, fqan",
    [
        (("cms", "/cms/uscms", "Role=pilot"), "/cms/uscms/Role=pilot"),
        (("cms", "/cms", None), "/cms"),
        (("cms", None, "Role=pilot"), "/cms/Role=pilot"),
        (("cms", None, None), "cms"),
        (("cms", "/atlas", "Role=pilot"), "cms"),
        (("a/b", None, None), "a/b"),
        (("/a/b", None, None), None),
    ],
)
def test_fqan_that_says_a_vo(identity, fqan):
    """With the group of another VO it is left out."""
    assert fqan_of(*identity) == fqan
    if fqan is not None:
        assert parse_fqan(fqan)[0] == identity[0]
