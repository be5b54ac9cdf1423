"""Parser runs into a real site database, on the days that went wrong."""

import bz2
import gzip
import hashlib
import json
import os
import time

import pytest

from apel.errors import ParseError
from apel.parsers import BlahParser, SlurmParser
from apel.records import EventRecord

LINE = (
    "%d|job|user|group|2025-03-07T09:00:00|2025-03-07T11:30:05|02:30:05|4-00:00:10|grid|40|2|n|||COMPLETED\n"
)
HOST = "batch.grid.example.org"
CORPUS = os.path.join(os.path.dirname(__file__), "..", "..", "data", "corpus", "slurm-400")


def lines(*numbers):
    return "".join(LINE % number for number in numbers)


def names(*numbers):
    return [str(number) for number in numbers]


def test_corpus_comes_out_as_its_truth(site):
    site.copy_corpus()
    batch, blah = site.parse_all()
    with open(os.path.join(CORPUS, "truth.json")) as stream:
        truth = json.load(stream)["by_month_vo"]
    found = site.rows(
        "SELECT COUNT(*), SUM(E.WallDuration), SUM(E.CpuDuration) FROM EventRecords E, BlahdRecords B"
        " WHERE B.LrmsId = E.JobName"
    )
    total = tuple(sum(row[what] for row in truth.values()) for what in ("jobs", "wall", "cpu"))
    assert found == [total]
    assert (batch.stored, blah.stored) == (400, total[0])
    by_vo = dict(
        site.rows("SELECT V.name, COUNT(*) FROM BlahdRecords B, VOs V WHERE V.id = B.VOID GROUP BY V.name")
    )
    expected = {}
    for key, row in truth.items():
        expected[key.split()[1]] = expected.get(key.split()[1], 0) + row["jobs"]
    assert by_vo == expected


def test_second_run_changes_nothing(site):
    site.copy_corpus()
    site.parse_all()
    before = site.rows("SELECT * FROM EventRecords"), site.rows("SELECT * FROM ProcessedFiles")
    batch, blah = site.parse_all()
    assert (batch.stored, batch.known, batch.files_read, blah.files_read) == (0, 0, 0, 0)
    assert batch.files_unchanged == len(os.listdir(site.path("batch")))
    assert (site.rows("SELECT * FROM EventRecords"), site.rows("SELECT * FROM ProcessedFiles")) == before


def test_known_jobs_are_counted(site):
    """P5: a file that holds what another held."""
    site.write("a", lines(1, 2))
    site.write("b", lines(2, 3))
    report = site.parse()
    assert (report.stored, report.known) == (3, 1)


def test_bytes_that_are_not_utf8(site):
    """P1: the run goes on, and the database can hold what comes of them."""
    site.write("a", lines(1).replace("user", "us\xe9r").encode("latin-1") + lines(2).encode())
    report = site.parse()
    assert report.stored == 2
    assert site.rows("SELECT LocalUserID FROM EventRecords WHERE JobName = '1'") == [("us\xe9r",)]


@pytest.mark.parametrize(
    "damaged",
    [
        gzip.compress(lines(*range(500)).encode())[:-20],
        bz2.compress(lines(1).encode())[:-3],
        b"\x28\xb5\x2f\xfd",
    ],
)
def test_damaged_file_stops_no_other(site, damaged):
    """P2: reported, the others read and remembered, tried again by the next run."""
    site.write("a", lines(1))
    site.write("b", damaged)
    site.write("c", lines(3))
    report = site.parse()
    assert site.jobs() == names(1, 3)
    assert report.failed
    assert len(report.failed_files) == 1
    assert "/b: " in report.failed_files[0]
    site.write("b", gzip.compress(lines(2).encode()))
    report = site.parse()
    assert (report.failed, report.files_read, report.files_unchanged) == (False, 1, 2)
    assert site.jobs() == names(1, 2, 3)


def test_missing_folder_is_reported(site):
    """P2."""
    os.rmdir(site.path("batch"))
    report = site.parse()
    assert report.failed
    assert "No such file" in report.failed_files[0]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
def test_growing_and_rotated_file(site, compress):
    """P3: every line is read once, whatever becomes of its file."""
    path = site.write("slurm", lines(*range(3000)))
    assert site.parse().stored == 3000
    site.write("slurm", lines(3000, 3001), "ab")
    report = site.parse()
    assert (report.stored, report.known) == (2, 0)
    site.write("slurm", lines(3002), "ab")
    os.unlink(path)
    site.write("slurm-20261101.gz", compress(lines(*range(3003)).encode()))
    site.write("slurm", lines(3003))
    report = site.parse()
    assert (report.stored, report.known, report.files_read) == (2, 0, 2)
    assert site.parse().files_unchanged == 2
    assert site.rows("SELECT COUNT(*), SUM(Parsed), SUM(StopLine) FROM ProcessedFiles") == [(2, 3004, 3004)]


def test_half_written_line_waits(site):
    """P4: neither parsed nor failed until it is whole."""
    whole = lines(1, 2)
    site.write("a", whole[:-30])
    report = site.parse()
    assert (report.stored, report.rejected_lines, report.files_unfinished) == (1, 0, 1)
    site.write("a", whole[-30:], "ab")
    report = site.parse()
    assert (report.stored, report.rejected_lines, report.files_unfinished) == (1, 0, 0)


def test_half_line_of_an_old_file_is_read(site):
    """P4: nobody will ever end it."""
    path = site.write("a", lines(1, 2)[:-1])
    assert site.parse().stored == 1
    os.utime(path, (0, 0))
    assert site.parse().stored == 1
    assert site.parse().files_unchanged == 1


def test_one_bad_line_among_a_thousand(site):
    """P7: the others are stored; the bad one is counted with its line number, and kept."""
    site.write("a", lines(*range(500)) + "rubbish\n" + lines(*range(500, 1000)))
    report = site.parse()
    assert report.stored == 1000
    assert report.rejected["fewer than 15 fields"] == (1, site.path("batch", "a") + " line 501")
    rows = site.rows("SELECT LineNumber, FileName, Line, Reason, ParserVersion FROM RejectedLines")
    assert rows == [(501, site.path("batch", "a"), "rubbish", "fewer than 15 fields", "SLURM/3")]
    assert not report.failed


class WronglyDecoding(SlurmParser):
    """Makes a record that no database takes."""

    version = "SLURM/0.9"

    def parse(self, line):
        record = super().parse(line)
        if isinstance(record, EventRecord) and record.JobName == "500":
            return record.replace(LocalUserID="\udc80")
        return record


def test_record_the_database_refuses(site):
    """P7: found among a thousand, counted with its line, kept, and stored by a better parser."""
    site.write("a", lines(*range(1000)))
    report = site.parse(WronglyDecoding)
    assert (report.stored, report.rejected_lines) == (999, 1)
    (failures,) = report.rejected.values()
    assert failures.first.endswith("line 501")
    assert site.rows("SELECT LineNumber, Line FROM RejectedLines") == [(501, (LINE % 500).rstrip())]
    report = site.parse()
    assert (report.retried, report.stored, report.files_unchanged) == (1, 1, 1)
    assert len(site.jobs()) == 1000
    assert site.rows("SELECT * FROM RejectedLines") == []


class OldParser(SlurmParser):
    """Doesn't know a state that a newer version knows, and fails at a job that the newer one skips."""

    version = "SLURM/0"

    def parse(self, line):
        if "DEADLINE" in line or "PENDING" in line:
            raise ParseError("unknown state")
        return super().parse(line)


def test_newer_version_tries_rejected_lines_again(site):
    """P8: what parses now is stored, what is skipped now is counted so, what still fails is kept."""
    text = lines(1, 2, 3, 4)
    text = text.replace("COMPLETED", "DEADLINE", 1).replace("2|job", "2|job|", 1)
    site.write("a", text + (LINE % 5).replace("COMPLETED", "PENDING") + "rubbish\n")
    site.write("b", lines(7) + "garbage\n" * 2500)
    report = site.parse(OldParser)
    assert (report.stored, report.rejected_lines) == (4, 2503)
    report = site.parse(OldParser)
    assert (report.retried, report.rejected_lines) == (0, 0)
    report = site.parse()
    assert (report.retried, report.stored, report.rejected_lines) == (2503, 1, 2501)
    assert report.skipped == {"state PENDING: not ended": 1}
    assert site.jobs() == names(1, 2, 3, 4, 7)
    assert site.rows("SELECT ParserVersion, COUNT(*) FROM RejectedLines GROUP BY ParserVersion") == [
        ("SLURM/3", 2501)
    ]
    assert site.parse().retried == 0


def test_rejected_blah_lines_are_not_for_the_batch_parser(site):
    """P8."""

    class OldBlah(BlahParser):
        version = "BLAH/0"

    with open(site.path("blah", "a"), "w") as stream:
        stream.write("rubbish\n")
    site.parse(OldBlah, "blah")
    assert site.parse().retried == 0
    assert site.parse(BlahParser, "blah").retried == 1


def test_steps_are_no_events(site):
    """P12: their memory completes the job's, also where a block of the file ends between them."""
    step = (
        LINE.replace("%d|", "%d.batch|")
        .replace("||COMPLETED", "1.5G|2G|COMPLETED")
        .replace("|n|1.5G", "|n|1.5G")
    )
    text = "".join(LINE % number + step % number for number in range(4000))
    site.write("a", text)
    report = site.parse()
    assert (report.stored, report.skipped) == (4000, {"job step": 4000})
    found = site.rows("SELECT MemoryReal, COUNT(*) FROM EventRecords GROUP BY MemoryReal")
    assert found == [(1572864, 4000)]


def test_wide_values_are_stored_whole(site):
    """P22."""
    job, user = "1" * 200, "u" * 100
    line = (
        (LINE % 1).replace("1|job|user|", "%s|job|%s|" % (job, user)).replace("|4-00:00:10|", "|9999999999|")
    )
    site.write("a", line)
    site.parse()
    assert site.rows("SELECT JobName, LocalUserID, CpuDuration FROM EventRecords") == [
        (job, user, 9999999999)
    ]


def test_absurd_times_never_reach_the_sums(site):
    """P22: a few such jobs make sums that no database holds, and stop the client."""
    absurd = (LINE % 1).replace("|4-00:00:10|", "|9000000000000000000|")
    site.write("a", absurd + LINE % 2)
    report = site.parse()
    assert (site.jobs(), report.rejected_lines) == (["2"], 1)


def test_file_of_another_kind_is_not_swallowed(site):
    """A wrong [batch] type: the file fails, and is read once the type is right."""
    site.write("a", "03/07/2025 11:30:05;E;90117.pbs.example;user=cms003 group=cms\n" * 200)
    report = site.parse()
    assert report.failed
    assert "is this the right kind of log?" in report.failed_files[0]
    assert site.rows("SELECT * FROM RejectedLines") == []
    assert site.rows("SELECT * FROM ProcessedFiles") == []


def test_reparse_replaces_events_and_wakes_the_joiner(site):
    site.write("a", lines(1, 2))
    site.parse()
    site.db.run(lambda tx: tx.execute("UPDATE EventRecords SET Status = 2, WallDuration = 1"))
    assert site.parse().files_unchanged == 1
    report = site.parse(reparse=True)
    assert (report.files_read, report.stored) == (1, 2)
    assert site.rows("SELECT Status, WallDuration FROM EventRecords") == [(0, 9005)] * 2
    assert site.parse().files_unchanged == 1
    assert site.rows("SELECT StopLine, Parsed FROM ProcessedFiles") == [(2, 2)]


def test_reparse_of_blah_records(site):
    site.copy_corpus()
    first = site.parse(BlahParser, "blah").stored
    site.db.run(lambda tx: tx.execute("UPDATE BlahdRecords SET Processed = 1"))
    report = site.parse(BlahParser, "blah", reparse=True)
    assert report.stored == first
    assert site.rows("SELECT Processed, COUNT(*) FROM BlahdRecords GROUP BY Processed") == [(0, first)]


def test_files_that_the_incumbent_has_read(site):
    """P3: after an upgrade, old files are not read again."""
    text = lines(1, 2)
    site.write("a", text)
    site.write("b", gzip.compress(lines(3).encode()))
    columns = ("HostName", "FileName", "Hash", "StopLine", "Parsed")
    rows = [(HOST, "/a", hashlib.md5(data.encode()).hexdigest(), 2, 2) for data in (text, lines(3))]
    site.db.run(lambda tx: tx.insert("ProcessedFiles", columns, rows))
    report = site.parse()
    assert (report.stored, report.files_read) == (0, 2)
    assert site.parse().files_unchanged == 2
    site.write("a", lines(4), "ab")
    site.parse()
    assert site.jobs() == names(4)


@pytest.mark.parametrize("zone", ["Europe/London", "America/St_Johns"])
def test_blah_times_on_a_host_elsewhere(site, monkeypatch, zone):
    """P21."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    with open(site.path("blah", "a"), "w") as stream:
        stream.write('"timestamp=2025-07-07 08:58:40" "ceID=ce" "lrmsID=1" "jobID=j"\n')
    site.parse(BlahParser, "blah")
    assert site.rows("SELECT TimeStamp, ValidFrom, ValidUntil FROM BlahdRecords") == [
        ("2025-07-07 08:58:40", "2025-07-06 08:58:40", "2025-08-04 08:58:40")
    ]


def test_token_jobs_are_stored(site):
    """P20: with what is known, which is the word None in the database for nothing."""
    with open(site.path("blah", "a"), "w") as stream:
        stream.write('"timestamp=2025-07-07 08:58:40" "ceID=ce" "lrmsID=1" "jobID=j" "userDN=" "userFQAN="\n')
        stream.write('"timestamp=2025-07-07 08:58:40" "ceID=ce" "lrmsID=2" "jobID=j" "userFQAN=dteam"\n')
    report = site.parse(BlahParser, "blah")
    assert (report.stored, report.rejected_lines) == (2, 0)
    found = site.rows(
        "SELECT B.FQAN, V.name, G.name, D.name FROM BlahdRecords B, VOs V, VOGroups G, DNs D"
        " WHERE V.id = B.VOID AND G.id = B.VOGroupID AND D.id = B.GlobalUserNameID ORDER BY B.LrmsId"
    )
    assert found == [("None", "None", "None", "None"), ("dteam", "dteam", "None", "None")]
