"""However a file grows, and whatever is in it: every line is read once, in order."""

import os
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apel import logfiles
from apel.logfiles import LogFile, sha256

ALPHABET = [b"a", b"b", b"\n", b"\n", b"\r\n", b"\xff", "é".encode(), b"\0", b" "]


@pytest.fixture(scope="module")
def small_blocks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logfiles, "BLOCK", 7)
        patch.setattr(logfiles, "TAIL", 5)
        yield


@pytest.fixture(scope="module")
def path():
    with tempfile.TemporaryDirectory() as folder:
        yield os.path.join(folder, "log")


def text(line):
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


@given(
    pieces=st.lists(st.lists(st.sampled_from(ALPHABET), max_size=30).map(b"".join), max_size=6),
    grouped=st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_growing_file(small_blocks, path, pieces, grouped):
    """P3, P4, P5: with the position and the hash of the bytes before it after each run."""
    whole, position, lines = b"", 0, []
    for piece in pieces:
        whole += piece
        with open(path, "wb") as stream:
            stream.write(whole)
        with LogFile(path) as log:
            for chunk in log.chunks(
                position, continues=(lambda line: line.startswith("a")) if grouped else None
            ):
                lines += chunk.lines
                position = chunk.end
                assert not chunk.cut
                assert chunk.tail_hash == sha256(whole[max(0, position - logfiles.TAIL) : position])
            assert log.unfinished == len(whole) - position
    complete = whole[: whole.rfind(b"\n") + 1]
    assert position == len(complete)
    assert lines == [text(line).rstrip("\r") for line in complete.split(b"\n")[:-1]]
