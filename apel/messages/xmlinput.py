"""XML from outside, read as a stream: no document type, so no entities, and memory only for its records.

A reader with a DOM, or one that knows entities, can be made to fill the memory by a small message. Here a
document type is refused as soon as it begins, and so is what makes expat itself keep much: depth, very
many names, very long tags, comments or namespaces.
"""

import re
from typing import Any, Callable, Dict, FrozenSet, List, NamedTuple, Optional, Tuple
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from apel.errors import RecordError

#: Characters that are parsed at a time.
CHUNK = 65536
#: Bytes of one tag, comment or the like; expat reads an unfinished one again with every chunk.
MOST_TOKEN = 4 * CHUNK
MOST_DEPTH = 32
#: Different names of elements, attributes and namespaces.
MOST_NAMES = 1000
#: Characters of the namespace declarations in force at any place.
MOST_DECLARED = 2000

#: Name, attributes and text; names, also of attributes, are 'namespace local', without a prefix.
Element = Tuple[str, Dict[str, str], str]
#: Prefix (None: the default namespace) and namespace (None: none).
Declaration = Tuple[Optional[str], Optional[str]]

_TAG = re.compile(rb"""<(?:[^<>"']|"[^"]*"|'[^']*')*>""")
_TAG_NAME = re.compile(r"<[^\s/>]+")


class Kind(NamedTuple):
    """What to look for: the element that is a record, and those in it whose text or attributes count.

    Both by their names as in Element. read: makes what is to be known of a record of the wanted elements in
    it, at any depth, in order.
    """

    record: str
    wanted: FrozenSet[str]
    read: Callable[[List[Element]], Any]


class XmlRecord(NamedTuple):
    """What Kind.read has made of a record, and where it stands.

    first and last are the places of its first and last tag, in bytes of UTF-8; inherited are the namespaces
    that elements around it declare.
    """

    value: Any
    first: int
    last: int
    inherited: Tuple[Declaration, ...]


def read_records(text: str, choose: Callable[[str], Kind]) -> List[XmlRecord]:
    """The records of a document. choose: says what to look for, by the name of the root element.

    Raises RecordError if the document isn't well-formed, with the parser's words, or if it isn't safe.
    """
    return _Reader(choose).read(text)


def cut_out(source: bytes, record: XmlRecord) -> str:
    """A record as it was sent, in a document of that UTF-8 source, with all the namespaces that it needs."""
    end = _tag_end(source, record.first)
    if not source.endswith(b"/>", record.first, end):
        end = _tag_end(source, record.last)
    text = source[record.first : end].decode("utf-8")
    name = _TAG_NAME.match(text)
    assert name is not None, "the parser has read it"
    return name.group() + "".join(map(_declaration, record.inherited)) + text[name.end() :]


def _tag_end(source: bytes, place: int) -> int:
    tag = _TAG.match(source, place)
    assert tag is not None, "the parser has read it"
    return tag.end()


def _declaration(declaration: Declaration) -> str:
    prefix, namespace = declaration
    return " xmlns%s=%s" % (":" + prefix if prefix else "", quoteattr(namespace or ""))


class _Reader:
    """What is known while a document is read."""

    def __init__(self, choose: Callable[[str], Kind]) -> None:
        self.choose = choose
        self.kind = Kind("", frozenset(), list)
        self.records: List[XmlRecord] = []
        # For each open element its attributes and texts; None for one that isn't wanted.
        self.open: List[Optional[Tuple[Dict[str, str], List[str]]]] = []
        self.elements: Optional[List[Element]] = None  # None: outside of records
        self.first = self.depth = 0
        self.inherited: Tuple[Declaration, ...] = ()
        self.scope: List[Declaration] = []
        self.fresh = 0  # declarations of the element that is about to start
        self.position: Callable[[], int] = lambda: 0

    def read(self, text: str) -> List[XmlRecord]:
        names: Dict[str, str] = {}
        # The encoding that the document declares was that of its bytes; we have characters.
        parser = expat.ParserCreate("utf-8", " ", names)
        self.position = lambda: parser.CurrentByteIndex
        self._listen_to(parser)
        fed = 0
        try:
            for place in range(0, len(text), CHUNK):
                data = text[place : place + CHUNK].encode("utf-8", "surrogatepass")
                fed += len(data)
                parser.Parse(data, False)
                if fed - parser.CurrentByteIndex > MOST_TOKEN:
                    raise RecordError("", "XML with a tag or comment of more than %d bytes" % MOST_TOKEN)
                if len(names) > MOST_NAMES:
                    raise RecordError("", "XML with more than %d different names" % MOST_NAMES)
            parser.Parse(b"", True)
        except expat.ExpatError as err:
            raise RecordError("", str(err)) from err
        finally:
            self.position = lambda: 0  # parser and reader hold each other no longer
        return self.records

    def _listen_to(self, parser: Any) -> None:
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartNamespaceDeclHandler = self._declare
        parser.EndNamespaceDeclHandler = self._undeclare
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def _declare(self, prefix: Optional[str], namespace: Optional[str]) -> None:
        self.scope.append((prefix, namespace))
        self.fresh += 1
        if sum(len(name or "") for pair in self.scope for name in pair) > MOST_DECLARED:
            raise RecordError("", "XML with more than %d characters of namespaces" % MOST_DECLARED)

    def _undeclare(self, prefix: Optional[str]) -> None:
        # Those of one element end together, so it doesn't matter which is the last.
        self.scope.pop()

    def _start(self, name: str, attributes: Dict[str, str]) -> None:
        wanted = None
        if self.elements is None:
            if not self.open:
                self.kind = self.choose(name)
            if name == self.kind.record:
                self._start_record()
        elif name in self.kind.wanted:
            texts: List[str] = []
            wanted = (attributes, texts)
        self.open.append(wanted)
        self.fresh = 0
        if len(self.open) > MOST_DEPTH:
            raise RecordError("", "XML with elements more than %d deep" % MOST_DEPTH)

    def _start_record(self) -> None:
        self.elements = []
        self.first = self.position()
        self.depth = len(self.open)
        around = len(self.scope) - self.fresh
        own = {prefix for prefix, _ in self.scope[around:]}
        outer = dict(self.scope[:around])
        self.inherited = tuple(pair for pair in outer.items() if pair[0] not in own)

    def _end(self, name: str) -> None:
        wanted = self.open.pop()
        if self.elements is None:
            return
        if wanted is not None:
            attributes, texts = wanted
            self.elements.append((name, attributes, "".join(texts)))
        elif len(self.open) == self.depth:
            value = self.kind.read(self.elements)
            self.records.append(XmlRecord(value, self.first, self.position(), self.inherited))
            self.elements = None

    def _text(self, text: str) -> None:
        wanted = self.open[-1]
        if wanted is not None:
            wanted[1].append(text)


def _refuse_doctype(*_: Any) -> None:
    raise RecordError("", "XML with a document type (DOCTYPE) is not accepted")
