"""Mutates messages, by bytes and by the structure of their DER, and looks what verification says to each."""

import base64
import random
import traceback
import warnings
from typing import Callable, List, NamedTuple, Optional, Tuple

from ssm import smime
from ssm.credentials import load_credentials
from ssm.envelope import Decryptor
from ssm.errors import CryptoError
from ssm.trust import TrustStore

PAGE_KB = 4


class Sample(NamedTuple):
    """A good message: the CMS structure in it (in base64 or not), and what stands before and behind."""

    name: str
    before: bytes
    der: bytes
    behind: bytes
    base64: bool

    def around(self, der: bytes) -> bytes:
        """The message with another structure in it."""
        return self.before + (base64.encodebytes(der) if self.base64 else der) + self.behind


class World(NamedTuple):
    """What a worker needs to judge messages: paths, samples, and the only texts and signers there may be."""

    samples: List[Sample]
    centres: List[Tuple[str, str]]
    ca_directory: str
    texts: List[str]
    signers: List[bytes]


class Report(NamedTuple):
    """What a worker saw: how many were judged, how many accepted, kB of memory early and late, a failure."""

    count: int
    accepted: int
    early_kb: int
    late_kb: int
    failure: Optional[str]


class Node:
    """A value of a DER structure, taken apart if it is constructed."""

    def __init__(self, tag: int, content: bytes, children: Optional[List["Node"]] = None) -> None:
        self.tag, self.content, self.children = tag, content, children
        self.length: Optional[bytes] = None  # a length that is a lie

    def dump(self) -> bytes:
        """Encoded again."""
        content = self.content if self.children is None else b"".join(one.dump() for one in self.children)
        return bytes((self.tag,)) + (self.length or _length(len(content))) + content

    def everything(self) -> List["Node"]:
        """This and all below it."""
        return [self] + [node for child in self.children or [] for node in child.everything()]


def _length(length: int) -> bytes:
    if length < 0x80:
        return bytes((length,))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(size),)) + size


def parse(data: bytes) -> List[Node]:
    """The nodes in data that is DER; what can't be read as such is one primitive node."""
    nodes, at = [], 0
    while at < len(data):
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[at + 2 : start], "big")
        content = data[start : start + length]
        nodes.append(Node(tag, content, parse(content) if tag & 0x20 else None))
        at = start + length
    return nodes


#: Each takes the data, a place in it, a length, and some random bytes.
BYTE_CHANGES: Tuple[Callable[[bytes, int, int, bytes], bytes], ...] = (
    lambda data, at, size, some: data[:at] + some + data[at + len(some) :],
    lambda data, at, size, some: data[:at] + some + data[at:],
    lambda data, at, size, some: data[:at] + data[at + size :],
    lambda data, at, size, some: data[:at] + data[at : at + size] * 2 + data[at + size :],
    lambda data, at, size, some: data[:at] + bytes(size) + data[at:],
    lambda data, at, size, some: data[:at] if size == 100 else data[: len(data) - size],
    lambda data, at, size, some: data[:at] + bytes(byte ^ 1 for byte in data[at : at + 1]) + data[at + 1 :],
)

Change = Callable[["Mutator", Node, Node], None]


class Mutator:
    """Makes bad messages of good ones; the same ones for the same seed."""

    def __init__(self, samples: List[Sample], seed: int) -> None:
        self.random = random.Random(seed)
        self.samples = samples

    def message(self) -> bytes:
        """One mutated message."""
        sample = self.random.choice(self.samples)
        way = self.random.randrange(10)
        if way < 3:
            return self.bytes_changed(sample.around(sample.der))
        if way < 5:
            return sample.around(self.bytes_changed(sample.der))
        return sample.around(self.structure_changed(sample.der))

    def bytes_changed(self, data: bytes) -> bytes:
        """One to four changes at any place."""
        for _ in range(self.random.randint(1, 4)):
            at, size = self.random.randrange(len(data) + 1), self.random.choice((1, 1, 1, 2, 4, 16, 100))
            some = bytes(self.random.getrandbits(8) for _ in range(min(size, 8)))
            data = self.random.choice(BYTE_CHANGES)(data, at, size, some)
        return data

    def structure_changed(self, der: bytes) -> bytes:
        """One to three nodes of a structure changed, the lengths around them right again."""
        (root,) = parse(der)
        for _ in range(self.random.randint(1, 3)):
            parents = [node for node in root.everything() if node.children]
            if parents:
                parent = self.random.choice(parents)
                assert parent.children
                self.random.choice(CHANGES)(self, parent, self.random.choice(parent.children))
        return root.dump()

    def foreign_node(self) -> Node:
        """Any node of any sample."""
        (root,) = parse(self.random.choice(self.samples).der)
        return self.random.choice(root.everything())


def _position(parent: Node, node: Node) -> int:
    assert parent.children is not None
    return next(place for place, child in enumerate(parent.children) if child is node)


def _remove(mutator: Mutator, parent: Node, node: Node) -> None:
    assert parent.children is not None
    del parent.children[_position(parent, node)]


def _repeat(mutator: Mutator, parent: Node, node: Node) -> None:
    assert parent.children is not None
    parent.children.extend([node] * mutator.random.choice((1, 1, 2, 50)))


def _shuffle(mutator: Mutator, parent: Node, node: Node) -> None:
    assert parent.children is not None
    mutator.random.shuffle(parent.children)


def _retag(mutator: Mutator, parent: Node, node: Node) -> None:
    node.tag = mutator.random.choice(
        (node.tag ^ 0x20, mutator.random.randrange(256), 0x04, 0x30, 0x31, 0x05, 0xA0, 0x80)
    )


def _refill(mutator: Mutator, parent: Node, node: Node) -> None:
    size = mutator.random.choice((0, 1, 2, 8, 32, 300))
    node.content, node.children = bytes(mutator.random.getrandbits(8) for _ in range(size)), None


def _touch(mutator: Mutator, parent: Node, node: Node) -> None:
    leaf = mutator.random.choice([one for one in node.everything() if one.children is None] or [node])
    if leaf.content:
        at = mutator.random.randrange(len(leaf.content))
        leaf.content = leaf.content[:at] + bytes((mutator.random.getrandbits(8),)) + leaf.content[at + 1 :]


def _replace(mutator: Mutator, parent: Node, node: Node) -> None:
    other = mutator.foreign_node()
    node.tag, node.content, node.children = other.tag, other.content, other.children


def _lie(mutator: Mutator, parent: Node, node: Node) -> None:
    node.length = mutator.random.choice(
        (b"\x80", b"\x00", b"\x7f", b"\x84\xff\xff\xff\xff", b"\x82\xff\xff", b"\xff")
    )


def _nest(mutator: Mutator, parent: Node, node: Node) -> None:
    data = node.dump()
    for _ in range(mutator.random.choice((1, 2, 200))):
        data = b"\x30" + _length(len(data)) + data
    node.tag, node.content, node.children = 0x30, data, None


CHANGES: Tuple[Change, ...] = (
    _remove,
    _repeat,
    _shuffle,
    _retag,
    _refill,
    _touch,
    _touch,
    _replace,
    _lie,
    _nest,
)


class Judge:
    """The receiver's way with a message, up to the name of its signer."""

    def __init__(self, world: World) -> None:
        loaded = [load_credentials(*paths) for paths in world.centres]
        self.world = world
        self.keys = Decryptor([(one.certificate, one.key) for one in loaded])
        self.trust = TrustStore(world.ca_directory)

    def judge(self, message: bytes) -> bool:
        """Whether it is accepted. Raises AssertionError if it is, and isn't what was signed."""
        try:
            signed = smime.verify(self.keys.open(message))
            self.trust.check(signed.certificate, signed.others)
        except CryptoError as err:
            assert str(err)
            return False
        assert signed.text in self.world.texts, "accepted, but not what was signed"
        assert signed.certificate in self.world.signers, "accepted, but of nobody who signed"
        return True

    def judge_certificate(self, certificate: bytes) -> bool:
        """Whether a certificate is trusted; only those that were made may be."""
        try:
            self.trust.check(certificate)
        except CryptoError as err:
            assert str(err)
            return False
        # A certificate is not the only way to write itself: what counts is signed by the authority.
        return True


def run(world: World, seed: int, count: int) -> Report:
    """Judge so many mutated messages, and as many certificates for each ten of them."""
    warnings.simplefilter("ignore")  # cryptography warns of what it will refuse some day
    mutator, judge = Mutator(world.samples, seed), Judge(world)
    accepted, early_kb = 0, 0
    for number in range(count):
        if number == count // 10:
            early_kb = resident_kb()
        message = b""
        try:
            if number % 10 == 9:
                message = mutator.structure_changed(mutator.random.choice(world.signers))
                judge.judge_certificate(message)
            else:
                message = mutator.message()
                accepted += judge.judge(message)
        except Exception:  # whatever it is, it is what we look for
            failure = "message %d of seed %d:\n%s\n%s" % (
                number,
                seed,
                traceback.format_exc(),
                base64.b64encode(message).decode(),
            )
            return Report(number, accepted, early_kb, resident_kb(), failure)
    return Report(count, accepted, early_kb, resident_kb(), None)


def resident_kb() -> int:
    """The memory that this process has."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * PAGE_KB
