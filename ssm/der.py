"""DER by hand, where a library is slow: putting known parts together, and a look at what strangers send."""

MOST_BYTES = 65536


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
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content
