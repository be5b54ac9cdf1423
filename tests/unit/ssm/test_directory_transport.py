"""The hand-over through a directory: whole, in order, killed at any moment, never lost."""

import os
import signal
import subprocess
import sys
import time

import pytest

from apelcommon.daemon import Stop
from ssm.dnlist import DnList
from ssm.elements import open_file
from ssm.errors import TransportError
from ssm.queues import INCOMING, MessageQueue
from ssm.receiver import receive
from ssm.sender import send_queue
from ssm.transport.directory import DirectoryTransport


@pytest.fixture
def hand_over(tmp_path):
    made = DirectoryTransport(str(tmp_path / "hand-over"))
    made.connect()
    yield made
    made.close()


def test_messages_come_whole_and_in_order(hand_over):
    bodies = [b"first\nline", b"", b"\x00\xff\n\n", b"x" * 100000]
    for number, body in enumerate(bodies):
        hand_over.send("id/%d" % number, body)
        time.sleep(0.001)
    assert hand_over.confirmed(1) == ["id/0", "id/1", "id/2", "id/3"]
    assert hand_over.confirmed(1) == []
    for number, body in enumerate(bodies):
        delivery = hand_over.receive(1)
        assert (delivery.id, delivery.body) == ("id/%d" % number, body)
        hand_over.acknowledge(delivery)
    assert hand_over.receive(0) is None
    assert os.listdir(hand_over.path) == [".receiver.lock"]


def test_message_not_acknowledged_comes_again(hand_over):
    hand_over.send("id", b"body")
    assert hand_over.receive(0).id == "id"
    hand_over.close()
    delivery = hand_over.receive(0)
    assert delivery.id == "id"
    hand_over.acknowledge(delivery)
    hand_over.acknowledge(delivery)
    assert hand_over.receive(0) is None


def test_umask_says_who_may_read_what_is_handed_over(hand_over):
    old = os.umask(0o027)
    try:
        hand_over.send("id", b"records name users")
    finally:
        os.umask(old)
    (name,) = os.listdir(hand_over.path)
    assert os.stat(os.path.join(hand_over.path, name)).st_mode & 0o777 == 0o640


def test_same_id_from_two_senders_is_two_messages(hand_over):
    hand_over.send("id", b"one")
    hand_over.send("id", b"two")
    assert len([name for name in os.listdir(hand_over.path) if name.endswith(".message")]) == 2


def test_second_receiver_is_refused_while_the_first_lives(hand_over):
    hand_over.receive(0)
    other = DirectoryTransport(hand_over.path)
    with pytest.raises(TransportError, match="already running"):
        other.receive(0)
    hand_over.close()
    assert other.receive(0) is None
    other.close()


def test_half_written_file_is_not_seen_and_later_removed(hand_over):
    half = os.path.join(hand_over.path, ".0001.message.abc")
    with open(half, "wb") as stream:
        stream.write(b"id\nhal")
    assert hand_over.receive(0) is None
    hand_over.connect()
    assert os.path.exists(half)
    os.utime(half, (time.time() - 4000,) * 2)
    hand_over.connect()
    assert not os.path.exists(half)


def test_foreign_or_unreadable_file_holds_up_no_other(hand_over, monkeypatch, caplog):
    """A directory or a pipe with a message's name, or a message that is not ours to read."""
    os.mkdir(os.path.join(hand_over.path, "0-directory.message"))
    os.mkfifo(os.path.join(hand_over.path, "0-pipe.message"))
    private = os.path.join(hand_over.path, "0-private.message")
    with open(private, "w") as stream:
        stream.write("private\nlater")
    hand_over.send("id", b"body")
    real_open = os.open

    def fail(path, *how, **more):
        if path == private:
            raise PermissionError(13, "Permission denied", path)
        return real_open(path, *how, **more)

    monkeypatch.setattr("os.open", fail)
    delivery = hand_over.receive(0)
    assert delivery.id == "id"
    hand_over.acknowledge(delivery)
    assert hand_over.receive(0) is None
    assert caplog.text.count("Passed over for now") == 1
    monkeypatch.undo()
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert hand_over.receive(0).id == "private"


def test_link_is_not_followed(hand_over, tmp_path):
    """Who may write here could have any file that the receiver may read, its key say, put into reject."""
    (tmp_path / "key").write_text("id\nsecret")
    os.symlink(str(tmp_path / "key"), os.path.join(hand_over.path, "0-link.message"))
    assert hand_over.receive(0) is None
    with pytest.raises(OSError):
        open_file(os.path.join(hand_over.path, "0-link.message"))


def test_message_that_cannot_be_removed_is_stored_once(
    hand_over, receiver_settings, dns, monkeypatch, caplog
):
    """S6: in a directory where files of others can't be removed; what comes behind it is received."""
    first, second = "0-first.message", "1-second.message"
    for name in (first, second):
        with open(os.path.join(hand_over.path, name), "w") as stream:
            stream.write("%s\nbody" % name)
    unlink = os.unlink

    def refuse(path, **more):
        if os.path.basename(path) == first:
            raise PermissionError(1, "Operation not permitted", path)
        unlink(path, **more)

    monkeypatch.setattr("os.unlink", refuse)
    assert receive(receiver_settings, DnList(dns), Stop(), idle=0) == (0, 2)
    assert "is stored, but cannot be removed" in caplog.text
    assert [name for name in os.listdir(hand_over.path) if name.endswith(".message")] == [first]


def test_message_that_comes_under_the_name_of_a_stuck_one_is_received(hand_over, monkeypatch):
    path = os.path.join(hand_over.path, "0.message")
    with open(path, "w") as stream:
        stream.write("id\none")

    def refuse(path):
        raise PermissionError(1, "Operation not permitted", path)

    monkeypatch.setattr("ssm.transport.directory.remove_file", refuse)
    hand_over.acknowledge(hand_over.receive(0))
    assert hand_over.receive(0) is None
    with open(path, "w") as stream:
        stream.write("id\nanother")
    assert hand_over.receive(0).body == b"another"


def test_directory_that_cannot_be_used_is_transient(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(TransportError, match="hand-over directory"):
        DirectoryTransport(str(tmp_path / "file" / "below")).connect()
    made = DirectoryTransport(str(tmp_path / "gone"))
    with pytest.raises(TransportError):
        made.send("id", b"x")
    with pytest.raises(TransportError):
        made.receive(0)


def test_full_disk_keeps_the_messages(outgoing, sender_settings, monkeypatch):
    """S9: what could not be handed over stays in the queue."""
    outgoing.add("x")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ssm.transport.directory.put_file", refuse)
    with pytest.raises(TransportError, match="No space left"):
        send_queue(sender_settings)
    monkeypatch.undo()
    assert send_queue(sender_settings) == (1, 0, 0)


def test_sender_to_receiver(outgoing, sender_settings, receiver_settings, dns, stop, host, tmp_path):
    for number in range(10):
        outgoing.add("message %d" % number)
    assert send_queue(sender_settings) == (10, 0, 0)
    assert receive(receiver_settings, DnList(dns), stop, idle=0) == (10, 0)
    assert receive(receiver_settings, DnList(dns), stop, idle=0) == (0, 0)
    assert bodies(tmp_path) == ["message %d" % number for number in range(10)]


def bodies(tmp_path):
    queue = MessageQueue(str(tmp_path / "centre" / "incoming"), INCOMING)
    return [queue.get(element)["body"] for element in queue.ids()]


COMMAND = "import sys; from ssm.commands.%s import main; sys.exit(main(sys.argv[1:]))"


def config(settings, section, path):
    own, messaging = settings.certificates, settings.messaging
    lines = [
        "[%s]" % section,
        "protocol = DIRECTORY",
        "[certificates]",
        "certificate = " + own.certificate,
        "key = " + own.key,
        "capath = " + own.capath,
        "[messaging]",
        "destination = " + messaging.destination,
        "path = " + messaging.path,
        "[logging]",
        "logfile = " + path + ".log",
        "console = false",
    ]
    with open(path, "w") as stream:
        stream.write("\n".join(lines) + "\n")
    return path


def test_both_ends_killed_at_random_moments_lose_nothing(
    outgoing, sender_settings, receiver_settings, dns, stop, tmp_path
):
    """S6, S9: kill -9 of sender and receiver, again and again; every message arrives, none is torn."""
    texts = {"message %d %s" % (number, "x" * 5000) for number in range(150)}
    for text in texts:
        outgoing.add(text)
    send = [
        sys.executable,
        "-c",
        COMMAND % "ssmsend",
        "-c",
        config(sender_settings, "sender", str(tmp_path / "s")),
    ]
    take = [
        sys.executable,
        "-c",
        COMMAND % "ssmreceive",
        "-d",
        dns,
        "-c",
        config(receiver_settings, "receiver", str(tmp_path / "r")),
    ]
    for number in range(6):
        ends = [subprocess.Popen(send), subprocess.Popen(take)]
        time.sleep(0.35 + 0.03 * number)
        for end in ends:
            end.send_signal(signal.SIGKILL)
            end.wait()
    send_queue(sender_settings)
    receive(receiver_settings, DnList(dns), stop, idle=0)
    assert outgoing.count() == 0
    assert set(bodies(tmp_path)) == texts
