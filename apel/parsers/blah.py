"""BLAH: who submitted each batch job, as CREAM, ARC and HTCondor-CE log it: `"key=value" "key=value" …`."""

import re
from typing import Dict, List, Mapping, Optional, Tuple

from apel.errors import ParseError, RecordError
from apel.identity import (
    BAD_TOKEN,
    NO_TOKEN,
    ORIGINAL,
    TOKEN_PARTS,
    Token,
    credentials,
    groups_text,
    is_users,
    parse_fqan,
    token_groups,
    token_of,
)
from apel.parsers.base import (
    BLANK,
    TOO_LONG,
    Outcome,
    Parser,
    ParserOptions,
    Remembered,
    Skipped,
    name,
    own_name,
)
from apel.parsers.clock import Clock, utc_offset
from apel.records import BlahdRecord
from apel.records.fields import NULL_WORDS
from apel.times import DAY

#: A batch id may be used again; the entry is for jobs that end from a day before it to 28 days after it.
VALID_BEFORE = DAY
VALID_AFTER = 28 * DAY

REQUIRED = ("timestamp", "lrmsID", "ceID")

NO_LRMS_ID = Skipped("no lrmsID")

#: What all items about a token have in their names.
TOKEN = "AuthToken"

#: Words for what isn't there; HTCondor-CE has one more than other logs.
UNDEFINED = "undefined"
NOTHING = NULL_WORDS | {UNDEFINED}

NO_USER = "no userDN, recorded without it"
NO_FQAN = "no userFQAN, recorded without VO"
NO_JOB_ID = "no jobID, recorded without it"

#: No record, message or database holds longer ones.
LONG_NAMES = {
    "userDN": "userDN longer than 255 characters, recorded without it",
    "jobID": "jobID longer than 255 characters, recorded without it",
}
LONG_FQAN = "userFQAN longer than 255 characters, recorded as the longest group above it"

_ITEM = re.compile(r'\s*"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r'\\(["\\])')

Identity = Tuple[Optional[str], Optional[str], Optional[str], Optional[str]]


def _name(text: str) -> Optional[str]:
    """As for all logs, but for UNDEFINED."""
    return None if text.strip().lower() == UNDEFINED else name(text)


def _identity(text: str) -> Identity:
    """FQAN as logged -> (FQAN, VO, group, role) as recorded."""
    fqan = _name(text)
    return (None, None, None, None) if fqan is None else (fqan, *parse_fqan(fqan))


def _shortened(fqan: str) -> str:
    """An FQAN without its last parts, so that there is room: capability, role, groups; '' for no room."""
    return fqan[:TOO_LONG].rpartition("/")[0]


def _other_issuer(issuer: Optional[str], url: Optional[str]) -> Optional[str]:
    """The URL of a userDN that seemed an issuer, if the line names another: it is the subject."""
    if issuer is None or url is None or url.rstrip("/") == issuer.rstrip("/"):
        return None
    return url


def _subject(user: str) -> Token:
    """The token that stands in the place of a DN.

    HTCondor-CE puts its subject there, maps of it issuer and subject. A DN begins with a slash, or is
    `CN=…,DC=…`.
    """
    found = token_of(user)
    if found.subject is not None or user.startswith("/"):
        return found
    if user.startswith(("https://", "http://")):
        return Token(issuer=user)
    return NO_TOKEN if "=" in user else Token(subject=user)


class BlahParser(Parser):
    """BlahdRecords of BLAH lines. Times are UTC on every host; the first of several FQANs counts.

    A token job may have no DN and no FQAN: its record is kept, and says what is known. Which VO it is of
    is decided when it is joined.
    """

    type_name = "BLAH"
    version = "BLAH/3"
    record_class = BlahdRecord

    def __init__(self, options: ParserOptions) -> None:
        super().__init__(options)
        self._clock = Clock(utc_offset)
        self._names = Remembered(_name)
        self._identities = Remembered(_identity)
        self._groups = Remembered(lambda text: groups_text(token_groups(text)))

    def parse(self, line: str) -> Outcome:
        """The BlahdRecord of a line; Skipped for one that names no batch job."""
        values = _values(line)
        if values is None:
            return BLANK
        for key in REQUIRED:
            if key not in values:
                raise ParseError("%s is missing" % key)
        lrms_id, ce = own_name(values["lrmsID"]), self._names[values["ceID"]]
        if lrms_id is None:
            return NO_LRMS_ID
        if ce is None:
            raise ParseError("ceID is empty")
        if len(line) > TOO_LONG:
            self._shorten(values)
        return self._entry(lrms_id, ce, values, TOKEN in line)

    def _entry(self, lrms_id: str, ce: str, values: Mapping[str, str], has_token: bool) -> BlahdRecord:
        """The record of a batch job; `has_token`: whether the line has items about a token."""
        names, get = self._names, values.get
        time = self._epoch(values["timestamp"])
        user, job_id = names[get("userDN", "")], own_name(get("jobID", ""))
        fqan, vo, group, role = self._identities[get("userFQAN", "")]
        token, groups = NO_TOKEN, None
        if has_token or (user is not None and user[0] != "/"):
            user, token, groups = self._submitter(values, user)
        if user is None or fqan is None or job_id is None:
            self._note_absence(user, fqan, job_id)
        return BlahdRecord.make(
            (
                time,
                user,
                fqan,
                vo,
                group,
                role,
                ce,
                job_id,
                lrms_id,
                self.options.site,
                max(0, time - VALID_BEFORE),
                time + VALID_AFTER,
                0,
                self.options.machine_name,
                *token,
                groups,
            )
        )

    def _shorten(self, values: Dict[str, str]) -> None:
        """No job is lost for a name that nothing can hold; and its VO is kept."""
        for key, reason in LONG_NAMES.items():
            if len(values.get(key, "")) >= TOO_LONG:
                values[key] = ""
                self.doubt(reason)
        fqan = values.get("userFQAN", "")
        if len(fqan) >= TOO_LONG:
            values["userFQAN"] = _shortened(fqan)
            self.doubt(LONG_FQAN)

    def _submitter(
        self, values: Mapping[str, str], user: Optional[str]
    ) -> Tuple[Optional[str], Token, Optional[str]]:
        """User, token and groups of a line that may be about a token. A DN stands, whatever the token."""
        named = NO_TOKEN if user is None else _subject(user)
        token, groups = self._token(values, named)
        if token.subject is not None and (user in (None, token.subject) or token_of(user) == token):
            return token.user, token, groups
        return user, token, groups

    def _token(self, values: Mapping[str, str], named: Token) -> Tuple[Token, Optional[str]]:
        """The token, and its groups, of a line with items about it; `named`: what its userDN says."""
        original = any(_says(values, ORIGINAL + part) for part in TOKEN_PARTS)
        parts = [ORIGINAL + part if original else part for part in TOKEN_PARTS]
        issuer, subject = self._part(values, parts[0]), self._part(values, parts[1])
        if not is_users(issuer):
            return named, None
        groups = self._groups[_says(values, parts[2])]
        if subject is None:
            subject = named.subject or _other_issuer(issuer, named.issuer)
            return Token(issuer or named.issuer, subject), groups
        return Token(issuer or (named.issuer if named.subject == subject else None), subject), groups

    def _part(self, values: Mapping[str, str], key: str) -> Optional[str]:
        """The issuer or the subject. A line isn't lost for one that is too long."""
        try:
            return self._names[_says(values, key)]
        except RecordError:
            self.doubt(BAD_TOKEN)
            return None

    def reasons(self, line: str) -> List[str]:
        """Which rule of the identity map will decide."""
        identity_map, values = self.options.identity_map, _values(line)
        record = self.parse(line)
        if identity_map is None or values is None or not isinstance(record, BlahdRecord):
            return []
        user, group = (self._names[values.get(key, "")] for key in ("localUser", "localGroup"))
        who = credentials(record.FQAN, Token(*record[-3:-1]), record.TokenGroups, user, group)
        rule = identity_map.rule_for(who)
        fqan = identity_map.fqan_of(who)
        vo = parse_fqan(fqan)[0] if fqan else None
        why = str(rule) if rule else "no rule matches, so it is as logged"
        return ["identity: %s (%s)" % ("VO %s" % vo if vo else "no VO", why)]

    def _epoch(self, text: str) -> int:
        try:
            return self._clock.epochs(text.strip())[0]
        except ValueError:
            raise ParseError("timestamp is not a time") from None

    def _note_absence(self, user: Optional[str], fqan: Optional[str], job_id: Optional[str]) -> None:
        for value, reason in ((user, NO_USER), (fqan, NO_FQAN), (job_id, NO_JOB_ID)):
            if value is None:
                self.doubt(reason)


def _says(values: Mapping[str, str], key: str) -> str:
    """What an item says; '' for nothing."""
    text = values.get(key, "")
    return "" if text.strip().lower() in NOTHING else text


def _values(line: str) -> Optional[Dict[str, str]]:
    """The values of a line by key, the first of each key; None for a blank line. Raises ParseError."""
    line = line.strip()
    items = line[1:-1].split('" "')
    # The plain form of almost every line: nothing escaped, one blank between items.
    plain = line[:1] == line[-1:] == '"' and "\\" not in line and line.count('"') == 2 * len(items)
    if not plain:
        if not line:
            return None
        items = _items(line)
    items.reverse()
    try:
        return dict([item.split("=", 1) for item in items])
    except ValueError:
        raise ParseError("an item without =") from None


def _items(line: str) -> List[str]:
    """The items of a line with odd blanks, or with quotes and backslashes escaped by a backslash."""
    items = []
    place = 0
    while place < len(line):
        found = _ITEM.match(line, place)
        if found is None:
            raise ParseError("text outside of quotes, or an unpaired quote")
        items.append(_ESCAPED.sub(r"\1", found.group(1)))
        place = found.end()
    return items
