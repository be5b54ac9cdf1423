"""The sample configurations and the option tables are one thing: neither says more than the other."""

import difflib
import glob
import os

import pytest
from optiontables import TABLES

from apelcommon.errors import ConfigError


@pytest.fixture(scope="module")
def samples(root):
    """The files of conf/, by name."""
    found = {}
    for path in sorted(glob.glob(os.path.join(root, "conf", "*.cfg"))):
        with open(path, encoding="utf-8") as stream:
            found[os.path.basename(path)] = stream.read()
    return found


def of_all_options(test):
    options = [(table, option) for table in TABLES for option in table.options]
    names = ["%s-%s.%s" % (table.program, option.section, option.name) for table, option in options]
    return pytest.mark.parametrize(("table", "option"), options, ids=names)(test)


of_all_tables = pytest.mark.parametrize("table", TABLES, ids=[table.program for table in TABLES])


@of_all_options
def test_option_has_help(table, option):
    assert option.help.strip(), "[%s] %s of %s has no help" % (option.section, option.name, table.program)
    assert option.help.strip().endswith((".", ")", ":")), "help is a sentence: %r" % option.help


@of_all_tables
def test_sample_in_conf_is_the_tables(table, samples):
    sample = table.sample()
    if sample not in samples.values():
        text = "no file in conf/ is %s's sample; the nearest differs so:\n%s"
        pytest.fail(text % (table.program, nearest_difference(sample, samples)), pytrace=False)


def test_every_sample_belongs_to_a_command(samples):
    texts = {table.sample() for table in TABLES}
    assert [name for name, text in samples.items() if text not in texts] == []


@of_all_tables
def test_sample_is_read_but_for_what_the_site_must_fill_in(table):
    try:
        table.parse(table.sample(), "sample")
    except ConfigError as err:
        assert not [text for text in err.problems if "unknown" in text]


@of_all_tables
def test_sample_holds_nothing_obsolete(table):
    """A new site's first run warns of nothing that the site has not written itself."""
    assert [
        key for key in table.obsolete if key in {(each.section, each.name) for each in table.options}
    ] == []


def nearest_difference(sample, samples):
    differences = [
        list(
            difflib.unified_diff(text.splitlines(), sample.splitlines(), name, "the table", lineterm="", n=1)
        )
        for name, text in samples.items()
    ]
    return "\n".join(min(differences, key=len)) if differences else "(conf/ is empty)"
