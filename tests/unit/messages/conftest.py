"""Where the samples are, and a clock late enough for them."""

import pathlib

import pytest

DATA = pathlib.Path(__file__).parents[2] / "data"


@pytest.fixture
def sample():
    """The text of a file of tests/data, by its path there."""
    return lambda path: (DATA / path).read_text(encoding="utf-8")
