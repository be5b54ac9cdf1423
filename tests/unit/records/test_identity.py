"""FQANs: the VO, group and role they name."""

import pytest
from hypothesis import given
from strategies import texts

from apel.identity import WITHHELD, parse_fqan
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


def test_withheld_names_are_told_by_one_word():
    assert WITHHELD == "withheld"
