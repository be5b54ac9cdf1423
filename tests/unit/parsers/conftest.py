"""What the parser tests share: parsers of an invented site, and hosts in other time zones."""

import time

import pytest

from apel.parsers import BlahParser, ParserOptions, SlurmParser


@pytest.fixture
def zone(monkeypatch):
    """zone('Europe/London'): from here on the host is in that time zone."""

    def move(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def options():
    return ParserOptions(site="s", machine_name="m")


@pytest.fixture
def slurm(options, zone):
    zone("UTC")
    return SlurmParser(options)


@pytest.fixture
def blah(options):
    return BlahParser(options)
