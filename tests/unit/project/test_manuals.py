"""Manual pages, completions and the reference say what the commands' arguments and option tables say."""

import difflib
import importlib.util
import os
import subprocess

import pytest


@pytest.fixture(scope="module")
def manuals(root):
    path = os.path.join(root, "tools", "manuals.py")
    spec = importlib.util.spec_from_file_location("manuals_tool", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rendered(manuals):
    return manuals.render()


def arguments_of(manual):
    return [*manual.arguments, *(each for _, part in manual.parts for each in part.arguments)]


def test_generated_files_are_up_to_date(rendered, root):
    """If not: `make manuals`."""
    for path, text in sorted(rendered.items()):
        with open(os.path.join(root, path), encoding="utf-8") as stream:
            difference = difflib.unified_diff(
                stream.read().splitlines(), text.splitlines(), path, "make manuals", lineterm="", n=0
            )
        assert list(difference) == [], "%s is not what `make manuals` writes" % path


@pytest.mark.parametrize("folder", ["man", "completions"])
def test_no_generated_file_is_of_a_command_that_is_gone(rendered, root, folder):
    found = {"%s/%s" % (folder, name) for name in os.listdir(os.path.join(root, folder))}
    assert found == {path for path in rendered if path.startswith(folder + "/")}


def test_every_command_has_an_example_and_every_argument_help(manuals):
    for manual in manuals.manuals():
        assert manual.example.startswith(manual.name), manual.name
        assert manual.description and manual.summary
        assert [each.heading for each in arguments_of(manual) if not each.help] == [], manual.name


def test_every_option_is_in_the_reference_and_in_a_manual_page(manuals, rendered):
    for manual in manuals.manuals():
        page = rendered["man/%s.1" % manual.name]
        for name, table in manual.tables:
            for option in table.options:
                assert "\n.B %s\n" % option.name.replace("-", "\\-") in page, (name, option.name)
                assert "\n| `%s` |" % option.name in rendered["docs/reference-options.md"]


def complete(root, command, *words):
    """What bash offers after the words."""
    script = (
        '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _$1; '
        'printf "%s\\n" "${COMPREPLY[@]}" | sort'
    )
    path = os.path.join(root, "completions", command)
    done = subprocess.run(
        ["bash", "-euc", script, "bash", path, command, *words], stdout=subprocess.PIPE, check=True
    )
    return done.stdout.decode().split()


def test_completion_offers_options_words_and_files(root):
    assert complete(root, "apelclient", "--che") == ["--check-config"]
    assert complete(root, "apelcollect", "") == ["htcondor", "slurm"]
    assert complete(root, "apeldb", "--schema", "se") == ["server"]
    # Nothing of ours: bash goes on with the names of files.
    assert complete(root, "apelclient", "--config", "/etc/") == []


def test_every_completion_is_bash(root):
    folder = os.path.join(root, "completions")
    for name in os.listdir(folder):
        subprocess.run(["bash", "-n", os.path.join(folder, name)], check=True)
