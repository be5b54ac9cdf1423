"""Every setting of tests and benchmarks is told in docs/testing.md, and no other."""

import os
import re

NAME = re.compile(r"\bAPEL_(?:TEST|TESTS|BENCH|CHAOS)_[A-Z_]+\b")


def names_in(path):
    with open(path, encoding="utf-8") as stream:
        return set(NAME.findall(stream.read()))


def test_every_setting_is_told(root):
    used = set()
    for top in ("tests", "bench"):
        for folder, _, files in os.walk(os.path.join(root, top)):
            for name in files:
                if name.endswith(".py"):
                    used |= names_in(os.path.join(folder, name))
    assert used == names_in(os.path.join(root, "docs", "testing.md"))
