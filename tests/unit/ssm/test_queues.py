"""The queues on disk: order, durability, locks and those of the dead, what is left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest
from unit.ssm.queuing import add, age, open_queue

from ssm.errors import StorageError
from ssm.queues import INCOMING, MessageQueue, OutgoingQueue

# python-dirq opens text files in a way that Python 3.14 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:codecs.open:DeprecationWarning")


@pytest.fixture(params=["simple", "normal", "directory"])
def queue(request, tmp_path):
    return open_queue(request.param, str(tmp_path / "queue"))


@pytest.fixture(params=["simple", "normal"])
def locking_queue(request, tmp_path):
    return open_queue(request.param, str(tmp_path / "queue"))


# What every queue does


def test_elements_come_in_order_and_go(queue):
    ids = [add(queue, number) for number in range(20)]
    assert queue.count() == 20
    assert set(queue.ids()) == set(ids)
    for element in ids:
        assert queue.lock(element)
        queue.remove(element)
    assert queue.count() == 0


def test_elements_added_apart_come_in_order(queue):
    ids = []
    for number in range(5):
        ids.append(add(queue, number))
        time.sleep(0.002)
    assert list(queue.ids()) == ids


def test_elements_come_in_order_when_the_clock_is_set_back(locking_queue, monkeypatch):
    """D6: a correction must not come before what it corrects. Also from another process, and for a year."""
    clock = [1800000000.0]
    monkeypatch.setattr("time.time", lambda: clock[0])
    ids = []
    for back in (0, 3600, 0, 10, 365 * 86400):
        clock[0] -= back
        other = type(locking_queue)(*queue_arguments(locking_queue))
        for queue in (locking_queue, other, locking_queue):
            clock[0] += 0.001
            ids.append(add(queue, len(ids)))
    assert list(locking_queue.ids()) == ids
    for element in ids:
        assert locking_queue.lock(element)
        locking_queue.remove(element)
    after = add(type(locking_queue)(*queue_arguments(locking_queue)))
    assert int(after[9:17], 16) == int(clock[0]), "what is gone holds nothing up"


def test_last_name_there_can_be_stops_nothing(locking_queue):
    folder, name = add(locking_queue).split("/")
    path = os.path.join(locking_queue.path, folder)
    os.rename(os.path.join(path, name), os.path.join(path, "f" * 14))
    assert [add(locking_queue), add(locking_queue)] == sorted(locking_queue.ids())[:2]


def test_element_that_is_tidied_up_while_it_is_written_is_not_added_in_part(tmp_path, monkeypatch):
    """S6: the disk stood still for minutes. Half of a message would be acknowledged, and lost."""
    queue = MessageQueue(str(tmp_path), INCOMING)
    publish = queue._publish

    def late(temporary):
        age(temporary, 3600)
        monkeypatch.setattr("shutil.rmtree", lambda path, **_: os.unlink(os.path.join(path, "body")))
        MessageQueue(str(tmp_path), INCOMING).purge()
        return publish(temporary)

    monkeypatch.setattr(queue, "_publish", late)
    with pytest.raises(StorageError):
        add(queue)
    assert queue.count() == 0


def test_two_processes_remove_in_the_same_microsecond(tmp_path, monkeypatch):
    """What one has put to what is removed is no error of the other's."""
    queue = open_queue("normal", str(tmp_path / "queue"))
    element, name = add(queue), "0" * 14
    names = iter([name, "1" * 14])
    monkeypatch.setattr("ssm.queues.new_name", lambda: next(names))
    others = tmp_path / "queue" / "obsolete" / name / "body"
    others.parent.mkdir()
    others.write_text("x")
    assert queue.lock(element)
    queue.remove(element)
    assert queue.count() == 0 and others.exists()


def test_second_lock_fails(locking_queue):
    element = add(locking_queue)
    other = type(locking_queue)(*queue_arguments(locking_queue))
    assert locking_queue.lock(element)
    assert not locking_queue.lock(element)
    assert not other.lock(element)
    locking_queue.unlock(element)
    assert other.lock(element)
    other.remove(element)
    assert not locking_queue.lock(element)
    assert os.listdir(os.path.join(locking_queue.path, element[:8])) == []


def queue_arguments(queue):
    return (queue.path, queue.schema) if isinstance(queue, MessageQueue) else (queue.path,)


def test_full_disk_is_transient(queue, monkeypatch):
    """S7: whatever the disk refuses, nothing half-written is seen, and the element can be added again."""

    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match="No space left on device"):
        add(queue)
    assert queue.count() == 0
    monkeypatch.undo()
    add(queue)
    assert queue.count() == 1


def test_queue_that_cannot_be_made_is_transient(tmp_path):
    (tmp_path / "file").write_text("")
    for kind in ("simple", "normal", "directory"):
        with pytest.raises(StorageError, match="Cannot make the queue"):
            open_queue(kind, str(tmp_path / "file" / "below"))


def test_nothing_counts_before_it_is_synced(queue, monkeypatch):
    """S6: the files are synced before the element is seen, and its name before its id is returned."""
    seen = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(queue.count()) or real(descriptor))
    add(queue)
    assert seen[0] == 0
    assert seen[-1] == 1


def test_two_processes_take_each_element_once(locking_queue):
    ids = [add(locking_queue, number) for number in range(60)]
    words = [sys.executable, "-c", TAKE_ALL, kind_of(locking_queue), locking_queue.path]
    takers = [subprocess.Popen(words, stdout=subprocess.PIPE, universal_newlines=True) for _ in range(3)]
    taken = [taker.communicate()[0].split() for taker in takers]
    assert sorted(element for part in taken for element in part) == sorted(ids)


def test_lock_made_in_an_element_on_its_way_out_is_none(tmp_path, monkeypatch):
    """The kernel looks up the folder, its owner moves it to be deleted, and the lock is made in that."""
    queue = MessageQueue(str(tmp_path / "queue"), INCOMING)
    element = add(queue, 1)
    mkdir = os.mkdir

    def late(path, *mode):
        obsolete = os.path.join(queue.path, "obsolete", "0123456789abcd")
        os.rename(os.path.dirname(path), obsolete)
        mkdir(os.path.join(obsolete, "locked"))

    monkeypatch.setattr("ssm.queues.os.mkdir", late)
    assert not queue.lock(element)


OPEN = """
import sys, time
from ssm.queues import INCOMING, MessageQueue, OutgoingQueue
queue = OutgoingQueue(sys.argv[2]) if sys.argv[1] == "simple" else MessageQueue(sys.argv[2], INCOMING)
"""
TAKE_ALL = (
    OPEN
    + """
for element in queue.ids():
    if queue.lock(element):
        print(element)
        queue.remove(element)
"""
)


def test_foreign_thing_that_can_not_be_locked_leaves_no_claim_and_stops_no_purge(locking_queue):
    """A directory where a file belongs, or the other way round, as a copy by hand may leave it."""
    folder = os.path.join(locking_queue.path, "00000000")
    os.makedirs(folder)
    foreign = os.path.join(folder, "0" * 14)
    if isinstance(locking_queue, OutgoingQueue):
        os.mkdir(foreign)
    else:
        open(foreign, "w").close()
    good = add(locking_queue)
    with pytest.raises(OSError):
        locking_queue.lock("00000000/" + "0" * 14)
    assert not [name for name in os.listdir(locking_queue.path) if name.startswith(".claims")]
    assert locking_queue.purge() == 0
    assert locking_queue.lock(good)


def test_lock_that_can_not_be_dated_is_taken_back(tmp_path, monkeypatch):
    queue = OutgoingQueue(str(tmp_path))
    element = queue.add("hello")

    def fail(path):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", fail)
    with pytest.raises(PermissionError):
        queue.lock(element)
    assert os.listdir(os.path.join(queue.path, element[:8])) == [element[9:]]


def test_old_lock_that_is_not_ours_to_free_stops_no_purge(tmp_path, monkeypatch, caplog):
    queue = MessageQueue(str(tmp_path), INCOMING)
    element = queue.add({"body": "x", "signer": "y"})
    lock = os.path.join(queue.path, element, "locked")
    os.mkdir(lock)
    age(lock, 700)

    def fail(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rmdir", fail)
    assert queue.purge() == 0
    assert "can't be freed" in caplog.text


def kind_of(queue):
    return "normal" if isinstance(queue, MessageQueue) else "simple"


# Locks of dead processes

HOLD = (
    OPEN
    + """
elements = list(queue.ids())
assert all(queue.lock(element) for element in elements)
queue.unlock(elements[0])
print("locked", flush=True)
time.sleep(60)
"""
)


def hold(queue):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, kind_of(queue), queue.path], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"locked\n"
    return process


def end(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_locks_of_a_killed_process_are_freed(locking_queue):
    """A process killed with -9 leaves locks; the next purge frees them, but not those of the living."""
    ids = [add(locking_queue, number) for number in range(3)]
    process = hold(locking_queue)
    try:
        assert locking_queue.purge() == 0
        assert [locking_queue.lock(element) for element in ids] == [True, False, False]
    finally:
        end(process)
    assert locking_queue.purge() == 2
    assert [locking_queue.lock(element) for element in ids[1:]] == [True, True]
    assert locking_queue.purge() == 0, "our own locks are alive"
    for element in ids:
        locking_queue.unlock(element)
    assert not [name for name in os.listdir(locking_queue.path) if name.startswith(".")]


def test_lock_taken_over_from_the_dead_is_not_freed(locking_queue):
    """What a dead process held, and a living one has locked since, stays locked."""
    first = add(locking_queue)
    second = add(locking_queue, 1)
    process = hold(locking_queue)
    end(process)
    lock = os.path.join(locking_queue.path, second) + (
        "/locked" if os.path.isdir(os.path.join(locking_queue.path, second)) else ".lck"
    )
    age(lock, -60)  # as if made a minute after the dead one's
    assert locking_queue.purge() == 0
    assert not locking_queue.lock(second)
    assert locking_queue.lock(first)


def test_old_lock_without_an_owner_is_freed(locking_queue):
    """A lock of python-dirq has no owner: it is stale after ten minutes, as there."""
    element = add(locking_queue)
    path = os.path.join(locking_queue.path, element)
    if os.path.isdir(path):
        os.mkdir(path + "/locked")
        lock = path + "/locked"
    else:
        os.link(path, path + ".lck")
        lock = path + ".lck"
    assert locking_queue.purge() == 0
    age(lock, 601)
    assert locking_queue.purge() == 1
    assert locking_queue.lock(element)


def test_file_system_without_flock_still_locks(locking_queue, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    element = add(locking_queue)
    assert locking_queue.lock(element)
    assert not locking_queue.lock(element)
    locking_queue.remove(element)
    assert locking_queue.count() == 0


def test_full_disk_does_not_keep_messages_in_a_queue(locking_queue, monkeypatch):
    """S7, S9: there is no room to note who has the lock: what is taken off the queue makes some."""
    ids = [add(locking_queue, number) for number in range(2)]
    write = os.write

    def refuse(descriptor, data):
        if data[:1] in (b"+", b"-"):
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr("os.write", refuse)
    assert [locking_queue.lock(element) for element in ids] == [True, True]
    assert not locking_queue.lock(ids[0])
    for element in ids:
        locking_queue.remove(element)
    assert locking_queue.count() == 0
    assert not [name for name in os.listdir(locking_queue.path) if name.startswith(".")]


def test_claims_that_cannot_be_read_keep_no_other_lock(locking_queue, caplog):
    """Another user's, say, who was killed: the locks of other dead processes are freed all the same."""
    os.mkdir(os.path.join(locking_queue.path, ".claims-1-00"))
    ids = [add(locking_queue, number) for number in range(2)]
    end(hold(locking_queue))
    assert locking_queue.purge() == 1
    assert [locking_queue.lock(element) for element in ids] == [True, True]
    assert "can't be looked at" in caplog.text


def test_leftovers_of_another_user_keep_no_other_lock(tmp_path, monkeypatch, caplog):
    queue = OutgoingQueue(str(tmp_path / "queue"))
    path = os.path.join(queue.path, queue.add("x"))
    os.link(path, path + ".lck")
    age(path, 601)
    with open(path[:-14] + "00000000000000.tmp", "w"):
        age(path[:-14] + "00000000000000.tmp", 601)
    unlink = os.unlink

    def refuse(name, **more):
        if name.endswith(".tmp"):
            raise PermissionError(1, "Operation not permitted")
        unlink(name, **more)

    monkeypatch.setattr("os.unlink", refuse)
    assert queue.purge() == 1
    assert "is a leftover, but can't be removed" in caplog.text


def test_garbled_claims_free_nothing_else(locking_queue):
    element = add(locking_queue)
    with open(os.path.join(locking_queue.path, ".claims-1-00"), "wb") as stream:
        stream.write(b"+9 ../../etc\n+x\n-\n\n+99999999999 nonsense\n")
    assert locking_queue.purge() == 0
    assert list(locking_queue.ids()) == [element]


# What purge removes


def test_purge_removes_old_leftovers_and_empty_folders_of_the_simple_layout(tmp_path):
    queue = OutgoingQueue(str(tmp_path))
    for folder in ("50000000", "50000040"):
        (tmp_path / folder).mkdir()
    old = tmp_path / "50000040" / "50000040000001.tmp"
    old.write_text("half")
    fresh = tmp_path / "50000040" / "50000040000002.tmp"
    fresh.write_text("being written")
    age(str(old), 301)
    queue.purge()
    assert sorted(os.listdir(str(tmp_path))) == ["50000040"]
    assert os.listdir(str(tmp_path / "50000040")) == [fresh.name]


def test_purge_removes_old_leftovers_and_empty_folders_of_the_normal_layout(tmp_path):
    queue = MessageQueue(str(tmp_path), INCOMING)
    add(queue)
    (tmp_path / "00000001").mkdir()
    (element,) = queue.ids()
    queue.lock(element)
    queue.remove(element)
    for place in ("temporary", "obsolete"):
        left = tmp_path / place / "50000000000001"
        left.mkdir()
        (left / "body").write_text("half")
        age(str(left), 301)
        (tmp_path / place / "50000000000002").mkdir()
    queue.purge()
    assert sorted(os.listdir(str(tmp_path))) == ["00000001", "obsolete", "temporary"]
    assert os.listdir(str(tmp_path / "temporary")) == ["50000000000002"]
    assert os.listdir(str(tmp_path / "obsolete")) == ["50000000000002"]


def test_folder_removed_by_a_purge_is_made_again(tmp_path):
    queue = OutgoingQueue(str(tmp_path))
    element = add(queue)
    queue.lock(element)
    queue.remove(element)
    os.rmdir(os.path.join(queue.path, element[:8]))
    add(queue)
    assert queue.count() == 1


def test_full_folder_is_followed_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr(MessageQueue, "MOST_IN_FOLDER", 3)
    queue = MessageQueue(str(tmp_path), INCOMING)
    ids = [add(queue, number) for number in range(8)]
    assert sorted({element[:8] for element in ids}) == ["00000000", "00000001", "00000002"]


def test_umask_says_who_may_read_messages(queue, tmp_path):
    """Records name users: nobody may read them whom the admin has shut out."""
    old = os.umask(0o027)
    try:
        queue.path = str(tmp_path / "private")
        made = type(queue)(queue.path, *([INCOMING] if isinstance(queue, MessageQueue) else []))
        element = add(made)
        if not isinstance(made, MessageQueue):
            assert made.lock(element)
            made.put_aside(element, "because")
    finally:
        os.umask(old)
    for folder, _, names in os.walk(made.path):
        for path in [folder, *(os.path.join(folder, name) for name in names)]:
            assert not os.stat(path).st_mode & 0o027, path
