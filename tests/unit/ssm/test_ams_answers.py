"""What AMS may answer, however odd: nothing of it ends a receiver, or gets into files and logs as it is."""

from types import SimpleNamespace

import pytest

from ssm.transport import ams
from ssm.transport.ams import AmsTransport
from ssm.transport.amsapi import AmsUnreachable, _read, _refused


@pytest.fixture
def transport(receiver_settings, monkeypatch):
    """One whose calls are answered by `answers`, the last of them for ever; `asked` are their paths."""
    receiver_settings.broker.host, receiver_settings.broker.port = "ams.example.org", 443
    receiver_settings.messaging.ack_deadline = 0
    made = AmsTransport(receiver_settings)
    made.answers, made.asked, made.shown = [], [], {}

    def answer(path, *_, **__):
        made.asked.append(path)
        return made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]

    monkeypatch.setattr(made, "_post", answer)
    monkeypatch.setattr(made._api, "get", lambda path: made.shown)
    monkeypatch.setattr(ams, "PAUSE_SECONDS", 0.0)
    return made


PLACES = ["messages", "item", "message", "data", "attributes", "empaid", "key", "id"]
ODD = [None, 5, -1, 1e400, True, "", "x\ud800\n", [], [[]], {}, {"a": []}, 10**400, float("nan")]


@pytest.mark.parametrize(
    "said", [b"[" * 100000, b'{"a":' * 100000, b"nonsense", b"[1]", b"\xff", b'"\\ud800"']
)
def test_answer_that_is_no_object_is_trouble_that_passes(said):
    with pytest.raises(AmsUnreachable):
        _read(said, "ams.example.org")


@pytest.mark.parametrize("after", ["5", "\xb2", "9" * 40, "soon", ""])
def test_refusal_in_odd_words_is_one(after):
    response = SimpleNamespace(status=503, reason="busy", getheader=lambda name: after)
    for said in (b"[" * 100000, b"[]", b'{"error": 5}', b'{"error": {"message": {}}}', b"\xff"):
        assert "(503)" in str(_refused(response, said, "ams.example.org"))


def test_deadline_that_is_none_is_the_usual_one(transport):
    transport.answers = [{}]
    for odd in ODD:
        transport.shown, transport._deadline = {"ackDeadlineSeconds": odd}, 0.0
        assert transport.receive(0) is None
        assert 0 < transport._deadline <= 600


def with_odd(place, odd):
    """An answer to a pull that has something odd at that place."""
    message = {"messageId": "1", "data": "eA==", "attributes": {"empaid": "a/b"}}
    item = {"ackId": "p:1", "message": message}
    answer = {"receivedMessages": [item]}
    if place == "item":
        answer["receivedMessages"] = [odd, item]
    elif place in ("key", "empaid"):
        message["attributes"] = [
            {"key": odd, "value": "v"} if place == "key" else {"key": place, "value": odd}
        ]
    else:
        holder = {"messages": answer, "message": item}.get(place, message)
        holder[{"messages": "receivedMessages", "id": "messageId"}.get(place, place)] = odd
    return answer


@pytest.mark.parametrize("place", PLACES)
def test_message_of_odd_parts_is_passed_over_or_delivered(transport, place):
    """Its id can be written to a file, and to a line of the log."""
    for odd in ODD:
        transport.answers = [with_odd(place, odd), {}]
        transport._waiting.clear()
        try:
            delivery = transport.receive(0)
        except AmsUnreachable:
            assert place == "messages"
            continue
        assert delivery is None if place == "messages" else isinstance(delivery.body, bytes)
        if delivery is not None:
            assert delivery.id.isprintable() and len(delivery.id) <= 255
            delivery.id.encode("ascii")
            assert delivery.token in {delivery.token}
