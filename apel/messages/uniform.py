"""Records that all have the same lines in the same order, as programs write them: read by columns.

No record is looked at by itself, which is twice as fast as matching each of them.
"""

from typing import Dict, List, Optional, Sequence

from apel.columns import are_all_equal
from apel.messages.formats import TextFormat
from apel.records.fields import SEPARATOR


def raw_columns(block: str, text_format: TextFormat) -> Optional[List[Sequence[Optional[str]]]]:
    """The raw texts by field, None for what isn't there; or None if the records are not all alike.

    block: whole records, the last with its separator but no newline after it.
    """
    lines = block.split("\n")
    if lines[-1] != SEPARATOR:
        return None
    size = lines.index(SEPARATOR) + 1
    count = len(lines) // size
    keys = [line.partition(": ")[0] for line in lines[: size - 1]]
    if not text_format.known.issuperset(keys) or not text_format.read_only.isdisjoint(keys):
        return None
    if len(lines) % size or lines[size - 1 :: size] != [SEPARATOR] * count:
        return None
    found: Dict[str, Sequence[Optional[str]]] = {}
    for place, key in enumerate(keys):
        texts = _texts(lines[place::size], key + ": ")
        if len(texts) != count:
            return None
        found[key] = texts  # of a repeated key, the last counts
    absent = [None] * count
    return [found.get(name, absent) for name in text_format.record_class.names]


def _texts(lines: List[str], head: str) -> List[str]:
    """What follows the head in each line; fewer than there are lines if it isn't in all of them."""
    first = lines[0]
    if first.startswith(head) and are_all_equal(lines):
        return [first[len(head) :]] * len(lines)
    # No line holds a newline, so there are as many of them with a head as a line begins with one.
    return ("\n" + "\n".join(lines)).split("\n" + head)[1:]
