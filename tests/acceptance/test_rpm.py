"""The packages for EL7, 8 and 9: built, installed into a root, run there, upgraded to, removed."""

import configparser
import glob
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter

import elroot
import pytest
from elroot import ElRoot, build_spec, files_of, packages_by_name, run

from apel.samples import CES, SampleOptions, write_samples
from apelcommon import __version__
from servers.pki import slash_dn

PACKAGES = elroot.contents.PACKAGES
COMMANDS = [command for _, command in elroot.contents.all_of("commands")]
SECRETS = [c.name for package in PACKAGES.values() for c in package.configs if c.secret]
# systemd's own scale: 0 is nothing to gain, 10 is no protection at all. Older releases know less.
EXPOSURE = {"7": 7.0, "8": 2.7, "9": 2.0}
# Folders of the distribution.
SHARED = re.compile(
    r"/(etc|etc/logrotate\.d|run|usr/bin|usr/lib|usr/lib64|var/lib|var/log|var/spool|usr/share|usr/share/doc"
    r"|usr/share/licenses|usr/share/man/man1|usr/share/bash-completion/completions|usr/lib/systemd/system"
    r"|usr/lib/tmpfiles\.d|usr/lib/sysusers\.d|usr/lib/python3\.\d/site-packages)$"
)
LITERAL_MACRO = re.compile(r"%\{|%[a-z_?!]{3,}|@[A-Z_]+@")


@pytest.fixture(scope="module", params=["7", "8", "9"])
def el(request):
    """A release of EL."""
    return request.param


@pytest.fixture(scope="module")
def built(el, tmp_path_factory):
    """Name → path of the packages for the release, as `make rpm` builds them."""
    target = tmp_path_factory.mktemp("packages")
    done = run([sys.executable, os.path.join(elroot.ROOT, "rpm", "build.py"), el, "--target", str(target)])
    assert done
    return packages_by_name([str(path) for path in target.iterdir()])


@pytest.fixture(scope="module")
def root(el, built, tmp_path_factory):
    """A host with all packages, installed one after the other."""
    host = ElRoot(str(tmp_path_factory.mktemp("root")), el)
    host.install_base(str(tmp_path_factory.mktemp("base")))
    host.write("/usr/share/licenses/keep", "")
    host.before = host.everything("/")
    if host.python:
        host.add_python()
    for name in PACKAGES:
        assert host.rpm("-U", built[name]) == ""
    host.create_files()
    host.add_libraries()
    yield host
    host.remove()


@pytest.fixture(scope="module")
def files(built):
    """Every file of every package."""
    return [each for name in PACKAGES for each in files_of(built[name])]


def test_every_package_is_built(built):
    assert set(built) == set(PACKAGES)


def test_every_file_is_in_one_package(files):
    twice = {path: n for path, n in Counter(each.path for each in files).items() if n > 1}
    assert twice == {}


def test_every_folder_of_ours_is_in_a_package(files):
    """What no package owns stays for ever when the packages go."""
    paths = {each.path for each in files}
    folders = {os.path.dirname(path) for path in paths}
    assert [folder for folder in sorted(folders - paths) if not SHARED.match(folder)] == []


def test_owners_and_modes(files, root):
    assert {each.owner for each in files} == {"root:root", "apel:apel"}
    writable = [each for each in files if "w" in (each.mode[5], each.mode[8]) and each.mode[0] != "l"]
    assert writable == []
    by_path = {each.path: each for each in files}
    for name in SECRETS:
        assert by_path["/etc/apel/" + name][2:4] == ("-rw-------", "apel:apel")
    for name in ("log", "spool", "lib"):
        assert by_path["/var/%s/apel" % name].owner == "apel:apel"
    for name in COMMANDS:
        assert by_path["/usr/bin/" + name][2:4] == ("-rwxr-xr-x", "root:root")
    number = elroot.user_of(root)
    assert number and os.stat(root.path("/etc/apel/client.cfg")).st_uid == number


def test_admins_files_are_kept_by_upgrades(files):
    settings = [each for each in files if each.path.startswith("/etc/") and not each.is_directory]
    assert settings
    assert [each for each in settings if not {"c", "n"} <= set(each.flags)] == []


def test_every_command_comes_with_its_manual_page_and_completion(files):
    package_of = {each.path: each.package for each in files}
    for package, command in elroot.contents.all_of("commands"):
        for path in (
            "/usr/bin/%s",
            "/usr/share/man/man1/%s.1.gz",
            "/usr/share/bash-completion/completions/%s",
        ):
            assert package_of[path % command] == package


def test_nothing_is_left_unexpanded(built):
    for name, path in sorted(built.items()):
        text = run(["rpm", "-qp", "--scripts", "--requires", "--provides", "--conflicts", "-i", path])
        assert [line for line in text.splitlines() if LITERAL_MACRO.search(line)] == [], name


def test_rpmlint_is_content_but_for_the_listed_exceptions(built):
    words = ["rpmlint", "-c", os.path.join(elroot.ROOT, "rpm", "rpmlint.toml")]
    source = glob.glob(os.path.join(os.path.dirname(built["apel-lib"]), "*.src.rpm"))
    assert " 0 errors, 0 warnings" in run([*words, *source, *built.values()])


def test_installed_files_are_as_packaged(root):
    assert root.rpm("-V", *PACKAGES) == ""


def test_scriptlets_made_the_user_and_asked_systemd(root):
    assert elroot.user_of(root)
    asked = root.asked()
    for name in ("apel", "apel-parsers"):
        assert "systemd-tmpfiles --create /usr/lib/tmpfiles.d/%s.conf" % name in asked
    for unit in ("apeldbloader.service", "ssmreceive.service", "apelparser.timer"):
        assert any("preset" in line and unit in line for line in asked), unit


def test_files_of_the_user_are_there_and_come_back_at_boot(root):
    for _ in "after installing", "after booting":
        root.create_files()
        for path in ("/run/apel", "/var/log/apelparser.log"):
            assert os.stat(root.path(path)).st_uid == elroot.user_of(root), path
        os.rmdir(root.path("/run/apel"))
    root.create_files()


def test_units_are_right_and_shut_in(root, el):
    units = sorted(
        os.path.join("/usr/lib/systemd/system", unit) for _, unit in elroot.contents.all_of("units")
    )
    instances = [unit.replace("@.", "@main.") for unit in units]
    for target in ("sysinit", "basic", "shutdown", "multi-user", "network-online", "timers"):
        root.write("/usr/lib/systemd/system/%s.target" % target, "[Unit]\nDescription=stand-in\n")
    text = run(["systemd-analyze", "verify", "--man=no", "--root=" + root.folder, *instances])
    assert [line for line in text.splitlines() if "apel" in line or "ssm" in line] == []
    services = [root.path(unit) for unit in units if unit.endswith(".service")]
    for service in services:
        words = ["systemd-analyze", "security", "--offline=true", "--threshold=%d" % (EXPOSURE[el] * 10)]
        run([*words, service])


def test_the_release_knows_every_directive_of_its_units(root):
    for _, unit in elroot.contents.all_of("units"):
        names = re.findall(r"^([A-Za-z]+)=", root.read("/usr/lib/systemd/system/" + unit), re.MULTILINE)
        assert [name for name in names if elroot.units.SINCE.get(name, 0) > root.release.systemd] == [], unit


def need_python(root):
    if not root.python:
        pytest.skip("Python %s was not found here" % root.release.python_version)


def test_every_command_runs(root):
    need_python(root)
    for command in COMMANDS:
        assert __version__ in root.chroot("/usr/bin/" + command, "--version")


def test_no_module_lacks_a_library(root):
    """All modules can be imported, from site-packages and the private path."""
    need_python(root)
    code = (
        "import sys, pkgutil, importlib, warnings; sys.path.insert(0, %r)\n"
        "warnings.filterwarnings('ignore', message='Python 3.6 is no longer supported')\n"
        "import apel, apelcommon, ssm\n"
        "for top in (apel, apelcommon, ssm):\n"
        "    for found in pkgutil.walk_packages(top.__path__, top.__name__ + '.'):\n"
        "        importlib.import_module(found.name)\n" % root.release.private
    )
    assert root.chroot(root.release.python, "-c", code) == ""


def test_byte_code_is_packaged_and_right(root):
    need_python(root)
    before = root.everything("/usr/lib", "/usr/lib64")
    root.chroot("/usr/bin/apelclient", "--version", user="root")
    assert root.everything("/usr/lib", "/usr/lib64") == before


def set_options(root, name, **sections):
    """Edit a configuration file as an admin does, keeping its owner and mode."""
    parser = configparser.RawConfigParser()
    parser.read(root.path("/etc/apel/" + name))
    for section, options in sections.items():
        for option, value in options.items():
            parser.set(section, option, str(value))
    with open(root.path("/etc/apel/" + name), "w", encoding="utf-8") as stream:
        parser.write(stream)


@pytest.fixture
def configured(root, el, mariadb, activemq, pki):
    """The host as a site and a centre in one: its shipped files, with what an admin fills in."""
    need_python(root)
    certificate, key = pki.issue("el%s.example.org" % el)
    root.add_file(certificate, "/etc/grid-security/hostcert.pem")
    root.add_file(key, "/etc/grid-security/hostkey.pem", owner="apel")
    shutil.copytree(pki.ca_dir, root.path("/etc/grid-security/certificates"))
    root.write("/etc/apel/dns", slash_dn(certificate) + "\n")
    root.write("/etc/hosts", "127.0.0.1 localhost\n")
    site_db, central_db = (
        mariadb.options_for(mariadb.new_database()),
        mariadb.options_for(mariadb.new_database()),
    )
    broker = {"host": activemq.host, "port": activemq.tls_port, "use_ssl": "true"}
    queue = {"destination": "/queue/packages-el%s" % el}
    set_options(
        root,
        "parser.cfg",
        db=site_db,
        site_info={"site_name": "SITE", "lrms_server": "batch.example.org"},
        blah={"dir": "/srv/logs/blah"},
        batch={"type": "SLURM", "dir": "/srv/logs/batch", "filename_prefix": "slurm_acc"},
    )
    specs = {"manual_spec%d" % n: "%s,HEPscore23,10.0" % ce for n, ce in enumerate(CES, 1)}
    set_options(root, "client.cfg", db=site_db, spec_updater=dict(specs, enabled="false", site_name="SITE"))
    set_options(root, "sender.cfg", sender={"protocol": "STOMP"}, broker=broker, messaging=queue)
    set_options(root, "receiver.cfg", receiver={"protocol": "STOMP"}, broker=broker, messaging=queue)
    set_options(root, "db.cfg", db=central_db)
    return root


def test_sites_jobs_become_the_centres_sums(configured):
    """The whole job by the installed commands as the user apel, with the libraries that the release has."""
    truth = write_samples(configured.path("/srv/logs"), SampleOptions(jobs=300, users=20))
    for command in (
        ["apeldb", "init", "-c", "/etc/apel/client.cfg"],
        ["apeldb", "init", "-c", "/etc/apel/db.cfg", "--schema", "server"],
        ["apelparser"],
        ["apelclient"],
        ["ssmreceive", "--once", "--timeout", "2"],
        ["apeldbloader", "--once"],
        ["apelsummariser"],
    ):
        configured.chroot(*command)
    report = json.loads(configured.chroot("apelreport", "--by", "month,vo", "--json"))
    assert jobs_of(report) == {key: total["jobs"] for key, total in truth.items()}
    for name in ("apelparser", "apel/client", "apel/ssmreceive", "apel/loader", "apel/summariser"):
        assert configured.exists("/var/log/%s.log" % name), name


def jobs_of(report):
    rows = report["rows"] if isinstance(report, dict) else report
    return {"%s %s" % (row["month"], row["vo"]): row["jobs"] for row in rows}


WRITER = """
import logging, sys
from types import SimpleNamespace
from apelcommon import logs
logs.set_up(SimpleNamespace(logfile='/var/log/apel/loader.log', level='INFO', console=False))
for line in sys.stdin:
    logging.info('line %s', line.strip())
    print(flush=True)
"""


def test_hook_of_old_slurm_configurations_still_writes_its_line(root):
    """Sites have /usr/share/apel/slurm_acc.sh as job-completion hook; it vanishing would lose every job."""
    root.write("/usr/bin/sacct", '#!/bin/sh\nshift $(($# - 1))\necho "line of $1"\n', 0o755)
    root.chroot("sh", "/usr/share/apel/slurm_acc.sh", JOBID="4711")
    (name,) = [name for name in os.listdir(root.path("/var/log/apel")) if name.startswith("slurm_acc.2")]
    assert root.read("/var/log/apel/" + name) == "line of 4711\n"


def test_rotation_loses_no_line_and_asks_for_a_hangup(root):
    need_python(root)
    root.asked()
    words = [elroot.CHROOT, "--userspec=apel:apel", root.folder, root.release.python, "-c", WRITER]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        for number in range(400):
            writer.stdin.write(b"%d\n" % number)
            writer.stdin.flush()
            if number % 100 == 50:
                root.chroot(
                    "logrotate", "-f", "-s", "/tmp/state", "/etc/logrotate.d/apel-server", user="root"
                )
            assert writer.stdout.readline()
        writer.stdin.close()
    text = root.chroot("sh", "-c", "gzip -cdf /var/log/apel/loader.log*", user="root")
    assert sorted(map(int, re.findall(r" line (\d+)$", text, re.MULTILINE))) == list(range(400))
    assert root.exists("/var/log/apel/loader.log.4.gz") or root.exists("/var/log/apel/loader.log.4")
    assert any("kill" in line and "HUP" in line and "apeldbloader.service" in line for line in root.asked())


def test_every_rotation_is_understood(root):
    for name in os.listdir(root.path("/etc/logrotate.d")):
        said = root.chroot("logrotate", "-d", "/etc/logrotate.d/" + name, user="root")
        assert "error" not in said.lower(), said


# ---------------------------------------------------------------- from the incumbent, and back


@pytest.fixture(scope="module")
def incumbent(el, tmp_path_factory):
    """Packages with the incumbent's names, files and owners."""
    with open(
        os.path.join(elroot.ROOT, "tests", "data", "rpm", "incumbent.spec"), encoding="utf-8"
    ) as stream:
        text = stream.read()
    version = elroot.releases.RELEASES[el].python_version
    folder = tmp_path_factory.mktemp("incumbent")
    return packages_by_name(build_spec(text, str(folder), python_version=version))


@pytest.fixture
def old_host(el, incumbent, tmp_path, tmp_path_factory):
    """A host with the incumbent, its configuration edited, as the cron of root left it."""
    host = ElRoot(str(tmp_path / "root"), el)
    host.install_base(str(tmp_path_factory.mktemp("base")))
    host.rpm("-U", *incumbent.values())
    for name in ("client.cfg", "parser.cfg", "db.cfg", "dns"):
        with open(host.path("/etc/apel/" + name), "a", encoding="utf-8") as stream:
            stream.write("edited\n")
    host.write("/var/log/apel/client.log", "a line\n")
    host.write("/var/spool/apel/outgoing/00000000/0123456789abcd/body", "a message\n")
    yield host
    host.remove()


def test_upgrade_from_the_incumbent_keeps_what_was_edited(old_host, built, el):
    host = old_host
    host.write("/var/log/apelparser.log", "a line\n")
    said = host.rpm("-U", *(built[name] for name in PACKAGES))
    host.create_files()
    assert sorted(set(host.rpm("-qa", "--qf", "%{VERSION}\\n").split()) - {el}) == [__version__]
    for name in ("client.cfg", "parser.cfg", "db.cfg", "dns"):
        assert host.read("/etc/apel/" + name).endswith("edited\n")
        assert host.exists("/etc/apel/%s.rpmnew" % name)
    for name in ("sender.cfg", "loader.cfg"):
        assert not host.read("/etc/apel/" + name).startswith("old")
    assert host.read("/var/spool/apel/outgoing/00000000/0123456789abcd/body") == "a message\n"
    number = elroot.user_of(host)
    for path in (
        "/var/log/apel/client.log",
        "/var/log/apelparser.log",
        "/var/spool/apel/outgoing/00000000",
        "/run/apel",
        "/etc/apel/client.cfg",
        "/etc/apel/parser.cfg",
        "/etc/apel/db.cfg",
    ):
        assert os.stat(host.path(path)).st_uid == number, path
    old_module = "%s/apel/db/records.py" % host.release.site_packages
    assert not host.exists(old_module)
    for unit in ("apeldbloader.service", "ssmreceive.service"):
        assert host.exists("/etc/systemd/system/%s.rpmsave" % unit)
        assert unit in said
    for name in ("apelparser", "apelclient", "ssmsend"):
        assert "import main" in host.read("/usr/bin/" + name)


def test_dnf_finds_the_way_from_the_incumbent(old_host, built):
    """As a user does it: one `dnf upgrade` brings all packages, and the new one that they need."""
    old_host.dnf("upgrade", repository=os.path.dirname(built["apel-lib"]))
    installed = dict(
        line.split() for line in old_host.rpm("-qa", "--qf", "%{NAME} %{VERSION}\n").splitlines()
    )
    assert installed.pop("el-base")
    assert installed == dict.fromkeys(PACKAGES, __version__)


def test_dnf_installs_a_site_and_nothing_of_the_centre(built, el, tmp_path):
    host = ElRoot(str(tmp_path / "root"), el)
    host.install_base(str(tmp_path / "base"))
    host.dnf("install", "apel-parsers", "apel-client", repository=os.path.dirname(built["apel-lib"]))
    site = {"el-base", "apel-common", "apel-lib", "apel-ssm", "apel-parsers", "apel-client"}
    assert set(host.rpm("-qa", "--qf", "%{NAME}\n").split()) == site
    host.remove()


def test_one_can_go_back_to_the_incumbent(old_host, built, incumbent):
    host = old_host
    host.rpm("-U", *(built[name] for name in PACKAGES))
    old = os.path.dirname(incumbent["apel-lib"])
    host.dnf("--allowerasing", "downgrade", *incumbent, repository=old)
    assert not host.exists("/usr/lib/tmpfiles.d/apel.conf")
    assert host.read("/usr/bin/apelclient").startswith("old")
    assert host.exists("%s/apel/db/records.py" % host.release.site_packages)
    for name in ("client.cfg", "parser.cfg", "db.cfg"):
        assert host.read("/etc/apel/" + name).endswith("edited\n")
    assert host.exists("/var/spool/apel/outgoing/00000000/0123456789abcd/body")


def test_packages_of_both_do_not_mix(old_host, built):
    """The modules of one under the commands of the other would fail at night."""
    with pytest.raises(AssertionError, match="conflicts with|needed by"):
        old_host.rpm("-U", built["apel-common"], built["apel-lib"])


def test_removal_leaves_only_what_was_written(root):
    """Runs last: it takes the packages away."""
    root.asked()
    assert [line for line in root.rpm("-e", *PACKAGES).splitlines() if ".rpmsave" not in line] == []
    asked = "\n".join(root.asked())
    for unit in ("apeldbloader.service", "ssmreceive.service", "apelparser.timer", "apelclient.timer"):
        assert re.search("disable --now .*%s" % re.escape(unit), asked), unit
    left = set(root.everything("/etc", "/usr")) - set(root.before)
    mine = [path for path in left if re.search("apel|ssm", path) and not path.endswith(".rpmsave")]
    allowed = ("/etc/apel", "/etc/apel/dns")
    assert sorted(set(mine) - set(allowed)) == []
