"""Whose the jobs are: by their grid records, by the tokens that were logged, and by the identity map.

All of it is decided when a job is joined, so that a change of the map counts from the next run on, and a
rejoined month gets it too. The database keeps what the logs say.
"""

from collections import Counter
from functools import lru_cache
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from apel.client.choice import Event, GridRecord
from apel.db import Database
from apel.identity import NO_TOKEN, Identity, Token, credentials, parse_fqan
from apel.identity_map import IdentityMap
from apel.records.fields import is_null

#: A job that is accounted, and its grid record if it has one.
Job = Tuple[Event, Optional[GridRecord]]


class Whose(NamedTuple):
    """Whose a job is, where its grid record doesn't say so; None for what that says as it should.

    identity: VO, group and role.
    """

    user: Optional[str] = None
    fqan: Optional[str] = None
    identity: Optional[Identity] = None
    token: Token = NO_TOKEN


AS_RECORDED = Whose()


class Identities:
    """Decides, and looks up the ids. Users are few beside jobs: about each is decided once."""

    def __init__(self, db: Database, identity_map: Optional[IdentityMap]) -> None:
        self._db = db
        self.map = identity_map or IdentityMap([])
        self._local = lru_cache(maxsize=10000)(self._decide_local)
        self._grid = lru_cache(maxsize=10000)(self._decide_grid)

    def rows(self, jobs: Sequence[Job]) -> List[Sequence[Any]]:
        """For each job the values of join_sql.IDENTITY; names that are new are made."""
        found = [self._whose(event, grid) for event, grid in jobs]
        changed = set(found)
        identities = [one.identity for one in changed if one.identity is not None]
        users = self._db.ids("DNs", {one.user for one in changed if one.user is not None})
        vos, groups, roles = (
            self._db.ids(table, {identity[place] for identity in identities})
            for place, table in enumerate(("VOs", "VOGroups", "VORoles"))
        )
        made: Dict[Whose, Sequence[Any]] = {}
        for one in changed:
            vo, group, role = one.identity or (None, None, None)
            ids = (vos[vo], groups[group], roles[role]) if one.identity else (None, None, None)
            user = None if one.user is None else users[one.user]
            made[one] = (user, one.fqan, *ids, *one.token)
        return [made[one] for one in found]

    def without_vo(self, jobs: Sequence[Job]) -> "Counter[str]":
        """The grid jobs of no VO, for which a rule is missing, by the issuer of their token ('': unknown)."""
        nobody = self._db.ids("VOs", [None])[None]
        return Counter(
            _combined(event.token, _as_meant(grid.token, event.token)).issuer or ""
            for event, grid in jobs
            if grid is not None and grid.vo == nobody and self._whose(event, grid).identity is None
        )

    def _whose(self, event: Event, grid: Optional[GridRecord]) -> Whose:
        account = (_known(event.user), _known(event.group))
        if grid is None:
            return self._local(event.token, event.groups, account)
        if not self.map.rules and event.token == NO_TOKEN:
            return AS_RECORDED
        recorded = _as_meant(grid.token, event.token)
        groups = grid.groups or (event.groups if _may_be_one(event.token, recorded) else None)
        fqan = _known(grid.fqan)
        return self._grid(event.token, recorded, _known(grid.user), groups, fqan, account)

    def _decide_local(
        self, token: Token, groups: Optional[str], account: Tuple[Optional[str], Optional[str]]
    ) -> Whose:
        who = credentials(None, token, groups, *account)
        return Whose(token.user, None, self.map.identity_of_local(who), token)

    def _decide_grid(
        self,
        logged: Token,
        recorded: Token,
        user: Optional[str],
        groups: Optional[str],
        fqan: Optional[str],
        account: Tuple[Optional[str], Optional[str]],
    ) -> Whose:
        token = _combined(logged, recorded)
        # A DN stands; a subject alone is one person's only with its issuer.
        named = token.user if logged != NO_TOKEN and user in (None, token.subject) else None
        changed = token if token != recorded else NO_TOKEN
        who = credentials(fqan, token, groups, *account)
        mapped = self.map.fqan_of(who)
        if mapped is None or mapped == who.fqan:
            return Whose(named, None, None, changed)
        return Whose(named, mapped, parse_fqan(mapped), changed)


def _as_meant(recorded: Token, logged: Token) -> Token:
    """The token of a grid record, whose issuer may be a subject: a URL that stood in the place of a DN."""
    if recorded.subject is None and recorded.issuer is not None and recorded.issuer == logged.subject:
        return Token(subject=recorded.issuer)
    return recorded


def _combined(logged: Token, recorded: Token) -> Token:
    """What the compute element says of a token, completed by the batch system if they speak of the same."""
    if not _may_be_one(logged, recorded):
        return recorded
    return Token(recorded.issuer or logged.issuer, recorded.subject or logged.subject)


def _may_be_one(logged: Token, recorded: Token) -> bool:
    """Whether what the batch system logged may be the token of the job's grid record."""
    return all(mine in (None, theirs) for mine, theirs in zip(recorded, logged)) or logged == NO_TOKEN


def _known(text: Optional[str]) -> Optional[str]:
    """A name in a database that has the word None where there is none."""
    return None if text is None or is_null(text) else text
