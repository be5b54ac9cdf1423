"""parser.cfg: all that is wrong is said at once; old files keep working."""

import os

import pytest

from apel.ingest.options import TABLE
from apelcommon.errors import ConfigError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

# As the incumbent ships it, with a site's own values.
OLD = """
[db]
hostname = localhost
port = 3306
name = apelclient
username = apel
password = 100%%
[site_info]
site_name = TEST-SITE
lrms_server = batch.example.org
[blah]
enabled = true
dir = /var/log/cream/accounting
filename_prefix = blahp.log
subdirs = false
[batch]
enabled = true
reparse = false
type = SLURM
parallel = true
dir = /var/log/apel
filename_prefix =
subdirs = false
[logging]
logfile = /var/log/apelparser.log
level = INFO
console = true
"""


def problems(text):
    with pytest.raises(ConfigError) as caught:
        TABLE.parse(text, "parser.cfg")
    return caught.value.problems


def test_old_file_keeps_working():
    settings = TABLE.parse(OLD)
    assert settings.db.password == "100%"
    assert settings.batch.type == "SLURM"
    assert settings.batch.filename_prefix == ""
    assert settings.batch.filename_pattern is None


def test_batch_type_in_any_case():
    assert TABLE.parse(OLD.replace("type = SLURM", "type = Slurm")).batch.type == "SLURM"


def test_all_errors_at_once():
    """C11."""
    text = OLD.replace("[site_info]\nsite_name = TEST-SITE\n", "[site_info]\nsite_name =\nsitename = x\n")
    text = text.replace("port = 3306", "port = many").replace("parallel = true", "paralel = true")
    text = text.replace("dir = /var/log/apel\n", "dir =\n")
    found = "\n".join(problems(text))
    for words in (
        "parser.cfg: [site_info] unknown option sitename; did you mean site_name?",
        "[site_info] site_name is empty",
        "[db] port is 'many'",
        "[batch] unknown option paralel; did you mean parallel?",
        "[batch] dir is empty, but [batch] enabled is true",
    ):
        assert words in found


@pytest.mark.parametrize(
    "name, words",
    [
        ("OpenLava", "'OpenLava', but must be the name of a batch system"),
        ("", "is empty"),
    ],
)
def test_wrong_batch_type(name, words):
    """C11."""
    (problem,) = problems(OLD.replace("type = SLURM", "type = " + name))
    assert words in problem


def test_disabled_batch_needs_nothing():
    start, end = OLD.index("[batch]"), OLD.index("[logging]")
    TABLE.parse(OLD[:start] + "[batch]\nenabled = false\n" + OLD[end:])


def test_missing_section():
    """C11."""
    found = problems(OLD.replace("[site_info]\nsite_name = TEST-SITE\nlrms_server = batch.example.org\n", ""))
    assert len(found) == 2
    assert all("[site_info]" in problem and "missing" in problem for problem in found)


def test_shipped_file_is_the_tables():
    with open(os.path.join(ROOT, "conf", "parser.cfg"), encoding="utf-8") as stream:
        assert stream.read() == TABLE.sample()


def test_shipped_file_lacks_only_what_a_site_must_say():
    found = problems(TABLE.sample())
    assert [problem.split("] ")[1].split()[0] for problem in found] == [
        "site_name",
        "lrms_server",
        "type",
        "dir",
    ]
