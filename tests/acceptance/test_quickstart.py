"""The quick start, as a newcomer runs it, on samples and on logs of one's own."""

import os

import pytest

from apel.commands.quickstart import main
from apel.samples import FORMATS, SampleOptions, write_samples


def test_quickstart_tells_every_hop_and_the_totals_agree(tmp_path, capsys):
    folder = tmp_path / "kept"
    assert main(["--jobs", "300", "--keep", str(folder)]) == 0
    out = capsys.readouterr().out
    for number in range(1, 7):
        assert "\n%d. " % number in out
    assert "3 messages verified, 0 rejected" in out or "2 messages verified, 0 rejected" in out
    assert "The totals at the centre equal those of the logs" in out
    assert "2026-11" in out and "atlas" in out
    for name in (
        "site/site.db",
        "centre/centre.db",
        "site/parser.cfg",
        "centre/loader.cfg",
        "site/log/client.log",
    ):
        assert (folder / name).exists(), name


@pytest.mark.parametrize("system", sorted(set(FORMATS) - {"slurm"}))
def test_quickstart_of_each_batch_system(tmp_path, capsys, system):
    assert main(["--system", system, "--jobs", "100", "--keep", str(tmp_path / "kept")]) == 0
    out = capsys.readouterr().out
    assert "The totals at the centre equal those of the logs" in out


@pytest.mark.parametrize("with_blah", [True, False])
def test_quickstart_takes_own_logs(tmp_path, capsys, with_blah):
    """With DIR/batch and DIR/blah jobs are grid jobs; with batch logs alone all are local."""
    logs = str(tmp_path / "logs")
    truth = write_samples(logs, SampleOptions(jobs=50))
    source = logs if with_blah else os.path.join(logs, "batch")
    assert main(["--logs", source, "--keep", str(tmp_path / "kept")]) == 0
    out = capsys.readouterr().out
    assert "%d grid jobs, %d local jobs joined" % ((50, 0) if with_blah else (0, 50)) in out
    assert sum(total["jobs"] for total in truth.values()) == 50
    assert "Total" in out


def test_quickstart_never_writes_into_a_folder_that_has_something(tmp_path, capsys):
    (tmp_path / "precious").write_text("x")
    assert main(["--keep", str(tmp_path)]) == 2
    assert "the folder is not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, says", [(["--jobs", "0"], "at least 1"), (["--logs", "/no/such/folder"], "no such folder")]
)
def test_quickstart_says_what_is_wrong(words, says, capsys, tmp_path):
    assert main([*words, "--keep", str(tmp_path / "kept")]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()
