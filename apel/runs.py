"""When a program's runs last ended, well or not: kept in the database it works on, for `apel status`."""

import logging
from typing import Any, Dict, NamedTuple, Optional

from apel import times
from apel.db import Database
from apelcommon.errors import ServiceError

log = logging.getLogger(__name__)

#: Types in LastUpdated: the program, how the run ended, and of which batch system (or nothing).
WELL, BADLY = "ended well", "failed"


class LastRuns(NamedTuple):
    """Epoch seconds of a program's last good and last failed run; None for none."""

    well: Optional[int]
    badly: Optional[int]

    @property
    def failed(self) -> bool:
        """Whether the very last run failed."""
        return self.badly is not None and (self.well is None or self.badly > self.well)


def note_run(db: Database, program: str, well: bool, of: str = "") -> None:
    """Remember the end of a run. That it can't be remembered is no trouble of the run's."""
    row = (times.utc_text(times.now()), _type(program, well, of))
    try:
        db.run(lambda tx: tx.insert("LastUpdated", ("UpdateTime", "Type"), [row], conflict="update"), tries=1)
    except ServiceError as err:
        log.debug("The end of this run is not remembered: %s", err)


def last_runs(db: Database, program: str) -> Dict[str, LastRuns]:
    """The last runs of a program by batch system ('' where it has none)."""
    query = "SELECT Type, %s FROM LastUpdated WHERE Type LIKE %%s" % db.sql.epoch("UpdateTime")

    def read(tx: Any) -> Dict[str, int]:
        return {name: int(when) for name, when in tx.rows(query, (program + " %",))}

    found = db.run(read)
    beginnings = [_type(program, well, "") for well in (True, False)]
    of = {name[len(start) :].strip() for name in found for start in beginnings if name.startswith(start)}
    return {
        each: LastRuns(found.get(_type(program, True, each)), found.get(_type(program, False, each)))
        for each in sorted(of)
    }


def _type(program: str, well: bool, of: str) -> str:
    return ("%s %s %s" % (program, WELL if well else BADLY, of)).strip()
