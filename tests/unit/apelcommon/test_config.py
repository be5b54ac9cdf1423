"""Configuration files: everything wrong is said at once, and old files keep working."""

import pytest

from apelcommon.config import LOGGING, REQUIRED, Option, OptionTable
from apelcommon.errors import ConfigError

TABLE = OptionTable(
    "example",
    [
        Option("db", "hostname", "text", "localhost", "Where the database is."),
        Option("db", "port", "integer", 3306, "Its port."),
        Option("db", "password", "text", "", "Its password."),
        Option("unloader", "dir_location", "path", REQUIRED, "Where messages go."),
        Option("unloader", "interval", "choice", "latest", "What is sent.", choices=("latest", "gap", "all")),
        Option("unloader", "gap_start", "date", None, "First day of the gap."),
        Option("unloader", "include_vos", "words", [], "Only these VOs."),
        Option("unloader", "send_summaries", "boolean", False, "Whether summaries are sent."),
        Option("unloader", "filename_pattern", "pattern", None, "Which files."),
        Option("specs", "spec_value", "number", None, "A benchmark."),
        Option("specs", "manual_spec#", "text", None, "A benchmark by hand.", sample="CE,HEPscore23,10.0"),
        *LOGGING("/var/log/apel/example.log"),
    ],
    obsolete={("db", "network"): "no longer used"},
    introduction="An example.",
)
GOOD = "[unloader]\ndir_location = /spool\n"


def problems_of(text):
    with pytest.raises(ConfigError) as caught:
        TABLE.parse(text, "example.cfg")
    return caught.value.problems


def test_config_errors_are_all_listed_at_once():
    """C11: unknown option, unknown section, wrong types, missing option: one error lists them all."""
    found = problems_of("[db]\nhostnam = x\nport = 33o6\n[unlaoder]\na = 1\n[logging]\nlevel = loud\n")
    text = "\n".join(found)
    assert len(found) == 5
    assert "example.cfg: [db] unknown option hostnam; did you mean hostname?" in found
    assert "unknown section [unlaoder]; did you mean unloader?" in text
    assert "[db] port is '33o6', but must be a whole number" in text
    assert "[unloader] dir_location is missing, as is its whole section" in text
    assert "[logging] level is 'loud', but must be one of DEBUG, INFO" in text


def test_config_error_ends_with_usage_status():
    assert ConfigError("x").exit_status == 2


@pytest.mark.parametrize(
    "line, words",
    [
        ("interval = lately", "must be one of latest, gap, all"),
        ("gap_start = 2026-13-01", "must be a date like"),
        ("gap_start = 2026-02-30", "must be a date like"),
        ("gap_start = 0000-01-01", "must be a date like"),
        ("send_summaries = maybe", "must be true or false"),
        ("send_summaries = true # yes", "a comment must stand on a line of its own"),
        ("filename_pattern = [a", "no regular expression"),
    ],
)
def test_config_wrong_value_is_named_with_its_option(line, words):
    """C11: the message names file, section and option, and says what would be right."""
    (problem,) = problems_of(GOOD + line + "\n")
    assert problem.startswith("example.cfg: [unloader] %s " % line.split()[0])
    assert words in problem


@pytest.mark.parametrize("value", ["nan", "inf", "ten"])
def test_config_number_must_be_finite(value):
    (problem,) = problems_of(GOOD + "[specs]\nspec_value = %s\n" % value)
    assert "[specs] spec_value is '%s'" % value in problem


def test_config_reads_what_the_incumbent_reads():
    """Names in any case, `:` as well as `=`, `%%` for a per cent sign; a lone one is taken as it is."""
    settings = TABLE.parse("[db]\nHostName: db1\npassword = 100%%sure%\n" + GOOD + "include_vos = a, b,\n")
    assert settings.db.hostname == "db1"
    assert settings.db.port == 3306
    assert settings.db.password == "100%sure%"
    assert settings.unloader.include_vos == ["a", "b"]
    assert settings.unloader.gap_start is None
    assert settings.logging.level == "INFO"


def test_config_empty_list_is_no_filter():
    """`include_vos =` left empty means no filter (the incumbent then sent nothing at all)."""
    assert TABLE.parse(GOOD + "include_vos =\n").unloader.include_vos == []


def test_config_numbered_options_come_in_order():
    settings = TABLE.parse(GOOD + "[specs]\nmanual_spec10 = c\nmanual_spec2 = b\nmanual_spec1 = a\n")
    assert settings.specs.manual_spec == [
        ("manual_spec1", "a"),
        ("manual_spec2", "b"),
        ("manual_spec10", "c"),
    ]


def test_config_obsolete_option_is_accepted_with_a_hint():
    settings = TABLE.parse("[db]\nnetwork = PROD\n" + GOOD)
    assert settings.hints == ["<text>: [db] network: no longer used"]


def test_config_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="Config file not found at .*none.cfg"):
        TABLE.read(str(tmp_path / "none.cfg"))
    with pytest.raises(ConfigError, match="client.cfg: copy .*/conf/client.cfg there and edit it"):
        TABLE.read(str(tmp_path / "client.cfg"))


def test_config_file_that_is_no_ini_is_named(tmp_path):
    path = tmp_path / "bad.cfg"
    path.write_text("hostname = x\n")
    with pytest.raises(ConfigError, match=r"bad\.cfg"):
        TABLE.read(str(path))


def test_config_sample_holds_every_option_and_reads_back():
    sample = TABLE.sample()
    for option in TABLE.options:
        assert option.name.replace("#", "1") + " =" in sample
    settings = TABLE.parse(sample.replace("dir_location =", "dir_location = /spool"))
    assert settings.unloader.interval == "latest"
    assert settings.specs.manual_spec == []


def test_config_defaults_take_values_by_name():
    settings = TABLE.defaults({"unloader.dir_location": "/spool", "db.port": 1})
    assert (settings.unloader.dir_location, settings.db.port, settings.db.hostname) == (
        "/spool",
        1,
        "localhost",
    )
    with pytest.raises(ConfigError, match=r"unknown option db\.prot"):
        TABLE.defaults({"unloader.dir_location": "/spool", "db.prot": 1})
    with pytest.raises(ConfigError, match=r"no value for unloader\.dir_location"):
        TABLE.defaults()


def test_option_of_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="no such kind"):
        Option("a", "b", "colour")
