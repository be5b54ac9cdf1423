"""Records as XML: pieces of markup, each filled from a column, and the document around the records."""

import re
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple, Type
from xml.sax.saxutils import escape

from apel.columns import each_once
from apel.errors import RecordError
from apel.messages.columns import write_column
from apel.records import Record
from apel.times import utc_text

#: Texts of values that have no element.
ABSENT = ("None",)
ABSENT_OR_ZERO = ("None", "0")

_SPECIAL = re.compile('[&<>"\ufffe\uffff]')
_NO_XML = re.compile("[\ufffe\uffff]")


class Part(NamedTuple):
    """A piece of a record: markup with %s for one of the columns, or without.

    It isn't written for the texts in `unless`.
    """

    markup: str
    column: str = ""
    unless: Tuple[str, ...] = ()


class Frame(NamedTuple):
    """What stands around the records of a document."""

    head: str
    tail: str

    def document(self, records: Sequence[str]) -> str:
        """The document of records, each as text that ends in a newline."""
        return self.head + "".join(records) + self.tail

    def joined(self, documents: Sequence[str]) -> str:
        """The records of documents that `document` has made, in one."""
        return self.document([one[len(self.head) : -len(self.tail)] for one in documents])


class XmlWriter(NamedTuple):
    """One format. write: each record as text, checked again: (records, with description, now in seconds)."""

    record_class: Type[Record]
    frame: Frame
    write: Callable[[Sequence[Record], bool, int], List[str]]


def texts_of(records: Sequence[Record]) -> Dict[str, Sequence[str]]:
    """The texts of all fields that have one, as they may stand in XML. Raises RecordError."""
    fields = type(records[0]).fields
    return {
        field.name: escaped(field.name, write_column(field, values))
        for field, values in zip(fields, zip(*records))
        if field.on_wire
    }


def filled(parts: Sequence[Part], columns: Dict[str, Sequence[str]]) -> List[str]:
    """Each record as text."""
    template = "".join("%s" if part.unless else part.markup for part in parts)
    texts = [_filled(part, columns[part.column]) for part in parts if part.column]
    return [template % row for row in zip(*texts)]


def _filled(part: Part, texts: Sequence[str]) -> Sequence[str]:
    """What stands in the template for a part, for every record."""
    if not part.unless:
        return texts
    return each_once(lambda text: "" if text in part.unless else part.markup % text, texts)


def escaped(name: str, texts: Sequence[str]) -> Sequence[str]:
    """Texts as they may stand in an element or an attribute."""
    texts = ["None" if text is None else text for text in texts]
    if not _SPECIAL.search("\n".join(texts)):
        return texts
    for text in texts:
        found = _NO_XML.search(text)
        if found:
            raise RecordError(name, f"U+{ord(found.group()):04X}, which can't stand in XML, in the value")
    return each_once(lambda text: escape(text, {'"': "&quot;"}), texts)


def in_utc(texts: Sequence[str]) -> List[str]:
    """Epoch seconds as '2025-03-07T00:00:00Z'; None stays."""
    return each_once(_in_utc, texts)


def _in_utc(text: str) -> str:
    return text if text == "None" else utc_text(int(text)).replace(" ", "T") + "Z"


def each_pair(make: Callable[[str, str], str], *columns: Sequence[Any]) -> List[str]:
    """make(one, other) for every pair of values."""
    return each_once(lambda pair: make(*pair), list(zip(*columns)))
