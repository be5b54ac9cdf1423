"""The command apelparser, as cron runs it, also when it is killed or started twice."""

import fcntl
import os
import random
import time

LINE = (
    "%d|job|user|group|2025-03-07T09:00:00|2025-03-07T11:30:05|02:30:05|4-00:00:10|grid|40|2|n|||COMPLETED\n"
)
KILLS, MOST_KILLS = 8, 60
LINES = 40000


def test_run_of_both_kinds(site):
    site.copy_corpus()
    site.config()
    status, out, err = site.command()
    assert (status, out, err) == (0, "", "")
    with open(site.path("parser.log")) as stream:
        log = stream.read()
    assert "batch: 400 records stored" in log
    assert "blah: 355 records stored" in log
    assert len(site.jobs()) == 400


def position(site):
    """How far the file has been read, as the database knows."""
    return sum(place for (place,) in site.rows("SELECT Position FROM ProcessedFiles"))


def kill_in_the_middle(site, dice):
    """Start the parser; kill it as soon as it has stored something, or a little later."""
    before = position(site)
    process = site.start()
    while position(site) == before and process.poll() is None:
        time.sleep(0.005)
    time.sleep(dice.uniform(0, 0.04))
    process.kill()
    process.communicate()


def test_killed_in_the_middle_of_a_file(site):
    """P5: kill -9 again and again; no line is lost, none is stored twice."""
    count, size, kills, places = 0, 0, 0, set()
    site.config(blah__enabled="false")
    dice = random.Random(5)
    # Where the kill comes too late, the file has been read to its end: then it grows.
    while kills < KILLS or (len(places) < 2 and kills < MOST_KILLS):
        if position(site) == size:
            text = "".join(LINE % number for number in range(count, count + LINES))
            text = text if count else text.replace("|job|user|", "|job|", 3)  # three lines that fail
            site.write("a", text, "ab")
            count, size = count + LINES, size + len(text)
        kill_in_the_middle(site, dice)
        kills += 1
        places |= {position(site)} - {0, size}
    assert len(places) > 1
    status, _, err = site.command()
    assert (status, err) == (0, "")
    assert len(site.jobs()) == count - 3
    assert site.rows("SELECT StopLine, Parsed, Position FROM ProcessedFiles") == [(count, count - 3, size)]
    assert site.rows("SELECT LineNumber FROM RejectedLines ORDER BY LineNumber") == [(1,), (2,), (3,)]


def test_second_run_ends_at_once(site):
    """P6: it says who holds the lock, and changes nothing."""
    site.write("a", LINE % 1)
    site.config()
    with open(site.path("lock"), "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write("%d\n" % os.getpid())
        stream.flush()
        status, _, err = site.command()
    assert status == 1
    assert "already running" in err
    assert str(os.getpid()) in err
    assert site.jobs() == []


def test_stale_lock_is_taken_over(site):
    """P6: the lock of a process that died is no lock."""
    site.write("a", LINE % 1)
    site.config()
    with open(site.path("lock"), "w") as stream:
        stream.write("999999\n")
    assert site.command()[0] == 0
    assert site.jobs() == ["1"]


def test_failed_file_fails_the_run(site):
    """P2. It is said on standard error, since cron's mail has nothing else."""
    site.write("a", LINE % 1)
    for number in range(12):
        site.write("b%02d" % number, b"\x1f\x8b\x08damaged")
    site.config()
    status, _, err = site.command()
    assert (status, site.jobs()) == (1, ["1"])
    assert err.count("; the next run tries again\n") == 10 and "batch/b00: " in err
    assert err.endswith("apelparser: and 2 more, in the log\n")
    with open(site.path("parser.log")) as stream:
        assert "batch/b11: " in stream.read()


def test_dry_run_stores_nothing(site):
    site.copy_corpus()
    site.config()
    status, out, _ = site.command("--dry-run")
    assert status == 0
    assert "batch: 400 records stored" in out
    assert "This was a dry run: nothing has been stored." in out
    assert site.jobs() == []
    assert site.rows("SELECT * FROM ProcessedFiles") == []


def test_slurm_times_are_the_hosts(site):
    """P14: the same log on a host elsewhere."""
    site.write("a", LINE.replace("-03-", "-07-") % 1)
    site.config(blah__enabled="false")
    assert site.command(zone="America/St_Johns")[0] == 0
    assert site.rows("SELECT StartTime, EndTime FROM EventRecords") == [
        ("2025-07-07 11:30:00", "2025-07-07 14:00:05")
    ]


def test_autumn_hour_in_the_database(site):
    """P14: two jobs with the same local times, an hour apart."""
    line = "%d|j|u|g|2025-10-26T01:10:00|2025-10-26T01:%s:00|%s|1|q|1|1|n|||COMPLETED\n"
    site.write(
        "a", line % (1, "30", "00:20:00") + line % (2, "30", "01:20:00") + line % (3, "05", "00:55:00")
    )
    site.config(blah__enabled="false")
    assert site.command(zone="Europe/London")[0] == 0
    assert site.rows(
        "SELECT JobName, StartTime, EndTime, WallDuration FROM EventRecords ORDER BY JobName"
    ) == [
        ("1", "2025-10-26 00:10:00", "2025-10-26 00:30:00", 1200),
        ("2", "2025-10-26 00:10:00", "2025-10-26 01:30:00", 4800),
        ("3", "2025-10-26 00:10:00", "2025-10-26 01:05:00", 3300),
    ]


def test_database_trouble_loses_nothing(site):
    """The run asks to be tried again later; the next one finds all that there is."""
    site.write("a", LINE % 1)
    site.config(db__backend="sqlite", db__name=site.path("gone", "client.db"))
    status, _, err = site.command()
    assert status == 75
    assert "gone" in err
    site.config()
    assert site.command()[0] == 0
    assert site.jobs() == ["1"]


def test_wrong_configuration_is_found_before_anything_is_done(site):
    """C11."""
    site.write("a", LINE % 1)
    site.config(batch__type="OpenLava", batch__subdirs="perhaps", site_info__site_name="")
    for arguments in ([], ["--check-config"]):
        status, _, err = site.command(*arguments)
        assert status == 2
        assert len(err.splitlines()) == 3
    assert site.jobs() == []
    site.config()
    assert site.command("--check-config")[0] == 0
    assert site.jobs() == []
