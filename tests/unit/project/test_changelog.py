"""The changelog, which git merges by keeping the lines of both sides, says nothing twice."""

import collections
import os
import re


def entries(root):
    with open(os.path.join(root, "CHANGELOG.md"), encoding="utf-8") as stream:
        return re.findall(r"^- (.+)$", stream.read(), re.MULTILINE)


def test_no_line_stands_twice(root):
    twice = [line for line, times in collections.Counter(entries(root)).items() if times > 1]
    assert twice == []
