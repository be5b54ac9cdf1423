"""Every bad day that docs/bad-days.md tells has a test that names it, and no test names another."""

import ast
import glob
import os
import re

DAY = re.compile(r"\b[PCSD]\d{1,2}\b")


def docstrings(folder):
    for path in sorted(glob.glob(os.path.join(folder, "**", "*.py"), recursive=True)):
        with open(path, encoding="utf-8") as stream:
            tree = ast.parse(stream.read())
        told = (ast.FunctionDef, ast.ClassDef, ast.Module)
        yield from (ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, told))


def test_every_bad_day_has_a_test_and_every_test_one_that_is_told(root):
    with open(os.path.join(root, "docs", "bad-days.md"), encoding="utf-8") as stream:
        told = set(re.findall(r"^\| ([PCSD]\d+) \|", stream.read(), re.MULTILINE))
    tested = {day for text in docstrings(os.path.join(root, "tests")) for day in DAY.findall(text)}
    assert len(told) > 60
    assert tested == told
