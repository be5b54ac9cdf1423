"""Old files that are known cost a look at the folder, and nothing else."""

import builtins
import os

LINE = (
    "%d|job|user|group|2025-03-07T09:00:00|2025-03-07T11:30:05|02:30:05|4-00:00:10|grid|40|2|n|||COMPLETED\n"
)
FILES = 1500


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
