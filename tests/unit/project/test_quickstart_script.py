"""The quick start's script on a host that lacks Python's venv: what it asks of which package manager."""

import os
import shutil
import subprocess

import pytest

# A Python without venv, until a package manager has been asked.
PYTHON = '#!/bin/sh\necho "$*" >>asked\ncase "$*" in *ensurepip*) exit 1;; esac\n'
MANAGER = '#!/bin/sh\necho "${0##*/} $*" >>asked\n'


@pytest.fixture
def host(tmp_path):
    """A folder that is all of PATH, and the working directory."""
    for tool in ("sh", "dirname", "mkdir", "touch", "cat"):
        os.symlink(shutil.which(tool), str(tmp_path / tool))
    program(tmp_path, "python3", PYTHON)
    program(tmp_path, "id", "#!/bin/sh\necho 0\n")
    return tmp_path


def program(folder, name, text):
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def run(host, root):
    """Run the script as far as it gets; what it asked, and what it said."""
    settings = {"PATH": str(host), "APEL_QUICKSTART_VENV": str(host / "venv")}
    done = subprocess.run(
        [str(host / "sh"), os.path.join(root, "quickstart")],
        cwd=str(host),
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    asked = (host / "asked").read_text().splitlines() if (host / "asked").exists() else []
    return asked, done.stderr.decode()


@pytest.mark.parametrize("managers", [["dnf", "yum"], ["yum"]])
def test_el_installs_with_what_it_has(host, root, managers):
    """EL8 and 9 have dnf (and yum as another name of it), EL7 yum alone."""
    for name in managers:
        program(host, name, MANAGER)
    asked, _ = run(host, root)
    assert asked[1:3] == [
        "%s install -y -q python3 python3-pip" % managers[0],
        "-m venv %s" % (host / "venv"),
    ]


def test_who_is_not_root_is_told_what_root_can_do(host, root):
    program(host, "id", "#!/bin/sh\necho 1000\n")
    program(host, "dnf", MANAGER)
    asked, said = run(host, root)
    assert "apt-get install python3-venv, or dnf install python3-pip" in said
    assert not any(line.startswith("dnf") for line in asked)
