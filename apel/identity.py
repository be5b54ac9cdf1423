"""Who a job belongs to: the VO, group and role that an FQAN names."""

from functools import lru_cache
from typing import NamedTuple, Optional, Tuple

from apel.records.fields import is_null

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


def _name(text: str) -> Optional[str]:
    text = text.strip()
    return None if is_null(text) else text
