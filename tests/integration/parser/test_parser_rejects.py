"""Rejected lines: kept within bounds, tried again when asked; and what the parser knows, on request."""

import json
import os
import subprocess
import sys

import pytest

from apel.errors import ParseError
from apel.ingest import DatabaseLedger, Source, replay, run
from apel.ingest.status import GONE, MORE, NEW, READ, status
from apel.logfiles import Choice
from apel.parsers import BlahParser, ParserOptions, SlurmParser

LINE = (
    "%d|job|user|group|2025-03-07T09:00:00|2025-03-07T11:30:05|02:30:05|4-00:00:10|grid|40|2|n|||COMPLETED\n"
)
BAD = LINE.replace("|40|", "|forty|")
HOST = "batch.grid.example.org"
OPTIONS = ParserOptions("TEST-SITE", HOST)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


class NewSlurm(SlurmParser):
    """One that knows what `forty` means, of the same version."""

    def parse(self, line):
        return super().parse(line.replace("|forty|", "|40|"))


class PickySlurm(SlurmParser):
    def parse(self, line):
        raise ParseError("too picky")


def source(site, parser=SlurmParser, kind="batch"):
    return Source(kind, Choice(site.path(kind)), parser(OPTIONS))


def run_with_room(site, most_kept, parser=SlurmParser):
    (report,) = run([source(site, parser)], DatabaseLedger(site.db, HOST, most_kept), HOST)
    return report


def kept(site):
    return [number for (number,) in site.rows("SELECT LineNumber FROM RejectedLines ORDER BY LineNumber")]


def test_log_full_of_rubbish_fills_no_database(site):
    """P8: the first lines are kept, the others are counted."""
    site.write("a", LINE % 0 + "".join(BAD % number for number in range(1, 50)))
    report = run_with_room(site, 20)
    assert (report.rejected_lines, report.dropped) == (49, 29)
    assert kept(site) == list(range(2, 22))
    assert any("29 rejected lines were not kept" in line for line in report.summary())
    site.write("b", LINE % 1000 + BAD % 1001)
    assert run_with_room(site, 20).dropped == 1
    assert run_with_room(site, 20).dropped == 0


def test_tried_lines_make_room(site):
    """P8: a line that was kept has its room, and leaves it when it parses."""
    site.write("a", LINE % 0 + "".join(BAD % number for number in range(1, 21)))
    assert run_with_room(site, 20).dropped == 0
    (report,) = replay([source(site, PickySlurm)], DatabaseLedger(site.db, HOST, 20), HOST)
    assert (report.retried, report.dropped, len(kept(site))) == (20, 0, 20)
    (report,) = replay([source(site, NewSlurm)], DatabaseLedger(site.db, HOST, 20), HOST)
    assert (report.retried, report.stored, kept(site)) == (20, 20, [])


def test_replay_tries_all_and_reads_no_log(site):
    """P8: more than are tried at once, of the same version; each once."""
    site.write("a", LINE % 0 + "".join(BAD % number for number in range(1, 2501)))
    site.parse()
    site.write("b", LINE % 3000)
    (report,) = replay([source(site)], DatabaseLedger(site.db, HOST), HOST)
    assert (report.retried, report.rejected_lines, report.stored) == (2500, 2500, 0)
    (report,) = replay([source(site, NewSlurm)], DatabaseLedger(site.db, HOST), HOST)
    assert (report.retried, report.rejected_lines, report.stored) == (2500, 0, 2500)
    assert len(site.jobs()) == 2501
    assert kept(site) == []


def test_replay_gives_each_kind_its_lines(site):
    """P8: rejected BLAH lines are for the BLAH parser alone."""
    site.write("a", LINE % 0 + BAD % 1)
    with open(site.path("blah", "b"), "w") as stream:
        stream.write('"timestamp=never" "lrmsID=1"\n')
    site.parse_all()
    sources = [source(site, BlahParser, "blah"), source(site)]
    reports = replay(sources, DatabaseLedger(site.db, HOST), HOST)
    assert [(report.retried, report.rejected_lines) for report in reports] == [(1, 1), (1, 1)]


def test_replay_command(site):
    site.write("a", LINE % 0 + BAD % 1)
    site.config()
    site.command()
    site.db.run(lambda tx: tx.execute("UPDATE RejectedLines SET Line = %s", ((LINE % 1).strip(),)))
    status_, out, err = site.command("--replay-rejects")
    assert (status_, err) == (0, "")
    assert "1 lines that had been rejected were tried again" in out
    assert site.jobs() == ["0", "1"]


# -- status ---------------------------------------------------------------------------------------


def states(site):
    found = status([source(site)], site.db, HOST)
    return {os.path.basename(file.path): (file.state, file.lines, file.records) for file in found.files}


def test_status_of_files(site):
    for name in ("a", "b", "c"):
        site.write(name, LINE % ord(name) + BAD % 1)
    site.parse()
    site.write("b", LINE % 1000, "ab")
    os.unlink(site.path("batch", "c"))
    site.write("d", LINE % 1001)
    assert states(site) == {"a": (READ, 2, 1), "b": (MORE, 2, 1), "c": (GONE, 2, 1), "d": (NEW, 0, 0)}
    site.parse()
    assert states(site)["b"] == (READ, 3, 2)
    assert states(site)["d"] == (READ, 1, 1)


def test_status_of_rejected_lines(site):
    path = site.write("a", LINE % 0 + BAD % 1 + "rubbish\n" + BAD % 3)
    site.parse()
    found = status([source(site)], site.db, HOST)
    assert [(one.reason, one.lines, one.file, one.line) for one in found.rejected] == [
        ("NCPUS is of unknown form", 2, path, 2),
        ("fewer than 15 fields", 1, path, 3),
    ]
    assert any("3 rejected lines are kept" in line for line in found.as_text())


def test_status_of_a_folder_that_is_not_there(site):
    """P2: said, and the rest is listed."""
    os.rmdir(site.path("batch"))
    found = status([source(site)], site.db, HOST)
    assert "No such file" in found.problems[0]


def test_status_command(site):
    path = site.write("a", LINE % 0 + BAD % 1)
    site.config()
    assert "0 files" not in site.command("--status")[1]
    site.command()
    code, out, err = site.command("--status", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    size = len(LINE % 0 + BAD % 1)
    assert found["files"] == [
        {
            "source": "batch",
            "path": path,
            "state": "read",
            "size": size,
            "position": size,
            "lines": 2,
            "records": 1,
        }
    ]
    assert found["rejected_lines"] == 1
    code, out, _ = site.command("--status")
    assert code == 0
    assert out.splitlines()[1].split() == ["read", str(size), "2", "1", path]


def test_json_of_anything_else_is_refused(site):
    """It would start a run."""
    site.write("a", LINE % 0)
    site.config()
    code, _, err = site.command("--json")
    assert code == 2
    assert "--json goes with --status only" in err
    assert site.jobs() == []


# -- explain --------------------------------------------------------------------------------------


def test_explain_command(site, tmp_path):
    """Needs no database, and follows the identity map of the configuration."""
    path = site.write("a", LINE % 7 + BAD % 8)
    rules = tmp_path / "identity.map"
    rules.write_text("group=gr* -> local.example.org\n")
    site.config(db__backend="sqlite", db__name="/nowhere/client.db", parser__identity_map=str(rules))
    code, out, err = site.command("--explain", path + ":1")
    assert (code, err) == (0, "")
    assert "VO local.example.org (%s line 1: " % rules in out
    code, out, _ = site.command("--explain", path + ":2")
    assert (code, out) == (0, "%s line 2 (SLURM): rejected: NCPUS is of unknown form\n" % path)
    code, _, err = site.command("--explain", path + ":3")
    assert code == 1
    assert "has only 2 lines" in err


@pytest.mark.parametrize("data, count", [(b"", 0), ((LINE % 7).encode() + b"\xff\xfe\n\n", 3)])
def test_explain_standard_input(site, data, count):
    """P1: whatever bytes."""
    command = [sys.executable, os.path.join(ROOT, "bin", "apelparser"), "-c", site.config(), "--explain", "-"]
    done = subprocess.run(
        command, input=data, stdout=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=ROOT), timeout=300
    )
    assert done.returncode == 0
    heads = [line for line in done.stdout.decode().splitlines() if not line.startswith("  ")]
    assert len(heads) == count


def test_check_config_says_what_the_map_has(site, tmp_path):
    rules = tmp_path / "identity.map"
    text = "fqan=/* -> keep\nissuer=https://b.example -> b\nissuer=https://a.example subject=x -> a\n"
    rules.write_text(text + "issuer=https://b.example/ user=x -> c\n")
    site.config(parser__identity_map=str(rules))
    out = site.command("--check-config")[1]
    issuers = "https://a.example, https://b.example, https://b.example/"
    assert "ok       identity: 4 rules; token issuers they name: %s\n" % issuers in out
    hidden = "%s line 4: issuer=https://b.example/ user=x -> c: never decides, since %s line 2 does; put"
    assert "warning  identity: " + hidden % (rules, rules) in out


def test_wrong_map_is_found_by_check_config(site, tmp_path):
    """C11."""
    rules = tmp_path / "identity.map"
    rules.write_text("group=gr* -> local\nusr=x -> y\n")
    site.config(parser__identity_map=str(rules))
    code, _, err = site.command("--check-config")
    assert code == 2
    assert "[parser] identity_map %s line 2: unknown condition usr; did you mean user?" % rules in err
