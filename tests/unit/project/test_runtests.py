"""runtests must leave the machine as it was, take the right versions, and call no failure a success."""

import importlib.util
import os
import signal
import subprocess
import sys
from importlib.machinery import SourceFileLoader

import pytest


@pytest.fixture(scope="module")
def runtests(root):
    loader = SourceFileLoader("runtests_script", os.path.join(root, "runtests"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = keep
    return module


@pytest.mark.parametrize("own", [None, "#!/bin/sh\nexit 0\n"])
def test_the_machines_policy_on_daemons_is_put_back(runtests, monkeypatch, tmp_path, own):
    policy = tmp_path / "policy-rc.d"
    if own:
        policy.write_text(own)
    monkeypatch.setattr(runtests, "POLICY", str(policy))
    with pytest.raises(KeyboardInterrupt), runtests.no_daemons():
        assert "exit 101" in policy.read_text()
        raise KeyboardInterrupt
    assert [path.read_text() for path in tmp_path.iterdir()] == ([own] if own else [])


@pytest.mark.parametrize(
    ("version", "file"),
    [((3, 6, 15), "py36"), ((3, 8, 1), "py36"), ((3, 9, 2), "py39"), ((3, 14, 0), "newest")],
)
def test_each_python_has_its_pins(runtests, version, file):
    path = runtests.constraints(runtests.Interpreter(version, "python"))
    assert os.path.basename(path) == file + ".txt"
    assert os.path.exists(path)


def test_a_python_that_does_not_run_is_passed_over(runtests, tmp_path):
    broken = tmp_path / "python3.9"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    assert runtests.version_of(str(broken)) is None
    assert runtests.version_of(str(tmp_path / "none")) is None
    assert runtests.version_of(sys.executable) == sys.version_info[:3]


def test_missing_pythons_are_named(runtests, capsys):
    mine = sys.version_info[:2]
    found = {mine: runtests.Interpreter(sys.version_info[:3], sys.executable)}
    assert runtests.others(found) == []
    printed = capsys.readouterr().out
    assert [name for name in ("3.6", "3.9") if "Python %s was not found" % name in printed] == [
        name for name in ("3.6", "3.9") if name != "%d.%d" % mine
    ]


@pytest.fixture
def printing(runtests, tmp_path):
    """Starts a run that prints a text, slowly, and ends with a status."""

    def start(status, text):
        output = tmp_path / text.strip("= ").replace(" ", "-")
        code = "import sys, time; print('begins', flush=True); time.sleep(0.3); print(%r); sys.exit(%d)"
        with output.open("wb") as stream:
            process = subprocess.Popen([sys.executable, "-c", code % (text, status)], stdout=stream)
        return runtests.Run(process, str(output))

    return start


@pytest.mark.parametrize("status", [0, 1])
def test_a_run_is_shown_to_its_last_line(runtests, printing, capfdbinary, status):
    assert runtests.follow(printing(status, "== 9 passed ==")) == (status, "== 9 passed ==")
    assert capfdbinary.readouterr().out == b"begins\n== 9 passed ==\n"


def test_a_run_is_ended_with_us(runtests, printing, monkeypatch):
    run = printing(0, "== 9 passed ==")
    monkeypatch.setattr(runtests, "start_tests", lambda python, words, zone="": run)

    def interrupted(run):
        raise KeyboardInterrupt

    monkeypatch.setattr(runtests, "follow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runtests.run_tests(runtests.Interpreter((3, 11, 0), "mine"), [])
    assert run.process.returncode == -signal.SIGTERM


def test_failure_on_another_python_has_the_last_word(runtests, printing, monkeypatch, capsys):
    mine = runtests.Interpreter((3, 11, 0), "mine")
    older = runtests.Interpreter((3, 6, 0), "older")
    runs = {mine: (0, "== 9 passed =="), older: (1, "== 1 failed ==")}
    monkeypatch.setattr(runtests, "others", lambda found: [older])
    monkeypatch.setattr(runtests, "start_tests", lambda python, words, zone="": printing(*runs[python]))
    assert runtests.run_all(mine, {}) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "== 1 failed =="


def test_a_run_that_collects_nothing_has_failed(runtests, monkeypatch):
    monkeypatch.setattr(runtests, "run_tests", lambda python, words, zone="": (5, ""))
    assert runtests.main(["--no-system", "-k", "no_such_test"]) == 1


def test_missing_programs_are_named_to_who_is_not_root(runtests, monkeypatch, capsys):
    monkeypatch.setattr(
        runtests, "NEEDS", [runtests.Need("Frobnicator", ("frob-nic",), ("frob",), ("frob",))]
    )
    monkeypatch.setattr(runtests.os, "getuid", lambda: 1000)
    runtests.system_packages()
    assert "Frobnicator is missing; install it (frob)" in capsys.readouterr().out


def test_on_el_dnf_installs_what_its_repositories_have(runtests, monkeypatch):
    """One name that no repository knows must not keep the others away."""
    asked = []
    needs = [
        runtests.Need("Frob", ("frob-nic",), ("frob",), ("frob-el",)),
        runtests.Need("X", ("x-y",), ("x",), ()),
    ]
    monkeypatch.setattr(runtests, "NEEDS", needs)
    monkeypatch.setattr(runtests.os, "getuid", lambda: 0)
    monkeypatch.setattr(
        runtests.shutil, "which", lambda name, path=None: "/usr/bin/dnf" if name == "dnf" else None
    )
    monkeypatch.setattr(runtests.subprocess, "run", lambda words, **more: asked.append(words))
    monkeypatch.setattr(runtests, "can_make_venvs", lambda python: True)
    runtests.system_packages()
    assert asked == [["dnf", "-y", "-q", "--setopt=strict=0", "install", "frob-el"]]
