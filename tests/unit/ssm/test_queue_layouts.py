"""The layouts of queues on disk: what python-dirq makes of ours, and we of its; what is no message."""

import os
import time

import pytest
from dirq.queue import Queue as DirqNormal
from dirq.QueueSimple import QueueSimple as DirqSimple
from hypothesis import given
from hypothesis import strategies as st
from unit.ssm.queuing import age, open_queue

from ssm.errors import QueueError
from ssm.queues import INCOMING, REJECT, DirectoryQueue, MessageQueue, OutgoingQueue

ELEMENT = {"body": "Site: Österreich\n", "signer": "/CN=Zoë", "empaid": "5f000000/5f000000000001"}

# python-dirq opens text files in a way that Python 3.14 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:codecs.open:DeprecationWarning")


# The layouts


def test_simple_layout(tmp_path):
    queue = OutgoingQueue(str(tmp_path))
    element = queue.add("Zoë")
    folder, name = element.split("/")
    assert int(folder, 16) % 60 == 0
    assert abs(int(folder, 16) - time.time()) < 120
    assert abs(int(name[:8], 16) - time.time()) < 60
    assert int(name[8:13], 16) < 1000000
    assert (tmp_path / folder / name).read_bytes() == "Zoë".encode()
    queue.lock(element)
    assert os.path.samefile(str(tmp_path / folder / name), str(tmp_path / folder / (name + ".lck")))


def test_normal_layout(tmp_path):
    queue = MessageQueue(str(tmp_path), INCOMING)
    element = queue.add(ELEMENT)
    assert sorted(os.listdir(str(tmp_path))) == ["00000000", "obsolete", "temporary"]
    assert sorted(os.listdir(str(tmp_path / element))) == ["body", "empaid", "signer"]
    assert (tmp_path / element / "signer").read_bytes() == "/CN=Zoë".encode()
    queue.lock(element)
    assert (tmp_path / element / "locked").is_dir()


def test_element_made_by_hand_is_found(tmp_path):
    (tmp_path / "12345678").mkdir()
    (tmp_path / "12345678" / "1234567890abcd").write_text("by hand")
    queue = OutgoingQueue(str(tmp_path))
    assert list(queue.ids()) == ["12345678/1234567890abcd"]
    assert queue.get("12345678/1234567890abcd") == "by hand"


def test_directory_queue_takes_plain_files_oldest_first(tmp_path):
    for number, name in enumerate(["b.txt", "a", "c c"]):
        (tmp_path / name).write_text(name)
        age(str(tmp_path / name), 100 - number)
    (tmp_path / "sub").mkdir()
    (tmp_path / ".being-written").write_text("half")
    queue = DirectoryQueue(str(tmp_path))
    assert list(queue.ids()) == ["b.txt", "a", "c c"]
    assert queue.lock("a")
    queue.remove("a")
    assert not queue.lock("a")
    assert queue.count() == 2


def test_element_with_wrong_keys_is_refused(tmp_path):
    queue = MessageQueue(str(tmp_path), REJECT)
    for element in ({"body": "x"}, {"body": "x", "error": "y", "other": "z"}, {}):
        with pytest.raises(QueueError, match="unknown"):
            queue.add(element)
    assert queue.add({"body": "x", "error": "y"})


def test_element_without_a_required_file_is_said(tmp_path):
    queue = MessageQueue(str(tmp_path), INCOMING)
    element = queue.add(ELEMENT)
    os.unlink(str(tmp_path / element / "signer"))
    with pytest.raises(QueueError, match="has no signer"):
        queue.get(element)
    os.unlink(str(tmp_path / element / "empaid"))


def test_element_without_empaid_is_read(tmp_path):
    queue = MessageQueue(str(tmp_path), INCOMING)
    assert queue.get(queue.add({"body": "x", "signer": "y"})) == {"body": "x", "signer": "y"}


def test_bytes_that_are_no_text_show_and_stay(tmp_path):
    queue = MessageQueue(str(tmp_path), REJECT)
    element = queue.add({"body": b"Zo\xeb", "error": "not UTF-8"})
    assert queue.get(element)["body"] == "Zo\\xeb"
    assert queue.read(element)["body"] == b"Zo\xeb"


def test_message_that_can_never_be_sent_is_put_aside(tmp_path):
    queue = OutgoingQueue(str(tmp_path))
    element = queue.add("bad")
    queue.lock(element)
    place = queue.put_aside(element, "because")
    assert queue.count() == 0
    with open(place) as stream:
        assert stream.read() == "bad"
    with open(place + ".reason") as stream:
        assert stream.read() == "because\n"
    assert DirqSimple(str(tmp_path)).count() == 0


# Exchange with python-dirq


def test_dirq_reads_what_we_add_to_the_simple_layout(tmp_path):
    element = OutgoingQueue(str(tmp_path)).add("Zoë\n")
    theirs = DirqSimple(str(tmp_path))
    assert list(theirs) == [element]
    assert theirs.lock(element)
    assert theirs.get(element) == "Zoë\n".encode()
    assert not OutgoingQueue(str(tmp_path)).lock(element)
    theirs.remove(element)
    assert OutgoingQueue(str(tmp_path)).count() == 0


def test_we_read_what_dirq_adds_to_the_simple_layout(tmp_path):
    theirs, ours = DirqSimple(str(tmp_path)), OutgoingQueue(str(tmp_path))
    element = theirs.add("Zoë\n")
    assert list(ours.ids()) == [element]
    assert ours.lock(element)
    assert not theirs.lock(element)
    assert theirs.get(element) == "Zoë\n".encode()
    theirs.purge()
    assert ours.get(element) == "Zoë\n"
    ours.remove(element)
    assert theirs.count() == 0
    theirs.purge()


def test_dirq_reads_what_we_add_to_the_normal_layout(tmp_path):
    element = MessageQueue(str(tmp_path), INCOMING).add(ELEMENT)
    theirs = DirqNormal(str(tmp_path), schema={"body": "string", "signer": "string", "empaid": "string?"})
    assert list(theirs) == [element]
    assert theirs.lock(element)
    assert theirs.get(element) == ELEMENT
    assert not MessageQueue(str(tmp_path), INCOMING).lock(element)
    theirs.remove(element)
    assert MessageQueue(str(tmp_path), INCOMING).count() == 0


def test_we_read_what_dirq_adds_to_the_normal_layout(tmp_path):
    theirs = DirqNormal(str(tmp_path), schema={"body": "string", "signer": "string", "empaid": "string?"})
    ours = MessageQueue(str(tmp_path), INCOMING)
    element = theirs.add(ELEMENT)
    assert list(ours.ids()) == [element]
    assert ours.lock(element)
    assert not theirs.lock(element)
    theirs.purge()
    assert ours.get(element) == ELEMENT
    ours.remove(element)
    assert theirs.count() == 0
    theirs.purge()


@given(text=st.text(st.characters(blacklist_categories=("Cs",)), max_size=200))
def test_any_text_comes_back_from_the_simple_layout(tmp_path_factory, text):
    queue = OutgoingQueue(str(tmp_path_factory.getbasetemp() / "any"))
    element = queue.add(text)
    assert queue.get(element) == text
    queue.lock(element)
    queue.remove(element)


@pytest.mark.parametrize("kind", ["simple", "directory"])
def test_link_in_a_queue_is_not_read(kind, tmp_path):
    """Who may write here could have any file that the sender may read, its key say, signed and sent."""
    queue = open_queue(kind, str(tmp_path / "queue"))
    (tmp_path / "key").write_text("secret")
    element = "key" if kind == "directory" else "5f000000/5f000000000001"
    os.makedirs(os.path.dirname(os.path.join(queue.path, element)), exist_ok=True)
    os.symlink(str(tmp_path / "key"), os.path.join(queue.path, element))
    with pytest.raises(OSError):
        queue.read(element)


def test_pipe_in_a_queue_hangs_nobody(tmp_path):
    queue = open_queue("simple", str(tmp_path / "queue"))
    os.mkfifo(os.path.join(queue.path, ".claims-1-00"))
    assert queue.purge() == 0
    os.mkdir(os.path.join(queue.path, "5f000000"))
    os.mkfifo(os.path.join(queue.path, "5f000000/5f000000000001"))
    assert queue.read("5f000000/5f000000000001") == b""
