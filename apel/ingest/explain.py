"""What a line of a log becomes, and why, said to an operator: `apelparser --explain`. Nothing is stored."""

import itertools
from collections import deque
from typing import Any, Deque, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

from apel.identity import Token, credentials
from apel.identity_map import IdentityMap
from apel.ingest.run import TOO_LONG
from apel.logfiles import LogFile, printable
from apel.parsers import Failed, Parser, Skipped
from apel.records import EventRecord, Record
from apel.records.fields import Timestamp
from apel.times import utc_text
from apelcommon.errors import Permanent

#: How many lines after a line may complete its record: steps of its job, or the rest of a JSON object.
LOOK_AHEAD = 2000


class Shown(NamedTuple):
    """A line; the first one of its file, which may name the columns; and some that follow it."""

    where: str
    line: str
    first: str
    following: Sequence[str]
    cut: bool = False


def shown_line(place: str) -> Shown:
    """The line that FILE:LINE names. Raises UnreadableFile, or Permanent if there is no such line."""
    path, _, text = place.rpartition(":")
    if not path or not text.isdecimal() or not 0 < len(text) < 19 or int(text) < 1:
        raise Permanent("%s is not FILE:LINE, with lines counted from 1" % printable(place))
    number = int(text)
    with LogFile(path) as log:
        lines = _numbered(log)
        count, first, cut = next(lines, (0, "", False))
        found = [(count, first, cut)] if number == 1 and count else []
        for count, line, cut in lines:
            if count >= number:
                found.append((count, line, cut))
            if count >= number + LOOK_AHEAD:
                break
    if not found:
        raise Permanent("%s has only %d lines" % (printable(path), count))
    _, line, cut = found[0]
    return Shown(
        "%s line %d" % (printable(path), number), line, first, [text for _, text, _ in found[1:]], cut
    )


def _numbered(log: LogFile) -> Iterator[Tuple[int, str, bool]]:
    """All lines, each with its number and whether it is cut."""
    number = 0
    for chunk in log.chunks(0, settled=True):
        for place, line in enumerate(chunk.lines):
            number += 1
            yield number, line, chunk.cut and place == 0


def shown_lines(lines: Iterable[str]) -> Iterator[Shown]:
    """Lines that stand together, as from standard input."""
    rest = iter(lines)
    window: Deque[str] = deque(itertools.islice(rest, LOOK_AHEAD + 1))
    first = window[0] if window else ""
    for number in itertools.count(1):
        if not window:
            return
        line = window.popleft()
        yield Shown("line %d" % number, line, first, list(window))
        window.extend(itertools.islice(rest, 1))


def explain(shown: Shown, parsers: Sequence[Parser]) -> List[str]:
    """What becomes of a line, as lines of text. The parser is the one that the line looks like being for."""
    tried = []
    for parser in _likely_first(shown.line, parsers):
        doubts = dict(parser.doubts)
        outcome = _outcome(shown, parser)
        if not isinstance(outcome, Failed):
            return _account(shown, parser, outcome, doubts)
        tried.append((parser, outcome))
    parser, outcome = tried[0]
    return _account(shown, parser, outcome, dict(parser.doubts))


def _likely_first(line: str, parsers: Sequence[Parser]) -> List[Parser]:
    blah = '"timestamp=' in line or '"lrmsID=' in line
    return sorted(parsers, key=lambda parser: (parser.type_name == "BLAH") is not blah)


def _outcome(shown: Shown, parser: Parser) -> Any:
    if shown.cut:
        return TOO_LONG
    parser.begin(shown.first)
    more = itertools.takewhile(parser.continues, shown.following)
    return parser.parse_lines([shown.line, *more])[0]


def _account(shown: Shown, parser: Parser, outcome: Any, doubts: Dict[str, int]) -> List[str]:
    start = "%s (%s): " % (shown.where, parser.type_name)
    if isinstance(outcome, Skipped):
        return [start + "skipped: %s" % outcome.reason]
    if isinstance(outcome, Failed):
        return [start + "rejected: %s" % outcome.reason]
    lines = [start + "stored as %s" % type(outcome).__name__, *_fields(outcome)]
    lines += [
        "  doubtful: %s" % reason for reason, count in parser.doubts.items() if count > doubts.get(reason, 0)
    ]
    lines += ["  %s" % reason for reason in parser.reasons(shown.line)]
    if isinstance(outcome, EventRecord) and parser.options.identity_map is not None:
        lines.append("  " + _as_local_job(outcome, parser.options.identity_map))
    return lines


def _fields(record: Record) -> List[str]:
    width = max(map(len, record.names))
    return [
        "  %-*s  %s" % (width, field.name, _text(field, value)) for field, value in zip(record.fields, record)
    ]


def _text(field: Any, value: Any) -> str:
    if value is None:
        return "-"
    if field.name == "Accelerators":
        return "; ".join(map(_cards, value))
    if isinstance(field, Timestamp):
        return "%d  (%s UTC)" % (value, utc_text(value))
    return str(value)


def _cards(cards: Tuple[Any, ...]) -> str:
    """'2 GPU a100 on gpu-a01 for 3600 s'."""
    _, host, model, type, number, seconds, used = cards
    text = "%g %s %s" % (number, type, model or "of unknown model")
    text += " on %s" % host if host else ""
    text += " for %d s" % seconds
    return text if used is None else text + ", used for %d s" % used


def _as_local_job(event: EventRecord, identity_map: IdentityMap) -> str:
    token = Token(event.TokenIssuer, event.TokenSubject)
    who = credentials(None, token, event.TokenGroups, event.LocalUserID, event.LocalUserGroup)
    rule = identity_map.rule_for(who)
    named = ("VO", "group", "role")
    identity = zip(named, identity_map.identity_of_local(who))
    text = ", ".join("%s %s" % (name, value) for name, value in identity if value is not None) or "no VO"
    why = str(rule) if rule else "no rule matches, so it is the local group"
    return "identity, if it is a local job: %s (%s)" % (text, why)
