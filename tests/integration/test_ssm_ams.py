"""The messenger through a server that speaks the AMS API, on its good days and its bad ones."""

import logging
import os
import socket
import threading
import time

import pytest
from messenger import AmsEnds

import ssm.receiver
from apelcommon.daemon import Stop
from apelcommon.errors import ConfigError
from servers.ams import AmsServer
from servers.pki import slash_dn
from ssm.errors import StorageError, TooLarge, TransportError
from ssm.queues import MessageQueue
from ssm.receiver import _Loop, load_keys, make_receiver
from ssm.transport import ams as ams_transport
from ssm.transport import amsapi
from ssm.transport.ams import AmsTransport
from ssm.transport.amsapi import AmsRefused, AmsUnreachable, Api


@pytest.fixture(scope="module")
def server(pki):
    server = AmsServer(pki)
    server.start()
    yield server
    server.close()


@pytest.fixture
def ends(server, pki, tmp_path, monkeypatch):
    monkeypatch.setattr(amsapi.Backoff, "next", lambda self: 0.01)
    monkeypatch.setattr(ams_transport, "PAUSE_SECONDS", 0.05)
    server.calls.clear()
    server.faults.clear()
    server.largest = 0
    return AmsEnds(server, pki, str(tmp_path))


def kinds(server, kind):
    return [status for call, status in server.calls if call == kind]


def bodies(ends):
    return [message["body"] for message in ends.arrived()]


def test_messages_arrive_whole_with_a_token_for_the_certificate(ends, server):
    texts = ends.fill(60)
    assert ends.send() == (60, 0, 0)
    assert ends.outgoing.count() == 0
    assert ends.receive(idle=0.3) == (60, 0)
    assert sorted(bodies(ends)) == sorted(texts)
    assert {message["signer"] for message in ends.arrived()} == {slash_dn(ends.certificate)}
    assert all(len(message["empaid"]) == 23 for message in ends.arrived())
    assert kinds(server, "token") == [200, 200]
    assert len(kinds(server, "publish")) == 4, "in batches of the window"
    assert len(kinds(server, "acknowledge")) == 6, "in batches of what was pulled"
    assert ends.receive(idle=0.3) == (0, 0), "they were acknowledged"


def test_configured_token_is_used_as_it_is(ends, server):
    ends.fill(1)
    assert ends.send(messaging__token="secret") == (1, 0, 0)
    assert ends.receive(idle=0.3, messaging__token="secret") == (1, 0)
    assert kinds(server, "token") == []


@pytest.mark.parametrize("option", ["messaging.token", "messaging.destination", "messaging.ams_project"])
def test_refusal_is_said_and_nothing_is_lost(ends, option):
    """S9: 401, 404."""
    ends.fill(2)
    wrong = {option.replace(".", "__"): "wrong"}
    with pytest.raises(TransportError, match="AMS at localhost refuses: (Unauthorized|.*doesn't exist)"):
        ends.send(**wrong)
    assert ends.outgoing.count() == 2
    assert ends.send() == (2, 0, 0), "the locks are free again"


def test_certificate_that_gets_no_token_is_told_where_to_register(ends, server):
    ends.fill(1)
    del server.names[ends.host]
    with pytest.raises(TransportError, match="No token for the certificate .*Binding was not found.*GOCDB"):
        ends.send()
    assert ends.outgoing.count() == 1


def test_foreign_certificate_gets_no_token(ends, pki):
    ends.fill(1)
    certificate, key = pki.foreign.issue("foreign.example.org")
    with pytest.raises(TransportError, match="AMS"):
        ends.send(certificates__certificate=certificate, certificates__key=key)
    assert ends.outgoing.count() == 1


def test_service_no_trusted_ca_signed_is_refused(ends, pki):
    """S13: verification is on by default."""
    ends.fill(1)
    foreign = pki.new_ca_dir("foreign-ams-%d" % os.getpid(), [pki.foreign])
    with pytest.raises(TransportError, match="(?i)certificate verify failed"):
        ends.send(certificates__capath=foreign)
    assert ends.outgoing.count() == 1
    assert ends.send(certificates__capath=foreign, broker__verify_broker=False).sent == 1


def test_service_with_another_name_is_refused(ends, monkeypatch):
    """S13: a good certificate, but not of the host we asked for."""
    ends.fill(1)
    connect = socket.create_connection
    monkeypatch.setattr(
        socket, "create_connection", lambda address, *more: connect(("localhost", address[1]), *more)
    )
    with pytest.raises(TransportError, match="(?i)other.example.org.*match"):
        ends.send(broker__host="other.example.org")
    assert ends.outgoing.count() == 1


def test_expired_token_is_exchanged_for_another(ends, server):
    transport = AmsTransport(ends.sender())
    transport.connect()
    transport.send("one", b"1")
    assert transport.confirmed(1) == ["one"]
    server.expire_tokens()
    transport.send("two", b"2")
    assert transport.confirmed(1) == ["two"]
    assert kinds(server, "publish") == [200, 401, 200]
    transport.close()


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


def test_receiver_tries_the_next_host(ends, server):
    """S8: next host in the list."""
    ends.fill(2)
    hosts = {"broker__host": "localhost:1, localhost:%d" % server.port, "broker__port": None}
    assert ends.send(**hosts) == (2, 0, 0)
    assert ends.receive(idle=0.3, **hosts) == (2, 0)


def test_kept_line_closed_by_the_server_is_opened_again(ends, server):
    transport = AmsTransport(ends.sender())
    transport.connect()
    server.stop()
    server.start()
    transport.send("one", b"1")
    assert transport.confirmed(1) == ["one"]
    transport.close()


def test_nobody_listening_is_said(ends):
    with pytest.raises(AmsUnreachable, match="Cannot connect to AMS at localhost:1: "):
        AmsTransport(ends.sender(broker__port=1)).connect()


def test_proxy_of_the_environment_is_used(ends, server, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    api = Api(ends.sender(messaging__token="secret"), ("localhost", server.port))
    with pytest.raises(AmsUnreachable):
        api.connect()
    monkeypatch.setenv("no_proxy", "localhost")
    api.connect()
    api.close()


def test_token_is_never_logged(ends, caplog):
    caplog.set_level(logging.DEBUG)
    ends.fill(1)
    with pytest.raises(AmsRefused):
        ends.send(messaging__token="my-precious")
    assert "my-precious" not in caplog.text


def test_token_that_no_header_can_hold_is_not_logged_either(ends, caplog):
    """One on two lines of the configuration, say: the HTTP library would quote it."""
    caplog.set_level(logging.DEBUG)
    ends.fill(1)
    with pytest.raises(ConfigError, match="token holds a blank, a line end") as err:
        ends.send(messaging__token="my\nprecious")
    assert "precious" not in caplog.text + str(err.value)
    assert ends.outgoing.count() == 1
