"""A look at DER before a parser gets it: for what costs a parser far more time than it costs a sender."""

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
