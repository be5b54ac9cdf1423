"""The version stands in one place, and everything that tells it tells that one."""

import glob
import importlib
import os
import re
import subprocess
import sys

import pytest

import apel
import apelcommon
import ssm

VERSION_LINES = {
    "apelparser": "APEL parser %s",
    "apelclient": "APEL client %s",
    "apeldbloader": "Starting APEL dbloader %s",
    "apeldbunloader": "Starting APEL dbunloader %s",
    "apelsummariser": "APEL summariser %s",
    "apelauth": "APEL auth %s",
    "ssmsend": "SSM %s",
    "ssmreceive": "SSM %s",
    "ssmqueue": "SSM %s",
}


def commands():
    """(package, name) of every command, as its script in bin/ imports it."""
    found = []
    for path in sorted(glob.glob(os.path.join(os.path.dirname(apel.__path__[0]), "bin", "*"))):
        with open(path, encoding="utf-8") as stream:
            found.append(
                re.search(r"^from (\w+)\.commands\.(\w+) import main$", stream.read(), re.M).groups()
            )
    return found


def test_packages_share_one_version():
    assert apel.__version__ == ssm.__version__ == apelcommon.__version__


def test_no_other_module_states_the_version(modules):
    stating = [module.path for module in modules if '"%s"' % apelcommon.__version__ in module.text]
    assert stating == [os.path.join("apelcommon", "__init__.py")]


def test_setup_reads_the_version_without_importing(root):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "setup.py", "--version"],
        cwd=root,
        stdout=subprocess.PIPE,
        check=True,
        universal_newlines=True,
    )
    assert done.stdout.split()[-1] == apelcommon.__version__


@pytest.mark.parametrize(("package", "name"), commands())
def test_command_tells_the_version(package, name, capsys):
    """Where the incumbent has the command, its words are kept."""
    module = importlib.import_module("%s.commands.%s" % (package, name))
    assert module.main(["--version"]) == 0
    printed = capsys.readouterr().out.strip()
    words = VERSION_LINES.get(name)
    assert printed == words % apelcommon.__version__ if words else apelcommon.__version__ in printed
