"""From GOCDB's endpoints and an admin's own lists: which names may send, and for which sites they speak."""

import logging
from typing import Callable, Dict, Iterable, List, NamedTuple, Sequence, Set, Tuple

from apel.auth.gocdb import Endpoint

log = logging.getLogger(__name__)

#: In a site map: every site.
ANY_SITE = "*"

Canonical = Callable[[str], str]


class Access(NamedTuple):
    """The names that may send, in order and each once, and (name, site) for what they may send."""

    names: List[str]
    rights: List[Tuple[str, str]]

    @staticmethod
    def of(
        endpoints: Iterable[Endpoint],
        extra: Iterable[str],
        banned: Iterable[str],
        extra_rights: Iterable[Tuple[str, str]],
        canonical: Canonical,
    ) -> "Access":
        """Of what GOCDB knows, and of the admin's files; malformed names are warned of and left out."""
        out = {canonical(name) for name in banned}
        known = [endpoint for endpoint in endpoints if endpoint.dn and _is_good(endpoint.dn, endpoint.site)]
        wanted = [endpoint.dn for endpoint in known] + [name for name in extra if _is_good(name, "extra-dns")]
        names = [name for name in dict.fromkeys(map(canonical, wanted)) if name not in out]
        allowed = set(names)
        rights = {(canonical(endpoint.dn), endpoint.site) for endpoint in known if _is_site(endpoint)}
        rights |= {(canonical(name), site) for name, site in extra_rights}
        return Access(names, sorted(right for right in rights if right[0] in allowed))


def _is_good(name: str, where: str) -> bool:
    if is_name(name):
        return True
    log.warning("%s: %r is no name of a certificate, like /C=UK/O=Org/CN=host; left out", where, name[:200])
    return False


def _is_site(endpoint: Endpoint) -> bool:
    """Whether its site can stand in a site map, and there means itself."""
    site = endpoint.site
    if site and (site == ANY_SITE or site.startswith("#") or " " in site or not site.isprintable()):
        log.warning("%s: %r can't be the name of a site; it may not send for it", endpoint.dn, site[:200])
        return False
    return bool(site)


def is_name(text: str) -> bool:
    """Whether a text is a distinguished name in slash form, as the incumbent judges."""
    parts = text.split("/")[1:]
    return text.startswith("/") and len(parts) > 1 and not any(part.endswith(", ") for part in parts)


def names_in(text: str) -> List[str]:
    """The lines of an admin's list that count; blank and `#` lines don't."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def rights_in(text: str, where: str) -> List[Tuple[str, str]]:
    """The lines `site<blank>name` of a site map. `*` is any site. Others are warned of."""
    found: List[Tuple[str, str]] = []
    for line in names_in(text):
        site, _, name = line.replace("\t", " ").partition(" ")
        if name.strip().startswith("/"):
            found.append((name.strip(), site))
        else:
            log.warning("%s: a line that is not `SITE /DN`: %s", where, line[:200])
    return found


def names_text(names: Iterable[str]) -> bytes:
    """The list for ssmreceive: a name a line."""
    return "".join(name + "\n" for name in names).encode("utf-8")


def site_map_text(rights: Iterable[Tuple[str, str]]) -> bytes:
    """The site map for apeldbloader: lines `site name`."""
    head = "# Made by apelauth: which signer may send records of which site. `*` is any site.\n"
    lines = ["%s %s\n" % (site, name) for name, site in sorted(rights, key=lambda right: right[::-1])]
    return (head + "".join(lines)).encode("utf-8")


def shrinks(old: Sequence[str], new: Sequence[str], apart: Iterable[str]) -> bool:
    """Whether less than half is left of the names of the old list, not counting those `apart` from GOCDB."""
    others: Set[str] = set(apart)
    before, now = (set(names) - others for names in (old, new))
    return len(before & now) * 2 < len(before)


def by_name(rights: Iterable[Tuple[str, str]]) -> Dict[str, Set[str]]:
    """Name -> its sites."""
    found: Dict[str, Set[str]] = {}
    for name, site in rights:
        found.setdefault(name, set()).add(site)
    return found
