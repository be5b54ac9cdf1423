"""Old files that are known cost a look at the folder, and nothing else."""

import builtins
import os

LINE = (
    "%d|job|user|group|2025-03-07T09:00:00|2025-03-07T11:30:05|02:30:05|4-00:00:10|grid|40|2|n|||COMPLETED\n"
)
FILES = 400


def test_known_old_files_are_not_opened(site, monkeypatch):
    """P3: of many, the new one alone is."""
    for number in range(FILES):
        site.write("slurm.%04d" % number, LINE % number)
    assert site.parse().stored == FILES
    opened = []
    real = builtins.open

    def watched(path, *arguments, **options):
        opened.append(os.path.basename(str(path)))
        return real(path, *arguments, **options)

    site.write("slurm.new", LINE % FILES)
    monkeypatch.setattr(builtins, "open", watched)
    report = site.parse()
    monkeypatch.undo()
    assert (report.stored, report.files_read, report.files_unchanged) == (1, 1, FILES)
    assert [name for name in opened if name.startswith("slurm")] == ["slurm.new"]


HEADER = "JobID|State|JobName|Start|End|ElapsedRaw|User|Group|AllocTRES\n"
JOB = "%d|COMPLETED|j|1741338000|1741341600|3600|u|g|cpu=4,gres/gpu=2,node=1\n"
GPUS = "SELECT JobName, Processors, NodeCount, GPUs FROM EventRecords ORDER BY JobName"


def test_header_holds_for_what_is_appended_later(site):
    """P3: the next run begins in the middle, and knows the columns; another file has its own."""
    site.write("a", HEADER + JOB % 1)
    site.write("b", LINE % 2)
    assert site.parse().rejected_lines == 0
    site.write("a", JOB % 3, "ab")
    site.write("b", LINE % 4, "ab")
    report = site.parse()
    assert (report.stored, report.rejected_lines) == (2, 0)
    assert site.rows(GPUS) == [("1", 4, 1, 2), ("2", 40, 2, None), ("3", 4, 1, 2), ("4", 40, 2, None)]


def test_rejected_line_is_tried_again_with_its_files_columns(site):
    """P8."""
    site.write("a", HEADER + JOB % 1 + JOB.replace("cpu=4", "cpu=many") % 2)
    site.write("b", LINE % 3 + LINE.replace("|40|", "|forty|") % 4)
    assert site.parse().rejected_lines == 2
    site.db.run(lambda tx: tx.execute("UPDATE RejectedLines SET ParserVersion = 'old'"))
    site.db.run(lambda tx: tx.execute("UPDATE RejectedLines SET Line = REPLACE(Line, 'many', '7')"))
    report = site.parse()
    assert (report.retried, report.stored) == (2, 1)
    assert ("2", 7, 1, 2) in site.rows(GPUS)
