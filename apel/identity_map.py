"""The identity map: a site's own rules for the VO, group and role of jobs (docs/identity.md).

A line is a rule, `condition ... -> result`, and the first whose conditions all hold decides. Pure: text in,
decisions out; apel/identity_file.py reads the file.
"""

import difflib
import fnmatch
import re
from typing import Callable, Dict, List, NamedTuple, Optional, Pattern, Sequence, Tuple

from apel.errors import shown
from apel.identity import Credentials, Identity, parse_fqan
from apel.records.fields import is_null

#: Leaves the job as the log has it, whatever later rules say.
KEEP = "keep"
#: A condition with this value holds where the log doesn't say the thing at all.
ABSENT = "-"
ARROW = "->"

MOST_CHARACTERS = 255

_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')

#: What a condition may be about: the values that a job has of it.
CONDITIONS: Dict[str, Callable[[Credentials], Sequence[Optional[str]]]] = {
    "fqan": lambda who: (who.fqan,),
    "issuer": lambda who: (who.issuer and who.issuer.rstrip("/"),),
    "subject": lambda who: (who.subject,),
    "wlcg.groups": lambda who: who.groups or (None,),
    "user": lambda who: (who.user,),
    "group": lambda who: (who.group,),
}


class MapError(ValueError):
    """What is wrong with an identity map, all of it: one sentence each, that begins with file and line."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(problems))


class Condition(NamedTuple):
    """One condition: `pattern` None wants the thing to be absent."""

    about: str
    pattern: Optional[Pattern[str]]

    def holds(self, who: Credentials) -> bool:
        """Whether one of the job's values matches."""
        values = CONDITIONS[self.about](who)
        if self.pattern is None:
            return all(value is None for value in values)
        return any(value is not None and self.pattern.match(value) is not None for value in values)


class Rule(NamedTuple):
    """A line of the map. fqan: whose the job is; None to keep what the log says."""

    where: str
    text: str
    conditions: Tuple[Condition, ...]
    fqan: Optional[str]

    def __str__(self) -> str:
        return "%s: %s" % (self.where, self.text)


class IdentityMap:
    """Rules in order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)

    def rule_for(self, who: Credentials) -> Optional[Rule]:
        """The first rule all of whose conditions hold."""
        for rule in self.rules:
            if all(condition.holds(who) for condition in rule.conditions):
                return rule
        return None

    def fqan_of(self, who: Credentials) -> Optional[str]:
        """The FQAN that the job has by these rules: its own, where none of them gives another."""
        rule = self.rule_for(who)
        return who.fqan if rule is None or rule.fqan is None else rule.fqan

    def identity_of_local(self, user: Optional[str], group: Optional[str]) -> Identity:
        """(VO, group, role) of a job that no grid record names; its VO is the local group without a rule."""
        fqan = self.fqan_of(Credentials(user=user, group=group))
        return (group, None, None) if fqan is None else parse_fqan(fqan)


def parse_map(text: str, path: str) -> IdentityMap:
    """The map in a file's text. Raises MapError that lists everything wrong with it."""
    rules: List[Rule] = []
    problems: List[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        where = "%s line %d" % (path, number)
        try:
            words = _words(line)
            if words:
                rules.append(_rule(where, words))
        except ValueError as err:
            problems.append("%s: %s" % (where, err))
    if problems:
        raise MapError(problems)
    return IdentityMap(rules)


def _words(line: str) -> List[str]:
    """The words of a line, up to a comment; a word may hold quoted blanks."""
    words: List[str] = []
    for found in _WORD.finditer(line):
        if found.group().startswith("#"):
            line = line[: found.start()]
            break
        words.append(found.group())
    if line.count('"') % 2:
        raise ValueError("an unpaired quote")
    return words


def _rule(where: str, words: List[str]) -> Rule:
    if words.count(ARROW) != 1:
        raise ValueError("it must be written: condition ... %s result" % ARROW)
    place = words.index(ARROW)
    conditions, result = words[:place], [word.replace('"', "") for word in words[place + 1 :]]
    if len(result) != 1:
        raise ValueError("after %s must come one word: a VO, an FQAN, or `%s`" % (ARROW, KEEP))
    if not conditions:
        raise ValueError("no condition before %s (`*` holds for every job)" % ARROW)
    if conditions == ["*"]:
        conditions = []
    return Rule(where, " ".join(words), tuple(map(_condition, conditions)), _result(result[0]))


def _condition(word: str) -> Condition:
    about, _, value = word.replace('"', "").partition("=")
    if about not in CONDITIONS:
        near = difflib.get_close_matches(about.lower(), CONDITIONS, 1, 0.6)
        hint = "did you mean %s?" % near[0] if near else "there are " + ", ".join(CONDITIONS)
        raise ValueError("unknown condition %s; %s" % (shown(about), hint))
    if not value:
        raise ValueError("%s has no value; write %s=%s where the log doesn't say it" % (about, about, ABSENT))
    if value == ABSENT:
        return Condition(about, None)
    if about == "issuer":
        value = value.rstrip("/")
    return Condition(about, re.compile(fnmatch.translate(value)))


def _result(word: str) -> Optional[str]:
    if word == KEEP:
        return None
    fqan = word.strip()
    if is_null(fqan) or parse_fqan(fqan)[0] is None:
        raise ValueError("the result %s names no VO" % (shown(word) or "(empty)"))
    if len(fqan) > MOST_CHARACTERS or not fqan.isprintable() or "%%" in fqan:
        raise ValueError("the result %s can't stand in a record" % shown(word))
    return fqan
