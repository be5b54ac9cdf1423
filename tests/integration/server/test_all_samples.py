"""Every sample message, ours and of other producers, loads; and it comes out as it went in."""

import pathlib
from typing import Any, Dict

import pytest
from centre import Centre

from apel.db.schema import CENTRE, initialise
from apel.messages import FORMATS, JSON_FORMATS, decode, encode
from apel.times import epoch_from_text
from servers.databases import BACKENDS, fresh_database

FOLDER = pathlib.Path(__file__).parents[2] / "data" / "messages"
SAMPLES = sorted(path.name for path in FOLDER.iterdir())
NOW = epoch_from_text("2026-11-22 00:00:00")


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_samples_load(request: Any, tmp_path: Any, backend: str) -> None:
    """Into one database with all the tables of the centre."""
    server = request.getfixturevalue("mariadb") if backend == "mariadb" else None
    for db in fresh_database("server", tmp_path, server):
        for schema in sorted(CENTRE):
            initialise(db.backend, schema)
        centre = Centre(tmp_path / "spool", db)
        loader = centre.load(*((FOLDER / name).read_text(encoding="utf-8") for name in SAMPLES))
        assert centre.rejected() == []
        assert loader.tally.messages == len(SAMPLES) > 10


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_written_as_it_was_read(name: str) -> None:
    message = decode((FOLDER / name).read_text(encoding="utf-8"), now=NOW)
    again = decode(encode(message.records, message.format, True, now=NOW), now=NOW)
    assert again.records == message.records and again.format == message.format


def test_there_is_a_sample_of_every_format() -> None:
    formats: Dict[str, str] = {}
    for name in SAMPLES:
        formats[decode((FOLDER / name).read_text(encoding="utf-8"), now=NOW).format] = name
    assert set(FORMATS) | set(JSON_FORMATS) <= set(formats)
