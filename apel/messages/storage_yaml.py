"""Levels of storage as a stream of YAML documents, which the draft of storage summaries sends: written only.

Written here, not by a YAML library: two kinds of scalar are all it takes, fifty times as fast, and sites
need no library that only a central receiver reads. Text is in double quotes, so that nothing is taken for
something else (a date, a number, yes); a test reads it with a YAML library.
"""

import re
from typing import Dict, List, Sequence

from apel.messages.columns import each_once, write_column
from apel.messages.xml_writing import ABSENT, Frame, Part, XmlWriter, filled, in_utc
from apel.records import Record, StorageRecord
from apel.times import month_of

NAME = "storage yaml"
#: Each document has its marks, the first one, of the type, too.
FRAME = Frame("---\ntype: StorageRecord\n...\n", "")

NAMES = ("StorageSystem", "Site", "StorageShare", "StorageMedia", "DirectoryPath", "Group")
FIGURES = ("FileCount", "ResourceCapacityUsed", "LogicalCapacityUsed", "ResourceCapacityAllocated")
#: Said of months alone: the draft has days, which are added up over them.
BEYOND_THE_DRAFT = ("SubGroup", "Role")
PARTS = (
    Part('---\nEndTime: "%s"\n', "EndTime"),
    *(Part("%s: %%s\n" % name, name) for name in NAMES),
    *(Part("%s: %%s\n" % name, name, ABSENT) for name in BEYOND_THE_DRAFT),
    Part('Month: "%s"\n', "Month"),
    Part('Year: "%s"\n', "Year"),
    *(Part("%s: %%s\n" % name, name) for name in FIGURES),
    Part("...\n"),
)

#: What must be escaped in double quotes: quotes themselves, and what is no printable character of YAML.
_SPECIAL = re.compile(
    "[^ !#-\\[\\]-~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def write_records(records: Sequence[Record], with_description: bool, now: int) -> List[str]:
    """Each record as a document, checked again. Raises RecordError if any breaks a rule.

    Month and year are those in which its period begins. The other parameters are those of all writers.
    """
    fields = StorageRecord.fields
    values = dict(zip(StorageRecord.names, zip(*records)))
    texts: Dict[str, Sequence[str]] = {
        field.name: write_column(field, values[field.name])
        for field in fields
        if field.name in (*NAMES, *BEYOND_THE_DRAFT, *FIGURES, "StartTime", "EndTime")
    }
    months = [month_of(int(text)) for text in texts["StartTime"]]
    texts["Year"] = [str(year) for year, _ in months]
    texts["Month"] = [str(month) for _, month in months]
    texts["EndTime"] = in_utc(texts["EndTime"])
    for name in NAMES:
        texts[name] = each_once(_quoted, texts[name])
    for name in BEYOND_THE_DRAFT:
        texts[name] = each_once(lambda text: text if text in ABSENT else _quoted(text), texts[name])
    for name in FIGURES:
        texts[name] = each_once(lambda text: "null" if text == "None" else text, texts[name])
    return filled(PARTS, texts)


def _quoted(text: str) -> str:
    return '"%s"' % _SPECIAL.sub(_escaped, text or "None")


def _escaped(found: "re.Match[str]") -> str:
    character = found.group()
    if character in '"\\':
        return "\\" + character
    return "\\u%04X" % ord(character)


WRITER = XmlWriter(StorageRecord, FRAME, write_records)
