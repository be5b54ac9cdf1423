"""Messages with random wounds, and what the decoder must do with them."""

from strategies import NOW

from apel.errors import RecordError
from apel.messages import decode, encode

SPLINTERS = [
    *["\n", "\r\n", "%%", "%%\n", "\n%%\n", ":", "::", " ", "", "\x00", "\x1c", "\x85", "\u2028", "\ud800"],
    *["None", "null", "-1", "1e3", "nan", "inf", "9" * 19, "9" * 5000, "1_0", "٣", "x" * 300, "é", "v0.4"],
    *["{", "}", ",", "{hepspec: 1}", "ServiceLevelType: HEPSPEC\n", "2025-03-07T00:00:00Z"],
    *["Site: X\n", "FQAN: /\n", "Month: 13\n", "Colour: blue\n"],
]


def wreck(text, chance):
    """The text with a few random wounds."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice([0, 0, 1, 2, 30, 200]))
        text = text[:start] + chance.choice(SPLINTERS) + text[end:]
    return text


def survives(text):
    """Decode wrecked text, and hold the decoder to its word about what it returns."""
    try:
        message = decode(text, now=NOW)
    except RecordError as error:
        assert str(error).isprintable()
        return None
    for record in message.records:
        assert record.check(NOW) == record
    if message.records:
        encode(message.records, message.format, True, now=NOW)
    for number, alone, error in message.rejected:
        assert number >= 1
        assert str(error).isprintable()
        again = decode(alone, now=NOW)
        assert again.records == []
        assert [(other.number, str(other.error)) for other in again.rejected] == [(1, str(error))]
    return message
