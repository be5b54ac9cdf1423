"""The page on the architecture names every part there is, and none that is not."""

import os
import re

PARTS = ("ssm", "apelcommon", "schemas", "conf", "man", "completions", "rpm", "tests", "bench")


def parts(root):
    """Packages, and the modules that lie beside them in apel/, from the root."""
    found = {part + "/" for part in PARTS}
    for name in os.listdir(os.path.join(root, "apel")):
        if name.endswith(".py") and name != "__init__.py":
            found.add("apel/" + name)
        elif os.path.isfile(os.path.join(root, "apel", name, "__init__.py")):
            found.add("apel/%s/" % name)
    return found


def test_every_part_is_told(root):
    with open(os.path.join(root, "docs", "architecture.md"), encoding="utf-8") as stream:
        text = stream.read()
    rows = re.findall(r"^\| (`.+?) \| ", text, re.MULTILINE)
    told = {part for row in rows for part in re.findall(r"`([^`]+)`", row)}
    assert told == parts(root)


def test_files_that_are_named_are_there(root):
    with open(os.path.join(root, "docs", "architecture.md"), encoding="utf-8") as stream:
        named = set(re.findall(r"`((?:apel|ssm|apelcommon|tests|bench|rpm|bin)/[\w/.]*)`", stream.read()))
    assert [path for path in sorted(named) if not os.path.exists(os.path.join(root, path))] == []
