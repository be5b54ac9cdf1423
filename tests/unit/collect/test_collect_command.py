"""apelcollect, with commands of the batch systems that are made up: what is asked, written, remembered."""

import json
import os
import stat

import pytest

from apel.collect.sources import ATTRIBUTES, SACCT_FIELDS
from apel.external import output_of
from apel.parsers import classad, htcondor, slurmcolumns
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, EXIT_TRY_LATER, EXIT_USAGE
from apelcommon.files import Lock, lock_path

HISTORY = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "data", "htcondor", "23-json", "history.json"
)
SACCT = """JobID|JobName|User|Group|Start|End|Elapsed|TotalCPU|Partition|NCPUS|NNodes|NodeList|MaxRSS|\
MaxVMSize|State|AllocTRES
48211|cream_77|grid004|gridgrp|1792000000|1792009005|02:30:05|09:40:00|grid|4|1|wn11|||COMPLETED|cpu=4
48211.batch|batch|||1792000000|1792009005|02:30:05|09:39:58||4|1|wn11|1.50G|2097152K|COMPLETED|cpu=4
48212_7|a|b|grid004|gridgrp|1792000000|1792000060|00:01:00|00:58.120|grid|1|1|wn12|||CANCELLED by 1|cpu=1
"""
UNTIL = "2026-11-22 00:05:00"


@pytest.fixture
def collected(place):
    """The site after a run that went well, half a day earlier: a failure must change nothing of it."""
    place.at("2026-11-21 12:05:00")
    place.prints("sacct", SACCT)
    assert place.run("slurm") == EXIT_DONE
    place.at("2026-11-22 00:10:00")
    return place


def unchanged(place, before):
    return (place.files, place.hidden, place.until()) == before


def state_of(place):
    return place.files, place.hidden, place.until()


def test_sacct_is_asked_in_utc_and_epoch_seconds(place):
    place.prints("sacct", SACCT)
    assert place.run("slurm") == EXIT_DONE
    assert len(place.asked) == 5  # 30 days, a week at a time
    zone, form, *words = place.asked[0].split(" ")
    assert (zone, form) == ("UTC", "%s")
    assert words[:6] == ["-a", "-P", "-S", "2026-10-23T00:05:00", "-E", "2026-10-30T00:05:00"]
    assert words[6:] == ["--state=CD,F,TO,NF,PR,CA,OOM,DL", "--format=" + ",".join(SACCT_FIELDS)]
    assert not {"-X", "-n"} & set(words)


def test_log_is_the_output_under_the_name_of_its_period(collected):
    place = collected
    for name in place.files:
        os.unlink(str(place.logs / name))
    assert place.run("slurm") == EXIT_DONE
    assert place.files == ["slurm_acc.20261120T120000Z-20261122T000500Z"]
    assert place.text() == SACCT
    assert place.until() == UNTIL
    assert stat.S_IMODE(os.stat(str(place.logs / place.files[0])).st_mode) == 0o644


def test_fields_are_those_of_the_parser():
    assert slurmcolumns.is_usual([name.lower() for name in SACCT_FIELDS[:-1]])
    assert SACCT_FIELDS[-1].lower() in slurmcolumns.TRES


def test_attributes_are_those_of_the_parser():
    """A projection that lacks an attribute would lose it silently."""
    read = {name for names in (*htcondor.NAMES, *classad.TOKENS) for name in names} | set(htcondor.GPUS)
    read |= {"jobstatus", "machineattrapelspecs0"}
    assert {name.lower() for name in ATTRIBUTES} == read


def test_history_becomes_one_object_a_line(place):
    place.config(parser={"type": "HTCondor", "filename_prefix": "accounting"})
    with open(HISTORY, encoding="utf-8") as stream:
        place.prints("condor_history", stream.read())
    assert place.run("htcondor") == EXIT_DONE
    (words,) = place.asked
    assert "-json -constraint JobStartDate > 0 && EnteredCurrentStatus >= 1792713900" in words
    assert "-attributes " + ",".join(ATTRIBUTES) in words
    with open(HISTORY, encoding="utf-8") as stream:
        assert [json.loads(line) for line in place.text().splitlines()] == json.load(stream)
    assert place.files[0].startswith("accounting.20261023T000500Z-")
    assert place.until("accounting") == UNTIL


@pytest.mark.parametrize("text", ["", SACCT[: SACCT.index("48211")]])
def test_no_job_makes_no_log(place, text):
    place.prints("sacct", text)
    assert place.run("slurm") == EXIT_DONE
    assert place.files == []
    assert place.until() == UNTIL
    assert "no job ended" in place.log()


@pytest.mark.parametrize("text", ["", "[\n]\n", "[]", "\n"])
def test_empty_history(place, text):
    place.config(parser={"type": "HTCondor", "filename_prefix": "accounting"})
    place.prints("condor_history", text)
    assert place.run("htcondor") == EXIT_DONE
    assert place.files == []
    assert place.until("accounting") == UNTIL


def test_bytes_that_are_no_utf8_stay(place):
    odd = SACCT.encode().replace(b"cream_77", b"caf\xe9\xff")
    place.prints("sacct", odd)
    assert place.run("slurm", "--since", "2026-11-20") == EXIT_DONE
    assert (place.logs / place.files[0]).read_bytes() == odd


def test_history_with_bytes_that_are_no_utf8(place):
    place.config(parser={"type": "HTCondor", "filename_prefix": "accounting"})
    place.prints("condor_history", b'[\n{\n  "Owner": "J\xfcrg",\n  "Cmd": "\xc3\xa9"\n}\n]\n')
    assert place.run("htcondor") == EXIT_DONE
    assert place.text() == '{"Cmd": "\\u00e9", "Owner": "J\\u00fcrg"}\n'


FAILURES = {
    "fails": ("echo 'sacct: error: Problem talking to the database' >&2; exit 1", "Problem talking"),
    "fails silently": ("exit 3", "failed with status 3: (it said nothing)"),
    "half a line, then fails": ("printf '48211|crea'; exit 1", "failed with status 1"),
    "half a line, then killed": ("printf '48211|crea'; kill -9 $$", "failed with signal 9"),
    "half a line": ("cat %s; printf '48299|crea'", "ends in the middle of a line"),
    "hangs": ("cat %s; sleep 60 & wait", "did not end within 0.5 seconds and was stopped"),
    "no jobs but complaints": (
        "echo 'error: slurmdbd: Connection refused' >&2",
        "complained: error: slurmdbd",
    ),
    "something else": ("echo 'Slurm accounting storage is disabled'", "first line does not name the columns"),
    "local times": ("sed 's/|1792000060|/|2026-11-21T12:00:00|/' %s", "its times are not in epoch seconds"),
}


@pytest.mark.parametrize("bad_day", sorted(FAILURES))
def test_sacct_that_fails_changes_nothing(collected, monkeypatch, capsys, bad_day):
    """Nothing is written, the state stays, the status says try again, and standard error says why."""
    place, (script, why) = collected, FAILURES[bad_day]
    before = state_of(place)
    monkeypatch.setattr("apel.collect.run.output_of", lambda words, more, _: output_of(words, more, 0.5))
    place.command("sacct", script.replace("%s", str(place.folder / "output")))
    assert place.run("slurm") == EXIT_TRY_LATER
    assert why in capsys.readouterr().err
    assert why in place.log()
    assert unchanged(place, before)


@pytest.mark.parametrize(
    "text",
    ["[\n{\n", '[\n{"Owner": "a"}\n,\n', '[\n{"Owner": "a"}\n,\n{"Own\n]', "-- Schedd: x", "[1, 2]", "7"],
)
def test_history_that_is_cut_off(place, capsys, text):
    place.config(parser={"type": "HTCondor", "filename_prefix": "accounting"})
    place.prints("condor_history", text)
    assert place.run("htcondor") == EXIT_TRY_LATER
    assert "its output can't be used" in capsys.readouterr().err
    assert (place.files, place.hidden, place.until("accounting")) == ([], [], None)


def test_missing_command(collected, capsys):
    before = state_of(collected)
    os.unlink(str(collected.commands / "sacct"))
    assert collected.run("slurm") == EXIT_TRY_LATER
    assert "sacct: command not found" in capsys.readouterr().err
    assert unchanged(collected, before)


def test_command_that_may_not_be_run(collected, capsys):
    """Root may run what has any x bit, so the file is one that nobody can."""
    before = state_of(collected)
    collected.config(sacct=str(collected.logs))
    assert collected.run("slurm") == EXIT_TRY_LATER
    assert "can't be run" in capsys.readouterr().err
    assert unchanged(collected, before)


def test_complaint_beside_jobs_is_a_warning(place):
    place.prints("sacct", SACCT)
    place.command("sacct", "echo 'sacct: some advice' >&2; cat %s" % (place.folder / "output"))
    assert place.run("slurm", "--since", "2026-11-20") == EXIT_DONE
    assert "WARNING - sacct: sacct: some advice" in place.log()
    assert place.text() == SACCT


def test_failure_in_the_middle_keeps_what_came_before(place):
    """The third week of a first run fails: the next run begins there, with the overlap."""
    count = "test $(wc -l < %s) -lt 3 && cat %s"
    place.prints("sacct", SACCT)
    place.command("sacct", count % (place.folder / "asked", place.folder / "output"))
    assert place.run("slurm") == EXIT_TRY_LATER
    assert len(place.files) == 2
    assert place.until() == "2026-11-06 00:05:00"
    place.prints("sacct", SACCT)
    assert place.run("slurm") == EXIT_DONE
    assert "-S 2026-11-05T00:05:00 " in place.asked[3]
    assert place.until() == UNTIL


def test_full_disk(collected, monkeypatch, capsys):
    before = state_of(collected)

    def full(path, data, mode=0o644):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("apel.collect.run.write_atomically", full)
    assert collected.run("slurm") == EXIT_TRY_LATER
    assert "can't be written: No space left on device" in capsys.readouterr().err
    assert unchanged(collected, before)


def test_crash_between_log_and_state_collects_again(collected, monkeypatch):
    """The state moves last, so that at worst a log is made twice."""
    before = collected.until()

    def killed(path, data, mode=0o644):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("apel.collect.state.write_atomically", killed)
        assert collected.run("slurm") == 130
    files = collected.files
    assert "slurm_acc.20261120T120000Z-20261122T000500Z" in files
    assert collected.until() == before
    assert collected.run("slurm") == EXIT_DONE
    assert collected.files == files


def test_clock_that_was_wrong_for_a_run_leaves_no_job_out(collected):
    """It knew the jobs that had ended by then, whenever that was: what ended since must not be left out."""
    place = collected
    place.at("2026-12-30 00:10:00")
    assert place.run("slurm") == EXIT_DONE
    place.at("2026-11-29 00:10:00")
    before = len(place.asked)
    assert place.run("slurm") == EXIT_DONE
    assert "-S 2026-10-30T00:05:00" in place.asked[before]
    assert "this host's clock was wrong" in place.log()
    assert place.until() == "2026-11-29 00:05:00"


def test_damaged_state_is_said(collected, capsys):
    path = collected.logs / ".apelcollect.slurm_acc.json"
    for text in ("", "{", "[]", '{"collected_until": "yesterday"}', '{"collected_until": true}'):
        path.write_text(text)
        asked = len(collected.asked)
        assert collected.run("slurm") == EXIT_FAILED
        assert "json is damaged" in capsys.readouterr().err
        assert len(collected.asked) == asked


def test_second_run_ends_at_once(place, capsys):
    place.prints("sacct", SACCT)
    with Lock(lock_path("apelcollect", str(place.logs), "slurm_acc"), "apelcollect"):
        assert place.run("slurm") == EXIT_FAILED
    assert "apelcollect is already running" in capsys.readouterr().err
    assert place.asked == []


def test_dry_run_says_all_and_does_nothing(place, capsys):
    place.config(sacct_arguments="--clusters='north pole'")
    assert (
        place.run("slurm", "--dry-run", "--since", "2026-11-21", "--until", "2026-11-21T06:00:00")
        == EXIT_DONE
    )
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "period:  2026-11-21 00:00:00 to 2026-11-21 06:00:00 UTC"
    assert printed[1].startswith("command: TZ=UTC SLURM_TIME_FORMAT=%s sacct -a -P -S 2026-11-21T00:00:00 ")
    assert printed[1].endswith(" '--clusters=north pole'")
    assert printed[2] == "log:     %s/slurm_acc.20261121T000000Z-20261121T060000Z" % place.logs
    assert (place.files, place.hidden, place.asked) == ([], [], [])
    assert not (place.folder / "collect.log").exists()


def test_earlier_days_once_more(collected):
    """A period that is asked for is collected; the next run goes on where it would have gone on."""
    before = collected.until()
    assert collected.run("slurm", "--since", "2025-01-01", "--until", "2025-01-03") == EXIT_DONE
    assert "slurm_acc.20250101T000000Z-20250103T000000Z" in collected.files
    assert collected.until() == before


def test_period_behind_a_gap(collected):
    before = collected.until()
    assert collected.run("slurm", "--since", "2026-11-21T20:00:00") == EXIT_DONE
    assert collected.until() == before
    assert "2026-11-21 12:00:00 to 2026-11-21 20:00:00 UTC is not collected yet" in collected.log()


@pytest.mark.parametrize(
    "words",
    [
        ["slurm", "--since", "2026-11-21", "--until", "2026-11-20"],
        ["slurm", "--since", "2026-11-20", "--until", "2026-11-20"],
        ["slurm", "--since", "yesterday"],
        ["slurm", "--until", "2026-13-01"],
        ["pbs"],
        [],
    ],
)
def test_wrong_usage(place, words, capsys):
    assert place.run(*words) == EXIT_USAGE
    assert capsys.readouterr().err
    assert (place.files, place.hidden, place.asked) == ([], [], [])


def test_nothing_to_do(collected):
    """Two runs in the same second, without an overlap."""
    collected.config(overlap_hours=0)
    assert collected.run("slurm") == EXIT_DONE
    asked = len(collected.asked)
    assert collected.run("slurm") == EXIT_DONE
    assert len(collected.asked) == asked


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ({"type": "HTCondor"}, "[batch] type is HTCondor, but the logs would be SLURM's"),
        ({"enabled": "false"}, "[batch] enabled is false"),
        ({"filename_prefix": "sacct-"}, "apelparser would not read slurm_acc.1970"),
        ({"filename_prefix": None, "filename_pattern": r"slurm_acc\.\d{8}$"}, "would not read slurm_acc"),
        ({"filename_prefix": None}, "give filename_prefix = slurm_acc"),
        ({"filename_prefix": ""}, "give filename_prefix = slurm_acc"),
        ({"dir": "/no/such/directory"}, "/no/such/directory, where the logs should go, is no directory"),
    ],
)
def test_log_that_the_parser_would_not_find(place, capsys, batch, words):
    place.prints("sacct", SACCT)
    place.config(parser=batch)
    assert place.run("slurm") == EXIT_USAGE
    assert words in capsys.readouterr().err
    assert place.asked == []


@pytest.mark.parametrize("pattern", [r"slurm_acc\.\d{8}", r"slurm.*"])
def test_patterns_of_old_configurations(place, pattern):
    place.prints("sacct", SACCT)
    place.config(parser={"filename_prefix": None, "filename_pattern": pattern})
    assert place.run("slurm", "--since", "2026-11-20") == EXIT_DONE


def test_output_elsewhere_needs_no_parser(place, tmp_path):
    place.prints("sacct", SACCT)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place.config(parser_config="/no/such/file")
    assert place.run("slurm", "--since", "2026-11-20", "--output", str(elsewhere)) == EXIT_DONE
    assert len(list(elsewhere.iterdir())) == 2
    assert (place.files, place.hidden) == ([], [])
    assert place.run("slurm") == EXIT_USAGE


@pytest.mark.parametrize(
    "options",
    [
        {"first_days": "0"},
        {"overlap_hours": "-1"},
        {"keep_days": "1.5"},
        {"prefix": "../slurm"},
        {"prefix": ".slurm"},
        {"sacct_arguments": "--cluster='north"},
        {"timeout_minutes": ""},
    ],
)
def test_wrong_options(place, capsys, options):
    place.config(**options)
    assert place.run("slurm") == EXIT_USAGE
    assert "[collect] %s" % next(iter(options)) in capsys.readouterr().err


def test_old_logs_of_its_own_are_deleted(collected):
    """By when they were written; nothing else is touched, such as the logs of the old script."""
    foreign = ["slurm_acc.20260101", "slurm_acc.20260101T000000Z-20260102T000000Z.gz", "notes"]
    for name in foreign:
        (collected.logs / name).write_text("x\n")
    old = collected.files
    for name in old:
        os.utime(str(collected.logs / name), (collected.now - 91 * 86400,) * 2)
    assert collected.run("slurm") == EXIT_DONE
    assert set(old) < set(collected.files)
    collected.config(keep_days=90)
    assert collected.run("slurm") == EXIT_DONE
    assert collected.files == sorted(
        [
            *foreign,
            "slurm_acc.20261120T120000Z-20261122T000500Z",
            "slurm_acc.20261121T000500Z-20261122T000500Z",
        ]
    )


def test_what_a_killed_run_left_is_deleted(collected):
    """The files that are written under another name first, and only those."""
    half = ".slurm_acc.20261120T120000Z-20261122T000500Z.abc_1234"
    for name in (half, "..apelcollect.slurm_acc.json.abc_1234", ".hidden", ".slurm_acc.swp"):
        (collected.logs / name).write_text("half a li")
    assert collected.run("slurm") == EXIT_DONE
    assert collected.hidden == [".apelcollect.slurm_acc.json", ".hidden", ".slurm_acc.swp"]


def test_check_config_looks_for_the_command_and_asks_nothing(place, capsys):
    place.prints("sacct", SACCT)
    assert place.run("slurm", "--check-config") == EXIT_DONE
    assert "ok       command: " in capsys.readouterr().out
    assert place.files == []
    place.config(sacct="/no/such/sacct")
    assert place.run("slurm", "--check-config") == EXIT_FAILED
    assert "failed   command: /no/such/sacct is not found: give its path" in capsys.readouterr().out
