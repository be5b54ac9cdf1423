"""This host's clock against the database's: one that is far behind takes all that is new for the future's."""

from typing import Any

from apel import times
from apelcommon.errors import Transient

IS_BEHIND = "This host's clock (%s UTC) is far behind the database's (%s): no job is unloaded or loaded"


def checked_time(tx: Any) -> str:
    """The database's time, 'YYYY-MM-DD hh:mm:ss' UTC. Raises Transient if this host's is a day behind it."""
    now = str(tx.value("SELECT CAST(CURRENT_TIMESTAMP AS CHAR)"))
    if times.epoch_from_text(now) - times.now() > times.DAY:
        raise Transient(IS_BEHIND % (times.utc_text(times.now()), now))
    return now
