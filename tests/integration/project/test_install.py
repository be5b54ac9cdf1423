"""What pip installs must be whole: every package, every command, every schema and sample."""

import os
import shutil
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SOURCES = ("apel", "apelcommon", "ssm", "bin", "conf", "schemas", "setup.py", "README.md")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A prefix with the suite installed from a copy of the checkout: building leaves nothing there."""
    copy = tmp_path_factory.mktemp("source")
    prefix = tmp_path_factory.mktemp("prefix")
    for name in SOURCES:
        source = os.path.join(ROOT, name)
        if os.path.isdir(source):
            shutil.copytree(source, str(copy / name), ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, str(copy / name))
    words = ["--quiet", "--no-deps", "--no-build-isolation", "--ignore-installed", "--prefix", str(prefix)]
    subprocess.run([sys.executable, "-m", "pip", "install", *words, str(copy)], check=True)
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
    code = "import sys; from apelcommon.resources import resource; print(resource(*sys.argv[1:]))"
    for kind in ("schemas", "conf"):
        for folder, _, names in os.walk(os.path.join(ROOT, kind)):
            for name in names:
                inside = os.path.relpath(os.path.join(folder, name), os.path.join(ROOT, kind))
                found = run(installed, sys.executable, "-c", code, kind, inside)
                assert found == str(installed / "share" / "apel" / kind / inside)


def test_what_the_pages_need_is_there(installed):
    packages = next((installed / "lib").glob("python3*/site-packages"))
    assets = os.path.join("apel", "pubsync", "assets")
    assert os.listdir(str(packages / assets)) and sorted(os.listdir(str(packages / assets))) == sorted(
        os.listdir(os.path.join(ROOT, assets))
    )
