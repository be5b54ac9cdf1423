"""Everything of the suite is in one package, and what is said of the packages is so: no build is needed."""

import configparser
import os
import re
import sys
from collections import Counter

import pytest
from optiontables import TABLES

from apel.star import SOURCES


def load(root, name):
    """A module of rpm/, which is no package."""
    sys.path.insert(0, os.path.join(root, "rpm"))
    try:
        return __import__(name)
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def contents(root):
    return load(root, "contents")


@pytest.fixture(scope="module")
def releases(root):
    return load(root, "releases").RELEASES


@pytest.fixture(scope="module")
def units(root):
    return load(root, "units")


def listed(root, *folder):
    return sorted(name for name in os.listdir(os.path.join(root, *folder)) if not name.startswith("."))


def read(root, *path):
    with open(os.path.join(root, *path), encoding="utf-8") as stream:
        return stream.read()


@pytest.mark.parametrize(
    ("attribute", "folder"),
    [
        ("commands", ["bin"]),
        ("configs", ["conf"]),
        ("units", ["rpm", "systemd"]),
        ("scripts", ["rpm", "compat"]),
    ],
)
def test_every_file_is_in_one_package(contents, root, attribute, folder):
    """Whoever adds a command, sample or unit says in rpm/contents.py which package it is in."""
    assert sorted(name for _, name in contents.all_of(attribute)) == listed(root, *folder)


@pytest.mark.parametrize("attribute", ["logrotate", "tmpfiles"])
def test_every_other_file_is_in_one_package(contents, root, attribute):
    named = [getattr(package, attribute) for package in contents.PACKAGES.values()]
    assert sorted(filter(None, named)) == listed(root, "rpm", attribute)


def test_every_schema_is_where_old_instructions_load_it_from(contents, root):
    links = dict(link for package in contents.PACKAGES.values() for link in package.links)
    assert links == {name: "schemas/mysql/" + name for name in listed(root, "schemas", "mysql")}


def test_every_module_is_in_one_package(contents, root):
    tops = [name for name in listed(root) if os.path.exists(os.path.join(root, name, "__init__.py"))]
    packaged = sorted(module for _, module in contents.all_of("modules"))
    assert packaged == [top for top in tops if top not in ("bench", "tests")]


def test_every_log_is_rotated_once(contents, root):
    """Of all programs whose option table names a log file."""
    names = [package.logrotate for package in contents.PACKAGES.values() if package.logrotate]
    rotated = Counter(
        line
        for name in names
        for line in read(root, "rpm", "logrotate", name).splitlines()
        if line[:1] == "/"
    )
    logs = {option.default for table in TABLES for option in table.options if option.name == "logfile"}
    assert {log: rotated[log] for log in logs if rotated[log] != 1} == {}


def test_files_that_hold_a_secret_are_for_the_user_apel_alone(contents):
    secret = {each.name for package in contents.PACKAGES.values() for each in package.configs if each.secret}
    holding = set()
    for table in TABLES:
        if {option.name for option in table.options} & {"password", "token"}:
            holding |= {name for name in sample_names(contents) if sample_is(table, name)}
    assert holding and holding <= secret


def sample_names(contents):
    return [name for _, name in contents.all_of("configs")]


def sample_is(table, name):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    return read(root, "conf", name) == table.sample()


def test_a_unit_starts_a_command_of_its_package_or_of_one_it_needs(contents, root):
    owner = {command: package for package, command in contents.all_of("commands")}
    needs = {contents.LOADER_SERVICE: contents.SERVER, contents.SSM_SERVICE: contents.SSM}
    for package, unit in contents.all_of("units"):
        found = re.search(r"^ExecStart=/usr/bin/(\w+)", read(root, "rpm", "systemd", unit), re.MULTILINE)
        if unit.endswith(".service"):
            assert owner[found.group(1)] in (package, needs.get(package)), unit
        else:
            assert unit.replace(".timer", ".service") in contents.PACKAGES[package].units


def test_scriptlets_know_every_unit(contents, root):
    """On removal each is stopped; at first, presets decide on what can be enabled."""
    parts = re.split(r"^%(\w+) -n (\S+)\n", specification(root), flags=re.MULTILINE)
    scriptlets = {(kind, package): text for kind, package, text in zip(parts[1::3], parts[2::3], parts[3::3])}
    for package, unit in contents.all_of("units"):
        words = scriptlets["preun", package].replace("'", "").split()
        assert unit.replace("@.", "@*.") in words or unit.replace("@.", "@slurm.") in words, unit
        if "[Install]" in read(root, "rpm", "systemd", unit) and "@." not in unit:
            assert unit in scriptlets["post", package].split(), unit


def test_removal_leaves_no_timer_of_storage_enabled(root):
    """Its link would be there for ever, and in force at once when the package comes back."""
    (measured,) = re.findall(r'for what in (.*); do\n.*disable "apelstar@\$what\.timer"', specification(root))
    assert measured.split() == sorted(SOURCES)


def specification(root):
    return read(root, "rpm", "apel.spec.in")


def directives(text):
    return re.findall(r"^([A-Za-z]+)=(.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("systemd", [219, 239, 252])
def test_units_hold_only_what_the_release_knows(contents, units, root, systemd):
    for _, unit in contents.all_of("units"):
        text = units.adapt(read(root, "rpm", "systemd", unit), systemd)
        assert [name for name, _ in directives(text) if units.SINCE.get(name, 0) > systemd] == []
        assert ("ProtectSystem=strict" in text) == (systemd >= 232 and unit.endswith(".service"))


def test_newest_units_are_as_written(contents, units, root):
    for _, unit in contents.all_of("units"):
        assert units.adapt(read(root, "rpm", "systemd", unit), 252) == read(root, "rpm", "systemd", unit)


def test_old_timers_still_spread(units):
    assert units.adapt("[Timer]\nRandomizedDelaySec=2h\n", 219) == "[Timer]\nAccuracySec=2h\n"


def test_old_systemd_lets_units_write_below_etc_as_well(contents, units, root):
    """ProtectSystem=full shuts it, so that apelauth could not have replaced its lists on EL7."""
    open_paths = {}
    for _, unit in contents.all_of("units"):
        text = units.adapt(read(root, "rpm", "systemd", unit), 219)
        assert "ProtectSystem=full" in text or not unit.endswith(".service")
        open_paths[unit] = dict(directives(text)).get("ReadWriteDirectories")
    assert {unit: paths for unit, paths in open_paths.items() if paths} == {"apelauth.service": "-/etc/apel"}


def test_what_units_may_write_is_where_the_samples_write(contents, root):
    """A unit whose program logs or queues elsewhere would fail on its first night."""
    writable = re.compile(r"/(var/(log|spool|lib|run)|run)/apel(/|$)|/var/log/apelparser\.log$")
    for table in TABLES:
        for option in table.options:
            if (
                option.name in ("logfile", "msgpath", "pidfile", "dir_location", "lockfile")
                and option.default
            ):
                assert writable.match(option.default), (table.program, option.name)


def test_daemons_are_watched_and_started_again(contents, root):
    for _, unit in contents.all_of("units"):
        parser = configparser.RawConfigParser(strict=False)
        parser.optionxform = str
        parser.read_string(read(root, "rpm", "systemd", unit))
        if parser.get("Service", "Type", fallback="") == "notify":
            service = dict(parser["Service"])
            assert service["Restart"] == "on-failure"
            assert service["WatchdogSec"] and service["ExecReload"]
        elif unit.endswith(".timer"):
            assert parser.get("Timer", "RandomizedDelaySec")


def test_every_service_is_shut_in_alike(contents, root):
    """A directive that one unit has been given, and another not, was forgotten there."""
    services = [unit for _, unit in contents.all_of("units") if unit.endswith(".service")]
    sandboxes = {}
    for unit in services:
        names = [name for name, _ in directives(read(root, "rpm", "systemd", unit))]
        sandboxes[unit] = set(names[names.index("NoNewPrivileges") :]) - {
            "AmbientCapabilities",
            "WantedBy",
            "Alias",
        }
    assert {unit: sandboxes[unit] for unit in services if sandboxes[unit] != sandboxes[services[0]]} == {}


def test_documentation_says_which_package_brings_a_command(contents, root):
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", read(root, "docs", "install.md"), re.MULTILINE))
    for package, command in contents.all_of("commands"):
        assert "`%s`" % command in rows[package], command


def test_documentation_says_which_units_there_are(contents, root):
    """But for the services that a timer starts; units in instances are told by an example."""
    text = re.sub("@[A-Za-z]+[.]", "@.", read(root, "docs", "install.md"))
    units = [unit for _, unit in contents.all_of("units")]
    shown = [
        unit for unit in units if unit.endswith(".timer") or unit.replace(".service", ".timer") not in units
    ]
    assert [unit for unit in shown if "`%s`" % unit not in text] == []


def test_bundled_wheels_are_pinned_by_hash(releases, root):
    for el, release in releases.items():
        lines = read(root, "rpm", "bundled", "el%s.txt" % el).splitlines()
        pinned = [re.fullmatch(r"(\S+)==(\S+) --hash=sha256:[0-9a-f]{64}", line) for line in lines[1:]]
        assert {found.groups() for found in pinned} == {(each.pip, each.version) for each in release.bundled}


def test_what_setup_requires_is_required_or_bundled(releases, root):
    """On each release; what only tests or extras need is not."""
    text = read(root, "setup.py")
    block = text[text.index("install_requires=[") : text.index("extras_require=")]
    wanted = {
        name.lower() for name in re.findall(r'^ +"([A-Za-z0-9_.-]+?)(?:[<>=\[].*)?",$', block, re.MULTILINE)
    }
    for release in releases.values():
        had = {each.pip.lower() for each in (*release.required, *release.bundled)}
        assert sorted(wanted - had) == []


def test_documentation_says_where_the_libraries_come_from(releases, root):
    text = read(root, "docs", "install.md")
    for el, release in releases.items():
        for each in release.required:
            row = "| EL%s | `%s` | %s | %s |" % (el, each.rpm, each.repository, each.has)
            assert row in text, row
        for each in release.bundled:
            row = "| EL%s | %s %s | %s |" % (el, each.pip, each.version, each.licence)
            assert row in text, row


def test_documentation_has_pip_install_sources(root):
    """APEL is in no package index: pip is given `.` or `.[extra]`, with extras that setup.py has."""
    setup = read(root, "setup.py")
    pages = [os.path.join("docs", name) for name in listed(root, "docs") if name.endswith(".md")]
    texts = [read(root, page) for page in ("README.md", *pages)]
    given = [words for text in texts for words in re.findall(r"pip install ([^\n`#]*)", text)]
    assert given
    for words in given:
        assert not re.search(r"\bapel\b", words), words
        extras = re.findall(r"\[([a-z,]+)\]", words)
        assert all('"%s":' % extra in setup for group in extras for extra in group.split(",")), words
