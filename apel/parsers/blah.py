"""BLAH: who submitted each batch job, as CREAM, ARC and HTCondor-CE log it: `"key=value" "key=value" …`."""

import re
from typing import Dict, List, Mapping, Optional, Tuple

from apel.errors import ParseError
from apel.identity import Credentials, parse_fqan
from apel.parsers.base import BLANK, Outcome, Parser, ParserOptions, Remembered, Skipped, name, own_name
from apel.parsers.clock import Clock, utc_offset
from apel.records import BlahdRecord
from apel.times import DAY

#: A batch id may be used again; the entry is for jobs that end from a day before it to 28 days after it.
VALID_BEFORE = DAY
VALID_AFTER = 28 * DAY

REQUIRED = ("timestamp", "lrmsID", "ceID")

NO_LRMS_ID = Skipped("no lrmsID")

#: What HTCondor calls the parts of a token; a routed job has the originals under the second name.
TOKEN = "AuthToken"
ISSUER = ("orig_AuthTokenIssuer", "AuthTokenIssuer")
SUBJECT = ("orig_AuthTokenSubject", "AuthTokenSubject")
GROUPS = ("orig_AuthTokenGroups", "AuthTokenGroups")

#: The items that an identity map's conditions rest on.
WHO = ("userFQAN", "userDN", "localUser", "localGroup", *ISSUER, *SUBJECT, *GROUPS)

NO_USER = "no userDN, recorded without it"
NO_FQAN = "no userFQAN, recorded without VO"
NO_JOB_ID = "no jobID, recorded without it"

_ITEM = re.compile(r'\s*"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r'\\(["\\])')

Identity = Tuple[Optional[str], Optional[str], Optional[str], Optional[str]]


def _name(text: str) -> Optional[str]:
    """As for all logs; HTCondor-CE has one more word for what isn't there."""
    return None if text.strip().lower() == "undefined" else name(text)


def _identity(text: str) -> Identity:
    """FQAN as logged -> (FQAN, VO, group, role) as recorded."""
    fqan = _name(text)
    return (None, None, None, None) if fqan is None else (fqan, *parse_fqan(fqan))


def _first(values: Mapping[str, str], keys: Tuple[str, ...]) -> Optional[str]:
    """The first of some items that says something."""
    return next((found for found in (_name(values.get(key, "")) for key in keys) if found is not None), None)


def _token(values: Mapping[str, str]) -> Tuple[Optional[str], Optional[str]]:
    """Issuer and subject of a job's token.

    HTCondor-CE puts the subject in the place of the DN; a DN begins with a slash, or is `CN=…,DC=…`.
    `<issuer> <subject>` and `<issuer>,<subject>` are understood there as well.
    """
    issuer, subject = _first(values, ISSUER), _first(values, SUBJECT)
    user = _name(values.get("userDN", ""))
    if subject is None and user is not None and not user.startswith("/"):
        if user.startswith(("https://", "http://")):
            found, _, rest = user.replace(",", " ", 1).partition(" ")
            return issuer or found, rest.strip() or None
        if "=" not in user:
            subject = user
    return issuer, subject


def credentials(values: Mapping[str, str]) -> Credentials:
    """Who submitted the job, by the items of its line."""
    issuer, subject = _token(values)
    groups = (_first(values, GROUPS) or "").split(",")
    fqan = _first(values, ("userFQAN",))
    return Credentials(
        # ARC writes /None/Role=NULL where there is none.
        fqan=fqan if fqan is not None and parse_fqan(fqan)[0] is not None else None,
        issuer=issuer,
        subject=subject,
        groups=tuple(group.strip() for group in groups if group.strip()),
        user=_first(values, ("localUser",)),
        group=_first(values, ("localGroup",)),
    )


def _token_user(values: Mapping[str, str], user: Optional[str]) -> Optional[str]:
    """The user of a line about a token: where that is its subject, with the issuer, which makes it unique."""
    issuer, subject = _token(values)
    if subject is None or user not in (None, subject):
        return user
    return subject if issuer is None else name("%s %s" % (issuer, subject))


class BlahParser(Parser):
    """BlahdRecords of BLAH lines. Times are UTC on every host; the first of several FQANs counts.

    A token job may have no DN and no FQAN: its record is kept, and says what is known. An identity map
    may give any job another FQAN.
    """

    type_name = "BLAH"
    version = "BLAH/1"
    record_class = BlahdRecord

    def __init__(self, options: ParserOptions) -> None:
        super().__init__(options)
        self._clock = Clock(utc_offset)
        self._names = Remembered(_name)
        self._identities = Remembered(_identity)
        self._mapped = Remembered(self._fqan_by_map)

    def parse(self, line: str) -> Outcome:
        """The BlahdRecord of a line; Skipped for one that names no batch job."""
        values = _values(line)
        if values is None:
            return BLANK
        for key in REQUIRED:
            if key not in values:
                raise ParseError("%s is missing" % key)
        names, get = self._names, values.get
        time = self._epoch(values["timestamp"])
        lrms_id, ce = own_name(values["lrmsID"]), names[values["ceID"]]
        if lrms_id is None:
            return NO_LRMS_ID
        if ce is None:
            raise ParseError("ceID is empty")
        user, job_id = names[get("userDN", "")], own_name(get("jobID", ""))
        logged = get("userFQAN", "")
        if self.options.identity_map is not None:
            logged = self._mapped["\n".join([get(key, "") for key in WHO])]
        fqan, vo, group, role = self._identities[logged]
        if TOKEN in line:
            user = _token_user(values, user)
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
            )
        )

    def _fqan_by_map(self, text: str) -> str:
        """The FQAN of a job with these items, a line each, as WHO has them; '' for none."""
        assert self.options.identity_map is not None
        items = text.split("\n")
        who = credentials(dict(zip(WHO, items)))
        return self.options.identity_map.fqan_of(who) or items[0]

    def reasons(self, line: str) -> List[str]:
        """Which rule of the identity map decided."""
        identity_map, values = self.options.identity_map, _values(line)
        if identity_map is None or values is None:
            return []
        rule = identity_map.rule_for(credentials(values))
        return ["identity: %s" % (str(rule) if rule else "no rule matches, so it is as logged")]

    def _epoch(self, text: str) -> int:
        try:
            return self._clock.epochs(text.strip())[0]
        except ValueError:
            raise ParseError("timestamp is not a time") from None

    def _note_absence(self, user: Optional[str], fqan: Optional[str], job_id: Optional[str]) -> None:
        for value, reason in ((user, NO_USER), (fqan, NO_FQAN), (job_id, NO_JOB_ID)):
            if value is None:
                self.doubt(reason)


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
