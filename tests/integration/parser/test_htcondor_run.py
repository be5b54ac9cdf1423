"""Runs over condor_history's output: JSON on many lines, and HTCondor-CE's two kinds of file."""

import json
import os
import shutil

from apel.parsers import BlahParser, HTCondorParser

CE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data", "htcondor", "ce-6")


def advert(number):
    return {
        "GlobalJobId": "sched#%d.0#1741300000" % number,
        "Owner": "cms011",
        "RemoteWallClockTime": 60.0,
        "RemoteUserCpu": 50.0,
        "RemoteSysCpu": 1.0,
        "JobStartDate": 1741305600 + number,
        "EnteredCurrentStatus": 1741305660 + number,
        "ImageSize_RAW": 4096,
        "ResidentSetSize_RAW": 2048,
        "RequestCpus": 1,
    }


def test_json_objects_stay_whole_where_a_block_of_the_file_ends(site):
    """P19: no job is lost between two blocks of a file of 4 MB."""
    count = 12000
    objects = [json.dumps(advert(number), indent=2) for number in range(count)]
    site.write("history.json", "[\n" + "\n,\n".join(objects) + "\n]\n")
    report = site.parse(HTCondorParser)
    assert (report.stored, report.rejected_lines) == (count, 0)
    assert site.rows("SELECT SUM(CpuDuration), SUM(MemoryReal) FROM EventRecords") == [
        (51 * count, 2048 * count)
    ]


def test_json_object_that_is_being_written_waits(site):
    """P4: wherever the file ends when a run finds it."""
    objects = [json.dumps(advert(number), indent=2) for number in range(5)]
    text = "[\n" + "\n,\n".join(objects) + "\n]\n"
    stored = 0
    for cut in range(0, len(text), 111):
        site.write("history.json", text[cut : cut + 111], "ab")
        report = site.parse(HTCondorParser)
        assert report.rejected_lines == 0
        stored += report.stored
    assert (stored, report.files_unfinished) == (5, 0)


def test_files_of_htcondor_ce(site):
    """Told apart by their prefix, in one directory."""
    for name in ("batch-20250307-0135-ce02", "blah-20250307-0135-ce02"):
        shutil.copy(os.path.join(CE, name), site.path("batch"))
        shutil.copy(os.path.join(CE, name), site.path("blah"))
    assert site.parse(HTCondorParser, prefix="batch").stored == 3
    assert site.parse(BlahParser, "blah", prefix="blah").stored == 3
    joined = "SELECT COUNT(*) FROM EventRecords E, BlahdRecords B WHERE B.LrmsId = E.JobName"
    assert site.rows(joined) == [(3,)]


def test_moved_columns_are_counted_and_kept(site):
    """P19, P8."""
    site.write("accounting", "ce#1.0#2|a|60|50|1|1741305600|1741305660|204800|1|1|\nce#1.0#2|a|60|50|1|\n")
    report = site.parse(HTCondorParser)
    assert (report.stored, report.rejected_lines) == (0, 2)
    assert len(site.rows("SELECT * FROM RejectedLines")) == 2
