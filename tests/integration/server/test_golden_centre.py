"""The incumbent's messages, loaded and summarised here, give the incumbent's central views (slurm)."""

import glob
import os
import pathlib
from decimal import Decimal
from typing import Any, Iterator, List, Tuple

import pytest
from centre import Centre

from apel.times import epoch_from_text
from servers.databases import BACKENDS, fresh_database

GOLDEN = str(pathlib.Path(__file__).parents[2] / "data" / "golden" / "slurm")
VIEWS = sorted(os.path.basename(path)[:-4] for path in glob.glob(os.path.join(GOLDEN, "server", "*.tsv")))


@pytest.fixture(params=BACKENDS, scope="module")
def golden_centre(request: Any, tmp_path_factory: Any) -> Iterator[Centre]:
    """A centre that has loaded and summarised the golden messages."""
    folder = tmp_path_factory.mktemp("golden")
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    for db in fresh_database("server", folder, server):
        centre = Centre(folder / "spool", db)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("apel.times.now", lambda: epoch_from_text("2026-11-22 00:00:00"))
            load_golden(centre)
        yield centre


def load_golden(centre: Centre) -> None:
    """Load and summarise the incumbent's messages."""
    for path in sorted(glob.glob(os.path.join(GOLDEN, "messages", "*.txt"))):
        with open(path, encoding="utf-8") as stream:
            centre.deliver(stream.read())
    centre.loader().step()
    centre.summarise()
    assert centre.rejected() == []


def test_there_are_golden_views() -> None:
    assert len(VIEWS) == 9


@pytest.mark.parametrize("view", VIEWS)
def test_the_central_view_is_the_incumbents(golden_centre: Centre, view: str) -> None:
    columns, expected = _golden(view)
    found = golden_centre.rows("SELECT %s FROM %s" % (", ".join(columns), view))
    assert sorted(map(_comparable, found)) == sorted(map(_comparable, expected))


def _golden(view: str) -> Tuple[List[str], List[Any]]:
    with open(os.path.join(GOLDEN, "server", view + ".tsv"), encoding="utf-8") as stream:
        head, *lines = stream.read().splitlines()
    return head.split("\t"), [line.split("\t") for line in lines]


def _comparable(row: Any) -> Tuple[str, ...]:
    """Numbers as numbers: the back ends write 10, 10.0 and 10.000."""
    return tuple(map(_one, row))


def _one(value: Any) -> str:
    text = str(value)
    try:
        return str(Decimal(text).normalize() + 0) if not text.isdigit() else str(int(text))
    except ArithmeticError:
        return text
