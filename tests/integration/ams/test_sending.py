"""AMS: what is published counts when AMS says so, whatever else it answers and however large it is."""

import os
import time

import pytest
from messenger import bodies, kinds

from ssm.errors import TooLarge, TransportError
from ssm.transport import amsapi
from ssm.transport.ams import AmsTransport


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_errors_are_tried_again(ends, server, status):
    """S9: and what they had done is done once more, which harms nobody."""
    ends.fill(3)
    server.fault("publish", 2, code=status, after=True)
    assert ends.send() == (3, 0, 0)
    assert kinds(server, "publish") == [status, status, 200]
    assert len(server.published(ends.destination)) == 9


@pytest.mark.parametrize(
    "fault", [{"code": 503}, {"code": 429}, {"raw": b""}, {"raw": b"HTTP/1.1 200 OK\r\n"}]
)
def test_lasting_errors_end_the_run_and_lose_nothing(ends, server, fault):
    """S9: time-outs, 5xx, half answers: the messages stay, and the exit status says try later."""
    ends.fill(3)
    server.fault("publish", 60, **fault)
    with pytest.raises(TransportError) as caught:
        ends.send()
    assert caught.value.exit_status == 75
    assert ends.outgoing.count() == 3
    server.faults.clear()
    assert ends.send() == (3, 0, 0)


def test_retry_after_is_respected(ends, server):
    server.fault("publish", code=429, headers={"Retry-After": "1"})
    ends.fill(1)
    before = time.monotonic()
    assert ends.send() == (1, 0, 0)
    assert time.monotonic() - before >= 1


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"messageIds": ["1"]}',
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00\xff",
    ],
)
def test_answers_that_are_none_confirm_nothing(ends, server, raw):
    """S9: a message leaves the queue for AMS' word that it has it, and for nothing else."""
    ends.fill(2)
    server.fault("publish", 60, raw=raw)
    with pytest.raises(TransportError):
        ends.send()
    assert ends.outgoing.count() == 2
    assert server.published(ends.destination) == []


def test_slow_answer_is_waited_for_and_no_longer_than_is_right(ends, server, monkeypatch):
    """S9: the sender never hangs, not even where bytes drip."""
    ends.fill(1)
    server.fault("publish", seconds=0.5)
    assert ends.send() == (1, 0, 0)
    monkeypatch.setattr(amsapi, "CALL_SECONDS", 0.3)
    ends.fill(1)
    server.fault("publish", 60, seconds=1.0)
    with pytest.raises(TransportError, match="No answer from AMS"):
        ends.send()
    assert ends.outgoing.count() == 1


def test_batches_stay_under_the_limit_of_a_request(ends, server):
    texts = ends.fill(16, size=150000)
    assert ends.send() == (16, 0, 0)
    assert set(kinds(server, "publish")) == {200}
    assert len(kinds(server, "publish")) < 10
    assert 500000 < server.largest < 1000000
    assert ends.receive(idle=0.3) == (16, 0)
    assert sorted(bodies(ends)) == sorted(texts)


def test_large_message_is_split_and_one_record_is_put_aside(ends, server):
    """S10: AMS takes 1 MB: in base64, and with its attributes."""
    record = "Site: Aye\nLocalJobId: %d\nNote: " + "x" * 9000 + "\n%%%%\n"
    ends.outgoing.add(
        "APEL-individual-job-message: v0.3\n" + "".join(record % number for number in range(200))
    )
    ends.outgoing.add("Header: v0.1\n" + record % 1 + "Note: %s\n%%%%\n" % ("y" * 1000000))
    small = ends.fill(3)
    assert ends.send() == (4, 1, 0)
    assert set(kinds(server, "publish")) == {200}, "nothing had to be refused"
    assert len(os.listdir(os.path.join(ends.outgoing.path, "failed"))) == 2
    assert ends.receive(idle=0.3).rejected == 0
    assert set(small) < set(bodies(ends))
    lines = [line for body in bodies(ends) for line in body.splitlines() if line.startswith("LocalJobId")]
    assert sorted(lines) == sorted(["LocalJobId: 1"] + ["LocalJobId: %d" % number for number in range(200)])


def test_limit_lower_than_expected_is_learned(ends, server, monkeypatch):
    """S10: 413 for a batch, and for a single message."""
    monkeypatch.setattr(server, "most", 300000)
    record = "Site: Aye\nLocalJobId: %d\nNote: " + "x" * 9000 + "\n%%%%\n"
    texts = ends.fill(8, size=50000)
    ends.outgoing.add(
        "APEL-individual-job-message: v0.3\n" + "".join(record % number for number in range(60))
    )
    assert ends.send() == (9, 0, 0)
    assert 413 in kinds(server, "publish")
    assert ends.receive(idle=0.3).rejected == 0
    assert set(texts) < set(bodies(ends))
    assert sum(body.count("LocalJobId") for body in bodies(ends)) == 60


def test_single_message_refused_for_its_size_is_named(ends, server):
    transport = AmsTransport(ends.sender())
    transport.connect()
    server.fault("publish", 60, code=413)
    transport.send("large", b"x")
    with pytest.raises(TooLarge) as caught:
        transport.confirmed(1)
    assert caught.value.identifier == "large"
    server.faults.clear()
    assert transport.confirmed(1) == [], "what was refused is not published behind our back"
    transport.close()
