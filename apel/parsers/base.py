"""What all log parsers share: a line goes in, a record or a named reason comes out; no I/O."""

import abc
from collections import Counter
from typing import (
    Callable,
    ClassVar,
    Dict,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
    Type,
    TypeVar,
    Union,
)

from apel.errors import ParseError, RecordError
from apel.identity_map import IdentityMap
from apel.records import EventRecord, Record
from apel.records.fields import MOST_COUNT, Text

#: Numbers up to this fit any column; larger ones are looked at again.
SMALL_NUMBER = MOST_COUNT

#: The words for absence have at most so many characters; names have fewer than the other.
MOST_NULL, TOO_LONG = 4, 256

_NAME = Text(required=False, max_length=TOO_LONG - 1)
_NAME.name = "name"

V = TypeVar("V")


class Skipped(NamedTuple):
    """A line that is understood and holds nothing to account; reasons are few, to be counted."""

    reason: str


class Failed(NamedTuple):
    """A line that is not understood, or that breaks a rule of records."""

    reason: str


Outcome = Union[Record, Skipped]


class ParserOptions(NamedTuple):
    """Whose logs they are, and the options of [batch] that some batch systems heed.

    parallel: count cores and hosts (PBS, SGE, LSF). scale_host_factor: LSF. ge_ms_timestamps: SGE.
    identity_map: the site's rules for whose a job is. host_factors: SGE, by what a host's CPU and wall
    time are multiplied.
    """

    site: str
    machine_name: str
    parallel: bool = False
    scale_host_factor: bool = False
    ge_ms_timestamps: bool = False
    identity_map: Optional[IdentityMap] = None
    host_factors: Optional[Mapping[str, Tuple[float, float]]] = None


BLANK = Skipped("blank line")
HEADER = Skipped("header line")


class Remembered(Dict[str, V]):
    """Text -> what `read` makes of it, kept because logs say the same few things again and again.

    Forgets all at `most` texts, so that no log can fill the memory. What `read` raises is not kept.
    """

    def __init__(self, read: Callable[[str], V], most: int = 10000) -> None:
        super().__init__()
        self._read = read
        self._most = most

    def __missing__(self, text: str) -> V:
        if len(self) >= self._most:
            self.clear()
        self[text] = value = self._read(text)
        return value


def name(text: str) -> Optional[str]:
    """A name in a log as records have it: None for the words that mean absence. Raises RecordError."""
    return _NAME.clean(text)  # type: ignore[return-value]


def own_name(text: str) -> Optional[str]:
    """As `name`, quicker for the names that are of one line alone, and so not worth remembering."""
    text = text.strip()
    if MOST_NULL < len(text) < TOO_LONG and text.isprintable() and "%%" not in text:
        return text
    return name(text)


class Parser(abc.ABC):
    """Reads the lines of one kind of log.

    `doubts` counts, by reason, the lines whose record lacks or guesses something. `version` changes
    whenever lines that failed may parse now: rejected lines of another version are tried again.
    """

    type_name: ClassVar[str] = ""
    version: ClassVar[str] = ""
    record_class: ClassVar[Type[Record]] = EventRecord

    def __init__(self, options: ParserOptions) -> None:
        self.options = options
        self.doubts: Dict[str, int] = Counter()

    @abc.abstractmethod
    def parse(self, line: str) -> Outcome:
        """The record of a line (without line end), or why it has none. Raises ParseError, RecordError."""

    def parse_lines(self, lines: Iterable[str]) -> List[Union[Record, Skipped, Failed]]:
        """The outcome of each line, in order. Lines that belong together may complete each other."""
        parse = self.parse
        outcomes: List[Union[Record, Skipped, Failed]] = []
        for line in lines:
            try:
                outcomes.append(parse(line))
            except (ParseError, RecordError) as err:
                outcomes.append(Failed(str(err)))
        return outcomes

    def begin(self, first_line: str) -> None:  # noqa: B027 - most logs need nothing
        """Lines of a file follow whose first line is this: in some logs it names the columns."""

    def continues(self, line: str) -> bool:
        """Whether the line may complete the record of the one before: best parsed together with it."""
        return False

    def is_whole(self, lines: List[str]) -> bool:
        """Whether a record, on a line and those that continue it, is all there; or is still being written."""
        return True

    def reasons(self, line: str) -> List[str]:
        """What decided about the record of a line beside the line itself, for `apelparser --explain`."""
        return []

    def doubt(self, reason: str) -> None:
        """Count a record that lacks or guesses something."""
        self.doubts[reason] += 1
