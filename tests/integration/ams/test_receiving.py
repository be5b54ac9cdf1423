"""AMS: what is pulled is acknowledged when it is stored, and what comes again is known."""

import logging
import threading
import time

import pytest
from messenger import bodies, kinds

import ssm.receiver
from apelcommon.daemon import Stop
from ssm.errors import StorageError
from ssm.queues import MessageQueue
from ssm.receiver import _Loop, load_keys, make_receiver
from ssm.transport.ams import AmsTransport


def test_disk_full_acknowledges_what_is_stored_and_nothing_else(ends, monkeypatch):
    """S7: the rest comes again."""
    texts = ends.fill(10)
    ends.send()
    add = MessageQueue.add

    def fail_at_five(self, data):
        if self.count() >= 4:
            raise StorageError("No space left on device.")
        return add(self, data)

    monkeypatch.setattr(MessageQueue, "add", fail_at_five)
    with pytest.raises(StorageError):
        ends.receive(idle=0.3)
    assert len(ends.arrived()) == 4
    monkeypatch.undo()
    ends.receive(idle=0.3)
    assert sorted(bodies(ends)) == sorted(texts), "each once: the four were acknowledged"


def test_slow_disk_acknowledges_in_time(ends, server, monkeypatch):
    """S7: what is stored is acknowledged before the deadline, and the rest of the batch is pulled again."""
    monkeypatch.setattr(AmsTransport, "_agree_on_deadline", lambda self: setattr(self, "_deadline", 0.4))
    texts = ends.fill(8)
    ends.send()
    add = MessageQueue.add

    def slowly(self, data):
        time.sleep(0.15)
        return add(self, data)

    monkeypatch.setattr(MessageQueue, "add", slowly)
    assert ends.receive(idle=0.3) == (8, 0)
    assert sorted(bodies(ends)) == sorted(texts), "each once"
    assert len(kinds(server, "acknowledge")) > 1
    assert set(kinds(server, "acknowledge")) == {200}


def test_deadline_is_set_as_wanted(ends, server):
    ends.receive(idle=0.1, messaging__ack_deadline=77)
    assert server.subscriptions[ends.destination].deadline == 77
    ends.receive(idle=0.1, messaging__ack_deadline=0)
    assert server.subscriptions[ends.destination].deadline == 77


def test_acknowledgement_too_late_lets_them_come_again(ends, server, caplog, monkeypatch):
    """The deadline is over: at least once, with a longer deadline and smaller pulls from then on."""
    caplog.set_level(logging.INFO)
    server.subscriptions[ends.destination].deadline = 1
    texts = ends.fill(3)
    ends.send()
    transport = AmsTransport(ends.receiver(messaging__ack_deadline=0))
    transport.connect()
    deliveries = [transport.receive(0.5) for _ in texts]
    time.sleep(1.1)
    transport.acknowledge(deliveries[-1])
    assert transport.receive(0.5).id == deliveries[0].id
    assert "these messages will come again" in caplog.text
    assert kinds(server, "acknowledge") == [408], "it is not tried again"
    assert server.subscriptions[ends.destination].deadline >= 2
    assert transport.most_pulled == 5
    transport.acknowledge(deliveries[0])
    transport.close()
    assert transport.most_pulled == 6


def test_what_comes_again_in_smaller_pulls_is_known_to_its_last(ends, server):
    """An acknowledgement of three was refused, and they come again one by one: none is stored twice."""
    texts = ends.fill(3)
    ends.send()
    transport = AmsTransport(ends.receiver())
    transport.connect()
    for _ in texts:
        transport.acknowledge(transport.receive(5))
    server.fault("acknowledge", code=408)
    transport.most_pulled = 1
    for _ in range(60):  # a slow machine needs more than one
        assert transport.receive(0.5) is None
        if len(kinds(server, "acknowledge")) == 3:
            break
    assert kinds(server, "acknowledge") == [408, 200, 200]
    assert server.subscriptions[ends.destination].offset == 3
    transport.close()


def test_right_to_pull_but_not_to_acknowledge_stores_nothing_twice(ends, server, monkeypatch, caplog):
    """S7: the same messages come with each pull; when the right is there, all goes on."""
    texts = ends.fill(12)
    ends.send()
    waits = []
    transport = AmsTransport(ends.receiver())
    receiver = make_receiver(ends.receiver(), ends.names(), load_keys(ends.receiver()))
    loop = _Loop(receiver, transport, Stop(), None)
    server.fault("acknowledge", times=4, code=403)

    def pause(seconds):
        waits.append(seconds)
        if len(waits) == 5:
            loop.stop.set()

    monkeypatch.setattr(loop, "_pause", pause)
    monkeypatch.setattr(ssm.receiver, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(loop.backoff, "next", iter(range(1, 99)).__next__)
    monkeypatch.setattr(loop.backoff, "reset", lambda: resets.append(len(waits)))
    resets = []
    watcher = threading.Thread(target=_stop_when, args=(lambda: receiver.accepted == 12, loop.stop))
    watcher.start()
    loop.run_for_ever()
    watcher.join()
    assert (sorted(bodies(ends)), receiver.accepted) == (sorted(texts), 12)
    assert waits == [1, 2, 3, 4], "less and less often"
    assert not set(resets) & {1, 2, 3}, "nothing in between makes it begin anew"
    assert "10 messages are stored and not acknowledged" in caplog.text
    assert "the right to consume" in caplog.text


def _stop_when(so, stop):
    deadline = time.monotonic() + 180
    while not so() and time.monotonic() < deadline:
        time.sleep(0.02)
    stop.set()


def test_second_receiver_is_suspected(ends, server, caplog):
    """Its acknowledgement took ours away: nothing is lost, and nothing slowed down."""
    ends.fill(3)
    ends.send()
    transport = AmsTransport(ends.receiver())
    transport.connect()
    delivery = transport.receive(0.5)
    ends.receive(idle=0.3)
    transport.acknowledge(delivery)
    transport.close()
    assert "another receiver" in caplog.text
    assert transport.most_pulled == 10


@pytest.mark.parametrize("attributes", [{"empaid": "a/b"}, [{"key": "empaid", "value": "a/b"}]])
def test_both_forms_of_attributes_are_read(ends, server, attributes):
    server.put(ends.destination, b"x", attributes)
    transport = AmsTransport(ends.receiver())
    assert transport.receive(1).id == "a/b"
    transport.close()


def test_strange_messages_are_rejected_and_stop_nothing(ends, server):
    texts = ends.fill(1)
    for attributes in (None, 5, [], [1], {"empaid": None}, "text"):
        server.put(ends.destination, b"no signature", attributes)
    with server.lock:
        for data in ("*** no base64 ***", "", None, 5):
            server._append(ends.destination, {"data": data})
    ends.send()
    assert ends.receive(idle=0.3) == (1, 10)
    assert bodies(ends) == texts
    assert ends.receive(idle=0.3) == (0, 0)
