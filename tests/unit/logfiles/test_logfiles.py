"""Finding log files and reading their lines, on the days that went wrong."""

import bz2
import gzip
import lzma
import os

import pytest

from apel import logfiles
from apel.logfiles import Choice, Found, LogFile, UnreadableFile, find

LINES = ["line %06d of the log" % number for number in range(30000)]
TEXT = ("\n".join(LINES) + "\n").encode()


@pytest.fixture
def write(tmp_path):
    def write(name, data):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path)

    return write


def read(path, start=0, **options):
    with LogFile(path) as log:
        return [line for chunk in log.chunks(start, **options) for line in chunk.lines]


def names(choice):
    problems = []
    found = [os.path.basename(found.path) for found in find(choice, problems.append)]
    assert not problems
    return found


def test_prefix_is_literal_and_as_the_incumbent_has_it(tmp_path, write):
    for name in ["blahp.log-1", "blahp.log-2", "other", "a+b.log", "[x"]:
        write(name, b"")
    folder = str(tmp_path)
    assert names(Choice(folder, prefix="blahp.log")) == ["blahp.log-1", "blahp.log-2"]
    assert names(Choice(folder, prefix="blahp.log-[12]")) == ["blahp.log-1", "blahp.log-2"]
    assert names(Choice(folder, prefix="a+b")) == ["a+b.log"]
    assert names(Choice(folder, prefix="[x")) == ["[x"]


def test_pattern_counts_only_without_a_prefix(tmp_path, write):
    for name in ["a.log", "b.log", "c"]:
        write(name, b"")
    folder = str(tmp_path)
    assert names(Choice(folder, pattern=r".*\.log$")) == ["a.log", "b.log"]
    assert names(Choice(folder, prefix="", pattern=r".*\.log$")) == ["a.log", "b.log", "c"]
    assert names(Choice(folder)) == ["a.log", "b.log", "c"]


def test_subdirectories_only_if_asked_for(tmp_path, write):
    for name in ["b", "sub/a", "sub/deep/c", "asub/z"]:
        write(name, b"")
    assert names(Choice(str(tmp_path))) == ["b"]
    assert names(Choice(str(tmp_path), subdirs=True)) == ["b", "z", "a", "c"]


def test_missing_folder_is_told(tmp_path):
    problems = []
    assert list(find(Choice(str(tmp_path / "no")), problems.append)) == []
    assert "No such file" in problems[0]


def test_vanished_file_stops_nobody(tmp_path, write):
    """P2: a link to a file that was rotated away."""
    write("b", b"")
    (tmp_path / "a").symlink_to(tmp_path / "gone")
    problems = []
    found = list(find(Choice(str(tmp_path)), problems.append))
    assert [os.path.basename(file.path) for file in found] == ["b"]
    assert "a: No such file" in problems[0]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_compression_by_content_not_by_name(write, compress):
    path = write("log.txt", compress(TEXT))
    assert read(path) == LINES
    assert read(path, start=len(LINES[0] + "\n") * 29999) == LINES[29999:]


def test_two_gzip_files_in_one(write):
    assert read(write("x.gz", gzip.compress(b"a\n") + gzip.compress(b"b\n"))) == ["a", "b"]


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(TEXT)[:-100],
        bz2.compress(TEXT)[:-100],
        lzma.compress(TEXT)[:-100],
        b"\x1f\x8b\x08rubbish",
    ],
)
def test_damaged_file_is_noticed_before_any_line_is_used(write, data):
    """P2."""
    path = write("x", data)
    with pytest.raises(UnreadableFile, match="/x: "), LogFile(path) as log:
        log.examine([])


def test_corrupt_gzip(write):
    """P2."""
    data = bytearray(gzip.compress(TEXT))
    data[len(data) // 2] ^= 255
    with pytest.raises(UnreadableFile, match="/x: "), LogFile(write("x", bytes(data))) as log:
        log.examine([])


def test_unreadable_file_is_named(tmp_path):
    """P2."""
    with pytest.raises(UnreadableFile, match="gone: No such file"):
        LogFile(str(tmp_path / "gone"))


def test_bytes_that_are_not_utf8(write):
    """P1: the one line is read as Latin-1, its neighbours stay UTF-8; any of it can be encoded again."""
    path = write("x", "ä\n".encode() + b"caf\xe9\n" + "ö\n".encode())
    assert read(path) == ["ä", "café", "ö"]


def test_only_line_feeds_end_lines(write):
    assert read(write("x", "a\x0bb\x85c\u2028d\r\ne\n".encode())) == ["a\x0bb\x85c\u2028d", "e"]


def test_byte_order_mark(write):
    assert read(write("x", b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n")) == ["a", "\ufeffb"]


def test_half_written_last_line_is_left(write):
    """P4."""
    path = write("x", b"one\ntwo\nthr")
    with LogFile(path) as log:
        (chunk,) = log.chunks(0)
        assert (chunk.lines, chunk.end, log.unfinished) == (["one", "two"], 8, 3)
    with open(path, "ab") as stream:
        stream.write(b"ee\n")
    assert read(path, 8) == ["three"]


def test_half_line_of_a_finished_file_is_complete(write):
    """P4: nobody will ever end it."""
    assert read(write("x", b"one\ntwo"), settled=True) == ["one", "two"]


def test_chunks_are_a_chain(write):
    """P5: each chunk ends where the next begins, and its hash proves the place."""
    path = write("x", TEXT)
    with LogFile(path) as log:
        chunks = list(log.chunks(0))
        examined = log.examine([chunk.end for chunk in chunks])
    assert len(chunks) > 2
    assert examined.tails == {chunk.end: chunk.tail_hash for chunk in chunks}
    for place, chunk in enumerate(chunks[:-1]):
        assert read(path, chunk.end)[0] == chunks[place + 1].lines[0]


def test_lines_that_belong_together_stay_in_one_chunk(write):
    path = write("x", TEXT)

    def continues(line):
        return not line.startswith("line 00000") and int(line[5:11]) % 7 != 0

    with LogFile(path) as log:
        chunks = list(log.chunks(0, continues=continues))
    assert len(chunks) > 2
    assert [line for chunk in chunks for line in chunk.lines] == LINES
    assert not any(continues(chunk.lines[0]) for chunk in chunks)


def begins_in_lower_case(line):
    return line[:1].islower()


def ends_with_a_dot(lines):
    return lines[-1].endswith(".")


@pytest.mark.parametrize("more", ["", "c", "c\nd", "c\nd\n"])
def test_half_written_record_on_several_lines_is_left(write, more):
    """P4: of any number of complete lines, with or without a half one behind them."""
    path = write("x", ("One.\nTwo.\nThr\na\nb\n" + more).encode())
    options = {"continues": begins_in_lower_case, "is_whole": ends_with_a_dot}
    with LogFile(path) as log:
        (chunk,) = log.chunks(0, **options)
        assert (chunk.lines, chunk.end, log.unfinished) == (["One.", "Two."], 10, 8 + len(more))
    with LogFile(path) as log:
        assert list(log.chunks(10, **options)) == []
        assert log.unfinished == 8 + len(more)
    with open(path, "ab") as stream:
        stream.write(b"e.\n")
    assert "".join(read(path, 10, **options)) == "Thrab" + more.replace("\n", "") + "e."


@pytest.mark.parametrize("end", ["Next.\n", "a" * logfiles.LONGEST_LINE + "\n"])
def test_record_that_never_ends_is_given_up(write, end):
    """P4: when another follows, or when it is too long to be one."""
    path = write("x", ("One.\nTwo\na\n" + end).encode())
    assert len(read(path, continues=begins_in_lower_case, is_whole=ends_with_a_dot)) == 4


@pytest.mark.parametrize("compressed", [False, True])
def test_record_of_a_finished_file_that_never_ends_is_given_up(write, compressed):
    """P4: when nobody has written for a day."""
    data = b"One.\nTwo\na\n"
    path = write("x", gzip.compress(data) if compressed else data)
    options = {"continues": begins_in_lower_case, "is_whole": ends_with_a_dot}
    assert len(read(path, settled=True, **options)) == 3


def test_file_of_one_group_is_still_read_in_chunks(write):
    path = write("x", TEXT)
    assert read(path, continues=lambda line: True) == LINES


def test_hole_of_zeros_after_a_crash_of_the_host(write):
    """P7: a line without end in sight is cut, and what follows it is read."""
    hole = 10 * logfiles.BLOCK + 17
    path = write("x", b"one\n" + b"\0" * hole + b"\ntwo\nthree\n")
    with LogFile(path) as log:
        chunks = list(log.chunks(0))
        ends = [chunk.end for chunk in chunks]
        assert log.examine(ends).tails == {chunk.end: chunk.tail_hash for chunk in chunks}
    assert [line for chunk in chunks for line in chunk.lines if "\0" not in line] == ["one", "two", "three"]
    assert [chunk.cut for chunk in chunks] == [False, True]
    assert len(chunks[1].lines[0]) == logfiles.LONGEST_LINE
    assert ends[-1] == os.path.getsize(path)


def test_names_of_any_bytes(tmp_path):
    path = os.path.join(os.fsencode(str(tmp_path)), b"log-\xff")
    with open(path, "wb") as stream:
        stream.write(b"a\n")
    (found,) = find(Choice(str(tmp_path)), pytest.fail)
    assert read(found.path) == ["a"]
    assert logfiles.printable(found.path).endswith("log-\\udcff")


def test_inode_of_64_bits_fits_the_database():
    """Overlay and cluster file systems use the highest bit; the database's integers are signed."""
    status = os.stat_result((0o100644, 2**64 - 2, 0, 1, 0, 0, 5, 0, 1, 0))
    found = Found.of("/var/log/x", status)
    assert found.inode == 2**63 - 2
    assert found.size == 5
