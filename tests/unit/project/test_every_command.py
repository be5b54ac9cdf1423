"""What every command has: --check-config, and figures for Prometheus; those that have none, and why."""

import importlib
import os

import pytest

from apelcommon.command import Command
from apelcommon.config import OptionTable

#: Commands without --check-config, each with the reason.
UNCHECKED = {"ssmqueue": "it has no configuration: the queue is an argument"}
#: Commands without figures.
WITHOUT_FIGURES = {
    "ssmqueue": "it has no configuration, and ssmsend, ssmreceive and apeldbloader write those of queues",
    "apel": "it only tells what other programs did, which write figures of their own",
}


#: What a module writes figures with.
WRITERS = ("Metrics(", "recorded(", "SenderFigures(", "ReceiverFigures(")


def commands(root):
    """The module and the Command of each script in bin/, by name."""
    found = {}
    for name in sorted(os.listdir(os.path.join(root, "bin"))):
        package = "ssm" if name.startswith("ssm") else "apel"
        module = importlib.import_module("%s.commands.%s" % (package, name))
        (kind,) = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Command) and value.__module__ == module.__name__
        ]
        found[name] = (module, kind())
    return found


def options(command):
    return {text for action in command.parser()._actions for text in action.option_strings}


def called(module):
    """The texts of a command's module, and of those of the project that it takes something from."""
    names = {getattr(value, "__module__", getattr(value, "__name__", "")) for value in vars(module).values()}
    for name in {module.__name__, *(str(name) for name in names)}:
        if name.partition(".")[0] in ("apel", "ssm"):
            with open(importlib.import_module(name).__file__, encoding="utf-8") as stream:
                yield stream.read()


def test_every_command_can_check_its_configuration(root):
    """Issue: what an admin has written is tried before the night comes."""
    found = commands(root)
    assert len(found) >= 15
    without = {name for name, (_, command) in found.items() if "--check-config" not in options(command)}
    assert without == set(UNCHECKED)


def test_every_command_writes_figures(root):
    """Its configuration has [metrics] textfile, and it, or a module that it calls, writes figures."""
    without = set()
    for name, (module, _) in commands(root).items():
        tables = [value for value in vars(module).values() if isinstance(value, OptionTable)]
        declared = any(option[:2] == ("metrics", "textfile") for table in tables for option in table.options)
        texts = list(called(module))
        declared = declared or any("OptionTable" in text and "*METRICS" in text for text in texts)
        if not (declared and any(word in text for word in WRITERS for text in texts)):
            without.add(name)
    assert without == set(WITHOUT_FIGURES)


@pytest.mark.parametrize("exceptions", [UNCHECKED, WITHOUT_FIGURES])
def test_no_exception_outlives_its_command(root, exceptions):
    assert set(exceptions) <= set(commands(root))
