"""Every option table of the suite, found in the commands' modules."""

import importlib
import pkgutil

import apel.commands
import ssm.commands
from apelcommon.config import OptionTable


def tables():
    """Every option table that a command's module has, by program (a shared one once)."""
    found = {}
    for package in (apel.commands, ssm.commands):
        for entry in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module("%s.%s" % (package.__name__, entry.name))
            for value in vars(module).values():
                if isinstance(value, OptionTable):
                    found[id(value)] = value
    return sorted(found.values(), key=lambda table: table.program)


TABLES = tables()
