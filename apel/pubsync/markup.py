"""HTML and SVG as functions: whatever is not made by `tag` is text, and is escaped."""

import html
from functools import lru_cache
from typing import Any, Iterable

VOID = frozenset(["meta", "link", "input", "br"])


class Markup(str):
    """Text that is HTML already."""


def text(value: Any) -> str:
    """A child of an element: markup as it is, anything else escaped, None as nothing."""
    if isinstance(value, Markup):
        return value
    return "" if value is None else escape(str(value))


@lru_cache(maxsize=65536)
def escape(value: str) -> str:
    """Text as it may stand between tags and in attributes: the same words come thousands of times."""
    return html.escape(printable(value))


def printable(value: str) -> str:
    """Control characters have no place in HTML, and lone surrogates none in UTF-8."""
    if value.isprintable():
        return value
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value)


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """An element. Attributes: `class_` is class, `data_month` is data-month; None and False leave one out."""
    parts = ["<", name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        parts.append(" " + key.rstrip("_").replace("_", "-"))
        if value is not True:
            parts.append('="%s"' % escape(str(value)))
    parts.append(">")
    if name not in VOID:
        parts += [text(child) for child in children]
        parts.append("</%s>" % name)
    return Markup("".join(parts))


def join(children: Iterable[Any]) -> Markup:
    """Several children after one another."""
    return Markup("".join(text(child) for child in children))
