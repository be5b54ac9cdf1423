"""apelstar: what file systems and Ceph say becomes storage records, and what they fail at is said."""

import os
import pathlib
import signal
import stat
import sys
from typing import Any, Dict, List

import pytest

from apel import external, times
from apel.commands import apelstar
from apel.messages import decode
from apel.star import filesystems, sources
from apel.star.filesystems import FileSystem
from ssm.queues import OutgoingQueue

DATA = pathlib.Path(__file__).parents[2] / "data" / "storage"
NOW = times.epoch_from_text("2026-11-26 03:12:00")
HOUR = 3600


class Host:
    """A host with storage: a configuration, commands that are made up, and a queue."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.queue = OutgoingQueue(str(folder / "spool" / "outgoing"))

    def configure(self, **options: Any) -> None:
        plain: Dict[str, Any] = {
            "site_name": "EXAMPLE-SITE",
            "storage_system": "se.example.org",
            "dir_location": self.folder / "spool",
        }
        lines = ["%s = %s\n" % item for item in dict(plain, **options).items()]
        logs = "[logging]\nlogfile = %s\nconsole = false\n" % (self.folder / "log")
        (self.folder / "star.cfg").write_text("[star]\n" + "".join(lines) + logs)

    def command(self, name: str, script: str) -> str:
        """A command that notes what it was asked; its path."""
        path = self.folder / name
        path.write_text('#!/bin/sh\necho "$*" >> %s\n%s\n' % (self.folder / "asked", script))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def asked(self) -> List[str]:
        return (self.folder / "asked").read_text().splitlines()

    def run(self, *words: str) -> int:
        return apelstar.main([*words, "-c", str(self.folder / "star.cfg")])

    def records(self) -> List[Any]:
        """What was written, and is taken out of the queue."""
        found: List[Any] = []
        for name in list(self.queue.ids()):
            assert self.queue.lock(name)
            message = decode(self.queue.get(name))
            assert message.format == "storage star" and not message.rejected
            found += message.records
            self.queue.remove(name)
        return found


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: Any) -> Host:
    monkeypatch.setattr("apel.times.now", lambda: NOW)
    made = Host(tmp_path)
    made.configure()
    return made


def sizes(records: List[Any]) -> List[Any]:
    return [
        (one.StorageShare, one.ResourceCapacityUsed, one.LogicalCapacityUsed, one.ResourceCapacityAllocated,
         one.FileCount)
        for one in records
    ]  # fmt: skip


# -- Ceph -----------------------------------------------------------------------------------------


def test_buckets_with_their_owners_and_what_is_here_of_them(host: Host) -> None:
    """Neither marks of deleted objects nor what has moved to another cloud is stored here."""
    (host.folder / "map").write_text(
        "user=atlas-* -> /atlas/Role=production\ngroup=biology/* -> /bio/human\n"
    )
    admin = host.command("radosgw-admin", "cat %s" % (DATA / "bucket-stats.json"))
    host.configure(radosgw_admin=admin + " --id=apel", replication="3", identity_map=host.folder / "map")
    assert host.run("buckets") == 0
    assert host.asked() == ["--id=apel bucket stats --format=json"]
    atlas, empty = host.records()
    assert sizes([atlas, empty]) == [
        ("atlas-data", 3 * (1331200 + 4096), 1075028 + 1000, 3 * 5368709120000, 104),
        ("biology/empty", 0, 0, None, 0),
    ]
    assert (atlas.LocalUser, atlas.Group, atlas.SubGroup, atlas.Role) == (
        "atlas-ddm",
        "atlas",
        None,
        "production",
    )
    assert (empty.LocalUser, empty.Group, empty.SubGroup, empty.Role) == (
        "biology$ada",
        "bio",
        "/bio/human",
        None,
    )
    assert (atlas.Site, atlas.StorageSystem, atlas.StorageMedia) == ("EXAMPLE-SITE", "se.example.org", "disk")
    assert (atlas.CreateTime, atlas.StartTime, atlas.EndTime) == (NOW, NOW, NOW + 24 * HOUR)


def test_buckets_of_an_old_gateway_are_in_kib(host: Host) -> None:
    usage = '{"rgw.main": {"size_kb": 3, "size_kb_actual": 4, "num_objects": 1}}'
    (host.folder / "old").write_text('[{"bucket": "b", "owner": "o", "usage": %s}]' % usage)
    assert host.run("buckets", "--from", str(host.folder / "old")) == 0
    assert sizes(host.records()) == [("b", 4096, 3072, None, 1)]


def test_images_are_added_up_by_pool_with_their_snapshots(host: Host) -> None:
    rbd = host.command("rbd", "cat %s" % (DATA / "rbd-du.json"))
    host.configure(rbd=rbd, pools="volumes,vms", replication="1.5")
    assert host.run("images") == 0
    assert host.asked() == ["du --pool volumes --format=json", "du --pool vms --format=json"]
    volumes, vms = host.records()
    assert sizes([volumes]) == [("volumes", 16190013440 * 3 // 2, 16190013440, 27380416512 * 3 // 2, 2)]
    assert vms.StorageShare == "vms" and vms.RecordId != volumes.RecordId


def test_pools_say_their_replication_themselves(host: Host) -> None:
    ceph = host.command("ceph", "cat %s" % (DATA / "ceph-df.json"))
    host.configure(ceph=ceph, replication="3", pools="cephfs.data")
    assert host.run("pools") == 0
    assert sizes(host.records()) == [("cephfs.data", 16106127360, 5368709120, None, 1280)]
    host.configure(ceph=ceph, pools="cephfs.data,gone")
    assert host.run("pools") == 1


def test_pools_of_an_old_cluster_have_none(host: Host) -> None:
    (host.folder / "df").write_text('{"pools": [{"name": "a", "stats": {"bytes_used": 7, "objects": 1}}]}')
    host.configure(replication="3")
    assert host.run("pools", "--from", str(host.folder / "df")) == 0
    assert sizes(host.records()) == [("a", 21, 7, None, 1)]


@pytest.mark.parametrize("what", ["buckets", "images", "pools"])
@pytest.mark.parametrize(
    "text", ["", "error", "[1]", '{"pools": [{}]}', '{"images": [{"used_size": "x"}]}', "[{}]", "null"]
)
def test_output_that_is_something_else_is_an_error_and_no_record(
    host: Host, capsys: Any, what: str, text: str
) -> None:
    (host.folder / "other").write_text(text)
    host.configure(pools="p")
    assert host.run(what, "--from", str(host.folder / "other")) == 1
    err = capsys.readouterr().err
    assert "printed no JSON" in err or "did not print what was expected" in err
    assert host.records() == []


# -- file systems ---------------------------------------------------------------------------------


def test_mounted_file_system_as_statvfs_has_it(host: Host) -> None:
    host.configure(mounts="/", storage_class="raid6")
    assert host.run("mounts") == 0
    (root,) = host.records()
    real = os.statvfs("/")
    assert root.ResourceCapacityAllocated == real.f_blocks * real.f_frsize
    assert 0 < root.ResourceCapacityUsed == root.LogicalCapacityUsed <= root.ResourceCapacityAllocated
    assert (root.StorageShare, root.DirectoryPath, root.StorageClass) == ("/", "/", "raid6")


def test_what_root_keeps_to_itself_is_not_used(host: Host, monkeypatch: Any) -> None:
    values = (1, 1024, 1000, 400, 50, 20)
    monkeypatch.setattr(sources, "file_system", lambda path: FileSystem(*values))
    host.configure(mounts="/")
    assert host.run("mounts") == 0
    assert sizes(host.records()) == [("/", 600 * 1024, 600 * 1024, 1000 * 1024, 30)]
    for files, free in ((0, 0), (70, 2**64 - 1)):  # as Btrfs and as CephFS say it
        values = (1, 1024, 9, 4, files, free)
        monkeypatch.setattr(sources, "file_system", lambda path, values=values: FileSystem(*values))
        assert host.run("mounts") == 0
        assert host.records()[0].FileCount is None


def test_file_system_that_is_not_mounted_is_said_and_the_others_are_sent(host: Host, capsys: Any) -> None:
    """Or else the disk below the mount point would be reported as it."""
    host.configure(mounts="%s,/,/proc,%s" % (host.folder, host.folder / "gone"))
    assert host.run("mounts") == 75
    err = capsys.readouterr().err
    assert "%s: nothing is mounted there" % host.folder in err
    assert "/gone can't be read: No such file or directory" in err
    assert "/proc: its file system does not say how large it is" in err
    assert [one.StorageShare for one in host.records()] == ["/"]


def test_file_system_whose_server_is_down_holds_up_no_other(
    host: Host, monkeypatch: Any, capsys: Any
) -> None:
    """A dead NFS server answers nothing, for days: not even to the question whether something is mounted."""
    hung = 'import time\ntime.sleep(600 if path == "/hung" else 0)\ntry:'
    monkeypatch.setattr(filesystems, "LOOK", filesystems.LOOK.replace("try:", hung))
    monkeypatch.setattr(
        filesystems,
        "output_of",
        lambda words, more, _: external.output_of(words, more, 0.5 if "/hung" in words else 60.0),
    )
    host.configure(mounts="/hung,/")
    assert host.run("mounts") == 75
    assert "/hung: its file system does not answer within 120 seconds" in capsys.readouterr().err
    assert [one.StorageShare for one in host.records()] == ["/"]


def test_command_that_can_not_even_be_killed_is_left_alone(
    tmp_path: pathlib.Path, monkeypatch: Any, caplog: Any
) -> None:
    """It sleeps in the kernel, and so would whoever waits for its end."""
    left: List[Any] = []
    monkeypatch.setattr(external, "_kill", left.append)
    monkeypatch.setattr(external, "PATIENCE_SECONDS", 0.1)
    try:
        with pytest.raises(external.TimedOut, match="sleep did not end within 0.1 seconds"):
            external.output_of(["sleep", "600"], {}, 0.1)
        assert "can't be killed" in caplog.text
    finally:
        for process in left:
            os.kill(process.pid, signal.SIGKILL)
            os.waitpid(process.pid, 0)


def test_mount_point_is_one_however_it_is_written(host: Host) -> None:
    """Or else its bytes would be counted twice."""
    host.configure(mounts="/, //,/./")
    assert host.run("mounts") == 0
    assert [one.StorageShare for one in host.records()] == ["/"]
    assert sources.mount_points(["/data/", "/data", "//d/../data"]) == ["/data"]


def test_quotas_of_groups_and_of_users(host: Host) -> None:
    """Of those with files: names with a comma, without a name, with a hard and a soft limit."""
    (host.folder / "map").write_text("group=atlas -> atlas\n")
    quota = host.command("repquota", "cat %s" % (DATA / "repquota.csv"))
    host.configure(repquota=quota, mounts="/data", identity_map=host.folder / "map")
    assert host.run("quotas") == 0
    assert host.asked() == ["--group --output=csv /data"]
    found = host.records()
    assert sizes(found) == [
        ("/data", 2**30, 2**30, 3000000 * 1024, 1234),
        ("/data", 20480, 20480, 10240, 3),
        ("/data", 8192, 8192, None, 1),
    ]
    assert [(one.LocalGroup, one.Group) for one in found] == [
        ("atlas", "atlas"),
        ("#4711", None),
        ("a,b", None),
    ]
    assert len({one.RecordId for one in found}) == 3
    host.configure(repquota=quota, mounts="/data", quotas_of="user")
    assert host.run("quotas") == 0
    first, *_ = host.records()
    assert (first.LocalUser, first.LocalGroup) == ("atlas", None)
    assert host.asked()[1] == "--user --output=csv /data"


@pytest.mark.parametrize(
    "text", ["", "*** Report for user quotas on device /dev/sda1\n", "Group,BlockStatus\n"]
)
def test_quotas_in_another_form_are_an_error(host: Host, capsys: Any, text: str) -> None:
    (host.folder / "other").write_text(text)
    host.configure(mounts="/data")
    assert host.run("quotas", "--from", str(host.folder / "other")) == 1
    assert "--output=csv" in capsys.readouterr().err
    (host.folder / "other").write_text((DATA / "repquota.csv").read_text() + "x,ok,ok,?,0,0,,0,0,0,\n")
    assert host.run("quotas", "--from", str(host.folder / "other")) == 1
    assert "repquota printed for /data: x,ok" in capsys.readouterr().err
    assert host.records() == []


def test_groups_whose_names_are_in_an_old_encoding_stay_apart(host: Host) -> None:
    lines = (DATA / "repquota.csv").read_bytes().splitlines()
    header = next(line for line in lines if b"BlockStatus" in line)
    groups = [b"gr\xe9,ok,ok,10,0,0,,1,0,0,", b"gr\xe8,ok,ok,20,0,0,,2,0,0,"]
    (host.folder / "old").write_bytes(b"\n".join([header, *groups]))
    host.configure(mounts="/data")
    assert host.run("quotas", "--from", str(host.folder / "old")) == 0
    found = host.records()
    assert [one.LocalGroup for one in found] == ["gr\\xe9", "gr\\xe8"]
    assert len({one.RecordId for one in found}) == 2


# -- records --------------------------------------------------------------------------------------


def test_second_run_of_a_period_replaces_the_first_and_the_next_period_does_not(
    host: Host, monkeypatch: Any
) -> None:
    words = ("buckets", "--from", str(DATA / "bucket-stats.json"))
    names = []
    for now in (NOW, NOW + HOUR, NOW + 24 * HOUR):
        monkeypatch.setattr("apel.times.now", lambda now=now: now)
        assert host.run(*words) == 0
        names.append([one.RecordId for one in host.records()])
    assert names[0] == names[1] and not set(names[0]) & set(names[2])
    assert names[0][0].startswith("se.example.org/sr/buckets/2026-11-26T00:00:00Z/")
    host.configure(valid_hours="1")
    assert host.run(*words) == 0
    assert "2026-11-27T03:00:00Z" in host.records()[0].RecordId


def test_one_bad_name_is_left_out_and_said(host: Host, capsys: Any) -> None:
    text = (DATA / "bucket-stats.json").read_text().replace('"atlas-data"', '"a\\u0007b"')
    (host.folder / "bad").write_text(text)
    assert host.run("buckets", "--from", str(host.folder / "bad")) == 1
    assert "Not sent, because it is invalid" in capsys.readouterr().err
    assert [one.StorageShare for one in host.records()] == ["biology/empty"]


def test_messages_hold_no_more_records_than_they_may(host: Host) -> None:
    host.configure(records_per_message="1")
    assert host.run("buckets", "--from", str(DATA / "bucket-stats.json")) == 0
    assert len(list(host.queue.ids())) == 2


@pytest.mark.parametrize(
    "text", ['[{"usage": {"rgw.main": {"size": 1e400, "size_actual": 1}}}]', "[" * 200000]
)
def test_json_beyond_measure_is_an_error_in_words(host: Host, capsys: Any, text: str) -> None:
    (host.folder / "other").write_text(text)
    assert host.run("buckets", "--from", str(host.folder / "other")) == 1
    assert "radosgw-admin bucket stats" in capsys.readouterr().err


# -- the command ----------------------------------------------------------------------------------


def test_dry_run_prints_the_message_and_writes_nothing(host: Host, capsys: Any) -> None:
    assert host.run("buckets", "--from", str(DATA / "bucket-stats.json"), "--dry-run") == 0
    message = decode(capsys.readouterr().out)
    assert [one.StorageShare for one in message.records] == ["atlas-data", "biology/empty"]
    assert host.records() == [] and not (host.folder / "log").exists()


def test_command_that_fails_is_tried_again_later(host: Host, capsys: Any) -> None:
    host.configure(radosgw_admin=host.command("radosgw-admin", "echo no keyring >&2; exit 5"))
    assert host.run("buckets") == 75
    assert "failed with status 5: no keyring" in capsys.readouterr().err
    host.configure(radosgw_admin="/nowhere/radosgw-admin")
    assert host.run("buckets") == 75
    assert "command not found" in capsys.readouterr().err


def test_one_pool_that_fails_stops_no_other(host: Host) -> None:
    script = 'case "$*" in *bad*) exit 2;; esac; cat %s' % (DATA / "rbd-du.json")
    host.configure(rbd=host.command("rbd", script), pools="one,bad,two")
    with open(str(host.folder / "star.cfg"), "a") as stream:
        stream.write("[metrics]\ntextfile = %s\n" % (host.folder / "apel.prom"))
    assert host.run("images") == 75
    assert [one.StorageShare for one in host.records()] == ["one", "two"]
    assert (
        'apel_star_records_total{program="apelstar",storage_system="se.example.org",what="images"} 2\n'
        in (host.folder / "apel.prom").read_text()
    )


def test_log_says_in_one_line_what_was_done(host: Host) -> None:
    assert host.run("buckets", "--from", str(DATA / "bucket-stats.json")) == 0
    (line,) = (host.folder / "log").read_text().splitlines()
    assert "buckets: 2 records written, 1335296 bytes used" in line


@pytest.mark.parametrize(
    "words, options, said",
    [
        (("mounts",), {}, "[star] mounts names nothing, which mounts needs"),
        (("quotas",), {}, "[star] mounts names nothing, which quotas needs"),
        (("images",), {}, "[star] pools names nothing, which images needs"),
        (("mounts", "--from", "x"), {"mounts": "/"}, "mounts runs no command"),
        (("images", "--from", "x"), {"pools": "a,b"}, "names several"),
        (("mounts",), {"mounts": "data"}, "data does not begin with /"),
        (("pools",), {"replication": "0.5"}, "replication must be 1 or more"),
        (("pools",), {"ceph": ""}, "is empty, but must be a command"),
        (("pools",), {"storage_system": "x" * 151}, "more than 150 characters"),
        (("pools",), {"identity_map": "/nowhere"}, "can't be read"),
    ],
)
def test_wrong_options_are_said_before_anything_is_done(
    host: Host, capsys: Any, words: Any, options: Dict[str, Any], said: str
) -> None:
    """C11."""
    host.configure(**options)
    assert host.run(*words) == 2
    assert said in capsys.readouterr().err


def test_file_of_an_output_that_is_not_there(host: Host, capsys: Any) -> None:
    assert host.run("buckets", "--from", str(host.folder / "gone")) == 1
    assert "can't be read" in capsys.readouterr().err


def test_two_configurations_run_side_by_side(host: Host, tmp_path: pathlib.Path) -> None:
    """Two clusters, one spool, one minute of cron: neither is left out for the other's sake."""
    other = Host(tmp_path / "other")
    text = (DATA / "bucket-stats.json").read_text()
    inner = "%s -c 'import sys; from apel.commands.apelstar import main; sys.exit(main(sys.argv[1:]))'" % (
        sys.executable
    )
    words = "buckets --from %s -c %s/star.cfg" % (DATA / "bucket-stats.json", other.folder)
    other.configure(storage_system="other.example.org", dir_location=host.folder / "spool")
    script = "%s %s >&2 && cat <<'END'\n%s\nEND" % (inner, words, text)
    host.configure(radosgw_admin=host.command("radosgw-admin", script))
    assert host.run("buckets") == 0
    assert {one.StorageSystem for one in host.records()} == {"se.example.org", "other.example.org"}


def test_success_of_one_system_does_not_hide_that_another_fails(host: Host) -> None:
    figures = host.folder / "apel.prom"
    text = "\n[metrics]\ntextfile = %s\n" % figures
    for system, words, status in (
        ("a.example", ("--from", str(DATA / "bucket-stats.json")), 0),
        ("b.example", (), 75),
    ):
        host.configure(storage_system=system, radosgw_admin="/nowhere/radosgw-admin")
        with open(str(host.folder / "star.cfg"), "a") as stream:
            stream.write(text)
        assert host.run("buckets", *words) == status
    labels = '{program="apelstar",storage_system="%s",what="buckets"}'
    found = figures.read_text()
    for name, system, there in (
        ("apel_last_success_timestamp_seconds", "a.example", True),
        ("apel_last_success_timestamp_seconds", "b.example", False),
        ("apel_last_run_timestamp_seconds", "b.example", True),
    ):
        assert (name + labels % system in found) is there


def test_check_config_tries_command_mounts_and_spool(host: Host, capsys: Any) -> None:
    host.configure(mounts="/,%s" % host.folder)
    assert host.run("mounts", "--check-config") == 1
    out = capsys.readouterr().out
    assert "ok       mount: /: " in out and "failed   mount: %s: nothing is mounted" % host.folder in out
    host.configure(ceph="sh -c")
    assert host.run("pools", "--check-config") == 0
    assert "ok       command: " in capsys.readouterr().out
    assert host.records() == []
