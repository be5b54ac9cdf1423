"""The checkout itself as an object of tests: its modules, their syntax trees, what they import."""

import ast
import os
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
PACKAGES = ("apel", "apelcommon", "ssm")


class Module(NamedTuple):
    """One module of the packages: its dotted name, its path from the root, its text and syntax tree."""

    name: str
    path: str
    text: str
    tree: ast.Module

    def imports(self) -> Set[Tuple[str, int]]:
        """(dotted name imported, line) of all imports, inside functions too."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.update((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                # `from apel import db` imports apel.db, which only the second form tells.
                found.add((base, node.lineno))
                found.update(("%s.%s" % (base, alias.name), node.lineno) for alias in node.names)
        return found

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        is_package = os.path.basename(self.path) == "__init__.py"
        parts = parts[: len(parts) - node.level + (1 if is_package else 0)]
        return ".".join(parts + ([node.module] if node.module else []))


def all_modules() -> Iterator[Module]:
    """Every module of the packages, read but not imported."""
    for package in PACKAGES:
        for folder, _, files in sorted(os.walk(os.path.join(ROOT, package))):
            for file in sorted(files):
                if file.endswith(".py"):
                    yield read_module(os.path.relpath(os.path.join(folder, file), ROOT))


def read_module(path: str) -> Module:
    """The module in a file, named from the root."""
    dotted = path[: -len(".py")].replace(os.sep, ".")
    name = dotted[: -len(".__init__")] if dotted.endswith(".__init__") else dotted
    with open(os.path.join(ROOT, path), encoding="utf-8") as stream:
        text = stream.read()
    return Module(name, path, text, ast.parse(text, path))


@pytest.fixture(scope="session")
def root() -> str:
    """The folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def modules() -> List[Module]:
    """Every module of the packages."""
    return list(all_modules())


@pytest.fixture(scope="session")
def project_imports(modules: List[Module]) -> Dict[str, Set[str]]:
    """Module name -> all names it imports, through other modules of the project too."""
    direct = {module.name: {name for name, _ in module.imports()} for module in modules}
    closed = {}
    for name in direct:
        seen: Set[str] = set()
        waiting = [name]
        while waiting:
            for imported in direct.get(waiting.pop(), ()):
                if imported not in seen:
                    seen.add(imported)
                    waiting.append(imported)
        closed[name] = seen
    return closed
