"""The identity map: a site's own rules for the VO, group and role of jobs (docs/identity.md).

A line is a rule, `condition ... -> result`, and the first whose conditions all hold decides. Lines of
HTCondor's form, `* key result`, are read as well. Pure: text in, decisions out; apel/identity_file.py reads
the file.
"""

import difflib
import fnmatch
import re
from typing import Callable, Dict, FrozenSet, List, NamedTuple, Optional, Pattern, Sequence, Tuple

from apel.errors import shown
from apel.identity import Credentials, Identity, parse_fqan
from apel.records.fields import is_null

#: Leaves the job as the log has it, whatever later rules say.
KEEP = "keep"
#: A condition with this value holds where the log doesn't say the thing at all.
ABSENT = "-"
#: A condition; and as a result: the group of the token that the condition names, or else the primary one.
GROUPS = "wlcg.groups"
#: A condition, as HTCondor-CE writes it: both in one text.
TOKEN = "issuer,subject"
ARROW = "->"

MOST_CHARACTERS = 255

_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')

#: What a condition may be about: the values that a job has of it.
CONDITIONS: Dict[str, Callable[[Credentials], Sequence[Optional[str]]]] = {
    "fqan": lambda who: (who.fqan,),
    "issuer": lambda who: (who.issuer and who.issuer.rstrip("/"),),
    "subject": lambda who: (who.subject,),
    GROUPS: lambda who: who.groups or (None,),
    "user": lambda who: (who.user,),
    "group": lambda who: (who.group,),
    TOKEN: lambda who: (who.issuer and who.subject and "%s,%s" % (who.issuer, who.subject),),
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
        if self.pattern is None:
            return all(value is None for value in CONDITIONS[self.about](who))
        return self.found(who) is not None

    def found(self, who: Credentials) -> Optional[str]:
        """The first of the job's values that matches."""
        if self.pattern is None:
            return None
        values = CONDITIONS[self.about](who)
        return next((value for value in values if value is not None and self.pattern.match(value)), None)


class Rule(NamedTuple):
    """A line of the map. fqan: whose the job is; None to keep what the log says; or GROUPS."""

    where: str
    text: str
    conditions: Tuple[Condition, ...]
    fqan: Optional[str]

    def __str__(self) -> str:
        return "%s: %s" % (self.where, self.text)

    def holds(self, who: Credentials) -> bool:
        """Whether all conditions do. One with the result GROUPS needs a token that has some."""
        if self.fqan == GROUPS and not who.groups:
            return False
        return all(condition.holds(who) for condition in self.conditions)

    def result(self, who: Credentials) -> Optional[str]:
        """The FQAN of a job for which it holds."""
        if self.fqan != GROUPS:
            return who.fqan if self.fqan is None else self.fqan
        named = (condition.found(who) for condition in self.conditions if condition.about == GROUPS)
        return next((group for group in named if group is not None), who.groups[0])


class IdentityMap:
    """Rules in order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)

    def rule_for(self, who: Credentials) -> Optional[Rule]:
        """The first rule all of whose conditions hold."""
        for rule in self.rules:
            if rule.holds(who):
                return rule
        return None

    def hidden(self) -> List[Tuple[Rule, Rule]]:
        """Rules that never decide, each with the one before it that does: it has no condition but theirs."""
        found = []
        before: List[Tuple[FrozenSet[Condition], Rule]] = []
        for rule in self.rules:
            conditions = frozenset(rule.conditions)
            hiding = next((other for wanted, other in before if wanted <= conditions), None)
            if hiding is not None:
                found.append((rule, hiding))
            elif rule.fqan != GROUPS:  # which passes jobs by whose token has none
                before.append((conditions, rule))
        return found

    def issuers(self) -> List[str]:
        """The token issuers that rules name, as they are written."""
        words = [word for rule in self.rules for word in _WORD.findall(rule.text)]
        named = (word.replace('"', "") for word in words if word.startswith("issuer=") and word[7:] != ABSENT)
        return sorted({word[7:] for word in named})

    def fqan_of(self, who: Credentials) -> Optional[str]:
        """The FQAN that the job has by these rules: its own, where none of them gives another."""
        rule = self.rule_for(who)
        return who.fqan if rule is None else rule.result(who)

    def identity_of_local(self, who: Credentials) -> Identity:
        """(VO, group, role) of a job that no grid record names; its VO is the local group without a rule."""
        fqan = self.fqan_of(who)
        return (who.group, None, None) if fqan is None else parse_fqan(fqan)


def parse_map(text: str, path: str) -> IdentityMap:
    """The map in a file's text. Raises MapError that lists everything wrong with it."""
    rules: List[Rule] = []
    by_token: List[Rule] = []
    problems: List[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        where = "%s line %d" % (path, number)
        try:
            words = _words(line)
            if words[:1] == ["*"] and ARROW not in words:
                account, token = _condor_rules(where, words)
                rules.append(account)
                by_token.append(token)
            elif words:
                rules.append(_rule(where, words))
        except ValueError as err:
            problems.append("%s: %s" % (where, err))
    if problems:
        raise MapError(problems)
    return IdentityMap(rules + by_token)


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
        raise ValueError("after %s must come one word: a VO, an FQAN, `%s` or `%s`" % (ARROW, KEEP, GROUPS))
    if not conditions:
        raise ValueError("no condition before %s (`*` holds for every job)" % ARROW)
    if conditions == ["*"]:
        conditions = []
    return Rule(where, " ".join(words), tuple(map(_condition, conditions)), _result(result[0]))


def _condor_rules(where: str, words: List[str]) -> Tuple[Rule, Rule]:
    """The rules of a line of HTCondor: it looks for the account first, in all lines, and then for the token.

    Jobs with an FQAN are not looked up there.
    """
    if len(words) != 3:
        raise ValueError("a line of HTCondor's form has three words: * key group")
    key, fqan = words[1].strip('"'), _result(words[2].strip('"'))
    if fqan in (None, GROUPS):
        raise ValueError("in a line of HTCondor's form, %s is no result" % words[2])
    pattern = _condor_pattern(key)
    text = " ".join(words)
    rules = [
        Rule(where, text, (Condition("fqan", None), Condition(about, pattern)), fqan)
        for about in ("user", TOKEN)
    ]
    return rules[0], rules[1]


def _condor_pattern(key: str) -> Pattern[str]:
    """A literal key, or /an expression/ that matches anywhere."""
    if not key.startswith("/"):
        return re.compile(re.escape(key) + r"\Z")
    expression, slash, flags = key[1:].rpartition("/")
    if not slash or flags.strip("i"):
        raise ValueError("the expression %s must end in / or /i" % shown(key))
    try:
        return re.compile("(?s:.*?)(?:%s)" % expression, re.IGNORECASE if flags else 0)
    except (re.error, OverflowError, RecursionError) as err:
        raise ValueError("the expression %s is wrong: %s" % (shown(key), err)) from err


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
    if word == GROUPS:
        return GROUPS
    fqan = word.strip()
    if is_null(fqan) or parse_fqan(fqan)[0] is None:
        raise ValueError("the result %s names no VO" % (shown(word) or "(empty)"))
    if len(fqan) > MOST_CHARACTERS or not fqan.isprintable() or "%%" in fqan:
        raise ValueError("the result %s can't stand in a record" % shown(word))
    return fqan
