"""`apelparser --explain`: what a line becomes, field by field, and why."""

import gzip

import pytest

from apel.identity_map import parse_map
from apel.ingest.explain import LOOK_AHEAD, explain, shown_line, shown_lines
from apel.logfiles import LONGEST_LINE, UnreadableFile
from apel.parsers import BlahParser, ParserOptions, SlurmParser
from apelcommon.errors import Permanent

JOB = "%d|job|user|staff|2025-03-07T09:00:00|2025-03-07T11:30:05|02:30:05|9005|grid|40|2|n|%s||COMPLETED"
STEP = "%d.batch|batch|||2025-03-07T09:00:00|2025-03-07T11:30:05|02:30:05|9005||20|1|n|1G||COMPLETED"
BLAH = (
    '"timestamp=2025-03-07 08:58:40" "userDN=%s" "userFQAN=" "ceID=ce:1/q" "jobID=j" "lrmsID=7" '
    '"AuthTokenIssuer=https://vo-auth.example.org/"'
)


@pytest.fixture
def parsers(zone):
    zone("UTC")
    rules = parse_map("issuer=https://vo-auth.example.org -> vo.example.org\ngroup=staff -> local", "map")
    options = ParserOptions("s", "m", identity_map=rules)
    return [BlahParser(options), SlurmParser(options)]


def explained(parsers, *lines):
    return [explain(shown, parsers) for shown in shown_lines(lines)]


def test_record_is_shown_field_by_field(parsers):
    (text,) = explained(parsers, JOB % (7, "16?"))
    assert text[0] == "line 1 (SLURM): stored as EventRecord"
    assert "  JobName         7" in text
    assert "  StartTime       1741338000  (2025-03-07 09:00:00 UTC)" in text
    assert "  MemoryReal      -" in text
    assert text[-2:] == [
        "  doubtful: memory of unknown form, recorded without it",
        "  identity, if it is a local job: VO local (map line 2: group=staff -> local)",
    ]


def test_accelerators_are_shown_in_words(parsers):
    header = "JobID|User|Group|Start|End|Elapsed|TotalCPU|NCPUS|NNodes|NodeList|State|AllocTRES"
    line = "7|u|g|1741338000|1741341600|3600|60|1|1|gpu-a01|COMPLETED|gres/gpu:a100=2,gres/gpu=3"
    _, text = explained(parsers, header, line)
    assert (
        "  Accelerators    2 GPU a100 on gpu-a01 for 3600 s; 1 GPU of unknown model on gpu-a01 for 3600 s"
        in text
    )


def test_local_job_that_no_rule_names(parsers):
    (text,) = explained(parsers, (JOB % (7, "")).replace("staff", ""))
    assert text[-1].endswith("local job: no VO (no rule matches, so it is the local group)")


def test_rule_of_a_token_job_is_shown(parsers):
    """P20."""
    (text,) = explained(parsers, BLAH % "")
    assert text[0] == "line 1 (BLAH): stored as BlahdRecord"
    rule = "map line 1: issuer=https://vo-auth.example.org -> vo.example.org"
    assert text[-1] == "  identity: VO vo.example.org (%s)" % rule


def test_skipped_and_rejected_lines_say_why(parsers):
    running = (JOB % (7, "")).replace("COMPLETED", "RUNNING")
    texts = explained(parsers, running, "rubbish", BLAH.replace("timestamp", "time") % "")
    assert texts == [
        ["line 1 (SLURM): skipped: state RUNNING: not ended"],
        ["line 2 (SLURM): rejected: fewer than 15 fields"],
        ["line 3 (BLAH): rejected: timestamp is missing"],
    ]


def test_one_lines_doubt_is_not_the_nexts(parsers):
    texts = explained(parsers, JOB % (7, "16?"), JOB % (8, ""))
    assert ["doubtful" in "".join(text) for text in texts] == [True, False]


def test_steps_complete_the_job_before_them(parsers):
    """P12: as in a run."""
    texts = explained(parsers, JOB % (7, ""), STEP % 7, JOB % (8, ""))
    assert "  MemoryReal      1048576" in texts[0]
    assert texts[1] == ["line 2 (SLURM): skipped: job step"]
    assert "  MemoryReal      -" in texts[2]


def test_line_of_a_file(parsers, tmp_path):
    """Compressed or not; with the lines that complete it."""
    path = tmp_path / "slurm.gz"
    lines = [JOB % (number, "") + "\n" + STEP % number for number in range(3000)]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    shown = shown_line("%s:5999" % path)
    assert (shown.line, shown.first) == (JOB % (2999, ""), JOB % (0, ""))
    text = explain(shown, parsers)
    assert text[0] == "%s line 5999 (SLURM): stored as EventRecord" % path
    assert "  MemoryReal      1048576" in text
    assert shown_line("%s:1" % path).line == JOB % (0, "")
    assert len(shown_line("%s:1" % path).following) == LOOK_AHEAD


def test_line_that_is_too_long(parsers, tmp_path):
    path = tmp_path / "slurm"
    path.write_text(JOB % (1, "") + "\n" + "x" * 10 * LONGEST_LINE + "\n" + JOB % (3, "") + "\n")
    assert explain(shown_line("%s:2" % path), parsers)[0].endswith("rejected: a line of 65536 bytes or more")
    assert "stored" in explain(shown_line("%s:3" % path), parsers)[0]


def test_places_that_are_none(tmp_path):
    path = tmp_path / "slurm"
    path.write_text("a\nb\n")
    with pytest.raises(Permanent, match="has only 2 lines"):
        shown_line("%s:3" % path)
    for place in ("slurm", "slurm:", "slurm:0", "slurm:x", ":1", "slurm:" + "9" * 30):
        with pytest.raises(Permanent, match="is not FILE:LINE"):
            shown_line(place)
    with pytest.raises(UnreadableFile, match="No such file"):
        shown_line("%s:3" % (tmp_path / "gone"))
    (tmp_path / "empty").write_text("")
    with pytest.raises(Permanent, match="has only 0 lines"):
        shown_line("%s:1" % (tmp_path / "empty"))


def test_json_object_on_many_lines(parsers):
    """A line of SLURM's JSON: the first one of an object tells of its job."""
    job = [
        '  "jobs": [',
        "    {",
        *['      "a%d": 1,' % number for number in range(300)],
        '      "job_id": 7',
    ]
    texts = explained(parsers, *job, "    },", "    {")
    assert texts[0] == ["line 1 (SLURM): skipped: JSON around the jobs"]
    assert texts[1] == ["line 2 (SLURM): rejected: unknown state "]
