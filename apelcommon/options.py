"""One declared option of a configuration file: its name, its kind, and how its text is read."""

import re
from datetime import datetime
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

TRUE_WORDS = {"1", "yes", "true", "on"}
FALSE_WORDS = {"0", "no", "false", "off"}


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()


class Shipped(str):
    """A text for the sample file that is no comment there: what new sites begin with."""


class Option(
    NamedTuple(
        "Option",
        [
            ("section", str),
            ("name", str),
            ("kind", Any),
            ("default", Any),
            ("help", str),
            ("choices", Tuple[str, ...]),
            ("sample", Optional[str]),
        ],
    )
):
    """An option: `kind` is a key of KINDS, or a function that reads the text and raises ValueError with words
    for the admin; `default` REQUIRED means that the file must give it.

    A name that ends in `#` stands for numbered options (`manual_spec1`, `manual_spec2`, …), read as a
    list of (name, value). `sample` is what the sample file shows where that isn't the default:
    as a comment, unless the file must give it or it is Shipped.
    """

    __slots__ = ()

    def __new__(
        cls,
        section: str,
        name: str,
        kind: Any,
        default: Any = REQUIRED,
        help: str = "",
        choices: Sequence[str] = (),
        sample: Optional[str] = None,
    ) -> "Option":
        if not callable(kind) and kind not in KINDS:
            raise ValueError("%s.%s: no such kind of option: %s" % (section, name, kind))
        return super().__new__(cls, section, name, kind, default, help, tuple(choices), sample)

    @property
    def numbered(self) -> bool:
        """Whether the name stands for a row of numbered options."""
        return self.name.endswith("#")

    @property
    def attribute(self) -> str:
        """The name under which the value is found in its section of the settings."""
        return self.name.rstrip("#").replace("-", "_")

    def read(self, text: str) -> Any:
        """The value of the text in a file. Raises ValueError with words for the admin."""
        read = self.kind if callable(self.kind) else KINDS[self.kind]
        value = read(text.strip())
        if self.choices and value is not None:
            return self._chosen(value)
        return value

    def _chosen(self, value: str) -> str:
        by_folded = {choice.lower(): choice for choice in self.choices}
        try:
            return by_folded[value.lower()]
        except KeyError:
            raise ValueError("is %r, but must be one of %s" % (value, ", ".join(self.choices))) from None

    def matches(self, name: str) -> bool:
        """Whether `name` in a file is this option."""
        if not self.numbered:
            return name == self.name.lower()
        return re.match(re.escape(self.name[:-1].lower()) + r"\d+$", name) is not None


def _text(text: str) -> str:
    return text


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("is %r, but must be a whole number%s" % (text, _comment_hint(text))) from None


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("is %r, but must be a number%s" % (text, _comment_hint(text))) from None
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("is %r, but must be a finite number" % text)
    return value


def _boolean(text: str) -> bool:
    word = text.lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError("is %r, but must be true or false%s" % (text, _comment_hint(text)))


def _words(text: str) -> List[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _date(text: str) -> Optional[str]:
    if text and not (re.match(r"[12]\d{3}-\d\d-\d\d$", text, re.ASCII) and _is_day(text)):
        raise ValueError("is %r, but must be a date like 2026-11-30" % text)
    return text or None


def _is_day(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return False
    return True


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as err:
        raise ValueError("is %r, which is no regular expression: %s" % (text, err)) from None
    return text


def _comment_hint(text: str) -> str:
    if "#" in text or ";" in text:
        return " (a comment must stand on a line of its own)"
    return ""


KINDS: Dict[str, Callable[[str], Any]] = {
    "text": _text,
    "path": _text,
    "choice": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "words": _words,
    "date": _date,
    "pattern": _pattern,
}
