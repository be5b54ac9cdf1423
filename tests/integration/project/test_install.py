"""What pip installs must be whole: as a source package, as a wheel made of it, and as installed from that."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
QUIET = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
NOT_COPIED = shutil.ignore_patterns(
    ".*", "__pycache__", "build", "dist", "site", "*.egg-info", "data", "quickstart-*"
)


def checkout(*folder):
    """The names in a folder of the checkout."""
    return sorted(name for name in os.listdir(os.path.join(ROOT, *folder)) if not name.startswith("."))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The source package, made from a copy of the checkout: building leaves nothing there."""
    copy = tmp_path_factory.mktemp("checkout") / "apel"
    shutil.copytree(ROOT, str(copy), ignore=NOT_COPIED)
    target = tmp_path_factory.mktemp("sdist")
    words = [sys.executable, "-W", "ignore", "setup.py", "-q", "sdist", "--formats=gztar", "-d", str(target)]
    subprocess.run(words, cwd=str(copy), check=True, stderr=subprocess.DEVNULL)
    (made,) = target.iterdir()
    return str(made)


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """The wheel, made of the source package alone: what that lacks, it lacks."""
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "wheel", *QUIET, "-w", str(target), sdist], check=True)
    (made,) = target.iterdir()
    return str(made)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A prefix with the wheel installed."""
    prefix = tmp_path_factory.mktemp("prefix")
    words = [*QUIET, "--ignore-installed", "--prefix", str(prefix)]
    subprocess.run([sys.executable, "-m", "pip", "install", *words, wheel], check=True)
    return prefix


def run(installed, *words):
    """Run a command of the installation from elsewhere; what it prints."""
    packages = next((installed / "lib").glob("python3*/site-packages"))
    done = subprocess.run(
        words,
        cwd=str(installed),
        env=dict(os.environ, PYTHONPATH=str(packages)),
        stdout=subprocess.PIPE,
        universal_newlines=True,
        check=True,
    )
    return done.stdout.strip()


def test_every_command_runs(installed):
    for name in sorted(os.listdir(os.path.join(ROOT, "bin"))):
        assert run(installed, str(installed / "bin" / name), "--version")


def test_every_schema_and_sample_is_found(installed):
    code = (
        "import sys; from apelcommon.resources import resource\n"
        "for path in sys.argv[1:]: print(resource(*path.split('/', 1)))"
    )
    wanted = []
    for kind in ("schemas", "conf"):
        for folder, _, names in os.walk(os.path.join(ROOT, kind)):
            wanted += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
    found = run(installed, sys.executable, "-c", code, *wanted).splitlines()
    assert found == [str(installed / "share" / "apel" / path) for path in wanted]


def test_source_package_holds_the_project(sdist):
    """Whoever has only this can test, package and document it."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in (
        "bin",
        "conf",
        "docs",
        "man",
        "completions",
        "rpm/systemd",
        "rpm/bundled",
        "tools",
        "tests",
    ):
        wanted = {"%s/%s" % (folder, name) for name in checkout(*folder.split("/")) if name != "__pycache__"}
        assert wanted - names - {"tests/data"} == set()
    assert {"mkdocs.yml", "Makefile", "runtests", "quickstart", "rpm/apel.spec.in", "LICENSE"} <= names


def test_wheel_is_for_every_python_and_machine_and_brings_no_tests(wheel):
    assert wheel.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if "-" not in top} == {"apel", "apelcommon", "ssm"}


def test_commands_are_those_of_the_checkout(installed):
    assert sorted(path.name for path in (installed / "bin").iterdir()) == checkout("bin")


@pytest.mark.parametrize(
    ("folder", "target"), [("man", "share/man/man1"), ("completions", "share/bash-completion/completions")]
)
def test_manual_pages_and_completions_are_where_they_are_looked_for(installed, folder, target):
    assert sorted(path.name for path in (installed / target).iterdir()) == checkout(folder)


def test_database_is_made_without_a_checkout(installed, tmp_path):
    (tmp_path / "db.cfg").write_text("[db]\nbackend = sqlite\nname = %s\n" % (tmp_path / "centre.db"))
    words = [str(installed / "bin" / "apeldb"), "init", "-c", str(tmp_path / "db.cfg"), "--schema", "server"]
    assert "is in place" in run(installed, *words)


def test_extras_are_documented(wheel):
    """But for what only developers need."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    with open(os.path.join(ROOT, "docs", "install.md"), encoding="utf-8") as stream:
        documented = set(re.findall(r"^\| `(\w+)` \| ", stream.read().partition("## pip")[2], re.MULTILINE))
    extras = set(re.findall(r"^Provides-Extra: (\S+)$", text, re.MULTILINE))
    assert extras - {"test", "lint", "docs", "fuzz"} == documented
