"""ssmqueue: what it says of queues in use, and what it puts right."""

import json
import os
import subprocess
import sys

import pytest

from ssm import spool
from ssm.commands.ssmqueue import main
from ssm.errors import QueueError
from ssm.queues import INCOMING, REJECT, DirectoryQueue, MessageQueue, OutgoingQueue

LOCK_AND_DIE = (
    "import os, sys; from ssm.queues import *\n"
    "queue = OutgoingQueue(sys.argv[1]) if sys.argv[2] == 'out' else MessageQueue(sys.argv[1], INCOMING)\n"
    "assert queue.lock(next(queue.ids()))\n"
    "os.kill(os.getpid(), 9)"
)


@pytest.fixture
def base(tmp_path):
    path = str(tmp_path / "spool")
    outgoing = OutgoingQueue(os.path.join(path, "outgoing"))
    incoming = MessageQueue(os.path.join(path, "incoming"), INCOMING)
    reject = MessageQueue(os.path.join(path, "reject"), REJECT)
    for number in range(3):
        outgoing.add("out %d" % number)
        incoming.add({"body": "in %d" % number, "signer": "/CN=a", "empaid": "x/y"})
    reject.add({"body": "bad é", "error": "why"})
    return path


def die_with_a_lock(path, kind):
    words = [sys.executable, "-W", "ignore", "-c", LOCK_AND_DIE, path, kind]
    assert subprocess.run(words).returncode == -9


def test_status_of_all_queues(base, capsys):
    assert main(["status", base]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:4] for line in lines] == [
        ["queue", "messages", "locked", "failed"],
        ["outgoing", "3", "0", "0"],
        ["incoming", "3", "0", "0"],
        ["reject", "1", "0", "0"],
    ]


def test_status_changes_nothing(tmp_path, capsys):
    folder = tmp_path / "outgoing"
    folder.mkdir()
    assert main(["status", str(tmp_path)]) == 0
    assert main(["status", str(folder), "--json"]) == 0
    assert [os.path.basename(str(path)) for path in tmp_path.rglob("*")] == ["outgoing"]
    assert json.loads(capsys.readouterr().out.split("\n", 2)[2])[0]["messages"] == 0


def test_status_as_json_with_locks_and_what_was_put_aside(base, capsys):
    queue = OutgoingQueue(os.path.join(base, "outgoing"))
    first, second, _ = queue.ids()
    assert queue.lock(first) and queue.lock(second)
    queue.put_aside(second, "too large")
    assert main(["status", os.path.join(base, "outgoing"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["name"], found["messages"], found["locked"], found["failed"]) == ("outgoing", 2, 1, 1)
    assert found["oldest"] == int(first.split("/")[1][:8], 16)


@pytest.mark.parametrize(("name", "kind"), [("outgoing", "out"), ("incoming", "in")])
def test_locks_of_dead_processes_are_freed_and_no_others(base, capsys, name, kind):
    path = os.path.join(base, name)
    die_with_a_lock(path, kind)
    living = OutgoingQueue(path) if kind == "out" else MessageQueue(path, INCOMING)
    dead, alive, _ = living.ids()
    assert not living.lock(dead)
    assert living.lock(alive)
    # A lock counts as the dead one's if it was made within five seconds of its note.
    assert main(["unlock", base]) == 0
    assert "%s/%s is free" % (name, dead) in capsys.readouterr().out
    assert living.lock(dead)
    assert main(["unlock", base]) == 0
    assert "%s: 0 freed, 2 stay locked" % name in capsys.readouterr().out


def test_all_locks_are_freed_on_demand(base, capsys):
    queue = MessageQueue(os.path.join(base, "incoming"), INCOMING)
    assert all(queue.lock(element) for element in queue.ids())
    assert main(["unlock", base, "--all"]) == 0
    assert "incoming: 3 freed, 0 stay locked" in capsys.readouterr().out


def test_show_prints_a_message(base, capsys):
    path = os.path.join(base, "reject")
    element = next(MessageQueue(path, REJECT).ids())
    assert main(["show", path, element]) == 0
    printed = capsys.readouterr()
    assert printed.out == "bad é\n"
    assert printed.err == "error: why\n"


def test_show_of_plain_files(tmp_path, capsys):
    folder = tmp_path / "plain"
    name = DirectoryQueue(str(folder)).add("text")
    assert main(["show", str(folder), name]) == 0
    assert capsys.readouterr().out == "text\n"


@pytest.mark.parametrize(
    "element", ["69400000/69400000a1b2c3", "../../../etc/passwd", "outgoing", "", "69400000/../../reject"]
)
def test_show_of_what_is_no_message(base, capsys, element):
    assert main(["show", os.path.join(base, "incoming"), element]) == 1
    assert "ssmqueue: " in capsys.readouterr().err


def test_requeue_puts_back_what_was_put_aside(base, capsys):
    queue = OutgoingQueue(os.path.join(base, "outgoing"))
    elements = list(queue.ids())
    for element in elements[:2]:
        queue.lock(element)
        queue.put_aside(element, "why")
    names = [element.split("/")[1] for element in elements]
    assert main(["requeue", queue.path, names[0]]) == 0
    assert "%s is now " % names[0] in capsys.readouterr().out
    assert sorted(queue.get(element) for element in queue.ids()) == ["out 0", "out 2"]
    assert main(["requeue", queue.path, "--all"]) == 0
    assert sorted(queue.get(element) for element in queue.ids()) == ["out 0", "out 1", "out 2"]
    assert os.listdir(os.path.join(queue.path, "failed")) == []


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["requeue", "{base}/outgoing", "nothing"], 1, "There is no "),
        (["requeue", "{base}/outgoing", "../outgoing"], 1, "There is no "),
        (["requeue", "{base}/reject", "x"], 1, "apelreplay"),
        (["requeue", "{base}/outgoing"], 2, "which message?"),
        (["show", "{base}", "x"], 1, "name one of them"),
        (["status", "{base}", "x"], 2, "no ID"),
        (["status", "/nonexistent"], 1, "There is no directory /nonexistent"),
    ],
)
def test_mistakes_are_said(base, capsys, words, status, said):
    assert main([word.format(base=base) for word in words]) == status
    assert said in capsys.readouterr().err


def test_link_in_failed_is_not_requeued(tmp_path):
    """An administrator who puts messages back must not send what only an administrator may read."""
    queue = OutgoingQueue(str(tmp_path / "outgoing"))
    os.mkdir(os.path.join(queue.path, "failed"))
    (tmp_path / "secret").write_text("secret")
    os.symlink(str(tmp_path / "secret"), os.path.join(queue.path, "failed", "link"))
    with pytest.raises(QueueError, match="can't be read"):
        spool.requeue(queue, "link")
    assert queue.count() == 0
