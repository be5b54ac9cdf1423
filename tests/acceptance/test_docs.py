"""The documentation becomes a site without a warning: every page is in its menu, no link leads nowhere."""

import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def build(folder, target):
    words = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-f",
        os.path.join(folder, "mkdocs.yml"),
    ]
    return subprocess.run([*words, "-d", str(target)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_documentation_is_built(tmp_path):
    done = build(ROOT, tmp_path)
    assert done.returncode == 0, done.stdout.decode()
    pages = {name[: -len(".md")] for name in os.listdir(os.path.join(ROOT, "docs")) if name.endswith(".md")}
    assert {
        name for name in pages if name != "index" and not (tmp_path / name / "index.html").exists()
    } == set()
    assert (tmp_path / "flow.svg").exists()


@pytest.mark.parametrize("line", ["[gone](gone.md)", "[gone](install.md#gone)"])
def test_a_link_that_leads_nowhere_is_found(tmp_path, line):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "install.md").write_text("# Installing\n")
    (tmp_path / "docs" / "index.md").write_text("# Index\n\n%s\n" % line)
    with open(os.path.join(ROOT, "mkdocs.yml"), encoding="utf-8") as stream:
        settings = stream.read().partition("nav:\n  - Over")[0]
    (tmp_path / "mkdocs.yml").write_text(settings)
    assert build(str(tmp_path), tmp_path / "site").returncode != 0
