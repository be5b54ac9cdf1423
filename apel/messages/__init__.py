"""Records on the wire: each text format a line of a table, one grammar for all of them; and those in XML.

message = decode(text)            # message.records, message.rejected
text = encode(records, "job v0.3")  # or "job car"
"""

from apel.messages.base import Message, Rejected
from apel.messages.decoding import decode
from apel.messages.encoding import XML_WRITERS, encode, join
from apel.messages.formats import FORMATS, TextFormat

__all__ = ["FORMATS", "XML_WRITERS", "Message", "Rejected", "TextFormat", "decode", "encode", "join"]
