"""DER by hand, where a library is slow: putting known parts together, and a look at what strangers send."""

from typing import List, NamedTuple, Optional, Tuple

MOST_BYTES = 65536
# Encoders that stream make pieces of 1000 bytes or more, each looked at some eight times. To look at a value
# takes hundreds of bytes: what is made of the smallest ones would take many times its size.
MOST_VALUES = 1000000
FEWEST_VALUES = 20000
BYTES_A_VALUE = 16

SEQUENCE, SET, OCTETS, END_MARK = 0x30, 0x31, 0x04, 0x00


def check_der(data: bytes) -> None:
    """Raises ValueError for an encoding no signature needs: too long, or with tags of more than one byte.

    asn1crypto reads such a tag in quadratic time: one of a megabyte took it four minutes.
    """
    if len(data) > MOST_BYTES:
        raise ValueError("%d bytes are too many" % len(data))
    at = 0
    while at + 1 < len(data):
        tag, length = data[at], data[at + 1]
        if tag & 0x1F == 0x1F:
            raise ValueError("a tag of several bytes")
        at += 2
        if length >= 0x80:  # 0x80 itself: a length given by an end mark, which only constructed values have
            size = length & 0x7F
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        # What is inside a constructed value is looked at next; anything else is stepped over.
        at += 0 if tag & 0x20 else length


def encoded(tag: int, content: bytes) -> bytes:
    """A value of that tag around its encoded content."""
    return _header(tag, len(content)) + content


def encoded_around(tag: int, parts: List[bytes]) -> List[bytes]:
    """As `encoded`, for a content in parts, which are not copied."""
    return [_header(tag, sum(len(part) for part in parts)), *parts]


def _header(tag: int, length: int) -> bytes:
    if length < 0x80:
        return bytes((tag, length))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size


class Value(NamedTuple):
    """Where a value stands in its data: its header, its content (begin to end), and what comes after it."""

    tag: int
    start: int
    begin: int
    end: int
    after: int


class Reader:
    """Steps through data in BER, of any size, without copying it or following it into its depths.

    Everything raises ValueError for what isn't BER, or has more values than any message of its size needs.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._most = min(MOST_VALUES, FEWEST_VALUES + len(data) // BYTES_A_VALUE)
        self._left = self._most

    def root(self) -> Value:
        """The one value that the data is."""
        value = self._value(0, len(self.data))
        if value.after != len(self.data):
            raise ValueError("%d bytes behind the end" % (len(self.data) - value.after))
        return value

    def children(self, value: Value) -> List[Value]:
        """The values in a constructed one."""
        if not value.tag & 0x20:
            raise ValueError("a single value where several belong")
        found, at = [], value.begin
        while at < value.end:
            found.append(self._value(at, value.end))
            at = found[-1].after
        return found

    def whole(self, value: Value) -> bytes:
        """A value as it is encoded."""
        return self.data[value.start : value.after]

    def content(self, value: Value) -> bytes:
        """What is in a value."""
        return self.data[value.begin : value.end]

    def octets(self, value: Value) -> List[memoryview]:
        """The content of an octet string, whatever its tag; encoders that stream make it in pieces."""
        pieces = self.children(value) if value.tag & 0x20 else [value]
        if any(piece.tag != OCTETS for piece in pieces if piece is not value):
            raise ValueError("an octet string of something else")
        view = memoryview(self.data)
        return [view[piece.begin : piece.end] for piece in pieces]

    def _value(self, at: int, limit: int) -> Value:
        tag, begin, length = self._read_header(at, limit)
        if length is None:
            end = self._find_end_mark(begin, limit)
            return Value(tag, at, begin, end, end + 2)
        return Value(tag, at, begin, begin + length, begin + length)

    def _find_end_mark(self, at: int, limit: int) -> int:
        depth = 1
        while True:
            tag, begin, length = self._read_header(at, limit)
            if length is None:
                depth += 1
            elif tag == END_MARK:
                depth -= 1
                if depth == 0:
                    return at
            at = begin + (length or 0)

    def _read_header(self, at: int, limit: int) -> Tuple[int, int, Optional[int]]:
        """Tag, where the content begins, and its length (None: up to an end mark)."""
        self._left -= 1
        if self._left < 0:
            raise ValueError("more than %d values" % self._most)
        if at + 2 > limit:
            raise ValueError("cut short")
        tag, length = self.data[at], self.data[at + 1]
        if tag & 0x1F == 0x1F:
            raise ValueError("a tag of several bytes")
        at += 2
        if length == 0x80 and tag & 0x20:
            return tag, at, None
        if length >= 0x80:
            size = length & 0x7F
            if not 1 <= size <= 8:
                raise ValueError("a length of %d bytes" % size)
            length = int.from_bytes(self.data[at : at + size], "big")
            at += size
        if length > limit - at:
            raise ValueError("cut short")
        return tag, at, length
