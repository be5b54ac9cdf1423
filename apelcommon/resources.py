"""Finds the schemas and samples that come with the suite, in a checkout or wherever it was installed.

setup.py installs the folders `schemas` and `conf` below PREFIX/share/apel. The prefix is an
ancestor of the installed package, whether that is a virtual environment, ~/.local, /usr or a --target
folder; and in a checkout the folders stand beside the packages. So one rule serves all: look upwards.
"""

import os
from typing import Iterator

from apelcommon.errors import ServiceError


def resource(kind: str, *names: str) -> str:
    """The path of a file that comes with the suite: resource('conf', 'client.cfg').

    Raises ServiceError, naming the file, when the installation lacks it.
    """
    for folder in _folders():
        path = os.path.join(folder, kind, *names)
        if os.path.exists(path):
            return path
    raise ServiceError(
        "The installation lacks %s: install the package again." % os.path.join("share", "apel", kind, *names)
    )


def schema_path(dialect: str, name: str) -> str:
    """The path of a database's schema: schema_path('mysql', 'client') for schemas/mysql/client.sql."""
    return resource("schemas", dialect, "%s.sql" % name)


def sample_path(name: str) -> str:
    """The path of a program's commented sample configuration: sample_path('client.cfg')."""
    return resource("conf", name)


def _folders() -> Iterator[str]:
    """Folders that may hold the resources, nearest first: the checkout, then each PREFIX/share/apel."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.exists(os.path.join(folder, "setup.py")):
        yield folder
    while True:
        yield os.path.join(folder, "share", "apel")
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent
