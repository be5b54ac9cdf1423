"""Where the commands that send put their messages: the queue that ssmsend takes them from."""

import os
from typing import Any

from apelcommon.errors import Transient

OUTGOING = "outgoing"


def outgoing(dir_location: str) -> Any:
    """The queue `outgoing` below a directory, made if it isn't there. Raises Transient."""
    from ssm.queues import OutgoingQueue

    path = os.path.join(dir_location, OUTGOING)
    try:
        return OutgoingQueue(path)
    except OSError as err:
        raise Transient("The spool %s can't be written: %s" % (path, err.strerror)) from err
