"""Whether a signer may send records of a site: off, warned of, or enforced (D13).

The map of sites and names is a file that apelauth makes; a changed one is taken up at the next message. One
that is gone or damaged leaves the last good map in force.
"""

import logging
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from apel.auth.lists import ANY_SITE, by_name, rights_in
from apel.db import Database
from apel.errors import shown
from apel.records import Record, StorageRecord
from apelcommon.errors import ConfigError
from apelcommon.files import FileState, file_state

log = logging.getLogger(__name__)

OFF, WARN, ENFORCE = "off", "warn", "enforce"
MODES = (OFF, WARN, ENFORCE)
#: The fields that name a record's site; the first that its class has.
SITE_FIELDS = ("Site", "SiteName")
STORED = "SELECT RecordId, name FROM StarRecords JOIN Sites ON id = SiteID WHERE RecordId IN"


class SiteRights:
    """Who may send for which sites, from the file `path`; `canonical` brings names made by hand into form."""

    def __init__(self, path: str, mode: str, canonical: Callable[[str], str]) -> None:
        """Raises ConfigError if the file can't be read to begin with."""
        self.path = path
        self.enforced = mode == ENFORCE
        self._canonical = canonical
        self._state: FileState = None
        self._sites: Dict[str, Set[str]] = {}
        trouble = self._read()
        if trouble:
            raise ConfigError("[auth] map: %s %s. apelauth makes it." % (path, trouble))

    def check(
        self, signer: str, records: Sequence[Any], stored: Mapping[str, str]
    ) -> List[Tuple[Record, str]]:
        """The records that the signer may not send, each with the reason. stored: see `stored_sites`."""
        self._refresh()
        sites = self._sites.get(signer, set())
        field = _site_field(records)
        if ANY_SITE in sites or field is None:
            return []
        found = {getattr(record, field) for record in records} - sites
        reasons = {site: _reason(field, site, signer, bool(sites)) for site in found}
        refused = [
            (record, reasons[getattr(record, field)]) for record in records if getattr(record, field) in found
        ]
        others = {name: site for name, site in stored.items() if site not in sites}
        taken = [record for record in records if others and getattr(record, field) not in found]
        return refused + [
            (record, _reason("RecordId", others[record.RecordId], signer, True))
            for record in taken
            if record.RecordId in others
        ]

    def _refresh(self) -> None:
        state = file_state(self.path)
        if state != self._state:
            trouble = self._read()
            if trouble:
                log.error("[auth] map: %s %s; the last good map stays in force.", self.path, trouble)

    def _read(self) -> str:
        """Take the file up; what is wrong with it, or ''."""
        self._state = file_state(self.path)
        try:
            with open(self.path, encoding="utf-8") as stream:
                rights = rights_in(stream.read(), self.path)
        except (OSError, UnicodeDecodeError) as err:
            return "can't be read (%s)" % err
        if not rights:
            return "names nobody"
        self._sites = by_name((self._canonical(name), site) for name, site in rights)
        log.info("[auth] map: %s names the sites of %d signers", self.path, len(self._sites))
        return ""


def stored_sites(db: Database, records: Sequence[Any]) -> Dict[str, str]:
    """RecordId -> the site of the record that is stored under it, which one of these would replace.

    Only storage records have a key without the site in it; of others: nothing.
    """
    if not records or not isinstance(records[0], StorageRecord) or not db.has("storage"):
        return {}
    names = [record.RecordId for record in records]
    return db.run(lambda tx: dict(tx.rows_among(STORED, names)))


def _site_field(records: Sequence[Any]) -> Optional[str]:
    names = records[0].names if records else ()
    return next((field for field in SITE_FIELDS if field in names), None)


def _reason(field: str, site: Optional[str], signer: str, known: bool) -> str:
    who = shown(signer, 255) if known else "%s, of whom no site is known," % shown(signer, 255)
    what = "the record names no site, so" if site is None else "%s:" % shown(site)
    return "%s: %s %s may not send it" % (field, what, who)
