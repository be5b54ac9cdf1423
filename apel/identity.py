"""Who a job belongs to: the VO, group and role that an FQAN names, and the user that a token names."""

import re
from functools import lru_cache
from typing import List, NamedTuple, Optional, Tuple

from apel.records.fields import MOST_GROUPS, MOST_NAME, is_null, one_line

#: What stands in a message for a name that the site may not tell.
WITHHELD = "withheld"

Identity = Tuple[Optional[str], Optional[str], Optional[str]]


class Credentials(NamedTuple):
    """What a log says of who submitted a job; None and () for what it doesn't say.

    issuer, subject and groups (`wlcg.groups`, the primary one first) are a token's; user and group the
    local account's.
    """

    fqan: Optional[str] = None
    issuer: Optional[str] = None
    subject: Optional[str] = None
    groups: Tuple[str, ...] = ()
    user: Optional[str] = None
    group: Optional[str] = None


class Token(NamedTuple):
    """Whose a token is: `iss` and `sub`. A subject is one person's only together with its issuer."""

    issuer: Optional[str] = None
    subject: Optional[str] = None

    @property
    def user(self) -> Optional[str]:
        """What stands in the place of a DN: `issuer subject`, or the subject where there is no room for both.

        None without a subject: an issuer is no user.
        """
        if self.subject is None or self.issuer is None:
            return self.subject
        both = "%s %s" % self
        return both if len(both) <= MOST_NAME else self.subject


NO_TOKEN = Token()
#: HTCondor's words for the parts of a token: issuer, subject and groups. A job that a compute element routed
#: has the user's after ORIGINAL; the others may be of the token with which the element itself submitted it.
TOKEN_PARTS = ("AuthTokenIssuer", "AuthTokenSubject", "AuthTokenGroups")
ORIGINAL = "orig_"
#: What parsers say of a token that they leave out.
BAD_TOKEN = "issuer or subject of a token can't stand in a record, recorded without it"

_UUID = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
#: `issuer subject`; `issuer,subject`, the key of HTCondor-CE's maps; and a URL whose last part is a subject.
_TOKEN_USER = re.compile(r"(https?://[^\s,]+)(?: |, ?)(\S.*)|(https?://\S+?/?)/(%s)" % _UUID)
_GROUP = re.compile(r"""[^\s,;{}\[\]"']+""")


@lru_cache(maxsize=65536)
def token_of(user: Optional[str]) -> Token:
    """The token that a user's name is of; NO_TOKEN for a DN, a withheld name, or any other.

    'https://vo-auth.example/ 5d1f' -> ('https://vo-auth.example/', '5d1f')
    """
    if user is None or not user.startswith("http"):
        return NO_TOKEN
    found = _TOKEN_USER.fullmatch(user)
    return Token(found.group(1) or found.group(3), found.group(2) or found.group(4)) if found else NO_TOKEN


def is_users(issuer: Optional[str]) -> bool:
    """Whether a token may be a user's: the issuers of those are URLs. That of HTCondor's own is a domain."""
    return issuer is None or issuer.startswith(("https://", "http://"))


def token_groups(text: str) -> Tuple[str, ...]:
    """The groups in a list of them: '/cms,/cms/uscms', with or without blanks, brackets and quotes."""
    return tuple(group for group in _GROUP.findall(text) if group.startswith("/") and one_line(group) is None)


def groups_text(groups: Tuple[str, ...]) -> Optional[str]:
    """Groups as records have them, separated by commas: the first ones, as far as there is room."""
    kept: List[str] = []
    room = MOST_GROUPS
    for group in groups:
        room -= len(group) + 1
        if room < -1:
            break
        kept.append(group)
    return ",".join(kept) or None


def credentials(
    fqan: Optional[str],
    token: Token = NO_TOKEN,
    groups: Optional[str] = None,
    user: Optional[str] = None,
    group: Optional[str] = None,
) -> Credentials:
    """Credentials of what records hold. ARC writes /None/Role=NULL where there is no FQAN."""
    has_vo = fqan is not None and parse_fqan(fqan)[0] is not None
    return Credentials(fqan if has_vo else None, *token, token_groups(groups or ""), user, group)


@lru_cache(maxsize=65536)
def parse_fqan(fqan: str) -> Identity:
    """(VO, group, role) of the first of the FQANs in the text; None for what it doesn't name.

    '/cms/uscms/Role=NULL/Capability=NULL;/cms' -> ('cms', '/cms/uscms', 'Role=NULL')
    'dteam' -> ('dteam', None, None)

    The role keeps its prefix. An empty VO ('/') is None, where the incumbent stores an empty text.
    """
    primary = fqan.split(";", 1)[0].strip()
    if not primary.startswith("/"):
        return _name(primary), None, None
    group = []
    role = None
    for part in filter(None, primary.split("/")):
        if part.lower().startswith("role="):
            role = part
            break
        group.append(part)
    return _name(primary.split("/", 2)[1]), _name("/" + "/".join(group)) if group else None, _name(role or "")


def fqan_of(vo: str, group: Optional[str], role: Optional[str]) -> Optional[str]:
    """An FQAN that says this VO, and as much of group and role as goes with it; None if none can.

    ('cms', '/cms/uscms', 'Role=pilot') -> '/cms/uscms/Role=pilot'; ('cms', None, None) -> 'cms'
    """
    named = (group or "/" + vo) + ("/" + role if role else "") if group or role else vo
    return next((fqan for fqan in (named, vo) if parse_fqan(fqan)[0] == vo), None)


def _name(text: str) -> Optional[str]:
    text = text.strip()
    return None if is_null(text) else text
