"""CMS structures (RFC 5652) taken apart just so far that the content, of any size, stands alone."""

from typing import List, NamedTuple, Optional

from ssm.der import OCTETS, SEQUENCE, Reader, Value, encoded

OBJECT = 0x06
#: The object identifiers 1.2.840.113549.1.7.n, up to n.
_PKCS7 = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"
DATA, SIGNED, ENVELOPED = (_PKCS7 + bytes((number,)) for number in (1, 2, 3))
_NAMES = {
    DATA: "plain data",
    SIGNED: "a signature",
    ENVELOPED: "an encrypted message",
    _PKCS7 + b"\x05": "a digest",
    _PKCS7 + b"\x06": "encrypted data",
    b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09": "a compressed message",
    b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17": "an encrypted message of the authenticated kind",
}


class Container(NamedTuple):
    """A ContentInfo: what kind it is (an encoded OBJECT IDENTIFIER), and where what it holds stands."""

    reader: Reader
    kind: bytes
    inner: Value

    @property
    def kind_name(self) -> str:
        """The kind in words."""
        return _NAMES.get(self.kind, "something unknown")


class Detached(NamedTuple):
    """A signature without what it signs (ContentInfo), and that in pieces (None: it isn't inside)."""

    signature: bytes
    content: Optional[List[memoryview]]


def open_container(data: bytes) -> Container:
    """Look what kind of CMS structure it is. Raises ValueError if it is none."""
    reader = Reader(data)
    kind, outer = _expect(reader.children(reader.root()), OBJECT, 0xA0)
    (inner,) = reader.children(outer)
    return Container(reader, reader.whole(kind), inner)


def detach(container: Container) -> Detached:
    """Take what is signed out of a signature. Raises ValueError."""
    reader = container.reader
    members: List[bytes] = []
    content: Optional[List[memoryview]] = None
    for member in reader.children(container.inner):
        if member.tag != SEQUENCE:
            members.append(reader.whole(member))
            continue
        kind, *rest = reader.children(member)
        members.append(encoded(SEQUENCE, reader.whole(kind)))
        if rest:
            (explicit,) = _expect(rest, 0xA0)
            (octets,) = reader.children(explicit)
            if octets.tag & ~0x20 != OCTETS:
                raise ValueError("what is signed is no octet string")
            content = reader.octets(octets)
    inner = encoded(0xA0, encoded(SEQUENCE, b"".join(members)))
    return Detached(encoded(SEQUENCE, container.kind + inner), content)


def _expect(values: List[Value], *tags: int) -> List[Value]:
    if tuple(value.tag for value in values) != tags:
        raise ValueError("not the parts that belong there")
    return values
