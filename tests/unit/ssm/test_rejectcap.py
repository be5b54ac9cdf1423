"""The reject queue is bounded: its oldest messages go, and are counted."""

import os
import time

import pytest

from ssm import rejectcap
from ssm.figures import ReceiverFigures
from ssm.queues import REJECT, MessageQueue
from ssm.reasons import BANNED, NOT_LISTED, NOT_VERIFIED, REASONS, reason_of
from ssm.receiver import Receiver
from ssm.rejectcap import RejectCap
from ssm.transport import Delivery


@pytest.fixture
def reject(tmp_path):
    return MessageQueue(str(tmp_path / "reject"), REJECT)


def fill(queue, count, size=100000):
    return [queue.add({"body": "%d" % number + "x" * size, "error": "why"}) for number in range(count)]


def steady_clock(queue):
    """Have the clock gone on for a day."""
    with open(os.path.join(queue.path, "clock"), "w") as stream:
        stream.write("%d %d" % (time.time() - 86401, time.time() - 600))


def test_oldest_go_when_there_are_too_many_bytes(reject, caplog):
    names = fill(reject, 20)
    cap = RejectCap(reject, 1, 0)
    assert cap.look() == 12, "down to nine tenths of a megabyte"
    assert list(reject.ids()) == names[12:]
    assert "12 messages in" in caplog.text
    assert cap.look() == 0


def test_what_comes_is_counted_without_walking_the_queue(reject, monkeypatch):
    cap = RejectCap(reject, 1, 0)
    walks = []
    look = cap.look
    monkeypatch.setattr(cap, "look", lambda: walks.append(1) or look())
    removed = 0
    for _ in range(30):
        fill(reject, 1)
        removed += cap.added(100000)
    assert removed == cap.removed == 30 - reject.count()
    assert reject.count() <= 10
    assert len(walks) < 15


def test_too_old_ones_go(reject):
    fill(reject, 3)
    folder = os.path.join(reject.path, "00000000")
    old = "%08x000000" % int(time.time() - 11 * 86400)
    os.rename(os.path.join(folder, sorted(os.listdir(folder))[0]), os.path.join(folder, old))
    steady_clock(reject)
    assert RejectCap(reject, 0, 12).look() == 0
    assert RejectCap(reject, 0, 10).look() == 1
    assert reject.count() == 2


@pytest.mark.parametrize("step", [600, 86400])
def test_clock_that_jumps_forward_and_back_empties_nothing(reject, monkeypatch, step):
    """S12: a year ahead for some hours, until somebody sets it right; a receiver at work, or one each day."""
    fill(reject, 3)
    began = time.time()
    now = [began]
    monkeypatch.setattr(rejectcap.time, "time", lambda: now[0])
    removed = []

    def run(hours):
        until = now[0] + hours * 3600
        while now[0] < until:
            removed.append(RejectCap(reject, 0, 30).look())
            now[0] += step

    run(48)
    now[0] += 365 * 86400
    run(20)
    now[0] -= 365 * 86400
    run(24)
    assert reject.count() == 3 and not any(removed)
    run(28 * 24)
    assert reject.count() == 0 and sum(removed) == 3, "their time has come"


@pytest.mark.parametrize("text", ["", "x", "1 2 3", "nan {now}", "inf {now}", "{now} nan", "-inf -inf"])
def test_strange_note_of_the_clock_begins_a_new_day(reject, text):
    """S12: it can neither end the receiver nor keep old messages for ever."""
    fill(reject, 3)
    note = os.path.join(reject.path, "clock")
    with open(note, "w") as stream:
        stream.write(text.format(now=int(time.time())))
    assert RejectCap(reject, 0, 1).look() == 0
    with open(note) as stream:
        since, last = map(int, stream.read().split())
    assert since == last > time.time() - 3600


def test_what_another_process_works_on_stays(reject):
    names = fill(reject, 20)
    assert MessageQueue(reject.path, REJECT).lock(names[0])
    RejectCap(reject, 1, 0).look()
    assert next(reject.ids()) == names[0]


def test_flood_drives_out_nothing_that_can_be_replayed(reject):
    """S14, S12: rubbish goes before what a known signer sent, that before what is to be loaded again."""
    errors = ["a record without Site", NOT_LISTED + "/CN=a", NOT_VERIFIED + "x", BANNED + "/CN=b"]
    names = [reject.add({"body": "x" * 100000, "error": error}) for error in errors * 2]
    flood = [reject.add({"body": "x" * 100000, "error": NOT_VERIFIED + "y"}) for _ in range(5)]
    RejectCap(reject, 1, 0).look()
    assert list(reject.ids()) == [names[0], names[1], names[4], names[5], *flood[-4:]]
    for _ in range(20):
        reject.add({"body": "x" * 100000, "error": errors[1]})
    RejectCap(reject, 1, 0).look()
    assert list(reject.ids())[:2] == [names[0], names[4]]


def test_what_cannot_be_removed_does_not_stop_the_receiver(trust, tmp_path, caplog):
    """S12: what is stored must be acknowledged: a receiver that ended here would get it again for ever."""
    receiver = Receiver(str(tmp_path / "centre"), trust, frozenset())
    os.mkdir(os.path.join(receiver.reject.path, "00000000"))
    stray = os.path.join(receiver.reject.path, "00000000", "00000000000001")
    with open(stray, "w") as stream:
        stream.write("a file where a message's directory belongs")
    steady_clock(receiver.reject)
    receiver.cap = RejectCap(receiver.reject, 1, 1)
    for number in range(12):
        receiver.take(Delivery("id%d" % number, b"x" * 100000, None))
    assert receiver.rejected == 12
    assert receiver.cap.removed > 0, "the others do go"
    assert "can't be removed" in caplog.text


def test_without_limits_nothing_goes(reject):
    fill(reject, 20)
    cap = RejectCap(reject, 0, 0)
    assert cap.look_now_and_then() == 0
    assert cap.added(10**12) == 0
    assert reject.count() == 20


def test_receiver_keeps_the_limit_and_counts(receiver_settings, trust, tmp_path):
    """S12: a flood of messages that nobody can verify does not fill the disk."""
    receiver_settings.metrics.textfile = str(tmp_path / "ssm.prom")
    figures = ReceiverFigures(receiver_settings, REASONS.values())
    receiver = Receiver(str(tmp_path / "centre"), trust, frozenset(), figures=figures)
    receiver.cap = RejectCap(receiver.reject, 1, 0)
    for number in range(40):
        receiver.take(Delivery("id%d" % number, b"x" * 100000, None))
    receiver.take(Delivery("empty", b"", None))
    receiver.rest()
    assert receiver.rejected == 41
    assert receiver.reject.count() <= 11
    with open(receiver_settings.metrics.textfile) as stream:
        lines = stream.read().splitlines()
    label = 'destination="%s",program="ssmreceive"' % receiver_settings.messaging.destination
    assert 'ssm_messages_rejected_total{%s,reason="not verified"} 40' % label in lines
    assert 'ssm_messages_rejected_total{%s,reason="empty"} 1' % label in lines
    assert 'ssm_messages_rejected_total{%s,reason="banned"} 0' % label in lines
    assert "ssm_rejects_removed_total{%s} %d" % (label, 41 - receiver.reject.count()) in lines
    assert 'ssm_queue_messages{%s,queue="reject"} %d' % (label, receiver.reject.count()) in lines


def test_every_reason_has_its_kind():
    assert {reason_of(start + "anything") for start in REASONS} == set(REASONS.values())
    assert reason_of("something else") == "other"
