"""The incumbent's messages, loaded and summarised here, give the incumbent's central views (slurm)."""

import glob
import os
from decimal import Decimal
from typing import Any, Iterator, List, Tuple

import pytest
from centre import Centre, make_schema

from apel.commands.server_config import DB_TABLE
from apel.db import open_database
from apel.times import epoch_from_text

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "golden", "slurm")
VIEWS = sorted(os.path.basename(path)[:-4] for path in glob.glob(os.path.join(GOLDEN, "server", "*.tsv")))


@pytest.fixture(params=["sqlite", pytest.param("mysql", marks=pytest.mark.server)], scope="module")
def golden_centre(request: Any, tmp_path_factory: Any) -> Iterator[Centre]:
    """A centre that has loaded and summarised the golden messages."""
    folder = tmp_path_factory.mktemp("golden")
    values = {"db.backend": "sqlite", "db.name": str(folder / "db.sqlite")}
    if request.param == "mysql":
        server = request.getfixturevalue("mariadb")
        options = server.options_for(server.new_database("golden"))
        make_schema(options)
        values = {"db." + name: value for name, value in options.items()}
        values.update({"db.hostname": [options["hostname"]], "db.port": int(options["port"])})
    db = open_database(DB_TABLE.defaults(values).db, schema="server")
    centre = Centre(folder / "spool", db)
    patch = pytest.MonkeyPatch()
    patch.setattr("apel.times.now", lambda: epoch_from_text("2026-11-22 00:00:00"))
    for path in sorted(glob.glob(os.path.join(GOLDEN, "messages", "*.txt"))):
        with open(path, encoding="utf-8") as stream:
            centre.deliver(stream.read())
    centre.loader().step()
    patch.undo()
    centre.summarise()
    assert centre.rejected() == []
    yield centre
    db.close()


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
