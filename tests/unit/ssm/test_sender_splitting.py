"""Messages too large for the broker, and lines that are lost: what is sent in which parts, and what stays."""

import os
import re

import pytest
from unit.ssm.conftest import fill

from ssm import smime
from ssm.errors import TransportError
from ssm.sender import send_queue


def records(count, size=20000, site="Aye"):
    return "APEL-sync-message: v0.1\n" + "".join(
        "Site: %s\nNumber: %d\nNote: %s\n%%%%\n" % (site, number, "x" * size) for number in range(count)
    )


def numbers_sent(transport):
    texts = [smime.verify(body).text for _, body in transport.sent]
    return sorted({int(number) for text in texts for number in re.findall(r"Number: (\d+)", text)})


@pytest.mark.parametrize("refuses", ["named", "unnamed", "hangs up"])
def test_message_too_large_for_the_broker_is_split(transport, outgoing, sender_settings, refuses):
    """S10: between its records; the others are sent as they are."""
    small = fill(outgoing, 3)
    large = outgoing.add(records(40))
    small += fill(outgoing, 3)
    transport.takes, transport.refuses = 250000, refuses
    assert send_queue(sender_settings) == (7, 0, 0)
    assert numbers_sent(transport) == list(range(40))
    assert all(len(body) <= 250000 for _, body in transport.sent)
    parts = [body for identifier, body in transport.sent if "-" in identifier]
    assert all(smime.verify(body).text.startswith("APEL-sync-message: v0.1\n") for body in parts)
    identifiers = {identifier for identifier, _ in transport.sent}
    assert set(small) < identifiers
    assert all(re.match(large + r"-\d+$", identifier) for identifier in identifiers - set(small))
    assert outgoing.count() == 0


def test_known_limit_splits_without_being_refused(transport, outgoing, sender_settings):
    """S10: [messaging] max_size."""
    outgoing.add(records(40))
    sender_settings.messaging.max_size = 250000
    assert send_queue(sender_settings) == (1, 0, 0)
    assert numbers_sent(transport) == list(range(40))
    assert len(transport.sent) == 4
    assert all(len(body) <= 250000 for _, body in transport.sent)
    assert transport.connects == 1


@pytest.mark.parametrize("refuses", ["named", "unnamed"])
def test_message_that_can_not_be_split_goes_to_failed(transport, outgoing, sender_settings, refuses):
    """S10: with its reason; the rest are sent."""
    fill(outgoing, 2)
    alone = records(1, 300000)
    outgoing.add(alone)
    outgoing.add("<xml>%s</xml>" % ("x" * 300000))
    fill(outgoing, 2)
    transport.takes, transport.refuses = 250000, refuses
    assert send_queue(sender_settings) == (4, 2, 0)
    aside = os.path.join(outgoing.path, "failed")
    names = sorted(os.listdir(aside))
    assert len(names) == 4
    with open(os.path.join(aside, names[0])) as stream:
        assert stream.read() == alone
    with open(os.path.join(aside, names[1])) as stream:
        assert re.match(r"it is larger than \d+ bytes, and can't be split\n$", stream.read())


def test_one_huge_record_goes_to_failed_and_its_neighbours_are_sent(transport, outgoing, sender_settings):
    """S10: of a message, only what can't be sent is put aside."""
    outgoing.add(
        records(3, 1000) + records(1, 300000, "Bee").partition("\n")[2] + records(3, 1000).partition("\n")[2]
    )
    transport.takes = 250000
    assert send_queue(sender_settings) == (0, 1, 0)
    sent = "".join(smime.verify(body).text for _, body in transport.sent)
    assert sent.count("Site: Aye") == 6
    assert "Bee" not in sent
    (name, _) = sorted(os.listdir(os.path.join(outgoing.path, "failed")))
    with open(os.path.join(outgoing.path, "failed", name)) as stream:
        text = stream.read()
    assert text.startswith("APEL-sync-message: v0.1\nSite: Bee\n")
    assert text.count("Site:") == 1


def test_large_message_at_which_the_line_is_lost_is_never_put_aside(transport, outgoing, sender_settings):
    """S9, S10: hanging up is no refusal: what can't be split stays in the queue, and the others are sent."""
    fill(outgoing, 2)
    large = outgoing.add("<xml>%s</xml>" % ("x" * 300000))
    fill(outgoing, 2)
    transport.takes, transport.refuses = 250000, "hangs up"
    assert send_queue(sender_settings) == (4, 1, 1)
    assert list(outgoing.ids()) == [large]
    assert outgoing.lock(large)


def test_line_lost_at_one_message_only_is_try_later(transport, outgoing, sender_settings):
    outgoing.add("x" * 1000)
    transport.takes, transport.refuses = 10, "hangs up"
    with pytest.raises(TransportError, match="the line broke"):
        send_queue(sender_settings)
    assert outgoing.count() == 1


def test_line_lost_once_is_connected_again(transport, outgoing, sender_settings, monkeypatch):
    """S8: the run goes on by itself."""
    fill(outgoing, 20)
    send, calls = transport.send, []

    def break_once(identifier, body):
        calls.append(identifier)
        if len(calls) == 10:
            transport.unconfirmed = []
            raise TransportError("the line broke")
        send(identifier, body)

    monkeypatch.setattr(transport, "send", break_once)
    sender_settings.messaging.window = 4
    assert send_queue(sender_settings) == (20, 0, 0)
    assert transport.connects == 2


def test_split_message_is_kept_until_all_parts_have_receipts(transport, outgoing, sender_settings):
    """S9, S10: no receipt for the last part: the whole message stays, and goes again."""
    outgoing.add(records(40))
    sender_settings.messaging.max_size = 250000
    transport.breaks_after = 3
    assert send_queue(sender_settings) == (0, 1, 1)
    transport.breaks_after = None
    assert send_queue(sender_settings) == (1, 0, 0)
    assert numbers_sent(transport) == list(range(40))
