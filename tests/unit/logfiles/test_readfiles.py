"""Knowing a log file again: growing, rotated, compressed, replaced, or read by the incumbent."""

import bz2
import gzip
import hashlib
import os

import pytest

from apel import logfiles
from apel.ingest.readfiles import ReadFiles
from apel.logfiles import LogFile
from apel.records import ProcessedFile

HEADER = b"# a header that all the files have\n"


def body(seed, count=3000):
    return b"".join(b"%s %06d of a file of many lines\n" % (seed, number) for number in range(count))


@pytest.fixture
def files():
    return ReadFiles("batch.example.org")


@pytest.fixture
def write(tmp_path):
    def write(name, data, mode="wb"):
        path = str(tmp_path / name)
        with open(path, mode) as stream:
            stream.write(data)
        return path

    return write


def read(files, path):
    """What a run does with one file: the bytes that it reads, as text."""
    with LogFile(path) as log:
        row = files.recall(log) or files.begun(log)
        lines = []
        for chunk in log.chunks(row.Position):
            row = files.advanced(row, log, chunk, len(chunk.lines))
            lines += chunk.lines
        if row.Position:
            row = files.done(row, log)
            assert row.check() == row
            files.remember(row)
    return "".join(line + "\n" for line in lines).encode()


def unchanged(files, path):
    status = os.stat(path)
    return files.is_unchanged(logfiles.Found(path, status.st_ino, status.st_size, status.st_mtime_ns))


@pytest.mark.parametrize("count", [1, 3, 100, 30000])
def test_growing_file(files, write, count):
    """P3: only the new bytes are read, and nothing at all where nothing changed."""
    first, more = body(b"a", count), body(b"b", count)
    path = write("x", first)
    assert read(files, path) == first
    assert unchanged(files, path)
    write("x", more, "ab")
    assert not unchanged(files, path)
    assert read(files, path) == more
    assert read(files, path) == b""


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
def test_rotated_and_compressed(files, write, compress):
    """P3: x -> x-20261101.gz, with lines that came after the last run."""
    write("x", body(b"a"))
    read(files, write("x", body(b"a")))
    rotated = write("x-20261101.gz", compress(body(b"a") + body(b"b")))
    new = write("x", body(b"c"))
    assert read(files, rotated) == body(b"b")
    assert read(files, new) == body(b"c")
    assert unchanged(files, rotated)
    assert unchanged(files, new)


def test_replaced_by_a_shorter_file(files, write):
    """P3: a shrunk file is a new one."""
    path = write("x", body(b"a"))
    read(files, path)
    assert read(files, write("x", body(b"b", 10))) == body(b"b", 10)


def test_shrunk_file_with_the_same_beginning(files, write):
    """P3."""
    path = write("x", body(b"a"))
    read(files, path)
    assert read(files, write("x", body(b"a", 500))) == body(b"a", 500)
    assert unchanged(files, path)


@pytest.mark.parametrize("header", [HEADER, HEADER * 300])
def test_common_headers_hide_no_file(files, write, header):
    """P3: two files with the same beginning, at first with nothing else in them."""
    one, two = write("one", header), write("two", header)
    read(files, one)
    read(files, two)
    write("one", body(b"a"), "ab")
    write("two", body(b"b"), "ab")
    assert read(files, one).endswith(body(b"a"))
    assert read(files, two).endswith(body(b"b"))
    for path in (one, two):
        assert unchanged(files, path)
        assert read(files, path) == b""


def test_copy_of_an_older_state_is_its_own_file(files, write):
    """P3: neither the copy nor the original is read again and again."""
    write("x", body(b"a"))
    copy = write("copy", body(b"a"))
    path = write("x", body(b"b"), "ab")
    read(files, path)
    assert read(files, copy) == body(b"a")
    for again in (path, copy):
        assert unchanged(files, again)
        assert read(files, again) == b""


def test_empty_file_leaves_no_trace(files, write):
    path = write("x", b"")
    assert read(files, path) == b""
    assert not unchanged(files, path)
    write("x", body(b"a"))
    assert read(files, path) == body(b"a")


def test_half_line_keeps_the_file_open(files, write):
    """P4: it may become complete by age alone, so the file's status says nothing."""
    path = write("x", b"one\ntw")
    assert read(files, path) == b"one\n"
    assert not unchanged(files, path)
    write("x", b"o\n", "ab")
    assert read(files, path) == b"two\n"
    assert unchanged(files, path)


def old_row(hash_value):
    """A row that the incumbent wrote."""
    row = ProcessedFile.make([None] * len(ProcessedFile.names))
    return row.replace(
        HostName="batch.example.org", FileName="/old", Hash=hash_value, StopLine=3000, Parsed=2999
    )


@pytest.mark.parametrize("compress, whole", [(bytes, True), (gzip.compress, True), (bz2.compress, False)])
def test_files_the_incumbent_has_read(write, compress, whole):
    """P3: MD5 of the content, or of the compressed bytes for bzip2; then the file is known by our ways."""
    data = compress(body(b"a"))
    files = ReadFiles("batch.example.org", [old_row(hashlib.md5(body(b"a") if whole else data).hexdigest())])
    path = write("x", data)
    assert read(files, path) == b""
    assert unchanged(files, path)
    assert read(files, write("y", body(b"a") + body(b"b"))) == body(b"b")


def test_file_changed_since_the_incumbent_is_read_whole(write):
    files = ReadFiles("batch.example.org", [old_row(hashlib.md5(body(b"a")).hexdigest())])
    assert read(files, write("x", body(b"a") + body(b"b"))) == body(b"a") + body(b"b")


def test_md5_is_not_taken_without_need(write, monkeypatch):
    monkeypatch.setattr(hashlib, "md5", None)
    assert read(ReadFiles("h"), write("x", body(b"a"))) == body(b"a")


def test_system_without_md5(write, monkeypatch):
    """A FIPS host forbids MD5: the file is read again, which does no harm."""

    def forbidden():
        raise ValueError("disabled for fips")

    monkeypatch.setattr(hashlib, "md5", forbidden)
    assert read(ReadFiles("batch.example.org", [old_row("0" * 32)]), write("x", body(b"a"))) == body(b"a")
