"""Whose the local jobs are: by the identity map, and where that has no rule, by their group."""

from functools import lru_cache
from typing import Dict, Iterable, Optional, Tuple

from apel.client.choice import Event
from apel.db import Database
from apel.identity import Identity
from apel.identity_map import IdentityMap
from apel.records.fields import is_null

#: The ids of VO, group and role.
Ids = Tuple[int, int, int]


class LocalIdentities:
    """Looks up the ids of VO, group and role of local jobs. Accounts are few: each is decided about once."""

    def __init__(self, db: Database, identity_map: Optional[IdentityMap]) -> None:
        self._db = db
        self._map = identity_map or IdentityMap([])
        self._identity = lru_cache(maxsize=10000)(self._decide)

    def ids(self, events: Iterable[Event]) -> Dict[Event, Ids]:
        """The ids for each event; names that are new are made."""
        identities = {event: self._identity(event.user, event.group) for event in events}
        known = set(identities.values())
        vos = self._db.ids("VOs", {vo for vo, _, _ in known})
        groups = self._db.ids("VOGroups", {group for _, group, _ in known})
        roles = self._db.ids("VORoles", {role for _, _, role in known})
        return {
            event: (vos[vo], groups[group], roles[role]) for event, (vo, group, role) in identities.items()
        }

    def _decide(self, user: Optional[str], group: Optional[str]) -> Identity:
        return self._map.identity_of_local(_known(user), _known(group))


def _known(text: Optional[str]) -> Optional[str]:
    """A name in a database that has the word None where there is none."""
    return None if text is None or is_null(text) else text
