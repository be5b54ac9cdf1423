"""Logs compressed with zstd: read where this Python can, and else said to need it."""

import base64
import importlib
import sys
from types import SimpleNamespace

import pytest

from apel import zstd
from apel.logfiles import LogFile, UnreadableFile

#: One frame.
FRAME = base64.b64decode("KLUv/SAOcQAAb25lCnR3bwp0aHJlZQo=")
LINES = ["line %06d of the log" % number for number in range(30000)]
TEXT = ("\n".join(LINES) + "\n").encode()

needs_zstd = pytest.mark.skipif(
    zstd.library() is None, reason="neither Python 3.14 nor the package zstandard is here"
)


@pytest.fixture
def write(tmp_path):
    def write(data, name="slurm.1"):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write


def compressed(text):
    """With the package, or with Python's own module."""
    try:
        return importlib.import_module("zstandard").ZstdCompressor(level=1).compress(text)
    except ImportError:
        return importlib.import_module("compression.zstd").compress(text)


def lines_of(path, start=0):
    with LogFile(path) as log:
        return [line for chunk in log.chunks(start) for line in chunk.lines]


@needs_zstd
def test_zstd_is_known_by_its_content(write):
    """Whatever the name."""
    assert lines_of(write(FRAME)) == ["one", "two", "three"]


@needs_zstd
def test_several_frames_and_frames_to_be_skipped(write):
    """As pzstd writes them, or `zstd -c >>`."""
    skipped = zstd.SKIPPED_MAGIC[2] + b"\x04\x00\x00\x00" + b"junk"
    assert lines_of(write(skipped + FRAME + skipped + FRAME)) == ["one", "two", "three"] * 2


@needs_zstd
def test_large_file_from_any_position(write):
    """P3: as with every other compression."""
    path = write(compressed(TEXT))
    assert lines_of(path) == LINES
    assert lines_of(path, len(LINES[0]) + 1) == LINES[1:]
    with LogFile(path) as log, LogFile(write(TEXT, "plain")) as plain:
        places = [1, 5000, len(TEXT)]
        assert log.examine(places).tails == plain.examine(places).tails
        assert log.compressed


@needs_zstd
@pytest.mark.parametrize("cut", [100, 5000, -1, -100])
def test_cut_file_is_noticed_before_any_line_is_used(write, cut):
    """P2."""
    data = compressed(TEXT)
    with pytest.raises(UnreadableFile, match=r"slurm\.1: "), LogFile(write(data[:cut])) as log:
        log.examine([])


@needs_zstd
def test_damaged_file_is_noticed(write):
    """P2."""
    data = bytearray(compressed(TEXT))
    data[10:200] = bytes(190)
    with pytest.raises(UnreadableFile, match=r"slurm\.1: damaged"), LogFile(write(bytes(data))) as log:
        log.examine([])


@needs_zstd
def test_rubbish_behind_the_last_frame(write):
    """P2."""
    with pytest.raises(UnreadableFile, match=r"slurm\.1: "), LogFile(write(FRAME + b"rubbish!")) as log:
        log.examine([])


def test_without_the_package_the_file_is_reported(write, monkeypatch):
    """P2: not skipped, not read as text."""
    monkeypatch.setattr(zstd, "library", lambda: None)
    with pytest.raises(
        UnreadableFile, match=r"slurm\.1: it is compressed with zstd, which needs Python 3\.14"
    ):
        LogFile(write(FRAME))


class Modules:
    """What can be imported, by name."""

    def __init__(self, **modules):
        self.modules = {name.replace("__", "."): module for name, module in modules.items()}

    def __call__(self, name):
        if name not in self.modules:
            raise ImportError(name)
        return self.modules[name]


def package(**attributes):
    frame = SimpleNamespace(**attributes)
    return SimpleNamespace(
        ZstdError=ValueError, ZstdDecompressor=lambda: SimpleNamespace(decompressobj=lambda: frame)
    )


def test_python_3_14_needs_no_package(monkeypatch):
    own = SimpleNamespace(ZstdDecompressor=dict, ZstdError=KeyError)
    monkeypatch.setattr(zstd.importlib, "import_module", Modules(compression__zstd=own, zstandard=package()))
    assert zstd.library() == zstd.Library(dict, (KeyError,))


def test_old_package_is_none(monkeypatch):
    """P2: it would take a cut file for a whole one."""
    monkeypatch.setattr(zstd.importlib, "import_module", Modules(zstandard=package()))
    assert zstd.library() is None
    monkeypatch.setattr(
        zstd.importlib, "import_module", Modules(zstandard=package(unused_data=b"", eof=False))
    )
    assert zstd.library().errors == (ValueError,)


@pytest.mark.skipif(sys.version_info < (3, 7), reason="the package knows no cut files on Python 3.6")
def test_the_tests_environment_has_zstd():
    assert zstd.library() is not None
