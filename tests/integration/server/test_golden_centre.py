"""The incumbent's messages, loaded and summarised here, give the incumbent's central views."""

import glob
import os
import pathlib
from typing import Any, Iterator, List, Tuple

import pytest
from centre import Centre
from golden import comparable, golden_view

from apel.times import epoch_from_text
from servers.databases import BACKENDS, fresh_database

ALL_GOLDEN = str(pathlib.Path(__file__).parents[2] / "data" / "golden")
GOLDEN = os.path.join(ALL_GOLDEN, "slurm")
VIEWS = sorted(os.path.basename(path)[:-4] for path in glob.glob(os.path.join(GOLDEN, "server", "*.tsv")))


@pytest.fixture(params=BACKENDS, scope="module")
def backend(request: Any) -> str:
    """Which database."""
    return str(request.param)


@pytest.fixture(params=["slurm", "htcondor"], scope="module")
def system(request: Any) -> str:
    """The batch system whose jobs they are."""
    return str(request.param)


@pytest.fixture(scope="module")
def golden_centre(request: Any, backend: str, system: str, tmp_path_factory: Any) -> Iterator[Centre]:
    """A centre that has loaded and summarised the golden messages."""
    folder = tmp_path_factory.mktemp("golden")
    server = request.getfixturevalue("mariadb") if backend == "mariadb" else None
    for db in fresh_database("server", folder, server):
        centre = Centre(folder / "spool", db)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("apel.times.now", lambda: epoch_from_text("2026-11-22 00:00:00"))
            load_golden(centre, os.path.join("..", system, "messages"))
        yield centre


def load_golden(centre: Centre, folder: str = "messages") -> None:
    """Load and summarise the incumbent's messages."""
    for path in sorted(glob.glob(os.path.join(GOLDEN, folder, "*.txt"))):
        with open(path, encoding="utf-8") as stream:
            centre.deliver(stream.read())
    centre.loader().step()
    centre.summarise()
    assert centre.rejected() == []


def test_there_are_golden_views() -> None:
    assert len(VIEWS) == 9


@pytest.mark.parametrize("view", VIEWS)
def test_the_central_view_is_the_incumbents(golden_centre: Centre, system: str, view: str) -> None:
    columns, expected = _golden(view, system)
    found = golden_centre.rows("SELECT %s FROM %s" % (", ".join(columns), view))
    assert comparable(found) == comparable(expected)


def _golden(view: str, system: str = "slurm") -> Tuple[List[str], List[List[str]]]:
    return golden_view(pathlib.Path(ALL_GOLDEN, system, "server", view + ".tsv"))


@pytest.mark.parametrize("folder, view", [("messages_v04", "VJobRecords"), ("messages_v04", "VSumCPU")])
def test_the_same_jobs_in_the_other_version_give_the_same(centre: Centre, folder: str, view: str) -> None:
    """Benchmarks of v0.4 keep their spelling here, so not even that tells the versions apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apel.times.now", lambda: epoch_from_text("2026-11-22 00:00:00"))
        load_golden(centre, folder)
    columns, expected = _golden(view)
    rows = centre.rows("SELECT %s FROM %s" % (", ".join(columns), view))
    assert comparable(rows) == comparable(expected)


@pytest.mark.parametrize("folder", ["messages_summaries", "messages_summaries_v04"])
def test_summaries_give_the_same_totals_as_jobs(centre: Centre, folder: str) -> None:
    """Whether a site sends jobs or summaries, the portal's sums are the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apel.times.now", lambda: epoch_from_text("2026-11-22 00:00:00"))
        load_golden(centre, folder)
    for view in ("VSumCPU", "VUserSummaries", "VSyncRecords", "VSpecIntHistory"):
        columns, expected = _golden(view)
        rows = centre.rows("SELECT %s FROM %s" % (", ".join(columns), view))
        assert comparable(rows) == comparable(expected), view
