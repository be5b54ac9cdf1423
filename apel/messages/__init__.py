"""Records on the wire: each text format a line of a table, one grammar for all; and XML, JSON, YAML.

message = decode(text)            # message.records, message.rejected
text = encode(records, "job v0.3")  # or "job car", "accelerator v0.1"
"""

from apel.messages.base import Message, Rejected
from apel.messages.decoding import decode
from apel.messages.encoding import WRITERS, XML_WRITERS, encode, join
from apel.messages.formats import FORMATS, TextFormat
from apel.messages.json_formats import JSON_FORMATS

__all__ = [
    "FORMATS",
    "JSON_FORMATS",
    "WRITERS",
    "XML_WRITERS",
    "Message",
    "Rejected",
    "TextFormat",
    "decode",
    "encode",
    "join",
]
